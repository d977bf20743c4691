package config

// Snowplow is being built.
type Snowplow struct {
	BaseURL string
}

func readSnowplow(s *section) *Snowplow {
	return &Snowplow{BaseURL: s.url("base_url", "https://example.com")}
}
