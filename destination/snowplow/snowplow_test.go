package snowplow_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/destination"
	"kvit/destination/destinationtest"
	"kvit/destination/snowplow"
	"kvit/destination/snowplow/snowplowtest"
)

func newSnowplow(t testing.TB, options snowplow.Options) *snowplow.Snowplow {
	t.Helper()
	if options.BaseURL == "" {
		options.BaseURL = "https://collector.example.com"
	}
	s, err := snowplow.New(options)
	require.NoError(t, err)
	return s
}

// setup is a destination and the collector that it sends to.
func setup(t *testing.T, options snowplow.Options, collector snowplowtest.Options) (*snowplow.Snowplow, *snowplowtest.Server) {
	t.Helper()
	server := snowplowtest.New(collector)
	options.BaseURL = destinationtest.Serve(t, server)
	return newSnowplow(t, options), server
}

// sent is an event as the collector has it.
func sent(t *testing.T, options snowplow.Options, event destination.Event) snowplowtest.Event {
	t.Helper()
	s, server := setup(t, options, snowplowtest.Options{})
	destinationtest.Deliver(t, s, event)
	require.Empty(t, server.Refusals())
	got, ok := server.Event(destination.UUID(event.Key).String())
	require.True(t, ok)
	return got
}

func TestConformance(t *testing.T) {
	t.Parallel()
	for name, options := range map[string]snowplow.Options{
		"Defaults": {},
		"Renamed": {SendIP: true, Events: map[string]string{
			"order_placed": "transaction", "order_paid": "paid", "checkout_started": "checkout", "custom:*": "something",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := snowplowtest.New(snowplowtest.Options{AppID: "webshop"})
			t.Run("Suite", func(t *testing.T) {
				destinationtest.Run(t, destinationtest.Harness{
					New: func(t *testing.T, baseURL string, client destination.ClientOptions) destination.Destination {
						options := options
						options.BaseURL, options.HTTP = baseURL, client
						return newSnowplow(t, options)
					},
					Success:  server.ServeHTTP,
					Statuses: map[int]destination.Kind{404: destination.Misconfigured, 405: destination.Misconfigured},
				})
			})
			require.Empty(t, server.Refusals(), "the pipeline would have put these aside")
			require.Positive(t, server.Counts().Events)
			require.Zero(t, server.Counts().Refused)
		})
	}
}

const janesOrder = `{"customer": {"id": "cust-1042", "email": "jane.doe@example.com"},
 "client": {"page_url": "https://shop.example.com/receipt", "snowplow_id": "b1dcbc5e-0f3a-4f8a-9d8e-0a8f9b3c2d1e", "snowplow_session": "7d1f0c9a", "ip": "192.0.2.7", "user_agent": "Example/1.0"},
 "order": {"currency": "DKK", "total": "0749.00", "tax": "149.805", "coupon": "SPRING", "payment_method": "card", "items": [
  {"sku": "SKU-9", "name": "Teapot <large>", "category": "Kitchen", "quantity": 1, "unit_price": "299.00"},
  {"sku": "SKU-4", "quantity": 2.5, "unit_price": "82.20"}]}}`

func TestTransaction(t *testing.T) {
	t.Parallel()
	url, last := destinationtest.Recording(t, 200, "")
	_, err := newSnowplow(t, snowplow.Options{BaseURL: url + "/"}).Send(t.Context(), destinationtest.EventWith(t, "order_paid", janesOrder))
	require.NoError(t, err)
	require.Equal(t, "/com.snowplowanalytics.snowplow/tp2", last().Path)
	require.Equal(t, `{"schema":"iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4","data":[{"aid":"webshop",`+
		`"co":"{\"schema\":\"iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-0\",\"data\":[`+
		`{\"schema\":\"iglu:com.snowplowanalytics.snowplow.ecommerce/transaction/jsonschema/1-0-0\",\"data\":{\"currency\":\"DKK\",\"discount_code\":\"SPRING\",\"payment_method\":\"card\",\"revenue\":749.00,\"tax\":149.81,\"total_quantity\":4,\"transaction_id\":\"E100042\"}},`+
		`{\"schema\":\"iglu:com.snowplowanalytics.snowplow.ecommerce/product/jsonschema/1-0-0\",\"data\":{\"category\":\"Kitchen\",\"currency\":\"DKK\",\"id\":\"SKU-9\",\"name\":\"Teapot <large>\",\"price\":299.00,\"quantity\":1}},`+
		`{\"schema\":\"iglu:com.snowplowanalytics.snowplow.ecommerce/user/jsonschema/1-0-0\",\"data\":{\"id\":\"cust-1042\"}}]}",`+
		`"dtm":"1741083330000","duid":"b1dcbc5e-0f3a-4f8a-9d8e-0a8f9b3c2d1e","e":"ue","eid":"`+destination.UUID("order_paid:E100042").String()+`","p":"srv","sid":"7d1f0c9a","tna":"kvit","ttm":"1741083330000","tv":"kvit-1",`+
		`"ua":"Example/1.0","ue_pr":"{\"schema\":\"iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0\",\"data\":{\"schema\":\"iglu:com.snowplowanalytics.snowplow.ecommerce/snowplow_ecommerce_action/jsonschema/1-0-2\",\"data\":{\"type\":\"transaction\"}}}",`+
		`"uid":"cust-1042","url":"https://shop.example.com/receipt"}]}`, last().Body)
}

