package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/config"
	"kvit/delivery"
	"kvit/destination/spread/spreadtest"
	"kvit/destination/webhook/webhooktest"
	"kvit/store/storetest"
)

// account is an installation with a SPREAD account and a webhook receiver; options are SPREAD's.
func account(t *testing.T, options string, fail func(int) spreadtest.Failure) (*kvit, *spreadtest.Server, *webhooktest.Receiver) {
	t.Helper()
	fake := spreadtest.New("public", secret, fail)
	receiver, err := webhooktest.New(nil, secret)
	require.NoError(t, err)
	k := install(t, storetest.URL(t), fmt.Sprintf(`
database: {url: "${DATABASE_URL}"}
ops: {listen: "off"}
destinations:
  crm: {kind: webhook, url: %q, secret: "${CRM_SECRET}", deduplicates: true, allow_private: true}
  spread: {kind: spread, public_key: "${SPREAD_KEY}", private_key: "${CRM_SECRET}", base_url: %q%s}
`, serve(t, receiver), serve(t, fake), options))
	return k, fake, receiver
}

func TestCheckProvesCredentials(t *testing.T) {
	t.Parallel()
	k, fake, receiver := account(t, "", nil)
	stdout := k.mustCall("check")
	require.Contains(t, stdout, "proved: destinations.spread: the keys, and the names of the grants")
	require.Contains(t, stdout, "not proved: destinations.crm: credentials are not proved: webhook has no call that counts nothing; `kvit check --send-test crm`")
	require.Equal(t, spreadtest.Counts{Requests: 1}, fake.Counts())
	require.Zero(t, receiver.Counts().Requests, "it sends nothing")

	var report checkReport
	require.NoError(t, json.Unmarshal([]byte(k.mustCall("check", "--json")), &report))
	require.True(t, report.OK)
	require.Len(t, report.Proofs, 2)
	require.Equal(t, []any{"crm", false}, []any{report.Proofs[0].Destination, report.Proofs[0].OK})
	require.Equal(t, []any{"spread", true}, []any{report.Proofs[1].Destination, report.Proofs[1].OK})

	require.NotContains(t, k.mustCall("check", "--offline"), "proved")
	require.Equal(t, 2, fake.Counts().Requests)
}

func TestCheckFindsWrongCredentials(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		options string
		fail    spreadtest.Failure
		says    string
	}{
		"Keys":   {"", spreadtest.Failure{Status: http.StatusUnauthorized}, "the provider did not accept the credentials (HTTP 401)"},
		"Grants": {", grants: {sms_optin: NewsFax}", spreadtest.Failure{}, "grants.sms_optin: unknown consent"},
		"Reset":  {"", spreadtest.Failure{Reset: true}, "connection lost before the answer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k, _, _ := account(t, c.options, func(int) spreadtest.Failure { return c.fail })
			code, stdout, _ := k.call("check")
			require.Equal(t, 1, code)
			require.Contains(t, stdout, "problem: line 6: destinations.spread: credentials are not proved: ")
			require.Contains(t, stdout, c.says)
			k.mustCall("check", "--offline")
			var report checkReport
			code, stdout, _ = k.call("check", "--json")
			require.Equal(t, 1, code)
			require.NoError(t, json.Unmarshal([]byte(stdout), &report))
			require.Equal(t, credential{Destination: "spread"}, report.Proofs[1])
		})
	}
}

// A provider that cannot be reached does not hide what is wrong with the configuration's rest.
func TestCheckWithoutAProvider(t *testing.T) {
	t.Parallel()
	away := httptest.NewServer(http.NotFoundHandler())
	away.Close()
	k := install(t, "postgres://nobody@127.0.0.1:1/none", fmt.Sprintf(`
database: {url: "${DATABASE_URL}"}
ops: {listen: "off"}
destinations:
  off: {kind: spread, enabled: false, public_key: "${SPREAD_KEY}", private_key: "${CRM_SECRET}", base_url: %[1]q}
  spread: {kind: spread, public_key: "${SPREAD_KEY}", private_key: "${CRM_SECRET}", base_url: %[1]q, events: [search]}
`, away.URL))
	code, stdout, _ := k.call("check")
	require.Equal(t, 1, code)
	require.Contains(t, stdout, "destinations.spread: credentials are not proved: connection refused")
	require.Contains(t, stdout, "a spread destination cannot use search")
	require.Contains(t, stdout, "database cannot be reached")
	require.NotContains(t, stdout, "destinations.off: credentials")
}

