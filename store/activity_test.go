package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/store"
	"kvit/store/storetest"
)

func TestActivity(t *testing.T) {
	t.Parallel()
	tx := storetest.Tx(t)
	mustExec(t, tx, `
		insert into kvit.destination (name, kind, enabled, event_names) values ('crm', 'webhook', true, '{}'), ('mail', 'spread', true, '{}');
		insert into kvit.event (event_key, name, occurred_at, received_at, consent)
		select 'custom:' || i, 'custom:a', now(), now() - make_interval(hours => 30 - i), '{}' from generate_series(1, 30) i;
		insert into kvit.delivery (event_id, destination, outcome, attempts, finished_at)
		select id, 'crm', case when event_key = 'custom:29' then 'withheld' else 'delivered' end, 1, received_at + interval '2 seconds' from kvit.event;
		insert into kvit.delivery (event_id, destination, outcome, attempts, finished_at)
		select id, 'mail', case when event_key = 'custom:2' then 'expired' else 'failed' end, 9, now() - interval '1 hour' from kvit.event where event_key in ('custom:1', 'custom:2');`)
	now, err := store.Now(t.Context(), tx)
	require.NoError(t, err)
	a, err := store.ReadActivity(t.Context(), tx, now.Add(-24*time.Hour-time.Minute))
	require.NoError(t, err)
	require.True(t, a.Whole)
	counts := map[string]int64{}
	for _, p := range a.Parts {
		require.Equal(t, "crm", p.Destination)
		require.InDelta(t, 2, p.Typical, 0.01)
		counts[p.Outcome] += p.Count
	}
	require.Equal(t, map[string]int64{"delivered": 24, "withheld": 1}, counts, "of the last day's events alone")

	trouble, err := store.Trouble(t.Context(), tx, now.Add(-24*time.Hour))
	require.NoError(t, err)
	require.ElementsMatch(t, []store.TroubleCount{{"mail", "failed", 1}, {"mail", "expired", 1}}, trouble, "of older events, too")
	trouble, err = store.Trouble(t.Context(), tx, now)
	require.NoError(t, err)
	require.Empty(t, trouble)
}

// Where there is much, the period becomes shorter, and says so.
func TestActivityIsBounded(t *testing.T) {
	t.Parallel()
	tx := manyDeliveries(t)
	mustExec(t, tx, `
		insert into kvit.delivery (event_id, destination, outcome, attempts)
		select id, 'crm', 'delivered', 1 from kvit.event on conflict do nothing;
		insert into kvit.delivery (event_id, destination, outcome, attempts)
		select id, 'mail', 'delivered', 1 from kvit.event on conflict do nothing;
		insert into kvit.event (event_key, name, occurred_at, consent) select 'custom:' || i, 'custom:a', now(), '{}' from generate_series(1, 500) i;
		insert into kvit.delivery (event_id, destination, outcome, attempts)
		select id, 'mail', 'withheld', 1 from kvit.event where name = 'custom:a'`)
	now, err := store.Now(t.Context(), tx)
	require.NoError(t, err)
	a, err := store.ReadActivity(t.Context(), tx, now.Add(-24*time.Hour))
	require.NoError(t, err)
	require.False(t, a.Whole)
	var sum int64
	for _, p := range a.Parts {
		sum += p.Count
	}
	require.LessOrEqual(t, sum, int64(store.ActivityRead))
	require.Greater(t, sum, int64(store.ActivityRead-10))
}

func TestNothingHasHappened(t *testing.T) {
	t.Parallel()
	tx := storetest.Tx(t)
	a, err := store.ReadActivity(t.Context(), tx, time.Now().Add(-24*time.Hour))
	require.NoError(t, err)
	require.Empty(t, a.Parts)
	note, err := store.NewestCertificate(t.Context(), tx)
	require.NoError(t, err)
	require.Nil(t, note)
}

// A session that has ended stays ended, also for a request that had read it before.
func TestWebSessions(t *testing.T) {
	t.Parallel()
	tx := storetest.Tx(t)
	ctx := t.Context()
	require.NoError(t, store.SaveWebSession(ctx, tx, "a", []byte("1"), time.Now().Add(time.Hour)))
	require.NoError(t, store.SaveWebSession(ctx, tx, "a", []byte("2"), time.Now().Add(time.Hour)))
	data, found, err := store.WebSession(ctx, tx, "a")
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, "2", string(data))

	require.NoError(t, store.EndWebSession(ctx, tx, "a"))
	require.NoError(t, store.SaveWebSession(ctx, tx, "a", []byte("3"), time.Now().Add(time.Hour)))
	_, found, err = store.WebSession(ctx, tx, "a")
	require.NoError(t, err)
	require.False(t, found)

	require.NoError(t, store.SaveWebSession(ctx, tx, "old", []byte("1"), time.Now().Add(-time.Minute)))
	_, found, err = store.WebSession(ctx, tx, "old")
	require.NoError(t, err)
	require.False(t, found)
}

func TestDropOldSessions(t *testing.T) {
	t.Parallel()
	tx := storetest.Tx(t)
	ctx := t.Context()
	require.NoError(t, store.SaveWebSession(ctx, tx, "old", []byte("1"), time.Now().Add(-time.Hour)))
	require.NoError(t, store.SaveWebSession(ctx, tx, "new", []byte("1"), time.Now().Add(time.Hour)))
	require.NoError(t, store.Audit(ctx, tx, store.AuditEntry{Who: "anna", Action: "pause", Subject: "crm", Reason: "a migration there", Detail: map[string]int{"waiting": 3}}))
	mustExec(t, tx, `insert into kvit.audit (at, who, action, subject, reason) values (now() - interval '2 days', 'jon', 'login', '', '')`)
	require.NoError(t, store.DropOldSessions(ctx, tx, 24*time.Hour))
	entries, err := store.LastAudited(ctx, tx, 10)
	require.NoError(t, err)
	require.Len(t, entries, 1)
	require.Equal(t, "a migration there", entries[0].Reason)
	var left int
	require.NoError(t, tx.QueryRow(ctx, `select count(*) from kvit.session`).Scan(&left))
	require.Equal(t, 1, left)
}
