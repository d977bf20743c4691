package tiktok

import (
	"kvit/config"
	"kvit/destination"
)

// Kind is an event source at TikTok's Events API 2.0, as kvit.yaml names it.
var Kind = config.Kind{
	Name: "tiktok", Concurrency: 4, Consent: "marketing", Renames: true, Read: destination.Reader(readOptions),
	Docs: "https://business-api.tiktok.com/portal/docs?id=1771101303285761",
}

// Make makes the destination.
func (o Options) Make(common destination.Common) (destination.Destination, error) {
	o.Events, o.HTTP = common.Events, common.HTTP
	return New(o)
}

func readOptions(s *config.Section) Options {
	return Options{
		AccessToken:    s.RequiredSecret("access_token", config.VisibleASCII),
		EventSource:    s.Choice("event_source", "web", EventSources...),
		EventSourceID:  s.RequiredText("event_source_id", eventSourceID),
		APIVersion:     s.Text("api_version", defaultAPIVersion, apiVersion),
		TestEventCode:  s.Text("test_event_code", "", testEventCode),
		LimitedDataUse: s.Boolean("limited_data_use", false),
		BaseURL:        s.URL("base_url", defaultBaseURL),
	}
}

var (
	eventSourceID = config.Matches(`[A-Za-z0-9_-]{1,64}`, "is not the code of a pixel or the id of another event source")
	apiVersion    = config.Matches(`v[0-9]{1,3}\.[0-9]{1,2}`, "is not a version such as v1.3")
	testEventCode = config.Matches(`[A-Za-z0-9_-]{1,64}`, "is not a test code (letters, digits, _ and - only, at most 64)")
)
