package shops_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/config"
	"kvit/destination"
	"kvit/destination/meta"
)

// metaKeys are the members of a customer that Meta has a match key for, and values of each in a dozen languages.
// Left out is what the SDK leaves to its caller and kvit does itself: national phone numbers, countries before
// postal codes, other forms of dates; and the id, which the SDK does not hash and Meta's page recommends to. Postal codes are without a country, since the SDK knows none: it cuts all
// of them at a hyphen.
var metaKeys = map[string]struct {
	member string
	values []string
}{
	"em": {"customer.email", []string{" Jane.Doe@Example.COM ", "john_smith@gmail.com", "jane+spring@example.com", "JANE@SUB.EXAMPLE.CO.UK"}},
	"ph": {"customer.phone", []string{"+45 12 34 56 78", "+45-12-34-56-78", "+1 (650) 555-1212", "+44 844 412 4653", "0045 12345678", "+49 30 1234567"}},
	"fn": {"customer.first_name", []string{"Mary", " Anna Maria ", "정", "Valéry", "ΓΙΏΡΓΟΣ", "İbrahim", "ÅSE", "ŁUKASZ", "ДМИТРИЙ", "ÇAĞLA", "Ñigo", "مريم", "美咲", "O'Neill", "Jean-Luc"}},
	"ln": {"customer.last_name", []string{"Doe", "van der BERG", "GROẞ", "ΠΑΠΑΔΌΠΟΥΛΟΣ", "ÖZTÜRK", "SØRENSEN", "MÜLLER-LÜDENSCHEIDT", "Žižek", "Đorđević"}},
	"ge": {"customer.gender", []string{"F", "female", "MALE", "m"}},
	"db": {"customer.birthday", []string{"1990-05-17"}},
	"ct": {"customer.address.city", []string{"København K", "8000 Aarhus C", "San Francisco", "Saint-Étienne", "ΑΘΉΝΑ", "Frankfurt (Oder)", "St. Gallen", "İzmir", "東京"}},
	"st": {"customer.address.region", []string{"CA", "Hovedstaden", "Île-de-France", "New South Wales"}},
	"zp": {"customer.address.postal_code", []string{"8000", "111 22", "SW1A 1AA", "94035-1234", "K1A 0B1", "10115"}},

	"country": {"customer.address.country", []string{"DK", "dk", " Us ", "GB"}},
}

// TestMetaSDK: what Meta is told of a customer is what Meta's own SDK tells it.
func TestMetaSDK(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("clients/node_modules/facebook-nodejs-business-sdk"); err != nil && os.Getenv("KVIT_SHOPS") == "" {
		t.Skip("Meta's SDK is installed by `make test-shops`")
	}
	adapter, err := meta.New(meta.Options{DatasetID: "1", AccessToken: config.NewSecret("x")})
	require.NoError(t, err)
	var theirs []map[string]string
	var ours []string
	for key, of := range metaKeys {
		for _, value := range of.values {
			given := value
			if key == "db" {
				given = strings.ReplaceAll(value, "-", "") // Meta's form
			}
			theirs = append(theirs, map[string]string{key: given})
			ours = append(ours, hashOf(t, adapter, key, of.member, value))
		}
	}
	for i, made := range metaSDK(t, theirs) {
		for key, given := range theirs[i] {
			require.Equal(t, made[key], ours[i], "%s of %q", key, given)
		}
	}
}

// metaSDK asks the SDK.
func metaSDK(t *testing.T, customers []map[string]string) []map[string]string {
	t.Helper()
	input, err := json.Marshal(customers)
	require.NoError(t, err)
	node := exec.CommandContext(t.Context(), "node", "metauser.js")
	node.Dir, node.Stdin = "clients", bytes.NewReader(input)
	output, err := node.Output()
	require.NoError(t, err)
	var made []map[string]any
	require.NoError(t, json.Unmarshal(output, &made))
	hashes := make([]map[string]string, len(made))
	for i, user := range made {
		hashes[i] = map[string]string{}
		for key, value := range user {
			if list, ok := value.([]any); ok {
				value = list[0]
			}
			hashes[i][key], _ = value.(string)
		}
	}
	return hashes
}

// hashOf is what kvit tells Meta of a customer who has that one member.
func hashOf(t *testing.T, adapter *meta.Meta, key, member, value string) string {
	t.Helper()
	names := strings.Split(strings.TrimPrefix(member, "customer."), ".")
	quoted, err := json.Marshal(value)
	require.NoError(t, err)
	raw := `{"customer": {"` + strings.Join(names, `": {"`) + `": ` + string(quoted) + strings.Repeat("}", len(names)) +
		`, "client": {"ip": "198.51.100.7", "user_agent": "x", "page_url": "https://shop.example.com/"}}`
	payload, rejected := destination.ParsePayload("page_viewed", []byte(raw))
	require.Nil(t, rejected)
	encoded, rejected := adapter.Encode(destination.Event{Key: "k", Name: "page_viewed", OccurredAt: time.Now(), Payload: payload, Raw: []byte(raw)})
	require.Nil(t, rejected)
	var sent struct {
		User map[string]any `json:"user_data"`
	}
	require.NoError(t, json.Unmarshal(encoded.Body, &sent))
	list, ok := sent.User[key].([]any)
	require.True(t, ok, "%s of %q", key, value)
	return list[0].(string)
}
