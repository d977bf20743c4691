package pinterest_test

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
	"kvit/destination/pinterest"
	"kvit/destination/pinterest/pinteresttest"
)

const (
	account = "549755885175"
	token   = "pina_example"
)

func newPinterest(t *testing.T, baseURL string, change func(*pinterest.Options)) *pinterest.Pinterest {
	t.Helper()
	options := pinterest.Options{AdAccountID: account, Token: config.NewSecret(token), BaseURL: baseURL + "/v5"}
	if change != nil {
		change(&options)
	}
	options.HTTP.Timeout = cmp.Or(options.HTTP.Timeout, time.Minute) // a full request takes long on a busy machine
	p, err := pinterest.New(options)
	require.NoError(t, err)
	return p
}

// setup is a destination and the ad account that it sends to.
func setup(t *testing.T, now func() time.Time) (*pinterest.Pinterest, *pinteresttest.Server) {
	t.Helper()
	server := pinteresttest.New(account, token, now)
	return newPinterest(t, destinationtest.Serve(t, server), nil), server
}

// answering is a Pinterest that always gives the same answer.
func answering(t *testing.T, status int, body string) *pinterest.Pinterest {
	t.Helper()
	return newPinterest(t, destinationtest.Answering(t, status, body), nil)
}

func encode(t *testing.T, event destination.Event) string {
	t.Helper()
	item := destinationtest.Encode(t, newPinterest(t, "https://api.example.com", nil), event)[0]
	require.Empty(t, item.Group)
	return string(item.Body)
}

func TestConformance(t *testing.T) {
	t.Parallel()
	server := pinteresttest.New(account, token, nil)
	destinationtest.Run(t, destinationtest.Harness{
		New: func(t *testing.T, baseURL string, options destination.ClientOptions) destination.Destination {
			return newPinterest(t, baseURL, func(o *pinterest.Options) { o.HTTP = options })
		},
		Success:     server.ServeHTTP,
		ReadsAnswer: true,
		Statuses:    map[int]destination.Kind{404: destination.Misconfigured, 405: destination.Misconfigured},
	})
}

func TestOrderPaid(t *testing.T) {
	t.Parallel()
	payload := `{"customer": {"id": "cust-1042", "email": "Jane.Doe@Example.com", "phone": "+4512345678", "first_name": "Jane", "last_name": " Doe ",
	  "gender": "female", "birthday": "1990-05-17", "language": "da-DK",
	  "address": {"postal_code": "8000", "city": "København K", "region": "CA", "country": "DK"}},
	 "client": {"ip": "2001:db8::1", "user_agent": "Example/1.0", "page_url": "https://shop.example.com/thanks", "epik": "dj0yJnU9"},
	 "order": {"ref": "other", "currency": "DKK", "total": "0749.00", "items": [
	  {"sku": "SKU-9", "name": "Coat", "brand": "North", "category": "Coats", "quantity": 2, "unit_price": "299.00"},
	  {"sku": "SKU-10", "quantity": 1.00, "unit_price": "151.00"}]}}`
	require.Equal(t, `{"event_name":"checkout","action_source":"web","event_time":1741083330,"event_id":"order_paid:E100042",`+
		`"event_source_url":"https://shop.example.com/thanks","language":"da","user_data":{`+
		`"em":["86e0b9e56c17cc4d12387e1949b85053fbe73bc3ce5a1188713a9d300cc6133d"],`+
		`"ph":["ba642551f3be61fa910717f54929ce98d8192daa9de39ab0142da6d43048d8ec"],`+
		`"ge":["252f10c83610ebca1a059c0bae8255eba2f95be4d1d7bcfa89d7248a82d9f111"],`+
		`"db":["`+destination.SHA256Hex("19900517")+`"],`+
		`"ln":["799ef92a11af918e3fb741df42934f3b568ed2d93ac1df74f1b8d41a27932a6f"],`+
		`"fn":["81f8f6dde88365f3928796ec7aa53f72820b06db8664f5fe76a7eb13e24546a2"],`+
		`"ct":["8da383bc604b8dc1d42d29de903598df0185dd5e45a179eac007db52238cbe8c"],`+
		`"st":["`+destination.SHA256Hex("ca")+`"],`+
		`"zp":["ad5f9478d603fe97eae2bbff07f76fe7f18610343b5f3bc8e00945ee51b30d2c"],`+
		`"country":["867b4bf4357a7c0e415ffd537f61ea8785dd47113104000b534a130c98a42ce8"],`+
		`"external_id":["`+destination.SHA256Hex("cust-1042")+`"],`+
		`"client_ip_address":"2001:db8::1","client_user_agent":"Example/1.0","click_id":"dj0yJnU9"},`+
		`"custom_data":{"currency":"DKK","value":"749.00","content_ids":["SKU-9","SKU-10"],"contents":[`+
		`{"id":"SKU-9","item_price":"299.00","quantity":2,"item_name":"Coat","item_category":"Coats","item_brand":"North"},`+
		`{"id":"SKU-10","item_price":"151.00","quantity":1}],"num_items":3,"order_id":"E100042"}}`,
		encode(t, destinationtest.EventWith(t, "order_paid", payload)))
}

