package config

// TikTok is an event source at TikTok's Events API 2.0
// (https://business-api.tiktok.com/portal/docs?id=1771101303285761).
type TikTok struct {
	AccessToken    Secret
	EventSource    string // web, app, offline or crm; default web
	EventSourceID  string // for web the code of the pixel
	APIVersion     string // default v1.3
	TestEventCode  string // marks a test event; empty: none can be sent
	LimitedDataUse bool   // ask for limited data use with every event; default false
	BaseURL        string // no slash at the end; default https://business-api.tiktok.com
}

func readTikTok(s *section) *TikTok {
	return &TikTok{
		AccessToken:    s.requiredSecret("access_token", visibleASCII),
		EventSource:    s.choice("event_source", "web", "web", "app", "offline", "crm"),
		EventSourceID:  s.requiredText("event_source_id", eventSourceID),
		APIVersion:     s.text("api_version", "v1.3", tiktokVersion),
		TestEventCode:  s.text("test_event_code", "", testEventCode),
		LimitedDataUse: s.boolean("limited_data_use", false),
		BaseURL:        s.url("base_url", "https://business-api.tiktok.com"),
	}
}

var (
	// visibleASCII is what a header can carry.
	visibleASCII  = matches(`[\x21-\x7e]+`, "contains a blank or a character that is not ASCII")
	eventSourceID = matches(`[A-Za-z0-9_-]{1,64}`, "is not the code of a pixel or the id of another event source")
	tiktokVersion = matches(`v[0-9]{1,3}\.[0-9]{1,2}`, "is not a version such as v1.3")
)
