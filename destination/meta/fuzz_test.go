package meta_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/destination"
	"kvit/destination/destinationtest"
)

var hashed = regexp.MustCompile(`^(?:[0-9a-f]{32}|[0-9a-f]{64})$`)

// plainFields are those of user_data that hold no contact data.
var plainFields = []string{"client_ip_address", "client_user_agent", "fbp", "fbc"}

func FuzzEncode(f *testing.F) {
	f.Add("order_paid", "", []byte(janes))
	web, shop := options(), options()
	shop.ActionSource, shop.Events = "physical_store", map[string]string{"order_refunded": "Refund", "order_placed": "Placed"}
	destinationtest.FuzzEncode(f, checkEncoded, at(f, "", web), at(f, "", shop))
}

func checkEncoded(t *testing.T, _ destination.Event, item destination.Encoded) {
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
	body := destinationtest.Body(t, m, destinationtest.EventWith(t, "product_viewed", raw))
	require.Less(t, len(body)+1, m.Traits().Batch.Bytes)
}
