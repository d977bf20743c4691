package reddit_test

import (
	"cmp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"kvit/config"
	"kvit/destination"
	"kvit/destination/destinationtest"
	"kvit/destination/reddit"
	"kvit/destination/reddit/reddittest"
)

const (
	pixel = "a2_example"
	token = "exampletoken"
	path  = "/api/v3/pixels/" + pixel + "/conversion_events"
)

func newReddit(t testing.TB, baseURL string, change func(*reddit.Options)) *reddit.Reddit {
	t.Helper()
	options := reddit.Options{PixelID: pixel, Token: config.NewSecret(token), BaseURL: baseURL + "/api/v3"}
	if change != nil {
		change(&options)
	}
	options.HTTP.Timeout = cmp.Or(options.HTTP.Timeout, time.Minute) // a full request takes long on a busy machine
	r, err := reddit.New(options)
	require.NoError(t, err)
	return r
}

// setup is a destination and the pixel that it sends to.
func setup(t *testing.T, now func() time.Time, change func(*reddit.Options)) (*reddit.Reddit, *reddittest.Server) {
	t.Helper()
	server := reddittest.New(pixel, token, now)
	return newReddit(t, destinationtest.Serve(t, server), change), server
}

// unconnected is a destination of which only the encoder is used.
func unconnected(t testing.TB) *reddit.Reddit { return newReddit(t, "https://api.example.com", nil) }

func TestConformance(t *testing.T) {
	t.Parallel()
	server := reddittest.New(pixel, token, nil)
	destinationtest.Run(t, destinationtest.Harness{
		New: func(t *testing.T, baseURL string, options destination.ClientOptions) destination.Destination {
			return newReddit(t, baseURL, func(o *reddit.Options) { o.HTTP = options })
		},
		Success:     server.ServeHTTP,
		ReadsAnswer: true,
		Statuses:    map[int]destination.Kind{404: destination.Misconfigured, 405: destination.Misconfigured},
	})
}

func TestOrderPaid(t *testing.T) {
	t.Parallel()
	payload := `{"customer": {"id": "cust-1042", "email": "Al.ice+Apple@Example.Com", "phone": "+15554441234", "first_name": "Alice"},
	 "client": {"ip": "192.0.2.7", "user_agent": "Example/1.0", "page_url": "https://shop.example.com/thanks#top", "rdt_cid": "3184742045291813272", "rdt_uuid": "1677712978045.b8f7eb7d-b357-437b-8bd3-e1c8166c7132"},
	 "order": {"ref": "other", "currency": "DKK", "total": "0749.00", "items": [
	  {"sku": "SKU-9", "name": "Coat", "brand": "North", "category": "Coats", "quantity": 2, "unit_price": "299.00"},
	  {"sku": "SKU-10", "quantity": 1.00, "unit_price": "151.00"}, {"name": "wrapping", "quantity": 1}]}}`
	url, last := destinationtest.Recording(t, 200, `{"data":{"message":"Successfully processed 1 conversion events."}}`)
	destinationtest.Deliver(t, newReddit(t, url, nil), destinationtest.EventWith(t, "order_paid", payload))
	require.Equal(t, "Bearer "+token, last().Header.Get("Authorization"))
	require.Equal(t, "kvit", last().Header.Get("User-Agent")) // Reddit slows down default ones
	require.Equal(t, `{"data":{"events":[{"event_at":1741083330000,"action_source":"WEBSITE","event_source_url":"https://shop.example.com/thanks",`+
		`"type":{"tracking_type":"PURCHASE"},"click_id":"3184742045291813272","user":{`+
		// Address and number are examples of Reddit's, with its own hashes.
		`"email":"ff8d9819fc0e12bf0d24892e45987e249a28dce836a85cad60e28eaaa8c6d976","phone_number":"e5b124c58580eb16bd959b8d0cac12b12c952e2ceae0203d416cff94f10b994a",`+
		`"external_id":"`+destination.SHA256Hex("cust-1042")+`","ip_address":"`+destination.SHA256Hex("192.0.2.7")+`","user_agent":"Example/1.0",`+
		`"uuid":"1677712978045.b8f7eb7d-b357-437b-8bd3-e1c8166c7132"},`+
		`"metadata":{"conversion_id":"order_paid:E100042","currency":"DKK","value":749.00,"item_count":4,"products":[`+
		`{"id":"SKU-9","name":"Coat","category":"Coats","quantity":2,"item_price":299.00},{"id":"SKU-10","quantity":1,"item_price":151.00}]}}]}}`, last().Body)
}

