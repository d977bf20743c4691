package spread_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/config"
	"kvit/destination"
	"kvit/destination/destinationtest"
	"kvit/destination/spread"
	"kvit/destination/spread/spreadtest"
)

const jane = `"customer": {"id": "cust-1042", "email": "jane.doe@example.com", "first_name": "Jane", "last_name": "Doe",
 "address": {"lines": ["1 Example Street", "2nd floor"], "postal_code": "8000", "city": "Aarhus C", "country": "DK"}, "tags": ["b2c", "webshop"]}`

const janesOrder = `{` + jane + `, "order": {"total": "749.00"}, "custom": {"customer_group": "B2C"}}`

func options() spread.Options {
	return spread.Options{
		PublicKey: config.NewSecret("PUBLICKEY"), PrivateKey: config.NewSecret("PRIVATEKEY"), CartTrigger: "abandoned_cart",
		Grants: spread.Grants{Order: "LegalBasisOrder", Account: "LegalBasisOptin", EmailOptin: "NewsEmail", SMSOptin: "NewsSMS"},
	}
}

// setup is a destination and the account that it sends to.
func setup(t *testing.T, options spread.Options, fail func(int) spreadtest.Failure) (*spread.Spread, *spreadtest.Server) {
	t.Helper()
	server := spreadtest.New("PUBLICKEY", "PRIVATEKEY", fail)
	return at(t, destinationtest.Serve(t, server), options), server
}

func at(t *testing.T, url string, options spread.Options) *spread.Spread {
	t.Helper()
	options.BaseURL = url
	s, err := spread.New(options)
	require.NoError(t, err)
	return s
}

// body is the form that an event becomes, and the path it is posted to.
func body(t *testing.T, options spread.Options, event destination.Event) (path, raw string, form url.Values) {
	t.Helper()
	address, last := destinationtest.Recording(t, 200, "")
	destinationtest.Deliver(t, at(t, address, options), event)
	form, err := url.ParseQuery(last().Body)
	require.NoError(t, err)
	return last().Path, last().Body, form
}

func TestConformance(t *testing.T) {
	t.Parallel()
	for _, identity := range []string{spread.Email, spread.ExternalID} {
		t.Run(identity, func(t *testing.T) {
			t.Parallel()
			destinationtest.Run(t, destinationtest.Harness{
				New: func(t *testing.T, baseURL string, client destination.ClientOptions) destination.Destination {
					options := options()
					options.HTTP, options.Identity = client, identity
					return at(t, baseURL, options)
				},
				Success: func(w http.ResponseWriter, _ *http.Request) {
					_, _ = w.Write([]byte(`{"datas": {}, "errors": []}`))
				},
				ReadsAnswer: true,
				Statuses:    map[int]destination.Kind{404: destination.Misconfigured},
			})
		})
	}
}

func TestOrderPaid(t *testing.T) {
	t.Parallel()
	options := options()
	options.Tags, options.OrderTags = []string{"webshop"}, []string{"online"}
	options.CustomFields = map[string]string{"327": "custom.customer_group", "1000": "custom.missing", "15": "order.total"}
	path, raw, _ := body(t, options, destinationtest.EventWith(t, "order_paid", janesOrder))
	require.Equal(t, "/api/UpdateOrder", path)
	require.Equal(t, strings.Join([]string{
		"data%5Bcustomer_email%5D=jane.doe%40example.com", "data%5Bcustomer_name%5D=Doe", "data%5Bcustomer_firstname%5D=Jane",
		"data%5Bcustomer_address%5D=1+Example+Street%2C+2nd+floor", "data%5Bcustomer_cp%5D=8000", "data%5Bcustomer_city%5D=Aarhus+C", "data%5Bcustomer_country%5D=DK",
		"data%5Badd_tag%5D%5B0%5D=webshop", "data%5Badd_tag%5D%5B1%5D=b2c",
		"data%5Bcustom_fields%5D%5B15%5D=749.00", "data%5Bcustom_fields%5D%5B327%5D=B2C", "data%5Bconsents%5D%5BLegalBasisOrder%5D=1",
		"data%5Baction%5D=order", "data%5Border_idorder%5D=E100042", "data%5Border_state%5D=20", "data%5Border_amount%5D=749.00",
		"data%5Bdate%5D=2025-03-04+11%3A15%3A30", "data%5Badd_order_tag%5D%5B0%5D=online", "request%5Border_idorder%5D=E100042",
	}, "&"), raw)
}