// TestUserDataForms shows what is hashed of what the shop wrote; an empty want is left out.
func TestUserDataForms(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ customer, field, want string }{
		"FirstName":         {`"first_name": " JANE "`, "fn", "jane"},
		"LastName":          {`"last_name": "O'Neill-Østergård"`, "ln", "o'neill-østergård"},
		"GenderMale":        {`"gender": "M"`, "ge", "m"},
		"GenderNonBinary":   {`"gender": "Non-binary"`, "ge", "n"},
		"GenderUnknown":     {`"gender": "yes"`, "ge", ""},
		"City":              {`"address": {"city": "St. John's (N.L.)"}`, "ct", "stjohnsnl"},
		"State":             {`"address": {"region": " NY"}`, "st", "ny"},
		"StateName":         {`"address": {"region": "Hovedstaden"}`, "st", ""},
		"StateDigits":       {`"address": {"region": "84"}`, "st", ""},
		"Zip":               {`"address": {"postal_code": "1000-205"}`, "zp", "1000205"},
		"ZipWithLetters":    {`"address": {"postal_code": "SW1A 1AA"}`, "zp", ""},
		"ZipEmpty":          {`"address": {"postal_code": " - "}`, "zp", ""},
		"ExternalIDAsGiven": {`"id": "Cust-7"`, "external_id", "Cust-7"},
		"NameOfBlanks":      {`"first_name": "   "`, "fn", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body := encode(t, destinationtest.EventWith(t, "search", `{"customer": {"email": "a@example.com", `+test.customer+`}}`))
			want := ""
			if test.want != "" {
				want = destination.SHA256Hex(test.want)
			}
			require.Equal(t, want, gjson.Get(body, "user_data."+test.field+".0").String())
		})
	}
}

func TestNeededUserData(t *testing.T) {
	t.Parallel()
	for payload, taken := range map[string]bool{
		`{"customer": {"email": "a@example.com"}}`:                 true,
		`{"client": {"ip": "192.0.2.7", "user_agent": "x"}}`:       true,
		`{"client": {"ip": "192.0.2.7"}}`:                          false,
		`{"client": {"user_agent": "x", "epik": "y"}}`:             false,
		`{"customer": {"phone": "+4512345678", "id": "1"}}`:        false,
		`{"customer": {"email": ""}, "client": {"ip": ""}}`:        false,
		`{"customer": {"email": "a@example.com"}, "client": null}`: true,
	} {
		_, rejected := newPinterest(t, "https://api.example.com", nil).Encode(destinationtest.EventWith(t, "page_viewed", payload))
		require.Equal(t, taken, rejected == nil, payload)
		if !taken {
			require.Equal(t, "customer.email: is required, unless there are client.ip and client.user_agent", rejected.Reason)
		}
	}
}

