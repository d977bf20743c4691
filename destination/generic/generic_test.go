package generic_test

import (
	neturl "net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/config/configtest"
	"kvit/destination"
	"kvit/destination/destinationtest"
	"kvit/destination/generic"
	"kvit/destination/generic/generictest"
)

const secret = "secret-of-the-provider"

var environment = configtest.Environment{"SECRET": secret, "NUMBER": "1234", "BRACES": "{order.total"}

// read makes the destination of a configuration; ORIGIN in it is where the provider is.
func read(t *testing.T, text, origin string, options destination.ClientOptions) destination.Destination {
	t.Helper()
	text = "destinations:\n  it:\n    kind: http\n" + strings.ReplaceAll(text, "ORIGIN", origin)
	configured := configtest.Destination(t, generic.Kind, text, environment)
	made, err := configured.Settings.(generic.Options).Make(destination.Common{HTTP: options})
	require.NoError(t, err)
	return made
}

// at is read without options.
func at(t *testing.T, text, origin string) destination.Destination {
	t.Helper()
	return read(t, text, origin, destination.ClientOptions{Timeout: 20 * time.Second})
}

const asJSON = `
    allow_private: true
    auth: {bearer: "${SECRET}"}
    url: ORIGIN/events/{event.name}
    deduplicates: event.uuid
    answers: {statuses: {409: duplicate}}
    requests:
      order_paid:
        headers: {Idempotency-Key: "{event.uuid}"}
        json:
          id: "{event.uuid}"
          email: "{customer.email}"
          total: "{order.total | number}"
          lines: {each: order.items, value: {sku: "{item.sku}", quantity: "{item.quantity}", name: "{item.name}"}}
      search: {json: {id: "{event.uuid}", term: "{search.term}"}}
      custom:*: {json: {id: "{event.uuid}", group: "{custom.customer_group}"}}
`

const asQuery = `
    allow_private: true
    auth: {query: {name: api_key, value: "${SECRET}"}}
    url: ORIGIN/track
    deduplicates: event.key
    answers: {member: status, values: {ok: delivered, duplicate: duplicate, full: throttled}}
    requests:
      page_viewed: {query: {id: "{event.key}", page: "{client.page_url}"}}
      order_paid: {query: {id: "{event.key}", email: "{customer.email}", "sku{n}": {each: order.items, value: "{item.sku}"}}}
`

const asForm = `
    allow_private: true
    auth: {basic: {user: kvit, password: "${SECRET}"}}
    url: ORIGIN/people/{customer.email | lower | md5}
    deduplicates: customer.email
    requests:
      newsletter_optin: {method: PUT, overwrites: true, form: {id: "{customer.email}", name: "{customer.first_name}"}}
      newsletter_optout: {method: PUT, overwrites: true, form: {id: "{customer.email}", left: 1}}
`

func TestConformance(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text     string
		reads    bool
		statuses map[int]destination.Kind
	}{
		"JSON":  {asJSON, false, map[int]destination.Kind{409: 0}},
		"Query": {asQuery, true, map[int]destination.Kind{404: destination.Misconfigured, 405: destination.Misconfigured}},
		"Form":  {asForm, false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			delete(test.statuses, 409)
			text := strings.Replace(test.text, "{409: duplicate}", "{226: duplicate}", 1)
			provider := generictest.New(secret, nil)
			destinationtest.Run(t, destinationtest.Harness{
				New: func(t *testing.T, baseURL string, options destination.ClientOptions) destination.Destination {
					return read(t, text, baseURL, options)
				},
				Success: provider.ServeHTTP, ReadsAnswer: test.reads, Statuses: test.statuses,
			})
		})
	}
}

func TestTraits(t *testing.T) {
	t.Parallel()
	traits := at(t, asForm, "http://127.0.0.1:1").Traits()
	require.Equal(t, []string{"newsletter_optin", "newsletter_optout"}, traits.Events)
	require.Equal(t, traits.Events, traits.States)
	require.Empty(t, traits.CountedAgain)
	counting := strings.Replace(asQuery, "      page_viewed: {", "      page_viewed: {deduplicates: none, ", 1)
	require.Equal(t, []string{"page_viewed"}, at(t, counting, "http://127.0.0.1:1").Traits().CountedAgain)
	require.Equal(t, []string{"order_paid", "search", "custom:*"}, at(t, asJSON, "http://127.0.0.1:1").Traits().Events)
}

