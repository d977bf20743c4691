package googleads_test

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"kvit/config"
	"kvit/destination"
	"kvit/destination/destinationtest"
	"kvit/destination/destinationtest/standin"
	"kvit/destination/googleads"
	"kvit/destination/googleads/googleadstest"
)

const (
	customer = "1234567890"
	action   = "987654321"
	secret   = "1//example"
)

func newServer() *googleadstest.Server {
	return googleadstest.New(googleadstest.Options{CustomerID: customer, Action: action, MoreActions: []string{"555"}, RefreshToken: secret})
}

// newGoogleAds sends to one address and gets its tokens at another.
func newGoogleAds(t *testing.T, baseURL, tokens string, change func(*googleads.Options)) *googleads.GoogleAds {
	t.Helper()
	options := googleads.Options{
		CustomerID: customer, ConversionAction: action, UserData: true, BaseURL: baseURL + "/v1",
		OAuth: googleads.OAuth{
			ClientID: googleadstest.ClientID, ClientSecret: config.NewSecret(secret), RefreshToken: config.NewSecret(secret), TokenURL: tokens + "/token",
		},
	}
	if change != nil {
		change(&options)
	}
	options.HTTP.Timeout = cmp.Or(options.HTTP.Timeout, time.Minute) // a full request takes long on a busy machine
	g, err := googleads.New(options)
	require.NoError(t, err)
	return g
}

// setup is a destination and the account that it sends to.
func setup(t *testing.T, change func(*googleads.Options)) (*googleads.GoogleAds, *googleadstest.Server) {
	t.Helper()
	server := newServer()
	url := destinationtest.Serve(t, server)
	return newGoogleAds(t, url, url, change), server
}

// answering is a GoogleAds that always gets the same answer to its events.
func answering(t *testing.T, status int, body string) *googleads.GoogleAds {
	t.Helper()
	return newGoogleAds(t, destinationtest.Answering(t, status, body), destinationtest.Serve(t, newServer()), nil)
}

func offline(t *testing.T, change func(*googleads.Options)) *googleads.GoogleAds {
	t.Helper()
	return newGoogleAds(t, "https://api.example.com", "https://oauth2.example.com", change)
}

func TestConformance(t *testing.T) {
	t.Parallel()
	server := newServer()
	tokens := destinationtest.Serve(t, server)
	t.Run("Suite", func(t *testing.T) {
		destinationtest.Run(t, destinationtest.Harness{
			New: func(t *testing.T, baseURL string, options destination.ClientOptions) destination.Destination {
				return newGoogleAds(t, baseURL, tokens, func(o *googleads.Options) { o.HTTP = options })
			},
			Success:     server.ServeHTTP,
			ReadsAnswer: true,
			Statuses:    map[int]destination.Kind{404: destination.Misconfigured, 405: destination.Misconfigured},
			Volatile:    []string{"Authorization"},
		})
	})
	require.Empty(t, server.Refusals())
}

const order = `{"customer": {"id": "1042", "email": "Jane.Doe+Spring@Gmail.com", "phone": "+4512345678", "first_name": " Jane ", "last_name": "O'Neill",
	  "address": {"lines": ["1 Example Street"], "postal_code": "DK-8000", "city": "Aarhus", "country": "DK"}},
	 "client": {"ip": "2001:db8::1", "user_agent": "Example/1.0", "gclid": "Cj0KCQ", "wbraid": "w", "gbraid": "g"},
	 "order": {"ref": "other", "currency": "DKK", "total": "0749.00", "remaining": "450.00", "items": [
	  {"sku": "SKU-9", "name": "Coat", "quantity": 2, "unit_price": "299.00"}, {"sku": "SKU-10", "quantity": 0.5, "unit_price": "151.00"}, {"name": "Gift", "quantity": 1}]}}`

