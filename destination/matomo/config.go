package matomo

import (
	"strings"

	"kvit/config"
	"kvit/destination"
)

// Kind is one site of a Matomo, hosted by anybody, as kvit.yaml names it.
var Kind = config.Kind{
	Name: "matomo", Concurrency: 2, Consent: "analytics", Renames: true, Read: destination.Reader(readOptions),
	Docs: "https://developer.matomo.org/api-reference/tracking-api",
}

// Make makes the destination.
func (o Options) Make(common destination.Common) (destination.Destination, error) {
	o.Events, o.HTTP = common.Events, common.HTTP
	return New(o)
}

func readOptions(s *config.Section) Options {
	s.Require("base_url")
	s.Require("site_id")
	return Options{
		BaseURL:            s.URL("base_url", "", noScript),
		SiteID:             s.Integer("site_id", 1, 1, 1<<31-1),
		TokenAuth:          s.RequiredSecret("token_auth", config.OneLine),
		UserID:             s.Choice("user_id", Fallback, Fallback, Always, Never),
		RepeatedOrderIs400: s.Boolean("repeated_order_is_400", false),
	}
}

func noScript(text string) string {
	if strings.HasSuffix(strings.TrimRight(text, "/"), ".php") {
		return "must not name matomo.php: kvit adds it"
	}
	return ""
}