// TestCustomData shows what an event is about, with an empty want for one about the visitor alone.
func TestCustomData(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ event, payload, want string }{
		"Cart": {"cart_updated", `"cart": {"id": "7", "currency": "DKK", "total": "10", "items": [{"sku": "A", "quantity": 1, "unit_price": "010.00"}]}`,
			`{"currency":"DKK","value":"10","content_ids":["A"],"contents":[{"id":"A","item_price":"10.00","quantity":1}],"num_items":1}`},
		"EmptyCart": {"checkout_started", `"cart": {"items": []}`, `{}`},
		"NoCart":    {"checkout_started", `"order": {"total": "1"}`, ``},
		"HalfAMetre": {"cart_updated", `"cart": {"items": [{"sku": "A", "quantity": 2}, {"sku": "B", "quantity": 0.5}]}`,
			`{"content_ids":["A","B"],"contents":[{"id":"A","quantity":2},{"id":"B"}]}`},
		"PriceWithoutCurrency": {"order_paid", `"order": {"items": [{"name": "x", "unit_price": "5"}]}`,
			`{"contents":[{"item_name":"x"}],"order_id":"E100042"}`},
		"NoOrder":   {"order_paid", `"cart": {"total": "1"}`, `{"order_id":"E100042"}`},
		"ZeroTotal": {"order_paid", `"order": {"currency": "DKK", "total": "0.00"}`, `{"currency":"DKK","value":"0.00","order_id":"E100042"}`},
		"Negative":  {"order_paid", `"order": {"currency": "DKK", "total": "-12.50"}`, `{"currency":"DKK","value":"-12.50","order_id":"E100042"}`},
		"Product": {"product_viewed", `"product": {"sku": "A", "name": "Coat", "category": "Coats", "brand": "North", "currency": "DKK", "unit_price": "299"}`,
			`{"currency":"DKK","content_ids":["A"],"contents":[{"id":"A","item_price":"299","item_name":"Coat","item_category":"Coats","item_brand":"North"}],` +
				`"content_name":"Coat","content_category":"Coats","content_brand":"North"}`},
		"Search":      {"search", `"search": {"term": "høj <hat>"}`, `{"search_string":"høj <hat>"}`},
		"EmptySearch": {"search", `"search": {"term": ""}`, ``},
		"Page":        {"page_viewed", `"order": {"total": "1"}`, ``},
		"Custom":      {"custom:vip", `"order": {"total": "1"}, "custom": {"secret": 1}`, ``},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body := encode(t, destinationtest.EventWith(t, test.event, `{"customer": {"email": "a@example.com"}, `+test.payload+`}`))
			got := gjson.Get(body, "custom_data").Raw
			if test.want == "" {
				require.Empty(t, got)
				return
			}
			require.JSONEq(t, test.want, got)
		})
	}
}

func TestEmptyCartIsNoAddition(t *testing.T) {
	t.Parallel()
	p := newPinterest(t, "https://api.example.com", nil)
	const empty = `{"customer": {"email": "a@example.com"}, "cart": {"items": []}}`
	_, rejected := p.Encode(destinationtest.EventWith(t, "cart_updated", empty))
	require.Equal(t, destination.Reject("cart.items: is empty, and nothing was added to the cart"), rejected)
	_, rejected = p.Encode(destinationtest.EventWith(t, "checkout_started", empty))
	require.Nil(t, rejected)
}

func TestAddressHoldsNoEmail(t *testing.T) {
	t.Parallel()
	body := encode(t, destinationtest.EventWith(t, "page_viewed", `{"client": {"ip": "192.0.2.7", "user_agent": "x", "page_url": "https://shop.example.com/?mail=a%40example.com&b=1"}}`))
	require.Equal(t, "https://shop.example.com/?b=1", gjson.Get(body, "event_source_url").String())
}

func TestAmountWithoutCurrency(t *testing.T) {
	t.Parallel()
	p := newPinterest(t, "https://api.example.com", nil)
	for object, event := range map[string]string{"order": "order_paid", "cart": "cart_updated"} {
		item, rejected := p.Encode(destinationtest.EventWith(t, event, `{"customer": {"email": "a@example.com"}, "`+object+`": {"total": "749.00"}}`))
		require.Nil(t, rejected)
		require.NotContains(t, string(item.Body), "749")
	}
}

