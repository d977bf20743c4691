package pinterest

import (
	"kvit/config"
	"kvit/destination"
)

// Kind is an ad account at Pinterest, as kvit.yaml names it. The default rate stays below the 5,000 a minute
// that Pinterest allows.
var Kind = config.Kind{
	Name: "pinterest", Concurrency: 4, Consent: "marketing", Rate: "80/s", Renames: true, Read: destination.Reader(readOptions),
	Docs: "https://developers.pinterest.com/docs/track-conversions/track-conversions-in-the-api/",
}

// Make makes the destination.
func (o Options) Make(common destination.Common) (destination.Destination, error) {
	o.Events, o.HTTP = common.Events, common.HTTP
	return New(o)
}

func readOptions(s *config.Section) Options {
	return Options{
		AdAccountID: s.RequiredText("ad_account_id", adAccountID),
		Token:       s.RequiredSecret("token", config.VisibleASCII),
		BaseURL:     s.URL("base_url", DefaultBaseURL),
	}
}

var adAccountID = config.Matches(`[0-9]{1,18}`, "is not the id of an ad account (at most 18 digits, in quotes)")
