package config

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const matomo = "destinations:\n  ma:\n    kind: matomo\n    base_url: https://matomo.example.com/stats/\n    site_id: 3\n    token_auth: ${MATOMO}\n"

func matomoEnvironment(name string) string {
	return map[string]string{"MATOMO": "0123456789abcdef", "DATABASE_URL": "postgres://db.example.com/shop"}[name]
}

func TestMatomoDefaults(t *testing.T) {
	t.Parallel()
	cfg, err := Parse("kvit.yaml", []byte(matomo), matomoEnvironment, Kinds)
	require.NoError(t, err)
	settings := cfg.Destinations[0].Settings.(*Matomo)
	require.Equal(t, "0123456789abcdef", settings.TokenAuth.Reveal())
	settings.TokenAuth = Secret{}
	require.Equal(t, &Matomo{BaseURL: "https://matomo.example.com/stats", SiteID: 3, UserID: "fallback"}, settings)
	require.Equal(t, "analytics", cfg.Destinations[0].Consent)
}

func TestMatomoMistakes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ text, want string }{
		"NoURL":       {"destinations:\n  ma:\n    kind: matomo\n", "destinations.ma.base_url: is missing"},
		"NoSite":      {"destinations:\n  ma:\n    kind: matomo\n", "destinations.ma.site_id: is missing"},
		"NoToken":     {"destinations:\n  ma:\n    kind: matomo\n", "destinations.ma.token_auth: is missing"},
		"HTTP":        {strings.Replace(matomo, "https:", "http:", 1), "destinations.ma.base_url: must be https (http only for this machine itself)"},
		"Script":      {strings.Replace(matomo, "/stats/", "/matomo.php", 1), "destinations.ma.base_url: must not name matomo.php: kvit adds it"},
		"Query":       {strings.Replace(matomo, "/stats/", "/?a", 1), "destinations.ma.base_url: must not contain a query (?)"},
		"Site":        {strings.Replace(matomo, "site_id: 3", "site_id: 0", 1), "destinations.ma.site_id: must be from 1 to 2147483647"},
		"SiteIsText":  {strings.Replace(matomo, "site_id: 3", "site_id: '3'", 1), "destinations.ma.site_id: must be a whole number, without quotes"},
		"TokenInFile": {strings.Replace(matomo, "${MATOMO}", "abc", 1), "destinations.ma.token_auth: " + notInFile},
		"UserID":      {matomo + "    user_id: sometimes\n", "destinations.ma.user_id: must be fallback, always or never"},
		"Option":      {matomo + "    repeated_order_is_400: maybe\n", "destinations.ma.repeated_order_is_400: must be true or false"},
		"Unknown":     {matomo + "    site: 3\n", "destinations.ma.site: is not a known key"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse("kvit.yaml", []byte(test.text), matomoEnvironment, Kinds)
			require.ErrorContains(t, err, test.want)
		})
	}
}
