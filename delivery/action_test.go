package delivery

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"kvit/store"
	"kvit/store/storetest"
)

// failedEvents are receipts of crm, as many as asked for, that a replay would take back.
func failedEvents(t *testing.T, n int) *pgxpool.Pool {
	t.Helper()
	pool := storetest.DB(t)
	require.NoError(t, store.SyncDestinations(t.Context(), pool, []store.Destination{{Name: "crm", Kind: "webhook", Enabled: true, EventNames: []string{}}}, true))
	_, err := pool.Exec(t.Context(), `
		with e as (
		    insert into kvit.event (event_key, name, occurred_at, payload, consent)
		    select i::text, 'page_viewed', now(), '{}', '{}' from generate_series(1, $1::int) i
		    returning id
		)
		insert into kvit.delivery (event_id, destination, outcome, attempts) select id, 'crm', 'failed', 1 from e`, n)
	require.NoError(t, err)
	return pool
}

func TestAnActionThatIsInterruptedGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	const events = ManyEvents + 5
	pool := failedEvents(t, events)
	act, err := Replay(store.Replay{Destination: "crm"}, Audit{Operator: "ops", Reason: "ticket 7"})
	require.NoError(t, err)
	report, err := act.Preview(t.Context(), pool)
	require.NoError(t, err)
	require.EqualValues(t, events, report.Selected)

	ctx, cancel := context.WithCancel(t.Context())
	err = act.Do(ctx, pool, &report, cancel)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, err, "stopped after 1000 of 1005 events, run it again for the others")
	require.EqualValues(t, ManyEvents, report.Done)

	report, err = act.Preview(t.Context(), pool)
	require.NoError(t, err)
	require.EqualValues(t, 5, report.Selected)
	require.NoError(t, act.Do(t.Context(), pool, &report, func() { t.Error("one step is enough") }))
	var audit string
	require.NoError(t, pool.QueryRow(t.Context(), `
		select string_agg(concat_ws(' ', action, operator, reason, events), ', ' order by id) from kvit.delivery_action`).Scan(&audit))
	require.Equal(t, "replay ops ticket 7 1000, replay ops ticket 7 5", audit)
}

// What nobody would work on is not queued; what waits there can be ended.
func TestActionsAtADestinationThatIsOff(t *testing.T) {
	t.Parallel()
	pool := failedEvents(t, 1)
	_, err := pool.Exec(t.Context(), `update kvit.destination set enabled = false`)
	require.NoError(t, err)
	replay, err := Replay(store.Replay{Destination: "crm"}, Audit{})
	require.NoError(t, err)
	for _, act := range []Action{replay, Backfill(store.Backfill{Destination: "crm"}, Audit{})} {
		_, err := act.Preview(t.Context(), pool)
		require.ErrorContains(t, err, "is switched off", act.Name)
	}
	_, err = Cancel(store.Cancel{Destination: "crm"}, Audit{}).Preview(t.Context(), pool)
	require.NoError(t, err)
	_, err = Cancel(store.Cancel{Destination: "nowhere"}, Audit{}).Preview(t.Context(), pool)
	require.ErrorIs(t, err, store.ErrNotFound)
}

func TestOutcomesOfAReplay(t *testing.T) {
	t.Parallel()
	why := Audit{Reason: "lost by the receiver"}
	for _, c := range []struct {
		replay store.Replay
		audit  Audit
		want   []string
		err    string
	}{
		{want: []string{Failed, Lost}},
		{replay: store.Replay{OrderRef: "E1"}, want: replayable},
		{replay: store.Replay{Events: []int64{1}}, want: replayable},
		{replay: store.Replay{Outcomes: []string{Withheld}}, want: []string{Withheld}},
		{replay: store.Replay{Outcomes: []string{Delivered}, Events: []int64{1}}, audit: why, want: []string{Delivered}},
		{replay: store.Replay{Outcomes: []string{Delivered}, Events: []int64{1}}, err: "with a --reason"},
		{replay: store.Replay{Outcomes: []string{Superseded}, OrderRef: "E1"}, audit: why, err: "only by --event"},
		{replay: store.Replay{Outcomes: []string{Erased}}, audit: why, err: "its data is gone"},
		{replay: store.Replay{Outcomes: []string{"fialed"}}, err: "--outcome must be failed, "},
	} {
		act, err := Replay(c.replay, c.audit)
		if c.err != "" {
			require.ErrorContains(t, err, c.err)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, c.want, act.selection.(store.Replay).Outcomes)
	}
}
