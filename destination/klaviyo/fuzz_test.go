package klaviyo

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"kvit/config"
	"kvit/destination"
	"kvit/destination/destinationtest"
)

func FuzzCall(f *testing.F) {
	f.Add("order_paid", "E1", []byte(`{"customer": {"email": "a@example.com"}, "order": {"total": "-007.50", "items": [{"quantity": 1.50}]}}`))
	f.Add("cart_updated", "", []byte(`{"customer": {"phone": "+4512345678"}, "cart": {"items": [{"name": "<\u2028>"}]}}`))
	f.Add("newsletter_optin", "", []byte(`{"customer": {"email": "a@example.com"}, "optin": {"email": true}}`))
	f.Add("custom:x", "", []byte(`{"customer": {"id": "1"}, "custom": {"a": 1e400, "a": [null, -0.0]}}`))
	f.Add("search", "", []byte(`{"client": {"klaviyo_id": "k"}, "search": {"term": "\ud800"}}`))
	s, err := newSettings(Options{APIKey: config.NewSecret("a"), ListID: "b"})
	require.NoError(f, err)
	destinationtest.FuzzEvents(f, func(t *testing.T, event destination.Event) {
		call, rejected := s.call(event)
		if rejected != nil {
			require.Equal(t, destination.Rejected, rejected.Kind)
			return
		}
		require.True(t, json.Valid(call.body), "%s", call.body)
		require.Less(t, len(call.body), 5_000_000)
		require.True(t, strings.HasPrefix(call.path, "/api/"))
		if call.path == "/api/events" {
			attributes := gjson.GetBytes(call.body, "data.attributes")
			require.Equal(t, "k", attributes.Get("unique_id").Str)
			require.True(t, attributes.Get("properties").IsObject())
			require.NotEmpty(t, attributes.Get("profile.data.attributes").Map())
		}
	})
}
