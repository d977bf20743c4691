package config

// Pinterest is an ad account at Pinterest (https://developers.pinterest.com/docs/conversions/conversions/).
type Pinterest struct {
	AdAccountID string // at most 18 digits
	Token       Secret // the conversion token
	BaseURL     string // with the version, no slash at the end; default https://api.pinterest.com/v5
}

func readPinterest(s *Section) *Pinterest {
	return &Pinterest{
		AdAccountID: s.RequiredText("ad_account_id", adAccountID),
		Token:       s.RequiredSecret("token", VisibleASCII),
		BaseURL:     s.URL("base_url", "https://api.pinterest.com/v5"),
	}
}

var adAccountID = Matches(`[0-9]{1,18}`, "is not the id of an ad account (at most 18 digits, in quotes)")
