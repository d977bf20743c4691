package config

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const microsoftUET = "destinations:\n  uet:\n    kind: microsoft_uet\n    tag_id: \"187000000\"\n    token: ${UET}\n" // up to line 5

func uetEnvironment(name string) string {
	return map[string]string{"UET": "example-token", "LINES": "example\ntoken", "DATABASE_URL": "postgres://db.example.com/shop"}[name]
}

func TestMicrosoftUETDefaults(t *testing.T) {
	t.Parallel()
	cfg, err := Parse("kvit.yaml", []byte(microsoftUET), uetEnvironment, Kinds)
	require.NoError(t, err)
	d := cfg.Destinations[0]
	require.Equal(t, &MicrosoftUET{
		TagID: "187000000", Token: d.Settings.(*MicrosoftUET).Token, AdPurpose: "marketing", BaseURL: "https://capi.uet.microsoft.com/v1",
	}, d.Settings)
	require.Equal(t, "example-token", d.Settings.(*MicrosoftUET).Token.Reveal())
	require.Equal(t, "marketing", d.Consent)
}

func TestMicrosoftUETMistakes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text  string
		wants []string
	}{
		"Empty":       {"destinations:\n  uet: {kind: microsoft_uet}\n", []string{"2: destinations.uet.tag_id: is missing", "2: destinations.uet.token: is missing"}},
		"TagNumber":   {strings.Replace(microsoftUET, `"187000000"`, "187000000", 1), []string{"4: destinations.uet.tag_id: " + mustBeText}},
		"TagName":     {strings.Replace(microsoftUET, "187", "UET-", 1), []string{"4: destinations.uet.tag_id: is not the id of a UET tag (at most 20 digits, in quotes)"}},
		"TagLong":     {strings.Replace(microsoftUET, "187", "187000000187000", 1), []string{"4: destinations.uet.tag_id: is not the id of a UET tag (at most 20 digits, in quotes)"}},
		"TokenInFile": {strings.Replace(microsoftUET, "${UET}", "example", 1), []string{"5: destinations.uet.token: " + notInFile}},
		"TokenLines":  {strings.Replace(microsoftUET, "${UET}", "${LINES}", 1), []string{"5: destinations.uet.token: contains a line break or another control character"}},
		"Purpose":     {microsoftUET + "    ad_purpose: a b\n", []string{"6: destinations.uet.ad_purpose: is not a purpose (letters, digits and _.:- only, at most 63), nor none"}},
		"BaseURL":     {microsoftUET + "    base_url: http://capi.uet.microsoft.com/v1\n", []string{"6: destinations.uet.base_url: must be https (http only for this machine itself)"}},
		"Unknown":     {microsoftUET + "    pixel_id: x\n", []string{"6: destinations.uet.pixel_id: is not a known key"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, line := range mistakes(t, test.text, uetEnvironment) {
				got = append(got, strings.TrimPrefix(line, "kvit.yaml:"))
			}
			require.ElementsMatch(t, test.wants, got)
		})
	}
}
