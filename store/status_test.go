package store_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"kvit/destination"
	"kvit/store"
	"kvit/store/storetest"
)

// manyDeliveries has 15,000 events: receipts of 3,000 of them at crm and mail, and jobs of 12,000, of which every third
// has failed once.
func manyDeliveries(t *testing.T) pgx.Tx {
	t.Helper()
	tx := storetest.Tx(t)
	addDestinations(t, tx,
		store.Destination{Name: "crm", Kind: "webhook", Enabled: true, EventNames: destination.Names},
		store.Destination{Name: "mail", Kind: "spread", Enabled: true, EventNames: destination.Names})
	mustExec(t, tx, `
		insert into kvit.event (event_key, name, occurred_at, order_ref, consent)
		select 'order_paid:E' || i, 'order_paid', now(), 'E' || i, '{}' from generate_series(1, 15000) i;
		insert into kvit.delivery (event_id, destination, outcome, attempts)
		select e.id, d.name, 'delivered', 1 from (select id from kvit.event order by id limit 3000) e, kvit.destination d;
		insert into kvit.river_job (kind, args, queue, state, errors)
		select 'deliver_event', jsonb_build_object('event_id', e.id, 'destination', 'crm'), 'deliver_crm', 'available',
		       case when e.id % 3 = 0 then array['{"error": "HTTP 500"}'::jsonb] end
		from kvit.event e where e.id > (select max(event_id) from kvit.delivery);
		insert into kvit.river_job (kind, args, queue, state)
		select 'deliver_event', jsonb_build_object('event_id', e.id, 'destination', 'mail'), 'deliver_mail', 'available'
		from (select id from kvit.event order by id desc limit 7) e;
		analyze kvit.event, kvit.delivery, kvit.river_job`)
	return tx
}

func plan(t *testing.T, tx pgx.Tx, statement string) string {
	t.Helper()
	rows, _ := tx.Query(t.Context(), `explain (costs off) `+statement)
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return strings.Join(lines, "\n")
}

// Whatever the tables' size: the newest come from the end of two indexes, those of one event or order by other indexes.
func TestDeliveryStatusReadsNoWholeTable(t *testing.T) {
	t.Parallel()
	tx := manyDeliveries(t)
	newest := plan(t, tx, `select * from kvit.delivery_status order by event_id desc limit 5`)
	require.Contains(t, newest, "Merge Append")
	require.NotContains(t, newest, "Seq Scan")
	require.NotContains(t, newest, "->  Sort")
	for _, condition := range []string{`event_id = 7`, `event_key = 'order_paid:E7'`, `order_ref = 'E7'`} {
		one := plan(t, tx, `select * from kvit.delivery_status where `+condition)
		require.NotContains(t, one, "Seq Scan", condition)
	}
	waiting := plan(t, tx, `select from kvit.event e where not exists (
		select from kvit.river_job p
		where kvit.job_event_id(p.args) = e.id and p.kind = 'deliver_event' and p.finalized_at is null and p.args ->> 'destination' = 'crm' offset 0)`)
	require.Contains(t, waiting, "river_job_pending_event", "no other index finds one event's job among all of a destination")
	for state, index := range map[string]string{"lost": "delivery_trouble", "rejected": "delivery_trouble"} {
		require.Contains(t, plan(t, tx, `select * from kvit.delivery_status where state = '`+state+`'`), index)
	}
}

// The oldest jobs of a destination, which `kvit status` counts up to a bound, can be had from an index in their order: in the
// table they can stand behind all others'.
func TestPendingIsCountedAlongAnIndex(t *testing.T) {
	t.Parallel()
	p := &planner{Tx: manyDeliveries(t), t: t}
	mustExec(t, p, `set local enable_sort = off`)
	_, err := store.DestinationStatuses(t.Context(), p)
	require.NoError(t, err)
	require.Contains(t, p.plans[0], "river_job_pending_queue on river_job j ")
}

// Up to 10,000 are counted, more are an estimate that says so.
func TestPendingSaysHowExactItIs(t *testing.T) {
	t.Parallel()
	tx := manyDeliveries(t)
	list, err := store.DestinationStatuses(t.Context(), tx)
	require.NoError(t, err)
	require.Len(t, list, 2)
	crm, mail := list[0], list[1]
	require.False(t, crm.PendingExact)
	require.InDelta(t, 12000, crm.Pending, 2400)
	require.InDelta(t, 4000, crm.Retrying, 1500)
	require.NotNil(t, crm.OldestPending)
	require.True(t, mail.PendingExact)
	require.Equal(t, []int64{7, 0}, []int64{mail.Pending, mail.Retrying})

	outcomes, err := store.OutcomeCounts(t.Context(), tx)
	require.NoError(t, err)
	require.Equal(t, []store.OutcomeCount{
		{Destination: "crm", Outcome: "delivered", Count: 3000, Exact: true}, {Destination: "mail", Outcome: "delivered", Count: 3000, Exact: true},
	}, outcomes)
}

// Consent that nobody understood is no plain no: it has a count of its own.
func TestUnreadConsentIsCounted(t *testing.T) {
	t.Parallel()
	tx, ids := lostBench(t)
	for i, reason := range []string{"no consent for marketing", "consent is not understood: it is no object of purposes", "consent is not understood: marketing is neither true nor false"} {
		conclude(t, tx, store.Delivery{EventID: ids[i], Destination: "crm", Outcome: "withheld", Reason: reason})
	}
	mustExec(t, tx, `update kvit.delivery set finished_at = now() - interval '2 days' where event_id = $1`, ids[2])
	list, err := store.DestinationStatuses(t.Context(), tx)
	require.NoError(t, err)
	require.EqualValues(t, 1, list[0].UnreadConsent)
}
