package microsoftuet_test

import (
	"cmp"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"kvit/config"
	"kvit/destination"
	"kvit/destination/destinationtest"
	"kvit/destination/microsoftuet"
	"kvit/destination/microsoftuet/microsoftuettest"
)

const (
	tag   = "187000000"
	token = "example-token"
	email = `{"customer": {"email": "a@example.com"}, `
)

func newUET(t *testing.T, baseURL string, change func(*microsoftuet.Options)) *microsoftuet.MicrosoftUET {
	t.Helper()
	options := microsoftuet.Options{TagID: tag, Token: config.NewSecret(token), BaseURL: baseURL + "/v1/"}
	if change != nil {
		change(&options)
	}
	options.HTTP.Timeout = cmp.Or(options.HTTP.Timeout, time.Minute) // a full request takes long on a busy machine
	m, err := microsoftuet.New(options)
	require.NoError(t, err)
	return m
}

// setup is a destination and the tag that it sends to.
func setup(t *testing.T, now func() time.Time) (*microsoftuet.MicrosoftUET, *microsoftuettest.Server) {
	t.Helper()
	server := microsoftuettest.New(tag, token, now)
	return newUET(t, destinationtest.Serve(t, server), nil), server
}

func offline(t *testing.T) *microsoftuet.MicrosoftUET {
	t.Helper()
	return newUET(t, "https://api.example.com", nil)
}

func encode(t *testing.T, event destination.Event) string {
	t.Helper()
	item := destinationtest.Encode(t, offline(t), event)[0]
	require.Empty(t, item.Group)
	return string(item.Body)
}

func TestConformance(t *testing.T) {
	t.Parallel()
	server := microsoftuettest.New(tag, token, nil)
	destinationtest.Run(t, destinationtest.Harness{
		New: func(t *testing.T, baseURL string, options destination.ClientOptions) destination.Destination {
			return newUET(t, baseURL, func(o *microsoftuet.Options) { o.HTTP = options })
		},
		Success:     server.ServeHTTP,
		ReadsAnswer: true,
		Statuses:    map[int]destination.Kind{404: destination.Misconfigured, 405: destination.Misconfigured},
	})
}

func TestOrderPaid(t *testing.T) {
	t.Parallel()
	payload := `{"customer": {"id": "cust-1042", "email": "Jane.Doe@Example.com", "phone": "+4512345678", "first_name": "Jane"},
	 "client": {"ip": "2001:db8::1", "user_agent": "Example/1.0", "page_url": "https://shop.example.com/thanks", "page_title": "Thanks",
	  "referrer": "https://shop.example.com/pay", "msclkid": "dd4afcccb1c9a4cad9544dd7e5006abc"},
	 "order": {"ref": "other", "currency": "DKK", "total": "0749.00", "items": [
	  {"sku": "SKU-9", "name": "Coat", "brand": "North", "quantity": 2, "unit_price": "299.00"},
	  {"sku": "SKU-10", "quantity": 1.00, "unit_price": "151"}]}}`
	require.Equal(t, `{"eventType":"custom","eventName":"purchase","eventId":"order_paid:E100042","eventTime":1741083330,`+
		`"eventSourceUrl":"https://shop.example.com/thanks","referrerUrl":"https://shop.example.com/pay","pageTitle":"Thanks","adStorageConsent":"G",`+
		`"userData":{"em":"c4d25e9c90ff23e9145397bc6fbd5385ca5fbe78211222ccbecd0b369ebb19a6",`+
		`"ph":"7d5574e4ec1f7e9b606eadd8d76eab15510a93ca476ee1705145b32cd6ab6504","externalId":"cust-1042",`+
		`"clientUserAgent":"Example/1.0","clientIpAddress":"2001:db8::1","msclkid":"dd4afcccb1c9a4cad9544dd7e5006abc"},`+
		`"customData":{"pageType":"purchase","transactionId":"E100042","value":749.00,"currency":"DKK","itemIds":["SKU-9","SKU-10"],"items":[`+
		`{"id":"SKU-9","name":"Coat","price":299.00,"quantity":2},{"id":"SKU-10","price":151,"quantity":1}]}}`,
		encode(t, destinationtest.EventWith(t, "order_paid", payload)))
}

