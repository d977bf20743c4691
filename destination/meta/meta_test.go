package meta_test

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
	"kvit/destination/meta"
	"kvit/destination/meta/metatest"
)

const (
	dataset = "1234567890"
	token   = "EXAMPLETOKEN"
	janes   = `{"customer": {"id": "cust-1042", "email": "Jane.Doe@Example.com", "phone": "+4512345678", "address": {"country": "DK"}},
 "client": {"ip": "198.51.100.7", "user_agent": "Mozilla/5.0 (X11; Linux x86_64)", "page_url": "https://shop.example.com/receipt?a=1&b=2", "fbp": "fb.1.1741082000000.1098115397"},
 "order": {"currency": "DKK", "total": "749.00", "items": [{"sku": "SKU-9", "quantity": 1, "unit_price": "299.00"}]}}`
)

func options() meta.Options {
	return meta.Options{DatasetID: dataset, AccessToken: config.NewSecret(token)}
}

func at(t testing.TB, url string, options meta.Options) *meta.Meta {
	t.Helper()
	options.BaseURL, options.HTTP.Timeout = url, cmp.Or(options.HTTP.Timeout, time.Minute) // a full request takes long on a busy machine
	m, err := meta.New(options)
	require.NoError(t, err)
	return m
}

// setup is a destination and the stand-in that it sends to.
func setup(t *testing.T, options meta.Options, now func() time.Time) (*meta.Meta, *metatest.Server) {
	t.Helper()
	server := metatest.New(dataset, token, now)
	return at(t, destinationtest.Serve(t, server), options), server
}

// encoded is an event as Meta gets it.
func encoded(t *testing.T, options meta.Options, event destination.Event) (raw string, fields map[string]any) {
	t.Helper()
	raw = destinationtest.Body(t, at(t, "", options), event)
	require.NoError(t, json.Unmarshal([]byte(raw), &fields))
	return raw, fields
}

func TestConformance(t *testing.T) {
	t.Parallel()
	for _, tokenIn := range []string{meta.InBody, meta.InQuery} {
		t.Run(tokenIn, func(t *testing.T) {
			t.Parallel()
			destinationtest.Run(t, destinationtest.Harness{
				New: func(t *testing.T, baseURL string, client destination.ClientOptions) destination.Destination {
					options := options()
					options.HTTP, options.TokenIn, options.LimitedDataUse = client, tokenIn, true
					return at(t, baseURL, options)
				},
				Success:     metatest.New(dataset, token, nil).ServeHTTP,
				ReadsAnswer: true,
				Statuses:    map[int]destination.Kind{404: destination.Misconfigured, 405: destination.Misconfigured},
			})
		})
	}
}

func TestOrderPaid(t *testing.T) {
	t.Parallel()
	raw, _ := encoded(t, options(), destinationtest.EventWith(t, "order_paid", janes))
	require.Equal(t, `{"event_name":"Purchase","event_time":1741083330,"event_id":"order_paid:E100042","action_source":"website",`+
		`"event_source_url":"https://shop.example.com/receipt?a=1&b=2","user_data":{`+
		`"em":["86e0b9e56c17cc4d12387e1949b85053fbe73bc3ce5a1188713a9d300cc6133d"],`+
		`"ph":["ba642551f3be61fa910717f54929ce98d8192daa9de39ab0142da6d43048d8ec"],`+
		`"country":["867b4bf4357a7c0e415ffd537f61ea8785dd47113104000b534a130c98a42ce8"],`+
		`"external_id":["450c8b3c472654f1cbc24258b5e8e3df91ce35ef21636bfd46d687f25b510d5e"],`+
		`"client_ip_address":"198.51.100.7","client_user_agent":"Mozilla/5.0 (X11; Linux x86_64)","fbp":"fb.1.1741082000000.1098115397"},`+
		`"custom_data":{"currency":"DKK","value":749.00,"order_id":"E100042","content_type":"product",`+
		`"contents":[{"id":"SKU-9","quantity":1,"item_price":299.00}]}}`, raw)
}

