package store_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"kvit/destination"
	"kvit/store"
	"kvit/store/storetest"
)

// lostBench has three events that crm and mail want, which came ten minutes ago.
func lostBench(t *testing.T) (tx pgx.Tx, ids []int64) {
	t.Helper()
	tx = storetest.Tx(t)
	addDestinations(t, tx,
		store.Destination{Name: "crm", Kind: "webhook", Enabled: true, EventNames: destination.Names},
		store.Destination{Name: "mail", Kind: "spread", Enabled: true, EventNames: destination.Names})
	for i := range 3 {
		_, err := insertEvent(t.Context(), tx, fmt.Sprintf("order_paid:E%d", i), "order_paid", fmt.Sprintf("E%d", i), `{}`)
		require.NoError(t, err)
	}
	mustExec(t, tx, `update kvit.event set received_at = now() - interval '10 minutes'`)
	return tx, eventIDs(t, tx)
}

// conclude writes receipts and returns the jobs that went with them.
func conclude(t *testing.T, tx pgx.Tx, list ...store.Delivery) []int64 {
	t.Helper()
	gone, err := store.SettleDeliveries(t.Context(), tx, list)
	require.NoError(t, err)
	return gone
}

// states are those of the deliveries to crm, as an operator reads them.
func states(t *testing.T, tx pgx.Tx) []string {
	t.Helper()
	rows, _ := tx.Query(t.Context(), `select coalesce(state || coalesce(': ' || last_error, ''), '') from kvit.delivery_status where destination = 'crm' order by event_id`)
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return list
}

const deleted = "lost: its job was deleted before it could end"

func replayLost(t *testing.T, tx pgx.Tx) store.Stepped {
	t.Helper()
	action, err := store.BeginAction(t.Context(), tx, store.Action{Action: "replay", Destination: "crm"})
	require.NoError(t, err)
	stepped, err := store.ReplayStep(t.Context(), tx, store.Replay{Destination: "crm", Outcomes: []string{"lost"}}, store.Step{Action: action, Limit: 100})
	require.NoError(t, err)
	return stepped
}

// River's pages delete a job with this statement's effect.
func TestDeletedJobIsALostDelivery(t *testing.T) {
	t.Parallel()
	tx, ids := lostBench(t)
	mustExec(t, tx, `delete from kvit.river_job where state <> 'running' and args ->> 'destination' = 'crm' and kvit.job_event_id(args) = any ($1)`, ids[:2])
	require.Equal(t, []string{deleted, deleted, "pending"}, states(t, tx))
	counts, err := store.LostDeliveries(t.Context(), tx)
	require.NoError(t, err)
	require.Equal(t, []store.LostCount{{Destination: "crm", Deliveries: 2}}, counts)
	status, err := store.DestinationStatuses(t.Context(), tx)
	require.NoError(t, err)
	require.Equal(t, []int64{2, 0}, []int64{status[0].Lost, status[1].Lost})

	require.Equal(t, store.Stepped{Events: 2, Last: ids[1]}, replayLost(t, tx))
	require.Equal(t, []string{"pending", "pending", "pending"}, states(t, tx))
}

func TestTruncatedJobsAreLostDeliveries(t *testing.T) {
	t.Parallel()
	tx, ids := lostBench(t)
	conclude(t, tx, store.Delivery{EventID: ids[0], Destination: "crm", Outcome: "delivered"})
	mustExec(t, tx, `truncate kvit.river_job`)
	require.Equal(t, []string{"delivered", deleted, deleted}, states(t, tx))
}

// What nobody is waiting for any more is not lost: River clears finished jobs away.
func TestClearedJobsAreNotLost(t *testing.T) {
	t.Parallel()
	tx, ids := lostBench(t)
	for i, outcome := range []string{"delivered", "failed", "rejected"} {
		conclude(t, tx, store.Delivery{EventID: ids[i], Destination: "crm", Outcome: outcome})
	}
	mustExec(t, tx, `update kvit.river_job set state = case when kvit.job_event_id(args) = $1 then 'completed' else 'cancelled' end::kvit.river_job_state, finalized_at = now()
		where args ->> 'destination' = 'crm'`, ids[0])
	mustExec(t, tx, `delete from kvit.river_job where finalized_at is not null`)
	_, err := store.FindLost(t.Context(), tx)
	require.NoError(t, err)
	require.Equal(t, []string{"delivered", "failed", "rejected"}, states(t, tx))
}