func TestRequest(t *testing.T) {
	t.Parallel()
	url, last := destinationtest.Recording(t, 200, `{"eventsReceived":2}`)
	m := newUET(t, url, nil)
	list := destinationtest.Items(t, m, "search", 2)
	_, failed := m.SendBatch(t.Context(), list)
	require.Nil(t, failed)
	require.Equal(t, "/v1/"+tag+"/events", last().Path)
	require.Equal(t, "Bearer "+token, last().Header.Get("Authorization"))
	require.Equal(t, `{"data":[`+string(list[0].Body)+`,`+string(list[1].Body)+`],"continueOnValidationError":true}`, last().Body)
}

func TestPageLoad(t *testing.T) {
	t.Parallel()
	body := encode(t, destinationtest.EventWith(t, "page_viewed", email+`"client": {"page_url": "https://shop.example.com/"}}`))
	require.Equal(t, "pageLoad", gjson.Get(body, "eventType").String())
	require.False(t, gjson.Get(body, "eventName").Exists())
	require.False(t, gjson.Get(body, "customData").Exists())
	_, rejected := offline(t).Encode(destinationtest.EventWith(t, "page_viewed", email+`"client": {"page_title": "x"}}`))
	require.Equal(t, destination.Reject("client.page_url: is required for a page load"), rejected)
}

// TestConsent shows what is said for visitors who were not asked, which takes consent: none.
func TestConsent(t *testing.T) {
	t.Parallel()
	m := newUET(t, "https://api.example.com", func(o *microsoftuet.Options) { o.AdPurpose = "ads" })
	event := destinationtest.EventWith(t, "search", email+`"client": {"msclkid": "dd4afccc-b1c9-a4ca-d954-4dd7e5006abc"}}`)
	for _, test := range []struct {
		m             *microsoftuet.MicrosoftUET
		accepted      string
		want, clickID string
	}{
		{offline(t), "marketing", "G", "dd4afccc-b1c9-a4ca-d954-4dd7e5006abc"}, {offline(t), "ads", "D", ""},
		{m, "ads", "G", "dd4afccc-b1c9-a4ca-d954-4dd7e5006abc"}, {m, "marketing", "D", ""},
	} {
		event.Consent = []string{test.accepted}
		item, rejected := test.m.Encode(event)
		require.Nil(t, rejected)
		require.Equal(t, test.want, gjson.GetBytes(item.Body, "adStorageConsent").String())
		require.Equal(t, test.clickID, gjson.GetBytes(item.Body, "userData.msclkid").String())
	}
}

func TestStrangeClickIDIsLeftOut(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"jane.doe@example.com", "dd4afcccb1c9a4cad9544dd7e5006", "dd4afcccb1c9a4cad9544dd7e5006abcd", "gd4afcccb1c9a4cad9544dd7e5006abc"} {
		body := encode(t, destinationtest.EventWith(t, "search", email+`"client": {"msclkid": "`+id+`"}}`))
		require.False(t, gjson.Get(body, "userData.msclkid").Exists(), id)
	}
}

// TestNoPlainEmail: Microsoft takes e-mail addresses hashed, and shops use them as ids and put them into links.
func TestNoPlainEmail(t *testing.T) {
	t.Parallel()
	body := encode(t, destinationtest.EventWith(t, "page_viewed", `{"customer": {"id": "jane@example.com"}, "client": {"user_agent": "x",
		"page_url": "https://shop.example.com/?mail=jane%40example.com&a=1", "referrer": "https://shop.example.com/for/jane@example.com"}}`))
	require.Equal(t, "https://shop.example.com/?a=1", gjson.Get(body, "eventSourceUrl").String())
	require.Equal(t, "https://shop.example.com/for/", gjson.Get(body, "referrerUrl").String())
	require.NotContains(t, body, "jane")
}

func TestNeededUserData(t *testing.T) {
	t.Parallel()
	for payload, taken := range map[string]bool{
		`{"customer": {"phone": "+4512345678"}}`:                      true,
		`{"customer": {"id": "1"}}`:                                   true,
		`{"client": {"user_agent": "x"}}`:                             true,
		`{"customer": {"first_name": "Jane"}}`:                        false,
		`{"client": {"page_url": "https://shop.example.com/"}}`:       false,
		`{"customer": {"email": ""}, "client": {"msclkid": "short"}}`: false,
	} {
		_, rejected := offline(t).Encode(destinationtest.EventWith(t, "search", payload))
		require.Equal(t, taken, rejected == nil, payload)
		if !taken {
			require.Equal(t, "customer.email, customer.phone, customer.id or client: is required", rejected.Reason)
		}
	}
}

