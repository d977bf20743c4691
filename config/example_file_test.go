package config

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const exampleFile = "../kvit.example.yaml"

// exampleEnvironment provides the variables that the example names.
func exampleEnvironment(name string) string {
	return map[string]string{
		"DATABASE_URL":        "postgres://kvit:example@db.example.com/shop",
		"SPREAD_PUBLIC_KEY":   "example-public-key",
		"SPREAD_PRIVATE_KEY":  "example-private-key",
		"MATOMO_TOKEN":        "0123456789abcdef0123456789abcdef",
		"KLAVIYO_API_KEY":     "pk_example",
		"PINTEREST_TOKEN":     "pina_example",
		"GA4_API_SECRET":      "example-api-secret",
		"GA4_SERVICE_ACCOUNT": serviceAccountKey,
		"MICROSOFT_UET_TOKEN": "example-token",
		"META_TOKEN":          "example-meta-token",
		"TIKTOK_TOKEN":        "example-tiktok-token",
		"RETENTION_HASH_KEY":  "0123456789abcdef0123456789abcdef",
		"CRM_SECRET":          signingKey,
		"CRM_PREVIOUS_SECRET": otherKey,
	}[name]
}

func TestExampleFile(t *testing.T) {
	t.Parallel()
	cfg, err := Load(exampleFile, exampleEnvironment, Kinds)
	require.NoError(t, err)
	var kinds []string
	for _, d := range cfg.Destinations {
		kinds = append(kinds, d.Kind)
	}
	require.ElementsMatch(t, kindNames(Kinds), kinds, "the example has one destination of each kind")
	require.Equal(t, "public.orders", cfg.Shop.Orders.Table)
	var tables []string
	for _, p := range cfg.Retention.Policy {
		tables = append(tables, p.Table)
	}
	require.Equal(t, []string{"public.orders", "public.order_lines", "public.line_photos", "public.payments", "public.products"}, tables)
}

// TestExampleFileShowsEveryKey asks the parser which keys it knows, once with the file as it stands and once
// with the keys that it shows in comments.
func TestExampleFileShowsEveryKey(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(exampleFile)
	require.NoError(t, err)
	// Keys shown as comments are followed by a value and stand deeper than one blank after the #.
	commented := regexp.MustCompile(`(?m)^( +)# ( *)([a-z_]+:(?: (?:https:|\$\{).*)?)$`)
	full := commented.ReplaceAllString(string(data), "$1$2$3")
	require.NotEqual(t, string(data), full)

	r := newReader(exampleEnvironment)
	r.config([]byte(full), Kinds, nil)
	require.Empty(t, r.problems)

	const tableList = "retention.policy["
	shown := map[string]bool{}
	for key := range r.lines {
		shown[general(key, tableList)] = true
	}
	for key := range r.asked {
		// The keys that all kinds share are explained once, at the first destination.
		other := ofAnyDestination.ReplaceAllString(key, "destinations.spread.")
		require.True(t, shown[general(key, tableList)] || shown[other], "the example does not show %s", key)
	}
}

var ofAnyDestination = regexp.MustCompile(`^destinations\.[a-z0-9_-]+\.`)

// general makes the keys of all tables of the policy those of one.
func general(key, list string) string {
	rest, ok := strings.CutPrefix(key, list)
	if !ok {
		return key
	}
	_, name, _ := strings.Cut(rest, "].")
	return list + "]." + name
}