func TestRepeatsAreCountedOnce(t *testing.T) {
	t.Parallel()
	provider := generictest.New(secret, nil)
	d := at(t, asQuery, destinationtest.Serve(t, provider))
	for range 3 {
		require.Equal(t, 200, destinationtest.Deliver(t, d, destinationtest.Event(t, "order_paid")))
	}
	require.Equal(t, generictest.Counts{Requests: 3, Events: 1, Repeats: 2}, provider.Counts())
}

// TestCustomEvents: a request of an event's own goes before the one for all of them.
func TestCustomEvents(t *testing.T) {
	t.Parallel()
	url, last := destinationtest.Recording(t, 200, "")
	d := at(t, `
    allow_private: true
    url: ORIGIN
    deduplicates: event.key
    requests:
      custom:vip: {query: {vip: "{event.key}"}}
      custom:*: {query: {other: "{event.key}"}}
`, url)
	require.Equal(t, []string{"custom:*", "custom:vip"}, d.Traits().Events)
	for name, query := range map[string]string{"custom:vip": "vip=custom%3Avip%3AE100042", "custom:x": "other=custom%3Ax%3AE100042"} {
		destinationtest.Deliver(t, d, destinationtest.Event(t, name))
		require.Equal(t, "/?"+query, last().Path)
	}
	require.Equal(t, destination.Reject("name: is not an event that this destination sends"), destinationtest.Fail(t, d, destinationtest.Event(t, "search")))
}

// withRequest is a destination whose paid orders are sent so.
func withRequest(request string) string {
	return "    allow_private: true\n    deduplicates: none\n    url: ORIGIN/\n    requests:\n      order_paid:\n" + request
}

// sentFor is the request that is made of a paid order.
func sentFor(t *testing.T, request, payload string) destinationtest.Request {
	t.Helper()
	url, last := destinationtest.Recording(t, 200, "")
	destinationtest.Deliver(t, at(t, withRequest(request), url), destinationtest.EventWith(t, "order_paid", payload))
	return last()
}

