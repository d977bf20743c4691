package config

// TikTok is being built.
type TikTok struct {
	BaseURL string
}

func readTikTok(s *section) *TikTok {
	return &TikTok{BaseURL: s.url("base_url", "https://example.com")}
}
