package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"kvit/delivery"
	"kvit/destination/webhook/webhooktest"
	"kvit/store"
	"kvit/store/storetest"
)

// viewed inserts events that a webhook receiver gets.
func viewed(t *testing.T, pool *pgxpool.Pool, from, to int) {
	t.Helper()
	_, err := pool.Exec(t.Context(), `
		insert into kvit.tracking_event (event_key, name, payload, consent)
		select 'page_viewed:' || i, 'page_viewed', '{}', '{"marketing": true}' from generate_series($1::int, $2::int) i`, from, to)
	require.NoError(t, err)
}

func reportOf(t *testing.T, output string) delivery.Report {
	t.Helper()
	var r delivery.Report
	require.NoError(t, json.Unmarshal([]byte(output), &r), output)
	return r
}

// What a receiver refused for a while is sent again while kvit runs; a delivered event only by name.
func TestReplay(t *testing.T) {
	t.Parallel()
	receiver, err := webhooktest.New(nil, secret)
	require.NoError(t, err)
	var mended atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if !mended.Load() {
			http.Error(w, "no", http.StatusUnprocessableEntity)
			return
		}
		receiver.ServeHTTP(w, req)
	}))
	t.Cleanup(server.Close)
	k := install(t, storetest.URL(t), webhookYAML(server))
	k.mustCall("migrate", "up")
	k.start()
	k.waitReady()
	pool := k.pool()
	viewed(t, pool, 1, 3)
	outcomes := func(outcome string, n int) {
		t.Helper()
		require.Eventually(t, func() bool {
			return count(t, pool, `select count(*) from kvit.delivery where outcome = $1`, outcome) == n
		}, waitFor, tick)
		// River notes the end of a job a moment after its receipt.
		require.Eventually(t, func() bool {
			return count(t, pool, `select count(*) from kvit.river_job where kind = 'deliver_event' and finalized_at is null`) == 0
		}, waitFor, tick)
	}
	outcomes("rejected", 3)

	require.Contains(t, k.mustCall("replay", "--destination", "crm"), "0 events to be sent again", "failed ones, by default")
	preview := k.mustCall("replay", "--destination", "crm", "--outcome", "rejected", "--since", "1h", "--dry-run")
	require.Contains(t, preview, "3 events would be sent again, 0 skipped")
	require.Equal(t, 3, count(t, pool, `select count(*) from kvit.delivery`))
	require.Zero(t, count(t, pool, `select count(*) from kvit.delivery_action`))

	mended.Store(true)
	r := reportOf(t, k.mustCall("replay", "--destination", "crm", "--outcome", "rejected", "--json", "--operator", "ops", "--reason", "ticket 7"))
	require.EqualValues(t, 3, r.Done)
	outcomes("delivered", 3)
	require.Equal(t, 3, receiver.Counts().Counted)
	require.Equal(t, 1, count(t, pool, `
		select count(*) from kvit.delivery_action
		where id = $1 and action = 'replay' and operator = 'ops' and reason = 'ticket 7' and events = 3 and selection -> 'outcomes' = '["rejected"]'`, r.ID))

	id := count(t, pool, `select min(event_id) from kvit.delivery`)
	event := fmt.Sprint(id)
	require.Contains(t, k.mustCall("replay", "--destination", "crm", "--event", event, "--reason", "lost"), "skipped: "+store.SkippedOutcome)
	require.Contains(t, k.mustCall("replay", "--destination", "crm", "--event", event, "--event", "999999", "--dry-run"), "1 of the events named")
	require.Contains(t, k.mustCall("replay", "--destination", "crm", "--event", event, "--outcome", "delivered", "--reason", "lost"), "1 events sent again")
	outcomes("delivered", 3)
	require.Equal(t, webhooktest.Counts{Requests: 4, Counted: 3, Repeats: 1}, receiver.Counts())
}