func TestWhereTheTokenGoes(t *testing.T) {
	t.Parallel()
	for tokenIn, want := range map[string]struct{ address, body string }{
		"":           {"/v25.0/1234567890/events", `{"access_token":"EXAMPLETOKEN","data":[`},
		meta.InQuery: {"/v25.0/1234567890/events?access_token=EXAMPLETOKEN", `{"data":[`},
	} {
		url, last := destinationtest.Recording(t, 200, `{"events_received": 1}`)
		options := options()
		options.TokenIn = tokenIn
		destinationtest.Deliver(t, at(t, url, options), destinationtest.Event(t, "order_paid"))
		require.Equal(t, want.address, last().Path)
		require.True(t, strings.HasPrefix(last().Body, want.body))
		require.True(t, json.Valid([]byte(last().Body)))
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	destinationtest.SentAs(t, at(t, "", options()), "event_name", map[string]string{
		"order_paid": "Purchase", "account_created": "CompleteRegistration", "newsletter_optin": "Subscribe", "sms_optin": "SmsOptin",
		"cart_updated": "AddToCart", "checkout_started": "InitiateCheckout", "product_viewed": "ViewContent", "search": "Search",
		"page_viewed": "PageView", "custom:Purchase": "custom_Purchase", "custom:size guide / opened": "size_guide_opened", "custom:" + strings.Repeat("ø", 60) + strings.Repeat("x", 60): "_" + strings.Repeat("x", 49),
	})
	destinationtest.NotSent(t, at(t, "", options()), "order_placed", "order_shipped", "order_cancelled", "order_refunded", "account_updated", "newsletter_optout", "sms_optout")
}

func TestNamesCanBeChanged(t *testing.T) {
	t.Parallel()
	options := options()
	options.Events = map[string]string{"newsletter_optin": "Lead", "cart_updated": "", "order_shipped": "Shipped", "custom:*": "", "custom:quiz": "Quiz"}
	m := at(t, "", options)
	require.Subset(t, m.Traits().Events, []string{"newsletter_optin", "order_shipped", "custom:quiz"})
	require.NotContains(t, m.Traits().Events, "custom:*")
	destinationtest.SentAs(t, m, "event_name", map[string]string{"newsletter_optin": "Lead", "order_shipped": "Shipped", "custom:quiz": "Quiz"})
	destinationtest.NotSent(t, m, "cart_updated", "custom:other")
}

// TestAddressesHoldNoEmail: Meta takes contact data hashed, and shops put it into links.
func TestAddressesHoldNoEmail(t *testing.T) {
	t.Parallel()
	_, fields := encoded(t, options(), destinationtest.EventWith(t, "page_viewed", `{"client": {"ip": "198.51.100.7", "user_agent": "x",
		"page_url": "https://shop.example.com/?mail=jane%40example.com&a=1", "referrer": "https://shop.example.com/for/jane@example.com"}}`))
	require.Equal(t, "https://shop.example.com/?a=1", fields["event_source_url"])
	require.Equal(t, "https://shop.example.com/for/", fields["referrer_url"])
}

func TestOptions(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*meta.Options){
		"dataset_id: must be the number of a dataset":                          func(o *meta.Options) { o.DatasetID = "12/34" },
		"access_token: is required":                                            func(o *meta.Options) { o.AccessToken = config.Secret{} },
		"token_in: must be body or query":                                      func(o *meta.Options) { o.TokenIn = "header" },
		"api_version: must be a version such as v25.0":                         func(o *meta.Options) { o.APIVersion = "25" },
		"action_source: must be one of website, app":                           func(o *meta.Options) { o.ActionSource = "shop" },
		"base_url: must begin with https://":                                   func(o *meta.Options) { o.BaseURL = "http://graph.example.com" },
		"events.search: must be up to 50 letters, digits and _":                func(o *meta.Options) { o.Events = map[string]string{"search": "Søg"} },
		"events.nothing: is not the name of an event":                          func(o *meta.Options) { o.Events = map[string]string{"nothing": "Search"} },
		"events.order_paid: * is for custom events only":                       func(o *meta.Options) { o.Events = map[string]string{"order_paid": "*"} },
		"events: order_placed and order_paid must not both be a sale, or have": func(o *meta.Options) { o.Events = map[string]string{"order_placed": "Purchase"} },
		"events: order_placed and order_shipped must not both be a sale": func(o *meta.Options) {
			o.Events = map[string]string{"order_placed": "Purchase", "order_shipped": "Purchase", "order_paid": ""}
		},
	} {
		options := options()
		change(&options)
		_, err := meta.New(options)
		require.ErrorContains(t, err, want)
	}
	placed := options()
	placed.Events = map[string]string{"order_placed": "Purchase", "order_paid": ""}
	_, err := meta.New(placed)
	require.NoError(t, err)
}

