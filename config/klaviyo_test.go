package config

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const klaviyo = "destinations:\n  kl:\n    kind: klaviyo\n    api_key: ${KLAVIYO}\n" // up to line 4

func klaviyoEnvironment(name string) string {
	return map[string]string{"KLAVIYO": "pk_example", "LINES": "pk\nexample", "DATABASE_URL": "postgres://db.example.com/shop"}[name]
}

func TestKlaviyoDefaults(t *testing.T) {
	t.Parallel()
	cfg, err := Parse("kvit.yaml", []byte(klaviyo), klaviyoEnvironment, Kinds)
	require.NoError(t, err)
	settings := cfg.Destinations[0].Settings.(*Klaviyo)
	require.Equal(t, "pk_example", settings.APIKey.Reveal())
	settings.APIKey = Secret{}
	require.Equal(t, &Klaviyo{Revision: "2026-07-15", BaseURL: "https://a.klaviyo.com"}, settings)
	require.InDelta(t, 50, cfg.Destinations[0].Rate, 0)
}

func TestKlaviyoMistakes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ text, want string }{
		"NoKey":     {"destinations:\n  kl:\n    kind: klaviyo\n", "destinations.kl.api_key: is missing"},
		"KeyInFile": {strings.Replace(klaviyo, "${KLAVIYO}", "pk_x", 1), "destinations.kl.api_key: " + notInFile},
		"KeyLines":  {strings.Replace(klaviyo, "KLAVIYO", "LINES", 1), "destinations.kl.api_key: "},
		"Revision":  {klaviyo + "    revision: latest\n", "destinations.kl.revision: is not a revision such as 2026-07-15"},
		"List":      {klaviyo + "    list_id: a/b\n", "destinations.kl.list_id: is not the id of a list at Klaviyo, nor none"},
		"BaseURL":   {klaviyo + "    base_url: http://a.klaviyo.com\n", "destinations.kl.base_url: must be https (http only for this machine itself)"},
		"Unknown":   {klaviyo + "    list: x\n", "destinations.kl.list: is not a known key"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse("kvit.yaml", []byte(test.text), klaviyoEnvironment, Kinds)
			require.ErrorContains(t, err, test.want)
		})
	}
}
