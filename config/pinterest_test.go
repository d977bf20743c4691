package config

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const pinterest = "destinations:\n  pin:\n    kind: pinterest\n    ad_account_id: \"549755885175\"\n    token: ${PINTEREST}\n" // up to line 5

func pinterestEnvironment(name string) string {
	return map[string]string{"PINTEREST": "pina_example", "LINES": "pina\nexample", "DATABASE_URL": "postgres://db.example.com/shop"}[name]
}

func TestPinterestDefaults(t *testing.T) {
	t.Parallel()
	cfg, err := Parse("kvit.yaml", []byte(pinterest), pinterestEnvironment, Kinds)
	require.NoError(t, err)
	d := cfg.Destinations[0]
	require.Equal(t, &Pinterest{
		AdAccountID: "549755885175", Token: d.Settings.(*Pinterest).Token, BaseURL: "https://api.pinterest.com/v5",
	}, d.Settings)
	require.Equal(t, "pina_example", d.Settings.(*Pinterest).Token.Reveal())
	require.Equal(t, "marketing", d.Consent)
	require.InDelta(t, 80, d.Rate, 0) // below the 5,000 a minute that Pinterest allows
}

func TestPinterestMistakes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text  string
		wants []string
	}{
		"Empty":         {"destinations:\n  pin: {kind: pinterest}\n", []string{"2: destinations.pin.ad_account_id: is missing", "2: destinations.pin.token: is missing"}},
		"AccountNumber": {strings.Replace(pinterest, `"549755885175"`, "549755885175", 1), []string{"4: destinations.pin.ad_account_id: " + mustBeText}},
		"AccountName":   {strings.Replace(pinterest, "5497", "act_", 1), []string{"4: destinations.pin.ad_account_id: is not the id of an ad account (at most 18 digits, in quotes)"}},
		"AccountLonger": {strings.Replace(pinterest, "5497", "5497549754975", 1), []string{"4: destinations.pin.ad_account_id: is not the id of an ad account (at most 18 digits, in quotes)"}},
		"TokenInFile":   {strings.Replace(pinterest, "${PINTEREST}", "pina_example", 1), []string{"5: destinations.pin.token: " + notInFile}},
		"TokenLines":    {strings.Replace(pinterest, "PINTEREST", "LINES", 1), []string{"5: destinations.pin.token: contains a line break or another control character"}},
		"BaseURL":       {pinterest + "    base_url: http://api.pinterest.com/v5\n", []string{"6: destinations.pin.base_url: must be https (http only for this machine itself)"}},
		"Unknown":       {pinterest + "    pixel_id: x\n", []string{"6: destinations.pin.pixel_id: is not a known key"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, line := range mistakes(t, test.text, pinterestEnvironment) {
				got = append(got, strings.TrimPrefix(line, "kvit.yaml:"))
			}
			require.ElementsMatch(t, test.wants, got)
		})
	}
}
