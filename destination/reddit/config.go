package reddit

import (
	"kvit/config"
	"kvit/destination"
)

// Kind is a pixel at Reddit's Conversions API, as kvit.yaml names it.
var Kind = config.Kind{
	Name: "reddit", Concurrency: 4, Consent: "marketing", Renames: true, Read: destination.Reader(readOptions),
	Docs: "https://ads-api.reddit.com/docs/v3/",
}

// Make makes the destination.
func (o Options) Make(common destination.Common) (destination.Destination, error) {
	o.Events, o.HTTP = common.Events, common.HTTP
	return New(o)
}

func readOptions(s *config.Section) Options {
	return Options{
		PixelID: s.RequiredText("pixel_id", pixelID),
		Token:   s.RequiredSecret("token", config.VisibleASCII),
		TestID:  s.Text("test_id", "", testID),
		BaseURL: s.URL("base_url", DefaultBaseURL),
	}
}

var (
	pixelID = config.Matches(`[A-Za-z0-9_-]{1,64}`, "is not the id of a pixel (letters, digits, _ and -, at most 64)")
	testID  = config.Matches(`[A-Za-z0-9_-]{1,64}`, "is not an id for tests (letters, digits, _ and -, at most 64)")
)