func TestOrderPaid(t *testing.T) {
	t.Parallel()
	hash := destination.SHA256Hex
	identifiers := `"userData":{"userIdentifiers":[{"emailAddress":"` + hash("janedoe@gmail.com") + `"},{"phoneNumber":"` + hash("+4512345678") + `"},` +
		`{"address":{"givenName":"` + hash("jane") + `","familyName":"` + hash("oneill") + `","regionCode":"DK","postalCode":"8000"}}]},`
	begin := `{"transactionId":"E100042","eventTimestamp":"2025-03-04T10:15:30Z","eventSource":"WEB","adIdentifiers":{"gclid":"Cj0KCQ"},`
	end := `"consent":{"adUserData":"CONSENT_GRANTED","adPersonalization":"CONSENT_GRANTED"},"currency":"DKK","conversionValue":749.00`
	event := destinationtest.EventWith(t, "order_paid", order)
	require.Equal(t, begin+identifiers+end+"}", destinationtest.Body(t, offline(t, nil), event))

	withFeed := offline(t, func(o *googleads.Options) {
		o.UserData, o.MerchantID, o.FeedLabel, o.FeedLanguage = false, "77", "DK", "da"
	})
	require.Equal(t, begin+end+`,"cartData":{"merchantId":"77","merchantFeedLabel":"DK","merchantFeedLanguageCode":"da",`+
		`"items":[{"merchantProductId":"SKU-9","quantity":"2","unitPrice":299.00}]}}`, destinationtest.Body(t, withFeed, event))
}

// TestPublishedExamples are of Google's page on formatting and of the tests of its own library
// (https://github.com/googleads/data-manager-python/blob/main/tests/formatter_test.py).
func TestPublishedExamples(t *testing.T) {
	t.Parallel()
	for written, want := range map[string]string{
		"cloudy.sanfrancisco+shopping@gmail.com": destination.SHA256Hex("cloudysanfrancisco@gmail.com"),
		"user.name+NYC@Example.com":              destination.SHA256Hex("user.name+nyc@example.com"),
		"QuinnY@EXAMPLE.com":                     destination.SHA256Hex("quinny@example.com"),
		"Jefferson.LOVES.Hiking@googlemail.com":  destination.SHA256Hex("jeffersonloveshiking@googlemail.com"),
		"  ALEXZ@example.com   ":                 "509e933019bb285a134a9334b8bb679dff79d0ce023d529af4bd744d47b4fd8a",
	} {
		body := destinationtest.Body(t, offline(t, nil), destinationtest.EventWith(t, "order_paid", `{"customer": {"email": "`+written+`"}, "order": {"currency": "DKK", "total": "1"}}`))
		require.Equal(t, want, gjson.Get(body, "userData.userIdentifiers.0.emailAddress").Str, written)
	}
	for _, written := range []string{"+18005550100", "   +1-800-555-0100", "1-800-555-0100   "} {
		event := destinationtest.EventWith(t, "order_paid", "")
		payload, rejected := destination.Reading{Country: "US"}.Read("order_paid", []byte(`{"customer": {"phone": "`+written+`"}, "order": {"currency": "DKK", "total": "1"}}`))
		require.Nil(t, rejected)
		event.Payload = payload
		require.Equal(t, "fb4f73a6ec5fdb7077d564cdd22c3554b43ce49168550c3b12c547b78c517b30",
			gjson.Get(destinationtest.Body(t, offline(t, nil), event), "userData.userIdentifiers.0.phoneNumber").Str, written)
	}
	body := destinationtest.Body(t, offline(t, nil), destinationtest.EventWith(t, "order_paid",
		`{"customer": {"first_name": "  GivenName  ", "last_name": "x", "address": {"postal_code": "1", "country": "US"}}, "order": {"currency": "DKK", "total": "1"}}`))
	require.Equal(t, "128a07bfe2df877c52076e60d7774cf5baaa046c5a6c48daf30ff43ecca2f814", gjson.Get(body, "userData.userIdentifiers.0.address.givenName").Str)
}

func TestClicks(t *testing.T) {
	t.Parallel()
	for client, want := range map[string]string{
		`{"gclid": "a", "gbraid": "b", "wbraid": "c"}`: `{"gclid":"a"}`,
		`{"gbraid": "b", "wbraid": "c"}`:               `{"wbraid":"c"}`,
		`{"gbraid": "b"}`:                              `{"gbraid":"b"}`,
		`{}`:                                           ``,
	} {
		body := destinationtest.Body(t, offline(t, nil), destinationtest.EventWith(t, "order_paid",
			`{"customer": {"email": "a@example.com"}, "client": `+client+`, "order": {"currency": "DKK", "total": "1"}}`))
		require.Equal(t, want, gjson.Get(body, "adIdentifiers").Raw)
	}
}

