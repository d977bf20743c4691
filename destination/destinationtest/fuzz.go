package destinationtest

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/destination"
)

// odd are payloads by which adapters have gone wrong: text that JSON escapes or does not allow, amounts with
// zeros in front, parts of things, nothing.
var odd = []struct{ name, payload string }{
	{"order_paid", `{"customer": {"email": "a@example.com", "phone": "+1234567"}, "order": {"total": "-007.50", "currency": "DKK", "items": [{"sku": "\u0000", "quantity": 0.5, "unit_price": "00"}]}}`},
	{"cart_updated", `{"customer": {"id": "x"}, "client": {"ip": "192.0.2.7", "user_agent": "<x>\ud800"}, "cart": {"items": [{"sku": "<&>\u2028", "quantity": 12}, {}]}}`},
	{"product_viewed", "{\"customer\": {\"first_name\": \"\xff\", \"address\": {\"city\": \"\xc3\"}}, \"client\": {\"ip\": \"::1\"}, \"product\": {\"unit_price\": \"00\", \"currency\": \"EUR\"}}"},
	{"search", `{"customer": {"email": "a@example.com"}, "search": {"term": ""}}`},
	{"custom:*", `null`},
	{"custom:vip", `{"customer": {"email": "a@example.com", "language": "é", "address": {"city": "\u00a0", "region": "ßß", "postal_code": "٣"}}}`},
}

// FuzzEvents checks events whose payloads are of the contract's form, whatever they hold. More seeds are the
// caller's to add: name, order_ref and payload.
func FuzzEvents(f *testing.F, check func(t *testing.T, event destination.Event)) {
	for _, seed := range odd {
		f.Add(seed.name, "E1", []byte(seed.payload))
	}
	f.Fuzz(func(t *testing.T, name, ref string, raw []byte) {
		payload, rejected := destination.ParsePayload(name, raw)
		if rejected != nil {
			return
		}
		check(t, destination.Event{
			Key: "k", Name: name, OrderRef: ref, OccurredAt: time.Unix(1741083330, 0), Payload: payload, Raw: raw, Consent: []string{"marketing"},
		})
	})
}

// FuzzEncode lets adapters write such events, and checks those that they do not reject. item is JSON, and
// fits into a request.
func FuzzEncode(f *testing.F, check func(t *testing.T, event destination.Event, item destination.Encoded), adapters ...destination.Batcher) {
	FuzzEvents(f, func(t *testing.T, event destination.Event) {
		for _, adapter := range adapters {
			item, rejected := adapter.Encode(event)
			if rejected != nil {
				require.Equal(t, destination.Rejected, rejected.Kind)
				continue
			}
			require.True(t, json.Valid(item.Body))
			require.Less(t, len(item.Body), adapter.Traits().Batch.Bytes)
			check(t, event, item)
		}
	})
}
