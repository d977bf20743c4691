package spread

import (
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/config"
	"kvit/destination"
	"kvit/destination/destinationtest"
)

// written is what PHP's http_build_query may write.
var written = regexp.MustCompile(`^[A-Za-z0-9_.~%+-]+=[A-Za-z0-9_.~%+-]+(&[A-Za-z0-9_.~%+-]+=[A-Za-z0-9_.~%+-]+)*$`)

func FuzzCall(f *testing.F) {
	f.Add("order_paid", "E1", []byte(`{"customer": {"email": "a@example.com", "tags": ["x&y=z"]}, "order": {"total": "1.00"}, "custom": {"group": "\u0000]["}}`))
	f.Add("cart_updated", "", []byte(`{"customer": {"email": "a@example.com"}, "cart": {"id": "1", "items": [{"quantity": 1}]}}`))
	f.Add("newsletter_optin", "", []byte(`{"customer": {"email": "a@example.com"}, "optin": {"email": true}}`))
	f.Add("account_created", "", []byte(`null`))
	s, err := newSettings(Options{
		PublicKey: config.NewSecret("a"), PrivateKey: config.NewSecret("b"), CartTrigger: "abandoned_cart", Tags: []string{"t"}, OrderTags: []string{"o"},
		CustomFields: map[string]string{"1": "custom.group", "2": "custom"}, Grants: Grants{"A", "B", "C", "D"},
	})
	require.NoError(f, err)
	destinationtest.FuzzEvents(f, func(t *testing.T, event destination.Event) {
		call, rejected := s.call(event)
		if rejected != nil {
			require.Equal(t, destination.Rejected, rejected.Kind)
			return
		}
		require.Regexp(t, written, call.body)
		values, err := url.ParseQuery(call.body)
		require.NoError(t, err)
		for key, list := range values {
			require.Len(t, list, 1, key)
			require.Equal(t, strings.Count(key, "["), strings.Count(key, "]"))
		}
	})
}
