package config

// Meta is a dataset at Meta's Conversions API
// (https://developers.facebook.com/documentation/ads-commerce/conversions-api).
type Meta struct {
	DatasetID      string // of the dataset, formerly pixel; digits
	AccessToken    Secret
	TokenIn        string // body or query: where the token goes; default body
	APIVersion     string // default v25.0
	ActionSource   string // where the events happen; default website
	TestEventCode  string // marks a test event; empty: none can be sent
	LimitedDataUse bool   // ask for limited data use with every event; default false
	BaseURL        string // no slash at the end; default https://graph.facebook.com
}

func readMeta(s *Section) *Meta {
	return &Meta{
		DatasetID:   s.RequiredText("dataset_id", datasetID),
		AccessToken: s.RequiredSecret("access_token"),
		TokenIn:     s.Choice("token_in", "body", "body", "query"),
		APIVersion:  s.Text("api_version", "v25.0", graphVersion),
		ActionSource: s.Choice("action_source", "website", "website", "app", "email", "phone_call", "chat",
			"physical_store", "system_generated", "business_messaging", "other"),
		TestEventCode:  s.Text("test_event_code", "", testEventCode),
		LimitedDataUse: s.Boolean("limited_data_use", false),
		BaseURL:        s.URL("base_url", "https://graph.facebook.com"),
	}
}

var (
	datasetID     = Matches(`[0-9]{1,20}`, "is not the number of a dataset (digits, in quotes)")
	graphVersion  = Matches(`v[0-9]{1,3}\.[0-9]{1,2}`, "is not a version such as v25.0")
	testEventCode = Matches(`[A-Za-z0-9_-]{1,64}`, "is not a test code (letters, digits, _ and - only, at most 64)")
)
