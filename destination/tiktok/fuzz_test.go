package tiktok_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/destination"
	"kvit/destination/destinationtest"
	"kvit/destination/tiktok"
)

func FuzzEncode(f *testing.F) {
	f.Add("order_paid", []byte(janes))
	f.Add("order_paid", []byte(`{"customer": {"email": "a@example.com", "phone": "+1234567"}, "order": {"total": "-007.50", "currency": "DKK", "items": [{"sku": "\u0000", "quantity": 0.5}]}}`))
	f.Add("cart_updated", []byte(`{"customer": {"id": "x"}, "cart": {"items": [{"sku": "<&>\u2028", "quantity": 12}]}}`))
	f.Add("product_viewed", []byte("{\"customer\": {\"first_name\": \"\xff\", \"address\": {\"city\": \"\xc3\"}}, \"client\": {\"ip\": \"::1\"}, \"product\": {\"unit_price\": \"00\", \"currency\": \"EUR\"}}"))
	f.Add("search", []byte(`{"customer": {"email": "a@example.com"}, "search": {"term": ""}}`))
	f.Add("custom:*", []byte(`null`))
	web, shop := options(), options()
	shop.EventSource, shop.Events = "offline", map[string]string{"order_refunded": "Refund", "order_placed": "PlaceAnOrder"}
	adapters := []*tiktok.TikTok{at(f, "", web), at(f, "", shop)}
	f.Fuzz(func(t *testing.T, name string, raw []byte) {
		payload, rejected := destination.ParsePayload(name, raw)
		if rejected != nil {
			return
		}
		event := destination.Event{Key: "k", Name: name, OccurredAt: time.Unix(1, 0), Payload: payload, Raw: raw}
		for _, adapter := range adapters {
			checkEncoded(t, adapter, event)
		}
	})
}

const hash = `^[0-9a-f]{64}$`

func checkEncoded(t *testing.T, adapter *tiktok.TikTok, event destination.Event) {
	item, rejected := adapter.Encode(event)
	if rejected != nil {
		require.Equal(t, destination.Rejected, rejected.Kind)
		return
	}
	require.Less(t, len(item.Body), adapter.Traits().Batch.Bytes)
	var fields struct {
		Event string         `json:"event"`
		User  map[string]any `json:"user"`
	}
	require.NoError(t, json.Unmarshal(item.Body, &fields))
	require.Regexp(t, `^[A-Za-z0-9_]{1,50}$`, fields.Event)
	for field, value := range fields.User {
		switch field {
		case "email", "phone", "external_id":
			for _, text := range value.([]any) {
				require.Regexp(t, hash, text, field)
			}
		case "first_name", "last_name", "zip_code":
			require.Regexp(t, hash, value, field)
		case "city", "state", "country":
			require.Regexp(t, `^[a-z0-9]+$`, value, field)
		default:
			require.Contains(t, []string{"ttclid", "ttp", "ip", "user_agent", "locale"}, field)
		}
	}
}

// TestTheLargestEventFits takes the text that grows most in JSON.
func TestTheLargestEventFits(t *testing.T) {
	t.Parallel()
	raw := `{"client": {"ip": "198.51.100.7"}, "product": {"sku": "1", "name": "` + strings.Repeat("\xff", 255<<10) + `"}}`
	to := at(t, "", options())
	item, rejected := to.Encode(destinationtest.EventWith(t, "product_viewed", raw))
	require.Nil(t, rejected)
	require.Less(t, len(item.Body)+1, to.Traits().Batch.Bytes)
}
