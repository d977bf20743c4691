package snowplow

import (
	"kvit/config"
	"kvit/destination"
)

// Kind is a collector of Snowplow's, as kvit.yaml names it.
var Kind = config.Kind{
	Name: "snowplow", Concurrency: 4, Consent: "analytics", Renames: true, Read: destination.Reader(readOptions),
	Docs: "https://docs.snowplow.io/docs/events/http-requests/",
}

// Make makes the destination.
func (o Options) Make(common destination.Common) (destination.Destination, error) {
	o.Events, o.HTTP = common.Events, common.HTTP
	return New(o)
}

func readOptions(s *config.Section) Options {
	s.Require("base_url")
	return Options{
		BaseURL:   s.URL("base_url", ""),
		AppID:     s.Text("app_id", defaultAppID, config.TechnicalName),
		Namespace: s.Text("namespace", defaultNamespace, config.TechnicalName),
		SendIP:    s.Boolean("send_ip", false),
	}
}
