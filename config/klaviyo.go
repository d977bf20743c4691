package config

// Klaviyo is being built.
type Klaviyo struct {
	BaseURL string
}

func readKlaviyo(s *section) *Klaviyo {
	return &Klaviyo{BaseURL: s.url("base_url", "https://example.com")}
}
