package config

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const meta = "destinations:\n  ads:\n    kind: meta\n    dataset_id: \"1234567890\"\n    access_token: ${META}\n" // up to line 5

func metaEnvironment(name string) string {
	return map[string]string{"META": "example-token", "DATABASE_URL": "postgres://db.example.com/shop"}[name]
}

func TestMetaDefaults(t *testing.T) {
	t.Parallel()
	cfg, err := Parse("kvit.yaml", []byte(meta), metaEnvironment, Kinds)
	require.NoError(t, err)
	settings := cfg.Destinations[0].Settings.(*Meta)
	require.Equal(t, "example-token", settings.AccessToken.Reveal())
	settings.AccessToken = Secret{}
	require.Equal(t, &Meta{
		DatasetID: "1234567890", TokenIn: "body", APIVersion: "v25.0", ActionSource: "website", BaseURL: "https://graph.facebook.com",
	}, settings)
}

func TestMetaMistakes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ text, want string }{
		"NoDataset":    {strings.Replace(meta, "dataset_id", "# dataset_id", 1), "ads.dataset_id: is missing"},
		"Dataset":      {strings.Replace(meta, "1234567890", "1/2", 1), "kvit.yaml:4: destinations.ads.dataset_id: is not the number of a dataset"},
		"DatasetBare":  {strings.Replace(meta, `"1234567890"`, "1234567890", 1), "ads.dataset_id: " + mustBeText},
		"NoToken":      {strings.Replace(meta, "access_token", "# access_token", 1), "ads.access_token: is missing"},
		"TokenInFile":  {strings.Replace(meta, "${META}", "abc", 1), "kvit.yaml:5: destinations.ads.access_token: " + notInFile},
		"TokenIn":      {meta + "    token_in: header\n", "kvit.yaml:6: destinations.ads.token_in: must be body or query"},
		"Version":      {meta + "    api_version: v25\n", "ads.api_version: is not a version such as v25.0"},
		"ActionSource": {meta + "    action_source: shop\n", "ads.action_source: must be website, app, "},
		"TestCode":     {meta + "    test_event_code: a b\n", "ads.test_event_code: is not a test code"},
		"LimitedUse":   {meta + "    limited_data_use: LDU\n", "ads.limited_data_use: must be true or false"},
		"BaseURL":      {meta + "    base_url: http://graph.example.com\n", "ads.base_url: must be https (http only for this machine itself)"},
		"PixelID":      {meta + "    pixel_id: \"1\"\n", "ads.pixel_id: is not a known key"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse("kvit.yaml", []byte(test.text), metaEnvironment, Kinds)
			require.ErrorContains(t, err, test.want)
		})
	}
}
