package klaviyo_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"kvit/config"
	"kvit/destination"
	"kvit/destination/destinationtest"
	"kvit/destination/klaviyo"
	"kvit/destination/klaviyo/klaviyotest"
)

const apiKey = "pk_example"

const janesOrder = `{"customer": {"id": "cust-1042", "email": "jane.doe@example.com", "phone": "+12025550123", "first_name": "Jane", "last_name": "Doe",
  "language": "da-DK", "address": {"lines": ["1 Example Street"], "postal_code": "8000", "city": "Aarhus C", "country": "DK"}},
 "order": {"total": "0749.00", "currency": "DKK", "number": "100042", "tax": "149.80", "shipping": "0", "discount": "10.5", "coupon": "SPRING",
  "items": [{"sku": "SKU-9", "name": "Teapot <large>", "brand": "Acme", "category": "Kitchen", "quantity": 2.0, "unit_price": "299.00"},
            {"sku": "SKU-1", "name": "Cup", "category": "Kitchen", "quantity": 1, "unit_price": "-007.50"}]}}`

func setup(t *testing.T, options klaviyo.Options, fail func(int) klaviyotest.Failure) (*klaviyo.Klaviyo, *klaviyotest.Server) {
	t.Helper()
	server := klaviyotest.New(apiKey, fail)
	return at(t, server, options), server
}

func at(t *testing.T, handler http.Handler, options klaviyo.Options) *klaviyo.Klaviyo {
	t.Helper()
	return newKlaviyo(t, destinationtest.Serve(t, handler), options)
}

func newKlaviyo(t *testing.T, url string, options klaviyo.Options) *klaviyo.Klaviyo {
	t.Helper()
	options.BaseURL, options.APIKey = url, config.NewSecret(apiKey)
	k, err := klaviyo.New(options)
	require.NoError(t, err)
	return k
}

// sent is what an event becomes.
func sent(t *testing.T, options klaviyo.Options, event destination.Event) (path string, body string) {
	t.Helper()
	url, last := destinationtest.Recording(t, http.StatusAccepted, "")
	destinationtest.Deliver(t, newKlaviyo(t, url, options), event)
	return last().Path, last().Body
}

func reason(t *testing.T, options klaviyo.Options, event destination.Event) string {
	t.Helper()
	k, server := setup(t, options, nil)
	known := destinationtest.Fail(t, k, event)
	require.Equal(t, destination.Rejected, known.Kind)
	require.Zero(t, server.Counts().Requests)
	return known.Reason
}

func TestConformance(t *testing.T) {
	t.Parallel()
	for name, changes := range map[string]map[string]string{
		"Default": nil,
		"Metrics": {"newsletter_optin": "Joined Newsletter", "newsletter_optout": "Left Newsletter", "sms_optin": "Joined SMS", "sms_optout": "Left SMS"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			destinationtest.Run(t, destinationtest.Harness{
				New: func(t *testing.T, baseURL string, client destination.ClientOptions) destination.Destination {
					k, err := klaviyo.New(klaviyo.Options{APIKey: config.NewSecret(apiKey), ListID: "Y6nRLr", Events: changes, BaseURL: baseURL, HTTP: client})
					require.NoError(t, err)
					return k
				},
				Success: klaviyotest.New(apiKey, nil).ServeHTTP,
				Statuses: map[int]destination.Kind{
					404: destination.Misconfigured, 405: destination.Misconfigured, 410: destination.Misconfigured,
				},
			})
		})
	}
}

