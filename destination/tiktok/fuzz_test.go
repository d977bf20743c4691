package tiktok_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/destination"
	"kvit/destination/destinationtest"
)

func FuzzEncode(f *testing.F) {
	f.Add("order_paid", "", []byte(janes))
	web, shop := options(), options()
	shop.EventSource, shop.Events = "offline", map[string]string{"order_refunded": "Refund", "order_placed": "PlaceAnOrder"}
	destinationtest.FuzzEncode(f, checkEncoded, at(f, "", web), at(f, "", shop))
}

const hash = `^[0-9a-f]{64}$`

func checkEncoded(t *testing.T, _ destination.Event, item destination.Encoded) {
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
	body := destinationtest.Body(t, to, destinationtest.EventWith(t, "product_viewed", raw))
	require.Less(t, len(body)+1, to.Traits().Batch.Bytes)
}
