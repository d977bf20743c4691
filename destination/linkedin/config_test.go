package linkedin_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/config/configtest"
	"kvit/destination/linkedin"
)

const configLines = "destinations:\n  li:\n    kind: linkedin\n    account_id: \"512345678\"\n    token: ${LINKEDIN}\n    rules: {order_paid: \"104012\", \"custom:quiz\": \"urn:lla:llaPartnerConversion:104013\"}\n" // up to line 6

var environment = configtest.Environment{"LINKEDIN": "example", "LINES": "a\nb"}

func TestConfigDefaults(t *testing.T) {
	t.Parallel()
	d := configtest.Destination(t, linkedin.Kind, configLines, environment)
	require.Equal(t, linkedin.Options{
		AccountID: "512345678", Token: d.Settings.(linkedin.Options).Token, Version: "202608", BaseURL: "https://api.linkedin.com/rest",
		Rules: map[string]string{"order_paid": "104012", "custom:quiz": "urn:lla:llaPartnerConversion:104013"},
	}, d.Settings)
	require.Equal(t, "example", d.Settings.(linkedin.Options).Token.Reveal())
	require.Equal(t, "marketing", d.Consent)
	require.InDelta(t, 5, d.Rate, 0) // below the 600 a minute and 500,000 a day that LinkedIn allows
}

func TestConfigMistakes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text  string
		wants []string
	}{
		"Empty": {"destinations:\n  li: {kind: linkedin}\n", []string{
			"2: destinations.li.account_id: is missing", "2: destinations.li.token: is missing", "2: destinations.li.rules: is missing",
		}},
		"Account":     {strings.Replace(configLines, `"5123`, `"urn:5123`, 1), []string{"4: destinations.li.account_id: is not the id of an ad account (digits, in quotes)"}},
		"TokenInFile": {strings.Replace(configLines, "${LINKEDIN}", "example", 1), []string{"5: destinations.li.token: " + configtest.NotInFile}},
		"TokenLines":  {strings.Replace(configLines, "LINKEDIN", "LINES", 1), []string{"5: destinations.li.token: contains a line break or another control character"}},
		"Rule":        {strings.Replace(configLines, `"104012"`, "PURCHASE", 1), []string{"6: destinations.li.rules.order_paid: is not the id of a conversion rule (digits, in quotes)"}},
		"Event":       {strings.Replace(configLines, "order_paid", "order_bought", 1), []string{"6: destinations.li.rules.order_bought: is not the name of an event"}},
		"Version":     {configLines + "    version: \"202613\"\n", []string{"7: destinations.li.version: is not a version such as 202608 (in quotes)"}},
		"BaseURL":     {configLines + "    base_url: http://api.linkedin.com\n", []string{"7: destinations.li.base_url: must be https (http only for this machine itself)"}},
		"Unknown":     {configLines + "    partner_id: x\n", []string{"7: destinations.li.partner_id: is not a known key"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.ElementsMatch(t, test.wants, configtest.Mistakes(t, linkedin.Kind, test.text, environment))
		})
	}
}