func TestOrderPaid(t *testing.T) {
	t.Parallel()
	event := destinationtest.EventWith(t, "order_paid", janesOrder)
	event.OccurredAt = event.OccurredAt.Add(987 * time.Millisecond)
	path, body := sent(t, klaviyo.Options{}, event)
	require.Equal(t, "/api/events", path)
	require.Equal(t, `{"data":{"type":"event","attributes":{"unique_id":"order_paid:E100042","time":"2025-03-04T10:15:30+00:00",`+
		`"value":749.00,"value_currency":"DKK",`+
		`"properties":{"OrderId":"E100042","OrderNumber":"100042","Tax":149.80,"Shipping":0,"DiscountCode":"SPRING","DiscountValue":10.5,`+
		`"ItemNames":["Cup","Teapot <large>"],"Brands":["Acme"],"Categories":["Kitchen"],`+
		`"Items":[{"SKU":"SKU-9","ProductName":"Teapot <large>","Brand":"Acme","Category":"Kitchen","Quantity":2,"ItemPrice":299.00},`+
		`{"SKU":"SKU-1","ProductName":"Cup","Category":"Kitchen","Quantity":1,"ItemPrice":-7.50}]},`+
		`"metric":{"data":{"type":"metric","attributes":{"name":"Paid Order"}}},`+
		`"profile":{"data":{"type":"profile","attributes":{"email":"jane.doe@example.com","phone_number":"+12025550123","external_id":"cust-1042",`+
		`"first_name":"Jane","last_name":"Doe","locale":"da-DK",`+
		`"location":{"address1":"1 Example Street","city":"Aarhus C","zip":"8000","country":"DK"}}}}}}}`, body)
}

func TestReferenceOfThePayload(t *testing.T) {
	t.Parallel()
	event := destinationtest.EventWith(t, "order_paid", `{"customer": {"id": "1"}, "order": {"ref": "E7", "total": "1"}}`)
	_, body := sent(t, klaviyo.Options{}, event)
	require.Equal(t, "E100042", gjson.Get(body, "data.attributes.properties.OrderId").Str)
	event.OrderRef = ""
	_, body = sent(t, klaviyo.Options{}, event)
	require.Equal(t, "E7", gjson.Get(body, "data.attributes.properties.OrderId").Str)
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	url, last := destinationtest.Recording(t, 200, "")
	destinationtest.Deliver(t, newKlaviyo(t, url, klaviyo.Options{Revision: "2026-04-15"}), destinationtest.Event(t, "order_paid"))
	header := last().Header
	require.Equal(t, "Klaviyo-API-Key pk_example", header.Get("Authorization"))
	require.Equal(t, "2026-04-15", header.Get("revision"))
	require.Equal(t, "application/vnd.api+json", header.Get("Content-Type"))
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	k, server := setup(t, klaviyo.Options{Events: map[string]string{"order_placed": "Bestilling", "page_viewed": "", "custom:quiz": "Quiz Done"}}, nil)
	for event, metric := range map[string]string{
		"order_placed": "Bestilling", "order_shipped": "Fulfilled Order", "order_cancelled": "Cancelled Order", "order_refunded": "Refunded Order",
		"account_created": "Created Account", "account_updated": "Updated Account", "cart_updated": "Added to Cart",
		"checkout_started": "Started Checkout", "product_viewed": "Viewed Product", "search": "Searched Site",
		"custom:quiz": "Quiz Done", "custom:Back in stock": "Back in stock",
		"custom:(subscribe)": "(subscribe)", // a name like another, and no job
	} {
		destinationtest.Deliver(t, k, destinationtest.Event(t, event))
		recorded, ok := server.Event(event + ":E100042")
		require.True(t, ok, event)
		require.Equal(t, metric, recorded.Metric)
	}
	require.NotContains(t, k.Traits().Events, "page_viewed")
	_, err := k.Send(t.Context(), destinationtest.Event(t, "page_viewed"))
	require.EqualError(t, err, "name: is not an event that this destination sends")
}

func TestRepeatIsOneEvent(t *testing.T) {
	t.Parallel()
	k, server := setup(t, klaviyo.Options{}, func(n int) klaviyotest.Failure {
		return klaviyotest.Failure{Reset: n == 1, After: n == 1}
	})
	event := destinationtest.EventWith(t, "order_paid", janesOrder)
	_, err := k.Send(t.Context(), event)
	require.Error(t, err)
	destinationtest.Deliver(t, k, event)
	require.Equal(t, klaviyotest.Counts{Requests: 2, Events: 1, Repeats: 1}, server.Counts())
	recorded, _ := server.Event(event.Key)
	require.Equal(t, 2, recorded.Said)
	require.Equal(t, "749.00", recorded.Value.String())
}

