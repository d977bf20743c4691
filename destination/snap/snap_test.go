package snap_test

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
	"kvit/destination/snap"
	"kvit/destination/snap/snaptest"
)

const (
	pixel = "1ec32188-754e-4be2-8e55-c949a984a39f"
	token = "example+token/="
	page  = `"client": {"page_url": "https://shop.example.com/"}`
)

func newSnap(t testing.TB, baseURL string, change func(*snap.Options)) *snap.Snap {
	t.Helper()
	options := snap.Options{PixelID: pixel, AccessToken: config.NewSecret(token), BaseURL: baseURL + "/v3"}
	if change != nil {
		change(&options)
	}
	options.HTTP.Timeout = cmp.Or(options.HTTP.Timeout, time.Minute) // a full request takes long on a busy machine
	s, err := snap.New(options)
	require.NoError(t, err)
	return s
}

// setup is a destination and the pixel that it sends to.
func setup(t *testing.T, now func() time.Time) (*snap.Snap, *snaptest.Server) {
	t.Helper()
	server := snaptest.New(pixel, token, now)
	return newSnap(t, destinationtest.Serve(t, server), nil), server
}

// unconnected is a destination of which only the encoder is used.
func unconnected(t testing.TB) *snap.Snap { return newSnap(t, "https://api.example.com", nil) }

func TestConformance(t *testing.T) {
	t.Parallel()
	server := snaptest.New(pixel, token, nil)
	destinationtest.Run(t, destinationtest.Harness{
		New: func(t *testing.T, baseURL string, options destination.ClientOptions) destination.Destination {
			return newSnap(t, baseURL, func(o *snap.Options) { o.HTTP = options })
		},
		Success:     server.ServeHTTP,
		ReadsAnswer: true,
		Statuses:    map[int]destination.Kind{404: destination.Misconfigured, 405: destination.Misconfigured},
	})
}

func TestOrderPaid(t *testing.T) {
	t.Parallel()
	payload := `{"customer": {"id": "cust-1042", "email": "Jane.Doe@Example.com", "phone": "+448444124653", "first_name": "Raphaël", "last_name": "O'Neill",
	  "gender": "female", "address": {"postal_code": "8000", "city": "Aarhus C", "region": "CA", "country": "DK"}},
	 "client": {"ip": "2001:db8::1", "user_agent": "Example/1.0", "page_url": "https://shop.example.com/thanks#top", "sc_click_id": "7b3a7917", "sc_cookie1": "5e2f"},
	 "order": {"ref": "other", "currency": "DKK", "total": "0749.00", "items": [
	  {"sku": "SKU-9", "name": "Coat", "brand": "North", "category": "Coats", "quantity": 2, "unit_price": "299.00"},
	  {"sku": "SKU-10", "quantity": 1.00, "unit_price": "151.00"}, {"name": "wrapping", "quantity": 1}]}}`
	url, last := destinationtest.Recording(t, 200, `{"status":"VALID","reason":"Events have been processed successfully."}`)
	destinationtest.Deliver(t, newSnap(t, url, nil), destinationtest.EventWith(t, "order_paid", payload))
	hash := func(text string) string { return `["` + destination.SHA256Hex(text) + `"]` }
	require.Equal(t, `{"data":[{"event_name":"PURCHASE","event_time":1741083330,"event_id":"order_paid:E100042","action_source":"WEB",`+
		`"event_source_url":"https://shop.example.com/thanks","user_data":{"em":`+hash("jane.doe@example.com")+
		// Phone and first name are examples of Snap's page, with its own hashes.
		`,"ph":["dc008fda46e2e64002cf2f82a4906236282d431c4f75e5b60bfe79fc48546383"],"fn":["e74bb89e718fe1e19c422a48382870399f8bf7ca8dfa008739e75b0be76627b7"]`+
		`,"ln":`+hash("oneill")+`,"ge":`+hash("f")+`,"ct":`+hash("aarhusc")+`,"st":`+hash("ca")+`,"zp":`+hash("8000")+`,"country":`+hash("dk")+
		`,"external_id":"`+destination.SHA256Hex("cust-1042")+`","client_ip_address":"2001:db8::1","client_user_agent":"Example/1.0","sc_click_id":"7b3a7917","sc_cookie1":"5e2f"},`+
		`"custom_data":{"currency":"DKK","value":749.00,"order_id":"E100042","content_ids":["SKU-9","SKU-10"],"contents":[`+
		`{"id":"SKU-9","quantity":"2","item_price":"299.00","brand":"North"},{"id":"SKU-10","quantity":"1","item_price":"151.00"}],"num_items":4}}]}`, last().Body)
}

