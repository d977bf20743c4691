package matomo

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/config"
	"kvit/destination"
	"kvit/destination/destinationtest"
)

func FuzzEncode(f *testing.F) {
	f.Add("order_paid", "E1", []byte(`{"customer": {"id": "1\"\\"}, "order": {"total": "-007.50", "items": [{"sku": "\u0000&=", "quantity": 1.50}]}}`))
	f.Add("cart_updated", "", []byte(`{"cart": {"items": []}, "client": {"ip": "fe80::1%\"&"}}`))
	f.Add("search", "", []byte(`{"search": {"term": "\ud800\u2028"}, "client": {"matomo_id": "0123456789abcdef"}}`))
	f.Add("custom:a/b", "", []byte(`null`))
	m, err := New(Options{BaseURL: "https://matomo.example.com", SiteID: 1, TokenAuth: config.NewSecret("a\"b")})
	require.NoError(f, err)
	destinationtest.FuzzEncode(f, func(t *testing.T, _ destination.Event, item destination.Encoded) {
		var call struct {
			Requests []string `json:"requests"`
			Token    string   `json:"token_auth"`
		}
		require.NoError(t, json.Unmarshal(m.body([]destination.Encoded{item, item}), &call))
		require.Equal(t, "a\"b", call.Token)
		require.Len(t, call.Requests, 2)
		values, err := url.ParseQuery(strings.TrimPrefix(call.Requests[0], "?"))
		require.NoError(t, err)
		for name, list := range values {
			require.Len(t, list, 1, name)
		}
		require.Equal(t, item.Group == repeatable, values.Has("idgoal"))
		if values.Has("ec_items") {
			require.True(t, json.Valid([]byte(values.Get("ec_items"))))
		}
	}, m)
}

func FuzzUnderstand(f *testing.F) {
	f.Add([]byte(`{"status":"success","tracked":1,"invalid":1,"invalid_indices":[1]}`), 2)
	f.Add([]byte(`{"status":"success","tracked":1e30,"invalid":-1}`), 1)
	f.Fuzz(func(t *testing.T, body []byte, items int) {
		if items < 1 || items > maxEvents {
			return
		}
		said, ok := understand(destination.Answer{Status: 200, Body: body}, items)
		if !ok {
			return
		}
		require.LessOrEqual(t, said.tracked+said.invalid, items)
		for _, place := range said.indices {
			require.Less(t, place, items)
		}
	})
}