func TestEveryFieldOfAProfile(t *testing.T) {
	t.Parallel()
	_, _, form := body(t, options(), destinationtest.Event(t, "account_updated"))
	for field, want := range map[string]string{
		"customer_mobile": "+12025550123", "customer_gender": "female", "customer_birthday": "1990-05-17", "customer_lang": "en_GB",
		"customer_company": "Qmarker=1", "customer_cookie": "Qmarker", "add_tag][0": "Qmarker", "action": "signup",
	} {
		require.Equal(t, want, form.Get("data["+field+"]"), field)
	}
}

func TestMethods(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]struct{ path, state, action string }{
		"order_placed":      {"/api/CreateOrder", "10", ""},
		"order_paid":        {"/api/UpdateOrder", "20", "order"},
		"order_shipped":     {"/api/UpdateOrder", "50", ""},
		"order_cancelled":   {"/api/UpdateOrder", "0", ""},
		"account_created":   {"/api/CreateAccount", "", "signup"},
		"account_updated":   {"/api/UpdateAccount", "", "signup"},
		"newsletter_optin":  {"/api/UpdateAccount", "", "newsletter"},
		"newsletter_optout": {"/api/UpdateAccount", "", "signup"},
		"sms_optin":         {"/api/UpdateAccount", "", "signup"},
		"sms_optout":        {"/api/UpdateAccount", "", "signup"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path, _, form := body(t, options(), destinationtest.EventWith(t, name, janesOrder))
			require.Equal(t, want.path, path)
			require.Equal(t, want.state, form.Get("data[order_state]"))
			require.Equal(t, want.action, form.Get("data[action]"))
			sold := name == "order_placed" || name == "order_paid"
			require.Equal(t, sold, form.Has("data[date]"))
		})
	}
}

func TestNewsletterOfAStranger(t *testing.T) {
	t.Parallel()
	for _, customer := range []string{`{"email": "jane.doe@example.com"}`, `{"email": "jane.doe@example.com", "id": "1", "is_new": true}`} {
		path, _, _ := body(t, options(), destinationtest.EventWith(t, "newsletter_optin", `{"customer": `+customer+`}`))
		require.Equal(t, "/api/CreateAccount", path)
	}
}

// consents are what a call says of consents, by technical name, with the opt-in field as isoptin.
func consents(form url.Values) map[string]string {
	found := map[string]string{}
	for key := range form {
		if name, ok := strings.CutPrefix(key, "data[consents]["); ok {
			found[strings.TrimSuffix(name, "]")] = form.Get(key)
		}
	}
	if form.Has("data[customer_isoptin]") {
		found["isoptin"] = form.Get("data[customer_isoptin]")
	}
	return found
}

func TestGrants(t *testing.T) {
	t.Parallel()
	type said = map[string]string
	for name, test := range map[string]struct {
		event, optin, validateOn string
		want                     said
	}{
		"PaidCounts":             {"order_paid", ``, spread.Paid, said{"LegalBasisOrder": "1"}},
		"PlacedDoesNot":          {"order_placed", ``, spread.Paid, said{}},
		"RegisteredCounts":       {"order_placed", ``, spread.Registered, said{"LegalBasisOrder": "1"}},
		"ThenPaidDoesNot":        {"order_paid", ``, spread.Registered, said{}},
		"CancelledDoesNot":       {"order_cancelled", ``, spread.Paid, said{}},
		"Account":                {"account_created", ``, "", said{"LegalBasisOptin": "1"}},
		"AccountUpdated":         {"account_updated", ``, "", said{}},
		"AccountWithOptins":      {"account_created", `{"email": true, "sms": true}`, "", said{"LegalBasisOptin": "1", "NewsEmail": "1", "NewsSMS": "1", "isoptin": "1"}},
		"AccountWithoutOptins":   {"account_created", `{"email": false, "sms": false}`, "", said{"LegalBasisOptin": "1", "isoptin": "0"}},
		"OrderWithOptin":         {"order_paid", `{"email": true}`, "", said{"LegalBasisOrder": "1", "NewsEmail": "1", "isoptin": "1"}},
		"NewsletterOptin":        {"newsletter_optin", ``, "", said{"NewsEmail": "1", "isoptin": "1"}},
		"NewsletterOptinStated":  {"newsletter_optin", `{"email": true}`, "", said{"NewsEmail": "1", "isoptin": "1"}},
		"NewsletterOptout":       {"newsletter_optout", ``, "", said{"NewsEmail": "0", "isoptin": "0"}},
		"NewsletterOptoutStated": {"newsletter_optout", `{"email": false}`, "", said{"NewsEmail": "0", "isoptin": "0"}},
		"SMSOptin":               {"sms_optin", ``, "", said{"NewsSMS": "1"}},
		"SMSOptout":              {"sms_optout", ``, "", said{"NewsSMS": "0"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			options := options()
			options.ValidateOn = test.validateOn
			payload := `{` + jane + `, "order": {"total": "1"}, "optin": null}`
			if test.optin != "" {
				payload = strings.Replace(payload, "null", test.optin, 1)
			}
			_, _, form := body(t, options, destinationtest.EventWith(t, test.event, payload))
			require.Equal(t, test.want, consents(form))
		})
	}
	t.Run("None", func(t *testing.T) {
		t.Parallel()
		options := options()
		options.Grants = spread.Grants{}
		_, _, form := body(t, options, destinationtest.EventWith(t, "newsletter_optin", `{`+jane+`}`))
		require.Equal(t, said{"isoptin": "1"}, consents(form))
	})
	t.Run("SharedName", func(t *testing.T) {
		t.Parallel()
		options := options()
		options.Grants.SMSOptin = "NewsEmail"
		_, _, form := body(t, options, destinationtest.EventWith(t, "newsletter_optin", `{`+jane+`}`))
		require.Equal(t, []string{"1"}, form["data[consents][NewsEmail]"])
	})
}