// TestCustomData shows what an event is about, with an empty want for one about the visitor alone.
func TestCustomData(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ event, payload, want string }{
		"Cart": {"cart_updated", `"cart": {"id": "7", "currency": "DKK", "total": "10", "items": [{"sku": "A", "quantity": 1, "unit_price": "010.00"}]}`,
			`{"pageType":"cart","value":10,"currency":"DKK","itemIds":["A"],"items":[{"id":"A","price":10.00,"quantity":1}]}`},
		"EmptyCart":            {"checkout_started", `"cart": {"items": []}`, `{"pageType":"cart"}`},
		"NoCart":               {"cart_updated", `"order": {"total": "1"}`, ``},
		"HalfAMetre":           {"cart_updated", `"cart": {"items": [{"sku": "A", "quantity": 0.5}]}`, `{"pageType":"cart","itemIds":["A"],"items":[{"id":"A"}]}`},
		"PriceWithoutCurrency": {"order_paid", `"order": {"items": [{"name": "x", "unit_price": "5"}]}`, `{"pageType":"purchase","transactionId":"E100042","items":[{"name":"x"}]}`},
		"TotalWithoutCurrency": {"order_paid", `"order": {"total": "749.00"}`, `{"pageType":"purchase","transactionId":"E100042"}`},
		"NoOrder":              {"order_paid", `"cart": {"total": "1"}`, `{"pageType":"purchase","transactionId":"E100042"}`},
		"ZeroTotal":            {"order_paid", `"order": {"currency": "DKK", "total": "0.00"}`, `{"pageType":"purchase","transactionId":"E100042","value":0.00,"currency":"DKK"}`},
		"Negative":             {"order_paid", `"order": {"currency": "DKK", "total": "-012.50"}`, `{"pageType":"purchase","transactionId":"E100042","value":-12.50,"currency":"DKK"}`},
		"Product": {"product_viewed", `"product": {"sku": "A", "name": "Coat", "currency": "DKK", "unit_price": "299"}`,
			`{"pageType":"product","currency":"DKK","itemIds":["A"],"items":[{"id":"A","name":"Coat","price":299}]}`},
		"NoProduct":   {"product_viewed", `"product": null`, ``},
		"Search":      {"search", `"search": {"term": "høj <hat>"}`, `{"pageType":"searchresults","searchTerm":"høj <hat>"}`},
		"EmptySearch": {"search", `"search": {"term": ""}`, ``},
		"Account":     {"account_created", `"order": {"total": "1"}`, ``},
		"Custom":      {"custom:vip", `"order": {"total": "1"}, "custom": {"secret": 1}`, ``},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := gjson.Get(encode(t, destinationtest.EventWith(t, test.event, email+test.payload+`}`)), "customData").Raw
			if test.want == "" {
				require.Empty(t, got)
				return
			}
			require.Equal(t, test.want, got)
		})
	}
}

func TestRejected(t *testing.T) {
	t.Parallel()
	withoutRef := destinationtest.EventWith(t, "order_paid", email+`"order": {}}`)
	withoutRef.OrderRef = ""
	for want, event := range map[string]destination.Event{
		"cart.items: is empty, and nothing was added to the cart": destinationtest.EventWith(t, "cart_updated", email+`"cart": {"items": []}}`),
		"order_ref: is required, or order.ref":                    withoutRef,
	} {
		_, rejected := offline(t).Encode(event)
		require.Equal(t, destination.Reject("%s", want), rejected)
	}
	withoutRef.Payload.Order.Ref = "E7"
	require.Equal(t, "E7", gjson.Get(encode(t, withoutRef), "customData.transactionId").String())
}

