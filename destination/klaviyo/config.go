package klaviyo

import (
	"kvit/config"
	"kvit/destination"
)

// Kind is an account at the marketing platform Klaviyo, as kvit.yaml names it. The default rate stays below
// the 3,500 a minute that Klaviyo states.
var Kind = config.Kind{
	Name: "klaviyo", Concurrency: 8, Consent: "marketing", Rate: "50/s", Renames: true, Read: destination.Reader(readOptions),
	Docs: "https://developers.klaviyo.com/en/reference/events_api_overview",
}

// Make makes the destination.
func (o Options) Make(common destination.Common) (destination.Destination, error) {
	o.Events, o.HTTP = common.Events, common.HTTP
	return New(o)
}

func readOptions(s *config.Section) Options {
	return Options{
		APIKey:   s.RequiredSecret("api_key", config.VisibleASCII),
		Revision: s.Text("revision", DefaultRevision, apiRevision),
		ListID:   s.TextOrNone("list_id", config.None, listID),
		BaseURL:  s.URL("base_url", defaultBaseURL),
	}
}

var (
	apiRevision = config.Matches(`[0-9]{4}-[0-9]{2}-[0-9]{2}(?:\.[a-z0-9-]+)?`, "is not a revision such as 2026-07-15")
	listID      = config.Matches(`[A-Za-z0-9_-]{1,64}`, "is not the id of a list at Klaviyo, nor none")
)
