package store_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"kvit/store"
	"kvit/store/storetest"
)

// audit inserts a destination that wants orders and custom events, and the audit row of an action.
func audit(t *testing.T, db store.DB, action string) store.Step {
	t.Helper()
	_, err := db.Exec(t.Context(), `
		insert into kvit.destination (name, kind, enabled, event_names)
		values ('crm', 'webhook', true, '{order_placed,custom:*}'), ('other', 'webhook', true, '{order_placed,search}')`)
	require.NoError(t, err)
	id, err := store.BeginAction(t.Context(), db, store.Action{Action: action, Destination: "crm", Operator: "ops", Selection: map[string]int{}})
	require.NoError(t, err)
	return store.Step{Action: id, Limit: 1000}
}

// receipts inserts an event with a receipt of crm for each outcome, and returns their ids. The
// events have no jobs.
func receipts(t *testing.T, db store.DB, outcomes ...string) []int64 {
	t.Helper()
	ids := make([]int64, len(outcomes))
	for i, outcome := range outcomes {
		require.NoError(t, db.QueryRow(t.Context(), `
			with e as (
			    insert into kvit.event (event_key, name, occurred_at, order_ref, payload, consent)
			    values (gen_random_uuid(), 'order_placed', now(), 'E1', '{}', '{}')
			    returning id
			)
			insert into kvit.delivery (event_id, destination, outcome, reason, attempts, first_attempt_at, response_code)
			select id, 'crm', $1, 'because', 3, now(), 500 from e
			returning event_id`, outcome).Scan(&ids[i]))
	}
	return ids
}

func jobsOf(t *testing.T, db store.DB, destination string) []int64 {
	t.Helper()
	rows, _ := db.Query(t.Context(), `
		select kvit.job_event_id(args) from kvit.river_job
		where kind = 'deliver_event' and finalized_at is null and args ->> 'destination' = $1
		order by 1`, destination)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	require.NoError(t, err)
	return ids
}

func number(t *testing.T, db store.DB, query string, args ...any) (n int) {
	t.Helper()
	require.NoError(t, db.QueryRow(t.Context(), query, args...).Scan(&n))
	return n
}

// summary is a preview without its times.
func summary(list []store.Group) []string {
	var lines []string
	for _, g := range list {
		lines = append(lines, fmt.Sprintf("%d %s (%s) %s", g.Events, g.Of, g.Reason, g.Skipped))
	}
	return lines
}

// A replayed event has its receipt taken back and kept, and a job like the one that the trigger made.
func TestReplay(t *testing.T) {
	t.Parallel()
	tx := storetest.Tx(t)
	step := audit(t, tx, "replay")
	id := receipts(t, tx, "failed")[0]
	_, err := tx.Exec(t.Context(), `insert into kvit.delivery_attempt (event_id, destination) values ($1, 'crm'), ($1, 'other')`, id)
	require.NoError(t, err)

	done, err := store.ReplayStep(t.Context(), tx, store.Replay{Destination: "crm", Outcomes: []string{"failed"}}, step)
	require.NoError(t, err)
	require.Equal(t, store.Stepped{Events: 1, Last: id}, done)
	require.Zero(t, number(t, tx, `select count(*) from kvit.delivery`))
	require.Equal(t, 1, number(t, tx, `
		select count(*) from kvit.replayed_delivery
		where action_id = $1 and event_id = $2 and outcome = 'failed' and reason = 'because' and attempts = 3 and response_code = 500 and not unclear`,
		step.Action, id))
	require.Equal(t, 1, number(t, tx, `select events from kvit.delivery_action where id = $1 and operator = 'ops'`, step.Action))
	require.Equal(t, 1, number(t, tx, `select count(*) from kvit.delivery_attempt where destination = 'other'`))
	require.Zero(t, number(t, tx, `select count(*) from kvit.delivery_attempt where destination = 'crm'`), "the attempt that is over")

	_, err = tx.Exec(t.Context(), `insert into kvit.tracking_event (event_key, name) values ('order_placed:2', 'order_placed')`)
	require.NoError(t, err)
	require.Equal(t, 1, number(t, tx, `
		select count(distinct (j.state, j.max_attempts, j.queue, j.priority, j.metadata, (select array_agg(k order by k) from jsonb_object_keys(j.args) k),
		       jsonb_typeof(j.args -> 'event_id')))
		from kvit.river_job j where j.args ->> 'destination' = 'crm'`), "the trigger's job and the replay's are alike")
}