func TestIdentity(t *testing.T) {
	t.Parallel()
	options := options()
	_, _, form := body(t, options, destinationtest.EventWith(t, "order_paid", janesOrder))
	require.False(t, form.Has("data[external_id]"))
	options.Identity = spread.ExternalID
	_, _, form = body(t, options, destinationtest.EventWith(t, "order_paid", janesOrder))
	require.Equal(t, "cust-1042", form.Get("data[external_id]"))
	require.Equal(t, "jane.doe@example.com", form.Get("data[customer_email]"))
}

func TestRejectsWhatACallCannotDoWithout(t *testing.T) {
	t.Parallel()
	withRef := func(e destination.Event, ref string) destination.Event { e.OrderRef = ref; return e }
	paid := func(payload string) destination.Event { return destinationtest.EventWith(t, "order_paid", payload) }
	cart := func(payload string) destination.Event {
		return destinationtest.EventWith(t, "cart_updated", `{"customer": {"email": "a@example.com"}, `+payload+`}`)
	}
	for name, test := range map[string]struct {
		event    destination.Event
		identity string
		want     string
	}{
		"NoCustomer":     {paid(`{"order": {"total": "1"}}`), "", "customer.email: is required"},
		"NoID":           {paid(`{"customer": {"email": "a@example.com"}, "order": {"total": "1"}}`), spread.ExternalID, "customer.id: is required, since identity is external_id"},
		"LongID":         {paid(`{"customer": {"id": "` + strings.Repeat("é", 251) + `"}, "order": {"total": "1"}}`), spread.ExternalID, "customer.id: must not be longer than 250 characters"},
		"NoRef":          {withRef(paid(janesOrder), ""), "", "order.ref: is required"},
		"TwoRefs":        {withRef(paid(`{`+jane+`, "order": {"ref": "E1", "total": "1"}}`), "E2"), "", "order.ref: differs from the event's order_ref"},
		"NoTotal":        {paid(`{` + jane + `}`), "", "order.total: is required"},
		"NoCart":         {cart(`"cart": {}`), "", "cart.id: is required"},
		"NoItems":        {cart(`"cart": {"id": "c"}`), "", "cart.items: is required, and an empty list for an empty cart"},
		"CartOfStranger": {destinationtest.EventWith(t, "cart_updated", `{"cart": {"id": "c", "items": []}}`), "", "customer.email: is required"},
		"SaysOpposite":   {destinationtest.EventWith(t, "newsletter_optout", `{`+jane+`, "optin": {"email": true}}`), "", "optin.email: contradicts the name of the event"},
		"SMSOpposite":    {destinationtest.EventWith(t, "sms_optin", `{`+jane+`, "optin": {"sms": false}}`), "", "optin.sms: contradicts the name of the event"},
		"OtherEvent":     {destinationtest.EventWith(t, "page_viewed", `{`+jane+`}`), "", "name: is not an event that SPREAD takes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			options := options()
			options.Identity = test.identity
			s, server := setup(t, options, nil)
			code, err := s.Send(t.Context(), test.event)
			require.Zero(t, code)
			require.Equal(t, &destination.Error{Kind: destination.Rejected, Reason: test.want}, err)
			require.Zero(t, server.Counts().Requests)
		})
	}
}