// TestTokenIsInTheAddress: with what has a meaning there escaped.
func TestTokenIsInTheAddress(t *testing.T) {
	t.Parallel()
	s, server := setup(t, nil)
	destinationtest.Deliver(t, s, destinationtest.Event(t, "search"))
	require.Empty(t, server.Refusals())
}

func TestNames(t *testing.T) {
	t.Parallel()
	destinationtest.SentAs(t, unconnected(t), "event_name", map[string]string{
		"order_paid": "PURCHASE", "account_created": "SIGN_UP", "newsletter_optin": "SUBSCRIBE", "cart_updated": "ADD_CART", "checkout_started": "START_CHECKOUT",
		"payment_info_given": "ADD_BILLING", "product_viewed": "VIEW_CONTENT", "wishlist_item_added": "ADD_TO_WISHLIST", "list_viewed": "LIST_VIEW",
		"search": "SEARCH", "page_viewed": "PAGE_VIEW", "logged_in": "LOGIN", "custom:x": "CUSTOM_EVENT_1",
	})
	destinationtest.NotSent(t, unconnected(t), "order_placed", "order_shipped", "order_cancelled", "order_refunded", "sms_optin", "newsletter_optout")
}

func TestWhatEventsAreAbout(t *testing.T) {
	t.Parallel()
	const person = `"customer": {"email": "a@example.com"}, ` + page
	for name, test := range map[string]struct{ event, payload, want string }{
		"Product":   {"product_viewed", `"product": {"currency": "EUR", "sku": "S", "name": "Coat", "category": "Coats", "unit_price": "3.50"}`, `{"currency":"EUR","content_ids":["S"],"contents":[{"id":"S","quantity":"1","item_price":"3.50"}],"num_items":1,"content_name":"Coat","content_category":"Coats"}`},
		"Search":    {"search", `"search": {"term": "coat"}`, `{"search_string":"coat"}`},
		"List":      {"list_viewed", `"list": {"name": "Coats", "items": [{"sku": "S", "unit_price": "1"}]}`, `{"content_ids":["S"],"contents":[{"id":"S"}],"content_name":"Coats"}`},
		"Cart":      {"cart_updated", `"cart": {"currency": "EUR", "total": "7", "items": [{"sku": "S", "quantity": 0.5, "unit_price": "-1.00"}]}`, `{"currency":"EUR","value":7,"content_ids":["S"],"contents":[{"id":"S"}]}`},
		"NoAmounts": {"cart_updated", `"cart": {"total": "7", "items": [{"sku": "S", "quantity": 2, "unit_price": "1"}]}`, `{"content_ids":["S"],"contents":[{"id":"S","quantity":"2"}],"num_items":2}`},
		"Nothing":   {"page_viewed", `"search": {"term": "coat"}`, ``},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body := destinationtest.Body(t, unconnected(t), destinationtest.EventWith(t, test.event, `{`+person+`, `+test.payload+`}`))
			require.Equal(t, test.want, gjson.Get(body, "custom_data").Raw)
		})
	}
}