// What selects, and why the rest is left alone.
func TestReplaySelects(t *testing.T) {
	t.Parallel()
	tx := storetest.Tx(t)
	step := audit(t, tx, "replay")
	ids := receipts(t, tx, "failed", "failed", "failed", "failed", "rejected", "delivered", "erased", "failed")
	_, err := tx.Exec(t.Context(), `update kvit.event set erased_at = now(), payload = null where id = $1`, ids[1])
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `update kvit.delivery set unclear = true where event_id = $1`, ids[2])
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `
		insert into kvit.river_job (kind, args, queue, max_attempts, state, attempt)
		values ('deliver_event', jsonb_build_object('event_id', $1::bigint, 'destination', 'crm'), 'deliver_crm', 10000, 'running', 1)`, ids[3])
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `update kvit.delivery set finished_at = now() - interval '2 days' where event_id = $1`, ids[7])
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `update kvit.event set occurred_at = now() - interval '9 days', order_ref = 'E2' where id = $1`, ids[7])
	require.NoError(t, err)

	preview := func(r store.Replay) []string {
		r.Destination = "crm"
		list, err := store.PreviewReplay(t.Context(), tx, r, time.Now().AddDate(0, 0, -7))
		require.NoError(t, err)
		return summary(list)
	}
	failed := []string{"failed"}
	yesterday, ago3 := time.Now().AddDate(0, 0, -1), time.Now().AddDate(0, 0, -3)
	skipped := []string{
		"1 failed (because) " + store.SkippedPending,
		"1 failed (because) " + store.SkippedErased,
		"1 failed (because) " + store.SkippedUnclear,
	}
	require.ElementsMatch(t, append([]string{"2 failed (because) "}, skipped...), preview(store.Replay{Outcomes: failed}))
	require.ElementsMatch(t, append([]string{"1 failed (because) "}, skipped...), preview(store.Replay{Outcomes: failed, Since: &yesterday}))
	require.Equal(t, []string{"1 failed (because) "}, preview(store.Replay{Outcomes: failed, Since: &ago3, Until: &yesterday}))
	require.Equal(t, []string{"1 failed (because) "}, preview(store.Replay{Outcomes: failed, OrderRef: "E2"}))
	require.Equal(t, []string{"1 failed (because) "}, preview(store.Replay{Outcomes: failed, Events: ids[2:3], IncludeUnclear: true}))
	require.ElementsMatch(t, []string{
		"1 rejected (because) ", "1 delivered (because) " + store.SkippedOutcome, "1 erased (because) " + store.SkippedErased,
	}, preview(store.Replay{Outcomes: []string{"rejected", "erased"}, Events: ids[4:7]}))

	list, err := store.PreviewReplay(t.Context(), tx, store.Replay{Destination: "crm", Outcomes: failed, OrderRef: "E2"}, time.Now().AddDate(0, 0, -7))
	require.NoError(t, err)
	require.EqualValues(t, 1, list[0].TooOld)
	require.WithinDuration(t, time.Now().AddDate(0, 0, -9), *list[0].Oldest, 2*time.Hour)

	done, err := store.ReplayStep(t.Context(), tx, store.Replay{Destination: "crm", Outcomes: failed}, step)
	require.NoError(t, err)
	require.Equal(t, 2, done.Events)
	require.Equal(t, []int64{ids[0], ids[3], ids[7]}, jobsOf(t, tx, "crm"), "that of the middle one was there before")
	require.Empty(t, jobsOf(t, tx, "other"))
}

// Steps end where the next begins.
func TestReplayInSteps(t *testing.T) {
	t.Parallel()
	tx := storetest.Tx(t)
	step := audit(t, tx, "replay")
	ids := receipts(t, tx, "failed", "failed", "failed")
	step.Limit = 2
	replay := store.Replay{Destination: "crm", Outcomes: []string{"failed"}}
	done, err := store.ReplayStep(t.Context(), tx, replay, step)
	require.NoError(t, err)
	require.Equal(t, store.Stepped{Events: 2, Last: ids[1]}, done)
	// What failed again at once is not taken by the next step.
	_, err = tx.Exec(t.Context(), `
		update kvit.river_job set state = 'cancelled', finalized_at = now() where finalized_at is null`)
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `insert into kvit.delivery (event_id, destination, outcome, attempts) values ($1, 'crm', 'failed', 1)`, ids[0])
	require.NoError(t, err)
	step.After = done.Last
	done, err = store.ReplayStep(t.Context(), tx, replay, step)
	require.NoError(t, err)
	require.Equal(t, store.Stepped{Events: 1, Last: ids[2]}, done)
	require.Equal(t, 3, number(t, tx, `select events from kvit.delivery_action`))
}

