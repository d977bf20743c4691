package main

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/store/storetest"
)

const pastYAML = `
database: {url: "${DATABASE_URL}"}
ops: {listen: "off"}
shop: {country: DK}
destinations:
  spread: {kind: spread, public_key: "${SPREAD_KEY}", private_key: "${CRM_SECRET}", max_age: 400d, events: {account_created: off}}
  ga4: {kind: ga4, measurement_id: G-TEST123456, api_secret: "${CRM_SECRET}"}
`

// The past becomes a file by consent, age and form, without what kvit has or has erased; nothing is stored or sent.
func TestHistoryAsAFile(t *testing.T) {
	t.Parallel()
	k := install(t, storetest.URL(t), pastYAML)
	_, err := k.pool().Exec(t.Context(), `
		create schema kvit_events;
		create function kvit_events.past(since timestamptz, until timestamptz)
		returns table (event_key text, name text, order_ref text, occurred_at timestamptz, payload jsonb, consent jsonb) language sql stable as $$
			select name || ':' || ref, name, ref, now() - age, jsonb_build_object('customer', jsonb_build_object('email', mail, 'id', '7', 'phone', '12 34 56 78'), 'order', jsonb_build_object('total', total)), jsonb_build_object('marketing', yes)
			from (values ('order_placed', 'E1', interval '9 days', 'a@example.com', '10.00', true), ('order_paid', 'E1', interval '8 days', 'a@example.com', '10.00', true),
				('order_paid', 'E2', interval '7 days', 'b@example.com', '20.00', false), ('order_paid', 'E3', interval '500 days', 'c@example.com', '30.00', true),
				('account_created', 'A1', interval '6 days', 'f@example.com', null, true), ('order_paid', 'E4', interval '6 days', 'd@example.com', null, true), ('order_paid', 'E5', interval '5 days', 'e@example.com', '50.00', true)) v (name, ref, age, mail, total, yes)
			where now() - age >= since and now() - age < until $$;
		insert into kvit.tracking_event (event_key, name, order_ref) values ('order_paid:E5', 'order_paid', 'E5')`)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "past.csv")
	preview := k.mustCall("history", "--destination", "spread", "--from", "2020-01-01", "--csv", file, "--dry-run")
	require.Contains(t, preview, "order_paid")
	require.NoFileExists(t, file)

	stdout := k.mustCall("history", "--destination", "spread", "--from", "2020-01-01", "--csv", file)
	for _, line := range []string{"1 lines written to ", "1 events left out: expired\n", "1 events left out: rejected\n", "1 events left out: withheld\n", "2 events left out: not in such a file\n"} {
		require.Contains(t, stdout, line)
	}
	require.Equal(t, 1, count(t, k.pool(), `select count(*) from kvit.event`), "nothing is stored")
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	lines, err := csv.NewReader(strings.NewReader(string(text))).ReadAll()
	require.NoError(t, err)
	require.Len(t, lines, 2)
	require.Equal(t, []string{"Email", "a@example.com"}, []string{lines[0][0], lines[1][0]})
	require.Equal(t, "+4512345678", lines[1][slices.Index(lines[0], "Téléphone portable")], "a national number is read as delivery reads it")

	for _, wrong := range [][]string{{"--destination", "ga4"}, {"--destination", "nobody"}} {
		code, _, stderr := k.call(append([]string{"history", "--from", "2020-01-01", "--csv", file}, wrong...)...)
		require.Equal(t, 2, code, stderr)
	}
	code, _, stderr := k.call("history", "--destination", "spread", "--from", "2020-01-01", "--csv", file)
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "is there already")
}

// The database's clock says how old the past is, as it does for deliveries, and references are written as kvit's are.
func TestHistoryAsAFileByTheDatabasesClock(t *testing.T) {
	t.Parallel()
	k := install(t, storetest.URL(t), strings.Replace(pastYAML, "max_age: 400d", "max_age: 20d", 1))
	storetest.ShiftClock(t, k.pool(), -30*24*time.Hour)
	_, err := k.pool().Exec(t.Context(), `
		create schema kvit_events;
		create function kvit_events.past(since timestamptz, until timestamptz)
		returns table (event_key text, name text, order_ref text, occurred_at timestamptz, payload jsonb, consent jsonb) language sql stable as $$
			select 'order_paid:E1', 'order_paid', ' E1 ', now() - interval '9 days',
			       '{"customer": {"email": "a@example.com"}, "order": {"ref": "E1", "total": "10.00"}}'::jsonb, '{"marketing": true}'::jsonb $$`)
	require.NoError(t, err)
	stdout := k.mustCall("history", "--destination", "spread", "--from", "2020-01-01", "--csv", filepath.Join(t.TempDir(), "past.csv"))
	require.Contains(t, stdout, "1 lines written to ")
}