func TestTraits(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]time.Duration{"": 7 * 24 * time.Hour, "physical_store": 62 * 24 * time.Hour} {
		options := options()
		options.ActionSource = source
		traits := at(t, "", options).Traits()
		require.Equal(t, want, traits.MaxAge)
		require.Equal(t, 48*time.Hour, traits.Window)
		require.Equal(t, 1000, traits.Batch.Events)
		require.Empty(t, traits.CountedAgain)
	}
}

// TestHashes runs the vectors through an event.
func TestHashes(t *testing.T) {
	t.Parallel()
	hash := destination.SHA256Hex
	for name, test := range map[string]struct{ customer, field, want string }{
		"Email":         {`"email": "Jane.Doe@Example.com"`, "em", "86e0b9e56c17cc4d12387e1949b85053fbe73bc3ce5a1188713a9d300cc6133d"},
		"Phone":         {`"phone": "+4512345678"`, "ph", "ba642551f3be61fa910717f54929ce98d8192daa9de39ab0142da6d43048d8ec"},
		"FirstName":     {`"first_name": " Jane "`, "fn", "81f8f6dde88365f3928796ec7aa53f72820b06db8664f5fe76a7eb13e24546a2"},
		"LastName":      {`"last_name": "DOE"`, "ln", "799ef92a11af918e3fb741df42934f3b568ed2d93ac1df74f1b8d41a27932a6f"},
		"HyphenInName":  {`"last_name": "Doe-Smith"`, "ln", hash("doe-smith")},
		"PostalCode":    {`"address": {"postal_code": "8000"}`, "zp", "ad5f9478d603fe97eae2bbff07f76fe7f18610343b5f3bc8e00945ee51b30d2c"},
		"PostalCodeZip": {`"address": {"postal_code": " 94 025-1234"}`, "zp", hash("94025")},
		"Country":       {`"address": {"country": "DK"}`, "country", "867b4bf4357a7c0e415ffd537f61ea8785dd47113104000b534a130c98a42ce8"},
		"City":          {`"address": {"city": "København K"}`, "ct", "8da383bc604b8dc1d42d29de903598df0185dd5e45a179eac007db52238cbe8c"},
		"CityMore":      {`"address": {"city": "St. Ives (2)-West"}`, "ct", hash("stiveswest")},
		"Region":        {`"address": {"region": "CA"}`, "st", hash("ca")},
		"Birthday":      {`"birthday": "1990-05-17"`, "db", hash("19900517")},
		"Gender":        {`"gender": "Female"`, "ge", hash("f")},
		"GenderMale":    {`"gender": "m"`, "ge", hash("m")},
		"GenderOther":   {`"gender": "unknown"`, "ge", ""},
		"ID":            {`"id": "cust-1042"`, "external_id", "450c8b3c472654f1cbc24258b5e8e3df91ce35ef21636bfd46d687f25b510d5e"},
		"IDLikeAHash":   {`"id": "0123456789abcdef0123456789abcdef"`, "external_id", hash("0123456789abcdef0123456789abcdef")},
		"HashedAlready": {`"first_name": "81F8F6DDE88365F3928796EC7AA53F72820B06DB8664F5FE76A7EB13E24546A2"`, "fn", "81f8f6dde88365f3928796ec7aa53f72820b06db8664f5fe76a7eb13e24546a2"},
		"OnlyDigits":    {`"address": {"city": " 12 "}`, "ct", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			event := destinationtest.EventWith(t, "account_created", `{"customer": {`+test.customer+`},
				"client": {"ip": "198.51.100.7", "user_agent": "x", "page_url": "https://shop.example.com/"}}`)
			_, fields := encoded(t, options(), event)
			user := fields["user_data"].(map[string]any)
			if test.want == "" {
				require.NotContains(t, user, test.field)
				return
			}
			require.Equal(t, []any{test.want}, user[test.field])
		})
	}
}

