package meta_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/config"
	"kvit/config/configtest"
	"kvit/destination/meta"
)

const configLines = "destinations:\n  ads:\n    kind: meta\n    dataset_id: \"1234567890\"\n    access_token: ${META}\n" // up to line 5

var environment = configtest.Environment{"META": "example-token"}

func TestConfigDefaults(t *testing.T) {
	t.Parallel()
	d := configtest.Destination(t, meta.Kind, configLines, environment)
	settings := d.Settings.(meta.Options)
	require.Equal(t, "example-token", settings.AccessToken.Reveal())
	settings.AccessToken = config.Secret{}
	require.Equal(t, meta.Options{
		DatasetID: "1234567890", TokenIn: "body", APIVersion: "v25.0", ActionSource: "website", BaseURL: "https://graph.facebook.com",
	}, settings)
}

func TestConfigMistakes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ text, want string }{
		"NoDataset":    {strings.Replace(configLines, "dataset_id", "# dataset_id", 1), "ads.dataset_id: is missing"},
		"Dataset":      {strings.Replace(configLines, "1234567890", "1/2", 1), "4: destinations.ads.dataset_id: is not the number of a dataset"},
		"DatasetBare":  {strings.Replace(configLines, `"1234567890"`, "1234567890", 1), "ads.dataset_id: " + configtest.MustBeText},
		"NoToken":      {strings.Replace(configLines, "access_token", "# access_token", 1), "ads.access_token: is missing"},
		"TokenInFile":  {strings.Replace(configLines, "${META}", "abc", 1), "5: destinations.ads.access_token: " + configtest.NotInFile},
		"TokenIn":      {configLines + "    token_in: header\n", "6: destinations.ads.token_in: must be body or query"},
		"Version":      {configLines + "    api_version: v25\n", "ads.api_version: is not a version such as v25.0"},
		"ActionSource": {configLines + "    action_source: shop\n", "ads.action_source: must be website, app, "},
		"TestCode":     {configLines + "    test_event_code: a b\n", "ads.test_event_code: is not a test code"},
		"LimitedUse":   {configLines + "    limited_data_use: LDU\n", "ads.limited_data_use: must be true or false"},
		"BaseURL":      {configLines + "    base_url: http://graph.example.com\n", "ads.base_url: must be https (http only for this machine itself)"},
		"PixelID":      {configLines + "    pixel_id: \"1\"\n", "ads.pixel_id: is not a known key"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Contains(t, strings.Join(configtest.Mistakes(t, meta.Kind, test.text, environment), "\n"), test.want)
		})
	}
}
