package config

// MicrosoftUET is being built.
type MicrosoftUET struct {
	BaseURL string
}

func readMicrosoftUET(s *section) *MicrosoftUET {
	return &MicrosoftUET{BaseURL: s.url("base_url", "https://example.com")}
}