func TestRequest(t *testing.T) {
	t.Parallel()
	const payload = `{"customer": {"email": "jane.doe@example.com", "tags": ["a", "b,c"], "is_new": true, "address": {"lines": ["1 Street"]}},
		"order": {"total": "749.00", "currency": "DKK", "items": [{"sku": "A|1", "name": "x", "quantity": 2}, {"name": "no sku"}, {"sku": "C", "quantity": "1.5"}]}}`
	for name, test := range map[string]struct {
		request    string
		path, body string
	}{
		"Query":          {`        query: {a: 1, b: true, c: "{order.total}", d: "{order.coupon}", e: "x{order.coupon}", "f[]": "ø &=+"}`, "/?a=1&b=true&c=749.00&f%5B%5D=%C3%B8%20%26%3D%2B", ""},
		"Form":           {`        form: {c: "{order.total}", d: "{order.coupon}", f: "a b+c&d=e"}`, "/", "c=749.00&f=a+b%2Bc%26d%3De"},
		"EmptyForm":      {`        form: {d: "{order.coupon}"}`, "/", ""},
		"JSON":           {`        json: {a: 1.50, b: [true, "{order.coupon}", "{order.total}"], c: {d: "{order.coupon}"}, e: "<&>\"\\\n", f: {g: ["{order.coupon}"]}}`, "/", `{"a":1.50,"b":[true,"749.00"],"e":"<&>\"\\\n"}`},
		"EmptyJSON":      {`        json: {d: "{order.coupon}"}`, "/", `{}`},
		"JSONList":       {`        json: [{t: "{order.total | number}"}]`, "/", `[{"t":749.00}]`},
		"Forms":          {`        json: {new: "{customer.is_new}", tags: "{customer.tags}", text: "is {customer.is_new}", joined: "{customer.tags | join(',')}"}`, "/", `{"new":true,"tags":["a","b,c"],"text":"is true","joined":"a,b c"}`},
		"Each":           {`        json: {lines: {each: order.items, value: {n: "{n}", sku: "{item.sku}", q: "{item.quantity}", of: "{order.total}"}}}`, "/", `{"lines":[{"n":1,"sku":"A|1","q":2,"of":"749.00"},{"n":2,"of":"749.00"},{"n":3,"sku":"C","q":1.5,"of":"749.00"}]}`},
		"EachTexts":      {`        json: {tags: {each: customer.tags, value: {name: "{item}"}}, none: {each: cart.items, value: 1}}`, "/", `{"tags":[{"name":"a"},{"name":"b,c"}]}`},
		"EachJoinedJSON": {`        json: {skus: {each: order.items, value: "{item.sku}:{item.quantity}", join: "|"}}`, "/", `{"skus":"A 1:2|C:1.5"}`},
		"EachQuery":      {`        query: {"I{n}": {each: order.items, value: "{item.sku}"}, "s[]": {each: customer.tags, value: "{item}"}}`, "/?I1=A%7C1&I3=C&s%5B%5D=a&s%5B%5D=b%2Cc", ""},
		"EachJoined":     {`        query: {skus: {each: order.items, value: "{item.sku}", join: "|"}}`, "/?skus=A%201%7CC", ""},
		"Default":        {`        query: {a: "{order.coupon | default('none')}", b: "{order.coupon | default(order.total)}", c: "{order.coupon | default('')}", d: "{order.coupon | default(order.number)}"}`, "/?a=none&b=749.00&c=", ""},
		"Braces":         {`        query: {a: "{{{order.total}}}"}`, "/?a=%7B749.00%7D", ""},
		"Environment":    {`        query: {a: "${NUMBER}", b: "${BRACES}"}`, "/?a=1234&b=%7Border.total", ""},
		"Path":           {`        url: ORIGIN/a/{customer.email}/{order.total}.json`, "/a/jane.doe@example.com/749.00.json", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := sentFor(t, test.request+"\n", payload)
			require.Equal(t, test.path, got.Path)
			require.Equal(t, test.body, got.Body)
		})
	}
}

// TestNoUTF8: bytes that are no text become the sign for that, in whatever place.
func TestNoUTF8(t *testing.T) {
	t.Parallel()
	got := sentFor(t, "        query: {a: \"{custom.a}\"}\n        json: {a: \"{custom.a}\"}\n", "{\"custom\": {\"a\": \"x\xff\"}}")
	require.Equal(t, "/?a=x%EF%BF%BD", got.Path)
	require.Equal(t, "{\"a\":\"x\uFFFD\"}", got.Body)
}

func TestMethodAndHeaders(t *testing.T) {
	t.Parallel()
	for request, want := range map[string][2]string{
		`        query: {a: 1}`:                       {"GET", ""},
		`        json: {a: 1}`:                        {"POST", "application/json"},
		`        form: {a: 1}`:                        {"POST", "application/x-www-form-urlencoded"},
		`        method: DELETE`:                      {"DELETE", ""},
		"        method: PATCH\n        json: {a: 1}": {"PATCH", "application/json"},
		"        headers: {Content-Type: application/vnd.api+json}\n        json: {a: 1}": {"POST", "application/vnd.api+json"},
	} {
		got := sentFor(t, request+"\n", `{}`)
		require.Equal(t, want, [2]string{got.Method, got.Header.Get("Content-Type")})
	}
	got := sentFor(t, `        headers: {X-Total: " {order.total} ", X-Coupon: "{order.coupon}", X-City: "{customer.address.city}", X-Name: "{customer.first_name}"}`+"\n",
		`{"order": {"total": "7"}, "customer": {"first_name": "Søren", "address": {"city": "a\r\nX-Evil: 1"}}}`)
	require.Equal(t, "7", got.Header.Get("X-Total"))
	require.Equal(t, "Søren", got.Header.Get("X-Name"))
	for _, name := range []string{"X-Coupon", "X-City", "X-Evil"} {
		require.NotContains(t, got.Header, name)
	}
}