func jobOf(t *testing.T, db store.DB, event int64) (id int64) {
	t.Helper()
	require.NoError(t, db.QueryRow(t.Context(), `
		select id from kvit.river_job where kvit.job_event_id(args) = $1 and args ->> 'destination' = 'crm'`, event).Scan(&id))
	return id
}

// The receipt and the end of the job are one; a job that is deleted by another statement is lost, also in the same
// transaction.
func TestJobGoesWithItsReceipt(t *testing.T) {
	t.Parallel()
	tx, ids := lostBench(t)
	mustExec(t, tx, `update kvit.river_job set state = 'running', attempt = 1, attempted_at = now()`)
	job, other := jobOf(t, tx, ids[0]), jobOf(t, tx, ids[1])
	gone := conclude(t, tx,
		store.Delivery{EventID: ids[0], Destination: "crm", Outcome: "delivered", JobID: job},
		store.Delivery{EventID: ids[2], Destination: "crm", Outcome: "rejected"})
	require.Equal(t, []int64{job}, gone)
	mustExec(t, tx, `delete from kvit.river_job where id = $1`, other)
	require.Equal(t, []string{"delivered", deleted, "rejected"}, states(t, tx))
	var left int
	require.NoError(t, tx.QueryRow(t.Context(), `select count(*) from kvit.river_job where args ->> 'destination' = 'crm'`).Scan(&left))
	require.Equal(t, 1, left, "that of the rejected one")
}

func TestJobIsKeptAsCompleted(t *testing.T) {
	t.Parallel()
	tx, ids := lostBench(t)
	running, retryable := jobOf(t, tx, ids[0]), jobOf(t, tx, ids[1])
	mustExec(t, tx, `update kvit.river_job set state = 'running', attempt = 1, attempted_at = now() where id = $1`, running)
	require.Equal(t, []int64{running}, conclude(t, tx,
		store.Delivery{EventID: ids[0], Destination: "crm", Outcome: "delivered", JobID: running, KeepJob: true},
		store.Delivery{EventID: ids[1], Destination: "crm", Outcome: "delivered", JobID: retryable, KeepJob: true}), "the other is not at work")
	var state string
	require.NoError(t, tx.QueryRow(t.Context(), `select state::text from kvit.river_job where id = $1 and finalized_at is not null`, running).Scan(&state))
	require.Equal(t, "completed", state)
}

// An operator's open transaction has a job; the receipt of its event, and those of a hundred others, are written all the same.
func TestReceiptsDoNotWaitForAJob(t *testing.T) {
	t.Parallel()
	pool := storetest.DB(t)
	addDestinations(t, pool, store.Destination{Name: "crm", Kind: "webhook", Enabled: true, EventNames: destination.Names})
	var list []store.Delivery
	for i := range 2 {
		_, err := insertEvent(t.Context(), pool, fmt.Sprintf("order_paid:E%d", i), "order_paid", "E", `{}`)
		require.NoError(t, err)
	}
	for _, id := range eventIDs(t, pool) {
		list = append(list, store.Delivery{EventID: id, Destination: "crm", Outcome: "delivered", JobID: jobOf(t, pool, id)})
	}
	operator, err := pool.Begin(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = operator.Rollback(context.Background()) })
	mustExec(t, operator, `select from kvit.river_job where id = $1 for update`, list[0].JobID)
	gone, err := store.SettleDeliveries(t.Context(), pool, list)
	require.NoError(t, err)
	require.Equal(t, []int64{list[1].JobID}, gone)
	var receipts int
	require.NoError(t, pool.QueryRow(t.Context(), `select count(*) from kvit.delivery where outcome = 'delivered'`).Scan(&receipts))
	require.Equal(t, 2, receipts)
}

// passTriggers runs a statement as a restore of some of the tables would.
func passTriggers(t *testing.T, tx pgx.Tx, statement string, args ...any) {
	t.Helper()
	mustExec(t, tx, `set local session_replication_role = replica`)
	mustExec(t, tx, statement, args...)
	mustExec(t, tx, `set local session_replication_role = origin`)
}