func TestKinds(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"order_paid": "transaction", "order_refunded": "refund", "checkout_started": "checkout_step", "product_viewed": "product_view",
		"page_viewed": "pv", "order_placed": "order/order_placed", "order_shipped": "order/order_shipped", "order_cancelled": "order/order_cancelled",
		"account_created": "account/account_created", "account_updated": "account/account_updated",
		"newsletter_optin": "newsletter/newsletter_optin", "newsletter_optout": "newsletter/newsletter_optout",
		"sms_optin": "sms/sms_optin", "sms_optout": "sms/sms_optout", "cart_updated": "cart/cart_updated", "search": "search/search",
		"custom:vip level": "custom/vip level", "custom:refund": "custom/refund", "custom:" + strings.Repeat("ø", 1500): "custom/" + strings.Repeat("ø", 1000),
	} {
		event := sent(t, snowplow.Options{}, destinationtest.Event(t, name))
		got := event.Action
		if event.Fields["e"] == "pv" {
			got = "pv"
		}
		if event.Fields["e"] == "se" {
			got = event.Fields["se_ca"] + "/" + event.Fields["se_ac"]
		}
		require.Equal(t, want, got, name)
	}
	changes := map[string]string{"cart_updated": "add_to_cart", "custom:bought": "transaction", "order_paid": "paid", "page_viewed": "seen"}
	require.Equal(t, "add_to_cart", sent(t, snowplow.Options{Events: changes}, withCategory(t, "cart_updated")).Action)
	require.Equal(t, "transaction", sent(t, snowplow.Options{Events: changes}, destinationtest.Event(t, "custom:bought")).Action)
	require.Equal(t, "paid", sent(t, snowplow.Options{Events: changes}, destinationtest.Event(t, "order_paid")).Fields["se_ac"])
	require.Equal(t, "seen", sent(t, snowplow.Options{Events: changes}, destinationtest.Event(t, "page_viewed")).Fields["se_ac"])
}

func withCategory(t *testing.T, name string) destination.Event {
	event := destinationtest.Event(t, name)
	event.Payload.Cart.Items[0].Category = "Kitchen"
	return event
}

func TestStructured(t *testing.T) {
	t.Parallel()
	search := sent(t, snowplow.Options{}, destinationtest.EventWith(t, "search", `{"search": {"term": "tea", "results": 0}}`)).Fields
	require.Equal(t, []string{"tea", "0"}, []string{search["se_la"], search["se_va"]})
	order := sent(t, snowplow.Options{}, destinationtest.EventWith(t, "order_placed", janesOrder))
	require.Equal(t, []string{"E100042", "DKK", "749.00"}, []string{order.Fields["se_la"], order.Fields["se_pr"], order.Fields["se_va"]})
	require.Len(t, order.Entities["product"], 1)
	require.Equal(t, []map[string]any{{"id": "cust-1042"}}, order.Entities["user"])
	cart := sent(t, snowplow.Options{}, destinationtest.EventWith(t, "cart_updated", `{"cart": {"id": "77", "currency": "DKK", "total": "5", "items": []}}`))
	require.Equal(t, "77", cart.Fields["se_la"])
	require.Equal(t, []map[string]any{{"cart_id": "77", "currency": "DKK", "total_value": json.Number("5")}}, cart.Entities["cart"])
	require.NotContains(t, sent(t, snowplow.Options{}, destinationtest.EventWith(t, "sms_optin", "")).Fields, "co")
}

