package main

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/config"
	"kvit/destination"
	"kvit/destination/ga4/ga4test"
	"kvit/destination/googleads/googleadstest"
	"kvit/destination/klaviyo/klaviyotest"
	"kvit/destination/linkedin/linkedintest"
	"kvit/destination/matomo/matomotest"
	"kvit/destination/meta/metatest"
	"kvit/destination/microsoftuet/microsoftuettest"
	"kvit/destination/pinterest/pinteresttest"
	"kvit/destination/reddit/reddittest"
	"kvit/destination/snap/snaptest"
	"kvit/destination/snowplow/snowplowtest"
	"kvit/destination/spread/spreadtest"
	"kvit/destination/tiktok/tiktoktest"
	"kvit/destination/trustpilot/trustpilottest"
	"kvit/destination/webhook/webhooktest"
)

// provider is a kind of destination: how it is configured with no more than it requires, and a
// stand-in that takes what an installation's secret signs.
type provider struct {
	kind    string
	options string // beside the address, which is %URL% in them
	address string // the key of the address
	path    string // what the address has behind the host
	event   string // what it gets of an order; empty: order_paid
	hashes  bool   // e-mail addresses are sent as hashes, or not at all
	fake    func() standIn
}

// standIn is the other side, and what it thinks of what it was sent.
type standIn struct {
	http.Handler
	// refused are calls and events that it did not take, counted those that it did.
	seen func() (counted, refused int)
}

var providers = []provider{
	{kind: "spread", options: `public_key: "${SPREAD_KEY}", private_key: "${CRM_SECRET}"`, address: "base_url", fake: func() standIn {
		s := spreadtest.New("public", secret, nil)
		return standIn{s, func() (int, int) { return s.Counts().Orders, s.Counts().Refused }}
	}},
	{kind: "ga4", options: `measurement_id: G-ABC1234567, api_secret: "${CRM_SECRET}", user_data: true`, address: "base_url", hashes: true, fake: func() standIn {
		s := ga4test.New(ga4test.Options{MeasurementID: "G-ABC1234567", APISecret: secret})
		return standIn{s, func() (int, int) { return s.Counts().Events, s.Counts().Refused }}
	}},
	{kind: "google_ads", options: `customer_id: "1234567890", conversion_action: "987654321", oauth: {client_id: ` + googleadstest.ClientID +
		`, client_secret: "${CRM_SECRET}", refresh_token: "${CRM_SECRET}", token_url: "%URL%/token"}`, address: "base_url", path: "/v1", hashes: true, fake: func() standIn {
		s := googleadstest.New(googleadstest.Options{CustomerID: "1234567890", Action: "987654321", RefreshToken: secret})
		return standIn{s, func() (int, int) { return s.Counts().Conversions, s.Counts().Refused }}
	}},
	{kind: "meta", options: `dataset_id: "1234567890", access_token: "${CRM_SECRET}"`, address: "base_url", hashes: true, fake: func() standIn {
		s := metatest.New("1234567890", secret, nil)
		return standIn{s, func() (int, int) { return s.Counts().Events, s.Counts().Refused }}
	}},
	{kind: "tiktok", options: `event_source_id: CABC123, access_token: "${CRM_SECRET}"`, address: "base_url", hashes: true, fake: func() standIn {
		s := tiktoktest.New("CABC123", secret, nil)
		return standIn{s, func() (int, int) { return s.Counts().Events, s.Counts().Refused }}
	}},
	{kind: "pinterest", options: `ad_account_id: "549755885175", token: "${CRM_SECRET}"`, address: "base_url", path: "/v5", hashes: true, fake: func() standIn {
		s := pinteresttest.New("549755885175", secret, nil)
		return standIn{s, func() (int, int) { return s.Counts().Events, s.Counts().Refused + s.Counts().Failed }}
	}},
	{kind: "matomo", options: `site_id: 1, token_auth: "${CRM_SECRET}"`, address: "base_url", hashes: true, fake: func() standIn {
		s := matomotest.New("1", secret, nil)
		return standIn{s, func() (int, int) {
			c := s.Counts()
			return c.Orders + c.Carts + c.Actions, c.Refused + c.Invalid
		}}
	}},
	{kind: "klaviyo", options: `api_key: "${CRM_SECRET}"`, address: "base_url", fake: func() standIn {
		s := klaviyotest.New(secret, nil)
		return standIn{s, func() (int, int) {
			c := s.Counts()
			return c.Events + c.Subscribed + c.Unsubscribed, c.Refused
		}}
	}},
	{kind: "trustpilot", options: "business_unit_id: " + trustpilottest.BusinessUnitID + ", business_user_id: " + trustpilottest.BusinessUserID + ", template_id: " + trustpilottest.TemplateID +
		`, api_key: "${SPREAD_KEY}", api_secret: "${CRM_SECRET}", products: true, token_url: "%URL%/token"`, address: "base_url", path: "/v1", event: "order_shipped", fake: func() standIn {
		s := trustpilottest.New("public", secret)
		return standIn{s, func() (int, int) { return s.Counts().Invitations, s.Counts().Refused }}
	}},
	{kind: "microsoft_uet", options: `tag_id: "187000000", token: "${CRM_SECRET}"`, address: "base_url", path: "/v1", hashes: true, fake: func() standIn {
		s := microsoftuettest.New("187000000", secret, nil)
		return standIn{s, func() (int, int) { return s.Counts().Events, s.Counts().Refused + s.Counts().Failed }}
	}},
	{kind: "snap", options: `pixel_id: 1ec32188-754e-4be2-8e55-c949a984a39f, access_token: "${CRM_SECRET}"`, address: "base_url", path: "/v3", hashes: true, fake: func() standIn {
		s := snaptest.New("1ec32188-754e-4be2-8e55-c949a984a39f", secret, nil)
		return standIn{s, func() (int, int) { return s.Counts().Events, s.Counts().Refused }}
	}},
	{kind: "reddit", options: `pixel_id: a2_example, token: "${CRM_SECRET}"`, address: "base_url", path: "/api/v3", hashes: true, fake: func() standIn {
		s := reddittest.New("a2_example", secret, nil)
		return standIn{s, func() (int, int) { return s.Counts().Events, s.Counts().Refused }}
	}},
	{kind: "linkedin", options: `account_id: "512345678", token: "${CRM_SECRET}", rules: {order_paid: "104012"}`, address: "base_url", path: "/rest", hashes: true, fake: func() standIn {
		s := linkedintest.New(linkedintest.Options{AccountID: "512345678", Token: secret, Rules: map[string]linkedintest.Rule{"104012": {Method: "CONVERSIONS_API"}}})
		return standIn{s, func() (int, int) { return s.Counts().Events, s.Counts().Refused }}
	}},
	{kind: "snowplow", address: "base_url", hashes: true, fake: func() standIn {
		s := snowplowtest.New(snowplowtest.Options{})
		return standIn{s, func() (int, int) { return s.Counts().Events, s.Counts().Refused + s.Counts().Failed }}
	}},
	{kind: "webhook", options: `secret: "${CRM_SECRET}", deduplicates: true, allow_private: true`, address: "url", fake: func() standIn {
		s, err := webhooktest.New(nil, secret)
		if err != nil {
			panic(err) // the secret is a constant
		}
		return standIn{s, func() (int, int) { return s.Counts().Counted, s.Counts().Refused }}
	}},
}

