package ga4_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"kvit/config"
	"kvit/destination"
	"kvit/destination/destinationtest"
	"kvit/destination/ga4"
	"kvit/destination/ga4/ga4test"
)

const (
	streamID = "G-ABC1234567"
	secret   = "example-api-secret"
)

func newServer() *ga4test.Server {
	return ga4test.New(ga4test.Options{MeasurementID: streamID, APISecret: secret})
}

func newGA4(t testing.TB, options ga4.Options) *ga4.GA4 {
	t.Helper()
	options.MeasurementID, options.APISecret = streamID, config.NewSecret(secret)
	g, err := ga4.New(options)
	require.NoError(t, err)
	return g
}

// setup is a destination and the stream that it sends to.
func setup(t *testing.T, options ga4.Options) (*ga4.GA4, *ga4test.Server) {
	t.Helper()
	server := newServer()
	options.BaseURL = destinationtest.Serve(t, server)
	return newGA4(t, options), server
}

// encoded is an item of events and the rest of its request.
func encoded(t *testing.T, options ga4.Options, event destination.Event) (item, request map[string]any) {
	t.Helper()
	e, rejected := newGA4(t, options).Encode(event)
	require.Nil(t, rejected)
	require.NoError(t, json.Unmarshal(e.Body, &item))
	require.NoError(t, json.Unmarshal([]byte(e.Group), &request))
	return item, request
}

func paramsOf(t *testing.T, options ga4.Options, event destination.Event) map[string]any {
	t.Helper()
	item, _ := encoded(t, options, event)
	return item["params"].(map[string]any)
}

func TestConformance(t *testing.T) {
	t.Parallel()
	for name, options := range map[string]ga4.Options{
		"Defaults": {},
		"Derive":   {WithoutClientID: ga4.Derive, Region: ga4.Global},
		"UserData": {UserData: true, Params: map[string]string{"customer_group": "custom.customer_group"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newServer()
			t.Run("Suite", func(t *testing.T) {
				destinationtest.Run(t, destinationtest.Harness{
					New: func(t *testing.T, baseURL string, client destination.ClientOptions) destination.Destination {
						options := options
						options.BaseURL, options.HTTP = baseURL, client
						return newGA4(t, options)
					},
					Success:  server.ServeHTTP,
					Statuses: map[int]destination.Kind{404: destination.Misconfigured, 405: destination.Misconfigured},
				})
			})
			require.Empty(t, server.Refusals(), "Google would have dropped these without a word")
			require.Positive(t, server.Counts().Events)
		})
	}
}

const janesOrder = `{"customer": {"id": "cust-1042", "email": "Jane.Doe@example.com", "phone": "+4512345678"},
 "client": {"ga_client_id": "1234567890.1700000000", "ga_session_id": "1741083000"},
 "order": {"currency": "DKK", "total": "0749.00", "tax": "149.80", "shipping": "39.00", "coupon": "SPRING", "payment_method": "card", "items": [
  {"sku": "SKU-9", "name": "Teapot <large>", "category": "Kitchen", "brand": "Example", "variant": "blue", "quantity": 1.0, "unit_price": "299.00"},
  {"sku": "SKU-4", "name": "Cup", "quantity": 5, "unit_price": "82.20"}]}}`