// TestLongIDsAreLeftOut: a part of one may be somebody else's.
func TestLongIDsAreLeftOut(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("1", 300)
	fields := sent(t, snowplow.Options{}, destinationtest.EventWith(t, "account_created",
		`{"customer": {"id": "`+long+`"}, "client": {"snowplow_id": "`+long+`", "snowplow_session": "`+long+`"}}`)).Fields
	for _, name := range []string{"uid", "duid", "sid"} {
		require.NotContains(t, fields, name)
	}
}

func TestAddressOfTheVisitor(t *testing.T) {
	t.Parallel()
	event := destinationtest.EventWith(t, "page_viewed", janesOrder)
	require.NotContains(t, sent(t, snowplow.Options{}, event).Fields, "ip")
	require.Equal(t, "192.0.2.7", sent(t, snowplow.Options{SendIP: true}, event).Fields["ip"])
}

func TestNoMailAddress(t *testing.T) {
	t.Parallel()
	s := newSnowplow(t, snowplow.Options{SendIP: true})
	for _, name := range destination.Names {
		item, rejected := s.Encode(destinationtest.Event(t, name))
		require.Nil(t, rejected)
		for _, secret := range []string{"doe@example.com", "12025550123", "Street"} {
			require.NotContains(t, string(item.Body), secret, name)
		}
	}
}

func TestAmounts(t *testing.T) {
	t.Parallel()
	revenue := func(event, field, total string) any {
		payload := strings.Replace(janesOrder, "0749.00", total, 1)
		entity := map[string]string{"order_paid": "transaction", "order_refunded": "refund"}[event]
		return sent(t, snowplow.Options{}, destinationtest.EventWith(t, event, payload)).Entities[entity][0][field]
	}
	for total, want := range map[string]string{
		"0": "0", "0.00": "0.00", "007.5": "7.5", "1.005": "1.01", "1.0049": "1.00", "-0": "0", "9999999.00": "9999999.00",
	} {
		require.Equal(t, json.Number(want), revenue("order_paid", "revenue", total), total)
	}
	require.Equal(t, json.Number("7.50"), revenue("order_refunded", "refund_amount", "-7.50"))
	require.Equal(t, json.Number("7.50"), revenue("order_refunded", "refund_amount", "7.50"))
}

// TestEntitiesKeepToTheirSchemas: what a schema would refuse is left out, and the event is still valid.
func TestEntitiesKeepToTheirSchemas(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 5000)
	cloth := `{"sku": "SKU-1", "category": "Cloth", "unit_price": "8.00", "quantity": 2.5, "brand": "` + long + `"}`
	payload := `{"customer": {"id": "` + long[:129] + `"}, "order": {"currency": "DKK", "total": "20", "tax": "-1", "payment_method": "card", "items": [` + cloth +
		`, {"sku": "` + long + `", "category": "x", "unit_price": "1", "quantity": 1}, {"sku": "a", "category": "x", "unit_price": "-1", "quantity": 1}]}, "cart": {"total": "1"}}`
	order := sent(t, snowplow.Options{}, destinationtest.EventWith(t, "order_paid", payload))
	require.Equal(t, []map[string]any{{
		"id": "SKU-1", "category": "Cloth", "price": json.Number("8.00"), "currency": "DKK", "brand": long[:256],
	}}, order.Entities["product"], "no quantity, and none of the other two")
	require.NotContains(t, order.Entities, "user")
	require.NotContains(t, order.Entities["transaction"][0], "tax")
	require.Equal(t, json.Number("5"), order.Entities["transaction"][0]["total_quantity"])
	require.Empty(t, sent(t, snowplow.Options{}, destinationtest.EventWith(t, "cart_updated", payload)).Entities["cart"], "no currency")
}

