package config

// Snowplow is a collector of Snowplow's (https://docs.snowplow.io/docs/events/http-requests/).
type Snowplow struct {
	BaseURL   string // the collector's address; no slash at the end
	AppID     string // the application that events come from; default webshop
	Namespace string // the tracker's name; default kvit
	SendIP    bool   // default false: the visitor's IP address is not sent
}

func readSnowplow(s *Section) *Snowplow {
	s.Require("base_url")
	return &Snowplow{
		BaseURL:   s.URL("base_url", ""),
		AppID:     s.Text("app_id", "webshop", TechnicalName),
		Namespace: s.Text("namespace", "kvit", TechnicalName),
		SendIP:    s.Boolean("send_ip", false),
	}
}