func TestRejected(t *testing.T) {
	t.Parallel()
	sale := `"order": {"currency": "DKK", "total": "1"}`
	for name, test := range map[string]struct{ event, payload, reason string }{
		"Nobody":       {"order_paid", `{` + sale + `}`, "client.gclid: is required, or client.wbraid, client.gbraid, customer.email, customer.phone, or name and address"},
		"HalfAnAdress": {"order_paid", `{"customer": {"first_name": "A", "last_name": "B", "address": {"country": "DK"}}, ` + sale + `}`, "client.gclid: is required, or client.wbraid, client.gbraid, customer.email, customer.phone, or name and address"},
		"EmptyAtGmail": {"order_paid", `{"customer": {"email": "+@gmail.com"}, ` + sale + `}`, "client.gclid: is required, or client.wbraid, client.gbraid, customer.email, customer.phone, or name and address"},
		"NoTotal":      {"order_paid", `{"client": {"gclid": "a"}, "order": {"currency": "DKK"}}`, "order.total: is required"},
		"NoCurrency":   {"order_paid", `{"client": {"gclid": "a"}, "order": {"total": "1"}}`, "order.currency: is required"},
		"BelowZero":    {"order_paid", `{"client": {"gclid": "a"}, "order": {"currency": "DKK", "total": "-1"}}`, "order.total: must not be below 0"},
		"Unread":       {"order_paid", `{"client": {"gclid": "a"}, "order": {"currency": "DKK", "total": "abc"}}`, "order.total: no amount with at most 12 digits before the point"},
		"NoRest":       {"order_partly_refunded", `{"client": {"gclid": "a"}, "order": {"currency": "DKK", "total": "1"}}`, "order.remaining: is required"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, rejected := offline(t, nil).Encode(destinationtest.EventWith(t, test.event, test.payload))
			require.Equal(t, destination.Reject("%s", test.reason), rejected)
		})
	}
	clicks := offline(t, func(o *googleads.Options) { o.UserData = false })
	_, rejected := clicks.Encode(destinationtest.EventWith(t, "order_paid", `{"customer": {"email": "a@example.com"}, `+sale+`}`))
	require.Equal(t, destination.Reject("client.gclid: is required, or client.wbraid or client.gbraid"), rejected)
	nameless := destinationtest.EventWith(t, "order_paid", `{"client": {"gclid": "a"}, `+sale+`}`)
	nameless.OrderRef = ""
	_, rejected = clicks.Encode(nameless)
	require.Equal(t, destination.Reject("order_ref: is required"), rejected)
	nameless.OrderRef = strings.Repeat("E", 513)
	_, rejected = clicks.Encode(nameless)
	require.Equal(t, destination.Reject("order_ref: must be at most 512 characters"), rejected)
}

func TestConsent(t *testing.T) {
	t.Parallel()
	event := destinationtest.EventWith(t, "order_paid", order)
	g := offline(t, func(o *googleads.Options) { o.AdPersonalization = "personalization" })
	require.Equal(t, `{"adUserData":"CONSENT_GRANTED","adPersonalization":"CONSENT_DENIED"}`, gjson.Get(destinationtest.Body(t, g, event), "consent").Raw)
	event.Consent = []string{"marketing", "personalization"}
	require.Equal(t, `{"adUserData":"CONSENT_GRANTED","adPersonalization":"CONSENT_GRANTED"}`, gjson.Get(destinationtest.Body(t, g, event), "consent").Raw)
	event.Consent = []string{"personalization"}
	_, rejected := g.Encode(event)
	require.Equal(t, destination.Reject("consent: the purpose in ad_user_data is not accepted, and Google takes no conversion without it"), rejected)
}