func TestMapping(t *testing.T) {
	t.Parallel()
	p := newPinterest(t, "https://api.example.com", func(o *pinterest.Options) {
		o.Events = map[string]string{"order_paid": "", "order_placed": "checkout", "newsletter_optin": "subscribe", "custom:booking": "schedule", "custom:*": ""}
	})
	require.Equal(t, []string{
		"order_placed", "account_created", "newsletter_optin", "sms_optin",
		"cart_updated", "checkout_started", "product_viewed", "search", "page_viewed", "wishlist_item_added", "list_viewed", "payment_info_given", "custom:booking",
	}, p.Traits().Events)
	destinationtest.SentAs(t, p, "event_name", map[string]string{"order_placed": "checkout", "newsletter_optin": "subscribe", "custom:booking": "schedule"})
	destinationtest.NotSent(t, p, "order_paid", "order_shipped", "custom:other")
}

// TestPartlyRefunded: an operator who has it sent gets the order with it, as of any event about one.
func TestPartlyRefunded(t *testing.T) {
	t.Parallel()
	p := newPinterest(t, "https://api.example.com", func(o *pinterest.Options) {
		o.Events = map[string]string{"order_partly_refunded": "custom"}
	})
	item, rejected := p.Encode(destinationtest.EventWith(t, "order_partly_refunded", `{"customer": {"email": "a@example.com"}, "order": {"currency": "DKK", "total": "5"}}`))
	require.Nil(t, rejected)
	require.JSONEq(t, `{"currency":"DKK","value":"5","order_id":"E100042"}`, gjson.GetBytes(item.Body, "custom_data").Raw)
	_, rejected = p.Encode(destinationtest.EventWith(t, "order_partly_refunded", `{"customer": {"email": "a@example.com"}, "order": {"currency": "DKK", "total": "much"}}`))
	require.Equal(t, destination.Reject("order.total: no amount with at most 12 digits before the point"), rejected)
}

func TestTraits(t *testing.T) {
	t.Parallel()
	traits := newPinterest(t, "https://api.example.com", nil).Traits()
	require.Equal(t, time.Hour, traits.Window)
	require.Equal(t, 1000, traits.Batch.Events)
	require.Equal(t, []string{
		"order_paid", "account_created", "newsletter_optin", "sms_optin", "cart_updated", "checkout_started",
		"product_viewed", "search", "page_viewed", "wishlist_item_added", "list_viewed", "payment_info_given", "custom:*",
	}, traits.Events)
}

func TestNewNamesTheWrongOption(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*pinterest.Options){
		"ad_account_id: must be at most 18 digits":         func(o *pinterest.Options) { o.AdAccountID = "" },
		"ad_account_id: must be at most 18 digits ":        func(o *pinterest.Options) { o.AdAccountID = "1/../2" },
		"ad_account_id: must be at most 18 digits  ":       func(o *pinterest.Options) { o.AdAccountID = strings.Repeat("1", 19) },
		"token: is required, in visible ASCII characters":  func(o *pinterest.Options) { o.Token = config.Secret{} },
		"token: is required, in visible ASCII characters ": func(o *pinterest.Options) { o.Token = config.NewSecret("a\nb") },
		"events: order_placed and order_paid must not both be a sale, or have the same name, which would count an order twice": func(o *pinterest.Options) {
			o.Events = map[string]string{"order_placed": "checkout"}
		},
		"base_url: must begin with https://":                                func(o *pinterest.Options) { o.BaseURL = "http://api.example.com" },
		"events.search: is not a name that Pinterest knows":                 func(o *pinterest.Options) { o.Events = map[string]string{"search": "Search"} },
		"events: a custom event's own name is not one that Pinterest knows": func(o *pinterest.Options) { o.Events = map[string]string{"custom:*": destination.OwnName} },
		"events.order_paid: is not a name that Pinterest knows ":            func(o *pinterest.Options) { o.Events = map[string]string{"order_paid": "Purchase"} },
	} {
		options := pinterest.Options{AdAccountID: account, Token: config.NewSecret(token)}
		change(&options)
		_, err := pinterest.New(options)
		require.EqualError(t, err, strings.TrimSpace(want))
	}
	_, err := pinterest.New(pinterest.Options{AdAccountID: account, Token: config.NewSecret(token)})
	require.NoError(t, err)
}

