package tiktok_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"kvit/config"
	"kvit/destination"
	"kvit/destination/destinationtest"
	"kvit/destination/tiktok"
	"kvit/destination/tiktok/tiktoktest"
)

const (
	pixel = "CABC123"
	token = "EXAMPLETOKEN"
	janes = `{"customer": {"email": "Jane.Doe@Example.com", "phone": "+4512345678"},
 "client": {"ip": "198.51.100.7", "user_agent": "Mozilla/5.0", "page_url": "https://shop.example.com/receipt?a=1&b=2"},
 "order": {"currency": "DKK", "total": "749.00", "items": [{"sku": "SKU-9", "quantity": 1, "unit_price": "299.00"}]}}`
)

func options() tiktok.Options {
	return tiktok.Options{AccessToken: config.NewSecret(token), EventSourceID: pixel}
}

func at(t testing.TB, url string, options tiktok.Options) *tiktok.TikTok {
	t.Helper()
	options.BaseURL, options.HTTP.Timeout = url, cmp.Or(options.HTTP.Timeout, time.Minute) // a full request takes long on a busy machine
	to, err := tiktok.New(options)
	require.NoError(t, err)
	return to
}

// setup is a destination and the stand-in that it sends to.
func setup(t *testing.T, options tiktok.Options, now func() time.Time) (*tiktok.TikTok, *tiktoktest.Server) {
	t.Helper()
	server := tiktoktest.New(pixel, token, now)
	return at(t, destinationtest.Serve(t, server), options), server
}

// encoded is an event as TikTok gets it.
func encoded(t *testing.T, options tiktok.Options, event destination.Event) (raw string, fields map[string]any) {
	t.Helper()
	raw = destinationtest.Body(t, at(t, "", options), event)
	require.NoError(t, json.Unmarshal([]byte(raw), &fields))
	return raw, fields
}

func TestConformance(t *testing.T) {
	t.Parallel()
	destinationtest.Run(t, destinationtest.Harness{
		New: func(t *testing.T, baseURL string, client destination.ClientOptions) destination.Destination {
			options := options()
			options.HTTP = client
			return at(t, baseURL, options)
		},
		Success:     tiktoktest.New(pixel, token, nil).ServeHTTP,
		ReadsAnswer: true,
		Statuses:    map[int]destination.Kind{404: destination.Misconfigured, 405: destination.Misconfigured},
	})
}

func TestOrderPaid(t *testing.T) {
	t.Parallel()
	url, last := destinationtest.Recording(t, 200, `{"code": 0, "message": "OK"}`)
	destinationtest.Deliver(t, at(t, url, options()), destinationtest.EventWith(t, "order_paid", janes))
	require.Equal(t, token, last().Header.Get("Access-Token"))
	require.Equal(t, `{"event_source":"web","event_source_id":"CABC123","data":[{`+
		`"event":"Purchase","event_time":1741083330,"event_id":"order_paid:E100042",`+
		`"user":{"email":["86e0b9e56c17cc4d12387e1949b85053fbe73bc3ce5a1188713a9d300cc6133d"],`+
		`"phone":["7d5574e4ec1f7e9b606eadd8d76eab15510a93ca476ee1705145b32cd6ab6504"],`+
		`"ip":"198.51.100.7","user_agent":"Mozilla/5.0"},`+
		`"properties":{"currency":"DKK","value":749.00,"order_id":"E100042","content_type":"product",`+
		`"contents":[{"content_id":"SKU-9","price":299.00,"quantity":1}]},`+
		`"page":{"url":"https://shop.example.com/receipt?a=1&b=2"},"limited_data_use":false}]}`, last().Body)
}

