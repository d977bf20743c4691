package store_test

import (
	"crypto/sha256"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"kvit/store"
	"kvit/store/storetest"
)

// twoDestinations has events of three orders, and of none: E1 is delivered and rejected, E2 is tried again, E3 was replayed.
func twoDestinations(t *testing.T) pgx.Tx {
	t.Helper()
	tx := storetest.Tx(t)
	mustExec(t, tx, `
		insert into kvit.destination (name, kind, enabled, event_names, notify)
		values ('crm', 'webhook', true, '{order_paid,newsletter_optin}', false), ('ga4', 'ga4', true, '{order_paid}', false);
		insert into kvit.tracking_event (event_key, name, order_ref, payload)
		values ('order_paid:E1', 'order_paid', 'E1', '{}'), ('order_paid:E2', 'order_paid', 'E2', '{}'), ('order_paid:E3', 'order_paid', 'E3', '{}'),
		       ('newsletter_optin:7', 'newsletter_optin', null, '{}');
		with gone as (
		    delete from kvit.river_job j using kvit.event e
		    where kvit.job_event_id(j.args) = e.id and (e.order_ref in ('E1', 'E3') or e.order_ref is null or j.args ->> 'destination' = 'ga4')
		    returning e.id)
		select count(*) from gone;
		delete from kvit.delivery;
		insert into kvit.delivery (event_id, destination, outcome, reason, attempts, first_attempt_at, response_code)
		select id, d.name, d.outcome, d.reason, 1, now(), 200
		from kvit.event cross join (values ('crm', 'rejected', 'customer.email: is missing'), ('ga4', 'delivered', null)) d (name, outcome, reason)
		where order_ref = 'E1';
		update kvit.river_job j set state = 'retryable', attempt = 2, scheduled_at = now() + interval '1 minute',
		    errors = array['{"at": "2026-05-01T10:00:00Z", "attempt": 1, "error": "HTTP 500", "trace": "secret"}', '{"at": "2026-05-01T10:01:00Z", "attempt": 2, "error": "HTTP 502"}']::jsonb[]
		from kvit.event e where kvit.job_event_id(j.args) = e.id and e.order_ref = 'E2';
		insert into kvit.erp_receipt (order_ref, erp_order_number, source) values ('E2', 'SO-9', 'erp'), ('E9', 'SO-99', 'erp')`)
	return tx
}

func listed(t *testing.T, db store.DB, f store.OrderFilter) (refs []string) {
	t.Helper()
	list, err := store.ListOrders(t.Context(), db, f)
	require.NoError(t, err)
	for _, o := range list {
		refs = append(refs, o.OrderRef)
	}
	return refs
}

func TestListOrders(t *testing.T) {
	t.Parallel()
	tx := twoDestinations(t)
	first, err := store.EventByKey(t.Context(), tx, "order_paid:E2")
	require.NoError(t, err)
	for name, test := range map[string]struct {
		filter store.OrderFilter
		want   []string
	}{
		"Newest":            {store.OrderFilter{}, []string{"E3", "E2", "E1"}},
		"Before":            {store.OrderFilter{Before: first}, []string{"E1"}},
		"Rejected":          {store.OrderFilter{State: "rejected"}, []string{"E1"}},
		"RejectedElsewhere": {store.OrderFilter{State: "rejected", Destination: "ga4"}, nil},
		"Delivered":         {store.OrderFilter{State: "delivered", Destination: "ga4"}, []string{"E1"}},
		"DeliveredAnywhere": {store.OrderFilter{State: "delivered"}, []string{"E1"}},
		"Retrying":          {store.OrderFilter{State: "retrying"}, []string{"E2"}},
		"Pending":           {store.OrderFilter{State: "pending"}, nil},
		"NoSuchState":       {store.OrderFilter{State: "x"}, nil},
		"Destination":       {store.OrderFilter{Destination: "ga4"}, []string{"E3", "E2", "E1"}},
		"NoSuchDestination": {store.OrderFilter{Destination: "x"}, nil},
		"Reference":         {store.OrderFilter{Search: " E2 "}, []string{"E2"}},
		"EventKey":          {store.OrderFilter{Search: "order_paid:E3"}, []string{"E3"}},
		"Number":            {store.OrderFilter{Search: "SO-9"}, []string{"E2"}},
		"EvidenceAlone":     {store.OrderFilter{Search: "SO-99"}, []string{"E9"}},
		"Nothing":           {store.OrderFilter{Search: "SO"}, nil},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, test.want, listed(t, tx, test.filter)) })
	}
}

