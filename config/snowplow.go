package config

// Snowplow is a collector of Snowplow's (https://docs.snowplow.io/docs/events/http-requests/).
type Snowplow struct {
	BaseURL   string // the collector's address; no slash at the end
	AppID     string // the application that events come from; default webshop
	Namespace string // the tracker's name; default kvit
	SendIP    bool   // default false: the visitor's IP address is not sent
}

func readSnowplow(s *section) *Snowplow {
	s.require("base_url")
	return &Snowplow{
		BaseURL:   s.url("base_url", ""),
		AppID:     s.text("app_id", "webshop", technicalName),
		Namespace: s.text("namespace", "kvit", technicalName),
		SendIP:    s.boolean("send_ip", false),
	}
}
