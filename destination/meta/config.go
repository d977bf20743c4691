package meta

import (
	"kvit/config"
	"kvit/destination"
)

// Kind is a dataset at Meta's Conversions API, as kvit.yaml names it.
var Kind = config.Kind{
	Name: "meta", Concurrency: 4, Consent: "marketing", Renames: true, Read: destination.Reader(readOptions),
	Docs: "https://developers.facebook.com/documentation/ads-commerce/conversions-api",
}

// Make makes the destination.
func (o Options) Make(common destination.Common) (destination.Destination, error) {
	o.Events, o.HTTP = common.Events, common.HTTP
	return New(o)
}

func readOptions(s *config.Section) Options {
	return Options{
		DatasetID:      s.RequiredText("dataset_id", datasetID),
		AccessToken:    s.RequiredSecret("access_token"),
		TokenIn:        s.Choice("token_in", InBody, InBody, InQuery),
		APIVersion:     s.Text("api_version", defaultAPIVersion, graphVersion),
		ActionSource:   s.Choice("action_source", "website", ActionSources...),
		TestEventCode:  s.Text("test_event_code", "", testEventCode),
		LimitedDataUse: s.Boolean("limited_data_use", false),
		BaseURL:        s.URL("base_url", defaultBaseURL),
	}
}

var (
	datasetID     = config.Matches(`[0-9]{1,20}`, "is not the number of a dataset (digits, in quotes)")
	graphVersion  = config.Matches(`v[0-9]{1,3}\.[0-9]{1,2}`, "is not a version such as v25.0")
	testEventCode = config.Matches(`[A-Za-z0-9_-]{1,64}`, "is not a test code (letters, digits, _ and - only, at most 64)")
)
