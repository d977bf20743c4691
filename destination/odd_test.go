package destination_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/destination"
	"kvit/destination/destinationtest"
)

// danish reads phone numbers as in Denmark.
var danish = destination.Reading{Country: "DK"}

// TestOddForms: an odd form is read as the recommended one, or costs the member alone.
func TestOddForms(t *testing.T) {
	t.Parallel()
	forms := destinationtest.OddForms(t)
	require.Greater(t, len(forms), 300)
	for _, form := range forms {
		t.Run(form.Member+"="+form.Odd, func(t *testing.T) {
			t.Parallel()
			read, rejected := danish.Read("order_paid", []byte(destinationtest.Only(form.Member, form.Odd)))
			require.Nil(t, rejected)
			meant, rejected := danish.Read("order_paid", []byte(destinationtest.Only(form.Member, form.Meant)))
			require.Nil(t, rejected)
			require.Empty(t, meant.Omitted)
			omitted := read.Omitted
			read.Omitted = nil
			if form.Meant != "" || form.Noted {
				require.Equal(t, shape(t, meant), shape(t, read))
			}
			if !form.Noted {
				require.Empty(t, omitted)
				return
			}
			require.Len(t, omitted, 1)
			require.Equal(t, form.Member, omitted[0].Member)
			require.Equal(t, form.Member, omitted[0].Place)
			require.NotEmpty(t, omitted[0].Why)
		})
	}
}

// TestNumbersFromAbroad: 00 stands for the plus also in countries that dial something else.
func TestNumbersFromAbroad(t *testing.T) {
	t.Parallel()
	for _, country := range []string{"", "US", "JP", "AU", "DK"} {
		payload, rejected := destination.Reading{Country: country}.Read("order_paid", []byte(destinationtest.Only("customer.phone", `"0045 32 12 34 56"`)))
		require.Nil(t, rejected)
		require.Equal(t, "+4532123456", payload.Customer.Phone, country)
		require.Empty(t, payload.Omitted)
	}
}

// shape is a payload as JSON, in which objects and lists that are empty are as good as none.
func shape(t *testing.T, payload destination.Payload) string {
	encoded, err := json.Marshal(payload)
	require.NoError(t, err)
	return string(encoded)
}