func TestCookiesInAnotherFormAreLeftOut(t *testing.T) {
	t.Parallel()
	_, fields := encoded(t, options(), destinationtest.EventWith(t, "page_viewed",
		`{"customer": {"id": "1"}, "client": {"user_agent": "x", "page_url": "https://shop.example.com/", "fbp": "a b", "fbc": "fb.1.1741082000000.AbC_d-1"}}`))
	user := fields["user_data"].(map[string]any)
	require.NotContains(t, user, "fbp")
	require.Equal(t, "fb.1.1741082000000.AbC_d-1", user["fbc"])
}

func TestRejections(t *testing.T) {
	t.Parallel()
	const client = `"client": {"ip": "198.51.100.7", "user_agent": "x", "page_url": "https://shop.example.com/"}`
	for name, test := range map[string]struct{ event, payload, source, want string }{
		"NoPage":          {"page_viewed", `{"client": {"ip": "198.51.100.7", "user_agent": "x"}}`, "", "client.page_url: is required where action_source is website"},
		"NoWebPage":       {"page_viewed", `{"client": {"page_url": "/receipt", "user_agent": "x"}}`, "", "client.page_url: must begin with https:// or http://"},
		"NoUserAgent":     {"page_viewed", `{"client": {"ip": "198.51.100.7", "page_url": "https://shop.example.com/"}}`, "", "client.user_agent: is required where action_source is website"},
		"Nobody":          {"page_viewed", `{"customer": {"first_name": "Jane", "gender": "female"}, "client": {"user_agent": "x", "page_url": "https://shop.example.com/"}}`, "", "customer.email: is required, or"},
		"NoTotal":         {"order_paid", `{` + client + `, "order": {"currency": "DKK"}}`, "", "order.total: is required with order.currency"},
		"NoCurrency":      {"order_paid", `{` + client + `, "order": {"total": "1.00"}}`, "", "order.total: is required with order.currency"},
		"NoOrder":         {"order_paid", `{` + client + `}`, "", "order.total: is required with order.currency"},
		"Negative":        {"order_paid", `{` + client + `, "order": {"total": "-1.00", "currency": "DKK"}}`, "", "order.total: must not be negative"},
		"EmptyCart":       {"cart_updated", `{` + client + `, "cart": {"items": []}}`, "", "cart.items: must have an item with a sku"},
		"UserInPage":      {"page_viewed", `{"client": {"page_url": "https://a@shop.example.com/", "user_agent": "x"}}`, "", "client.page_url: must begin with https:// or http://, and have no @"},
		"AnotherNeedsOne": {"account_created", `{}`, "system_generated", "customer.email: is required, or"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			options := options()
			options.ActionSource = test.source
			_, rejected := at(t, "", options).Encode(destinationtest.EventWith(t, test.event, test.payload))
			require.NotNil(t, rejected)
			require.Equal(t, destination.Rejected, rejected.Kind)
			require.Contains(t, rejected.Reason, test.want)
		})
	}
}

func TestWithoutABrowser(t *testing.T) {
	t.Parallel()
	options := options()
	options.ActionSource = "system_generated"
	_, fields := encoded(t, options, destinationtest.EventWith(t, "order_paid", `{"customer": {"email": "a@example.com"}, "order": {"total": "0", "currency": "DKK"}}`))
	require.Equal(t, "system_generated", fields["action_source"])
	require.NotContains(t, fields, "event_source_url")
	require.InDelta(t, 0, fields["custom_data"].(map[string]any)["value"], 0)
}

func TestLimitedDataUse(t *testing.T) {
	t.Parallel()
	options := options()
	raw, _ := encoded(t, options, destinationtest.Event(t, "page_viewed"))
	require.NotContains(t, raw, "data_processing")
	options.LimitedDataUse = true
	raw, _ = encoded(t, options, destinationtest.Event(t, "page_viewed"))
	require.Contains(t, raw, `"data_processing_options":["LDU"],"data_processing_options_country":0,"data_processing_options_state":0`)
}