// TestConsents also shows what CountedAgain is for: a subscription lifts what was said before it.
func TestConsents(t *testing.T) {
	t.Parallel()
	k, server := setup(t, klaviyo.Options{ListID: "Y6nRLr"}, nil)
	require.Equal(t, []string{"newsletter_optin", "sms_optin"}, k.Traits().CountedAgain)
	require.Equal(t, []string{"newsletter_optin", "newsletter_optout", "sms_optin", "sms_optout"}, k.Traits().States)
	for _, name := range []string{"newsletter_optin", "newsletter_optout", "newsletter_optin", "sms_optin", "sms_optout"} {
		code, err := k.Send(t.Context(), destinationtest.EventWith(t, name, janesOrder))
		require.NoError(t, err)
		require.Equal(t, http.StatusAccepted, code)
	}
	email, _ := server.Consent("jane.doe@example.com")
	require.Equal(t, klaviyotest.Consent{Word: "SUBSCRIBED", List: "Y6nRLr", Said: []string{"SUBSCRIBED", "UNSUBSCRIBED", "SUBSCRIBED"}}, email)
	phone, _ := server.Consent("+12025550123")
	require.Equal(t, "UNSUBSCRIBED", phone.Word)
	require.Equal(t, 1, server.Counts().Lifted)
	require.Zero(t, server.Counts().Events)
}

func TestConsentBodies(t *testing.T) {
	t.Parallel()
	for event, want := range map[string]struct{ path, body string }{
		"newsletter_optin": {"/api/profile-subscription-bulk-create-jobs",
			`{"data":{"type":"profile-subscription-bulk-create-job","attributes":{"profiles":{"data":[{"type":"profile","attributes":` +
				`{"email":"jane.doe@example.com","subscriptions":{"email":{"marketing":{"consent":"SUBSCRIBED"}}}}}]}},` +
				`"relationships":{"list":{"data":{"type":"list","id":"Y6nRLr"}}}}}`},
		"sms_optin": {"/api/profile-subscription-bulk-create-jobs",
			`{"data":{"type":"profile-subscription-bulk-create-job","attributes":{"profiles":{"data":[{"type":"profile","attributes":` +
				`{"email":"jane.doe@example.com","phone_number":"+12025550123","subscriptions":{"sms":{"marketing":{"consent":"SUBSCRIBED"}}}}}]}},` +
				`"relationships":{"list":{"data":{"type":"list","id":"Y6nRLr"}}}}}`},
		"newsletter_optout": {"/api/profile-subscription-bulk-delete-jobs",
			`{"data":{"type":"profile-subscription-bulk-delete-job","attributes":{"profiles":{"data":[{"type":"profile","attributes":` +
				`{"email":"jane.doe@example.com","subscriptions":{"email":{"marketing":{"consent":"UNSUBSCRIBED"}}}}}]}}}}`},
	} {
		path, body := sent(t, klaviyo.Options{ListID: "Y6nRLr"}, destinationtest.EventWith(t, event, janesOrder))
		require.Equal(t, want.path, path, event)
		require.Equal(t, want.body, body, event)
	}
}

func TestConsentsAsMetrics(t *testing.T) {
	t.Parallel()
	k, server := setup(t, klaviyo.Options{Events: map[string]string{"newsletter_optin": "Joined", "sms_optin": ""}}, nil)
	require.Empty(t, k.Traits().CountedAgain)
	destinationtest.Deliver(t, k, destinationtest.EventWith(t, "newsletter_optin", janesOrder))
	require.Equal(t, 1, server.Counts().Events)
	require.Zero(t, server.Counts().Subscribed)
}