func TestNames(t *testing.T) {
	t.Parallel()
	r := newReddit(t, "https://api.example.com", func(o *reddit.Options) { o.Events = map[string]string{"checkout_started": "Checkout"} })
	destinationtest.SentAs(t, r, "type.tracking_type", map[string]string{
		"order_paid": "PURCHASE", "account_created": "SIGN_UP", "newsletter_optin": "LEAD", "cart_updated": "ADD_TO_CART", "product_viewed": "VIEW_CONTENT",
		"wishlist_item_added": "ADD_TO_WISHLIST", "search": "SEARCH", "page_viewed": "PAGE_VISIT", "custom:PURCHASE": "CUSTOM", "checkout_started": "CUSTOM",
	})
	destinationtest.SentAs(t, r, "type.custom_event_name", map[string]string{
		"order_paid": "", "custom:PURCHASE": "PURCHASE", "custom:" + strings.Repeat("ø", 70): strings.Repeat("ø", 64), "checkout_started": "Checkout",
	})
	destinationtest.NotSent(t, unconnected(t), "order_placed", "order_shipped", "order_cancelled", "order_refunded", "checkout_started", "sms_optin")
}

func TestWhatEventsAreAbout(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ event, payload, want string }{
		"Product":   {"product_viewed", `"product": {"currency": "EUR", "sku": "S", "name": "Coat", "unit_price": "3.50"}`, `,"products":[{"id":"S","name":"Coat","quantity":1,"item_price":3.50}]`},
		"Wish":      {"wishlist_item_added", `"product": {"currency": "EUR", "sku": "S", "unit_price": "3.50"}`, `,"item_count":1,"products":[{"id":"S","quantity":1,"item_price":3.50}]`},
		"Search":    {"search", `"search": {"term": "coat"}`, ``},
		"Cart":      {"cart_updated", `"cart": {"currency": "EUR", "total": "7", "items": [{"sku": "S", "quantity": 0.5, "unit_price": "-1.00"}]}`, `,"currency":"EUR","value":7,"products":[{"id":"S"}]`},
		"NoAmounts": {"cart_updated", `"cart": {"total": "7", "items": [{"sku": "S", "quantity": 2, "unit_price": "1"}]}`, `,"item_count":2,"products":[{"id":"S","quantity":2}]`},
		"Custom":    {"custom:quiz", `"cart": {"currency": "EUR", "total": "7"}`, `,"currency":"EUR","value":7`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			event := destinationtest.EventWith(t, test.event, `{"customer": {"email": "a@example.com"}, `+test.payload+`}`)
			require.Equal(t, `{"conversion_id":"`+event.Key+`"`+test.want+`}`, gjson.Get(destinationtest.Body(t, unconnected(t), event), "metadata").Raw)
		})
	}
}

func TestMatchKeys(t *testing.T) {
	t.Parallel()
	for payload, want := range map[string]string{
		`{"client": {"rdt_cid": "1"}}`:                              ``,
		`{"client": {"rdt_uuid": "1.a"}}`:                           `{"uuid":"1.a"}`,
		`{"client": {"ip": "192.0.2.7"}}`:                           `{"ip_address":"` + destination.SHA256Hex("192.0.2.7") + `"}`,
		`{"customer": {"email": "_+x@example.com", "id": "7"}}`:     `{"external_id":"` + destination.SHA256Hex("7") + `"}`,
		`{"client": {"rdt_cid": "1", "user_agent": "Example/1.0"}}`: `{"user_agent":"Example/1.0"}`,
	} {
		require.Equal(t, want, gjson.Get(destinationtest.Body(t, unconnected(t), destinationtest.EventWith(t, "search", payload)), "user").Raw, payload)
	}
}