func TestFunctions(t *testing.T) {
	t.Parallel()
	const payload = `{"customer": {"email": "Jane.Doe@Example.com", "birthday": "1990-05-17", "is_new": true, "tags": ["a"]},
		"order": {"ref": "E1", "total": "749.5", "tax": "149.9", "currency": "DKK", "coupon": "a|b:c", "items": [{"quantity": 3, "unit_price": "0.335"}]},
		"cart": {"total": "1234", "currency": "JPY"}, "client": {"page_title": "æøå"}, "custom": {"yes": true, "no": 0, "n": "12", "odd": "1e5", "neg": "-0.001", "day": "2025-07-01T22:30:00Z"}}`
	for expression, want := range map[string]string{
		"order.total | decimal": "749.50", "order.total | decimal(0)": "750", "custom.neg | decimal": "0.00", "customer.email | decimal": "",
		"order.total | minor": "74950", "order.total | minor(order.currency)": "74950", "cart.total | minor(cart.currency)": "1234", "order.total | minor(3)": "749500",
		"cart.total | minor(list.currency)": "",
		"order.total | minus(order.tax)":    "599.6", "order.total | plus(1) | decimal": "750.50", "order.total | times(0.8) | decimal": "599.60", "order.total | minus(order.shipping)": "749.5",
		"order.total | minus(customer.email)": "", "customer.email | minus(1)": "", "order.shipping | plus(1)": "",
		"customer.email | lower": "jane.doe@example.com", "customer.email | upper": "JANE.DOE@EXAMPLE.COM", "client.page_title | upper": "ÆØÅ",
		"customer.email | lower | sha256": "86e0b9e56c17cc4d12387e1949b85053fbe73bc3ce5a1188713a9d300cc6133d", "customer.email | lower | md5": "0cba00ca3da1b283a57287bcceb17e35", "order.discount | md5": "",
		"client.page_title | cut(2)": "æø", "order.coupon | without('|:')": "a b c", "customer.tags | join(',')": "a",
		"event.time | date('iso')": "2025-03-04T10:15:30Z", "event.time | date('unix')": "1741083330", "event.time | date('unix_ms')": "1741083330000",
		"event.time | date('DD/MM/YYYY HH:mm:ss', 'Europe/Copenhagen')": "04/03/2025 11:15:30", "customer.birthday | date('DD.MM.YY')": "17.05.90",
		"custom.day | date('YYYY-MM-DDTHH:mmZZ', 'Europe/Copenhagen')": "2025-07-02T00:30+02:00", "order.ref | date('iso')": "",
		"customer.is_new | choose('new', 'known')": "new", "custom.yes | choose('y', 'n')": "y", "custom.no | choose('y', 'n')": "n", "custom.none | choose('y', 'n')": "",
		"consent.marketing": "true", "consent.profiling": "false", "event.name": "order_paid", "event.uuid": destination.UUID("order_paid:E100042").String(), "order.ref": "E100042",
		"custom.n | number": "12", "custom.odd | number": "", "order.number | default(order.ref)": "E100042", "'it is' | upper": "IT IS", "1.50": "1.50", "search.results": "",
	} {
		got := sentFor(t, "        query: {x: \"{"+expression+"}\"}\n", payload)
		path := "/"
		if want != "" {
			path = "/?x=" + strings.ReplaceAll(neturl.QueryEscape(want), "+", "%20")
		}
		require.Equal(t, path, got.Path, expression)
	}
}