func TestRejections(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ event, payload, reason string }{
		"Nobody":         {"order_paid", `{"order": {"total": "1"}, "client": {"ip": "2001:db8::1"}}`, "customer.email: is required, or customer.phone, customer.id or client.klaviyo_id"},
		"NoCart":         {"checkout_started", `{"customer": {"id": "1"}}`, "cart: is required"},
		"EmptyCart":      {"cart_updated", `{"customer": {"id": "1"}, "cart": {"items": []}}`, "cart.items: is empty, and Klaviyo is only told of what is in a cart"},
		"NoProduct":      {"product_viewed", `{"customer": {"id": "1"}, "product": {"brand": "Acme"}}`, "product.sku: is required, or product.name"},
		"NoTerm":         {"search", `{"customer": {"id": "1"}, "search": {"results": 1}}`, "search.term: is required"},
		"NoPage":         {"page_viewed", `{"client": {"klaviyo_id": "x"}}`, "client.page_url: is required"},
		"OptinNoEmail":   {"newsletter_optin", `{"customer": {"phone": "+12025550123"}}`, "customer.email: is required"},
		"OptinNoPhone":   {"sms_optin", `{"customer": {"email": "a@example.com"}}`, "customer.phone: is required"},
		"Contradiction":  {"newsletter_optin", `{"customer": {"email": "a@example.com"}, "optin": {"email": false}}`, "optin.email: contradicts the name of the event"},
		"Contradiction2": {"sms_optout", `{"customer": {"phone": "+12025550123"}, "optin": {"sms": true}}`, "optin.sms: contradicts the name of the event"},
		"LongText":       {"custom:x", `{"customer": {"id": "1"}, "custom": {"a": [{"b": "` + strings.Repeat("x", 100_001) + `"}]}}`, "payload: must not hold a text longer than 100 kB"},
		"ManyProperties": {"custom:x", `{"customer": {"id": "1"}, "custom": {` + members(401) + `}}`, "custom: must not have more than 400 members"},
		"LongMetric":     {"custom:" + strings.Repeat("ø", 128), `{"customer": {"id": "1"}}`, "name: must be shorter than 128 characters"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.reason, reason(t, klaviyo.Options{}, destinationtest.EventWith(t, test.event, test.payload)))
		})
	}
	old := destinationtest.EventWith(t, "order_paid", janesOrder)
	old.OccurredAt = time.Date(1989, 12, 31, 23, 59, 59, 0, time.UTC)
	require.Equal(t, "occurred_at: must not be before 1990", reason(t, klaviyo.Options{}, old))
	lost := destinationtest.EventWith(t, "order_shipped", `{"customer": {"id": "1"}}`)
	lost.OrderRef = ""
	require.Equal(t, "order_ref: is required, or order.ref", reason(t, klaviyo.Options{}, lost))
}

func members(n int) string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf(`"m%d": %d`, i, i))
	}
	return strings.Join(list, ",")
}

