package config

// Pinterest is being built.
type Pinterest struct {
	BaseURL string
}

func readPinterest(s *section) *Pinterest {
	return &Pinterest{BaseURL: s.url("base_url", "https://example.com")}
}