// TestMatchKeys: the forms of Microsoft's page on enhanced conversions (https://help.ads.microsoft.com/#apex/ads/en/60178/-1).
func TestMatchKeys(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"Jane.Doe@example.com":           "c4d25e9c90ff23e9145397bc6fbd5385ca5fbe78211222ccbecd0b369ebb19a6", // janedoe@example.com
		"jane.doe+spring+sale@GMAIL.com": "d6117306485ed0e50afab3ac871e98f81699151f30281527d63ff5f233656c69", // janedoe@gmail.com
		"josé.ñandú@example.com":         "4d1bc1b0bbdfecd5285325cd9730b74998aff9c84430c48f48e446a887d8be2b", // josenandu@example.com
		"søren@example.com":              "67a0af09727b707502e3a6fb6ea81998feda7abcdcf67352f50d48ef321b2c87", // søren@example.com: ø is a letter, and has no accent
		"jane@müller.example.com":        "2263006efce32c5688c8053ea8e26fda0e48523d1fa1a28ed0259911f8cb80f4", // jane@muller.example.com
		"+@example.com":                  "",
	} {
		got := encode(t, destinationtest.EventWith(t, "account_created", `{"customer": {"id": "7", "email": "`+address+`"}}`))
		require.Equal(t, want, gjson.Get(got, "userData.em").Str, address)
	}
	got := encode(t, destinationtest.EventWith(t, "account_created", `{"customer": {"phone": "+45 12 34 56 78"}}`))
	require.Equal(t, "7d5574e4ec1f7e9b606eadd8d76eab15510a93ca476ee1705145b32cd6ab6504", gjson.Get(got, "userData.ph").Str, "with the plus")
}

func TestTooLargeForARequest(t *testing.T) {
	t.Parallel()
	lines := strings.Repeat(`{"sku": "x`+strings.Repeat("\u2028", 2000)+`x"},`, 43) // which JSON escapes, and which is sent twice
	_, rejected := offline(t).Encode(destinationtest.EventWith(t, "cart_updated", email+`"cart": {"items": [`+lines+`{}]}}`))
	require.Equal(t, destination.Reject("payload: must not be larger than 1 MB in Microsoft's form"), rejected)
}

func TestMapping(t *testing.T) {
	t.Parallel()
	m := newUET(t, "https://api.example.com", func(o *microsoftuet.Options) {
		o.Events = map[string]string{"order_paid": "", "order_placed": "Sale", "product_viewed": microsoftuet.PageLoad, "sms_optin": "sms", "custom:vip": "VIP"}
	})
	require.Equal(t, []string{
		"order_placed", "account_created", "newsletter_optin", "sms_optin", "cart_updated", "checkout_started",
		"product_viewed", "search", "page_viewed", "custom:*", "custom:vip",
	}, m.Traits().Events)
	for name, want := range map[string]string{"order_placed": "Sale", "sms_optin": "sms", "custom:vip": "VIP", "custom:store visit": "store visit", "custom:purchase": "custom_purchase", "custom:pageLoad": "custom_pageLoad", "product_viewed": ""} {
		item, rejected := m.Encode(destinationtest.Event(t, name))
		require.Nil(t, rejected)
		require.Equal(t, want, gjson.GetBytes(item.Body, "eventName").String(), name)
		require.Equal(t, want == "", gjson.GetBytes(item.Body, "eventType").String() == "pageLoad", name)
	}
	destinationtest.NotSent(t, m, "order_paid", "order_shipped")
}

func TestTraits(t *testing.T) {
	t.Parallel()
	traits := offline(t).Traits()
	require.Equal(t, 7*24*time.Hour, traits.MaxAge)
	require.Zero(t, traits.Window)
	require.Equal(t, 1000, traits.Batch.Events)
	require.Equal(t, []string{
		"order_paid", "account_created", "newsletter_optin", "cart_updated", "checkout_started", "product_viewed", "search", "page_viewed", "custom:*",
	}, traits.Events)
}

func TestNewNamesTheWrongOption(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*microsoftuet.Options)
		want   string
	}{
		"NoTag":    {func(o *microsoftuet.Options) { o.TagID = "" }, "tag_id: must be at most 20 digits"},
		"TagPath":  {func(o *microsoftuet.Options) { o.TagID = "1/../2" }, "tag_id: must be at most 20 digits"},
		"TagLong":  {func(o *microsoftuet.Options) { o.TagID = strings.Repeat("1", 21) }, "tag_id: must be at most 20 digits"},
		"NoToken":  {func(o *microsoftuet.Options) { o.Token = config.Secret{} }, "token: is required, in visible ASCII characters"},
		"BadToken": {func(o *microsoftuet.Options) { o.Token = config.NewSecret("a\nb") }, "token: is required, in visible ASCII characters"},
		"OwnName":  {func(o *microsoftuet.Options) { o.Events = map[string]string{"search": "*"} }, "events.search: * is for custom events only"},
		"TwoSales": {func(o *microsoftuet.Options) { o.Events = map[string]string{"order_placed": "purchase"} },
			"events: order_placed and order_paid must not both be a sale, or have the same name, which would count an order twice"},
		"PlainURL": {func(o *microsoftuet.Options) { o.BaseURL = "http://api.example.com" }, "base_url: must begin with https://"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			options := microsoftuet.Options{TagID: tag, Token: config.NewSecret(token)}
			_, err := microsoftuet.New(options)
			require.NoError(t, err)
			test.change(&options)
			_, err = microsoftuet.New(options)
			require.EqualError(t, err, test.want)
		})
	}
}