// TestCommon: what stands beside the requests holds for each, unless it says otherwise.
func TestCommon(t *testing.T) {
	t.Parallel()
	url, last := destinationtest.Recording(t, 200, "")
	d := at(t, `
    allow_private: true
    url: ORIGIN/common
    deduplicates: event.key
    when: custom.yes
    headers: {X-A: common, X-B: common}
    query: {a: common, b: common, key: "{event.key}"}
    requests:
      search: {}
      page_viewed: {url: ORIGIN/own, when: custom.also, headers: {x-b: own}, query: {b: own, c: own}}
`, url)
	destinationtest.Deliver(t, d, destinationtest.EventWith(t, "search", `{"custom": {"yes": true}}`))
	require.Equal(t, "/common?a=common&b=common&key=search%3AE100042", last().Path)
	destinationtest.Deliver(t, d, destinationtest.EventWith(t, "page_viewed", `{"custom": {"yes": true, "also": 1}}`))
	require.Equal(t, "/own?a=common&key=page_viewed%3AE100042&b=own&c=own", last().Path)
	require.Equal(t, []string{"common", "own"}, []string{last().Header.Get("X-A"), last().Header.Get("X-B")})
	require.Len(t, last().Header["X-B"], 1)
	for _, payload := range []string{`{"custom": {"yes": true}}`, `{"custom": {"also": 1}}`} {
		_ = destinationtest.Fail(t, d, destinationtest.EventWith(t, "page_viewed", payload))
	}
}

func TestRejected(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ request, payload, reason string }{
		"When":         {"        when: [order.total, client.awc]\n", `{"order": {"total": "1"}}`, "client.awc: is missing, and the destination's when asks for it"},
		"WhenNot":      {"        when: not customer.is_new\n", `{"customer": {"is_new": true}}`, "customer.is_new: is what the destination's when excludes"},
		"WhenEquals":   {"        when: custom.channel = awin\n", `{"custom": {"channel": "ads"}}`, "custom.channel: is not what the destination's when asks for"},
		"WhenUnequal":  {"        when: custom.channel != ads\n", `{"custom": {"channel": "ads"}}`, "custom.channel: is what the destination's when excludes"},
		"WhenConsent":  {"        when: consent.profiling\n", `{}`, "consent.profiling: is missing, and the destination's when asks for it"},
		"WhenItems":    {"        when: order.items\n", `{"order": {"items": []}}`, "order.items: is missing, and the destination's when asks for it"},
		"WhenObject":   {"        when: customer.address\n", `{"customer": {}}`, "customer.address: is missing, and the destination's when asks for it"},
		"Path":         {"        url: ORIGIN/{customer.email}\n", `{}`, "url: no value for customer.email"},
		"Climbs":       {"        url: ORIGIN/a/{custom.x}/b\n", `{"custom": {"x": ".."}}`, "url: would lead elsewhere by . or .. in custom.x"},
		"Stays":        {"        url: ORIGIN/a/{custom.x}{custom.y}/b\n", `{"custom": {"x": ".", "y": "."}}`, "url: would lead elsewhere by . or .. in custom.x or custom.y"},
		"Deduplicates": {"        deduplicates: order.number\n        query: {a: \"{order.number}\"}\n", `{}`, "order.number: is missing, by which the provider knows a repeat"},
		"UnreadTotal":  {"        query: {a: \"{order.total}\"}\n", `{"order": {"total": "kr 12,345.6.7"}}`, "order.total: no amount with at most 12 digits before the point"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := at(t, withRequest(test.request), "http://127.0.0.1:1")
			failed := destinationtest.Fail(t, d, destinationtest.EventWith(t, "order_paid", test.payload))
			require.Equal(t, destination.Rejected, failed.Kind)
			require.Equal(t, test.reason, failed.Reason)
		})
	}
}