func TestRejected(t *testing.T) {
	t.Parallel()
	const person = `"customer": {"email": "a@example.com"}, ` + page
	for want, event := range map[string]destination.Event{
		"customer.email: is required, or customer.phone, or client.ip with client.user_agent":  destinationtest.EventWith(t, "search", `{"customer": {"id": "7"}, `+page+`}`),
		"order.total: is required with order.currency":                                         destinationtest.EventWith(t, "order_paid", `{`+person+`, "order": {"ref": "1", "total": "1"}}`),
		"order.total: must not be negative":                                                    destinationtest.EventWith(t, "order_paid", `{`+person+`, "order": {"ref": "1", "currency": "DKK", "total": "-1"}}`),
		"cart.items: is empty, and nothing was added to the cart":                              destinationtest.EventWith(t, "cart_updated", `{`+person+`, "cart": {"items": []}}`),
		"client.page_url: is required as an address on the web, unless page_url is configured": destinationtest.EventWith(t, "search", `{"customer": {"email": "a@example.com"}, "client": {"page_url": "/cart"}}`),
	} {
		_, rejected := unconnected(t).Encode(event)
		require.Equal(t, destination.Reject("%s", want), rejected)
	}
}

// TestPageOfTheConfiguration stands in where the shop knows no page, as in an order of a call centre.
func TestPageOfTheConfiguration(t *testing.T) {
	t.Parallel()
	s := newSnap(t, "https://api.example.com", func(o *snap.Options) { o.PageURL = "https://shop.example.com/" })
	for payload, want := range map[string]string{
		`{"customer": {"email": "a@example.com"}}`: "https://shop.example.com/",
		`{"customer": {"email": "a@example.com"}, "client": {"page_url": "https://b.example.com/x?m=a%40example.com&n=1"}}`: "https://b.example.com/x?n=1",
		`{"customer": {"email": "a@example.com"}, "client": {"page_url": "javascript:alert(1)"}}`:                           "https://shop.example.com/",
		`{"client": {"ip": "192.0.2.7", "user_agent": "x"}}`:                                                                "https://shop.example.com/",
	} {
		require.Equal(t, want, gjson.Get(destinationtest.Body(t, s, destinationtest.EventWith(t, "search", payload)), "event_source_url").Str, payload)
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*snap.Options){
		"base_url: must begin with https://":                           func(o *snap.Options) { o.BaseURL = "http://api.example.com" },
		"pixel_id: must be letters, digits and -, at most 64":          func(o *snap.Options) { o.PixelID = "a/b" },
		"access_token: is required, in visible ASCII characters":       func(o *snap.Options) { o.AccessToken = config.NewSecret("a b") },
		"page_url: must begin with https:// or http://":                func(o *snap.Options) { o.PageURL = "shop.example.com" },
		"events.search: is not a name that Snap knows":                 func(o *snap.Options) { o.Events = map[string]string{"search": "Search"} },
		"events: a custom event's own name is not one that Snap knows": func(o *snap.Options) { o.Events = map[string]string{"custom:*": destination.OwnName} },
		"events: order_placed and order_paid must not both be a sale":  func(o *snap.Options) { o.Events = map[string]string{"order_placed": "PURCHASE"} },
	} {
		options := snap.Options{PixelID: pixel, AccessToken: config.NewSecret(token)}
		change(&options)
		_, err := snap.New(options)
		require.ErrorContains(t, err, want)
	}
}