// TestAdjustments: the sale counts once, and what comes later changes what it is worth.
func TestAdjustments(t *testing.T) {
	t.Parallel()
	g, server := setup(t, nil)
	worth := func() string {
		conversion, ok := server.Conversion(action, "E100042")
		require.True(t, ok)
		return string(conversion.Value)
	}
	for range 2 {
		destinationtest.Deliver(t, g, destinationtest.EventWith(t, "order_paid", order))
	}
	require.Equal(t, "749.00", worth())
	destinationtest.Deliver(t, g, destinationtest.EventWith(t, "order_partly_refunded", order))
	require.Equal(t, "450.00", worth())
	destinationtest.Deliver(t, g, destinationtest.EventWith(t, "order_refunded", order))
	require.Equal(t, "0", worth())
	destinationtest.Deliver(t, g, destinationtest.EventWith(t, "order_cancelled", order))
	require.Equal(t, "0", worth())
	require.Equal(t, googleadstest.Counts{Requests: 5, Tokens: 1, Conversions: 1, Adjusted: 2, Repeats: 2}, server.Counts())
	require.Equal(t, []string{"order_paid", "order_cancelled", "order_refunded", "order_partly_refunded"}, g.Traits().States)
	require.Equal(t, []string{"order_cancelled", "order_refunded", "order_partly_refunded"}, g.Traits().Adjusts)
	tagged := offline(t, func(o *googleads.Options) { o.Events = map[string]string{"order_paid": ""} })
	require.Empty(t, tagged.Traits().Adjusts, "sales that the site's tag reports are changed, too")
}

// TestMoreActions: an event may be a conversion of its own, which goes in a request of its own.
func TestMoreActions(t *testing.T) {
	t.Parallel()
	g, server := setup(t, func(o *googleads.Options) {
		o.Events = map[string]string{"newsletter_optin": "555", "order_shipped": "555", "custom:*": "555"}
	})
	items := destinationtest.Encode(t, g, destinationtest.Event(t, "order_paid"), destinationtest.Event(t, "newsletter_optin"))
	require.NotEqual(t, items[0].Group, items[1].Group)
	destinationtest.Deliver(t, g, destinationtest.Event(t, "newsletter_optin"))
	signup, ok := server.Conversion("555", "newsletter_optin:E100042")
	require.True(t, ok)
	require.Nil(t, signup.Value)
	destinationtest.Deliver(t, g, destinationtest.Event(t, "order_shipped"))
	shipped, ok := server.Conversion("555", "order_shipped:E100042")
	require.True(t, ok)
	require.Equal(t, "749.00", string(shipped.Value))
	require.Contains(t, g.Traits().States, "order_shipped", "or a sale that comes later would be superseded by it")
	require.NotContains(t, g.Traits().Adjusts, "order_shipped")
}

func TestOptions(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*googleads.Options){
		"customer_id: must be 10 digits":                             func(o *googleads.Options) { o.CustomerID = "123-456-7890" },
		"login_customer_id: must be 10 digits":                       func(o *googleads.Options) { o.LoginCustomerID = "1" },
		"conversion_action: must be at most 20 digits":               func(o *googleads.Options) { o.ConversionAction = "AW-1" },
		"base_url: must begin with https://":                         func(o *googleads.Options) { o.BaseURL = "http://api.example.com" },
		"oauth.token_url: must begin with https://":                  func(o *googleads.Options) { o.OAuth.TokenURL = "http://api.example.com" },
		"service_account: must be the JSON key of a service account": func(o *googleads.Options) { o.ServiceAccount = config.NewSecret("{}") },
		"service_account: token_uri: must begin with https://": func(o *googleads.Options) {
			o.ServiceAccount = config.NewSecret(standin.ServiceAccountKey("http://oauth2.example.com"))
		},
		"service_account: is required, or oauth with client_id, client_secret and refresh_token": func(o *googleads.Options) { o.OAuth = googleads.OAuth{} },
		"events.search: retract is for events of orders":                                         func(o *googleads.Options) { o.Events = map[string]string{"search": "retract"} },
		"events.search: must be the id of a conversion action, or purchase, restate or retract":  func(o *googleads.Options) { o.Events = map[string]string{"search": "search"} },
		"events: a custom event's own name is not the id of a conversion action":                 func(o *googleads.Options) { o.Events = map[string]string{"custom:*": "*"} },
		"events: order_placed and order_paid must not both be a sale, or have the same name, which would count an order twice": func(o *googleads.Options) {
			o.Events = map[string]string{"order_placed": "purchase"}
		},
	} {
		options := googleads.Options{CustomerID: customer, ConversionAction: action, OAuth: googleads.OAuth{
			ClientID: "x", ClientSecret: config.NewSecret("x"), RefreshToken: config.NewSecret("x"),
		}}
		change(&options)
		_, err := googleads.New(options)
		require.EqualError(t, err, want)
	}
}