// The job that ended as cancelled with the first receipt must not end the replay as "abandoned".
func TestReplayIsNotTakenForAbandoned(t *testing.T) {
	t.Parallel()
	tx := storetest.Tx(t)
	step := audit(t, tx, "replay")
	id := receipts(t, tx, "rejected")[0]
	_, err := tx.Exec(t.Context(), `
		insert into kvit.river_job (kind, args, queue, max_attempts, state, finalized_at)
		values ('deliver_event', jsonb_build_object('event_id', $1::bigint, 'destination', 'crm'), 'deliver_crm', 10000, 'cancelled', now())`, id)
	require.NoError(t, err)
	_, err = store.ReplayStep(t.Context(), tx, store.Replay{Destination: "crm", Outcomes: []string{"rejected"}}, step)
	require.NoError(t, err)
	abandoned, err := store.SettleAbandoned(t.Context(), tx)
	require.NoError(t, err)
	require.Zero(t, abandoned)
	require.Equal(t, []int64{id}, jobsOf(t, tx, "crm"))
}

func TestNothingIsSentToADestinationThatIsNotServed(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]string{
		"Disabled": `enabled = false`, "Gone": `disabled_at = now()`, "Removed": `removed_at = now()`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tx := storetest.Tx(t)
			step := audit(t, tx, "replay")
			receipts(t, tx, "failed")
			_, err := tx.Exec(t.Context(), `update kvit.destination set `+change)
			require.NoError(t, err)
			_, err = store.ReplayStep(t.Context(), tx, store.Replay{Destination: "crm", Outcomes: []string{"failed"}}, step)
			require.ErrorIs(t, err, store.ErrNotServed)
			require.Equal(t, 1, number(t, tx, `select count(*) from kvit.delivery`), "the receipt stays")
		})
	}
}

// River hears of the jobs if the destination has told it to listen.
func TestReplayNotifies(t *testing.T) {
	t.Parallel()
	db := storetest.DB(t)
	step := audit(t, db, "replay")
	listener, err := db.Acquire(t.Context())
	require.NoError(t, err)
	defer listener.Release()
	_, err = listener.Exec(t.Context(), `listen "kvit.river_insert"`)
	require.NoError(t, err)
	replay := store.Replay{Destination: "crm", Outcomes: []string{"failed"}}
	for _, notify := range []bool{false, true} {
		_, err = db.Exec(t.Context(), `update kvit.destination set notify = $1, disabled_reason = $2`, notify, fmt.Sprint(notify))
		require.NoError(t, err)
		receipts(t, db, "failed", "failed")
		done, err := store.ReplayStep(t.Context(), db, replay, step)
		require.NoError(t, err)
		require.Equal(t, 2, done.Events)
	}
	_, err = db.Exec(t.Context(), `notify "kvit.river_insert", 'the end'`)
	require.NoError(t, err)
	var heard []string
	for len(heard) == 0 || heard[len(heard)-1] != "the end" {
		notification, err := listener.Conn().WaitForNotification(t.Context())
		require.NoError(t, err)
		heard = append(heard, notification.Payload)
	}
	require.Equal(t, []string{`{"queue" : "deliver_crm"}`, "the end"}, heard)
}

// Two operators at once: each event gets one job, and one of them has it in the audit.
func TestActionsAtOnceDoNotDouble(t *testing.T) {
	t.Parallel()
	db := storetest.DB(t)
	step := audit(t, db, "replay")
	failed := make([]string, 40)
	for i := range failed {
		failed[i] = "failed"
	}
	ids := receipts(t, db, failed...)
	_, err := db.Exec(t.Context(), `
		insert into kvit.event (event_key, name, occurred_at, payload, consent)
		select 'custom:' || i, 'custom:a', now(), '{}', '{}' from generate_series(1, 40) i`)
	require.NoError(t, err)
	step.Limit = 7
	var (
		group sync.WaitGroup
		mu    sync.Mutex
		total int
	)
	for i := range 6 {
		group.Go(func() {
			step := step
			for {
				var done store.Stepped
				var err error
				if i%2 == 0 {
					done, err = store.ReplayStep(t.Context(), db, store.Replay{Destination: "crm", Outcomes: []string{"failed"}}, step)
				} else {
					done, err = store.BackfillStep(t.Context(), db, store.Backfill{Destination: "crm", From: time.Now().Add(-time.Hour)}, step)
				}
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				total += done.Events
				mu.Unlock()
				if done.Events < step.Limit {
					return
				}
				step.After = done.Last
			}
		})
	}
	group.Wait()
	require.Equal(t, 80, total)
	require.Len(t, jobsOf(t, db, "crm"), 80)
	require.Equal(t, 80, number(t, db, `select count(distinct kvit.job_event_id(args)) from kvit.river_job`))
	require.Equal(t, len(ids), number(t, db, `select count(*) from kvit.replayed_delivery`))
	require.Equal(t, 80, number(t, db, `select events from kvit.delivery_action`))
}