func TestPurchase(t *testing.T) {
	t.Parallel()
	url, last := destinationtest.Recording(t, 204, "")
	event := destinationtest.EventWith(t, "order_paid", janesOrder)
	require.Equal(t, 204, destinationtest.Deliver(t, newGA4(t, ga4.Options{BaseURL: url + "/", UserData: true}), event))
	require.Equal(t, "/mp/collect?api_secret="+secret+"&measurement_id="+streamID, last().Path)
	require.Equal(t, `{"client_id":"1234567890.1700000000","user_id":"cust-1042",`+
		`"user_data":{"sha256_email_address":["86e0b9e56c17cc4d12387e1949b85053fbe73bc3ce5a1188713a9d300cc6133d"],`+
		`"sha256_phone_number":["7d5574e4ec1f7e9b606eadd8d76eab15510a93ca476ee1705145b32cd6ab6504"]},`+
		`"consent":{"ad_user_data":"GRANTED","ad_personalization":"GRANTED"},"timestamp_micros":1741083330000000,`+
		`"events":[{"name":"purchase","timestamp_micros":1741083330000000,"params":{"coupon":"SPRING","currency":"DKK","engagement_time_msec":1,`+
		`"items":[{"item_brand":"Example","item_category":"Kitchen","item_id":"SKU-9","item_name":"Teapot <large>","item_variant":"blue","price":299.00,"quantity":1},`+
		`{"item_id":"SKU-4","item_name":"Cup","price":82.20,"quantity":5}],`+
		`"payment_type":"card","session_id":"1741083000","shipping":39.00,"tax":149.80,"transaction_id":"E100042","value":749.00}}]}`, last().Body)
}

func TestRepeats(t *testing.T) {
	t.Parallel()
	g, server := setup(t, ga4.Options{})
	for _, name := range []string{"order_paid", "page_viewed"} {
		for range 2 {
			destinationtest.Deliver(t, g, destinationtest.Event(t, name))
		}
	}
	require.Equal(t, map[string]int{"E100042": 1}, server.Purchases())
	require.Equal(t, map[string]int{"purchase": 1, "page_view": 2}, server.Events())
	require.Equal(t, 1, server.Counts().Repeats)
}

func TestTraits(t *testing.T) {
	t.Parallel()
	traits := newGA4(t, ga4.Options{}).Traits()
	require.Equal(t, []string{
		"order_paid", "order_cancelled", "order_refunded", "account_created", "newsletter_optin", "sms_optin",
		"cart_updated", "checkout_started", "product_viewed", "search", "page_viewed",
		"order_partly_refunded", "cart_item_removed", "wishlist_item_added", "list_viewed",
		"shipping_info_given", "payment_info_given", "promotion_viewed", "promotion_selected", "logged_in", "custom:*",
	}, traits.Events)
	require.Equal(t, traits.Events[1:], traits.CountedAgain)
	require.Equal(t, 72*time.Hour, traits.MaxAge)
	require.Equal(t, 25, traits.Batch.Events)
	require.Empty(t, traits.States)

	changed := newGA4(t, ga4.Options{Events: map[string]string{"order_placed": "purchase", "order_paid": "", "page_viewed": ""}}).Traits()
	require.NotContains(t, changed.Events, "order_paid")
	require.NotContains(t, changed.Events, "page_viewed")
	require.NotContains(t, changed.CountedAgain, "order_placed")
}

func TestNames(t *testing.T) {
	t.Parallel()
	changes := map[string]string{"order_placed": "order_received", "newsletter_optin": "newsletter", "custom:vip": "vip_level", "custom:sold by phone": "purchase"}
	for name, want := range map[string]string{
		"order_paid": "purchase", "order_refunded": "refund", "order_cancelled": "refund", "account_created": "sign_up",
		"sms_optin": "sms_optin", "cart_updated": "add_to_cart", "checkout_started": "begin_checkout",
		"product_viewed": "view_item", "search": "search", "page_viewed": "page_view",
		"order_partly_refunded": "refund", "cart_item_removed": "remove_from_cart", "wishlist_item_added": "add_to_wishlist",
		"list_viewed": "view_item_list", "shipping_info_given": "add_shipping_info", "payment_info_given": "add_payment_info",
		"promotion_viewed": "view_promotion", "promotion_selected": "select_promotion", "logged_in": "login",
		"order_placed": "order_received", "newsletter_optin": "newsletter", "custom:vip": "vip_level",
		"custom:wish-list added": "wish_list_added", "custom:2nd": "custom_2nd", "custom:session_start": "custom_session_start",
		"custom:_x": "x", "custom:øre": "re", "custom:ø": "custom_", "custom:google_thing": "custom_google_thing",
		"custom:purchase": "custom_purchase", "custom:sold by phone": "purchase",
		"custom:" + strings.Repeat("x", 60): strings.Repeat("x", 40),
	} {
		item, _ := encoded(t, ga4.Options{Events: changes}, destinationtest.Event(t, name))
		require.Equal(t, want, item["name"], name)
	}
	item, _ := encoded(t, ga4.Options{Events: map[string]string{"custom:purchase": "purchase"}}, destinationtest.Event(t, "custom:purchase"))
	require.Equal(t, "purchase", item["name"], "what the configuration names is meant")
	_, rejected := newGA4(t, ga4.Options{}).Encode(destinationtest.Event(t, "order_shipped"))
	require.EqualError(t, rejected, "name: is not an event that this destination sends")
}

