package config

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const tiktok = "destinations:\n  ads:\n    kind: tiktok\n    event_source_id: CABC123\n    access_token: ${TIKTOK}\n" // up to line 5

func tiktokEnvironment(name string) string {
	return map[string]string{"TIKTOK": "example-token", "BLANK": "a b", "DATABASE_URL": "postgres://db.example.com/shop"}[name]
}

func TestTikTokDefaults(t *testing.T) {
	t.Parallel()
	cfg, err := Parse("kvit.yaml", []byte(tiktok), tiktokEnvironment, Kinds)
	require.NoError(t, err)
	settings := cfg.Destinations[0].Settings.(*TikTok)
	require.Equal(t, "example-token", settings.AccessToken.Reveal())
	settings.AccessToken = Secret{}
	require.Equal(t, &TikTok{
		EventSource: "web", EventSourceID: "CABC123", APIVersion: "v1.3", BaseURL: "https://business-api.tiktok.com",
	}, settings)
}

func TestTikTokMistakes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ text, want string }{
		"NoSource":    {strings.Replace(tiktok, "event_source_id", "# event_source_id", 1), "ads.event_source_id: is missing"},
		"SourceID":    {strings.Replace(tiktok, "CABC123", "a/b", 1), "kvit.yaml:4: destinations.ads.event_source_id: is not the code of a pixel"},
		"NoToken":     {strings.Replace(tiktok, "access_token", "# access_token", 1), "ads.access_token: is missing"},
		"TokenInFile": {strings.Replace(tiktok, "${TIKTOK}", "abc", 1), "kvit.yaml:5: destinations.ads.access_token: " + notInFile},
		"TokenBlank":  {strings.Replace(tiktok, "TIKTOK", "BLANK", 1), "kvit.yaml:5: destinations.ads.access_token: contains a blank"},
		"Source":      {tiktok + "    event_source: website\n", "kvit.yaml:6: destinations.ads.event_source: must be web, app, offline or crm"},
		"Version":     {tiktok + "    api_version: \"1.3\"\n", "ads.api_version: is not a version such as v1.3"},
		"TestCode":    {tiktok + "    test_event_code: a b\n", "ads.test_event_code: is not a test code"},
		"LimitedUse":  {tiktok + "    limited_data_use: LDU\n", "ads.limited_data_use: must be true or false"},
		"BaseURL":     {tiktok + "    base_url: ftp://example.com\n", "ads.base_url: is not an absolute https URL"},
		"PixelCode":   {tiktok + "    pixel_code: CABC123\n", "ads.pixel_code: is not a known key"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse("kvit.yaml", []byte(test.text), tiktokEnvironment, Kinds)
			require.ErrorContains(t, err, test.want)
		})
	}
}