func TestTraits(t *testing.T) {
	t.Parallel()
	traits := unconnected(t).Traits()
	require.Equal(t, 37*24*time.Hour, traits.MaxAge)
	require.Equal(t, 48*time.Hour, traits.Window)
	require.Equal(t, 2000, traits.Batch.Events)
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
		"Valid":        {200, `{"status":"VALID","reason":"x"}`, 0, ""},
		"InvalidIn200": {200, `{"status":"INVALID","event":1,"errors":{"codes":["x"],"error_msgs":["x"]}}`, destination.Rejected, "Snap rejected the event"},
		"Other":        {200, `{"status":"QUEUED"}`, destination.Ambiguous, "the answer does not say what became of the events"},
		"Page":         {200, `<html>`, destination.Ambiguous, "the answer broke off, or is not Snap's"},
		"Invalid":      {400, `{"status":"INVALID"}`, destination.Rejected, "the provider rejected the event"},
		"Token":        {401, `{}`, destination.Unauthorized, "the provider did not accept the credentials"},
		"Limit":        {429, ``, destination.Throttled, "the provider asked to slow down"},
		"WrongAddress": {404, ``, destination.Misconfigured, "Snap has nothing at this address: check pixel_id and base_url"},
		"Broken":       {500, `{"status":"VALID"}`, destination.Ambiguous, "the provider had an error of its own"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			destinationtest.AnswerForAll(t, func(url string) destination.Batcher { return newSnap(t, url, nil) }, test.status, test.body, test.want, test.reason)
		})
	}
}

func TestRepeatsAreCountedOnce(t *testing.T) {
	t.Parallel()
	now := destinationtest.Event(t, "search").OccurredAt
	s, server := setup(t, func() time.Time { return now })
	for _, want := range []snaptest.Counts{
		{Requests: 1, Events: 3},
		{Requests: 2, Events: 3, Repeats: 3},
	} {
		_, failed := s.SendBatch(t.Context(), destinationtest.Items(t, s, "search", 3))
		require.Nil(t, failed)
		require.Equal(t, want, server.Counts())
	}
	now = now.Add(49 * time.Hour) // why Traits.Window is what it is
	_, failed := s.SendBatch(t.Context(), destinationtest.Items(t, s, "search", 3))
	require.Nil(t, failed)
	require.Equal(t, snaptest.Counts{Requests: 3, Events: 6, Repeats: 3}, server.Counts())
}

func TestFullRequest(t *testing.T) {
	t.Parallel()
	s, server := setup(t, nil)
	items := destinationtest.Items(t, s, "search", 2000)
	results, failed := s.SendBatch(t.Context(), items)
	require.Nil(t, failed)
	require.Equal(t, destination.Taken(items, 200), results)
	require.Equal(t, snaptest.Counts{Requests: 1, Events: 2000}, server.Counts())
}

func TestOneTooOldRefusesAll(t *testing.T) {
	t.Parallel()
	now := destinationtest.Event(t, "search").OccurredAt.Add(time.Hour)
	s, server := setup(t, func() time.Time { return now })
	fresh, old := destinationtest.Event(t, "order_paid"), destinationtest.Event(t, "page_viewed")
	old.OccurredAt = now.Add(-38 * 24 * time.Hour)
	_, failed := s.SendBatch(t.Context(), destinationtest.Encode(t, s, fresh, old))
	require.Equal(t, &destination.Error{Kind: destination.Rejected, Code: 400, Reason: "the provider rejected the event"}, failed)
	require.Zero(t, server.Counts().Events)
}

// TestTheLargestEventFits takes the text that grows most in JSON.
func TestTheLargestEventFits(t *testing.T) {
	t.Parallel()
	s := unconnected(t)
	raw := `{"customer": {"email": "a@example.com"}, ` + page + `, "product": {"sku": "1", "name": "` + strings.Repeat("\xff", 255<<10) + `"}}`
	require.Less(t, len(destinationtest.Body(t, s, destinationtest.EventWith(t, "product_viewed", raw)))+1, s.Traits().Batch.Bytes)
}

func TestSendTestIsNotCounted(t *testing.T) {
	t.Parallel()
	s, server := setup(t, nil)
	n := destinationtest.SendEveryTest(t, s)
	require.Equal(t, snaptest.Counts{Requests: n, Tests: n}, server.Counts())
}

