package config

// Meta is being built.
type Meta struct {
	BaseURL string
}

func readMeta(s *section) *Meta {
	return &Meta{BaseURL: s.url("base_url", "https://example.com")}
}