func TestOddPayloads(t *testing.T) {
	t.Parallel()
	huge := strings.TrimSuffix(strings.Repeat(`{"sku":"SKU-9","name":"`+strings.Repeat("n", 150)+`","quantity":1,"unit_price":"1.00"},`, 1000), ",")
	for name, test := range map[string]struct{ event, payload, path, want string }{
		"HugeCart":       {"cart_updated", `{"customer": {"id": "1"}, "cart": {"items": [` + huge + `]}}`, "properties.Items.#", "1000"},
		"ZeroTotal":      {"order_paid", `{"customer": {"id": "1"}, "order": {"total": "000.00", "currency": "DKK"}}`, "value", "0.00"},
		"Refund":         {"order_refunded", `{"customer": {"id": "1"}, "order": {"total": "-749.5000"}}`, "value", "-749.5000"},
		"NoTotal":        {"order_paid", `{"customer": {"id": "1"}}`, "properties.OrderId", "E100042"},
		"NoCurrency":     {"order_paid", `{"customer": {"id": "1"}, "order": {"total": "1"}}`, "value_currency", ""},
		"NoValue":        {"order_shipped", `{"customer": {"id": "1"}, "order": {"currency": "DKK"}}`, "value_currency", ""},
		"PhoneOfNobody":  {"order_shipped", `{"customer": {"email": "jane@example.com", "phone": "+4500000000"}}`, "profile.data.attributes.phone_number", ""},
		"PhoneAlone":     {"order_shipped", `{"customer": {"phone": "+12025550123"}}`, "profile.data.attributes.phone_number", "+12025550123"},
		"ExchangeID":     {"page_viewed", `{"client": {"klaviyo_id": "kx", "page_url": "https://shop.example.com/"}}`, "profile.data.attributes._kx", "kx"},
		"OddLanguage":    {"account_updated", `{"customer": {"id": "1", "language": "danish"}}`, "profile.data.attributes.locale", ""},
		"Unicode":        {"search", `{"customer": {"id": "1"}, "search": {"term": "\u0000\u2028😀\ud800", "results": 0}}`, "properties.ReturnedResults", "0"},
		"CustomMembers":  {"custom:x", `{"customer": {"id": "1"}, "custom": {"a": 1.50, "b": null}}`, "properties.a", "1.50"},
		"CustomNoObject": {"custom:x", `{"customer": {"id": "1"}, "custom": [1]}`, "properties.Custom", "[1]"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			event := destinationtest.EventWith(t, test.event, test.payload)
			k, server := setup(t, klaviyo.Options{}, nil)
			_, err := k.Send(t.Context(), event)
			require.NoError(t, err, server.Refusals())
			_, body := sent(t, klaviyo.Options{}, event)
			found := gjson.Get(body, "data.attributes."+test.path)
			if found.Type == gjson.Number {
				require.Equal(t, test.want, found.Raw)
				return
			}
			require.Equal(t, test.want, found.String())
		})
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	pointer := func(p string) string {
		return `{"errors":[{"code":"invalid","detail":"jane.doe@example.com is wrong"},{"code":"invalid","source":{"pointer":"` + p + `"}}]}`
	}
	for name, test := range map[string]struct {
		status int
		body   string
		kind   destination.Kind
		reason string
	}{
		"Phone":        {400, pointer("/data/attributes/profile/data/attributes/phone_number"), destination.Rejected, "Klaviyo rejected customer.phone"},
		"Job":          {400, pointer("/data/attributes/profiles/data/0/attributes/email"), destination.Rejected, "Klaviyo rejected customer.email"},
		"Elsewhere":    {400, pointer("/jane/email"), destination.Rejected, "the provider rejected the event"},
		"KeyAs400":     {400, `{"errors":[{"code":"not_authenticated"}]}`, destination.Unauthorized, "Klaviyo did not accept the key"},
		"Duplicate":    {409, `{"errors":[{"code":"duplicate_profile"}]}`, destination.Rejected, "the provider rejected the event"},
		"UnknownList":  {404, pointer("/data/relationships/list/data/id"), destination.Misconfigured, "Klaviyo knows no such address or list"},
		"OldRevision":  {410, "", destination.Misconfigured, "Klaviyo no longer knows this revision or address"},
		"Forbidden":    {403, `{"errors":[{"code":"permission_denied"}]}`, destination.Unauthorized, "the provider did not accept the credentials"},
		"NotJSON":      {400, "<html>", destination.Rejected, "the provider rejected the event"},
		"ErrorsNoList": {400, `{"errors":"x"}`, destination.Rejected, "the provider rejected the event"},
		"Throttled":    {429, `{"errors":[{"code":"throttled"}]}`, destination.Throttled, "the provider asked to slow down"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newKlaviyo(t, destinationtest.Answering(t, test.status, test.body), klaviyo.Options{})
			known := destinationtest.Fail(t, k, destinationtest.EventWith(t, "order_paid", janesOrder))
			require.Equal(t, test.kind, known.Kind)
			require.Equal(t, test.reason, known.Reason)
		})
	}
}