func TestNames(t *testing.T) {
	t.Parallel()
	destinationtest.SentAs(t, at(t, "", options()), "event", map[string]string{
		"order_placed": "PlaceAnOrder", "order_paid": "Purchase", "account_created": "CompleteRegistration", "newsletter_optin": "Subscribe", "sms_optin": "SmsOptin",
		"cart_updated": "AddToCart", "checkout_started": "InitiateCheckout", "product_viewed": "ViewContent", "search": "Search",
		"page_viewed": "Pageview", "custom:CompletePayment": "custom_CompletePayment", "custom:size guide / opened": "size_guide_opened", "custom:" + strings.Repeat("x", 60): strings.Repeat("x", 50),
	})
	destinationtest.NotSent(t, at(t, "", options()), "order_shipped", "order_cancelled", "order_refunded", "account_updated", "newsletter_optout", "sms_optout")
}

func TestNamesCanBeChanged(t *testing.T) {
	t.Parallel()
	options := options()
	options.Events = map[string]string{"order_placed": "PlaceAnOrder", "order_paid": "CompletePayment", "page_viewed": "", "custom:*": "", "custom:quiz": "Quiz"}
	to := at(t, "", options)
	require.Subset(t, to.Traits().Events, []string{"order_placed", "order_paid", "custom:quiz"})
	require.NotContains(t, to.Traits().Events, "custom:*")
	destinationtest.SentAs(t, to, "event", map[string]string{"order_placed": "PlaceAnOrder", "order_paid": "CompletePayment", "custom:quiz": "Quiz"})
	destinationtest.NotSent(t, to, "page_viewed", "custom:other")
}

// TestAddressesHoldNoEmail: TikTok takes contact data hashed, and shops put it into links.
func TestAddressesHoldNoEmail(t *testing.T) {
	t.Parallel()
	_, fields := encoded(t, options(), destinationtest.EventWith(t, "page_viewed", `{"client": {"ip": "198.51.100.7",
		"page_url": "https://shop.example.com/?mail=jane%40example.com&a=1", "referrer": "https://shop.example.com/for/jane@example.com"}}`))
	require.Equal(t, map[string]any{"url": "https://shop.example.com/?a=1", "referrer": "https://shop.example.com/for/"}, fields["page"])
}

func TestOptions(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*tiktok.Options){
		"access_token: is required":                         func(o *tiktok.Options) { o.AccessToken = config.Secret{} },
		"access_token: must be visible ASCII characters":    func(o *tiktok.Options) { o.AccessToken = config.NewSecret("a\nb") },
		"event_source: must be one of web, app":             func(o *tiktok.Options) { o.EventSource = "website" },
		"event_source_id: is required":                      func(o *tiktok.Options) { o.EventSourceID = "" },
		"api_version: must be a version such as v1.3":       func(o *tiktok.Options) { o.APIVersion = "v1/3" },
		"base_url: must begin with https://":                func(o *tiktok.Options) { o.BaseURL = "http://api.example.com" },
		"events.search: must be up to 50 letters":           func(o *tiktok.Options) { o.Events = map[string]string{"search": "Look around"} },
		"events.search: * is for custom events only":        func(o *tiktok.Options) { o.Events = map[string]string{"search": "*"} },
		"events.nothing: is not the name of an event":       func(o *tiktok.Options) { o.Events = map[string]string{"nothing": "Search"} },
		"events: order_placed and order_paid must not both": func(o *tiktok.Options) { o.Events = map[string]string{"order_placed": "Purchase"} },
		"both be a sale, or have the same name": func(o *tiktok.Options) {
			o.Events = map[string]string{"order_placed": "Sale", "order_paid": "Sale"}
		},
		"must not both be a sale": func(o *tiktok.Options) { o.Events = map[string]string{"order_placed": "CompletePayment"} },
	} {
		options := options()
		change(&options)
		_, err := tiktok.New(options)
		require.ErrorContains(t, err, want)
	}
}

func TestTraits(t *testing.T) {
	t.Parallel()
	traits := at(t, "", options()).Traits()
	require.Equal(t, 7*24*time.Hour, traits.MaxAge)
	require.Equal(t, 48*time.Hour, traits.Window)
	require.Equal(t, 1000, traits.Batch.Events)
	require.Empty(t, traits.CountedAgain)
}