func TestPartialAnswer(t *testing.T) {
	t.Parallel()
	p, server := setup(t, nil)
	server.FailFor("search:1")
	results, failed := p.SendBatch(t.Context(), destinationtest.Items(t, p, "search", 3))
	require.Nil(t, failed)
	require.Equal(t, []destination.Result{
		{Code: 422},
		{Code: 422, Err: &destination.Error{Kind: destination.Rejected, Code: 422, Reason: "Pinterest could not process the event"}},
		{Code: 422},
	}, results)
	require.Equal(t, pinteresttest.Counts{Requests: 1, Failed: 1, Events: 2}, server.Counts())
}

// TestWordyAnswer: the list for a full request is read to its end although each event has all members of
// the schema. Those beyond would be sent again, and count twice if they are more than an hour old.
func TestWordyAnswer(t *testing.T) {
	t.Parallel()
	list := strings.Repeat(`{"status":"processed","error_message":null,"warning_message":"Hashed country is missing, or does not match a country."},`, 999)
	p := answering(t, 200, `{"num_events_received":1000,"num_events_processed":1000,"events":[`+list+`{"status":"processed"}]}`)
	results, failed := p.SendBatch(t.Context(), destinationtest.Items(t, p, "search", 1000))
	require.Nil(t, failed)
	for _, result := range results {
		require.Nil(t, result.Err)
	}
}

// TestAnswers is what follows for a request of two events: an error for it as a whole, or one for
// each event.
func TestAnswers(t *testing.T) {
	t.Parallel()
	taken, rejected, unclear := destination.Kind(0), destination.Rejected, destination.Ambiguous
	long := strings.Repeat("x", 256<<10)
	for name, test := range map[string]struct {
		status int
		body   string
		whole  destination.Kind
		each   []destination.Kind
		reason string // of the last error
	}{
		"Processed":      {200, `{"num_events_received":2,"num_events_processed":2,"events":[{"status":"processed","warning_message":"x"},{"status":"processed"}]}`, 0, []destination.Kind{taken, taken}, ""},
		"FailedIn200":    {200, `{"events":[{"status":"failed","error_message":"x"},{"status":"processed"}]}`, 0, []destination.Kind{rejected, taken}, "Pinterest could not process the event"},
		"EventsIn422":    {422, `{"code":1,"message":"x","events":[{"status":"processed"},{"status":"failed"}]}`, 0, []destination.Kind{taken, rejected}, "Pinterest could not process the event"},
		"UnknownStatus":  {200, `{"events":[{"status":"queued"},{"status":"processed"}]}`, 0, []destination.Kind{unclear, taken}, "the answer does not say what became of the event"},
		"TooLong":        {200, `{"events":[{"status":"processed"},{"status":"failed","error_message":"` + long, 0, []destination.Kind{taken, rejected}, "Pinterest could not process the event"},
		"TooLongFirst":   {200, `{"events":[{"status":"processed","warning_message":"` + long, 0, []destination.Kind{taken, unclear}, "the answer does not say what became of the event"},
		"OneForTwo":      {200, `{"events":[{"status":"processed"}]}`, unclear, nil, "the answer does not say what became of the events"},
		"ThreeForTwo":    {200, `{"events":[{"status":"processed"},{"status":"processed"},{"status":"processed"}]}`, unclear, nil, "the answer does not say what became of the events"},
		"NoEvents":       {200, `{"num_events_received":2,"num_events_processed":2}`, unclear, nil, "the answer does not say what became of the events"},
		"Page":           {200, `<html>`, unclear, nil, "the answer does not say what became of the events"},
		"LimitIn200":     {200, `{"code":8,"message":"x"}`, destination.Throttled, nil, "the provider asked to slow down, code 8"},
		"NoEventsIn422":  {422, `{"code":1,"message":"x","details":{}}`, rejected, nil, "the provider rejected the event, code 1"},
		"OneForTwoIn422": {422, `{"code":1,"details":{"events":[{"status":"processed"}]}}`, rejected, nil, "the provider rejected the event, code 1"},
		"Invalid":        {400, `{"code":4196,"message":"x"}`, rejected, nil, "the provider rejected the event, code 4196"},
		"StrangeCode":    {400, `{"code":4512345678}`, rejected, nil, "the provider rejected the event"},
		"TokenIn400":     {400, `{"code":2}`, destination.Unauthorized, nil, "the provider did not accept the credentials, code 2"},
		"NotPermitted":   {403, `{"code":29}`, destination.Unauthorized, nil, "the provider did not accept the credentials, code 29"},
		"Limit":          {429, `{"code":8}`, destination.Throttled, nil, "the provider asked to slow down, code 8"},
		"RampedDown":     {503, `{"code":4197}`, destination.Throttled, nil, "the provider asked to slow down, code 4197"},
		"Unavailable":    {503, ``, unclear, nil, "the provider had an error of its own"},
		"ErrorOfItsOwn":  {500, `{"code":8}`, unclear, nil, "the provider had an error of its own"},
		"WrongAddress":   {404, `{"code":1}`, destination.Misconfigured, nil, "Pinterest has nothing at this address: check ad_account_id and base_url"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := func(url string) destination.Batcher { return newPinterest(t, url, nil) }
			destinationtest.AnswerForEach(t, at, test.status, test.body, test.whole, test.each, test.reason)
		})
	}
}