func TestWhatItIsAbout(t *testing.T) {
	t.Parallel()
	const item = `"content_type":"product","contents":[{"id":"SKU-9","quantity":%s,"item_price":299.00,"title":"Qmarker"%s}]`
	more := `,"brand":"Qmarker","category":"Qmarker"`
	for name, want := range map[string]string{
		"order_paid":       `{"currency":"DKK","value":749.00,"order_id":"E100042",` + fmt.Sprintf(item, "2", more) + `}`,
		"cart_updated":     `{"currency":"DKK","value":299.00,` + fmt.Sprintf(item, "1", "") + `}`,
		"checkout_started": `{"currency":"DKK","value":299.00,` + fmt.Sprintf(item, "1", "") + `}`,
		"product_viewed":   `{"currency":"DKK","value":299.00,` + fmt.Sprintf(item, "1", more) + `,"content_name":"Qmarker","content_category":"Qmarker"}`,
		"search":           `{"search_string":"Qmarker"}`,
		"custom:example":   `{"currency":"DKK","value":749.00,"order_id":"E100042",` + fmt.Sprintf(item, "2", more) + `}`,
		"account_created":  "",
		"page_viewed":      "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body := destinationtest.Body(t, at(t, "", options()), destinationtest.Event(t, name))
			require.Equal(t, want, gjson.Get(body, "custom_data").Raw)
		})
	}
}

func TestOddItems(t *testing.T) {
	t.Parallel()
	items := destinationtest.Lines(1000, `{"sku": "S%d", "quantity": 2.50, "unit_price": "007.50"}`)
	m, server := setup(t, options(), nil)
	event := destinationtest.EventWith(t, "order_paid", `{"client": {"ip": "198.51.100.7", "user_agent": "<x>", "page_url": "https://shop.example.com/"},
		"order": {"currency": "DKK", "total": "0010.0", "items": [{"name": "no sku"},`+items+`]}}`)
	destinationtest.Deliver(t, m, event)
	body, ok := server.Event("Purchase", event.Key)
	require.True(t, ok)
	require.Contains(t, string(body), `"value":10.0,`)
	require.Contains(t, string(body), `"contents":[{"id":"S0","item_price":7.50},`)
	require.Equal(t, 1000, strings.Count(string(body), `"id":"S`))
}

func TestRepeatsCountOnce(t *testing.T) {
	t.Parallel()
	now := time.Date(2025, 3, 5, 0, 0, 0, 0, time.UTC)
	m, server := setup(t, options(), func() time.Time { return now })
	for range 3 {
		destinationtest.Deliver(t, m, destinationtest.Event(t, "order_paid"))
	}
	require.Equal(t, metatest.Counts{Requests: 3, Events: 1, Repeats: 2}, server.Counts())
}

// TestOneBadEventRefusesAll shows what the caller's halves are for: an event that is too old.
func TestOneBadEventRefusesAll(t *testing.T) {
	t.Parallel()
	now := time.Date(2025, 3, 11, 10, 0, 0, 0, time.UTC)
	m, server := setup(t, options(), func() time.Time { return now })
	require.EqualError(t, destinationtest.OneRefusesAll(t, m, now), "Meta rejected the event (error 100, subcode 2804003) (HTTP 400)")
	require.Equal(t, metatest.Counts{Requests: 2, Refused: 1, Events: 1}, server.Counts())
	require.Equal(t, []string{"event_time: is too far back, or in the future"}, server.Refusals())
}

func TestSendTest(t *testing.T) {
	t.Parallel()
	without, unasked := setup(t, options(), nil)
	coded := options()
	coded.TestEventCode = "TEST123"
	with, server := setup(t, coded, nil)
	destinationtest.SendTests(t, without, with, func() int { return server.Counts().Tests }, "client.page_url")
	require.Zero(t, unasked.Counts().Requests)
}

