package config

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestConsent(t *testing.T) {
	t.Parallel()
	require.Nil(t, parse(t, "log: {}\n").Consent)
	for name := range readyMaps {
		c := parse(t, "consent: {map: "+name+"}\n").Consent
		require.Equal(t, name, c.Map)
		require.Contains(t, forms, c.Form)
		for _, purpose := range []string{"marketing", "analytics"} { // what destinations need by default
			require.Contains(t, c.Purposes, keyOf(c.Purposes, purpose), name)
		}
		for _, yes := range c.Yes {
			require.NotContains(t, c.No, yes, name)
		}
	}
	require.Equal(t, &Consent{Map: OwnMap, Form: ObjectForm, Purposes: map[string]string{"a": "marketing"}, Yes: []string{"ja"}, No: []string{"nej"}},
		parse(t, "consent: {map: {a: marketing}, yes: [ja], no: [nej]}\n").Consent)
	require.Equal(t, &Consent{Map: OwnMap, Form: OneTrustForm, Purposes: map[string]string{"C0007": "marketing"}, Yes: []string{"1"}, No: []string{"0"}},
		parse(t, "consent: {map: {C0007: marketing}, form: onetrust}\n").Consent)
	none := parse(t, hook+"    consent: none\nconsent: {map: {a: analytics}}\n")
	require.Equal(t, None, none.Destinations[0].Consent, "it needs no purpose, so that none is missing")
}

// keyOf is the category that becomes a purpose.
func keyOf(purposes map[string]string, purpose string) string {
	for category, p := range purposes {
		if p == purpose {
			return category
		}
	}
	return ""
}