func TestProve(t *testing.T) {
	t.Parallel()
	s, server := setup(t, time.Now)
	proved, err := s.Prove(t.Context())
	require.NoError(t, err)
	require.Equal(t, "the token may send events to this pixel; Snap checked one as a test event and counted nothing", proved)
	require.Equal(t, snaptest.Counts{Requests: 1, Tests: 1}, server.Counts())
	for want, change := range map[string]func(*snap.Options){
		"the provider did not accept the credentials (HTTP 401)": func(o *snap.Options) { o.AccessToken = config.NewSecret("other") },
		"the provider did not accept the credentials (HTTP 403)": func(o *snap.Options) { o.PixelID = "1" },
	} {
		_, err := newSnap(t, destinationtest.Serve(t, server), change).Prove(t.Context())
		require.EqualError(t, err, want)
	}
}

// TestServerRefuses shows that the stand-in is strict: what it takes is not taken by accident.
func TestServerRefuses(t *testing.T) {
	t.Parallel()
	good := `{"event_name":"PURCHASE","event_time":1741083330,"event_id":"1","action_source":"WEB","event_source_url":"https://shop.example.com/","user_data":{"em":["` +
		destination.SHA256Hex("a") + `"]},"custom_data":{"currency":"DKK","value":1.00,"contents":[{"id":"a","quantity":"1","item_price":"1"}]}}`
	server := snaptest.New(pixel, "t", nil)
	status := func(body, media string) int {
		return destinationtest.Post(server, "/v3/"+pixel+"/events?access_token=t", body, "Content-Type", media).Code
	}
	require.Equal(t, 200, status(`{"data":[`+good+`]}`, "application/json"))
	require.Equal(t, 400, status(`{"data":[`+good+`]}`, "text/plain"))
	require.Equal(t, 400, status(`{"data":[]}`, "application/json"))
	require.Equal(t, 400, status(`{"data":[`+strings.Repeat(good+",", 2000)+good+`]}`, "application/json"))
	for from, to := range map[string]string{
		`"event_id":"1"`: `"event_id":"1","extra":1`, `"event_id":"1",`: ``, `1741083330`: `1741083330000`, `"WEB"`: `"website"`, `"PURCHASE"`: `"Purchase"`,
		`"value":1.00,`: ``, `"currency":"DKK",`: ``, `"value":1.00`: `"value":-1.00`, `"quantity":"1"`: `"quantity":1`, `"item_price":"1"`: `"item_price":"01"`,
		destination.SHA256Hex("a"): "a@example.com", `"em"`: `"fn"`, `"event_source_url":"https://shop.example.com/",`: ``, `shop.example.com/`: `shop.example.com/?m=a%40example.com`,
		`"id":"a",`: ``,
	} {
		require.Contains(t, good, from)
		require.Equal(t, 400, status(`{"data":[`+strings.Replace(good, from, to, 1)+`]}`, "application/json"), to)
	}
}

func FuzzEncode(f *testing.F) {
	f.Add("order_paid", "E1", []byte(`{"customer": {"email": "jane.doe@example.com", "phone": "+4512345678"}, `+page+`, "order": {"currency": "DKK", "total": "007.50", "items": [{"sku": "\u0000", "quantity": 1.50, "unit_price": "00"}]}}`))
	f.Add("cart_updated", "", []byte(`{"client": {"ip": "192.0.2.7", "user_agent": "<x>\ud800", "sc_click_id": "x"}, "cart": {"items": [{}]}}`))
	s := newSnap(f, "https://api.example.com", func(o *snap.Options) { o.PageURL = "https://shop.example.com/" })
	destinationtest.FuzzEncode(f, func(t *testing.T, _ destination.Event, item destination.Encoded) {
		server := snaptest.New(pixel, "t", nil)
		destinationtest.Post(server, "/v3/"+pixel+"/events?access_token=t", `{"data":[`+string(item.Body)+`]}`, "Content-Type", "application/json")
		require.Empty(t, server.Refusals()) // hashes only where hashes belong, among much else
	}, s)
}
