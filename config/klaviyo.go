package config

// Klaviyo is an account at the marketing platform Klaviyo (https://developers.klaviyo.com).
type Klaviyo struct {
	APIKey   Secret // a private key
	Revision string // version of the API; default 2026-07-15
	ListID   string // the list that opt-ins join; default none
	BaseURL  string // no slash at the end; default https://a.klaviyo.com
}

func readKlaviyo(s *Section) *Klaviyo {
	return &Klaviyo{
		APIKey:   s.RequiredSecret("api_key", VisibleASCII),
		Revision: s.Text("revision", "2026-07-15", apiRevision),
		ListID:   s.TextOrNone("list_id", None, listID),
		BaseURL:  s.URL("base_url", "https://a.klaviyo.com"),
	}
}

var (
	apiRevision = Matches(`[0-9]{4}-[0-9]{2}-[0-9]{2}(?:\.[a-z0-9-]+)?`, "is not a revision such as 2026-07-15")
	listID      = Matches(`[A-Za-z0-9_-]{1,64}`, "is not the id of a list at Klaviyo, nor none")
)
