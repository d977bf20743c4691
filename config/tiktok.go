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

func readTikTok(s *Section) *TikTok {
	return &TikTok{
		AccessToken:    s.RequiredSecret("access_token", VisibleASCII),
		EventSource:    s.Choice("event_source", "web", "web", "app", "offline", "crm"),
		EventSourceID:  s.RequiredText("event_source_id", eventSourceID),
		APIVersion:     s.Text("api_version", "v1.3", tiktokVersion),
		TestEventCode:  s.Text("test_event_code", "", testEventCode),
		LimitedDataUse: s.Boolean("limited_data_use", false),
		BaseURL:        s.URL("base_url", "https://business-api.tiktok.com"),
	}
}

var (
	eventSourceID = Matches(`[A-Za-z0-9_-]{1,64}`, "is not the code of a pixel or the id of another event source")
	tiktokVersion = Matches(`v[0-9]{1,3}\.[0-9]{1,2}`, "is not a version such as v1.3")
)

var testEventCode = Matches(`[A-Za-z0-9_-]{1,64}`, "is not a test code (letters, digits, _ and - only, at most 64)")