func TestRejections(t *testing.T) {
	t.Parallel()
	order := func(members string) string { return `{"order": {` + members + `}}` }
	for name, test := range map[string]struct{ event, payload, want string }{
		"NoOrder":       {"order_paid", `{}`, "order: is required"},
		"NoCurrency":    {"order_paid", order(`"total": "1"`), "order.currency: is required"},
		"NoTotal":       {"order_refunded", order(`"currency": "DKK"`), "order.total: is required"},
		"NegativeTotal": {"order_paid", order(`"currency": "DKK", "total": "-1", "payment_method": "card", "items": [{"quantity": 1}]`), "order.total: must be from 0 to 9999999"},
		"HugeTotal":     {"order_paid", order(`"currency": "DKK", "total": "9999999.01"`), "order.total: must be from 0 to 9999999"},
		"HugeRefund":    {"order_refunded", order(`"currency": "DKK", "total": "-10000000"`), "order.total: must be from -9999999 to 9999999"},
		"NoPayment":     {"order_paid", order(`"currency": "DKK", "total": "1", "payment_method": " "`), "order.payment_method: is required"},
		"NoItems":       {"order_paid", order(`"currency": "DKK", "total": "1", "payment_method": "card"`), "order.items: is required, for the total quantity"},
		"HugeQuantity":  {"order_paid", order(`"currency": "DKK", "total": "1", "payment_method": "card", "items": [{"quantity": 9999999}, {"quantity": 0.001}]`), "order.items: must be up to 9999999 pieces"},
		"NoCart":        {"checkout_started", `{}`, "cart: is required"},
		"NoProduct":     {"product_viewed", `{}`, "product: is required"},
		"NoCategory":    {"product_viewed", `{"product": {"sku": "a", "unit_price": "1", "currency": "DKK"}}`, "product: must have sku, category, unit_price and currency"},
		"UnreadTotal":   {"order_placed", order(`"currency": "DKK", "total": "much"`), "order.total: no amount with at most 12 digits before the point"},
		"NoPage":        {"page_viewed", `{}`, "client.page_url: is required"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, rejected := newSnowplow(t, snowplow.Options{}).Encode(destinationtest.EventWith(t, test.event, test.payload))
			require.Equal(t, destination.Reject("%s", test.want), rejected)
		})
	}
	for ref, want := range map[string]string{" ": "order_ref: is required, or order.ref", strings.Repeat("x", 4097): "order_ref: must not be longer than 4096 bytes"} {
		event := destinationtest.EventWith(t, "order_paid", janesOrder)
		event.OrderRef = ref
		_, rejected := newSnowplow(t, snowplow.Options{}).Encode(event)
		require.EqualError(t, rejected, want)
	}
	_, rejected := newSnowplow(t, snowplow.Options{Events: map[string]string{"cart_updated": "add_to_cart"}}).Encode(
		destinationtest.EventWith(t, "cart_updated", `{"cart": {"items": [{"sku": "a"}]}}`))
	require.EqualError(t, rejected, "cart.items: must hold an item with sku, category and unit_price, and cart.currency be set")
	_, rejected = newSnowplow(t, snowplow.Options{Events: map[string]string{"search": ""}}).Encode(destinationtest.Event(t, "search"))
	require.EqualError(t, rejected, "name: is not an event that this destination sends")
}

func TestTooLarge(t *testing.T) {
	t.Parallel()
	line := destination.Item{SKU: "x", Category: "y", UnitPrice: "1", Quantity: "1"}
	event := destinationtest.EventWith(t, "order_paid", janesOrder)
	event.Payload.Order.Items = slices.Repeat([]destination.Item{line}, 1000)
	require.Len(t, sent(t, snowplow.Options{}, event).Entities["product"], 1000)
	event.Payload.Order.Items = slices.Repeat([]destination.Item{line}, 6000)
	_, rejected := newSnowplow(t, snowplow.Options{}).Encode(event)
	require.EqualError(t, rejected, "payload: must not be larger than 1 MB in Snowplow's form")
}

func TestFullBatch(t *testing.T) {
	t.Parallel()
	s, server := setup(t, snowplow.Options{}, snowplowtest.Options{})
	limit := s.Traits().Batch.Bytes
	var items []destination.Encoded
	for size := 0; ; {
		event := destinationtest.EventWith(t, "page_viewed", `{"client": {"page_url": "https://shop.example.com/", "user_agent": "`+strings.Repeat("x", 900)+`"}}`)
		event.Key = fmt.Sprintf("page:%d", len(items))
		item, rejected := s.Encode(event)
		require.Nil(t, rejected)
		if size += len(item.Body) + 1; size > limit {
			break
		}
		items = append(items, item)
	}
	results, failed := s.SendBatch(t.Context(), items)
	require.Nil(t, failed)
	require.Len(t, results, len(items))
	require.Equal(t, len(items), server.Counts().Events)
}