func TestRepeatsAreCountedOnce(t *testing.T) {
	t.Parallel()
	at := destinationtest.Event(t, "search").OccurredAt
	for late, want := range map[time.Duration]pinteresttest.Counts{
		time.Minute:   {Requests: 2, Events: 3, Repeats: 3},
		2 * time.Hour: {Requests: 2, Events: 3, Twice: 3}, // why Traits.Window is what it is
	} {
		p, server := setup(t, func() time.Time { return at.Add(late) })
		for range 2 {
			_, failed := p.SendBatch(t.Context(), destinationtest.Items(t, p, "search", 3))
			require.Nil(t, failed)
		}
		require.Equal(t, want, server.Counts())
	}
}

func TestBatchOfAThousand(t *testing.T) {
	t.Parallel()
	p, server := setup(t, nil)
	destinationtest.FullRequest(t, p, "search")
	require.Equal(t, pinteresttest.Counts{Requests: 1, Events: 1000}, server.Counts())
}

func TestLargeCart(t *testing.T) {
	t.Parallel()
	lines := destinationtest.Lines(1000, `{"sku": "SKU-%[1]d", "name": "Coat \u003c&%[1]d", "quantity": 999999999, "unit_price": "999999999999.9999"}`)
	p, server := setup(t, nil)
	event := destinationtest.EventWith(t, "cart_updated", `{"customer": {"email": "a@example.com"}, "cart": {"currency": "DKK", "items": [`+lines+`]}}`)
	destinationtest.Deliver(t, p, event)
	counted, ok := server.Event(event.Key)
	require.True(t, ok)
	require.Len(t, counted.CustomData.Contents, 1000)
	require.EqualValues(t, 999999999000, counted.CustomData.NumItems)
}

func TestSendTestIsNotRecorded(t *testing.T) {
	t.Parallel()
	p, server := setup(t, nil)
	code, err := p.SendTest(t.Context(), destinationtest.Event(t, "order_paid"))
	require.NoError(t, err)
	require.Equal(t, 200, code)
	require.Equal(t, pinteresttest.Counts{Requests: 1, Tests: 1}, server.Counts())
}

func TestProve(t *testing.T) {
	t.Parallel()
	p, server := setup(t, time.Now)
	proved, err := p.Prove(t.Context())
	require.NoError(t, err)
	require.Equal(t, "the token may send events to this ad account; Pinterest checked one and recorded nothing", proved)
	require.Equal(t, pinteresttest.Counts{Requests: 1, Tests: 1}, server.Counts())
	for want, change := range map[string]func(*pinterest.Options){
		"the provider did not accept the credentials, code 2 (HTTP 401)":  func(o *pinterest.Options) { o.Token = config.NewSecret("other") },
		"the provider did not accept the credentials, code 29 (HTTP 403)": func(o *pinterest.Options) { o.AdAccountID = "1" },
	} {
		_, err := newPinterest(t, destinationtest.Serve(t, server), change).Prove(t.Context())
		require.EqualError(t, err, want)
	}
	server.FailFor("kvit:check")
	_, err = p.Prove(t.Context())
	require.EqualError(t, err, "Pinterest could not process the event (HTTP 422)")
}