func TestRejections(t *testing.T) {
	t.Parallel()
	const client = `"client": {"ga_client_id": "1.2"}`
	for name, test := range map[string]struct{ event, payload, want string }{
		"NoClient":      {"search", `{"search": {"term": "x"}}`, "client.ga_client_id: is required (see without_client_id)"},
		"LongClient":    {"search", `{"client": {"ga_client_id": "` + strings.Repeat("1", 101) + `"}}`, "client.ga_client_id: must not be longer than 100 characters"},
		"NoOrder":       {"order_paid", `{` + client + `}`, "order: is required"},
		"NoCurrency":    {"order_paid", `{"order": {"total": "1"}, ` + client + `}`, "order.currency: is required"},
		"NegativeTotal": {"order_paid", `{"order": {"currency": "DKK", "total": "-1.00"}, ` + client + `}`, "order.total: must not be negative"},
		"NoTotal":       {"order_refunded", `{"order": {"currency": "DKK"}, ` + client + `}`, "order.total: is required"},
		"NoCart":        {"cart_updated", `{` + client + `}`, "cart: is required"},
		"EmptyCart":     {"cart_updated", `{"cart": {"items": []}, ` + client + `}`, "cart.items: must hold an item with a sku or a name"},
		"NamelessItem":  {"checkout_started", `{"cart": {"items": [{"quantity": 1}]}, ` + client + `}`, "cart.items: must hold an item with a sku or a name"},
		"NoProduct":     {"product_viewed", `{` + client + `}`, "product: is required"},
		"NamelessGoods": {"product_viewed", `{"product": {"brand": "x"}, ` + client + `}`, "product.sku: is required, or product.name"},
		"NoTerm":        {"search", `{"search": {"results": 1}, ` + client + `}`, "search.term: is required"},
		"NoPage":        {"page_viewed", `{` + client + `}`, "client.page_url: is required"},
		"EmailInPage":   {"page_viewed", `{"client": {"ga_client_id": "1.2", "page_url": "https://a@example.com/x"}}`, "client.page_url: must be an address without @ before its path"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, rejected := newGA4(t, ga4.Options{}).Encode(destinationtest.EventWith(t, test.event, test.payload))
			require.Equal(t, destination.Reject("%s", test.want), rejected)
		})
	}
	for ref, want := range map[string]string{
		"": "order_ref: is required, or order.ref", " ": "order_ref: is required, or order.ref",
		strings.Repeat("é", 101): "order_ref: must not be longer than 100 characters",
	} {
		event := destinationtest.EventWith(t, "order_paid", janesOrder)
		event.OrderRef = ref
		_, rejected := newGA4(t, ga4.Options{}).Encode(event)
		require.EqualError(t, rejected, want)
	}
}

