package snap

import (
	"kvit/config"
	"kvit/destination"
)

// Kind is a pixel at Snap's Conversions API, as kvit.yaml names it.
var Kind = config.Kind{
	Name: "snap", Concurrency: 4, Consent: "marketing", Renames: true, Read: destination.Reader(readOptions),
	Docs: "https://developers.snap.com/api/marketing-api/Conversions-API/UsingTheAPI",
}

// Make makes the destination.
func (o Options) Make(common destination.Common) (destination.Destination, error) {
	o.Events, o.HTTP = common.Events, common.HTTP
	return New(o)
}

func readOptions(s *config.Section) Options {
	return Options{
		PixelID:     s.RequiredText("pixel_id", pixelID),
		AccessToken: s.RequiredSecret("access_token", config.VisibleASCII),
		PageURL:     s.URL("page_url", ""),
		BaseURL:     s.URL("base_url", DefaultBaseURL),
	}
}

var pixelID = config.Matches(`[A-Za-z0-9-]{1,64}`, "is not the id of a pixel (letters, digits and -, at most 64)")
