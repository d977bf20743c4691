package trustpilot

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/config"
	"kvit/destination"
	"kvit/destination/destinationtest"
)

func FuzzInvitation(f *testing.F) {
	f.Add("order_shipped", "E1", []byte(`{"customer": {"email": "a@example.com", "first_name": "\u2028<x>", "language": "da-DK"}, "order": {"items": [{"sku": "\u0000"}]}}`))
	f.Add("order_shipped", `#"&`, []byte(`{"customer": {"email": "a@example.com", "company": "x"}}`))
	s, err := newSettings(Options{
		BusinessUnitID: "46d6a890ffa235a75b00021d", BusinessUserID: "507f1f77bcf86cd799439011", TemplateID: "507f191e810c19729de860ea",
		APIKey: config.NewSecret("x"), APISecret: config.NewSecret("x"), Products: true,
	})
	require.NoError(f, err)
	destinationtest.FuzzEvents(f, func(t *testing.T, event destination.Event) {
		invited, rejected := s.newInvitation(event)
		if rejected != nil {
			require.Equal(t, destination.Rejected, rejected.Kind)
			return
		}
		require.True(t, json.Valid(destination.JSON(invited)))
		require.NotEmpty(t, invited.Name)
		require.NotEmpty(t, invited.Reference)
		require.False(t, strings.ContainsAny(invited.Reference, `#*+"%&`))
		require.Regexp(t, `^[a-z]{2}-[A-Z]{2}$`, invited.Locale)
		require.Regexp(t, `^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$`, invited.Service.SendTime)
	})
}