func TestWrongToken(t *testing.T) {
	t.Parallel()
	options := options()
	options.AccessToken = config.NewSecret("other")
	m, _ := setup(t, options, nil)
	require.Equal(t, destination.Unauthorized, destinationtest.Fail(t, m, destinationtest.Event(t, "order_paid")).Kind)
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	fault := func(rest string) string { return `{"error": {"message": "Qmarker", "fbtrace_id": "A", ` + rest + `}}` }
	for name, test := range map[string]struct {
		status int
		body   string
		want   destination.Kind
		reason string
	}{
		"Token":             {400, fault(`"code": 190, "error_subcode": 463`), destination.Unauthorized, "(error 190, subcode 463)"},
		"TokenAndTransient": {400, fault(`"code": 190, "is_transient": true`), destination.Unauthorized, "(error 190)"},
		"Permission":        {400, fault(`"code": 10`), destination.Unauthorized, "(error 10)"},
		"Permission200":     {400, fault(`"code": 200`), destination.Unauthorized, ""},
		"Permission299":     {403, fault(`"code": 299`), destination.Unauthorized, ""},
		"NoPermission300":   {400, fault(`"code": 300`), destination.Rejected, "(error 300)"},
		"Rate4":             {400, fault(`"code": 4, "is_transient": true`), destination.Throttled, "(error 4)"},
		"Rate4As403":        {403, fault(`"code": 4`), destination.Throttled, ""},
		"Rate17":            {400, fault(`"code": 17`), destination.Throttled, ""},
		"Rate32":            {400, fault(`"code": 32`), destination.Throttled, ""},
		"Rate613":           {400, fault(`"code": 613`), destination.Throttled, ""},
		"Rate80000":         {400, fault(`"code": 80000`), destination.Throttled, ""},
		"Rate80014":         {400, fault(`"code": 80014`), destination.Throttled, ""},
		"NoRate80015":       {400, fault(`"code": 80015`), destination.Rejected, ""},
		"Passing1":          {500, fault(`"code": 1`), destination.Ambiguous, "(error 1)"},
		"Passing2":          {400, fault(`"code": 2`), destination.Ambiguous, ""},
		"Transient":         {400, fault(`"code": 100, "is_transient": true`), destination.Ambiguous, "(error 100)"},
		"TransientText":     {400, fault(`"code": 100, "is_transient": "true"`), destination.Rejected, ""},
		"Parameter":         {400, fault(`"code": 100`), destination.Rejected, "(error 100)"},
		"ParameterAs500":    {500, fault(`"code": 100, "error_subcode": 2804003`), destination.Rejected, ""},
		"Subcode":           {400, fault(`"code": 5, "error_subcode": 2804050`), destination.Rejected, "subcode 2804050"},
		"NoSuchDataset":     {400, fault(`"code": 100, "error_subcode": 33`), destination.Misconfigured, "dataset"},
		"ErrorIn200":        {200, fault(`"code": 5`), destination.Rejected, "(error 5)"},
		"TokenIn200":        {200, fault(`"code": 190`), destination.Unauthorized, ""},
		"CodeIsText":        {400, fault(`"code": "190"`), destination.Rejected, ""},
		"CodeIsHuge":        {400, fault(`"code": 1e300`), destination.Rejected, ""},
		"All":               {200, `{"events_received": 3, "messages": []}`, 0, ""},
		"More":              {200, `{"events_received": 4}`, 0, ""},
		"Fewer":             {200, `{"events_received": 2}`, destination.Rejected, "fewer events"},
		"None":              {200, `{"events_received": 0}`, destination.Rejected, "fewer events"},
		"NoNumber":          {200, `{"messages": []}`, destination.Ambiguous, "does not say"},
		"NotMeta":           {200, "<html>", destination.Ambiguous, "not Meta's"},
		"Empty":             {204, "", destination.Ambiguous, "not Meta's"},
		"Redirect":          {302, "", destination.Misconfigured, ""},
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
	m, server := setup(t, options, time.Now)
	require.Equal(t, destinationtest.SendEveryTest(t, m), server.Counts().Tests)
}

func TestAFullRequest(t *testing.T) {
	t.Parallel()
	m, server := setup(t, options(), nil)
	destinationtest.FullRequest(t, m, "page_viewed")
	require.Equal(t, metatest.Counts{Requests: 1, Events: 1000}, server.Counts())
}