func TestUser(t *testing.T) {
	t.Parallel()
	hash := destination.SHA256Hex
	for name, test := range map[string]struct {
		customer, field string
		want            any
	}{
		"Email":        {`"email": "Jane.Doe@Example.com"`, "email", []any{"86e0b9e56c17cc4d12387e1949b85053fbe73bc3ce5a1188713a9d300cc6133d"}},
		"Phone":        {`"phone": "+4512345678"`, "phone", []any{"7d5574e4ec1f7e9b606eadd8d76eab15510a93ca476ee1705145b32cd6ab6504"}},
		"LongestPhone": {`"phone": "+12345678901234"`, "phone", []any{hash("+12345678901234")}},
		"LongerPhone":  {`"phone": "+123456789012345"`, "phone", nil},
		"ID":           {`"id": "CUST-1042"`, "external_id", []any{"450c8b3c472654f1cbc24258b5e8e3df91ce35ef21636bfd46d687f25b510d5e"}},
		"FirstName":    {`"first_name": " Jane "`, "first_name", "81f8f6dde88365f3928796ec7aa53f72820b06db8664f5fe76a7eb13e24546a2"},
		"LastName":     {`"last_name": "De Doe"`, "last_name", hash("dedoe")},
		"ZipCode":      {`"address": {"postal_code": "80 00"}`, "zip_code", "ad5f9478d603fe97eae2bbff07f76fe7f18610343b5f3bc8e00945ee51b30d2c"},
		"City":         {`"address": {"city": "København"}`, "city", "kbenhavn"},
		"CityGreek":    {`"address": {"city": "Αθήνα"}`, "city", nil},
		"State":        {`"address": {"region": "New York"}`, "state", "newyork"},
		"Country":      {`"address": {"country": "DK"}`, "country", "dk"},
		"Locale":       {`"language": "da-DK"`, "locale", "da-DK"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, fields := encoded(t, options(), destinationtest.EventWith(t, "account_created", `{"customer": {`+test.customer+`}, "client": {"ip": "198.51.100.7"}}`))
			require.Equal(t, test.want, fields["user"].(map[string]any)[test.field])
		})
	}
}

func TestBrowser(t *testing.T) {
	t.Parallel()
	raw, _ := encoded(t, options(), destinationtest.EventWith(t, "page_viewed",
		`{"client": {"ip": "::1", "user_agent": "<x>", "ttclid": "A", "ttp": "B", "page_url": "https://shop.example.com/", "referrer": "https://example.com/"}}`))
	require.Contains(t, raw, `"user":{"ttclid":"A","ttp":"B","ip":"::1","user_agent":"<x>"},"page":{"url":"https://shop.example.com/","referrer":"https://example.com/"}`)
}

func TestRejections(t *testing.T) {
	t.Parallel()
	const client = `"client": {"ttp": "x"}`
	for name, test := range map[string]struct{ event, payload, want string }{
		"Nobody":    {"account_created", `{"customer": {"first_name": "Jane", "address": {"city": "Aarhus"}}, "client": {"user_agent": "x"}}`, "customer.email: is required, or"},
		"Negative":  {"order_paid", `{` + client + `, "order": {"total": "-1.00", "currency": "DKK"}}`, "order.total: must not be negative"},
		"EmptyCart": {"cart_updated", `{` + client + `, "cart": {"items": []}}`, "cart.items: must have an item with a sku"},
		"NoCart":    {"cart_updated", `{` + client + `}`, "cart.items: must have an item with a sku"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, rejected := at(t, "", options()).Encode(destinationtest.EventWith(t, test.event, test.payload))
			require.NotNil(t, rejected)
			require.Equal(t, destination.Rejected, rejected.Kind)
			require.Contains(t, rejected.Reason, test.want)
		})
	}
}

