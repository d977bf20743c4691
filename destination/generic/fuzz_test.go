package generic_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"kvit/config"
	"kvit/destination"
	"kvit/destination/destinationtest"
	"kvit/destination/generic"
)

// everywhere puts the same values into each place that a request has.
const everywhere = `
database: {url: "${DATABASE_URL}"}
destinations:
  it:
    kind: http
    allow_private: true
    deduplicates: none
    url: ORIGIN/a/{custom.a}/b-{custom.b}.json
    headers: {X-A: "{custom.a}", X-B: "b: {custom.b}"}
    query:
      a: "{custom.a}"
      b: "b={custom.b}&"
      "t{n}": {each: customer.tags, value: "{item}"}
      joined: {each: customer.tags, value: "{item}", join: "|"}
    requests:
      search:
        json:
          a: "{custom.a}"
          b: "b={custom.b}"
          "\"c": {d: ["{custom.a}", 1]}
          tags: "{customer.tags}"
          lines: {each: customer.tags, value: {item: "{item}", n: "{n}"}}
      page_viewed:
        form:
          a: "{custom.a}"
          b: "b={custom.b}&"
`

// asEverything sends each event with members of all kinds.
var asEverything = func() string {
	text := "    allow_private: true\n    deduplicates: none\n    url: ORIGIN/\n    requests:\n"
	for _, name := range append(slices.Clone(destination.Names), destination.AnyCustom) {
		text += "      " + name + `: {json: {total: "{order.total | minus(order.tax) | decimal | number}", minor: "{order.total | minor(order.currency)}", price: "{product.unit_price | number}",
          lines: {each: order.items, value: {sku: "{item.sku}", q: "{item.quantity}", sum: "{item.unit_price | times(item.quantity) | number}"}},
          cart: {each: cart.items, value: "{item.sku}:{item.quantity}", join: "|"}, new: "{customer.is_new}", optin: "{optin.email}", found: "{search.results}",
          at: "{customer.birthday | date('unix') | default('')}", mail: "{customer.email | lower | sha256}", tags: "{customer.tags | join(',') | cut(10)}"}}` + "\n"
	}
	return text
}()

// configured are the options of the only destination of a configuration.
func configured(f *testing.F, text string) generic.Options {
	f.Helper()
	cfg, err := config.Parse("kvit.yaml", []byte(text), func(string) string { return "postgres://nobody@127.0.0.1/none" }, []config.Kind{generic.Kind})
	require.NoError(f, err)
	return cfg.Destinations[0].Settings.(generic.Options)
}

// seen is what the server read of a request, by the means of its own language's library.
type seen struct {
	method, escaped string
	query           url.Values
	header          http.Header
	body            string
	count           int
}

// FuzzPlaces: whatever the values are, the request parses back to exactly these, and to nothing else.
func FuzzPlaces(f *testing.F) {
	for _, hostile := range []string{
		"", "x", "a&b=c", "a=b;c", "\"},{\"x\":1", "\r\nX-Evil: 1\r\n\r\nGET / HTTP/1.1", "..", ".", "../..", "%2e%2e", "a/b?c#d", "æ 😀 \u2028", "\xff\xc3", "\x00", "{order.total}", "+%20 ", "|,", "\\",
	} {
		f.Add(hostile, "x", "a", "b")
		f.Add("x", hostile, hostile, hostile)
	}
	last := &seen{}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		*last = seen{req.Method, req.URL.EscapedPath(), req.URL.Query(), req.Header.Clone(), string(body), last.count + 1}
	}))
	f.Cleanup(server.Close)
	d, err := configured(f, strings.ReplaceAll(everywhere, "ORIGIN", server.URL)).Make(destination.Common{})
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, a, b, tag1, tag2 string) {
		if len(a)+len(b)+len(tag1)+len(tag2) > 1000 {
			return // servers bound the address
		}
		raw := destination.JSON(map[string]any{"custom": map[string]string{"a": a, "b": b}, "customer": map[string]any{"tags": []string{tag1, tag2}}})
		for _, name := range []string{"search", "page_viewed"} {
			payload, rejected := destination.ParsePayload(name, raw)
			require.Nil(t, rejected)
			event := destination.Event{Key: "k", Name: name, Payload: payload, Raw: raw}
			before := last.count
			_, err := d.Send(t.Context(), event)
			a, b := written(t, a), written(t, b)
			if a == "" || b == "" || a == "." || a == ".." {
				require.Error(t, err)
				require.Equal(t, before, last.count, "nothing is sent")
				continue
			}
			require.NoError(t, err)
			require.Equal(t, before+1, last.count, "one request")
			requirePlaces(t, *last, a, b, payload.Customer)
			if name == "search" {
				requireJSON(t, last.body, a, b, payload.Customer)
				continue
			}
			form, err := url.ParseQuery(last.body)
			require.NoError(t, err)
			require.Equal(t, url.Values{"a": {a}, "b": {"b=" + b + "&"}}, form)
		}
	})
}