func TestLostDeliveryIsFoundWithoutTheTrigger(t *testing.T) {
	t.Parallel()
	tx, ids := lostBench(t)
	passTriggers(t, tx, `delete from kvit.river_job where args ->> 'destination' = 'crm' and kvit.job_event_id(args) = $1`, ids[1])
	require.Equal(t, []string{"pending", "pending"}, states(t, tx), "nobody knows yet")
	for _, want := range []int{1, 0} {
		lost, err := store.FindLost(t.Context(), tx)
		require.NoError(t, err)
		require.Equal(t, want, lost)
	}
	require.Equal(t, []string{"pending", "lost: it had neither receipt nor job", "pending"}, states(t, tx))
	require.Equal(t, 1, replayLost(t, tx).Events)
}

// The look at new events does not go beyond one that is younger than five minutes, and the look at all comes back to one
// whose transaction committed late, or whose job was deleted after it had been seen.
func TestLookForLostDeliveries(t *testing.T) {
	t.Parallel()
	tx, ids := lostBench(t)
	upto := func() (fresh, all int64) {
		require.NoError(t, tx.QueryRow(t.Context(), `select new_upto, all_upto from kvit.delivery_lookout`).Scan(&fresh, &all))
		return fresh, all
	}
	find := func() int {
		lost, err := store.FindLost(t.Context(), tx)
		require.NoError(t, err)
		return lost
	}
	mustExec(t, tx, `update kvit.event set received_at = now() where id = $1`, ids[1])
	require.Zero(t, find())
	fresh, _ := upto()
	require.Equal(t, ids[1]-1, fresh)
	mustExec(t, tx, `update kvit.event set received_at = now() - interval '10 minutes'`)
	require.Zero(t, find())
	fresh, all := upto()
	require.Equal(t, []int64{ids[2], ids[2]}, []int64{fresh, all})

	passTriggers(t, tx, `delete from kvit.river_job where args ->> 'destination' = 'crm' and kvit.job_event_id(args) = $1`, ids[0])
	require.Zero(t, find(), "this round ends the look at all")
	require.Equal(t, 1, find())
}

// Of a destination that is new, or was off, an event is not wanted until somebody sends it.
func TestEventsOfBeforeADestinationAreNotLost(t *testing.T) {
	t.Parallel()
	tx, ids := lostBench(t)
	late := store.Destination{Name: "late", Kind: "webhook", Enabled: true, EventNames: destination.Names}
	addDestinations(t, tx, late)
	find := func() int {
		lost, err := store.FindLost(t.Context(), tx)
		require.NoError(t, err)
		return lost
	}
	require.Zero(t, find())
	action, err := store.BeginAction(t.Context(), tx, store.Action{Action: "backfill", Destination: "late"})
	require.NoError(t, err)
	stepped, err := store.BackfillStep(t.Context(), tx, store.Backfill{Destination: "late", From: time.Now().Add(-time.Hour)}, store.Step{Action: action, Limit: 100})
	require.NoError(t, err)
	require.Equal(t, len(ids), stepped.Events)
	passTriggers(t, tx, `delete from kvit.river_job where args ->> 'destination' = 'late' and kvit.job_event_id(args) = $1`, ids[0])
	require.Zero(t, find(), "this round ends the look at all")
	require.Equal(t, 1, find())
}

// The job of a delivery was deleted while it ran: what became of it counts.
func TestReceiptReplacesLost(t *testing.T) {
	t.Parallel()
	tx, ids := lostBench(t)
	mustExec(t, tx, `delete from kvit.river_job where args ->> 'destination' = 'crm'`)
	events, err := store.Events(t.Context(), tx, "crm", ids, 1000)
	require.NoError(t, err)
	require.False(t, events[0].Settled)
	conclude(t, tx, store.Delivery{EventID: ids[0], Destination: "crm", Outcome: "delivered"})
	conclude(t, tx, store.Delivery{EventID: ids[0], Destination: "crm", Outcome: "failed"})
	require.Equal(t, []string{"delivered", deleted, deleted}, states(t, tx))
}

func TestLostDeliveriesOfErasedEventsAreErased(t *testing.T) {
	t.Parallel()
	tx, _ := lostBench(t)
	mustExec(t, tx, `delete from kvit.river_job where args ->> 'destination' = 'crm'`)
	_, err := store.EraseOrderEvents(t.Context(), tx, []string{"E0", "E1", "E2"}, time.Now())
	require.NoError(t, err)
	counts, err := store.LostDeliveries(t.Context(), tx)
	require.NoError(t, err)
	require.Empty(t, counts)
	require.Zero(t, replayLost(t, tx).Events)
}