func TestWhatItIsAbout(t *testing.T) {
	t.Parallel()
	const item = `"content_type":"product","contents":[{"content_id":"SKU-9","content_name":"Qmarker"%s,"price":299.00,"quantity":%s}]`
	more := `,"content_category":"Qmarker","brand":"Qmarker"`
	for name, want := range map[string]string{
		"order_paid":       `{"currency":"DKK","value":749.00,"order_id":"E100042",` + fmt.Sprintf(item, more, "2") + `}`,
		"cart_updated":     `{"currency":"DKK","value":299.00,` + fmt.Sprintf(item, "", "1") + `}`,
		"checkout_started": `{"currency":"DKK","value":299.00,` + fmt.Sprintf(item, "", "1") + `}`,
		"product_viewed":   `{"currency":"DKK","value":299.00,` + fmt.Sprintf(item, more, "1") + `}`,
		"search":           `{"query":"Qmarker"}`,
		"custom:example":   `{"currency":"DKK","value":749.00,"order_id":"E100042",` + fmt.Sprintf(item, more, "2") + `}`,
		"account_created":  "",
		"page_viewed":      "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body := destinationtest.Body(t, at(t, "", options()), destinationtest.Event(t, name))
			require.Equal(t, want, gjson.Get(body, "properties").Raw)
		})
	}
}

func TestOddItems(t *testing.T) {
	t.Parallel()
	items := destinationtest.Lines(1000, `{"sku": "S%d", "quantity": 2.50, "unit_price": "007.50"}`)
	to, server := setup(t, options(), nil)
	event := destinationtest.EventWith(t, "order_paid", `{"client": {"ip": "198.51.100.7"},
		"order": {"currency": "DKK", "total": "000", "items": [{"name": "no sku"},`+items+`]}}`)
	destinationtest.Deliver(t, to, event)
	body, ok := server.Event("Purchase", event.Key)
	require.True(t, ok)
	require.Contains(t, string(body), `"value":0,`)
	require.Contains(t, string(body), `"contents":[{"content_id":"S0","price":7.50},`)
	require.Equal(t, 1000, strings.Count(string(body), `"content_id":"S`))
}

func TestAnAmountNeedsACurrency(t *testing.T) {
	t.Parallel()
	_, fields := encoded(t, options(), destinationtest.EventWith(t, "order_paid", `{"client": {"ip": "198.51.100.7"}, "order": {"total": "1.00"}}`))
	require.Equal(t, map[string]any{"order_id": "E100042"}, fields["properties"])
}

func TestLimitedDataUse(t *testing.T) {
	t.Parallel()
	options := options()
	options.LimitedDataUse = true
	_, fields := encoded(t, options, destinationtest.Event(t, "page_viewed"))
	require.Equal(t, true, fields["limited_data_use"])
}

func TestRepeatsCountOnce(t *testing.T) {
	t.Parallel()
	now := time.Date(2025, 3, 5, 0, 0, 0, 0, time.UTC)
	to, server := setup(t, options(), func() time.Time { return now })
	for range 3 {
		destinationtest.Deliver(t, to, destinationtest.Event(t, "order_paid"))
	}
	require.Equal(t, tiktoktest.Counts{Requests: 3, Events: 1, Repeats: 2}, server.Counts())
}

// TestOneBadEventRefusesAll shows what the caller's halves are for: an event that is too old.
func TestOneBadEventRefusesAll(t *testing.T) {
	t.Parallel()
	now := time.Date(2025, 3, 11, 10, 0, 0, 0, time.UTC)
	to, server := setup(t, options(), func() time.Time { return now })
	require.EqualError(t, destinationtest.OneRefusesAll(t, to, now), "TikTok rejected the event (code 40002) (HTTP 200)")
	require.Equal(t, tiktoktest.Counts{Requests: 2, Refused: 1, Events: 1}, server.Counts())
	require.Equal(t, []string{"event_time: is too far back"}, server.Refusals())
}