func TestOrderCells(t *testing.T) {
	t.Parallel()
	tx := twoDestinations(t)
	mustExec(t, tx, `
		insert into kvit.event (event_key, name, occurred_at, order_ref, consent) values ('order_shipped:E1', 'order_shipped', now(), 'E1', '{}');
		insert into kvit.delivery (event_id, destination, outcome, attempts) select id, 'crm', 'delivered', 1 from kvit.event where name = 'order_shipped'`)
	cells, err := store.OrderCells(t.Context(), tx, []string{"E2", "E1"}, "")
	require.NoError(t, err)
	require.Len(t, cells, 3)
	require.Equal(t, "E2", cells[0].OrderRef)
	require.Equal(t, "retrying", cells[0].State)
	require.Equal(t, "HTTP 502", *cells[0].Reason)
	require.Equal(t, "rejected", cells[1].State, "it needs somebody, the later event does not")
	require.Equal(t, 2, cells[1].Events)
	require.Equal(t, 1, cells[1].Delivered)
	require.Equal(t, "ga4", cells[2].Destination)

	cells, err = store.OrderCells(t.Context(), tx, []string{"E2", "E1"}, "ga4")
	require.NoError(t, err)
	require.Len(t, cells, 1)
}

func TestRounds(t *testing.T) {
	t.Parallel()
	tx := twoDestinations(t)
	mustExec(t, tx, `
		with action as (
		    insert into kvit.delivery_action (action, destination, operator, reason, selection, events) values ('replay', 'crm', 'ops', 'new key', '{}', 1)
		    returning id)
		insert into kvit.replayed_delivery (action_id, event_id, outcome, reason, attempts, finished_at, unclear)
		select action.id, e.id, 'failed', 'no success', 4, now(), false from action, kvit.event e where e.order_ref = 'E2'`)
	id, err := store.EventByKey(t.Context(), tx, "order_paid:E2")
	require.NoError(t, err)
	rounds, err := store.Rounds(t.Context(), tx, []int64{id})
	require.NoError(t, err)
	require.Len(t, rounds, 2)
	require.Equal(t, "failed", rounds[0].State)
	require.Equal(t, 4, rounds[0].Attempts)
	require.Equal(t, "new key", *rounds[0].ReplayedReason)
	require.Equal(t, "retrying", rounds[1].State)
	require.Equal(t, []store.AttemptError{
		{Number: 1, At: time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC), Error: "HTTP 500"},
		{Number: 2, At: time.Date(2026, 5, 1, 10, 1, 0, 0, time.UTC), Error: "HTTP 502"},
	}, rounds[1].Errors)
}

func TestPartsOfAnOrder(t *testing.T) {
	t.Parallel()
	tx := twoDestinations(t)
	mustExec(t, tx, `
		insert into kvit.legal_hold (order_ref, reason, placed_by) values ('E2', 'dispute', 'ops');
		insert into kvit.erasure_certificate (number, order_ref, erased_at, erp_imported_at, policy_hash, row_counts, previous_hash, hash)
		values (1, 'E2', now(), now(), 'p', '{"public.orders": 1, "kvit.event": 2}', '', 'h')`)
	events, err := store.EventsOfOrder(t.Context(), tx, "E2")
	require.NoError(t, err)
	require.Len(t, events, 1)
	one, err := store.EventByID(t.Context(), tx, events[0].ID)
	require.NoError(t, err)
	require.Equal(t, events[0], one)
	_, err = store.EventByID(t.Context(), tx, -1)
	require.ErrorIs(t, err, store.ErrNotFound)
	evidence, err := store.EvidenceOfOrder(t.Context(), tx, "E2")
	require.NoError(t, err)
	require.Len(t, evidence, 1)
	require.Equal(t, "SO-9", *evidence[0].ERPOrderNumber)
	hold, err := store.HoldOfOrder(t.Context(), tx, "E2")
	require.NoError(t, err)
	require.Equal(t, "dispute", hold.Reason)
	certificates, err := store.CertificatesOfOrder(t.Context(), tx, "E2")
	require.NoError(t, err)
	require.EqualValues(t, 3, certificates[0].Rows)
	marks, err := store.MarksOfOrder(t.Context(), tx, "E2")
	require.NoError(t, err)
	require.Nil(t, marks, "no shop's table is configured")
}

