package linkedin_test

import (
	"cmp"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"kvit/config"
	"kvit/destination"
	"kvit/destination/destinationtest"
	"kvit/destination/linkedin"
	"kvit/destination/linkedin/linkedintest"
)

const (
	account = "512345678"
	token   = "exampletoken"
	path    = "/rest/conversionEvents"
)

// rules are those of a shop that reports much, known says what LinkedIn knows of them.
var (
	rules = map[string]string{"order_paid": "1", "cart_updated": "2", "search": "3", "page_viewed": "4", "custom:*": "5", "custom:quiz": "6"}
	known = map[string]linkedintest.Rule{}
)

func init() {
	for _, id := range rules {
		known[id] = linkedintest.Rule{Method: "CONVERSIONS_API"}
	}
}

func newServer(now func() time.Time) *linkedintest.Server {
	return linkedintest.New(linkedintest.Options{AccountID: account, Token: token, Rules: known, Version: linkedin.DefaultVersion, Now: now})
}

func newLinkedIn(t testing.TB, baseURL string, change func(*linkedin.Options)) *linkedin.LinkedIn {
	t.Helper()
	options := linkedin.Options{AccountID: account, Token: config.NewSecret(token), Rules: rules, BaseURL: baseURL + "/rest"}
	if change != nil {
		change(&options)
	}
	options.HTTP.Timeout = cmp.Or(options.HTTP.Timeout, time.Minute) // a full request takes long on a busy machine
	l, err := linkedin.New(options)
	require.NoError(t, err)
	return l
}

// setup is a destination and the account that it sends to.
func setup(t *testing.T, now func() time.Time) (*linkedin.LinkedIn, *linkedintest.Server) {
	t.Helper()
	server := newServer(now)
	return newLinkedIn(t, destinationtest.Serve(t, server), nil), server
}

// unconnected is a destination of which only the encoder is used.
func unconnected(t testing.TB) *linkedin.LinkedIn {
	return newLinkedIn(t, "https://api.example.com", nil)
}

func TestConformance(t *testing.T) {
	t.Parallel()
	server := newServer(nil)
	destinationtest.Run(t, destinationtest.Harness{
		New: func(t *testing.T, baseURL string, options destination.ClientOptions) destination.Destination {
			return newLinkedIn(t, baseURL, func(o *linkedin.Options) { o.HTTP = options })
		},
		Success:     server.ServeHTTP,
		ReadsAnswer: true,
		Statuses:    map[int]destination.Kind{404: destination.Misconfigured, 405: destination.Misconfigured, 426: destination.Misconfigured},
	})
}

func TestOrderPaid(t *testing.T) {
	t.Parallel()
	payload := `{"customer": {"id": "cust-1042", "email": " Jane.Doe@Example.com", "phone": "+4512345678", "first_name": "Jane", "last_name": "Doe", "company": "Example"},
	 "client": {"ip": "192.0.2.7", "user_agent": "Example/1.0", "li_fat_id": "df5gf5-gh6t7-ph4j7h-fgf6n1"},
	 "order": {"ref": "other", "currency": "DKK", "total": "0749.00", "items": [{"sku": "SKU-9", "quantity": 2, "unit_price": "299.00"}]}}`
	url, last := destinationtest.Recording(t, 200, `{"elements":[{"status":201}]}`)
	require.Equal(t, 201, destinationtest.Deliver(t, newLinkedIn(t, url, nil), destinationtest.EventWith(t, "order_paid", payload)))
	request := last()
	for header, want := range map[string]string{
		"Authorization": "Bearer " + token, "LinkedIn-Version": "202608", "X-Restli-Protocol-Version": "2.0.0", "X-RestLi-Method": "BATCH_CREATE",
	} {
		require.Equal(t, want, request.Header.Get(header))
	}
	require.Equal(t, `{"elements":[{"conversion":"urn:lla:llaPartnerConversion:1","conversionHappenedAt":1741083330000,`+
		`"conversionValue":{"currencyCode":"DKK","amount":"749.00"},"user":{"userIds":[`+
		`{"idType":"SHA256_EMAIL","idValue":"`+destination.SHA256Hex("jane.doe@example.com")+`"},`+
		`{"idType":"LINKEDIN_FIRST_PARTY_ADS_TRACKING_UUID","idValue":"df5gf5-gh6t7-ph4j7h-fgf6n1"},`+
		`{"idType":"SHA256_IP_ADDRESS","idValue":"`+destination.SHA256Hex("192.0.2.7")+`"}]},"eventId":"order_paid:E100042"}]}`, request.Body)
}