// TestServiceAccount signs for its tokens.
func TestServiceAccount(t *testing.T) {
	t.Parallel()
	server := newServer()
	url := destinationtest.Serve(t, server)
	g := newGoogleAds(t, url, url, func(o *googleads.Options) {
		o.OAuth, o.ServiceAccount, o.LoginCustomerID = googleads.OAuth{}, config.NewSecret(standin.ServiceAccountKey(url+"/token")), "9999999999"
	})
	require.Equal(t, 200, destinationtest.Deliver(t, g, destinationtest.Event(t, "order_paid")))
	require.Empty(t, server.Refusals())
}

// TestTokens: one request for a token serves all events, and one for which there is no token is not lost.
func TestTokens(t *testing.T) {
	t.Parallel()
	g, server := setup(t, nil)
	var senders sync.WaitGroup
	for range 20 {
		senders.Go(func() { _, _ = g.Send(t.Context(), destinationtest.Event(t, "order_paid")) })
	}
	senders.Wait()
	require.Equal(t, 1, server.Counts().Tokens)
	require.Equal(t, 20, server.Counts().Requests)

	server.Forget() // it was revoked
	require.Equal(t, 200, destinationtest.Deliver(t, g, destinationtest.Event(t, "order_paid")), "it gets another token")
	require.Equal(t, 2, server.Counts().Tokens)
	require.Equal(t, 22, server.Counts().Requests)
}

func TestTokensThatFail(t *testing.T) {
	t.Parallel()
	events := destinationtest.Serve(t, newServer())
	for name, test := range map[string]struct {
		tokens http.Handler
		kind   destination.Kind
		reason string
	}{
		"Revoked": {http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, `{"error":"invalid_grant"}`, http.StatusBadRequest)
		}),
			destination.Unauthorized, "no access token: the provider did not accept the credentials (HTTP 400)"},
		"Down": {http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }),
			destination.Unreachable, "no access token: the provider had an error of its own (HTTP 503)"},
		"Reset": {http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }),
			destination.Unreachable, "no access token: connection lost before the answer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGoogleAds(t, events, destinationtest.Serve(t, test.tokens), nil)
			for range 3 {
				failed := destinationtest.Fail(t, g, destinationtest.Event(t, "order_paid"))
				require.Equal(t, test.kind, failed.Kind)
				require.EqualError(t, failed, test.reason)
			}
		})
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	violation := func(field, reason string) string {
		return `{"error":{"code":400,"status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"INVALID_ARGUMENT"},` +
			`{"@type":"type.googleapis.com/google.rpc.BadRequest","fieldViolations":[{"field":"` + field + `","description":"Qmarker","reason":"` + reason + `"}]}]}}`
	}
	for name, test := range map[string]struct {
		status int
		body   string
		want   destination.Kind
		reason string
	}{
		"Taken":       {200, `{"requestId":"1"}`, 0, ""},
		"NoID":        {200, `{}`, destination.Ambiguous, "the answer does not say that Google has taken the events"},
		"Page":        {200, `<html>`, destination.Ambiguous, "the answer does not say that Google has taken the events"},
		"Action":      {400, violation("destinations.destinations[0]", "INVALID_CONVERSION_ACTION_ID"), destination.Misconfigured, "check conversion_action and events"},
		"Destination": {400, violation("destinations[0].operating_account", "SOMETHING_NEW"), destination.Misconfigured, "check customer_id, login_customer_id and conversion_action"},
		"Terms":       {400, violation("", "DESTINATION_ACCOUNT_ENHANCED_CONVERSIONS_TERMS_NOT_SIGNED"), destination.Misconfigured, "accept them, or set user_data: false"},
		"InfoAlone":   {400, `{"error":{"details":[{"reason":"NOT_ALLOWLISTED"}]}}`, destination.Misconfigured, "Google has not admitted the account"},
		"TooOld":      {400, violation("events.events[1].event_timestamp", "EVENT_TIME_INVALID"), destination.Rejected, "occurred_at: is outside of what Google takes"},
		"Unknown":     {400, violation("events.events[1]", "SOMETHING_NEW"), destination.Rejected, "the provider rejected the event"},
		"NoPage":      {404, `<html>`, destination.Misconfigured, "check base_url"},
		"Account":     {403, `{"error":{"status":"PERMISSION_DENIED"}}`, destination.Unauthorized, "Google does not let these credentials send to this account"},
		"Quota":       {429, `{"error":{"status":"RESOURCE_EXHAUSTED"}}`, destination.Throttled, "the provider asked to slow down"},
		"Own":         {500, ``, destination.Ambiguous, "the provider had an error of its own"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tokens := destinationtest.Serve(t, newServer())
			destinationtest.AnswerForAll(t, func(url string) destination.Batcher { return newGoogleAds(t, url, tokens, nil) }, test.status, test.body, test.want, test.reason)
		})
	}
}