func TestSendTest(t *testing.T) {
	t.Parallel()
	without, unasked := setup(t, options(), nil)
	coded := options()
	coded.TestEventCode = "TEST123"
	with, server := setup(t, coded, nil)
	destinationtest.SendTests(t, without, with, func() int { return server.Counts().Tests }, "customer.email")
	require.Zero(t, unasked.Counts().Requests)
}

func TestWrongToken(t *testing.T) {
	t.Parallel()
	options := options()
	options.AccessToken = config.NewSecret("other")
	to, _ := setup(t, options, nil)
	require.Equal(t, destination.Unauthorized, destinationtest.Fail(t, to, destinationtest.Event(t, "order_paid")).Kind)
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status int
		body   string
		want   destination.Kind
		reason string
	}{
		"Taken":          {200, `{"code": 0, "message": "OK", "request_id": "1"}`, 0, ""},
		"Invalid":        {200, `{"code": 40002, "message": "Qmarker"}`, destination.Rejected, "(code 40002)"},
		"OtherInvalid":   {200, `{"code": 40000}`, destination.Rejected, "(code 40000)"},
		"Partly":         {200, `{"code": 20001}`, destination.Rejected, "did not take every event"},
		"NoSuchSource":   {200, `{"code": 40007}`, destination.Misconfigured, "event source"},
		"NotPermitted":   {200, `{"code": 40001}`, destination.Unauthorized, ""},
		"Rate":           {200, `{"code": 40100}`, destination.Throttled, "(code 40100)"},
		"Token":          {200, `{"code": 40105}`, destination.Unauthorized, "(code 40105)"},
		"TokenAs400":     {400, `{"code": 40105}`, destination.Unauthorized, ""},
		"TokenNeighbour": {200, `{"code": 40199}`, destination.Unauthorized, ""},
		"Internal":       {200, `{"code": 50000}`, destination.Ambiguous, "(code 50000)"},
		"InternalLast":   {200, `{"code": 59999}`, destination.Ambiguous, ""},
		"Unknown":        {200, `{"code": 60001}`, destination.Ambiguous, "does not know (code 60001)"},
		"UnknownAs400":   {400, `{"code": 60001}`, destination.Rejected, ""},
		"Negative":       {200, `{"code": -1}`, destination.Ambiguous, "(code -1)"},
		"Huge":           {200, `{"code": 9007199254740993}`, destination.Ambiguous, ""},
		"Fraction":       {200, `{"code": 0.5}`, destination.Ambiguous, "not TikTok's"},
		"Text":           {200, `{"code": "0"}`, destination.Ambiguous, "not TikTok's"},
		"NoCode":         {200, `{"message": "OK"}`, destination.Ambiguous, "not TikTok's"},
		"NotTikTok":      {200, "<html>", destination.Ambiguous, "not TikTok's"},
		"Empty":          {204, "", destination.Ambiguous, "not TikTok's"},
		"TakenAs400":     {400, `{"code": 0}`, destination.Rejected, ""},
		"Redirect":       {302, "", destination.Misconfigured, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := func(url string) destination.Batcher { return at(t, url, options()) }
			destinationtest.AnswerForAll(t, at, test.status, test.body, test.want, test.reason)
		})
	}
}

// TestTheCheckCanTest sends the event of kvit check --send-test, whichever name it takes.
func TestTheCheckCanTest(t *testing.T) {
	t.Parallel()
	options := options()
	options.TestEventCode = "TEST123"
	to, server := setup(t, options, time.Now)
	require.Equal(t, destinationtest.SendEveryTest(t, to), server.Counts().Tests)
}

func TestAFullRequest(t *testing.T) {
	t.Parallel()
	to, server := setup(t, options(), nil)
	destinationtest.FullRequest(t, to, "page_viewed")
	require.Equal(t, tiktoktest.Counts{Requests: 1, Events: 1000}, server.Counts())
}
