package matomo_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/config"
	"kvit/destination"
	"kvit/destination/destinationtest"
	"kvit/destination/matomo"
	"kvit/destination/matomo/matomotest"
)

const token = "0123456789abcdef0123456789abcdef"

const janesOrder = `{"customer": {"id": "cust-1042", "email": "jane.doe@example.com", "language": "da-DK"},
 "order": {"total": "0749.00", "currency": "DKK", "tax": "149.80", "shipping": "39", "discount": "-0.50",
  "items": [{"sku": "SKU-9", "name": "Teapot <large> & \"lid\"", "category": "Kitchen", "quantity": 2.0, "unit_price": "299.00"}, {"name": "Cup"}, {"quantity": 1}]},
 "client": {"ip": "2001:db8::1", "user_agent": "Example/1.0", "matomo_id": "0123456789ABCDEF", "page_url": "https://shop.example.com/receipt?a=b", "referrer": "https://example.com/"}}`

func options() matomo.Options { return matomo.Options{SiteID: 1, TokenAuth: config.NewSecret(token)} }

func at(t *testing.T, url string, options matomo.Options) *matomo.Matomo {
	t.Helper()
	options.BaseURL = url
	m, err := matomo.New(options)
	require.NoError(t, err)
	return m
}

func setup(t *testing.T, options matomo.Options) (*matomo.Matomo, *matomotest.Server) {
	t.Helper()
	server := matomotest.New("1", token, nil)
	return at(t, destinationtest.Serve(t, server), options), server
}

func encode(t *testing.T, m *matomo.Matomo, event destination.Event) destination.Encoded {
	t.Helper()
	return destinationtest.Encode(t, m, event)[0]
}

// fields are the parameters that an event becomes.
func fields(t *testing.T, options matomo.Options, event destination.Event) url.Values {
	t.Helper()
	m := at(t, "https://matomo.example.com", options)
	text := strings.Trim(destinationtest.Body(t, m, event), `"`)
	values, err := url.ParseQuery(strings.TrimPrefix(text, "?"))
	require.NoError(t, err)
	return values
}

func TestConformance(t *testing.T) {
	t.Parallel()
	destinationtest.Run(t, destinationtest.Harness{
		New: func(t *testing.T, baseURL string, client destination.ClientOptions) destination.Destination {
			options := options()
			options.HTTP = client
			return at(t, baseURL, options)
		},
		Success:     matomotest.New("1", token, nil).ServeHTTP,
		ReadsAnswer: true,
		Statuses:    map[int]destination.Kind{404: destination.Misconfigured, 405: destination.Misconfigured},
	})
}

func TestOrderPaid(t *testing.T) {
	t.Parallel()
	url, last := destinationtest.Recording(t, 200, `{"status":"success","tracked":1,"invalid":0}`)
	require.Equal(t, 200, destinationtest.Deliver(t, at(t, url, options()), destinationtest.EventWith(t, "order_paid", janesOrder)))
	require.Equal(t, "/matomo.php", last().Path)
	require.Equal(t, "application/json", last().Header.Get("Content-Type"))
	require.Equal(t, `{"requests":["?idsite=1&rec=1&apiv=1&send_image=0&bots=1&cdt=1741083330&_id=0123456789abcdef&cid=0123456789abcdef`+
		`&cip=2001%3Adb8%3A%3A1&ua=Example%2F1.0&lang=da-DK&url=https%3A%2F%2Fshop.example.com%2Freceipt%3Fa%3Db&urlref=https%3A%2F%2Fexample.com%2F`+
		`&idgoal=0&ec_id=E100042&revenue=749.00&ec_st=710.00&ec_tx=149.80&ec_sh=39&ec_dt=-0.50`+
		`&ec_items=%5B%5B%22SKU-9%22%2C%22Teapot+%3Clarge%3E+%26+%5C%22lid%5C%22%22%2C%22Kitchen%22%2C299.00%2C2%5D%2C%5B%22Cup%22%2C%22Cup%22%2C%22%22%2C0%2C1%5D%5D"],`+
		`"token_auth":"0123456789abcdef0123456789abcdef"}`, last().Body)
}

func TestReferenceOfThePayload(t *testing.T) {
	t.Parallel()
	event := destinationtest.EventWith(t, "order_paid", `{"order": {"ref": "E7", "total": "1"}}`)
	require.Equal(t, "E100042", fields(t, options(), event).Get("ec_id"))
	event.OrderRef = ""
	require.Equal(t, "E7", fields(t, options(), event).Get("ec_id"))
	event.OrderRef = strings.Repeat("ø", 100) // characters, not bytes
	require.Equal(t, event.OrderRef, fields(t, options(), event).Get("ec_id"))
}