// TestSmallCollector: 413 is for the request as a whole, so that halves of it are tried.
func TestSmallCollector(t *testing.T) {
	t.Parallel()
	s, _ := setup(t, snowplow.Options{}, snowplowtest.Options{MaxBody: 1000})
	item, rejected := s.Encode(destinationtest.Event(t, "order_paid"))
	require.Nil(t, rejected)
	_, failed := s.SendBatch(t.Context(), []destination.Encoded{item, item})
	require.Equal(t, &destination.Error{Kind: destination.Rejected, Code: 413, Reason: "the collector takes no request of this size"}, failed)
}

func TestRepeatsAreTheSame(t *testing.T) {
	t.Parallel()
	fail := func(n int) snowplowtest.Failure {
		return []snowplowtest.Failure{{After: true, Status: 500}, {After: true, Reset: true}, {}}[n-1]
	}
	s, server := setup(t, snowplow.Options{}, snowplowtest.Options{Fail: fail})
	for range 3 {
		_, _ = s.Send(t.Context(), destinationtest.Event(t, "order_paid"))
	}
	require.Equal(t, snowplowtest.Counts{Requests: 3, Events: 1, Repeats: 2}, server.Counts())
}

func TestTraits(t *testing.T) {
	t.Parallel()
	traits := newSnowplow(t, snowplow.Options{}).Traits()
	require.Equal(t, append(slices.Clone(destination.Names), destination.AnyCustom), traits.Events)
	require.Empty(t, traits.CountedAgain)
	require.Zero(t, traits.MaxAge)
	require.Less(t, traits.Batch.Bytes, 2_000_000)
	require.NotContains(t, newSnowplow(t, snowplow.Options{Events: map[string]string{"search": ""}}).Traits().Events, "search")
}

func TestNewNamesTheWrongOption(t *testing.T) {
	t.Parallel()
	const base = "https://collector.example.com"
	for name, test := range map[string]struct {
		options snowplow.Options
		want    string
	}{
		"NoBase":    {snowplow.Options{}, "base_url: must be an absolute URL"},
		"Plain":     {snowplow.Options{BaseURL: "http://collector.example.com"}, "base_url: must begin with https://"},
		"AppID":     {snowplow.Options{BaseURL: base, AppID: "the shop"}, "app_id: must be up to 100 letters, digits and _.-"},
		"Namespace": {snowplow.Options{BaseURL: base, Namespace: "a/b"}, "namespace: must be up to 100 letters, digits and _.-"},
		"Name":      {snowplow.Options{BaseURL: base, Events: map[string]string{"search": strings.Repeat("x", 1001)}}, "events.search: must not be longer than 1000 characters"},
		"OwnName":   {snowplow.Options{BaseURL: base, Events: map[string]string{"search": "*"}}, "events.search: * is for custom events only"},
		"TwoSales": {snowplow.Options{BaseURL: base, Events: map[string]string{"order_placed": "transaction"}},
			"events: order_placed and order_paid must not both be a sale, or have the same name, which would count an order twice"},
		"NotMade": {snowplow.Options{BaseURL: base, Events: map[string]string{"search": "list_view"}}, "events.search: is an action that kvit cannot make"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := snowplow.New(test.options)
			require.EqualError(t, err, test.want)
		})
	}
}