// TestServerRefuses shows that the stand-in is strict: what it takes is not taken by accident.
func TestServerRefuses(t *testing.T) {
	t.Parallel()
	good := `{"event_name":"checkout","action_source":"web","event_time":1741083330,"event_id":"1","user_data":{"em":["` + destination.SHA256Hex("a") + `"]},"custom_data":{"currency":"DKK","value":"1.00"}}`
	server := pinteresttest.New(account, token, nil)
	status := func(body, media string) int {
		return destinationtest.Post(server, "/v5/ad_accounts/"+account+"/events", body, "Authorization", "Bearer "+token, "Content-Type", media).Code
	}
	require.Equal(t, 200, status(`{"data":[`+good+`]}`, "application/json"))
	require.Equal(t, 400, status(`{"data":[`+good+`]}`, "text/plain"))
	require.Equal(t, 400, status(`{"data":[]}`, "application/json"))
	require.Equal(t, 400, status(`{"data":[`+strings.Repeat(good+",", 1000)+good+`]}`, "application/json"))
	for from, to := range map[string]string{
		`"event_id":"1"`: `"event_id":"1","extra":1`, `"event_id":"1",`: ``, `"event_time":1741083330`: `"event_time":"1741083330"`,
		`"value":"1.00"`: `"value":1.00`, `"action_source":"web",`: ``, `"em"`: `"ph"`,
	} {
		require.Equal(t, 400, status(`{"data":[`+strings.Replace(good, from, to, 1)+`]}`, "application/json"), to)
	}
	for from, to := range map[string]string{
		destination.SHA256Hex("a"): "a@example.com", `"checkout"`: `"Purchase"`, `"1.00"`: `"007.50"`, `"currency":"DKK",`: ``, `"web"`: `"site"`,
		`1741083330`: `1741083330000`, `"event_id":"1"`: `"event_id":"1","event_source_url":"https://shop.example.com/?m=a%40example.com"`,
	} {
		require.Equal(t, 422, status(`{"data":[`+strings.Replace(good, from, to, 1)+`]}`, "application/json"), to)
	}
}

func FuzzEncode(f *testing.F) {
	f.Add("order_paid", "E1", []byte(`{"customer": {"email": "jane.doe@example.com", "phone": "+4512345678"}, "order": {"currency": "DKK", "total": "-007.50", "items": [{"sku": "\u0000", "quantity": 1.50, "unit_price": "00"}]}}`))
	f.Add("cart_updated", "", []byte(`{"client": {"ip": "192.0.2.7", "user_agent": "<x>\ud800"}, "cart": {"items": [{}]}}`))
	p, err := pinterest.New(pinterest.Options{AdAccountID: account, Token: config.NewSecret(token)})
	require.NoError(f, err)
	destinationtest.FuzzEncode(f, func(t *testing.T, event destination.Event, item destination.Encoded) {
		server := pinteresttest.New(account, token, nil)
		destinationtest.Post(server, "/v5/ad_accounts/"+account+"/events", `{"data":[`+string(item.Body)+`]}`,
			"Authorization", "Bearer "+token, "Content-Type", "application/json")
		require.Empty(t, server.Refusals()) // hashes only where hashes belong, among much else
		if customer := event.Payload.Customer; customer != nil {
			user := gjson.GetBytes(item.Body, "user_data").Raw
			for _, secret := range []string{customer.Email, customer.Phone} {
				require.False(t, secret != "" && strings.Contains(user, secret) && !inClient(event.Payload.Client, secret))
			}
		}
	}, p)
}

// inClient tells whether the browser itself had a text in what it said, which goes on as it is.
func inClient(client *destination.Browser, text string) bool {
	return client != nil && (strings.Contains(client.UserAgent, text) || strings.Contains(client.Epik, text))
}
