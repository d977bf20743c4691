package metatest

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/destination/destinationtest"
)

const (
	address = "/v25.0/123/events"
	hashed  = "86e0b9e56c17cc4d12387e1949b85053fbe73bc3ce5a1188713a9d300cc6133d"
	good    = `{"event_name":"Purchase","event_time":1741083330,"event_id":"a","action_source":"website","event_source_url":"https://shop.example.com/",` +
		`"user_data":{"em":["` + hashed + `"],"client_user_agent":"x"},"custom_data":{"currency":"DKK","value":749.00}}`
)

func post(s *Server, address, contentType, body string) *httptest.ResponseRecorder {
	return destinationtest.Post(s, address, body, "Content-Type", contentType)
}

func body(events ...string) string {
	return `{"access_token":"T","data":[` + strings.Join(events, ",") + `]}`
}

func TestTakes(t *testing.T) {
	t.Parallel()
	s := New("123", "T", nil)
	w := post(s, address, "application/json", body(good, good))
	require.Equal(t, 200, w.Code, w.Body.String())
	require.JSONEq(t, `{"events_received":2,"messages":[],"fbtrace_id":"AbCdEf"}`, w.Body.String())
	w = post(s, address+"?access_token=T", "application/json", `{"data":[`+good+`]}`)
	require.Equal(t, 200, w.Code)
	require.Equal(t, Counts{Requests: 2, Events: 1, Repeats: 2}, s.Counts())
}

// TestRefuses: a good event beside the bad one is not taken either.
func TestRefuses(t *testing.T) {
	t.Parallel()
	with := func(old, replacement string) string { return strings.Replace(good, old, replacement, 1) }
	for name, event := range map[string]string{
		"PlainEmail":     with(hashed, "jane.doe@example.com"),
		"UpperCaseHash":  with(hashed, strings.ToUpper(hashed)),
		"ShortHash":      with(hashed, hashed[1:]),
		"Nobody":         with(`"em":["`+hashed+`"],`, ""),
		"UnknownField":   with(`"event_id"`, `"color":"red","event_id"`),
		"NoName":         with(`"Purchase"`, `""`),
		"NoID":           with(`"event_id":"a",`, ""),
		"NoSource":       with(`"website"`, `"shop"`),
		"NoAgent":        with(`,"client_user_agent":"x"`, ""),
		"NoPage":         with(`"event_source_url":"https://shop.example.com/",`, ""),
		"NoCustomData":   with(`,"custom_data":{"currency":"DKK","value":749.00}`, ""),
		"NoCurrency":     with(`"currency":"DKK",`, ""),
		"NegativeValue":  with("749.00", "-1"),
		"ValueIsText":    with("749.00", `"much"`),
		"ValueAlone":     strings.Replace(with(`"currency":"DKK",`, ""), "Purchase", "AddToCart", 1),
		"PageIsAPath":    with("https://shop.example.com/", "/cart"),
		"QuotedValue":    with("749.00", `"749.00"`),
		"Millis":         with("1741083330", "1741083330000"),
		"Future":         with("1741083330", "1741183330"),
		"EmailInPage":    with("https://shop.example.com/", "https://shop.example.com/?m=a%40example.com"),
		"LeadingZero":    with("749.00", "0749"),
		"OldCookie":      with(`"client_user_agent"`, `"fbp":"1.2","client_user_agent"`),
		"NoAddress":      with(`"client_user_agent"`, `"client_ip_address":"x","client_user_agent"`),
		"ContentNoID":    with("749.00", `749.00,"contents":[{"quantity":1}]`),
		"HalfLimitation": with(`"user_data"`, `"data_processing_options":["LDU"],"user_data"`),
		"TooOld":         with("1741083330", "1740000000"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := New("123", "T", func() time.Time { return time.Unix(1741083330, 0) })
			require.NotEqual(t, good, event)
			w := post(s, address, "application/json", body(good, event))
			require.Equal(t, 400, w.Code)
			require.Contains(t, w.Body.String(), `"code":100`)
			require.Equal(t, Counts{Requests: 1, Refused: 1}, s.Counts())
		})
	}
}

func TestRefusesRequests(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ address, contentType, body, want string }{
		"Dataset":     {"/v25.0/124/events", "application/json", body(good), `"error_subcode":33`},
		"Version":     {"/25/123/events", "application/json", body(good), `"error_subcode":33`},
		"ContentType": {address, "text/plain", body(good), `"code":100`},
		"NoToken":     {address, "application/json", `{"data":[` + good + `]}`, `"code":190`},
		"WrongToken":  {address, "application/json", `{"access_token":"U","data":[` + good + `]}`, `"code":190`},
		"TwoTokens":   {address + "?access_token=T", "application/json", body(good), `"code":190`},
		"NoEvents":    {address, "application/json", body(), `"code":100`},
		"TooMany":     {address, "application/json", body(strings.Split(strings.TrimSuffix(strings.Repeat(good+"|", 1001), "|"), "|")...), `"code":100`},
		"TwoValues":   {address, "application/json", body(good) + body(good), `"code":100`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := New("123", "T", nil)
			w := post(s, test.address, test.contentType, test.body)
			require.Equal(t, 400, w.Code)
			require.Contains(t, w.Body.String(), test.want)
			require.Zero(t, s.Counts().Events)
		})
	}
}

func TestForgetsRepeats(t *testing.T) {
	t.Parallel()
	now := time.Unix(1741083330, 0)
	s := New("123", "T", func() time.Time { return now })
	for _, later := range []time.Duration{0, 48 * time.Hour, time.Second} {
		now = now.Add(later)
		require.Equal(t, 200, post(s, address, "application/json", body(good)).Code)
	}
	require.Equal(t, Counts{Requests: 3, Events: 2, Repeats: 1}, s.Counts())
}
