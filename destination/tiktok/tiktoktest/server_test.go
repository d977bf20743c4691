package tiktoktest

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/destination/destinationtest"
)

const (
	address = "/open_api/v1.3/event/track/"
	hashed  = "86e0b9e56c17cc4d12387e1949b85053fbe73bc3ce5a1188713a9d300cc6133d"
	good    = `{"event":"Purchase","event_time":1741083330,"event_id":"a","user":{"email":["` + hashed + `"],"city":"kbenhavn"},` +
		`"properties":{"currency":"DKK","value":749.00},"page":{"url":"https://shop.example.com/"},"limited_data_use":false}`
)

func post(s *Server, address, token, body string) *httptest.ResponseRecorder {
	return destinationtest.Post(s, address, body, "Content-Type", "application/json", "Access-Token", token)
}

func body(events ...string) string {
	return `{"event_source":"web","event_source_id":"P","data":[` + strings.Join(events, ",") + `]}`
}

func TestTakes(t *testing.T) {
	t.Parallel()
	s := New("P", "T", nil)
	w := post(s, address, "T", body(good, good))
	require.Equal(t, 200, w.Code)
	require.JSONEq(t, `{"code":0,"message":"OK","request_id":"202503041015300000"}`, w.Body.String(), s.Refusals())
	require.Equal(t, Counts{Requests: 1, Events: 1, Repeats: 1}, s.Counts())
}

// TestRefuses: a good event beside the bad one is not taken either, and the status is 200.
func TestRefuses(t *testing.T) {
	t.Parallel()
	with := func(old, replacement string) string { return strings.Replace(good, old, replacement, 1) }
	for name, event := range map[string]string{
		"PlainEmail":    with(hashed, "jane.doe@example.com"),
		"UpperCaseHash": with(hashed, strings.ToUpper(hashed)),
		"PlainName":     with(`"city"`, `"first_name":"jane","city"`),
		"City":          with("kbenhavn", "København"),
		"Nobody":        with(`"email":["`+hashed+`"],`, ""),
		"UnknownField":  with(`"event_id"`, `"color":"red","event_id"`),
		"NoName":        with(`"Purchase"`, `""`),
		"NoID":          with(`"event_id":"a",`, ""),
		"NoUser":        with(`"user":{"email":["`+hashed+`"],"city":"kbenhavn"},`, ""),
		"NoCurrency":    with(`"currency":"DKK",`, ""),
		"NegativeValue": with("749.00", "-1"),
		"QuotedValue":   with("749.00", `"749.00"`),
		"Millis":        with("1741083330", "1741083330000"),
		"EmailInPage":   with("https://shop.example.com/", "https://shop.example.com/?m=a%40example.com"),
		"LeadingZero":   with("749.00", "0749"),
		"NoAddress":     with(`"city"`, `"ip":"x","city"`),
		"ContentNoID":   with("749.00", `749.00,"contents":[{"quantity":1}]`),
		"EmptyPage":     with("https://shop.example.com/", ""),
		"TooOld":        with("1741083330", "1740000000"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := New("P", "T", func() time.Time { return time.Unix(1741083330, 0) })
			require.NotEqual(t, good, event)
			w := post(s, address, "T", body(good, event))
			require.Equal(t, 200, w.Code)
			require.Contains(t, w.Body.String(), `"code":40002`)
			require.Equal(t, Counts{Requests: 1, Refused: 1}, s.Counts())
		})
	}
}

func TestRefusesRequests(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ address, token, body, want string }{
		"Path":       {"/open_api/v1.3/event/track", "T", body(good), "404"},
		"NoToken":    {address, "", body(good), `"code":40105`},
		"WrongToken": {address, "U", body(good), `"code":40105`},
		"Source":     {address, "T", strings.Replace(body(good), `"web"`, `"website"`, 1), `"code":40002`},
		"SourceID":   {address, "T", strings.Replace(body(good), `"P"`, `"Q"`, 1), `"code":40002`},
		"NoEvents":   {address, "T", body(), `"code":40002`},
		"TooMany":    {address, "T", body(strings.Split(strings.TrimSuffix(strings.Repeat(good+"|", 1001), "|"), "|")...), `"code":40002`},
		"TwoValues":  {address, "T", body(good) + body(good), `"code":40002`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := New("P", "T", nil)
			require.Contains(t, post(s, test.address, test.token, test.body).Body.String(), test.want)
			require.Equal(t, Counts{Requests: 1, Refused: 1}, s.Counts())
		})
	}
}

func TestForgetsRepeats(t *testing.T) {
	t.Parallel()
	now := time.Unix(1741083330, 0)
	s := New("P", "T", func() time.Time { return now })
	for _, later := range []time.Duration{0, 48 * time.Hour, time.Second} {
		now = now.Add(later)
		require.Contains(t, post(s, address, "T", body(good)).Body.String(), `"code":0`)
	}
	require.Equal(t, Counts{Requests: 3, Events: 2, Repeats: 1}, s.Counts())
}