// written is a text as JSON holds it, which has no place for what is no UTF-8.
func written(t *testing.T, text string) (as string) {
	require.NoError(t, json.Unmarshal(destination.JSON(text), &as))
	return as
}

func tagsOf(c *destination.Customer) (tags []string) {
	if c != nil {
		for _, tag := range c.Tags {
			tags = append(tags, strings.ToValidUTF8(tag, "\uFFFD"))
		}
	}
	return tags
}

func requirePlaces(t *testing.T, got seen, a, b string, customer *destination.Customer) {
	t.Helper()
	parts := strings.Split(got.escaped, "/")
	require.Len(t, parts, 4)
	first, err := url.PathUnescape(parts[2])
	require.NoError(t, err)
	second, err := url.PathUnescape(parts[3])
	require.NoError(t, err)
	require.Equal(t, [2]string{a, "b-" + b + ".json"}, [2]string{first, second})

	want := url.Values{"a": {a}, "b": {"b=" + b + "&"}}
	var joined []string
	for i, tag := range tagsOf(customer) {
		if tag == "" {
			continue
		}
		want["t"+string(rune('1'+i))] = []string{tag}
		joined = append(joined, strings.ReplaceAll(tag, "|", " "))
	}
	if text := strings.Join(joined, "|"); text != "" {
		want["joined"] = []string{text}
	}
	require.Equal(t, want, got.query)

	for _, name := range []string{"User-Agent", "Content-Length", "Content-Type"} {
		got.header.Del(name)
	}
	headers := http.Header{}
	for name, value := range map[string]string{"X-A": strings.TrimSpace(a), "X-B": "b: " + strings.TrimRight(b, " ")} {
		if strings.IndexFunc(a+b, func(r rune) bool { return r <= ' ' || r == 0x7f || r > 0x7f }) < 0 {
			headers.Set(name, value)
			require.Equal(t, value, got.header.Get(name))
		}
	}
	for name, values := range got.header {
		require.Contains(t, []string{"X-A", "X-B"}, name)
		require.Len(t, values, 1)
	}
}

func requireJSON(t *testing.T, body, a, b string, customer *destination.Customer) {
	t.Helper()
	require.True(t, utf8.ValidString(body))
	var got map[string]any
	require.NoError(t, json.Unmarshal([]byte(body), &got))
	want := map[string]any{"a": a, "b": "b=" + b, "\"c": map[string]any{"d": []any{a, 1.0}}}
	if tags := tagsOf(customer); len(tags) > 0 {
		var list, each []any
		for i, tag := range tags {
			list = append(list, tag)
			entry := map[string]any{"n": float64(i + 1)}
			if tag != "" {
				entry["item"] = tag
			}
			each = append(each, entry)
		}
		want["tags"], want["lines"] = list, each
	}
	require.Equal(t, want, got)
}

// FuzzTemplate: no template makes the reader panic, and one that it takes gives a request or a rejection.
func FuzzTemplate(f *testing.F) {
	for _, seed := range []string{"{order.total | minus(order.tax) | decimal}", "{{}}", "{", "}", "{a|}", "{'x' | cut(1)}", "{customer.tags | join('|')}", "{event.time | date('YYYY')}", "{1.5 | times(2)}", "{consent.x}", "{n}"} {
		f.Add(seed)
	}
	event := destination.TestEvent("order_paid", time.Unix(1741083330, 0))
	f.Fuzz(func(t *testing.T, template string) {
		quoted := string(destination.JSON(template)) // JSON is YAML
		text := "database: {url: \"${DATABASE_URL}\"}\ndestinations: {it: {kind: http, url: \"http://127.0.0.1:1/\", allow_private: true, deduplicates: none, requests: {order_paid: {json: {a: " + quoted + "}}}}}\n"
		cfg, err := config.Parse("kvit.yaml", []byte(text), func(string) string { return "postgres://nobody@127.0.0.1/none" }, []config.Kind{generic.Kind})
		if err != nil {
			return
		}
		d, err := cfg.Destinations[0].Settings.(generic.Options).Make(destination.Common{})
		require.NoError(t, err)
		body := generic.BodyOf(d, event)
		require.True(t, json.Valid(body), "%q gives %q", template, body)
	})
}

// FuzzEvents: whatever a payload holds, an event is rejected, or its request is one that can be read.
func FuzzEvents(f *testing.F) {
	options := configured(f, strings.ReplaceAll("database: {url: \"${DATABASE_URL}\"}\ndestinations:\n  it:\n    kind: http\n"+asEverything, "ORIGIN", "http://127.0.0.1:1"))
	d, err := options.Make(destination.Common{})
	require.NoError(f, err)
	destinationtest.FuzzEvents(f, func(t *testing.T, event destination.Event) {
		body := generic.BodyOf(d, event)
		require.True(t, json.Valid(body), "%q", body)
		require.True(t, utf8.Valid(body))
	})
}