// However many events there are, each part of the pages is read by an index.
func TestOrderPagesUseIndexes(t *testing.T) {
	t.Parallel()
	tx := storetest.Tx(t)
	mustExec(t, tx, `
		insert into kvit.destination (name, kind, enabled, event_names) values ('crm', 'webhook', true, '{order_paid}');
		insert into kvit.event (event_key, name, occurred_at, order_ref, consent, destinations)
		select 'order_paid:E' || i, 'order_paid', now(), 'E' || i, '{}', '{crm}' from generate_series(1, 30000) i;
		insert into kvit.delivery (event_id, destination, outcome, attempts)
		select id, 'crm', case when id % 10 = 0 then 'rejected' else 'delivered' end, 1 from kvit.event where id % 5 > 0 or id % 10 = 0;
		insert into kvit.river_job (kind, args, queue, max_attempts, state)
		select 'deliver_event', jsonb_build_object('event_id', id, 'destination', 'crm'), 'deliver_crm', 1, 'available' from kvit.event where id % 10 = 5;
		insert into kvit.erp_receipt (order_ref, erp_order_number, source) select 'E' || i, 'SO' || i, 'erp' from generate_series(1, 10000) i;
		analyze kvit.event, kvit.delivery, kvit.river_job, kvit.erp_receipt, kvit.destination`)
	var plans []string
	planned := func(read func(db store.DB) error) {
		p := &planner{Tx: tx, t: t} // each anew: a transaction within ends with it
		require.NoError(t, read(p))
		plans = append(plans, p.plans...)
	}
	for _, f := range []store.OrderFilter{{}, {State: "delivered"}, {State: "rejected"}, {State: "pending"}, {Search: "SO77"}} {
		planned(func(db store.DB) error { _, err := store.ListOrders(t.Context(), db, f); return err })
	}
	planned(func(db store.DB) error {
		_, err := store.OrderCells(t.Context(), db, []string{"E1", "E2", "E3"}, "")
		return err
	})
	planned(func(db store.DB) error { _, err := store.EventsOfOrder(t.Context(), db, "E7"); return err })
	planned(func(db store.DB) error { _, err := store.EvidenceOfOrder(t.Context(), db, "E7"); return err })
	planned(func(db store.DB) error { _, err := store.Rounds(t.Context(), db, []int64{1, 2, 3}); return err })
	require.Len(t, plans, 9)
	for _, plan := range plans {
		for _, table := range []string{"event", "delivery", "river_job", "erp_receipt"} {
			require.NotContains(t, plan, "Seq Scan on "+table+" ", plan)
		}
	}
}

func TestShareLinks(t *testing.T) {
	t.Parallel()
	tx := twoDestinations(t)
	sum := func(token string) []byte { hash := sha256.Sum256([]byte(token)); return hash[:] }
	id, err := store.CreateShare(t.Context(), tx, "crm", "the agency", "ops", sum("one"), time.Hour)
	require.NoError(t, err)
	link, err := store.OpenShare(t.Context(), tx, sum("one"))
	require.NoError(t, err)
	require.Equal(t, "crm", link.Destination)
	list, err := store.Shares(t.Context(), tx)
	require.NoError(t, err)
	require.True(t, list[0].Open)
	require.NotNil(t, list[0].UsedAt)

	t.Run("Unknown", func(t *testing.T) {
		_, err := store.OpenShare(t.Context(), tx, sum("two"))
		require.ErrorIs(t, err, store.ErrNotFound)
	})
	t.Run("NoSuchDestination", func(t *testing.T) {
		_, err := store.CreateShare(t.Context(), tx, "x", "the agency", "ops", sum("x"), time.Hour)
		require.ErrorIs(t, err, store.ErrNotFound)
	})
	t.Run("Expired", func(t *testing.T) {
		_, err := store.CreateShare(t.Context(), tx, "crm", "the agency", "ops", sum("old"), -time.Second)
		require.NoError(t, err)
		_, err = store.OpenShare(t.Context(), tx, sum("old"))
		require.ErrorIs(t, err, store.ErrNotFound)
	})
	t.Run("Revoked", func(t *testing.T) {
		require.NoError(t, store.RevokeShare(t.Context(), tx, id, "ops"))
		_, err := store.OpenShare(t.Context(), tx, sum("one"))
		require.ErrorIs(t, err, store.ErrNotFound)
		require.ErrorIs(t, store.RevokeShare(t.Context(), tx, id, "ops"), store.ErrNotFound, "once is enough")
		audited, err := store.LastAudited(t.Context(), tx, 10)
		require.NoError(t, err)
		require.Equal(t, "share revoked", audited[0].Action)
	})
}
