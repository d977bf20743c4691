package klaviyo_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/config"
	"kvit/config/configtest"
	"kvit/destination/klaviyo"
)

const configLines = "destinations:\n  kl:\n    kind: klaviyo\n    api_key: ${KLAVIYO}\n" // up to line 4

var environment = configtest.Environment{"KLAVIYO": "pk_example", "LINES": "pk\nexample"}

func TestConfigDefaults(t *testing.T) {
	t.Parallel()
	d := configtest.Destination(t, klaviyo.Kind, configLines, environment)
	settings := d.Settings.(klaviyo.Options)
	require.Equal(t, "pk_example", settings.APIKey.Reveal())
	settings.APIKey = config.Secret{}
	require.Equal(t, klaviyo.Options{Revision: "2026-07-15", BaseURL: "https://a.klaviyo.com"}, settings)
	require.InDelta(t, 50, d.Rate, 0)
}

func TestConfigMistakes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ text, want string }{
		"NoKey":     {"destinations:\n  kl:\n    kind: klaviyo\n", "destinations.kl.api_key: is missing"},
		"KeyInFile": {strings.Replace(configLines, "${KLAVIYO}", "pk_x", 1), "destinations.kl.api_key: " + configtest.NotInFile},
		"KeyLines":  {strings.Replace(configLines, "KLAVIYO", "LINES", 1), "destinations.kl.api_key: "},
		"Revision":  {configLines + "    revision: latest\n", "destinations.kl.revision: is not a revision such as 2026-07-15"},
		"List":      {configLines + "    list_id: a/b\n", "destinations.kl.list_id: is not the id of a list at Klaviyo, nor none"},
		"BaseURL":   {configLines + "    base_url: http://a.klaviyo.com\n", "destinations.kl.base_url: must be https (http only for this machine itself)"},
		"Unknown":   {configLines + "    list: x\n", "destinations.kl.list: is not a known key"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Contains(t, strings.Join(configtest.Mistakes(t, klaviyo.Kind, test.text, environment), "\n"), test.want)
		})
	}
}