func TestForms(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]map[string]string{
		"cart_updated":     {"idgoal": "0", "revenue": "299.00", "ec_items": `[["SKU-9","Qmarker","",299.00,1]]`},
		"page_viewed":      {"url": "https://shop.example.com/Qmarker", "action_name": "Qmarker"},
		"product_viewed":   {"_pks": "SKU-9", "_pkn": "Qmarker", "_pkc": "Qmarker", "_pkp": "299.00", "action_name": "Qmarker"},
		"search":           {"search": "Qmarker", "search_count": "7"},
		"account_created":  {"e_c": "Account", "e_a": "Created", "ca": "1"},
		"newsletter_optin": {"e_c": "Newsletter", "e_a": "Opt-in", "ca": "1"},
		"sms_optout":       {"e_c": "SMS", "e_a": "Opt-out", "ca": "1"},
		"checkout_started": {"e_c": "Checkout", "e_a": "Started", "e_v": "299.00", "ca": "1"},
		"custom:quiz":      {"e_c": "Shop", "e_a": "quiz", "ca": "1"},
		"custom:order":     {"e_c": "Shop", "e_a": "order", "ca": "1"}, // a name like a form's, and no order
		"custom:a/b/c":     {"e_c": "a", "e_a": "b/c", "ca": "1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			event := destinationtest.Event(t, name)
			got := fields(t, options(), event)
			for field, value := range want {
				require.Equal(t, value, got.Get(field), field)
			}
			require.False(t, got.Has("ec_id"))
			m, server := setup(t, options())
			_, err := m.Send(t.Context(), event)
			require.NoError(t, err, server.Refusals())
		})
	}
}

func TestNothingButTheIDTellsWhoItIs(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"order_paid", "account_created", "custom:x"} {
		got := fields(t, options(), destinationtest.Event(t, name)).Encode()
		for _, personal := range []string{"doe", "12025550123", "Sons", "Street", "1990"} {
			require.NotContains(t, got, personal)
		}
	}
}

func TestEventNames(t *testing.T) {
	t.Parallel()
	o := options()
	o.Events = map[string]string{"order_placed": "order", "order_paid": "Order/Paid", "search": "", "custom:quiz": "Game/Quiz"}
	m, server := setup(t, o)
	require.NotContains(t, m.Traits().CountedAgain, "order_placed")
	require.Contains(t, m.Traits().CountedAgain, "order_paid")
	require.NotContains(t, m.Traits().Events, "search")
	for _, name := range []string{"order_placed", "order_paid", "custom:quiz"} {
		destinationtest.Deliver(t, m, destinationtest.Event(t, name))
	}
	_, ok := server.Order("E100042")
	require.True(t, ok)
	require.Len(t, server.Actions("e_c", "Game"), 1)
	require.Equal(t, "E100042", server.Actions("e_c", "Order")[0].Get("e_n"))
	withoutRef := destinationtest.EventWith(t, "order_paid", `{"order": {"ref": "E7"}}`)
	withoutRef.OrderRef = ""
	require.Equal(t, "E7", fields(t, o, withoutRef).Get("e_n"))
	_, err := m.Send(t.Context(), destinationtest.Event(t, "search"))
	require.EqualError(t, err, "name: is not an event that this destination sends")
}

func TestTraits(t *testing.T) {
	t.Parallel()
	m, _ := setup(t, options())
	require.Equal(t, destination.Traits{
		Events: []string{"order_paid", "account_created", "newsletter_optin", "newsletter_optout", "sms_optin", "sms_optout",
			"cart_updated", "checkout_started", "product_viewed", "search", "page_viewed", "cart_item_removed", "wishlist_item_added",
			"shipping_info_given", "payment_info_given", "promotion_viewed", "promotion_selected", "logged_in", "custom:*"},
		CountedAgain: []string{"account_created", "newsletter_optin", "newsletter_optout", "sms_optin", "sms_optout",
			"checkout_started", "product_viewed", "search", "page_viewed", "cart_item_removed", "wishlist_item_added",
			"shipping_info_given", "payment_info_given", "promotion_viewed", "promotion_selected", "logged_in", "custom:*"},
		States: []string{"cart_updated"}, Batch: destination.Limits{Events: 200, Bytes: 1 << 20},
	}, m.Traits())
}