func TestPartialAnswer(t *testing.T) {
	t.Parallel()
	m, server := setup(t, nil)
	server.FailFor("search:1")
	results, failed := m.SendBatch(t.Context(), destinationtest.Items(t, m, "search", 3))
	require.Nil(t, failed)
	require.Equal(t, []destination.Result{
		{Code: 200},
		{Code: 200, Err: &destination.Error{Kind: destination.Rejected, Code: 200, Reason: "Microsoft does not accept the event's eventId"}},
		{Code: 200},
	}, results)
	require.Equal(t, microsoftuettest.Counts{Requests: 1, Failed: 1, Events: 2}, server.Counts())
}

// TestAnswers is what follows for a request of two events: an error for it as a whole, or one for
// each event.
func TestAnswers(t *testing.T) {
	t.Parallel()
	taken, rejected, unclear := destination.Kind(0), destination.Rejected, destination.Ambiguous
	const doubt, doubts = "the answer does not say what became of the event", "the answer does not say what became of the events"
	long := strings.Repeat("x", destination.MaxAnswer)
	fault := func(index, property string) string {
		return `{"index":` + index + `,"propertyName":"` + property + `","attemptedValue":"v","errorMessage":"m"}`
	}
	for name, test := range map[string]struct {
		status int
		body   string
		whole  destination.Kind
		each   []destination.Kind
		reason string // of the last error
	}{
		"Received":        {200, `{"eventsReceived":2,"traceId":"x"}`, 0, []destination.Kind{taken, taken}, ""},
		"NoError":         {200, `{"eventsReceived":2,"error":null}`, 0, []destination.Kind{taken, taken}, ""},
		"Nothing":         {200, ` `, 0, []destination.Kind{taken, taken}, ""},
		"OtherObject":     {200, `{"traceId":"x"}`, 0, []destination.Kind{taken, taken}, ""},
		"Accepted":        {202, `{"eventsReceived":2}`, 0, []destination.Kind{taken, taken}, ""},
		"AcceptedNothing": {202, ``, unclear, nil, doubts},
		"Second":          {200, `{"eventsReceived":1,"error":{"code":"x","details":[` + fault("1", "customData.value") + `]}}`, 0, []destination.Kind{taken, rejected}, "Microsoft does not accept the event's value"},
		"SecondOfTwo":     {200, `{"eventsReceived":2,"error":{"details":[` + fault("1", "Data[1].CustomData.Currency") + `]}}`, 0, []destination.Kind{taken, rejected}, "Microsoft does not accept the event's currency"},
		"TwiceTheSame":    {200, `{"eventsReceived":1,"error":{"details":[` + fault("0", "em") + "," + fault("0", "ph") + `]}}`, 0, []destination.Kind{rejected, taken}, "Microsoft does not accept the event's ph"},
		"Both":            {200, `{"eventsReceived":0,"error":{"details":[` + fault("0", "em") + "," + fault("1", "jane.doe@example") + `]}}`, 0, []destination.Kind{rejected, rejected}, "Microsoft does not accept the event"},
		"Warning":         {200, `{"eventsReceived":2,"error":{"details":[{"index":0,"isWarning":true}]}}`, 0, []destination.Kind{taken, taken}, ""},
		"Fewer":           {200, `{"eventsReceived":1}`, unclear, nil, doubts},
		"FewerThanRest":   {200, `{"eventsReceived":0,"error":{"details":[` + fault("1", "em") + `]}}`, 0, []destination.Kind{unclear, rejected}, "Microsoft does not accept the event's em"},
		"NoDetails":       {200, `{"eventsReceived":2,"error":{"code":"x"}}`, unclear, nil, doubts},
		"UnknownIndex":    {200, `{"eventsReceived":2,"error":{"details":[` + fault("2", "em") + `]}}`, unclear, nil, doubts},
		"NegativeIndex":   {200, `{"eventsReceived":2,"error":{"details":[` + fault("-1", "em") + `]}}`, unclear, nil, doubts},
		"HalfIndex":       {200, `{"eventsReceived":2,"error":{"details":[` + fault("0.5", "em") + `]}}`, unclear, nil, doubts},
		"TextIndex":       {200, `{"error":{"details":[` + fault(`"0"`, "em") + `]}}`, unclear, nil, doubts},
		"TooLong":         {200, `{"eventsReceived":1,"error":{"details":[` + fault("0", "em") + `,{"errorMessage":"` + long, 0, []destination.Kind{rejected, unclear}, doubt},
		"List":            {200, `[{"eventsReceived":2}]`, unclear, nil, doubts},
		"Page":            {200, `<html>`, unclear, nil, doubts},
		"TooLongEarly":    {200, `{"eventsReceived":2,"traceId":"` + long, unclear, nil, doubts},
		"BadRequest":      {400, `{"eventsReceived":0,"error":{"details":[` + fault("0", "em") + `]}}`, rejected, nil, "the provider rejected the event"},
		"WrongTag":        {404, ``, destination.Misconfigured, nil, "Microsoft has nothing at this address: check tag_id and base_url"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := func(url string) destination.Batcher { return newUET(t, url, nil) }
			destinationtest.AnswerForEach(t, at, test.status, test.body, test.whole, test.each, test.reason)
		})
	}
}

