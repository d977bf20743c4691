package pinterest_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/config/configtest"
	"kvit/destination/pinterest"
)

const configLines = "destinations:\n  pin:\n    kind: pinterest\n    ad_account_id: \"549755885175\"\n    token: ${PINTEREST}\n" // up to line 5

var environment = configtest.Environment{"PINTEREST": "pina_example", "LINES": "pina\nexample"}

func TestConfigDefaults(t *testing.T) {
	t.Parallel()
	d := configtest.Destination(t, pinterest.Kind, configLines, environment)
	require.Equal(t, pinterest.Options{
		AdAccountID: "549755885175", Token: d.Settings.(pinterest.Options).Token, BaseURL: "https://api.pinterest.com/v5",
	}, d.Settings)
	require.Equal(t, "pina_example", d.Settings.(pinterest.Options).Token.Reveal())
	require.Equal(t, "marketing", d.Consent)
	require.InDelta(t, 80, d.Rate, 0) // below the 5,000 a minute that Pinterest allows
}

func TestConfigMistakes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text  string
		wants []string
	}{
		"Empty":         {"destinations:\n  pin: {kind: pinterest}\n", []string{"2: destinations.pin.ad_account_id: is missing", "2: destinations.pin.token: is missing"}},
		"AccountNumber": {strings.Replace(configLines, `"549755885175"`, "549755885175", 1), []string{"4: destinations.pin.ad_account_id: " + configtest.MustBeText}},
		"AccountName":   {strings.Replace(configLines, "5497", "act_", 1), []string{"4: destinations.pin.ad_account_id: is not the id of an ad account (at most 18 digits, in quotes)"}},
		"AccountLonger": {strings.Replace(configLines, "5497", "5497549754975", 1), []string{"4: destinations.pin.ad_account_id: is not the id of an ad account (at most 18 digits, in quotes)"}},
		"TokenInFile":   {strings.Replace(configLines, "${PINTEREST}", "pina_example", 1), []string{"5: destinations.pin.token: " + configtest.NotInFile}},
		"TokenLines":    {strings.Replace(configLines, "PINTEREST", "LINES", 1), []string{"5: destinations.pin.token: contains a line break or another control character"}},
		"BaseURL":       {configLines + "    base_url: http://api.pinterest.com/v5\n", []string{"6: destinations.pin.base_url: must be https (http only for this machine itself)"}},
		"Unknown":       {configLines + "    pixel_id: x\n", []string{"6: destinations.pin.pixel_id: is not a known key"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.ElementsMatch(t, test.wants, configtest.Mistakes(t, pinterest.Kind, test.text, environment))
		})
	}
}
