package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/destination"
	"kvit/destination/destinationtest"
)

// cannotDoWithout are the members of a paid order that a provider requires itself, beside the reference, the
// currency and the total of a sale. Where one of these cannot be read, the order ends as rejected there.
var cannotDoWithout = map[string][]string{
	"spread":     {"customer.email"},
	"ga4":        {"client.ga_client_id"},
	"meta":       {"client.page_url", "client.user_agent"},
	"snap":       {"client.page_url"},
	"snowplow":   {"order.payment_method", "order.items"},
	"trustpilot": {"customer.email"},
}

// oneOfThemKept are members of which a provider requires one or another.
var oneOfThemKept = map[string][]string{"trustpilot": {"customer.first_name"}}

// sale is what a sale cannot be without.
var sale = []string{"order.ref", "order.currency", "order.total"}

// TestPaidOrdersArriveHoweverTheyAreWritten lets every destination take a paid order in which one member is in an
// odd form: it is lost only where the provider requires that member, and it cannot be read.
func TestPaidOrdersArriveHoweverTheyAreWritten(t *testing.T) {
	t.Parallel()
	forms := destinationtest.OddForms(t)
	for _, p := range providers {
		t.Run(p.kind, func(t *testing.T) {
			t.Parallel()
			other := p.fake()
			server := httptest.NewServer(other)
			t.Cleanup(server.Close)
			_, adapter := p.configured(t, server.URL)
			for _, form := range forms {
				event := oddEventOf(t, p.told(), map[string]string{form.Member: form.Odd})
				required := slices.ContainsFunc(cannotDoWithout[p.kind], func(member string) bool {
					return within(member, form.Member) && (member != form.Member || form.Meant == "" || emptied(form))
				})
				_, err := adapter.Send(t.Context(), event)
				if required {
					require.ErrorContains(t, err, "is required", "%s %s=%s", p.kind, form.Member, form.Odd)
					continue
				}
				if slices.Contains(sale, form.Member) || form.Member == "order" {
					continue // TestWhatIsNoSale
				}
				require.NoError(t, err, "%s %s=%s", p.kind, form.Member, form.Odd)
			}
			_, refused := other.seen()
			require.LessOrEqual(t, refused, 1) // an order that SPREAD does not know yet
		})
	}
}

// emptied are forms of an object or a list with nothing in it.
func emptied(form destinationtest.OddForm) bool { return form.Meant == "{}" || form.Meant == "[]" }

// TestWhatIsNoSale: an order whose total or currency cannot be read is rejected where the provider would take it
// for a sale of nothing, or in another currency.
func TestWhatIsNoSale(t *testing.T) {
	t.Parallel()
	takes := map[string][]string{
		"webhook": {"order", "order.total", "order.currency"}, // as the shop wrote it
		"matomo":  {"order.currency"},                         // it knows no other than the site's
		"spread":  {"order.currency"},
	}
	for _, p := range providers {
		if p.told() != "order_paid" {
			continue // it is told of no sale
		}
		_, adapter := p.configured(t, "https://provider.example.com")
		for member, values := range map[string][]string{
			"order.total":    {`"abc"`, `{}`, `true`, `"1,234"`, `1e99`, `"12345678901234"`, `[1, 2]`},
			"order.currency": {`"kr"`, `"XXX"`, `{}`, `7`, `true`},
			"order":          {`"E100042"`, `7`, `[1]`, `false`},
		} {
			for _, value := range values {
				if slices.Contains(takes[p.kind], member) {
					continue
				}
				err := rejection(t, adapter, oddEvent(t, map[string]string{member: value}))
				require.Error(t, err, "%s %s=%s", p.kind, member, value)
				require.Regexp(t, `^order`, err.Error(), "%s %s=%s", p.kind, member, value)
			}
		}
	}
}

// rejection is what an adapter has against an event, without a request.
func rejection(t *testing.T, adapter destination.Destination, event destination.Event) error {
	if batcher, ok := adapter.(destination.Batcher); ok {
		if _, rejected := batcher.Encode(event); rejected != nil {
			return rejected
		}
		return nil
	}
	_, err := adapter.Send(t.Context(), event)
	return err
}

