package config

// MicrosoftUET is a UET tag of Microsoft Advertising
// (https://learn.microsoft.com/en-us/advertising/guides/uet-conversion-api-integration).
type MicrosoftUET struct {
	TagID     string // digits
	Token     Secret // the tag's token for the Conversions API
	AdPurpose string // purpose whose acceptance is told as adStorageConsent; default marketing
	BaseURL   string // with the version, no slash at the end; default https://capi.uet.microsoft.com/v1
}

func readMicrosoftUET(s *Section) *MicrosoftUET {
	return &MicrosoftUET{
		TagID:     s.RequiredText("tag_id", uetTagID),
		Token:     s.RequiredSecret("token", VisibleASCII),
		AdPurpose: s.Text("ad_purpose", "marketing", Purpose),
		BaseURL:   s.URL("base_url", "https://capi.uet.microsoft.com/v1"),
	}
}

var uetTagID = Matches(`[0-9]{1,20}`, "is not the id of a UET tag (at most 20 digits, in quotes)")