// TestOneRefusesAll: Google takes nothing of a request in which one event is at fault, and its halves are sent.
func TestOneRefusesAll(t *testing.T) {
	t.Parallel()
	now := destinationtest.Event(t, "order_paid").OccurredAt
	server := googleadstest.New(googleadstest.Options{CustomerID: customer, Action: action, RefreshToken: secret, Now: func() time.Time { return now }})
	url := destinationtest.Serve(t, server)
	g := newGoogleAds(t, url, url, nil)
	fresh, old := destinationtest.Event(t, "order_paid"), destinationtest.Event(t, "order_paid")
	old.OrderRef, old.OccurredAt = "E7", now.Add(-15*24*time.Hour)
	items := destinationtest.Encode(t, g, fresh, old)
	_, failed := g.SendBatch(t.Context(), items)
	require.Equal(t, &destination.Error{Kind: destination.Rejected, Code: 400, Reason: "occurred_at: is outside of what Google takes"}, failed)
	require.Zero(t, server.Counts().Conversions)
	_, failed = g.SendBatch(t.Context(), items[:1])
	require.Nil(t, failed)
}

func TestBatchOfTwoThousand(t *testing.T) {
	t.Parallel()
	g, server := setup(t, nil)
	events := make([]destination.Event, 2000)
	for i := range events {
		events[i] = destinationtest.Event(t, "order_paid")
		events[i].OrderRef = "E" + strings.Repeat("1", i%7) + string(rune('a'+i%26)) + time.Duration(i).String()
	}
	results, failed := g.SendBatch(t.Context(), destinationtest.Encode(t, g, events...))
	require.Nil(t, failed)
	require.Len(t, results, 2000)
	require.Equal(t, 2000, server.Counts().Conversions)
}

func TestSendTestIsNotRecorded(t *testing.T) {
	t.Parallel()
	g, server := setup(t, nil)
	n := destinationtest.SendEveryTest(t, g)
	require.Equal(t, googleadstest.Counts{Requests: n, Tokens: 1, Tests: n}, server.Counts())
}

func TestProve(t *testing.T) {
	t.Parallel()
	for _, userData := range []bool{true, false} {
		g, server := setup(t, func(o *googleads.Options) { o.UserData = userData })
		proved, err := g.Prove(t.Context())
		require.NoError(t, err)
		require.Equal(t, "the credentials may send to this conversion action; Google checked a sale and recorded nothing", proved)
		require.Equal(t, googleadstest.Counts{Requests: 1, Tokens: 1, Tests: 1}, server.Counts())
	}
	for want, change := range map[string]func(*googleads.Options){
		"no access token: the provider did not accept the credentials (HTTP 400)":                                           func(o *googleads.Options) { o.OAuth.RefreshToken = config.NewSecret("other") },
		"Google knows no such conversion action: check conversion_action and events (HTTP 400)":                             func(o *googleads.Options) { o.ConversionAction = "1" },
		"Google does not let these credentials send to this account, or the API is not enabled in their project (HTTP 403)": func(o *googleads.Options) { o.CustomerID = "1111111111" },
	} {
		g, _ := setup(t, change)
		_, err := g.Prove(t.Context())
		require.EqualError(t, err, want)
	}
	_, err := answering(t, 200, `{}`).Prove(t.Context())
	require.NoError(t, err, "what is only validated need not have an id")
}