// TestFakeIsStrict: each mistake is one that the pipeline puts aside, or that a collector refuses.
func TestFakeIsStrict(t *testing.T) {
	t.Parallel()
	const (
		head   = `{"schema":"iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4","data":[`
		common = `"eid":"5a305bf5-32fc-40d9-b0e8-66052f0f2c95","aid":"webshop","p":"srv","tna":"x","tv":"y","dtm":"1741083330000"`
		co     = `{"e":"se","se_ca":"a","se_ac":"b",` + common + `,"co":"{\"schema\":\"iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-0\",\"data\":[{\"schema\":\"iglu:com.snowplowanalytics.snowplow.ecommerce/`
	)
	for name, body := range map[string]string{
		"NoID":       head + `{"e":"se","se_ca":"a","se_ac":"b",` + strings.Replace(common, `"eid":"5a305bf5-32fc-40d9-b0e8-66052f0f2c95",`, "", 1) + `}]}`,
		"Vanished":   head + co + `owner/jsonschema/1-0-0\",\"data\":{\"id\":\"7\"}}]}"}]}`,
		"NotAnItem":  head + co + `product/jsonschema/1-0-0\",\"data\":{\"id\":\"7\",\"price\":1,\"currency\":\"DKK\"}}]}"}]}`,
		"NoEntity":   head + `{"e":"ue",` + common + `,"ue_pr":"{\"schema\":\"iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0\",\"data\":{\"schema\":\"iglu:com.snowplowanalytics.snowplow.ecommerce/snowplow_ecommerce_action/jsonschema/1-0-2\",\"data\":{\"type\":\"transaction\"}}}"}]}`,
		"Trailing":   head + `{"e":"se","se_ca":"a","se_ac":"b",` + common + `,"co":"{} {}"}]}`,
		"Good":       head + `{"e":"se","se_ca":"a","se_ac":"b",` + common + `}]}`,
		"GoodEntity": head + co + `user/jsonschema/1-0-0\",\"data\":{\"id\":\"7\"}}]}"}]}`,
		"Schema":     strings.Replace(head, "1-0-4", "1-0-9", 1) + `{"e":"se","se_ca":"a","se_ac":"b",` + common + `}]}`,
		"Empty":      head + `]}`,
		"Number":     head + `{"e":"se","se_ca":"a","se_ac":"b","se_va":1,` + common + `}]}`,
		"NoAction":   head + `{"e":"se","se_ca":"a",` + common + `}]}`,
		"NoPage":     head + `{"e":"pv",` + common + `}]}`,
		"NotUUID":    head + `{"e":"se","se_ca":"a","se_ac":"b",` + strings.Replace(common, "5a305bf5", "order", 1) + `}]}`,
		"Seconds":    head + `{"e":"se","se_ca":"a","se_ac":"b",` + strings.Replace(common, "1741083330000", "1741083330", 1) + `}]}`,
		"Unknown":    head + `{"e":"se","se_ca":"a","se_ac":"b","mail":"x",` + common + `}]}`,
		"EntityText": head + co + `cart/jsonschema/1-0-0\",\"data\":{\"total_value\":\"7\",\"currency\":\"DKK\"}}]}"}]}`,
		"Decimals":   head + co + `cart/jsonschema/1-0-0\",\"data\":{\"total_value\":7.005,\"currency\":\"DKK\"}}]}"}]}`,
		"Missing":    head + co + `cart/jsonschema/1-0-0\",\"data\":{\"currency\":\"DKK\"}}]}"}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := snowplowtest.New(snowplowtest.Options{})
			require.Equal(t, 200, destinationtest.Post(server, "/com.snowplowanalytics.snowplow/tp2", body, "Content-Type", "application/json").Code)
			good := strings.HasPrefix(name, "Good")
			require.Equal(t, good, server.Counts().Events == 1, server.Refusals())
			require.Equal(t, good, server.Counts().Failed == 0)
		})
	}
}

func FuzzEncode(f *testing.F) {
	for _, name := range append(slices.Clone(destination.Names), "custom:ø x") {
		f.Add(name, "E1", []byte(`{"customer": {"id": "7", "email": "jane.doe@example.com"}, "client": {"page_url": "https://x.example.com/", "page_title": "\u2028<&>", "ip": "::1"},
 "order": {"currency": "DKK", "total": "007.505", "payment_method": "card", "items": [{"sku": "\u0000", "category": "c", "quantity": 0.500, "unit_price": "00.1"}]},
 "cart": {"currency": "DKK", "total": "-1", "items": [{"name": "\ud800"}]}, "product": {"sku": "s", "category": "c", "currency": "DKK", "unit_price": "1"}, "search": {"term": "\"\\\u0007"}, "custom": [1]}`))
	}
	f.Add("order_placed", "", []byte(`null`))
	f.Add("custom:\xff", "\xff", []byte("{\"customer\": {\"id\": \"\xff\"}}"))
	s := newSnowplow(f, snowplow.Options{SendIP: true, Events: map[string]string{"cart_updated": "add_to_cart"}})
	destinationtest.FuzzEncode(f, func(t *testing.T, event destination.Event, item destination.Encoded) {
		require.LessOrEqual(t, len(item.Body), 1_000_000)
		server := snowplowtest.New(snowplowtest.Options{})
		destinationtest.Post(server, "/com.snowplowanalytics.snowplow/tp2",
			`{"schema":"iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4","data":[`+string(item.Body)+`]}`, "Content-Type", "application/json")
		require.Equal(t, snowplowtest.Counts{Requests: 1, Events: 1}, server.Counts(), server.Refusals())
		if event.Payload.Customer != nil && event.Payload.Customer.Email == "jane.doe@example.com" && strings.Count(string(event.Raw), "jane.doe@") == 1 {
			require.NotContains(t, string(item.Body), "jane.doe@")
		}
	}, s)
}
