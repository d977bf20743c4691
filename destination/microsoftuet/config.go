package microsoftuet

import (
	"kvit/config"
	"kvit/destination"
)

// Kind is a UET tag of Microsoft Advertising, as kvit.yaml names it.
var Kind = config.Kind{
	Name: "microsoft_uet", Concurrency: 4, Consent: "marketing", Renames: true, Read: destination.Reader(readOptions),
	Docs: "https://learn.microsoft.com/en-us/advertising/guides/uet-conversion-api-integration",
}

// Make makes the destination.
func (o Options) Make(common destination.Common) (destination.Destination, error) {
	o.Events, o.HTTP = common.Events, common.HTTP
	return New(o)
}

func readOptions(s *config.Section) Options {
	return Options{
		TagID:     s.RequiredText("tag_id", tagID),
		Token:     s.RequiredSecret("token", config.VisibleASCII),
		AdPurpose: s.Text("ad_purpose", DefaultAdPurpose, config.Purpose),
		BaseURL:   s.URL("base_url", DefaultBaseURL),
	}
}

var tagID = config.Matches(`[0-9]{1,20}`, "is not the id of a UET tag (at most 20 digits, in quotes)")