func TestConsent(t *testing.T) {
	t.Parallel()
	options := ga4.Options{UserData: true, AdPurpose: "ads"}
	for name, test := range map[string]struct {
		consent []string
		want    string
	}{"Denied": {[]string{"analytics", "marketing"}, "DENIED"}, "Granted": {[]string{"analytics", "ads"}, "GRANTED"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			event := destinationtest.EventWith(t, "order_paid", janesOrder)
			event.Consent = test.consent
			_, request := encoded(t, options, event)
			require.Equal(t, map[string]any{"ad_user_data": test.want, "ad_personalization": test.want}, request["consent"])
			require.Equal(t, test.want == "GRANTED", request["user_data"] != nil, "hashes only with consent")
		})
	}
	t.Run("OffByDefault", func(t *testing.T) {
		t.Parallel()
		_, request := encoded(t, ga4.Options{}, destinationtest.EventWith(t, "order_paid", janesOrder))
		require.NotContains(t, request, "user_data")
	})
}

// TestRefundWithMinuses: all amounts of a refund go without them, those of its lines too.
func TestRefundWithMinuses(t *testing.T) {
	t.Parallel()
	p := paramsOf(t, ga4.Options{}, destinationtest.EventWith(t, "order_refunded", `{"client": {"ga_client_id": "1.2"}, "order": {"ref": "E1", "currency": "DKK",
		"total": "-299.00", "tax": "-59.80", "shipping": "-29.00", "items": [{"sku": "A", "quantity": 1, "unit_price": "-270.00", "discount": "-30.00"}]}}`))
	require.InDelta(t, 299, p["value"], 0)
	require.InDelta(t, 59.8, p["tax"], 0)
	require.InDelta(t, 29, p["shipping"], 0)
	require.InDelta(t, 270, p["items"].([]any)[0].(map[string]any)["price"], 0)
	require.InDelta(t, 30, p["items"].([]any)[0].(map[string]any)["discount"], 0)
}

// TestMoreOfTheShop: lists, promotions, what leaves a cart, and what lines say of themselves.
func TestMoreOfTheShop(t *testing.T) {
	t.Parallel()
	const item = `{"sku": "A", "name": "Cup", "category": "Kitchen", "category2": "Cups", "category3": "Small", "category4": "Blue", "category5": "Sale",
		"quantity": 1, "unit_price": "9.00", "discount": "1.00", "coupon": "SPRING", "list_id": "l1", "list_name": "Cups"}`
	const line = `{"coupon":"SPRING","discount":1.00,"item_category":"Kitchen","item_category2":"Cups","item_category3":"Small","item_category4":"Blue",` +
		`"item_category5":"Sale","item_id":"A","item_list_id":"l1","item_list_name":"Cups","item_name":"Cup","price":9.00,"quantity":1}`
	for name, test := range map[string]struct{ payload, want string }{
		"list_viewed":         {`"list": {"id": "l1", "name": "Cups", "currency": "DKK", "items": [` + item + `]}`, `{"currency":"DKK","engagement_time_msec":1,"item_list_id":"l1","item_list_name":"Cups","items":[` + line + `]}`},
		"promotion_selected":  {`"promotion": {"id": "p1", "name": "Spring", "creative": "banner", "slot": "top"}`, `{"creative_name":"banner","creative_slot":"top","engagement_time_msec":1,"promotion_id":"p1","promotion_name":"Spring"}`},
		"cart_item_removed":   {`"product": {"sku": "A", "currency": "DKK", "unit_price": "9.00", "quantity": 2}`, `{"currency":"DKK","engagement_time_msec":1,"items":[{"item_id":"A","price":9.00,"quantity":2}],"value":18.00}`},
		"shipping_info_given": {`"cart": {"currency": "DKK", "total": "9.00", "coupon": "SPRING", "delivery_method": "parcel", "items": [{"sku": "A"}]}`, `{"coupon":"SPRING","currency":"DKK","engagement_time_msec":1,"items":[{"item_id":"A"}],"shipping_tier":"parcel","value":9.00}`},
		"payment_info_given":  {`"cart": {"payment_method": "card", "items": [{"sku": "A"}]}`, `{"engagement_time_msec":1,"items":[{"item_id":"A"}],"payment_type":"card"}`},
		"logged_in":           {`"customer": {"id": "7"}`, `{"engagement_time_msec":1}`},
		"order_partly_refunded": {`"order": {"currency": "DKK", "total": "-9.00", "items": [{"sku": "A", "quantity": 1, "unit_price": "-9.00"}]}`,
			`{"currency":"DKK","engagement_time_msec":1,"items":[{"item_id":"A","price":9.00,"quantity":1}],"transaction_id":"E100042","value":9.00}`},
	} {
		body := destinationtest.Body(t, newGA4(t, ga4.Options{}), destinationtest.EventWith(t, name, `{"client": {"ga_client_id": "1.2"}, `+test.payload+`}`))
		require.Equal(t, test.want, gjson.Get(body, "params").Raw, name)
	}
}

