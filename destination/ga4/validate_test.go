package ga4_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/destination"
	"kvit/destination/destinationtest"
	"kvit/destination/ga4"
	"kvit/destination/ga4/ga4test"
)

// TestProve: whatever event comes first, its sample is one that Google would take.
func TestProve(t *testing.T) {
	t.Parallel()
	changes := map[string]string{}
	for _, event := range newGA4(t, ga4.Options{}).Traits().Events {
		g, server := setup(t, ga4.Options{Events: changes, UserData: true})
		proved, err := g.Prove(t.Context())
		require.NoError(t, err, event)
		require.Contains(t, proved, "cannot be checked")
		require.Equal(t, ga4test.Counts{Requests: 1, Validated: 1}, server.Counts(), event)
		changes[event] = "" // from here on another one is the first
	}
}

func TestSendTestCountsNothing(t *testing.T) {
	t.Parallel()
	g, server := setup(t, ga4.Options{})
	code, err := g.SendTest(t.Context(), destinationtest.Event(t, "order_paid"))
	require.NoError(t, err)
	require.Equal(t, 200, code)
	require.Equal(t, ga4test.Counts{Requests: 1, Validated: 1}, server.Counts())
	_, err = g.SendTest(t.Context(), destinationtest.EventWith(t, "order_paid", `{}`))
	require.Error(t, err)
}

func TestFindings(t *testing.T) {
	t.Parallel()
	odd := &destination.Error{Kind: destination.Misconfigured, Code: 200, Reason: "the answer is not one of Google's validation"}
	found := func(what string) *destination.Error {
		return &destination.Error{Kind: destination.Rejected, Code: 200, Reason: "Google's validation found " + what}
	}
	for answer, want := range map[string]*destination.Error{
		`{"validationMessages": []}`: nil,
		`{"validationMessages": [{"validationCode": "NAME_INVALID", "description": "jane@example.com"}]}`:                                  found("NAME_INVALID"),
		`{"validationMessages": [{"validationCode": "VALUE_REQUIRED"}, {"validationCode": "VALUE_REQUIRED"}, {"validationCode": "jane"}]}`: found("VALUE_REQUIRED, something else"),
		`{"validationMessages": [{}]}`: found("something else"),
		`{}`:                           odd, `<html>`: odd, ``: odd, `{"validationMessages": null}`: odd, `[]`: odd,
	} {
		_, err := newGA4(t, ga4.Options{BaseURL: destinationtest.Answering(t, 200, answer)}).SendTest(t.Context(), destinationtest.Event(t, "search"))
		if want == nil {
			require.NoError(t, err)
			continue
		}
		require.Equal(t, want, err, answer)
	}
}

// TestFakeIsStrict: each mistake is one that Google would swallow, and that the fake tells of.
func TestFakeIsStrict(t *testing.T) {
	t.Parallel()
	const good = `{"client_id":"1.2","events":[{"name":"search","timestamp_micros":1741083330000000,"params":{"search_term":"tea"}}]}`
	const query = "?measurement_id=" + streamID + "&api_secret=" + secret
	for name, test := range map[string]struct {
		path, body string
		refused    int
	}{
		"Good":        {"/mp/collect" + query, good, 0},
		"Secret":      {"/mp/collect?measurement_id=" + streamID + "&api_secret=x", good, 1},
		"NoJSON":      {"/mp/collect" + query, `{`, 1},
		"Unknown":     {"/mp/collect" + query, `{"clientid":"1.2","events":[]}`, 1},
		"NoEvents":    {"/mp/collect" + query, `{"client_id":"1.2","events":[]}`, 1},
		"EmptyRef":    {"/mp/collect" + query, `{"client_id":"1.2","events":[{"name":"purchase","timestamp_micros":1741083330000000,"params":{"transaction_id":"","currency":"DKK","value":1}}]}`, 2},
		"NumberRef":   {"/mp/collect" + query, `{"client_id":"1.2","events":[{"name":"purchase","timestamp_micros":1741083330000000,"params":{"transaction_id":7,"currency":"DKK","value":1}}]}`, 1},
		"EmailInside": {"/mp/collect" + query, `{"client_id":"1.2","events":[{"name":"x","timestamp_micros":1741083330000000,"params":{"page_location":"https://shop.example.com/?m=a@example.com"}}]}`, 1},
		"TextValue":   {"/mp/collect" + query, `{"client_id":"1.2","events":[{"name":"x","timestamp_micros":1741083330000000,"params":{"currency":"DKK","value":"1"}}]}`, 1},
		"QuotedTime":  {"/mp/collect" + query, `{"client_id":"1.2","events":[{"name":"x","timestamp_micros":"1741083330000000"}]}`, 1},
		"RequestTime": {"/mp/collect" + query, `{"client_id":"1.2","timestamp_micros":1741083330,"events":[{"name":"x","timestamp_micros":1741083330000000}]}`, 1},
		"Millis":      {"/mp/collect" + query, `{"client_id":"1.2","events":[{"name":"x","timestamp_micros":1741083330000}]}`, 1},
		"Null":        {"/mp/collect" + query, `{"client_id":"1.2","events":[{"name":"x","timestamp_micros":1741083330000000,"params":{"a":null}}]}`, 1},
		"PlainEmail":  {"/mp/collect" + query, `{"client_id":"1.2","consent":{"ad_user_data":"GRANTED"},"user_data":{"sha256_email_address":["a@example.com"]},"events":[{"name":"x","timestamp_micros":1741083330000000}]}`, 1},
		"NoConsent":   {"/mp/collect" + query, `{"client_id":"1.2","user_data":{},"events":[{"name":"x","timestamp_micros":1741083330000000}]}`, 1},
		"Reserved":    {"/mp/collect" + query, `{"client_id":"1.2","events":[{"name":"session_start","timestamp_micros":1741083330000000}]}`, 1},
		"DebugFinds":  {"/debug/mp/collect" + query, `{"client_id":"1.2","events":[]}`, 0},
		"AnotherPath": {"/collect" + query, good, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newServer()
			destinationtest.Post(server, test.path, test.body, "Content-Type", "application/json")
			require.Equal(t, test.refused, server.Counts().Refused, server.Refusals())
			require.Equal(t, name == "Good", server.Counts().Events == 1)
		})
	}
}