func TestRejected(t *testing.T) {
	t.Parallel()
	const person = `"customer": {"email": "a@example.com"}`
	for want, event := range map[string]destination.Event{
		"customer.email: is required, or customer.phone, customer.id, client.rdt_cid, client.rdt_uuid or client.ip": destinationtest.EventWith(t, "search", `{"client": {"user_agent": "x"}}`),
		"order.total: is required with order.currency":                                                              destinationtest.EventWith(t, "order_paid", `{`+person+`, "order": {"ref": "1", "total": "1"}}`),
		"order.total: must not be negative":                                                                         destinationtest.EventWith(t, "order_paid", `{`+person+`, "order": {"ref": "1", "currency": "DKK", "total": "-1"}}`),
		"cart.items: is empty, and nothing was added to the cart":                                                   destinationtest.EventWith(t, "cart_updated", `{`+person+`, "cart": {"items": []}}`),
	} {
		_, rejected := unconnected(t).Encode(event)
		require.Equal(t, destination.Reject("%s", want), rejected)
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*reddit.Options){
		"base_url: must begin with https://":                                    func(o *reddit.Options) { o.BaseURL = "http://api.example.com" },
		"pixel_id: must be letters, digits, _ and -, at most 64":                func(o *reddit.Options) { o.PixelID = "a/b" },
		"token: is required, in visible ASCII characters":                       func(o *reddit.Options) { o.Token = config.NewSecret("a b") },
		"events.search: must be at most 64 characters":                          func(o *reddit.Options) { o.Events = map[string]string{"search": strings.Repeat("x", 65)} },
		"events.order_paid: must be PURCHASE, or the name of a custom event":    func(o *reddit.Options) { o.Events = map[string]string{"order_paid": "Purchase"} },
		"events.page_viewed: must be PAGE_VISIT, or the name of a custom event": func(o *reddit.Options) { o.Events = map[string]string{"page_viewed": "PageVisit"} },
		"events.search: must be CUSTOM, or the name of a custom event":          func(o *reddit.Options) { o.Events = map[string]string{"search": "CUSTOM"} },
		"events: order_placed and order_paid must not both be a sale":           func(o *reddit.Options) { o.Events = map[string]string{"order_placed": "PURCHASE"} },
	} {
		options := reddit.Options{PixelID: pixel, Token: config.NewSecret(token)}
		change(&options)
		_, err := reddit.New(options)
		require.ErrorContains(t, err, want)
	}
}

func TestTraits(t *testing.T) {
	t.Parallel()
	traits := unconnected(t).Traits()
	require.Equal(t, 7*24*time.Hour, traits.MaxAge)
	require.Equal(t, 48*time.Hour, traits.Window)
	require.Empty(t, traits.CountedAgain)
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status int
		body   string
		want   destination.Kind
		reason string
	}{
		"Processed":    {200, `{"data":{"message":"Successfully processed 3 conversion events."}}`, 0, ""},
		"OtherWords":   {200, `{"data":{"message":"Done."}}`, 0, ""},
		"Fewer":        {200, `{"data":{"message":"Successfully processed 2 conversion events."}}`, destination.Rejected, "Reddit processed fewer events than were sent"},
		"NoMessage":    {200, `{"data":{}}`, destination.Ambiguous, "the answer broke off, or is not Reddit's"},
		"Page":         {200, `<html>`, destination.Ambiguous, "the answer broke off, or is not Reddit's"},
		"Invalid":      {400, `{"error":{"code":400,"message":"There were 1 invalid conversion events. None were processed."}}`, destination.Rejected, "the provider rejected the event"},
		"Token":        {401, `{}`, destination.Unauthorized, "the provider did not accept the credentials"},
		"Pixel":        {403, `{}`, destination.Unauthorized, "the provider did not accept the credentials"},
		"Limit":        {429, ``, destination.Throttled, "the provider asked to slow down"},
		"WrongAddress": {404, ``, destination.Misconfigured, "Reddit has nothing at this address: check pixel_id and base_url"},
		"Unavailable":  {500, ``, destination.Ambiguous, "the provider had an error of its own"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			destinationtest.AnswerForAll(t, func(url string) destination.Batcher { return newReddit(t, url, nil) }, test.status, test.body, test.want, test.reason)
		})
	}
}