// TestNoOptionalMemberCostsAPaidOrder breaks members at random, by values of every type and depth: whatever is
// broken of what the provider does not require, the order arrives.
func TestNoOptionalMemberCostsAPaidOrder(t *testing.T) {
	t.Parallel()
	const rounds = 400
	for n, p := range providers {
		t.Run(p.kind, func(t *testing.T) {
			t.Parallel()
			other := p.fake()
			server := httptest.NewServer(other)
			t.Cleanup(server.Close)
			_, adapter := p.configured(t, server.URL)
			random := rand.New(rand.NewPCG(uint64(n), 12))
			keep := slices.Concat(sale, []string{"customer.email"}, cannotDoWithout[p.kind], oneOfThemKept[p.kind]) // somebody has to have bought it
			var optional []string
			for _, member := range membersOf(t, wholeOrder(t)) {
				if !slices.ContainsFunc(keep, func(kept string) bool { return within(kept, member) || within(member, kept) }) {
					optional = append(optional, member)
				}
			}
			require.Greater(t, len(optional), 30)
			for range rounds {
				broken := map[string]string{}
				for range 1 + random.IntN(5) {
					broken[optional[random.IntN(len(optional))]] = anyJSON(random, 4)
				}
				_, err := adapter.Send(t.Context(), oddEventOf(t, p.told(), broken))
				require.NoError(t, err, "%s %v", p.kind, broken)
			}
		})
	}
}

// within tells whether a member is the other one, or in it.
func within(member, other string) bool {
	return member == other || strings.HasPrefix(member, other+".")
}

// wholeOrder is a paid order with every member.
func wholeOrder(t *testing.T) json.RawMessage {
	return []byte(strings.ReplaceAll(string(destinationtest.Event(t, "order_paid").Raw), destinationtest.Marker, "M"))
}

// oddEvent is a paid order of a Danish shop in which some members are written otherwise.
func oddEvent(t *testing.T, values map[string]string) destination.Event {
	t.Helper()
	return oddEventOf(t, "order_paid", values)
}

func oddEventOf(t *testing.T, name string, values map[string]string) destination.Event {
	t.Helper()
	raw := wholeOrder(t)
	for member, value := range values {
		raw = with(t, raw, strings.Split(member, "."), value)
	}
	payload, rejected := destination.Reading{Country: "DK"}.Read(name, raw)
	require.Nil(t, rejected)
	event := destinationtest.EventWith(t, name, "")
	event.Payload, event.Raw = payload, raw
	return event
}

// with is an object in which one member has another value; what is on the way there and no object becomes one.
func with(t *testing.T, object json.RawMessage, way []string, value string) json.RawMessage {
	t.Helper()
	members := map[string]json.RawMessage{}
	if json.Unmarshal(object, &members) != nil || members == nil {
		members = map[string]json.RawMessage{}
	}
	if len(way) == 1 {
		members[way[0]] = []byte(value)
	} else {
		members[way[0]] = with(t, members[way[0]], way[1:], value)
	}
	encoded, err := json.Marshal(members)
	if err != nil { // a value that Go's JSON does not write, such as a lone surrogate
		t.Fatal(err)
	}
	return encoded
}

// membersOf are the members of an object, and of those in it.
func membersOf(t *testing.T, object json.RawMessage) []string {
	var members map[string]json.RawMessage
	if json.Unmarshal(object, &members) != nil {
		return nil
	}
	var list []string
	for name, value := range members {
		list = append(list, name)
		for _, inner := range membersOf(t, value) {
			list = append(list, name+"."+inner)
		}
	}
	slices.Sort(list)
	return list
}

// anyJSON is a value of any type.
func anyJSON(random *rand.Rand, depth int) string {
	texts := []string{
		`""`, `" "`, `"x"`, `"\u0000"`, `"\ud83d"`, `"749,00"`, `"+45 12"`, `"1.2.3.4"`, `"0000-00-00"`, `"{\"a\": [1]}"`, `"[[]]"`, `"null"`, `"é \u2028 <&>"`,
		fmt.Sprintf("%q", strings.Repeat("long ", 5000)),
	}
	numbers := []string{`0`, `-1`, `7`, `1e400`, `-0.0`, `0.1`, `12345678901234567890`, `3.14159265358979`, `1e-400`}
	kinds := 6
	if depth == 0 {
		kinds = 4
	}
	switch random.IntN(kinds) {
	case 0:
		return texts[random.IntN(len(texts))]
	case 1:
		return numbers[random.IntN(len(numbers))]
	case 2:
		return []string{"true", "false"}[random.IntN(2)]
	case 3:
		return "null"
	}
	var parts []string
	names := []string{"sku", "quantity", "unit_price", "email", "0", "1", "x"}
	isList := random.IntN(2) == 0
	for range random.IntN(4) {
		part := anyJSON(random, depth-1)
		if !isList {
			part = fmt.Sprintf("%q: %s", names[random.IntN(len(names))], part)
		}
		parts = append(parts, part)
	}
	if isList {
		return "[" + strings.Join(parts, ",") + "]"
	}
	return "{" + strings.Join(parts, ",") + "}"
}