func TestWhoItWas(t *testing.T) {
	t.Parallel()
	derive := ga4.Options{WithoutClientID: ga4.Derive, UserData: true}
	who := func(options ga4.Options, key, payload string) map[string]any {
		event := destinationtest.EventWith(t, "account_created", payload)
		event.Key = key
		_, request := encoded(t, options, event)
		return request
	}
	derived := who(derive, "a", `{"customer": {"id": "7", "email": "a@example.com"}}`)
	require.Regexp(t, `^\d{1,10}\.\d{1,10}$`, derived["client_id"])
	require.Equal(t, map[string]any{"ad_user_data": "DENIED", "ad_personalization": "DENIED"}, derived["consent"])
	require.Len(t, derived, 2, "nobody knows who this was")
	require.Equal(t, derived, who(derive, "a", `{}`), "the same at every attempt")
	require.NotEqual(t, derived, who(derive, "b", `{}`))

	require.Equal(t, "5.6", who(ga4.Options{}, "a", `{"client": {"ga_client_id": "GA1.2.5.6"}}`)["client_id"], "a whole cookie")
	require.Equal(t, "GA1.5.6", who(ga4.Options{}, "a", `{"client": {"ga_client_id": "GA1.5.6"}}`)["client_id"], "something else")
	for _, id := range []string{"jane@example.com", strings.Repeat("x", 257), ""} {
		require.NotContains(t, who(ga4.Options{}, "a", `{"client": {"ga_client_id": "5.6"}, "customer": {"id": "`+id+`"}}`), "user_id")
	}
}

func TestSession(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]any{"1741083000": "1741083000", "": nil, "GS2.1.s17": nil, strings.Repeat("1", 101): nil} {
		p := paramsOf(t, ga4.Options{}, destinationtest.EventWith(t, "account_created", `{"client": {"ga_client_id": "1.2", "ga_session_id": "`+given+`"}}`))
		require.Equal(t, want, p["session_id"])
		require.EqualValues(t, 1, p["engagement_time_msec"])
	}
}

