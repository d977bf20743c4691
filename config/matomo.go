package config

// Matomo is being built.
type Matomo struct {
	BaseURL string
}

func readMatomo(s *section) *Matomo {
	return &Matomo{BaseURL: s.url("base_url", "https://example.com")}
}