func TestAnswerThatBreaksOff(t *testing.T) {
	t.Parallel()
	for _, body := range []string{``, `{"eventsReceived":2}`} {
		m := newUET(t, destinationtest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte(body))
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		})), nil)
		_, failed := m.SendBatch(t.Context(), destinationtest.Items(t, m, "search", 2))
		require.Equal(t, &destination.Error{Kind: destination.Ambiguous, Code: 200, Reason: "the answer broke off"}, failed)
	}
}

func TestRefusedAloneNamesTheField(t *testing.T) {
	t.Parallel()
	m, server := setup(t, nil)
	_, err := m.Send(t.Context(), destinationtest.EventWith(t, "search", `{"client": {"ip": "192.0.2.7", "user_agent": "x"}}`))
	require.EqualError(t, err, "Microsoft does not accept the event's em (HTTP 400)")
	require.Equal(t, []string{"userData.em or another identifier is required", "no event was taken"}, server.Refusals())
}

func TestRepeatsAreCountedOnce(t *testing.T) {
	t.Parallel()
	at := destinationtest.Event(t, "search").OccurredAt
	m, server := setup(t, func() time.Time { return at.Add(6 * 24 * time.Hour) })
	for range 2 {
		_, failed := m.SendBatch(t.Context(), destinationtest.Items(t, m, "search", 3))
		require.Nil(t, failed)
	}
	require.Equal(t, microsoftuettest.Counts{Requests: 2, Events: 3, Repeats: 3}, server.Counts())
}

func TestBatchOfAThousand(t *testing.T) {
	t.Parallel()
	m, server := setup(t, nil)
	destinationtest.FullRequest(t, m, "search")
	require.Equal(t, microsoftuettest.Counts{Requests: 1, Events: 1000}, server.Counts())
}

func TestLargeCart(t *testing.T) {
	t.Parallel()
	lines := destinationtest.Lines(1000, `{"sku": "SKU-%[1]d", "name": "Coat %[1]d", "quantity": 999999999, "unit_price": "999999999999.9999"}`)
	m, server := setup(t, nil)
	event := destinationtest.EventWith(t, "cart_updated", email+`"cart": {"currency": "DKK", "items": [`+lines+`]}}`)
	destinationtest.Deliver(t, m, event)
	counted, ok := server.Event(event.Key)
	require.True(t, ok)
	require.Len(t, counted.Custom.Items, 1000)
	require.Equal(t, microsoftuettest.Number("999999999999.9999"), *counted.Custom.Items[0].Price)
}

