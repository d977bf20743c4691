package meta_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/destination"
	"kvit/destination/destinationtest"
	"kvit/destination/meta"
)

var hashed = regexp.MustCompile(`^(?:[0-9a-f]{32}|[0-9a-f]{64})$`)

// plainFields are those of user_data that hold no contact data.
var plainFields = []string{"client_ip_address", "client_user_agent", "fbp", "fbc"}

func FuzzEncode(f *testing.F) {
	f.Add("order_paid", []byte(janes))
	f.Add("order_paid", []byte(`{"customer": {"email": "a@example.com", "phone": "+1234567"}, "order": {"total": "-007.50", "currency": "DKK", "items": [{"sku": "\u0000", "quantity": 0.5}]}}`))
	f.Add("cart_updated", []byte(`{"customer": {"id": "x"}, "cart": {"items": [{"sku": "<&>\u2028", "quantity": 12}]}}`))
	f.Add("product_viewed", []byte("{\"customer\": {\"first_name\": \"\xff\", \"address\": {\"city\": \"\xc3\"}}, \"client\": {\"ip\": \"::1\"}, \"product\": {\"unit_price\": \"00\", \"currency\": \"EUR\"}}"))
	f.Add("search", []byte(`{"customer": {"email": "a@example.com"}, "search": {"term": ""}}`))
	f.Add("custom:*", []byte(`null`))
	web, shop := options(), options()
	shop.ActionSource, shop.Events = "physical_store", map[string]string{"order_refunded": "Refund", "order_placed": "Placed"}
	adapters := []*meta.Meta{at(f, "", web), at(f, "", shop)}
	f.Fuzz(func(t *testing.T, name string, raw []byte) {
		payload, rejected := destination.ParsePayload(name, raw)
		if rejected != nil {
			return
		}
		event := destination.Event{Key: "k", Name: name, OccurredAt: time.Unix(0, 0), Payload: payload, Raw: raw}
		for _, adapter := range adapters {
			checkEncoded(t, adapter, event)
		}
	})
}

func checkEncoded(t *testing.T, adapter *meta.Meta, event destination.Event) {
	item, rejected := adapter.Encode(event)
	if rejected != nil {
		require.Equal(t, destination.Rejected, rejected.Kind)
		return
	}
	require.Less(t, len(item.Body), adapter.Traits().Batch.Bytes)
	var fields struct {
		Name string                     `json:"event_name"`
		User map[string]json.RawMessage `json:"user_data"`
	}
	require.NoError(t, json.Unmarshal(item.Body, &fields))
	require.Regexp(t, `^[A-Za-z0-9_]{1,50}$`, fields.Name)
	for _, field := range plainFields {
		delete(fields.User, field)
	}
	for field, value := range fields.User {
		var list []string
		require.NoError(t, json.Unmarshal(value, &list), field)
		for _, text := range list {
			require.Regexp(t, hashed, text, field)
		}
	}
}

// TestTheLargestEventFits takes the text that grows most in JSON, in the members that are used twice.
func TestTheLargestEventFits(t *testing.T) {
	t.Parallel()
	raw := `{"client": {"ip": "198.51.100.7", "user_agent": "x", "page_url": "https://shop.example.com/"}, "product": {"sku": "1", "name": "` + strings.Repeat("\xff", 255<<10) + `"}}`
	m := at(t, "", options())
	item, rejected := m.Encode(destinationtest.EventWith(t, "product_viewed", raw))
	require.Nil(t, rejected)
	require.Less(t, len(item.Body)+1, m.Traits().Batch.Bytes)
}
