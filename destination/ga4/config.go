package ga4

import (
	"fmt"

	"kvit/config"
	"kvit/destination"
)

// Kind is a web data stream of Google Analytics 4, as kvit.yaml names it.
var Kind = config.Kind{
	Name: "ga4", Concurrency: 8, Consent: "analytics", Renames: true, Read: destination.Reader(readOptions),
	Docs: "https://developers.google.com/analytics/devguides/collection/protocol/ga4",
}

// Make makes the destination.
func (o Options) Make(common destination.Common) (destination.Destination, error) {
	o.Events, o.HTTP = common.Events, common.HTTP
	return New(o)
}

func readOptions(s *config.Section) Options {
	return Options{
		MeasurementID:   s.RequiredText("measurement_id", measurementID),
		APISecret:       s.RequiredSecret("api_secret"),
		Region:          s.Choice("region", EU, EU, Global),
		AdPurpose:       s.Text("ad_purpose", "marketing", config.Purpose),
		UserData:        s.Boolean("user_data", false),
		WithoutClientID: s.Choice("without_client_id", Skip, Skip, Derive),
		Params:          readParams(s.Section("params")),
		BaseURL:         s.URL("base_url", ""),
		Deletion:        readDeletion(s.Section("deletion")),
	}
}

func readDeletion(s *config.Section) Deletion {
	if !s.Present() {
		return Deletion{}
	}
	defer s.Finish()
	return Deletion{
		PropertyID:  s.RequiredText("property_id", propertyID),
		Credentials: s.RequiredSecretText("credentials", destination.ServiceAccountForm),
		BaseURL:     s.URL("base_url", ""),
	}
}

var (
	measurementID = config.Matches(`G-[A-Z0-9]{1,30}`, "is not the measurement id of a web data stream, as in G-ABC1234567")
	propertyID    = config.Matches(`[0-9]{1,20}`, "is not the id of a property, which is a number (in quotes)")
	paramName     = config.Matches(nameForm, "is not the name of a parameter (letters, digits and _ only, at most 40, beginning with a letter)")
	// customPath keeps personal data out of where Google forbids it: of the payload, only custom is free of
	// members that always hold such.
	customPath = config.Matches(`custom(?:\.[A-Za-z0-9_-]{1,100}){1,9}`, "is not a path into custom, as in custom.customer_group")
)

func readParams(s *config.Section) map[string]string {
	if s.Len() > MaxParams {
		s.ProblemHere(fmt.Sprintf("must be at most %d", MaxParams))
	}
	return s.Pairs(paramName, customPath)
}
