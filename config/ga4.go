package config

// GA4 is being built.
type GA4 struct {
	BaseURL string
}

func readGA4(s *section) *GA4 {
	return &GA4{BaseURL: s.url("base_url", "https://example.com")}
}
