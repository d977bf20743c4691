package config

import (
	"encoding/json"
	"fmt"
)

// GA4 is a web data stream of Google Analytics 4
// (https://developers.google.com/analytics/devguides/collection/protocol/ga4).
type GA4 struct {
	MeasurementID   string            // G-…
	APISecret       Secret            // of the same stream
	Region          string            // eu or global: where Google takes the data in; default eu
	AdPurpose       string            // the purpose that lets Google use events for advertising; default marketing
	UserData        bool              // default false: no hashed data of the customer is sent
	WithoutClientID string            // skip or derive: events without client.ga_client_id; default skip
	Params          map[string]string // name of a parameter at Google -> dotted path into the payload's custom
	BaseURL         string            // no slash at the end; empty: the region's own
	Deletion        GA4Deletion       // zero: Google is not told of a person who asks for erasure
}

// GA4Deletion is what it takes to have Google delete the data of a person
// (https://developers.google.com/analytics/devguides/config/admin/v1/rest/v1alpha/properties/submitUserDeletion).
type GA4Deletion struct {
	PropertyID  string // digits
	Credentials Secret // the JSON key of a service account
	BaseURL     string // no slash at the end; empty: Google's own
}

// mostParams leaves room for kvit's own below the 25 that Google takes.
const mostParams = 10

func readGA4(s *Section) *GA4 {
	return &GA4{
		MeasurementID:   s.RequiredText("measurement_id", measurementID),
		APISecret:       s.RequiredSecret("api_secret"),
		Region:          s.Choice("region", "eu", "eu", "global"),
		AdPurpose:       s.Text("ad_purpose", "marketing", Purpose),
		UserData:        s.Boolean("user_data", false),
		WithoutClientID: s.Choice("without_client_id", "skip", "skip", "derive"),
		Params:          readParams(s.Section("params")),
		BaseURL:         s.URL("base_url", ""),
		Deletion:        readGA4Deletion(s.Section("deletion")),
	}
}

func readGA4Deletion(s *Section) GA4Deletion {
	if !s.Present() {
		return GA4Deletion{}
	}
	defer s.Finish()
	return GA4Deletion{
		PropertyID:  s.RequiredText("property_id", propertyID),
		Credentials: s.RequiredSecretText("credentials", serviceAccount),
		BaseURL:     s.URL("base_url", ""),
	}
}

var propertyID = Matches(`[0-9]{1,20}`, "is not the id of a property, which is a number (in quotes)")

// serviceAccount looks at the shape alone; whether the key can sign is found when the destination is made.
func serviceAccount(text string) string {
	var file struct {
		Type  string `json:"type"`
		Email string `json:"client_email"`
		Key   string `json:"private_key"`
	}
	err := json.Unmarshal([]byte(text), &file)
	if err != nil || file.Type != "service_account" || file.Email == "" || file.Key == "" {
		return "is not the JSON key of a service account"
	}
	return ""
}

var measurementID = Matches(`G-[A-Z0-9]{1,30}`, "is not the measurement id of a web data stream, as in G-ABC1234567")

var paramName = Matches(`[A-Za-z][A-Za-z0-9_]{0,39}`,
	"is not the name of a parameter (letters, digits and _ only, at most 40, beginning with a letter)")

// customPath keeps personal data out of where Google forbids it: of the payload, only custom is free of
// members that always hold such.
var customPath = Matches(`custom(?:\.[A-Za-z0-9_-]{1,100}){1,9}`, "is not a path into custom, as in custom.customer_group")

func readParams(s *Section) map[string]string {
	if s.Len() > mostParams {
		s.ProblemHere(fmt.Sprintf("must be at most %d", mostParams))
	}
	return s.Pairs(paramName, customPath)
}