func TestBackfill(t *testing.T) {
	t.Parallel()
	tx := storetest.Tx(t)
	step := audit(t, tx, "backfill")
	_, err := tx.Exec(t.Context(), `
		insert into kvit.event (event_key, name, occurred_at, payload, consent, erased_at, defect) values
		    ('wanted', 'order_placed', now() - interval '1 h', '{}', '{}', null, null),
		    ('own', 'custom:a', now() - interval '2 h', '{}', '{}', null, null),
		    ('own-too', 'custom:a', now() - interval '3 h', '{}', '{}', null, null),
		    ('not-wanted', 'search', now() - interval '1 h', '{}', '{}', null, null),
		    ('old', 'order_placed', now() - interval '9 d', '{}', '{}', null, null),
		    ('new', 'order_placed', now() + interval '1 h', '{}', '{}', null, null),
		    ('gone', 'order_placed', now() - interval '1 h', null, '{}', now(), null),
		    ('defective', 'order_placed', now() - interval '1 h', '{}', '{}', null, 'event_key: is missing');
		insert into kvit.tracking_event (event_key, name, occurred_at) values ('has-job', 'order_placed', now() - interval '1 h')`)
	require.NoError(t, err)
	receipts(t, tx, "delivered")
	until := time.Now()
	b := store.Backfill{Destination: "crm", From: time.Now().AddDate(0, 0, -1), Until: &until}

	list, err := store.PreviewBackfill(t.Context(), tx, b, time.Now().Add(-150*time.Minute))
	require.NoError(t, err)
	require.ElementsMatch(t, []string{
		"2 custom:a () ", "1 order_placed () ", "1 order_placed () " + store.SkippedErased, "1 order_placed () " + store.SkippedDefect,
	}, summary(list))
	require.EqualValues(t, 1, list[0].TooOld)

	before := jobsOf(t, tx, "crm")
	require.Len(t, before, 1)
	step.Limit = 2
	done, err := store.BackfillStep(t.Context(), tx, b, step)
	require.NoError(t, err)
	require.Equal(t, 2, done.Events)
	step.After = done.Last
	done, err = store.BackfillStep(t.Context(), tx, b, step)
	require.NoError(t, err)
	require.Equal(t, 1, done.Events)
	require.Equal(t, 4, number(t, tx, `
		select count(*) from kvit.river_job j join kvit.event e on e.id = kvit.job_event_id(j.args)
		where j.args ->> 'destination' = 'crm' and e.event_key in ('wanted', 'own', 'own-too', 'has-job')`))
	require.Len(t, jobsOf(t, tx, "other"), 1, "the trigger's")
	list, err = store.PreviewBackfill(t.Context(), tx, b, time.Time{})
	require.NoError(t, err)
	require.Len(t, list, 2, "nothing but what is skipped is left")
}

