package matomo_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/config"
	"kvit/config/configtest"
	"kvit/destination/matomo"
)

const configLines = "destinations:\n  ma:\n    kind: matomo\n    base_url: https://matomo.example.com/stats/\n    site_id: 3\n    token_auth: ${MATOMO}\n"

var environment = configtest.Environment{"MATOMO": "0123456789abcdef"}

func TestConfigDefaults(t *testing.T) {
	t.Parallel()
	d := configtest.Destination(t, matomo.Kind, configLines, environment)
	settings := d.Settings.(matomo.Options)
	require.Equal(t, "0123456789abcdef", settings.TokenAuth.Reveal())
	settings.TokenAuth = config.Secret{}
	require.Equal(t, matomo.Options{BaseURL: "https://matomo.example.com/stats", SiteID: 3, UserID: "fallback"}, settings)
	require.Equal(t, "analytics", d.Consent)
}

func TestConfigMistakes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ text, want string }{
		"NoURL":       {"destinations:\n  ma:\n    kind: matomo\n", "destinations.ma.base_url: is missing"},
		"NoSite":      {"destinations:\n  ma:\n    kind: matomo\n", "destinations.ma.site_id: is missing"},
		"NoToken":     {"destinations:\n  ma:\n    kind: matomo\n", "destinations.ma.token_auth: is missing"},
		"HTTP":        {strings.Replace(configLines, "https:", "http:", 1), "destinations.ma.base_url: must be https (http only for this machine itself)"},
		"Script":      {strings.Replace(configLines, "/stats/", "/matomo.php", 1), "destinations.ma.base_url: must not name matomo.php: kvit adds it"},
		"Query":       {strings.Replace(configLines, "/stats/", "/?a", 1), "destinations.ma.base_url: must not contain a query (?)"},
		"Site":        {strings.Replace(configLines, "site_id: 3", "site_id: 0", 1), "destinations.ma.site_id: must be from 1 to 2147483647"},
		"SiteIsText":  {strings.Replace(configLines, "site_id: 3", "site_id: '3'", 1), "destinations.ma.site_id: must be a whole number, without quotes"},
		"TokenInFile": {strings.Replace(configLines, "${MATOMO}", "abc", 1), "destinations.ma.token_auth: " + configtest.NotInFile},
		"UserID":      {configLines + "    user_id: sometimes\n", "destinations.ma.user_id: must be fallback, always or never"},
		"Option":      {configLines + "    repeated_order_is_400: maybe\n", "destinations.ma.repeated_order_is_400: must be true or false"},
		"Unknown":     {configLines + "    site: 3\n", "destinations.ma.site: is not a known key"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Contains(t, strings.Join(configtest.Mistakes(t, matomo.Kind, test.text, environment), "\n"), test.want)
		})
	}
}