func TestValue(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ event, order, want string }{
		"Zero":           {"order_paid", `{"currency": "DKK", "total": "0.00"}`, "0.00"},
		"LeadingZeros":   {"order_paid", `{"currency": "DKK", "total": "007.50"}`, "7.50"},
		"Refund":         {"order_refunded", `{"currency": "DKK", "total": "7.50"}`, "7.50"},
		"NegativeRefund": {"order_refunded", `{"currency": "DKK", "total": "-007.50"}`, "7.50"},
		"NoCurrency":     {"order_shipped", `{"total": "7.50"}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGA4(t, ga4.Options{Events: map[string]string{"order_shipped": "shipped"}})
			body := destinationtest.Body(t, g, destinationtest.EventWith(t, test.event, `{"client": {"ga_client_id": "1.2"}, "order": `+test.order+`}`))
			require.Equal(t, test.want, gjson.Get(body, "params.value").Raw)
		})
	}
}

func TestMoneyNeedsCurrency(t *testing.T) {
	t.Parallel()
	options := ga4.Options{Events: map[string]string{"order_shipped": "shipped"}}
	p := paramsOf(t, options, destinationtest.EventWith(t, "order_shipped", `{"client": {"ga_client_id": "1.2"}, "order": {"total": "7", "tax": "1", "shipping": "2"}}`))
	require.Equal(t, map[string]any{"engagement_time_msec": 1.0, "transaction_id": "E100042"}, p)
}

func TestPage(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"https://shop.example.com/tea":                                         "https://shop.example.com/tea",
		"https://shop.example.com/tea?utm_source=mail#top":                     "https://shop.example.com/tea?utm_source=mail",
		"https://shop.example.com/?a=1&email=jane@example.com&b=2":             "https://shop.example.com/?a=1&b=2",
		"https://shop.example.com/@brand/tea?a=1":                              "https://shop.example.com/?a=1",
		"https://shop.example.com/?mail=jane%40example.com":                    "https://shop.example.com/",
		"https://shop.example.com/?next=%2Flogin%3Fmail%3Djane%2540example.de": "https://shop.example.com/",
		"https://shop.example.com/" + strings.Repeat("é", 1000):                "https://shop.example.com/" + strings.Repeat("é", 975),
	} {
		p := paramsOf(t, ga4.Options{}, destinationtest.EventWith(t, "page_viewed", `{"client": {"ga_client_id": "1.2", "page_url": "`+given+`", "referrer": "https://a@example.com/"}}`))
		require.Equal(t, want, p["page_location"])
		require.NotContains(t, p, "page_referrer")
	}
}

func TestParams(t *testing.T) {
	t.Parallel()
	options := ga4.Options{Params: map[string]string{"customer_group": "custom.group", "level": "custom.level", "missing": "custom.missing"}}
	p := paramsOf(t, options, destinationtest.EventWith(t, "custom:vip", `{"client": {"ga_client_id": "1.2"}, "custom": {"group": "`+strings.Repeat("ø", 120)+`", "level": 3}}`))
	require.Equal(t, map[string]any{"customer_group": strings.Repeat("ø", 100), "level": "3", "engagement_time_msec": 1.0}, p)
}

func TestHugeOrder(t *testing.T) {
	t.Parallel()
	g, server := setup(t, ga4.Options{})
	// 1,000 small items: 200 are taken. Items of 6 bytes a character: as many as fit.
	for _, name := range []string{"x", strings.Repeat("\u2028", 100)} {
		line := destination.Item{SKU: name, Name: name, Brand: name, Category: name, Variant: name, Quantity: "1", UnitPrice: "1.00"}
		event := destinationtest.EventWith(t, "order_paid", janesOrder)
		event.Payload.Order.Items = slices.Repeat([]destination.Item{line}, 1000)
		destinationtest.Deliver(t, g, event)
		item, rejected := g.Encode(event)
		require.Nil(t, rejected)
		require.LessOrEqual(t, len(item.Body), g.Traits().Batch.Bytes)
	}
	require.Empty(t, server.Refusals())
	require.Len(t, paramsOf(t, ga4.Options{}, hugeOrder(t, 1000))["items"], 200)
}

func hugeOrder(t *testing.T, lines int) destination.Event {
	event := destinationtest.EventWith(t, "order_paid", janesOrder)
	event.Payload.Order.Items = slices.Repeat([]destination.Item{{}, {SKU: "x"}}, lines)
	return event
}

func TestGroups(t *testing.T) {
	t.Parallel()
	g := newGA4(t, ga4.Options{UserData: true})
	group := func(change func(*destination.Event)) string {
		event := destinationtest.EventWith(t, "account_created", janesOrder)
		change(&event)
		e, rejected := g.Encode(event)
		require.Nil(t, rejected)
		return e.Group
	}
	same := group(func(*destination.Event) {})
	require.Equal(t, same, group(func(e *destination.Event) { e.Key, e.OccurredAt = "other", e.OccurredAt.Add(time.Hour) }))
	for name, change := range map[string]func(*destination.Event){
		"Client":  func(e *destination.Event) { e.Payload.Client.GAClientID = "1.2" },
		"User":    func(e *destination.Event) { e.Payload.Customer.ID = "other" },
		"Consent": func(e *destination.Event) { e.Consent = nil },
		"Data":    func(e *destination.Event) { e.Payload.Customer.Email = "other@example.com" },
	} {
		require.NotEqual(t, same, group(change), name)
	}
}

func TestFullBatchKeepsItsTimes(t *testing.T) {
	t.Parallel()
	g, server := setup(t, ga4.Options{})
	items := make([]destination.Encoded, 25)
	for i := range items {
		event := destinationtest.Event(t, "order_paid")
		event.OrderRef = fmt.Sprintf("E%d", i)
		event.OccurredAt = event.OccurredAt.Add(time.Duration(i) * time.Minute)
		item, rejected := g.Encode(event)
		require.Nil(t, rejected)
		items[i] = item
		require.Contains(t, string(item.Body), fmt.Sprintf(`"timestamp_micros":%d,`, event.OccurredAt.UnixMicro()))
	}
	results, failed := g.SendBatch(t.Context(), items)
	require.Nil(t, failed)
	require.Len(t, results, 25)
	require.Equal(t, ga4test.Counts{Requests: 1, Events: 25}, server.Counts())
	require.Len(t, server.Purchases(), 25)
}

func TestNewNamesTheWrongOption(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*ga4.Options)
		want   string
	}{
		"Stream":   {func(o *ga4.Options) { o.MeasurementID = "1234567" }, "measurement_id: must be the G-… of a web data stream"},
		"Secret":   {func(o *ga4.Options) { o.APISecret = config.Secret{} }, "api_secret: is required"},
		"Region":   {func(o *ga4.Options) { o.Region = "us" }, "region: must be eu or global"},
		"ClientID": {func(o *ga4.Options) { o.WithoutClientID = "guess" }, "without_client_id: must be skip or derive"},
		"Base":     {func(o *ga4.Options) { o.BaseURL = "http://ga.example.com" }, "base_url: must begin with https://"},
		"Name": {func(o *ga4.Options) { o.Events = map[string]string{"search": "find it"} },
			"events.search: must be up to 40 letters, digits and _, beginning with a letter"},
		"Reserved": {func(o *ga4.Options) { o.Events = map[string]string{"search": "session_start"} }, "events.search: is reserved by Google"},
		"NoEvents": {func(o *ga4.Options) {
			o.Events = map[string]string{}
			for _, event := range append(slices.Clone(destination.Names), destination.AnyCustom) {
				o.Events[event] = ""
			}
		}, "events: leaves no event to send"},
		"ParamName": {func(o *ga4.Options) { o.Params = map[string]string{"a b": "custom.a"} },
			"params: must be named with up to 40 letters, digits and _, beginning with a letter, and none of those that kvit or Google sets"},
		"OwnParam": {func(o *ga4.Options) { o.Params = map[string]string{"value": "custom.a"} },
			"params: must be named with up to 40 letters, digits and _, beginning with a letter, and none of those that kvit or Google sets"},
		"ManyParams": {func(o *ga4.Options) {
			o.Params = map[string]string{}
			for i := range 11 {
				o.Params[fmt.Sprintf("p%d", i)] = "custom.a"
			}
		}, "params: must be at most 10"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			options := ga4.Options{MeasurementID: streamID, APISecret: config.NewSecret(secret)}
			test.change(&options)
			_, err := ga4.New(options)
			require.EqualError(t, err, test.want)
		})
	}
}

func TestSecretIsInNoError(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, req.URL.String())
	}))
	t.Cleanup(server.Close)
	g := newGA4(t, ga4.Options{BaseURL: server.URL})
	_, err := g.Send(t.Context(), destinationtest.Event(t, "search"))
	require.EqualError(t, err, "the provider rejected the event (HTTP 400)")
	_, err = g.Prove(t.Context())
	require.EqualError(t, err, "the provider rejected the event (HTTP 400)")
	server.Close()
	_, err = newGA4(t, ga4.Options{BaseURL: server.URL}).Prove(t.Context())
	require.EqualError(t, err, "connection refused")
}