func TestVisitor(t *testing.T) {
	t.Parallel()
	const customer, cookie = `"customer": {"id": "cust-1042"}`, `"matomo_id": "0123456789abcdef"`
	for name, test := range map[string]struct{ userID, payload, uid, cid string }{
		"Cookie":          {"", customer + `, "client": {` + cookie + `}`, "", "0123456789abcdef"},
		"NoCookie":        {"", customer, "cust-1042", ""},
		"Always":          {matomo.Always, customer + `, "client": {` + cookie + `}`, "cust-1042", "0123456789abcdef"},
		"Never":           {matomo.Never, customer, "", "d5"},
		"BadCookie":       {"", customer + `, "client": {"matomo_id": "0123"}`, "cust-1042", ""},
		"Nobody":          {"", `"client": {"user_agent": "Example/1.0"}`, "", "d5"},
		"AddressAndAgent": {"", `"client": {"user_agent": "Example/1.0", "ip": "192.0.2.1"}`, "", ""},
		"AddressWithZone": {"", `"client": {"user_agent": "Example/1.0", "ip": "fe80::1%eth0"}`, "", "d5"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options()
			o.UserID = test.userID
			event := destinationtest.EventWith(t, "account_created", "{"+test.payload+"}")
			got := fields(t, o, event)
			require.Equal(t, test.uid, got.Get("uid"))
			if test.cid == "d5" { // made of the event's key
				require.Regexp(t, `^[0-9a-f]{16}$`, got.Get("cid"))
				other := event
				other.Key = "account_created:2"
				require.NotEqual(t, got.Get("cid"), fields(t, o, other).Get("cid"))
				return
			}
			require.Equal(t, test.cid, got.Get("cid"))
		})
	}
}

func TestRejections(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ event, payload, reason string }{
		"NoTotal":      {"order_paid", `{}`, "order.total: is required"},
		"CartNoItems":  {"cart_updated", `{"cart": {"total": "1"}}`, "cart.items: is required, and an empty list for an empty cart"},
		"CartNoTotal":  {"cart_updated", `{"cart": {"items": [{"sku": "a"}]}}`, "cart.total: is required"},
		"NoPage":       {"page_viewed", `{"client": {"referrer": "a"}}`, "client.page_url: is required, or client.page_title"},
		"NoProduct":    {"product_viewed", `{"product": {"brand": "a"}, "client": {"page_url": "https://shop.example.com/"}}`, "product.sku: is required, or product.name"},
		"BlankTerm":    {"search", `{"search": {"term": " "}}`, "search.term: is required"},
		"BlankName":    {"custom: ", `{}`, "name: must not be blank"},
		"BlankNothing": {"custom:/x", `{}`, "name: must not be blank"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, server := setup(t, options())
			_, err := m.Send(t.Context(), destinationtest.EventWith(t, test.event, test.payload))
			require.EqualError(t, err, test.reason)
			require.Zero(t, server.Counts().Requests)
		})
	}
	for ref, reason := range map[string]string{
		"":                       "order_ref: is required, or order.ref, and must not be 0",
		"0":                      "order_ref: is required, or order.ref, and must not be 0",
		strings.Repeat("ø", 101): "order_ref: must not be longer than 100 characters",
	} {
		event := destinationtest.EventWith(t, "order_paid", janesOrder)
		event.OrderRef = ref
		m, _ := setup(t, options())
		_, err := m.Send(t.Context(), event)
		require.EqualError(t, err, reason)
	}
}