// TestServerRefuses shows that the stand-in is strict: what it takes is not taken by accident.
func TestServerRefuses(t *testing.T) {
	t.Parallel()
	good := `{"eventType":"custom","eventName":"purchase","eventId":"1","eventTime":1741083330,"adStorageConsent":"G","userData":{"em":"` + destination.SHA256Hex("a") + `"},` +
		`"customData":{"transactionId":"1","value":1.00,"currency":"DKK","pageType":"purchase"}}`
	at := time.Unix(1741083330, 0)
	now := at
	server := microsoftuettest.New(tag, token, func() time.Time { return now })
	status := func(body, media string) int {
		return destinationtest.Post(server, "/v1/"+tag+"/events", body, "Authorization", "Bearer "+token, "Content-Type", media).Code
	}
	require.Equal(t, 200, status(`{"data":[`+good+`]}`, "application/json"))
	require.Equal(t, 415, status(`{"data":[`+good+`]}`, "text/plain"))
	require.Equal(t, 400, status(`{"data":[]}`, "application/json"))
	require.Equal(t, 400, status(`{"data":[`+strings.Repeat(good+",", 1000)+good+`]}`, "application/json"))
	for from, to := range map[string]string{
		`"eventId":"1"`: `"eventId":"1","extra":1`, `"eventId":"1",`: ``, `1741083330`: `"1741083330"`, `"custom"`: `"click"`, `"eventName":"purchase",`: ``,
		`"custom","eventName":"purchase"`: `"pageLoad"`, `"G"`: `"yes"`, destination.SHA256Hex("a"): "a@example.com", `"em"`: `"clientUserAgent"`,
		`"transactionId":"1",`: ``, `1.00`: `"1.00"`, `"currency":"DKK",`: ``, `"pageType":"purchase"`: `"pageType":"shop"`, `{"em"`: `{"msclkid":"x","em"`,
		`1741083330,`: `1741083330000,`, `{"em":`: `{"externalId":"a@example.com","em":`, `"eventId":"1",` + `"eventTime"`: `"eventId":"1","eventSourceUrl":"https://shop.example.com/?m=a%40example.com","eventTime"`,
	} {
		require.Contains(t, good, from)
		require.Equal(t, 400, status(`{"data":[`+strings.Replace(good, from, to, 1)+`]}`, "application/json"), to)
	}
	bad := strings.Replace(good, `"G"`, `"yes"`, 1)
	require.Equal(t, 400, status(`{"data":[`+good+`,`+bad+`]}`, "application/json"))
	require.Equal(t, 200, status(`{"data":[`+good+`,`+bad+`],"continueOnValidationError":true}`, "application/json"))
	for _, now = range []time.Time{at.Add(-time.Second), at.Add(7*24*time.Hour + time.Second)} {
		require.Equal(t, 400, status(`{"data":[`+good+`]}`, "application/json"))
	}
}

func FuzzEncode(f *testing.F) {
	f.Add("order_paid", "E1", []byte(`{"customer": {"email": "Jane.Doe@example.com", "phone": "+4512345678"}, "order": {"currency": "DKK", "total": "-007.50", "items": [{"sku": "\u0000", "quantity": 1.50, "unit_price": "00"}]}}`))
	f.Add("page_viewed", "", []byte(`{"customer": {"id": "1"}, "client": {"ip": "192.0.2.7", "user_agent": "<x>\ud800", "page_url": "https://shop.example.com/?q=%zz", "msclkid": "é"}}`))
	f.Add("custom:pageLoad", "", []byte(`{"customer": {"id": "é", "first_name": "Jane"}}`))
	m, err := microsoftuet.New(microsoftuet.Options{TagID: tag, Token: config.NewSecret(token)})
	require.NoError(f, err)
	destinationtest.FuzzEncode(f, func(t *testing.T, event destination.Event, item destination.Encoded) {
		if customer := event.Payload.Customer; customer == nil || customer.Email+customer.Phone+customer.ID == "" {
			return // Microsoft may find that too little
		}
		server := microsoftuettest.New(tag, token, nil)
		destinationtest.Post(server, "/v1/"+tag+"/events", `{"data":[`+string(item.Body)+`]}`,
			"Authorization", "Bearer "+token, "Content-Type", "application/json")
		require.Empty(t, server.Refusals()) // hashes only where hashes belong, among much else
		user := gjson.GetBytes(item.Body, "userData")
		for _, secret := range []string{event.Payload.Customer.Email, event.Payload.Customer.Phone} {
			require.False(t, secret != "" && (user.Get("em").String() == secret || user.Get("ph").String() == secret))
		}
	}, m)
}
