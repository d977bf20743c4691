package main

import (
	"crypto/ed25519"
	"encoding/pem"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"

	"kvit/config"
	"kvit/destination/ga4/ga4test"
)

const exampleFile = "../../kvit.example.yaml"

// sftpKey is a private key as ssh-keygen writes it, that opens nothing.
var sftpKey = func() string {
	block, err := ssh.MarshalPrivateKey(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)), "")
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(block))
}()

// exampleEnvironment provides the variables that the example names.
func exampleEnvironment(name string) string {
	return map[string]string{
		"DATABASE_URL":          "postgres://kvit:example@db.example.com/shop",
		"DATABASE_READ_URL":     "postgres://kvit:example@standby.example.com/shop",
		"SPREAD_PUBLIC_KEY":     "example-public-key",
		"SPREAD_PRIVATE_KEY":    "example-private-key",
		"MATOMO_TOKEN":          "0123456789abcdef0123456789abcdef",
		"KLAVIYO_API_KEY":       "pk_example",
		"PINTEREST_TOKEN":       "pina_example",
		"GA4_API_SECRET":        "example-api-secret",
		"GA4_SERVICE_ACCOUNT":   ga4test.Credentials("https://oauth2.example.com"),
		"GOOGLE_ADS_SECRET":     "GOCSPX-example",
		"GOOGLE_ADS_REFRESH":    "1//example",
		"MICROSOFT_UET_TOKEN":   "example-token",
		"META_TOKEN":            "example-meta-token",
		"LINKEDIN_TOKEN":        "example-linkedin-token",
		"REDDIT_TOKEN":          "example-reddit-token",
		"SNAP_TOKEN":            "example-snap-token",
		"TIKTOK_TOKEN":          "example-tiktok-token",
		"LOYALTY_SECRET":        "example-secret",
		"TRUSTPILOT_KEY":        "example-api-key",
		"TRUSTPILOT_SECRET":     "example-api-secret",
		"RETENTION_HASH_KEY":    "0123456789abcdef0123456789abcdef",
		"CRM_SECRET":            secret,
		"BC_CLIENT_SECRET":      "example-client-secret",
		"BC_NOTIFICATION_STATE": "example-state-of-notifications-0123456789",
		"NAV_ACCESS_KEY":        "example-access-key",
		"UNICONTA_PASSWORD":     "example-password",
		"LEDGER_URL":            "mariadb://kvit:example@erp.example.com/ledger",
		"C5_URL":                "sqlserver://kvit:example@c5.example.com:1433/C5",
		"SFTP_KEY":              sftpKey,
		"SFTP_PASSWORD":         "example-password",
		"ERP_RECEIPTS_TOKEN":    "0123456789abcdef0123456789abcdef",
		"TLS_CERT_FILE":         "/etc/kvit/tls.crt",
		"TLS_KEY_FILE":          "/etc/kvit/tls.key",
		"OIDC_CLIENT_ID":        "kvit",
		"OIDC_CLIENT_SECRET":    "example-client-secret",
		"OIDC_ROLES_CLAIM":      "groups",
		"OIDC_NAME_CLAIM":       "email",
		"STATUS_TOKEN":          "0123456789abcdef0123456789abcdef",
		"ANNA_PASSWORD_HASH":    "$2a$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW",
		"JON_PASSWORD_HASH":     "$2a$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW",
		"CRM_PREVIOUS_SECRET":   "whsec_YW5vdGhlci1leGFtcGxlLXNpZ25pbmcta2V5LTAwMQ==",
		"VISMA_CLIENT_SECRET":   "example-visma-secret",
		"ECONOMIC_APP_SECRET":   "example-app-secret",
		"ECONOMIC_GRANT":        "example-grant",
		"ALARM_SECRET":          secret,
		"ALARM_PREVIOUS_SECRET": "whsec_YW5vdGhlci1leGFtcGxlLXNpZ25pbmcta2V5LTAwMQ==",
		"SLACK_HOOK_URL":        "https://hooks.slack.example/services/T0/B0/x",
		"TEAMS_HOOK_URL":        "https://flows.example.com/workflows/x?sig=y",
		"MAIL_CA_FILE":          "/etc/kvit/mail-ca.pem",
		"MAIL_PASSWORD":         "example-password",
		"FORTNOX_CLIENT_SECRET": "example-fortnox-secret",
	}[name]
}