// TestServerRefuses shows that the stand-in is strict: what it takes is not taken by accident.
func TestServerRefuses(t *testing.T) {
	t.Parallel()
	server := newServer()
	token := gjson.Get(destinationtest.Post(server, "/token", "grant_type=refresh_token&client_id="+googleadstest.ClientID+"&client_secret="+secret+"&refresh_token="+secret,
		"Content-Type", "application/x-www-form-urlencoded").Body.String(), "access_token").Str
	require.NotEmpty(t, token)
	require.Equal(t, 400, destinationtest.Post(server, "/token", "grant_type=refresh_token&client_id=x&client_secret="+secret+"&refresh_token="+secret,
		"Content-Type", "application/x-www-form-urlencoded").Code)
	good := `{"destinations":[{"operatingAccount":{"accountType":"GOOGLE_ADS","accountId":"` + customer + `"},"productDestinationId":"` + action + `"}],"encoding":"HEX","events":[` +
		`{"transactionId":"1","eventTimestamp":"2025-03-04T10:15:30Z","eventSource":"WEB","userData":{"userIdentifiers":[{"emailAddress":"` + destination.SHA256Hex("a") + `"}]},` +
		`"consent":{"adUserData":"CONSENT_GRANTED","adPersonalization":"CONSENT_DENIED"},"currency":"DKK","conversionValue":1.00}]}`
	status := func(body string, bearer string) int {
		return destinationtest.Post(server, "/v1/events:ingest", body, "Authorization", "Bearer "+bearer, "Content-Type", "application/json").Code
	}
	require.Equal(t, 200, status(good, token))
	require.Equal(t, 401, status(good, "other"))
	require.Equal(t, 403, status(strings.Replace(good, customer, "1111111111", 1), token))
	for from, to := range map[string]string{
		`"HEX"`: `"BASE64"`, action: `1`, `"GOOGLE_ADS"`: `"GOOGLE"`, `"transactionId":"1"`: `"transactionId":""`, `"WEB"`: `"OTHER"`, `10:15:30Z`: `10:15:30`,
		destination.SHA256Hex("a"): `a@example.com`, `"emailAddress"`: `"email"`, `_GRANTED`: `_DENIED`, `"currency":"DKK",`: ``, `1.00`: `-1.00`, `1.00}`: `"1.00"}`,
		`"userData":{"userIdentifiers":[{"emailAddress":"` + destination.SHA256Hex("a") + `"}]},`: ``, `"events":[`: `"events":[],"more":[`,
	} {
		require.Equal(t, 400, status(strings.Replace(good, from, to, 1), token), to)
	}
}

func FuzzEncode(f *testing.F) {
	f.Add("order_paid", "E1", []byte(`{"customer": {"email": "jane.doe@example.com", "phone": "+4512345678"}, "order": {"currency": "DKK", "total": "007.50", "items": [{"sku": "\u0000", "quantity": 1.50, "unit_price": "00"}]}}`))
	f.Add("order_refunded", "", []byte(`{"client": {"gclid": "<x>\ud800"}, "order": {"ref": "E1", "currency": "DKK"}}`))
	options := googleads.Options{
		CustomerID: customer, ConversionAction: action, UserData: true, MerchantID: "1", Events: map[string]string{"search": "555", "custom:*": "555"},
		OAuth: googleads.OAuth{ClientID: "x", ClientSecret: config.NewSecret("x"), RefreshToken: config.NewSecret("x")},
	}
	g, err := googleads.New(options)
	require.NoError(f, err)
	destinationtest.FuzzEncode(f, func(t *testing.T, event destination.Event, item destination.Encoded) {
		require.Empty(t, googleadstest.Problem(item.Body)) // hashes only where hashes belong, among much else
		if customer := event.Payload.Customer; customer != nil {
			user := gjson.GetBytes(item.Body, "userData").Raw
			for _, secret := range []string{customer.Email, customer.Phone, customer.FirstName, customer.LastName} {
				require.False(t, len(secret) > 5 && strings.Contains(user, secret) && !slices.Contains([]string{destination.PostalCode(addressOf(customer))}, secret))
			}
		}
	}, g)
}

func addressOf(customer *destination.Customer) *destination.Address {
	if customer.Address == nil {
		return &destination.Address{}
	}
	return customer.Address
}
