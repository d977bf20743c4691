package tiktok_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/config"
	"kvit/config/configtest"
	"kvit/destination/tiktok"
)

const configLines = "destinations:\n  ads:\n    kind: tiktok\n    event_source_id: CABC123\n    access_token: ${TIKTOK}\n" // up to line 5

var environment = configtest.Environment{"TIKTOK": "example-token", "BLANK": "a b"}

func TestConfigDefaults(t *testing.T) {
	t.Parallel()
	d := configtest.Destination(t, tiktok.Kind, configLines, environment)
	settings := d.Settings.(tiktok.Options)
	require.Equal(t, "example-token", settings.AccessToken.Reveal())
	settings.AccessToken = config.Secret{}
	require.Equal(t, tiktok.Options{
		EventSource: "web", EventSourceID: "CABC123", APIVersion: "v1.3", BaseURL: "https://business-api.tiktok.com",
	}, settings)
}

func TestConfigMistakes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ text, want string }{
		"NoSource":    {strings.Replace(configLines, "event_source_id", "# event_source_id", 1), "ads.event_source_id: is missing"},
		"SourceID":    {strings.Replace(configLines, "CABC123", "a/b", 1), "4: destinations.ads.event_source_id: is not the code of a pixel"},
		"NoToken":     {strings.Replace(configLines, "access_token", "# access_token", 1), "ads.access_token: is missing"},
		"TokenInFile": {strings.Replace(configLines, "${TIKTOK}", "abc", 1), "5: destinations.ads.access_token: " + configtest.NotInFile},
		"TokenBlank":  {strings.Replace(configLines, "TIKTOK", "BLANK", 1), "5: destinations.ads.access_token: contains a blank"},
		"Source":      {configLines + "    event_source: website\n", "6: destinations.ads.event_source: must be web, app, offline or crm"},
		"Version":     {configLines + "    api_version: \"1.3\"\n", "ads.api_version: is not a version such as v1.3"},
		"TestCode":    {configLines + "    test_event_code: a b\n", "ads.test_event_code: is not a test code"},
		"LimitedUse":  {configLines + "    limited_data_use: LDU\n", "ads.limited_data_use: must be true or false"},
		"BaseURL":     {configLines + "    base_url: ftp://example.com\n", "ads.base_url: is not an absolute https URL"},
		"PixelCode":   {configLines + "    pixel_code: CABC123\n", "ads.pixel_code: is not a known key"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Contains(t, strings.Join(configtest.Mistakes(t, tiktok.Kind, test.text, environment), "\n"), test.want)
		})
	}
}