// What kvit check finds wrong with a destination keeps kvit run from starting, in the same words.
func TestRunRefusesEventsThatCheckRefuses(t *testing.T) {
	t.Parallel()
	k := install(t, "postgres://nobody@127.0.0.1:1/none", `
database: {url: "${DATABASE_URL}"}
ops: {listen: "off"}
destinations:
  spread: {kind: spread, public_key: "${SPREAD_KEY}", private_key: "${CRM_SECRET}", events: [order_paid, search]}
`)
	const problem = "a spread destination cannot use search"
	code, stdout, _ := k.call("check", "--offline")
	require.Equal(t, 1, code)
	require.Contains(t, stdout, "destinations.spread.events: "+problem)
	code, _, stderr := k.call("run")
	require.Equal(t, 1, code)
	require.Contains(t, stderr, problem)
	require.NotContains(t, stderr, "order_paid")
}

func TestSendTest(t *testing.T) {
	t.Parallel()
	k, fake, receiver := account(t, "", nil)
	stdout := k.mustCall("check", "--send-test", "crm")
	require.Contains(t, stdout, "crm: sent page_viewed, event key kvit-test:")
	require.Contains(t, stdout, "delivered: HTTP 204")
	require.Contains(t, stdout, "it is visible in its reports")
	require.Equal(t, webhooktest.Counts{Requests: 1, Counted: 1}, receiver.Counts())
	require.Zero(t, fake.Counts().Requests)

	var report delivery.Trial
	require.NoError(t, json.Unmarshal([]byte(k.mustCall("check", "--send-test", "spread", "--json")), &report))
	require.Equal(t, []any{"spread", "cart_updated", 200, "delivered", false}, []any{report.Destination, report.Event, report.Code, report.Outcome, report.Marked})
	require.Equal(t, 1, fake.Counts().Carts)
	require.Empty(t, fake.Refusals())
	require.Zero(t, count(t, k.pool(), `select count(*) from kvit.event`), "the queue knows nothing of it")
}

func TestSendTestThatFails(t *testing.T) {
	t.Parallel()
	k, _, _ := account(t, "", func(int) spreadtest.Failure { return spreadtest.Failure{Status: 401} })
	code, stdout, _ := k.call("check", "--send-test", "spread")
	require.Equal(t, 1, code)
	require.Contains(t, stdout, "unauthorized: HTTP 401: the provider did not accept the credentials")
	for _, args := range [][]string{{"--send-test", "nowhere"}, {"--send-test", ""}, {"--send-test", "spread", "--offline"}} {
		code, _, stderr := k.call(append([]string{"check"}, args...)...)
		require.Equal(t, 2, code, stderr)
	}
}

func TestATrialAsItIsPrinted(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	printTrial(&out, delivery.Trial{Destination: "ads", Event: "page_viewed", Marked: true, Code: 202, Outcome: "delivered"})
	require.Contains(t, out.String(), "was told that it is a test")
}

// TestCheckSaysHowConsentIsRead: the map that is active is the one that deliveries and exports go by.
func TestCheckSaysHowConsentIsRead(t *testing.T) {
	t.Parallel()
	k := install(t, storetest.URL(t), `
database: {url: "${DATABASE_URL}"}
ops: {listen: "off"}
shop: {country: DK}
consent: {map: google}
destinations:
  crm: {kind: webhook, url: "https://hooks.example.com", secret: "${CRM_SECRET}", deduplicates: true}
`)
	const says = "map google, form object: analytics = analytics_storage, marketing = ad_personalization and ad_storage and ad_user_data, " +
		"necessary = security_storage, personalization = personalization_storage, preferences = functionality_storage"
	require.Contains(t, k.mustCall("check", "--offline"), "consent: "+says+"\n")
	var report checkReport
	require.NoError(t, json.Unmarshal([]byte(k.mustCall("check", "--offline", "--json")), &report))
	require.Equal(t, says, report.Consent)

	cfg, err := config.Load(exampleFile, exampleEnvironment, allKinds())
	require.NoError(t, err)
	built, err := buildDestinations(cfg, slog.New(slog.DiscardHandler), nil)
	require.NoError(t, err)
	for _, lane := range built.lanes {
		require.Equal(t, cfg.Consent.Purposes, lane.Consent.Purposes)
		require.Equal(t, cfg.Consent.Yes, lane.Consent.Yes)
	}
}