func TestRepeatsAreCountedOnce(t *testing.T) {
	t.Parallel()
	now := destinationtest.Event(t, "search").OccurredAt
	r, server := setup(t, func() time.Time { return now }, nil)
	for _, want := range []reddittest.Counts{
		{Requests: 1, Events: 3},
		{Requests: 2, Events: 3, Repeats: 3},
	} {
		_, failed := r.SendBatch(t.Context(), destinationtest.Items(t, r, "search", 3))
		require.Nil(t, failed)
		require.Equal(t, want, server.Counts())
	}
	now = now.Add(49 * time.Hour) // why Traits.Window is what it is
	_, failed := r.SendBatch(t.Context(), destinationtest.Items(t, r, "search", 3))
	require.Nil(t, failed)
	require.Equal(t, reddittest.Counts{Requests: 3, Events: 6, Repeats: 3}, server.Counts())
}

func TestFullRequest(t *testing.T) {
	t.Parallel()
	r, server := setup(t, nil, nil)
	destinationtest.FullRequest(t, r, "search")
	require.Equal(t, reddittest.Counts{Requests: 1, Events: 1000}, server.Counts())
}

func TestOneTooOldRefusesAll(t *testing.T) {
	t.Parallel()
	now := destinationtest.Event(t, "search").OccurredAt.Add(time.Hour)
	r, server := setup(t, func() time.Time { return now }, nil)
	failed := destinationtest.OneRefusesAll(t, r, now)
	require.Equal(t, &destination.Error{Kind: destination.Rejected, Code: 400, Reason: "the provider rejected the event"}, failed)
	require.Equal(t, 1, server.Counts().Events)
}

// TestTheLargestEventFits takes the text that grows most in JSON.
func TestTheLargestEventFits(t *testing.T) {
	t.Parallel()
	r := unconnected(t)
	raw := `{"customer": {"email": "a@example.com"}, "product": {"sku": "1", "name": "` + strings.Repeat("\xff", 255<<10) + `"}}`
	require.Less(t, len(destinationtest.Body(t, r, destinationtest.EventWith(t, "product_viewed", raw)))+1, r.Traits().Batch.Bytes)
}

func TestSendTest(t *testing.T) {
	t.Parallel()
	without, _ := setup(t, nil, nil)
	_, err := without.SendTest(t.Context(), destinationtest.Event(t, "order_paid"))
	require.EqualError(t, err, "test_id: is required for a test, and shown in Events Manager under Event Testing")

	with, server := setup(t, nil, func(o *reddit.Options) { o.TestID = "t2_example" })
	destinationtest.Deliver(t, with, destinationtest.Event(t, "order_paid"))
	require.Equal(t, reddittest.Counts{Requests: 1, Events: 1}, server.Counts(), "only a test is marked as one")
	n := destinationtest.SendEveryTest(t, with)
	require.Equal(t, reddittest.Counts{Requests: 1 + n, Events: 1, Tests: n}, server.Counts())
}