// TestWhenHolds: the same conditions let events through.
func TestWhenHolds(t *testing.T) {
	t.Parallel()
	sentFor(t, "        when: [client.awc, not customer.is_new, custom.channel = 'awin', custom.channel != ads, consent.marketing, order.items, customer]\n",
		`{"client": {"awc": "1"}, "customer": {"id": "1"}, "custom": {"channel": "awin"}, "order": {"items": [{}]}}`)
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	const settings = `    answers: {statuses: {409: duplicate, 410: gone, 418: throttled, 4xx: retry, 202: rejected}, member: result.code, values: {OK: delivered, DUP: duplicate, BAD: rejected, FULL: throttled, "1": delivered, KEY: unauthorized}, other: misconfigured}
`
	for name, test := range map[string]struct {
		status int
		body   string
		kind   destination.Kind // 0: delivered
	}{
		"Value": {200, `{"result": {"code": "OK"}}`, 0}, "Number": {200, `{"result": {"code": 1}}`, 0}, "Repeat": {200, `{"result": {"code": "DUP"}}`, 0},
		"Bad": {200, `{"result": {"code": "BAD"}}`, destination.Rejected}, "Full": {200, `{"result": {"code": "FULL"}}`, destination.Throttled}, "Key": {400, `{"result": {"code": "KEY"}}`, destination.Unauthorized},
		"Other": {200, `{"result": {"code": "?"}}`, destination.Misconfigured}, "NoMember": {200, `{}`, destination.Misconfigured}, "NoJSON": {200, `<html>`, destination.Misconfigured},
		"GoodBehindABadStatus": {422, `{"result": {"code": "DUP"}}`, 0}, "ValueOfAnError": {500, `{"result": {"code": "OK"}}`, destination.Ambiguous},
		"ValueOf401": {401, `{"result": {"code": "OK"}}`, destination.Ambiguous}, "Status": {409, ``, 0}, "Gone": {410, ``, destination.Gone}, "Class": {404, ``, destination.Ambiguous},
		"Throttled": {418, ``, destination.Throttled}, "Refused2xx": {202, `{}`, destination.Rejected},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := destinationtest.Answering(t, test.status, test.body, "Retry-After", "300")
			d := at(t, settings+withRequest("        query: {a: 1}\n"), url)
			event := destinationtest.EventWith(t, "order_paid", `{}`)
			if test.kind == 0 {
				require.Equal(t, test.status, destinationtest.Deliver(t, d, event))
				return
			}
			failed := destinationtest.Fail(t, d, event)
			require.Equal(t, test.kind, failed.Kind)
			require.Equal(t, test.status, failed.Code)
			require.Equal(t, test.kind == destination.Throttled, failed.RetryAfter == 300*time.Second)
		})
	}
}

// TestNothingAtTheAddress: 404 speaks of the event only where the event is in the address.
func TestNothingAtTheAddress(t *testing.T) {
	t.Parallel()
	url := destinationtest.Answering(t, 404, "")
	for request, kind := range map[string]destination.Kind{"        query: {a: 1}\n": destination.Misconfigured, "        url: ORIGIN/{event.name}\n": destination.Rejected} {
		require.Equal(t, kind, destinationtest.Fail(t, at(t, withRequest(request), url), destinationtest.EventWith(t, "order_paid", `{}`)).Kind)
	}
}

// TestPage: the page for operators shows what is sent.
func TestPage(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("../../docs/destinations/http.md")
	require.NoError(t, err)
	page := string(content)
	blocks := yamlBlock.FindAllStringSubmatch(page, -1)
	require.Len(t, blocks, 2)
	url, last := destinationtest.Recording(t, 200, "")
	event := destinationtest.EventWith(t, "order_paid", `{"order": {"total": "749.00", "tax": "149.80", "currency": "DKK", "items": [{"sku": "A"}, {"sku": "B"}]}, "custom": {"partner_click": "a1b2"}}`)
	local := strings.Replace(strings.Replace(blocks[0][1], "https://partner.example.com", url, 1), "kind: http\n", "kind: http\n    allow_private: true\n", 1)
	made, err := configtest.Destination(t, generic.Kind, local, environment).Settings.(generic.Options).Make(destination.Common{})
	require.NoError(t, err)
	destinationtest.Deliver(t, made, event)
	require.Contains(t, page, "`GET https://partner.example.com"+last().Path+"`")

	lists := "        " + strings.ReplaceAll(strings.TrimSpace(blocks[1][1]), "\n", "\n        ") + "\n"
	require.Equal(t, "/?ITEM1=A&ITEM2=B&skus=A%2CB", sentFor(t, lists, string(event.Raw)).Path)

	said := mistakes(t, "    url: https://x.example.com\n    deduplicates: none\n    requests: {search: {query: {a: \"{search.term | nothing_like_it}\"}}}\n")
	_, names, found := strings.Cut(said[0], "there are ")
	require.True(t, found)
	for name := range strings.SplitSeq(names, ", ") {
		require.Regexp(t, "(?m)^\\| .*`"+name+"[`(]", page)
	}
}