// yaml is the destination in a configuration.
func (p provider) yaml(name, url string) string {
	options := strings.ReplaceAll(p.options, "%URL%", url)
	if options != "" {
		options += ", "
	}
	return fmt.Sprintf("  %s: {kind: %s, %s%s: %q}\n", name, p.kind, options, p.address, url+p.path)
}

// told is the event of an order that the provider gets.
func (p provider) told() string { return cmp.Or(p.event, "order_paid") }

// configured is the destination, and its adapter, at an address.
func (p provider) configured(t *testing.T, url string) (config.Destination, destination.Destination) {
	t.Helper()
	values := map[string]string{"CRM_SECRET": secret, "SPREAD_KEY": "public", "DATABASE_URL": "postgres://nobody@127.0.0.1:1/none"}
	text := "database: {url: \"${DATABASE_URL}\"}\ndestinations:\n" + p.yaml("one", url)
	cfg, err := config.Parse("kvit.yaml", []byte(text), func(name string) string { return values[name] }, kinds)
	require.NoError(t, err, p.kind)
	adapter, err := adapterOf(cfg.Destinations[0], slog.New(slog.DiscardHandler))
	require.NoError(t, err, p.kind)
	return cfg.Destinations[0], adapter
}

// The providers above are all that a configuration can name.
func TestProvidersAreAll(t *testing.T) {
	t.Parallel()
	_, err := config.Parse("kvit.yaml", []byte("destinations: {one: {kind: none-of-them}}"), func(string) string { return "" }, kinds)
	require.EqualError(t, err, "kvit.yaml:1: database.url: is missing: write it here or set $DATABASE_URL\n"+
		"kvit.yaml:1: destinations.one.kind: must be spread, ga4, google_ads, meta, tiktok, pinterest, matomo, klaviyo, trustpilot, microsoft_uet, snap, reddit, linkedin, snowplow or webhook")
	var named []string
	for _, k := range kinds {
		named = append(named, k.Name)
	}
	var known []string
	for _, p := range providers {
		known = append(known, p.kind)
	}
	require.Equal(t, named, known)
}

// TestProvidersNeverPrintSecrets: a configured destination does not show its secrets, however it is printed.
func TestProvidersNeverPrintSecrets(t *testing.T) {
	t.Parallel()
	for _, p := range providers {
		configured, _ := p.configured(t, "https://provider.example.com")
		var logged bytes.Buffer
		slog.New(slog.NewTextHandler(&logged, nil)).Info("x", "settings", configured.Settings, "destination", configured)
		encoded, err := json.Marshal(configured)
		require.NoError(t, err)
		texts := []string{logged.String(), string(encoded)}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
			texts = append(texts, fmt.Sprintf(verb, configured))
		}
		for _, text := range texts {
			require.NotContains(t, text, secret, p.kind)
			require.NotContains(t, text, hex.EncodeToString([]byte(secret)), p.kind)
		}
	}
}

// listener remembers what comes to the one behind it.
type listener struct {
	http.Handler
	heard func(text string)
}

func (l listener) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // whoever asked has left
	}
	l.heard(req.URL.String() + "\n" + string(body))
	req.Body = io.NopCloser(strings.NewReader(string(body)))
	l.Handler.ServeHTTP(w, req)
}