func TestExampleFile(t *testing.T) {
	t.Parallel()
	cfg, err := config.Load(exampleFile, exampleEnvironment, allKinds())
	require.NoError(t, err)
	var all, shown []string
	for _, k := range kinds {
		all = append(all, k.Name)
	}
	for _, d := range cfg.Destinations {
		shown = append(shown, d.Kind)
	}
	require.ElementsMatch(t, all, shown, "the example has one destination of each kind")
	all, shown = nil, nil
	for _, k := range erpKinds {
		all = append(all, k.Name)
	}
	for _, e := range cfg.ERPs {
		shown = append(shown, e.Kind)
	}
	require.ElementsMatch(t, all, shown, "and one ERP of each kind")
	require.Equal(t, "public.orders", cfg.Shop.Orders.Table)
	var tables []string
	for _, p := range cfg.Retention.Policy {
		tables = append(tables, p.Table)
	}
	require.Equal(t, []string{"public.orders", "public.order_lines", "public.line_photos", "public.payments", "public.addresses", "public.addresses", "public.products", "public.countries", "public.shipping_methods"}, tables)
}

// TestExampleFileShowsEveryKey asks the parser which keys it knows, once with the file as it stands and once
// with the keys that it shows in comments.
func TestExampleFileShowsEveryKey(t *testing.T) {
	t.Parallel()
	full := fullExample(t)
	asked, has, err := config.Keys(exampleFile, []byte(full), exampleEnvironment, allKinds())
	require.NoError(t, err)
	require.NotEmpty(t, asked)

	shown := map[string]bool{}
	for _, key := range has {
		shown[general(key)] = true
	}
	for _, key := range asked {
		// The keys that all kinds share are explained once, at the first destination.
		other := ofAnyDestination.ReplaceAllString(key, "destinations.spread.")
		another := ofAnyERP.ReplaceAllString(key, "erp.bc.")
		beside := strings.Replace(general(key), ".requests.any.", ".", 1) // what stands there holds for each request
		channel := ofAnyChannel.ReplaceAllString(key, "notify.hook.")
		require.True(t, shown[general(key)] || shown[other] || shown[another] || shown[beside] || shown[channel], "the example does not show %s", key)
	}
}

// fullExample is the example with the keys that it shows in comments.
func fullExample(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(exampleFile)
	require.NoError(t, err)
	// Keys shown as comments are followed by a value and stand deeper than one blank after the #.
	commented := regexp.MustCompile(`(?m)^( +)# ( *)([a-z_-]+:(?: (?:https:|\$\{|\[|operate$|read$).*)?)$`)
	full := commented.ReplaceAllString(string(data), "$1$2$3")
	require.NotEqual(t, string(data), full)
	return full
}

var ofAnyDestination = regexp.MustCompile(`^destinations\.[a-z0-9_-]+\.`)

var ofAnyChannel = regexp.MustCompile(`^notify\.[a-z]+\.`)

var ofAnyERP = regexp.MustCompile(`^erp\.[a-z0-9_-]+\.`)

// listed is a place in a list; a way of a table has the keys that the table may have itself.
var listed = regexp.MustCompile(`(\.ways)?\[[0-9]+\]`)

// ofAnyRequest is the request of one event at a destination of the kind http.
var ofAnyRequest = regexp.MustCompile(`^(destinations\.[a-z0-9_-]+\.requests)\.[a-z_]+`)

var ofAnyRule = regexp.MustCompile(`^retention\.tables\.[a-z0-9_]+\.`)

// general makes the keys of all tables of the policy, and of their ways, those of one, and likewise of all rules.
func general(key string) string {
	key = strings.ReplaceAll(listed.ReplaceAllString(key, "[]"), "[][]", "[]")
	key = ofAnyRequest.ReplaceAllString(key, "$1.any")
	return ofAnyRule.ReplaceAllString(key, "retention.tables.any.")
}