func TestServerKnowsThePixel(t *testing.T) {
	t.Parallel()
	_, server := setup(t, nil, nil)
	url := destinationtest.Serve(t, server)
	for want, change := range map[int]func(*reddit.Options){
		401: func(o *reddit.Options) { o.Token = config.NewSecret("other") },
		403: func(o *reddit.Options) { o.PixelID = "other" },
	} {
		failed := destinationtest.Fail(t, newReddit(t, url, change), destinationtest.Event(t, "search"))
		require.Equal(t, destination.Unauthorized, failed.Kind)
		require.Equal(t, want, failed.Code)
	}
}

// TestServerRefuses shows that the stand-in is strict: what it takes is not taken by accident.
func TestServerRefuses(t *testing.T) {
	t.Parallel()
	good := `{"event_at":1741083330000,"action_source":"WEBSITE","event_source_url":"https://shop.example.com/","type":{"tracking_type":"PURCHASE"},"user":{"email":"` +
		destination.SHA256Hex("a") + `"},"metadata":{"conversion_id":"1","currency":"DKK","value":1.00,"item_count":1,"products":[{"id":"a","quantity":1,"item_price":1}]}}`
	server := reddittest.New(pixel, token, nil)
	status := func(body, media string) int {
		return destinationtest.Post(server, path, body, "Content-Type", media, "Authorization", "Bearer "+token, "User-Agent", "kvit").Code
	}
	require.Equal(t, 200, status(`{"data":{"events":[`+good+`]}}`, "application/json"))
	require.Equal(t, 400, status(`{"data":{"events":[`+good+`]}}`, "text/plain"))
	require.Equal(t, 400, status(`{"events":[`+good+`]}`, "application/json"))
	require.Equal(t, 400, status(`{"data":{"events":[]}}`, "application/json"))
	require.Equal(t, 400, status(`{"data":{"events":[`+strings.Repeat(good+",", 1000)+good+`]}}`, "application/json"))
	for from, to := range map[string]string{
		`"conversion_id":"1"`: `"conversion_id":"1","extra":1`, `"conversion_id":"1",`: ``, `1741083330000`: `1741083330`, `"WEBSITE"`: `"website"`, `"PURCHASE"`: `"Purchase"`,
		`"value":1.00,`: ``, `"currency":"DKK",`: ``, `"value":1.00`: `"value":"1.00"`, `"quantity":1`: `"quantity":1.5`, `"item_price":1`: `"item_price":-1`,
		destination.SHA256Hex("a"): "a@example.com", `"email"`: `"user_agent"`, `shop.example.com/`: `shop.example.com/?m=a%40example.com`,
		`"tracking_type":"PURCHASE"`: `"tracking_type":"SEARCH"`, `"id":"a",`: ``, `"PURCHASE"}`: `"CUSTOM"}`, `"item_count":1`: `"item_count":0`,
	} {
		require.Contains(t, good, from)
		require.Equal(t, 400, status(`{"data":{"events":[`+strings.Replace(good, from, to, 1)+`]}}`, "application/json"), to)
	}
}

func FuzzEncode(f *testing.F) {
	f.Add("order_paid", "E1", []byte(`{"customer": {"email": "jane.doe@example.com", "phone": "+4512345678"}, "order": {"currency": "DKK", "total": "007.50", "items": [{"sku": "\u0000", "quantity": 1.50, "unit_price": "00"}]}}`))
	f.Add("custom:<x>&", "", []byte(`{"client": {"rdt_cid": "<x>", "page_url": "https://a.example.com/\u0000"}, "cart": {"items": [{}]}}`))
	r := unconnected(f)
	destinationtest.FuzzEncode(f, func(t *testing.T, _ destination.Event, item destination.Encoded) {
		server := reddittest.New(pixel, token, nil)
		destinationtest.Post(server, path, `{"data":{"events":[`+string(item.Body)+`]}}`, "Content-Type", "application/json", "Authorization", "Bearer "+token, "User-Agent", "kvit")
		require.Empty(t, server.Refusals()) // hashes only where hashes belong, among much else
	}, r)
}