func TestWhatIsNotSentAgain(t *testing.T) {
	t.Parallel()
	k := install(t, storetest.URL(t), `
database: {url: "${DATABASE_URL}"}
ops: {listen: "off"}
destinations:
  crm: {kind: webhook, url: "https://hooks.example/kvit", secret: "${CRM_SECRET}", deduplicates: true, max_age: 1d}
`)
	k.mustCall("migrate", "up")
	pool := k.pool()
	_, err := pool.Exec(t.Context(), `
		insert into kvit.destination (name, kind, enabled, event_names, disabled_at, removed_at) values
		    ('off', 'webhook', false, '{}', null, null),
		    ('gone', 'webhook', true, '{}', now(), null), ('old', 'webhook', false, '{}', null, now());
		with e as (
		    insert into kvit.event (event_key, name, occurred_at, payload, consent)
		    select i::text, 'page_viewed', now() - interval '2 days', '{}', '{}' from generate_series(1, 1001) i
		    returning id
		)
		insert into kvit.delivery (event_id, destination, outcome, attempts) select id, 'crm', 'failed', 1 from e`)
	require.NoError(t, err)
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"replay"}, 2, "--destination must be given"},
		{[]string{"replay", "--destination", "nowhere"}, 2, `no destination is called "nowhere"`},
		{[]string{"replay", "--destination", "off"}, 1, "is switched off"},
		{[]string{"replay", "--destination", "gone"}, 1, "kvit resume gone"},
		{[]string{"replay", "--destination", "old"}, 1, "kvit cancel"},
		{[]string{"backfill", "--destination", "old", "--from", "3d"}, 1, "kvit cancel"},
		{[]string{"backfill", "--destination", "crm"}, 2, "--from must be given"},
		{[]string{"replay", "--destination", "crm", "--outcome", "erased"}, 2, "its data is gone"},
		{[]string{"replay", "--destination", "crm", "--outcome", "fialed"}, 2, "--outcome must be failed, "},
		{[]string{"replay", "--destination", "crm", "--outcome", "delivered", "--reason", "r"}, 2, "only by --event"},
		{[]string{"replay", "--destination", "crm", "--outcome", "superseded", "--event", "1"}, 2, "with a --reason"},
		{[]string{"replay", "--destination", "crm", "--since", "soon"}, 2, "--since must be a time"},
		{[]string{"replay", "--destination", "crm", "--event", "order"}, 2, "--event"},
		{[]string{"replay", "--destination", "crm"}, 2, "say why with --reason"},
		{[]string{"replay", "--destination", "crm", "--reason", "r"}, 2, "confirm with --yes"},
		{[]string{"replay", "--destination", "crm", "--reason", "r", "--json"}, 2, "confirm with --yes"},
	} {
		code, stdout, stderr := k.call(c.args...)
		require.Equal(t, c.code, code, "kvit %v: %s%s", c.args, stdout, stderr)
		require.Contains(t, stderr, c.says, "kvit %v", c.args)
	}
	require.Equal(t, 1001, count(t, pool, `select count(*) from kvit.delivery`))
	require.Zero(t, count(t, pool, `select count(*) from kvit.delivery_action`))

	require.Contains(t, k.mustCall("replay", "--destination", "crm", "--dry-run"), "warning: 1001 events occurred more than 24h0m0s ago")
	require.Contains(t, k.mustCall("replay", "--destination", "crm", "--reason", "r", "--yes"), "1001 events sent again")
	require.Equal(t, 1001, count(t, pool, `select count(*) from kvit.river_job where kind = 'deliver_event'`))
	require.Equal(t, 1001, count(t, pool, `select events from kvit.delivery_action`), "two steps, one row")
}

// A destination that is added gets nothing old until it is backfilled; one that is removed keeps
// what waited for it until that is cancelled.
func TestAddingAndRemovingADestination(t *testing.T) {
	t.Parallel()
	receiver, err := webhooktest.New(nil, secret)
	require.NoError(t, err)
	server := httptest.NewServer(receiver)
	t.Cleanup(server.Close)
	down := httptest.NewServer(http.NotFoundHandler())
	down.Close()
	k := install(t, storetest.URL(t), webhookYAML(down))
	k.mustCall("migrate", "up")
	process := k.start()
	k.waitReady()
	pool := k.pool()
	viewed(t, pool, 1, 3)
	require.Eventually(t, func() bool {
		return count(t, pool, `select count(*) from kvit.river_job where kind = 'deliver_event' and state in ('retryable', 'scheduled', 'available')`) == 3
	}, waitFor, tick)
	k.stop(process)

	k.write(strings.Replace(webhookYAML(server), "  crm:", "  crm_two:", 1))
	k.start()
	k.waitReady()
	viewed(t, pool, 4, 4)
	require.Eventually(t, func() bool { return receiver.Counts().Counted == 1 }, waitFor, tick)

	r := reportOf(t, k.mustCall("backfill", "--destination", "crm_two", "--from", "1h", "--json"))
	require.EqualValues(t, 3, r.Done)
	require.Eventually(t, func() bool { return receiver.Counts().Counted == 4 }, waitFor, tick)
	require.Contains(t, k.mustCall("backfill", "--destination", "crm_two", "--from", "1h"), "0 events to be queued")

	require.Equal(t, 3, count(t, pool, `select count(*) from kvit.delivery_status where destination = 'crm' and state in ('pending', 'retrying')`))
	require.Contains(t, k.mustCall("cancel", "--destination", "crm", "--dry-run"), "3 events would be cancelled")
	require.Contains(t, k.mustCall("cancel", "--destination", "crm"), "3 events cancelled")
	require.Equal(t, 3, count(t, pool, `select count(*) from kvit.delivery where destination = 'crm' and outcome = 'failed' and reason = $1`, store.CancelledReason))
	require.Zero(t, receiver.Counts().Repeats)
}

func TestAsk(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, ask(t.Context(), strings.NewReader("yes\n"), &out, 1234))
	require.Contains(t, out.String(), "1234 events")
	for _, answer := range []string{"", "y\n", "no\n", "yes please\n"} {
		require.ErrorContains(t, ask(t.Context(), strings.NewReader(answer), io.Discard, 1234), "nothing was done")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	silent, end := io.Pipe()
	t.Cleanup(func() { _ = end.Close() })
	require.ErrorContains(t, ask(ctx, silent, io.Discard, 1234), "interrupted")
}

func TestParseMoment(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"2026-01-31T08:00:00+01:00": time.Date(2026, 1, 31, 7, 0, 0, 0, time.UTC),
		"2026-01-31":                time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC),
		"3d":                        now.AddDate(0, 0, -3),
		"1d12h":                     now.Add(-36 * time.Hour),
	} {
		at, err := parseMoment("since", text, now, false)
		require.NoError(t, err)
		require.True(t, want.Equal(*at), text)
	}
	at, err := parseMoment("until", "2026-01-31", now, true)
	require.NoError(t, err)
	require.Equal(t, time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC), *at)
	at, err = parseMoment("until", "", now, true)
	require.NoError(t, err)
	require.Nil(t, at)
	for _, text := range []string{"yesterday", "3", "-3d", "31.1.2026"} {
		_, err := parseMoment("since", text, now, false)
		require.ErrorIs(t, err, errUsage, text)
	}
}