func TestOrderThroughItsStates(t *testing.T) {
	t.Parallel()
	s, server := setup(t, options(), nil)
	for _, name := range []string{"order_placed", "order_placed", "order_paid", "order_shipped", "order_cancelled"} {
		destinationtest.Deliver(t, s, destinationtest.EventWith(t, name, janesOrder))
	}
	require.Empty(t, server.Refusals())
	order, ok := server.Order("E100042")
	require.True(t, ok)
	require.Equal(t, spreadtest.Order{
		Customer: "jane.doe@example.com", State: "0", Amount: "749.00", Date: "2025-03-04 11:15:30",
		Said: map[string]int{"10": 2, "20": 1, "50": 1, "0": 1},
	}, order)
	require.Equal(t, spreadtest.Counts{Requests: 6, Profiles: 1, Orders: 1, Repeats: 1}, server.Counts())
}

// A shop may begin to use kvit between an order's placing and its payment, or write order_paid alone.
func TestOrderThatSPREADDoesNotKnowIsCreated(t *testing.T) {
	t.Parallel()
	for name, state := range map[string]string{"order_paid": "20", "order_shipped": "50", "order_cancelled": "0"} {
		s, server := setup(t, options(), nil)
		destinationtest.Deliver(t, s, destinationtest.EventWith(t, name, janesOrder))
		order, ok := server.Order("E100042")
		require.True(t, ok)
		require.Equal(t, state, order.State)
		require.Equal(t, 2, server.Counts().Requests)
	}
}

func TestAccountThatExistsIsUpdated(t *testing.T) {
	t.Parallel()
	s, server := setup(t, options(), nil)
	for range 2 {
		destinationtest.Deliver(t, s, destinationtest.EventWith(t, "account_created", `{`+jane+`}`))
	}
	profile, ok := server.Profile("jane.doe@example.com")
	require.True(t, ok)
	require.Equal(t, 2, profile.Calls)
	require.Equal(t, 3, server.Counts().Requests)
}

func TestCart(t *testing.T) {
	t.Parallel()
	s, server := setup(t, options(), nil)
	cart := func(items string) destination.Event {
		return destinationtest.EventWith(t, "cart_updated", `{`+jane+`, "cart": {"id": "c-77", "currency": "DKK", "total": "598.00", "items": [`+items+`]}}`)
	}
	for _, quantity := range []string{"1", "2"} {
		destinationtest.Deliver(t, s, cart(`{"sku": "SKU-9", "name": "Teapot", "unit_price": "299.00", "quantity": `+quantity+`}`))
	}
	running, ok := server.Cart("c-77")
	require.True(t, ok)
	require.Equal(t, spreadtest.Cart{Email: "jane.doe@example.com", Calls: 2, Fields: map[string]string{
		"key[cartId]": "c-77", "customerEmail": "jane.doe@example.com", "cart_items_count": "1", "cart_currency_code": "DKK", "cart_grandTotal": "598.00",
		"items[0][idProduct]": "SKU-9", "items[0][name]": "Teapot", "items[0][price]": "299.00", "items[0][quantity]": "2",
	}}, running)
	destinationtest.Deliver(t, s, cart(""))
	require.Equal(t, spreadtest.Counts{Requests: 3}, server.Counts())
}

func TestTraitsFollowTheSettings(t *testing.T) {
	t.Parallel()
	options := options()
	options.CartTrigger, options.Grants.SMSOptin = "", ""
	s, err := spread.New(options)
	require.NoError(t, err)
	events := []string{
		"order_placed", "order_paid", "order_shipped", "order_cancelled",
		"account_created", "account_updated", "newsletter_optin", "newsletter_optout",
	}
	require.Equal(t, destination.Traits{Events: events, States: events}, s.Traits())
}

func TestWrongKey(t *testing.T) {
	t.Parallel()
	options := options()
	options.PrivateKey = config.NewSecret("WRONG")
	s, _ := setup(t, options, nil)
	_, err := s.Send(t.Context(), destinationtest.EventWith(t, "order_placed", janesOrder))
	require.Equal(t, &destination.Error{Kind: destination.Unauthorized, Code: 401, Reason: "the provider did not accept the credentials"}, err)
}

