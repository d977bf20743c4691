package microsoftuet_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/config/configtest"
	"kvit/destination/microsoftuet"
)

const configLines = "destinations:\n  uet:\n    kind: microsoft_uet\n    tag_id: \"187000000\"\n    token: ${UET}\n" // up to line 5

var environment = configtest.Environment{"UET": "example-token", "LINES": "example\ntoken"}

func TestConfigDefaults(t *testing.T) {
	t.Parallel()
	d := configtest.Destination(t, microsoftuet.Kind, configLines, environment)
	require.Equal(t, microsoftuet.Options{
		TagID: "187000000", Token: d.Settings.(microsoftuet.Options).Token, AdPurpose: "marketing", BaseURL: "https://capi.uet.microsoft.com/v1",
	}, d.Settings)
	require.Equal(t, "example-token", d.Settings.(microsoftuet.Options).Token.Reveal())
	require.Equal(t, "marketing", d.Consent)
}

func TestConfigMistakes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text  string
		wants []string
	}{
		"Empty":       {"destinations:\n  uet: {kind: microsoft_uet}\n", []string{"2: destinations.uet.tag_id: is missing", "2: destinations.uet.token: is missing"}},
		"TagNumber":   {strings.Replace(configLines, `"187000000"`, "187000000", 1), []string{"4: destinations.uet.tag_id: " + configtest.MustBeText}},
		"TagName":     {strings.Replace(configLines, "187", "UET-", 1), []string{"4: destinations.uet.tag_id: is not the id of a UET tag (at most 20 digits, in quotes)"}},
		"TagLong":     {strings.Replace(configLines, "187", "187000000187000", 1), []string{"4: destinations.uet.tag_id: is not the id of a UET tag (at most 20 digits, in quotes)"}},
		"TokenInFile": {strings.Replace(configLines, "${UET}", "example", 1), []string{"5: destinations.uet.token: " + configtest.NotInFile}},
		"TokenLines":  {strings.Replace(configLines, "${UET}", "${LINES}", 1), []string{"5: destinations.uet.token: contains a line break or another control character"}},
		"Purpose":     {configLines + "    ad_purpose: a b\n", []string{"6: destinations.uet.ad_purpose: is not a purpose (letters, digits and _.:- only, at most 63), nor none"}},
		"BaseURL":     {configLines + "    base_url: http://capi.uet.microsoft.com/v1\n", []string{"6: destinations.uet.base_url: must be https (http only for this machine itself)"}},
		"Unknown":     {configLines + "    pixel_id: x\n", []string{"6: destinations.uet.pixel_id: is not a known key"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.ElementsMatch(t, test.wants, configtest.Mistakes(t, microsoftuet.Kind, test.text, environment))
		})
	}
}