func TestCancel(t *testing.T) {
	t.Parallel()
	tx := storetest.Tx(t)
	step := audit(t, tx, "cancel")
	_, err := tx.Exec(t.Context(), `
		insert into kvit.tracking_event (event_key, name, order_ref) values
		    ('untried', 'order_placed', 'E1'), ('refused', 'order_placed', 'E1'), ('unclear', 'order_placed', 'E1'),
		    ('crashed', 'order_placed', 'E1'), ('running', 'order_placed', 'E1'), ('another', 'order_placed', 'E2');
		update kvit.river_job j set state = case when e.event_key = 'running' then 'running' else 'retryable' end::kvit.river_job_state, attempt = 2,
		       attempted_at = now(), errors = case e.event_key
		           when 'refused' then array['{"at": "2026-01-02T03:04:05Z", "error": "connection refused; not taken"}'::jsonb]
		           when 'unclear' then array['{"at": "2026-01-02T03:04:05Z", "error": "connection refused; not taken"}'::jsonb,
		                                     '{"at": "2026-01-02T03:05:05Z", "error": "no answer within the timeout"}'] end
		from kvit.event e where e.id = kvit.job_event_id(j.args);
		insert into kvit.delivery_attempt (event_id, destination) select id, 'crm' from kvit.event where event_key = 'crashed'`)
	require.NoError(t, err)
	x := store.Cancel{Destination: "crm", OrderRef: "E1"}
	list, err := store.PreviewCancel(t.Context(), tx, x)
	require.NoError(t, err)
	require.Equal(t, []string{"4 order_placed () ", "1 order_placed () " + store.SkippedRunning}, summary(list))

	step.Limit = 3
	done, err := store.CancelStep(t.Context(), tx, x, step)
	require.NoError(t, err)
	require.Equal(t, 3, done.Events)
	step.After = done.Last
	done, err = store.CancelStep(t.Context(), tx, x, step)
	require.NoError(t, err)
	require.Equal(t, 1, done.Events)

	rows, _ := tx.Query(t.Context(), `
		select e.event_key || ' ' || d.outcome || ' ' || d.reason || ' ' || d.attempts || ' ' || d.unclear
		from kvit.delivery d join kvit.event e on e.id = d.event_id order by e.id`)
	got, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Equal(t, []string{
		"untried failed cancelled by an operator 2 false", "refused failed cancelled by an operator 2 false",
		"unclear failed cancelled by an operator 2 true", "crashed failed cancelled by an operator 2 true",
	}, got)
	require.Equal(t, 2, number(t, tx, `select count(*) from kvit.delivery where first_attempt_at = '2026-01-02 03:04:05Z'`))
	require.Equal(t, 4, number(t, tx, `
		select count(*) from kvit.river_job where state = 'cancelled' and finalized_at is not null and metadata ? 'cancel_attempted_at'`))
	require.Len(t, jobsOf(t, tx, "crm"), 2)
	require.Len(t, jobsOf(t, tx, "other"), 6)
	require.Zero(t, number(t, tx, `select count(*) from kvit.delivery_attempt`))
	require.Equal(t, 4, number(t, tx, `select events from kvit.delivery_action`))
}

func TestReadTarget(t *testing.T) {
	t.Parallel()
	tx := storetest.Tx(t)
	audit(t, tx, "replay")
	target, err := store.ReadTarget(t.Context(), tx, "crm")
	require.NoError(t, err)
	require.Equal(t, store.Target{Kind: "webhook", EventNames: []string{"order_placed", "custom:*"}, Enabled: true}, target)
	_, err = tx.Exec(t.Context(), `update kvit.destination set removed_at = now(), disabled_at = now()`)
	require.NoError(t, err)
	target, err = store.ReadTarget(t.Context(), tx, "crm")
	require.NoError(t, err)
	require.True(t, target.Removed && target.Gone)
	_, err = store.ReadTarget(t.Context(), tx, "nowhere")
	require.ErrorIs(t, err, store.ErrNotFound)
}

func TestActionsNameTheirOperator(t *testing.T) {
	t.Parallel()
	tx := storetest.Tx(t)
	id, err := store.BeginAction(t.Context(), tx, store.Action{
		Action: "replay", Destination: "crm", Reason: "ticket 7", Selection: store.Replay{Destination: "crm", Events: []int64{7}},
	})
	require.NoError(t, err)
	require.Equal(t, 1, number(t, tx, `
		select count(*) from kvit.delivery_action
		where id = $1 and operator = current_user and reason = 'ticket 7' and selection -> 'events' = '[7]'`, id))
}

// The audit goes when receipts of its age do.
func TestActionsArePurged(t *testing.T) {
	t.Parallel()
	tx := storetest.Tx(t)
	step := audit(t, tx, "replay")
	receipts(t, tx, "failed")
	_, err := store.ReplayStep(t.Context(), tx, store.Replay{Destination: "crm", Outcomes: []string{"failed"}}, step)
	require.NoError(t, err)
	_, err = store.BeginAction(t.Context(), tx, store.Action{Action: "cancel", Destination: "crm", Selection: store.Cancel{}})
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `update kvit.delivery_action set done_at = now() - interval '400 days' where action = 'replay'`)
	require.NoError(t, err)

	purged, err := store.PurgeEvents(t.Context(), tx, time.Now().AddDate(0, 0, -401), 10)
	require.NoError(t, err)
	require.Zero(t, purged)
	require.Equal(t, 2, number(t, tx, `select count(*) from kvit.delivery_action`))
	_, err = store.PurgeEvents(t.Context(), tx, time.Now().AddDate(0, 0, -399), 10)
	require.NoError(t, err)
	require.Equal(t, 1, number(t, tx, `select count(*) from kvit.delivery_action where action = 'cancel'`))
	require.Equal(t, 1, number(t, tx, `select count(*) from kvit.delivery_action`))
	require.Zero(t, number(t, tx, `select count(*) from kvit.replayed_delivery`))
}