func TestOddPayloads(t *testing.T) {
	t.Parallel()
	huge := strings.TrimSuffix(strings.Repeat(`{"sku":"SKU-9","name":"`+strings.Repeat("ø", 60)+`","quantity":1,"unit_price":"1.00"},`, 1000), ",")
	for name, test := range map[string]struct{ event, payload string }{
		"HugeCart":  {"cart_updated", `{"cart": {"total": "1", "items": [` + huge + `]}}`},
		"EmptyCart": {"cart_updated", `{"cart": {"items": []}}`},
		"NoAddress": {"product_viewed", `{"product": {"sku": "SKU-9"}}`},
		"TitleOnly": {"page_viewed", `{"client": {"page_title": "Tea"}}`},
		"ZeroTotal": {"order_paid", `{"order": {"total": "000.00", "items": []}}`},
		"Negative":  {"order_paid", `{"order": {"total": "-749.5000"}}`},
		"Unicode":   {"search", `{"search": {"term": "\u0000\u2028😀\ud800&=+%", "results": 0}}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, server := setup(t, options())
			_, err := m.Send(t.Context(), destinationtest.EventWith(t, test.event, test.payload))
			require.NoError(t, err, server.Refusals())
			require.Zero(t, server.Counts().Invalid)
		})
	}
}

// batchOf are events of one kind, in the order of their times.
func batchOf(t *testing.T, m *matomo.Matomo, name string, n int) []destination.Encoded {
	t.Helper()
	items := make([]destination.Encoded, n)
	for i := range items {
		event := destinationtest.Event(t, name)
		event.Key += string(rune('a' + i))
		event.OrderRef += string(rune('a' + i))
		event.OccurredAt = event.OccurredAt.Add(time.Duration(i) * time.Second)
		items[i] = encode(t, m, event)
	}
	return items
}

func TestRepeatedBatch(t *testing.T) {
	t.Parallel()
	server := matomotest.New("1", token, func(n int) matomotest.Failure {
		return matomotest.Failure{Reset: n == 1, After: n == 1}
	})
	m := at(t, destinationtest.Serve(t, server), options())
	items := batchOf(t, m, "order_paid", 5)
	_, failed := m.SendBatch(t.Context(), items)
	require.Equal(t, destination.Ambiguous, failed.Kind)
	results, failed := m.SendBatch(t.Context(), items)
	require.Nil(t, failed)
	require.Equal(t, destination.Taken(items, 200), results)
	counts := server.Counts()
	require.Equal(t, 5, counts.Orders)
	require.Equal(t, 5, counts.Repeats)
	require.Zero(t, counts.Unordered)
}

func TestGroups(t *testing.T) {
	t.Parallel()
	m, _ := setup(t, options())
	group := func(name string) string { return encode(t, m, destinationtest.Event(t, name)).Group }
	require.Equal(t, group("order_paid"), group("cart_updated"))
	require.Equal(t, group("page_viewed"), group("account_created"))
	require.NotEqual(t, group("order_paid"), group("page_viewed"))
}

// TestFakeIsStrict: each mistake is one by which Matomo takes an event for another thing, or for none.
func TestFakeIsStrict(t *testing.T) {
	t.Parallel()
	good := `{"requests":["?idsite=1&rec=1&cdt=1741083330&uid=7&idgoal=0&ec_id=E7&revenue=749.00&ec_items=` + url.QueryEscape(`[["SKU-9","Teapot","",299.00,1]]`) + `"],"token_auth":"` + token + `"}`
	orders := func(body string) int {
		server := matomotest.New("1", token, nil)
		destinationtest.Post(server, "/matomo.php", body, "Content-Type", "application/json")
		return server.Counts().Orders
	}
	require.Equal(t, 1, orders(good))
	for from, to := range map[string]string{
		"749.00": "749%2C00", "1741083330": "1741083330000", "idsite=1": "idsite=2", "ec_id=E7": "ec_id=0", "%2C299.00": "%2C%22299.00%22",
		"&rec=1": "", "uid=7": "user=7", "?idsite": "idsite", `"token_auth":"`: `"token_auth":"x`, "&cdt=1741083330": "", "revenue=749.00&": "", `"}`: `"}{}`,
	} {
		require.Contains(t, good, from)
		require.Zero(t, orders(strings.Replace(good, from, to, 1)), to)
	}
}

// broken makes one of the items such as Matomo finds invalid, and the adapter would not write.
func broken(items []destination.Encoded, place int) []destination.Encoded {
	text := strings.Replace(string(items[place].Body), "rec=1&", "rec=2&", 1)
	items[place].Body = []byte(text)
	return items
}

func TestSomeInvalid(t *testing.T) {
	t.Parallel()
	t.Run("SuperuserIsTold", func(t *testing.T) {
		t.Parallel()
		m, server := setup(t, options())
		server.Superuser = true
		results, failed := m.SendBatch(t.Context(), broken(batchOf(t, m, "page_viewed", 3), 1))
		require.Nil(t, failed)
		require.Nil(t, results[0].Err)
		require.Equal(t, destination.Rejected, results[1].Err.Kind)
		require.Nil(t, results[2].Err)
	})
	t.Run("RepeatableIsHalved", func(t *testing.T) {
		t.Parallel()
		m, server := setup(t, options())
		items := broken(batchOf(t, m, "order_paid", 3), 1)
		_, failed := m.SendBatch(t.Context(), items)
		require.Equal(t, destination.Rejected, failed.Kind)
		_, failed = m.SendBatch(t.Context(), items[:1])
		require.Nil(t, failed)
		require.Equal(t, 2, server.Counts().Orders)
	})
	t.Run("OthersStayUnclear", func(t *testing.T) {
		t.Parallel()
		m, server := setup(t, options())
		results, failed := m.SendBatch(t.Context(), broken(batchOf(t, m, "page_viewed", 3), 1))
		require.Nil(t, failed)
		for _, result := range results {
			require.Equal(t, destination.Ambiguous, result.Err.Kind)
		}
		require.Equal(t, 2, server.Counts().Actions)
	})
}

func TestAllInvalid(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*matomo.Options, *matomotest.Server)
		kind   destination.Kind
	}{
		"WrongToken":   {func(o *matomo.Options, _ *matomotest.Server) { o.TokenAuth = config.NewSecret("expired") }, destination.Unauthorized},
		"WrongSite":    {func(o *matomo.Options, _ *matomotest.Server) { o.SiteID = 2 }, destination.Unauthorized},
		"ReportingOff": {func(o *matomo.Options, s *matomotest.Server) { o.SiteID, s.ReportingOff = 2, true }, destination.Misconfigured},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, server := options(), matomotest.New("1", token, nil)
			test.change(&o, server)
			m := at(t, destinationtest.Serve(t, server), o)
			for _, n := range []int{1, 3} {
				_, failed := m.SendBatch(t.Context(), batchOf(t, m, "page_viewed", n))
				require.NotNil(t, failed)
				require.Equal(t, test.kind, failed.Kind)
			}
			require.Zero(t, server.Counts().Actions)
		})
	}
	t.Run("TheEventsFault", func(t *testing.T) {
		t.Parallel()
		m, _ := setup(t, options())
		results, failed := m.SendBatch(t.Context(), broken(batchOf(t, m, "page_viewed", 1), 0))
		require.Nil(t, failed)
		require.Equal(t, destination.Rejected, results[0].Err.Kind)
	})
}

func TestRepeatedOrderIsRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		option    bool
		status    int
		delivered bool
	}{
		"Off": {false, 400, false}, "OffInvalid": {false, 0, false}, "On": {true, 400, true}, "OnInvalid": {true, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := matomotest.New("1", token, func(n int) matomotest.Failure {
				if n == 2 {
					return matomotest.Failure{Status: test.status}
				}
				return matomotest.Failure{}
			})
			server.RefusesRepeats = true
			o := options()
			o.RepeatedOrderIs400 = test.option
			m := at(t, destinationtest.Serve(t, server), o)
			order := destinationtest.EventWith(t, "order_paid", janesOrder)
			destinationtest.Deliver(t, m, order)
			_, err := m.Send(t.Context(), order)
			require.Equal(t, test.delivered, err == nil)
			require.Equal(t, 1, server.Counts().Orders)
		})
	}
	t.Run("OnButTheTokenIsWrong", func(t *testing.T) {
		t.Parallel()
		o := options()
		o.RepeatedOrderIs400, o.TokenAuth = true, config.NewSecret("expired")
		m, _ := setup(t, o)
		_, err := m.Send(t.Context(), destinationtest.EventWith(t, "order_paid", janesOrder))
		require.EqualError(t, err, "Matomo does not show this site_id to this token_auth (HTTP 401)")
	})
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	const unreadable = "the answer is not that of Matomo's bulk tracking"
	for name, test := range map[string]struct {
		status int
		body   string
		kind   destination.Kind // 0: delivered
		reason string
	}{
		"QueuedNothing": {204, "", 0, ""},
		"QueuedPicture": {200, "GIF89a\x01\x00", 0, ""},
		"Switched off":  {200, `{"status":"success","tracked":0,"invalid":0}`, destination.Misconfigured, "Matomo records nothing at present"},
		"Locks":         {200, `{"status":"success","tracked":1,"invalid":0}`, destination.Ambiguous, "Matomo has passed over some of the events, and does not say which"},
		"TooMany":       {200, `{"status":"success","tracked":3,"invalid":0}`, destination.Ambiguous, unreadable},
		"Negative":      {200, `{"status":"success","tracked":3,"invalid":-1}`, destination.Ambiguous, unreadable},
		"Huge":          {200, `{"status":"success","tracked":1,"invalid":9223372036854775807}`, destination.Ambiguous, unreadable},
		"Texts":         {200, `{"status":"success","tracked":"2","invalid":"0"}`, destination.Ambiguous, unreadable},
		"ErrorIn200":    {200, `{"status":"error","tracked":2,"invalid":0}`, destination.Ambiguous, unreadable},
		"Page":          {200, "<html>", destination.Ambiguous, unreadable},
		"Empty":         {200, "", destination.Ambiguous, unreadable},
		"RolledBack":    {500, `{"status":"error","tracked":1,"invalid":0}`, destination.Ambiguous, "the provider had an error of its own"},
		"NoMatomo":      {404, "", destination.Misconfigured, "no Matomo answers at base_url"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := at(t, destinationtest.Answering(t, test.status, test.body), options())
			results, failed := m.SendBatch(t.Context(), batchOf(t, m, "page_viewed", 2))
			if test.kind == 0 {
				require.Nil(t, failed)
				require.Len(t, results, 2)
				require.Nil(t, results[1].Err)
				return
			}
			require.NotNil(t, failed)
			require.Equal(t, test.kind, failed.Kind)
			require.Equal(t, test.reason, failed.Reason)
		})
	}
}

func TestIndicesThatDoNotFit(t *testing.T) {
	t.Parallel()
	for _, indices := range []string{`[]`, `[0]`, `[0,1,2]`, `[0,0]`, `[0,3]`, `[0,-1]`, `[0,"1"]`, `[0,1.5]`, `{"a":1,"b":2}`, `1.5`, `null`} {
		m := at(t, destinationtest.Answering(t, 200, `{"status":"success","tracked":1,"invalid":2,"invalid_indices":`+indices+`}`), options())
		results, failed := m.SendBatch(t.Context(), batchOf(t, m, "page_viewed", 3))
		require.Nil(t, failed)
		for _, result := range results {
			require.NotNil(t, result.Err, indices)
			require.Equal(t, destination.Ambiguous, result.Err.Kind, indices)
		}
	}
}

func TestProve(t *testing.T) {
	t.Parallel()
	m, server := setup(t, options())
	proved, err := m.Prove(t.Context())
	require.NoError(t, err)
	require.Equal(t, "Matomo accepts the token and shows the site; not proved that it may write", proved)
	require.Zero(t, server.Counts().Actions)
	o := options()
	o.SiteID = 2
	m, _ = setup(t, o)
	_, err = m.Prove(t.Context())
	require.EqualError(t, err, "Matomo does not show this site_id to this token_auth (HTTP 401)")
	m = at(t, destinationtest.Answering(t, 200, `[{"idsite":"1"}]`), options())
	_, err = m.Prove(t.Context())
	require.NoError(t, err)
	for _, odd := range []string{`<html>`, `{"idsite":"7"}`, `{}`, `[]`} {
		m = at(t, destinationtest.Answering(t, 200, odd), options())
		_, err = m.Prove(t.Context())
		require.EqualError(t, err, "the Reporting API does not answer at base_url (HTTP 200)")
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	valid := matomo.Options{BaseURL: "https://matomo.example.com", SiteID: 1, TokenAuth: config.NewSecret(token)}
	for want, change := range map[string]func(*matomo.Options){
		"base_url: is required": func(o *matomo.Options) { o.BaseURL = "" },
		"base_url: must be the address without matomo.php, query or fragment": func(o *matomo.Options) { o.BaseURL += "/matomo.php" },
		"base_url: must begin with https://":                                  func(o *matomo.Options) { o.BaseURL = "http://matomo.example.com" },
		"site_id: must be a number from 1":                                    func(o *matomo.Options) { o.SiteID = 0 },
		"token_auth: is required":                                             func(o *matomo.Options) { o.TokenAuth = config.Secret{} },
		"user_id: must be fallback, always or never":                          func(o *matomo.Options) { o.UserID = "x" },
		"events.x: is not the name of an event":                               func(o *matomo.Options) { o.Events = map[string]string{"x": "y"} },
		"events.search: * is for custom events only":                          func(o *matomo.Options) { o.Events = map[string]string{"search": "*"} },
		"events.search: cannot be recorded as order":                          func(o *matomo.Options) { o.Events = map[string]string{"search": "order"} },
		"events.search: must be a form, or a name written category/action":    func(o *matomo.Options) { o.Events = map[string]string{"search": "Shop/ "} },
	} {
		changed := valid
		change(&changed)
		_, err := matomo.New(changed)
		require.EqualError(t, err, want)
	}
	_, err := matomo.New(valid)
	require.NoError(t, err)
}