func TestProve(t *testing.T) {
	t.Parallel()
	prove := func(status int) (string, error) {
		k, server := setup(t, klaviyo.Options{}, func(int) klaviyotest.Failure { return klaviyotest.Failure{Status: status} })
		defer func() { require.Zero(t, server.Counts().Refused) }()
		return k.Prove(t.Context())
	}
	proved, err := prove(0)
	require.NoError(t, err)
	require.Equal(t, "Klaviyo accepts the key; not proved that it has the scopes for writing", proved)
	proved, err = prove(403)
	require.NoError(t, err)
	require.Contains(t, proved, "accounts:read")
	_, err = prove(401)
	require.EqualError(t, err, "the provider did not accept the credentials (HTTP 401)")
}

// TestFakeIsStrict: each mistake is one that Klaviyo refuses, by what its OpenAPI says.
func TestFakeIsStrict(t *testing.T) {
	t.Parallel()
	good := `{"data":{"type":"event","attributes":{"unique_id":"1","time":"2025-03-04T10:15:30+00:00","value":749.00,"value_currency":"DKK","properties":{},` +
		`"metric":{"data":{"type":"metric","attributes":{"name":"Paid Order"}}},"profile":{"data":{"type":"profile","attributes":{"email":"jane@example.com"}}}}}}`
	status := func(body string) int {
		return destinationtest.Post(klaviyotest.New(apiKey, nil), "/api/events", body, "Authorization", "Klaviyo-API-Key "+apiKey,
			"Revision", klaviyo.DefaultRevision, "Content-Type", "application/vnd.api+json").Code
	}
	require.Equal(t, 202, status(good))
	for from, to := range map[string]string{
		`749.00`: `"749.00"`, `2025-03-04T10:15:30+00:00`: `1741083330`, `"DKK"`: `"kr"`, `"type":"event"`: `"type":"events"`, `"Paid Order"`: `""`,
		`jane@example.com`: `jane`, `"email"`: `"mail"`, `"unique_id":"1",`: ``, `"properties":{},`: ``, `"time"`: `"at":1,"time"`,
	} {
		require.Contains(t, good, from)
		require.Equal(t, 400, status(strings.Replace(good, from, to, 1)), to)
	}
}

func TestWrongKey(t *testing.T) {
	t.Parallel()
	k := at(t, klaviyotest.New("pk_other", nil), klaviyo.Options{})
	require.Equal(t, destination.Unauthorized, destinationtest.Fail(t, k, destinationtest.EventWith(t, "order_paid", janesOrder)).Kind)
}

func TestOptions(t *testing.T) {
	t.Parallel()
	for want, options := range map[string]klaviyo.Options{
		"api_key: is required":                            {},
		"api_key: must be visible ASCII characters":       {APIKey: config.NewSecret("a\nb")},
		"revision: must be a date written YYYY-MM-DD":     {APIKey: config.NewSecret("a"), Revision: "latest"},
		"list_id: is not the id of a list":                {APIKey: config.NewSecret("a"), ListID: "a/b"},
		"base_url: must begin with https://":              {APIKey: config.NewSecret("a"), BaseURL: "http://example.com"},
		"events.order_paidd: is not the name of an event": {APIKey: config.NewSecret("a"), Events: map[string]string{"order_paidd": "X"}},
		"events.order_paid: * is for custom events only":  {APIKey: config.NewSecret("a"), Events: map[string]string{"order_paid": "*"}},
		"events: order_placed and order_paid must not both be a sale, or have the same name, which would count an order twice": {APIKey: config.NewSecret("a"), Events: map[string]string{"order_paid": "Placed Order"}},
		"events.search: must be shorter than 128 characters":                                                                   {APIKey: config.NewSecret("a"), Events: map[string]string{"search": strings.Repeat("x", 128)}},
		"events.sms_optin: leave it out instead, or give it the name of a metric":                                              {APIKey: config.NewSecret("a"), Events: map[string]string{"sms_optin": "(subscribe)"}},
	} {
		_, err := klaviyo.New(options)
		require.EqualError(t, err, want)
	}
}