func TestRules(t *testing.T) {
	t.Parallel()
	const urn = "urn:lla:llaPartnerConversion:"
	destinationtest.SentAs(t, unconnected(t), "conversion", map[string]string{
		"order_paid": urn + "1", "cart_updated": urn + "2", "custom:quiz": urn + "6", "custom:other": urn + "5",
	})
	destinationtest.NotSent(t, unconnected(t), "order_placed", "account_created")
}

func TestValuesAndPeople(t *testing.T) {
	t.Parallel()
	const person = `"customer": {"email": "a@example.com"}`
	for name, test := range map[string]struct{ event, payload, path, want string }{
		"Cart":     {"cart_updated", person + `, "cart": {"currency": "EUR", "total": "7.5"}`, "conversionValue", `{"currencyCode":"EUR","amount":"7.5"}`},
		"Negative": {"cart_updated", person + `, "cart": {"currency": "EUR", "total": "-7.5"}`, "conversionValue", ``},
		"None":     {"search", person, "conversionValue", ``},
		"IPv6":     {"search", person + `, "client": {"ip": "2001:db8::1"}`, "user.userIds.#.idType", `["SHA256_EMAIL"]`},
		"IPv4":     {"search", `"client": {"ip": "::ffff:192.0.2.7"}`, "user.userIds.0.idValue", `"` + destination.SHA256Hex("192.0.2.7") + `"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body := destinationtest.Body(t, unconnected(t), destinationtest.EventWith(t, test.event, `{`+test.payload+`}`))
			require.Equal(t, test.want, gjson.Get(body, test.path).Raw)
		})
	}
}

func TestRejected(t *testing.T) {
	t.Parallel()
	const person = `"customer": {"email": "a@example.com"}`
	for want, event := range map[string]destination.Event{
		"customer.email: is required, or client.li_fat_id, or an IPv4 address in client.ip": destinationtest.EventWith(t, "search", `{"customer": {"id": "7"}, "client": {"ip": "2001:db8::1"}}`),
		"order.total: is required with order.currency":                                      destinationtest.EventWith(t, "order_paid", `{`+person+`, "order": {"ref": "1", "total": "1"}}`),
		"order.total: must not be negative":                                                 destinationtest.EventWith(t, "order_paid", `{`+person+`, "order": {"ref": "1", "currency": "DKK", "total": "-1"}}`),
	} {
		_, rejected := unconnected(t).Encode(event)
		require.Equal(t, destination.Reject("%s", want), rejected)
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*linkedin.Options){
		"base_url: must begin with https://":                   func(o *linkedin.Options) { o.BaseURL = "http://api.example.com" },
		"account_id: must be at most 20 digits":                func(o *linkedin.Options) { o.AccountID = "a" },
		"token: is required, in visible ASCII characters":      func(o *linkedin.Options) { o.Token = config.NewSecret("a b") },
		"version: must be a month such as 202608":              func(o *linkedin.Options) { o.Version = "2026" },
		"rules: are required, one for each event that is sent": func(o *linkedin.Options) { o.Rules = nil },
		"rules.search: is not the id of a conversion rule":     func(o *linkedin.Options) { o.Rules = map[string]string{"search": "x"} },
		"rules.bought: is not the name of an event":            func(o *linkedin.Options) { o.Rules = map[string]string{"bought": "1"} },
		"order_placed and order_paid must not both be a sale, or have the same name": func(o *linkedin.Options) {
			o.Rules = map[string]string{"order_placed": "1", "order_paid": "urn:lla:llaPartnerConversion:1"}
		},
	} {
		options := linkedin.Options{AccountID: account, Token: config.NewSecret(token), Rules: rules}
		change(&options)
		_, err := linkedin.New(options)
		require.ErrorContains(t, err, want)
	}
}

func TestTraits(t *testing.T) {
	t.Parallel()
	traits := unconnected(t).Traits()
	require.Equal(t, []string{"order_paid", "cart_updated", "search", "page_viewed", "custom:*", "custom:quiz"}, traits.Events)
	require.Equal(t, traits.Events, traits.CountedAgain)
	require.Equal(t, 90*24*time.Hour, traits.MaxAge)
	require.Equal(t, 5000, traits.Batch.Events)
}

// TestAnswers is what follows for a request of two events: an error for it as a whole, or one for each event.
func TestAnswers(t *testing.T) {
	t.Parallel()
	rejected, unclear := destination.Rejected, destination.Ambiguous
	const nothingSaid = "the answer does not say what became of the events"
	for name, test := range map[string]struct {
		status int
		body   string
		whole  destination.Kind
		each   []destination.Kind
		reason string // of the last error
	}{
		"OneForTwo":    {200, `{"elements":[{"status":201}]}`, unclear, nil, nothingSaid},
		"NoElements":   {200, `{}`, unclear, nil, nothingSaid},
		"Page":         {200, `<html>`, unclear, nil, nothingSaid},
		"NoStatus":     {200, `{"elements":[{"status":"201"},{}]}`, 0, []destination.Kind{unclear, unclear}, "the answer does not say what became of the event"},
		"Invalid":      {422, `{"status":422,"message":"Index: 0, ERROR :: x\n"}`, rejected, nil, "the provider rejected the event"},
		"BadRequest":   {400, `{}`, rejected, nil, "the provider rejected the event"},
		"Token":        {401, `{}`, destination.Unauthorized, nil, "the provider did not accept the credentials"},
		"NoRight":      {403, `{}`, destination.Unauthorized, nil, "the provider did not accept the credentials"},
		"OldVersion":   {426, `{}`, destination.Misconfigured, nil, "LinkedIn does not serve this version any more: set a newer version"},
		"WrongAddress": {404, `{}`, destination.Misconfigured, nil, "LinkedIn has nothing at this address: check base_url and version"},
		"Limit":        {429, `{}`, destination.Throttled, nil, "the provider asked to slow down"},
		"Broken":       {500, `{}`, unclear, nil, "the provider had an error of its own"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := func(url string) destination.Batcher { return newLinkedIn(t, url, nil) }
			destinationtest.AnswerForEach(t, at, test.status, test.body, test.whole, test.each, test.reason)
		})
	}
}

// TestEachHasItsStatus: should LinkedIn ever take a part of a request, each event ends as its own status says.
func TestEachHasItsStatus(t *testing.T) {
	t.Parallel()
	l := newLinkedIn(t, destinationtest.Answering(t, 200, `{"elements":[{"status":201},{"status":400},{"status":500}]}`), nil)
	results, failed := l.SendBatch(t.Context(), destinationtest.Items(t, l, "search", 3))
	require.Nil(t, failed)
	require.Equal(t, []destination.Result{
		{Code: 201},
		{Code: 400, Err: &destination.Error{Kind: destination.Rejected, Code: 400, Reason: "the provider rejected the event"}},
		{Code: 500, Err: &destination.Error{Kind: destination.Ambiguous, Code: 500, Reason: "the provider had an error of its own"}},
	}, results)
}

// TestRepeatsCountAgain: why Traits.CountedAgain has all events.
func TestRepeatsCountAgain(t *testing.T) {
	t.Parallel()
	l, server := setup(t, nil)
	for range 2 {
		_, failed := l.SendBatch(t.Context(), destinationtest.Items(t, l, "search", 3))
		require.Nil(t, failed)
	}
	require.Equal(t, linkedintest.Counts{Requests: 2, Events: 3, Twice: 3}, server.Counts())
}

func TestFullRequest(t *testing.T) {
	t.Parallel()
	l, server := setup(t, nil)
	items := destinationtest.Items(t, l, "search", 5000)
	results, failed := l.SendBatch(t.Context(), items)
	require.Nil(t, failed)
	require.Equal(t, destination.Taken(items, 201), results)
	require.Equal(t, linkedintest.Counts{Requests: 1, Events: 5000}, server.Counts())
}

func TestOneTooOldRefusesAll(t *testing.T) {
	t.Parallel()
	now := destinationtest.Event(t, "search").OccurredAt.Add(time.Hour)
	l, server := setup(t, func() time.Time { return now })
	fresh, old := destinationtest.Event(t, "order_paid"), destinationtest.Event(t, "page_viewed")
	old.OccurredAt = now.Add(-91 * 24 * time.Hour)
	_, failed := l.SendBatch(t.Context(), destinationtest.Encode(t, l, fresh, old))
	require.Equal(t, &destination.Error{Kind: destination.Rejected, Code: 422, Reason: "the provider rejected the event"}, failed)
	require.Zero(t, server.Counts().Events)
}

func TestProve(t *testing.T) {
	t.Parallel()
	l, server := setup(t, nil)
	proved, err := l.Prove(t.Context())
	require.NoError(t, err)
	require.Equal(t, "the token reads the conversion rules, and they take events; not proved that it may send any", proved)
	require.Equal(t, linkedintest.Counts{Requests: 6, LookUps: 6}, server.Counts())

	other := maps.Clone(known)
	other["7"], other["8"] = linkedintest.Rule{Method: "CONVERSIONS_API", Disabled: true}, linkedintest.Rule{Method: "INSIGHT_TAG"}
	url := destinationtest.Serve(t, linkedintest.New(linkedintest.Options{AccountID: account, Token: token, Rules: other, Version: linkedin.DefaultVersion}))
	for want, change := range map[string]func(*linkedin.Options){
		"the provider did not accept the credentials (HTTP 401)":                                func(o *linkedin.Options) { o.Token = config.NewSecret("other") },
		"rules.cart_updated: LinkedIn knows no such conversion rule in this account (HTTP 404)": func(o *linkedin.Options) { o.AccountID = "1" },
		"rules.order_paid: LinkedIn knows no such conversion rule in this account (HTTP 404)":   func(o *linkedin.Options) { o.Rules = map[string]string{"order_paid": "9"} },
		"rules.order_paid: the conversion rule is disabled (HTTP 200)":                          func(o *linkedin.Options) { o.Rules = map[string]string{"order_paid": "7"} },
		"rules.order_paid: the conversion rule is not one for the Conversions API (HTTP 200)":   func(o *linkedin.Options) { o.Rules = map[string]string{"order_paid": "8"} },
		"LinkedIn does not serve this version any more: set a newer version (HTTP 426)":         func(o *linkedin.Options) { o.Version = "202401" },
	} {
		_, err := newLinkedIn(t, url, change).Prove(t.Context())
		require.EqualError(t, err, want)
	}
}

// TestServerRefuses shows that the stand-in is strict: what it takes is not taken by accident.
func TestServerRefuses(t *testing.T) {
	t.Parallel()
	good := `{"conversion":"urn:lla:llaPartnerConversion:1","conversionHappenedAt":1741083330000,"conversionValue":{"currencyCode":"DKK","amount":"1.00"},` +
		`"user":{"userIds":[{"idType":"SHA256_EMAIL","idValue":"` + destination.SHA256Hex("a") + `"}]},"eventId":"1"}`
	headers := map[string]string{
		"Content-Type": "application/json", "Authorization": "Bearer " + token, "LinkedIn-Version": "202608", "X-Restli-Protocol-Version": "2.0.0", "X-RestLi-Method": "BATCH_CREATE",
	}
	status := func(body string, headers map[string]string) int {
		var list []string
		for name, value := range headers {
			list = append(list, name, value)
		}
		return destinationtest.Post(newServer(nil), path, body, list...).Code
	}
	require.Equal(t, 200, status(`{"elements":[`+good+`]}`, headers))
	for name := range headers {
		without := maps.Clone(headers)
		delete(without, name)
		require.NotEqual(t, 200, status(`{"elements":[`+good+`]}`, without), name)
	}
	require.Equal(t, 400, status(`{"elements":[]}`, headers))
	require.Equal(t, 400, status(`{"elements":[`+strings.Repeat(good+",", 5000)+good+`]}`, headers))
	for from, to := range map[string]string{
		`"eventId":"1"`: `"eventId":"1","extra":1`, `,"eventId":"1"`: ``, `1741083330000`: `1741083330`, `Conversion:1`: `Conversion:99`, `"amount":"1.00"`: `"amount":1.00`,
		`"1.00"`: `"-1.00"`, `"currencyCode":"DKK",`: ``, destination.SHA256Hex("a"): "a@example.com", `"SHA256_EMAIL"`: `"EMAIL"`, `"userIds"`: `"ids"`,
	} {
		require.Contains(t, good, from)
		require.Equal(t, 422, status(`{"elements":[`+strings.Replace(good, from, to, 1)+`]}`, headers), to)
	}
	before, _, _ := strings.Cut(good, `[{"idType`)
	require.Equal(t, 422, status(`{"elements":[`+before+`[]},"eventId":"1"}]}`, headers), "nobody")
}

func FuzzEncode(f *testing.F) {
	f.Add("order_paid", "E1", []byte(`{"customer": {"email": "jane.doe@example.com"}, "order": {"currency": "DKK", "total": "007.50"}}`))
	f.Add("custom:x", "", []byte(`{"client": {"li_fat_id": "<x>", "ip": "192.0.2.7"}, "cart": {"currency": "EUR", "total": "-1"}}`))
	l := unconnected(f)
	destinationtest.FuzzEncode(f, func(t *testing.T, _ destination.Event, item destination.Encoded) {
		server := newServer(nil)
		destinationtest.Post(server, path, `{"elements":[`+string(item.Body)+`]}`, "Content-Type", "application/json", "Authorization", "Bearer "+token,
			"LinkedIn-Version", "202608", "X-Restli-Protocol-Version", "2.0.0", "X-RestLi-Method", "BATCH_CREATE")
		require.Empty(t, server.Refusals()) // hashes only where hashes belong, among much else
	}, l)
}