func TestFailuresOfTheStandIn(t *testing.T) {
	t.Parallel()
	plan := []spreadtest.Failure{
		{Status: 429, RetryAfter: "2"}, {Status: 500, Echo: true}, {Reset: true}, {Status: 502, After: true}, {Delay: time.Millisecond},
	}
	s, server := setup(t, options(), func(n int) spreadtest.Failure {
		if n > len(plan) {
			return spreadtest.Failure{}
		}
		return plan[n-1]
	})
	var kinds []destination.Kind
	event := destinationtest.EventWith(t, "order_placed", janesOrder)
	for range len(plan) - 1 {
		failed := destinationtest.Fail(t, s, event)
		require.NotContains(t, failed.Error(), "jane")
		kinds = append(kinds, failed.Kind)
	}
	destinationtest.Deliver(t, s, event)
	require.Equal(t, []destination.Kind{destination.Throttled, destination.Ambiguous, destination.Ambiguous, destination.Ambiguous}, kinds)
	require.Equal(t, spreadtest.Counts{Requests: 6, Profiles: 1, Orders: 1, Repeats: 1}, server.Counts())
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer string
		want   destination.Kind // 0: delivered
		noted  bool
	}{
		"Data":         {`{"datas": {"cookie": "x"}}`, 0, false},
		"Empty":        {` `, 0, false},
		"NoErrors":     {`{"error": null, "errors": []}`, 0, false},
		"FalseError":   {`{"error": false, "errors": {}}`, 0, false},
		"EmptyError":   {`{"error": "", "errors": 0}`, 0, false},
		"Error":        {`{"error": "customer MARKER is unknown"}`, destination.Rejected, false},
		"Errors":       {`{"errors": [{"MARKER": "bad"}]}`, destination.Rejected, false},
		"TrueError":    {`{"error": true}`, destination.Rejected, false},
		"WrongKey":     {`{"error": "MARKER", "code": 401}`, destination.Unauthorized, false},
		"SlowDown":     {`{"error": {"code": "429"}}`, destination.Throttled, false},
		"NotAStatus":   {`{"error": "MARKER", "code": 12}`, destination.Rejected, false},
		"Page":         {`<html>MARKER`, 0, true},
		"LargerThan64": {`{"datas": "` + strings.Repeat("x", 70<<10) + `"}`, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			options := options()
			options.Logger = slog.New(slog.NewTextHandler(&log, nil))
			s := at(t, destinationtest.Answering(t, 200, test.answer), options)
			event := destinationtest.EventWith(t, "order_paid", janesOrder)
			for range 2 {
				if test.want == 0 {
					destinationtest.Deliver(t, s, event)
					continue
				}
				failed := destinationtest.Fail(t, s, event)
				require.Equal(t, test.want, failed.Kind)
				require.NotContains(t, failed.Error(), "MARKER")
			}
			require.Equal(t, test.noted, strings.Count(log.String(), "\n") == 1)
			require.NotContains(t, log.String(), "MARKER")
		})
	}
}

func TestNewNamesTheWrongOption(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*spread.Options){
		"public_key: is required":                              func(o *spread.Options) { o.PublicKey = config.Secret{} },
		"private_key: is required":                             func(o *spread.Options) { o.PrivateKey = config.Secret{} },
		"validate_on: must be paid or registered":              func(o *spread.Options) { o.ValidateOn = "sent" },
		"identity: must be email or external_id":               func(o *spread.Options) { o.Identity = "both" },
		"time_zone: is not a known time zone":                  func(o *spread.Options) { o.TimeZone = "Mars/Olympus" },
		"custom_fields: must be named by SPREAD's numeric ids": func(o *spread.Options) { o.CustomFields = map[string]string{"x": "custom.y"} },
		"urls: must begin with https://":                       func(o *spread.Options) { o.BaseURL = "http://social-sb.example.com" },
		"urls: must be an absolute URL":                        func(o *spread.Options) { o.URLs.CreateOrder = "/api/createOrder" },
		"urls: must not hold a user name or password":          func(o *spread.Options) { o.URLs.UpdateOrder = "https://a:b@example.com" },
	} {
		options := options()
		change(&options)
		_, err := spread.New(options)
		require.EqualError(t, err, want)
	}
}
