package store_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"kvit/destination"
	"kvit/store"
	"kvit/store/storetest"
)

// insertEvent writes as the shop does and returns the number of rows that Postgres reports.
func insertEvent(ctx context.Context, db store.DB, key, name string, orderRef, payload any) (int64, error) {
	tag, err := db.Exec(ctx, `
		insert into kvit.tracking_event (event_key, name, order_ref, payload, consent)
		values ($1, $2, $3, $4, '{"marketing": true}')`, key, name, orderRef, payload)
	return tag.RowsAffected(), err
}

func addDestinations(t *testing.T, db store.DB, list ...store.Destination) {
	t.Helper()
	require.NoError(t, store.SyncDestinations(t.Context(), db, list, true))
}

func jobArgs(t *testing.T, db store.DB) []string {
	t.Helper()
	rows, _ := db.Query(t.Context(), `
		select kind || ' ' || queue || ' ' || args::text from kvit.river_job order by id`)
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return list
}

func TestInsertMakesOneSlimJobPerWantingDestination(t *testing.T) {
	t.Parallel()
	ctx, tx := t.Context(), storetest.Tx(t)
	addDestinations(t, tx,
		store.Destination{Name: "all", Kind: "webhook", Enabled: true, EventNames: []string{"order_paid", "custom:*"}},
		store.Destination{Name: "off", Kind: "webhook", Enabled: false, EventNames: []string{"order_paid"}},
		store.Destination{Name: "paid", Kind: "spread", Enabled: true, EventNames: []string{"order_paid"}})

	for _, event := range []struct{ key, name string }{
		{"order_paid:E1", "order_paid"}, {"custom:x:1", "custom:x"}, {"search:1", "search"},
	} {
		n, err := insertEvent(ctx, tx, event.key, event.name, nil, `{"customer": {"email": "jane@example.com"}}`)
		require.NoError(t, err)
		require.EqualValues(t, 1, n)
	}
	ids := eventIDs(t, tx)
	require.Equal(t, []string{
		fmt.Sprintf(`deliver_event deliver_all {"event_id": %d, "destination": "all"}`, ids[0]),
		fmt.Sprintf(`deliver_event deliver_paid {"event_id": %d, "destination": "paid"}`, ids[0]),
		fmt.Sprintf(`deliver_event deliver_all {"event_id": %d, "destination": "all"}`, ids[1]),
	}, jobArgs(t, tx))
}

func eventIDs(t *testing.T, db store.DB) []int64 {
	t.Helper()
	rows, _ := db.Query(t.Context(), `select id from kvit.event order by id`)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	require.NoError(t, err)
	return ids
}

func TestRepeatedKeyIsSilentlyNoSecondEvent(t *testing.T) {
	t.Parallel()
	ctx, tx := t.Context(), storetest.Tx(t)
	addDestinations(t, tx, store.Destination{Name: "all", Kind: "webhook", Enabled: true, EventNames: []string{"order_paid"}})
	for want := int64(1); want >= 0; want-- {
		n, err := insertEvent(ctx, tx, "order_paid:E1", "order_paid", "E1", nil)
		require.NoError(t, err)
		require.Equal(t, want, n)
	}
	require.Len(t, jobArgs(t, tx), 1)
}

// The second connection inserts while the first has not committed yet, in every isolation level.
func TestRepeatedKeyFromTwoConnectionsAtTheSameMoment(t *testing.T) {
	t.Parallel()
	for _, level := range []pgx.TxIsoLevel{pgx.ReadCommitted, pgx.RepeatableRead, pgx.Serializable} {
		t.Run(string(level), func(t *testing.T) {
			t.Parallel()
			ctx, pool := t.Context(), storetest.DB(t)
			addDestinations(t, pool, store.Destination{Name: "all", Kind: "webhook", Enabled: true, EventNames: []string{"order_paid"}})
			for round := range 20 {
				key := fmt.Sprintf("order_paid:E%d", round)
				ready := make(chan struct{})
				group, ctx := errgroup.WithContext(ctx)
				for range 2 {
					group.Go(func() error {
						return pgx.BeginTxFunc(ctx, pool, pgx.TxOptions{IsoLevel: level}, func(tx pgx.Tx) error {
							if _, err := tx.Exec(ctx, `select 1`); err != nil { // takes the snapshot
								return err
							}
							<-ready
							_, err := insertEvent(ctx, tx, key, "order_paid", nil, nil)
							return err
						})
					})
				}
				close(ready)
				require.NoError(t, group.Wait())
			}
			require.Len(t, eventIDs(t, pool), 20)
			require.Len(t, jobArgs(t, pool), 20)
		})
	}
}

func TestJobIsThereOnlyIfTheOrderIs(t *testing.T) {
	t.Parallel()
	ctx, tx := t.Context(), storetest.Tx(t)
	addDestinations(t, tx, store.Destination{Name: "all", Kind: "webhook", Enabled: true, EventNames: []string{"order_paid"}})
	savepoint, err := tx.Begin(ctx)
	require.NoError(t, err)
	_, err = insertEvent(ctx, savepoint, "order_paid:E1", "order_paid", "E1", nil)
	require.NoError(t, err)
	require.NoError(t, savepoint.Rollback(ctx))
	require.Empty(t, jobArgs(t, tx))
}

// Nothing that Postgres accepts as a value of the column's type may fail the shop's transaction.
func TestNothingTheShopWritesRaises(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ø", 5000)
	for name, c := range map[string]struct {
		columns, values string
		args            []any
		defect          string
	}{
		"NoKey":          {`name`, `'order_paid'`, nil, "event_key: is missing"},
		"EmptyKey":       {`event_key, name`, `'', 'order_paid'`, nil, "event_key: is missing"},
		"LongKey":        {`event_key, name`, `$1, 'order_paid'`, []any{long}, "event_key: is longer than 200 characters"},
		"NoName":         {`event_key`, `'a'`, nil, "name: is not a known event name"},
		"UnknownName":    {`event_key, name`, `'a', 'order_payed'`, nil, "name: is not a known event name"},
		"LongName":       {`event_key, name`, `'a', $1`, []any{"custom:" + long}, "name: is not a known event name"},
		"LongRef":        {`event_key, name, order_ref`, `'a', 'order_paid', $1`, []any{long}, "order_ref: is longer than 200 characters"},
		"NullTime":       {`event_key, name, occurred_at`, `'a', 'order_paid', null`, nil, ""},
		"InfiniteTime":   {`event_key, name, occurred_at`, `'a', 'order_paid', 'infinity'`, nil, "occurred_at: is not a believable time"},
		"MinusInfinity":  {`event_key, name, occurred_at`, `'a', 'order_paid', '-infinity'`, nil, "occurred_at: is not a believable time"},
		"FarFuture":      {`event_key, name, occurred_at`, `'a', 'order_paid', '99999-01-01 00:00:00+00'`, nil, "occurred_at: is not a believable time"},
		"NullConsent":    {`event_key, name, consent`, `'a', 'order_paid', null`, nil, ""},
		"ConsentText":    {`event_key, name, consent`, `'a', 'order_paid', '"yes"'`, nil, ""},
		"PayloadNull":    {`event_key, name, payload`, `'a', 'order_paid', 'null'`, nil, ""},
		"PayloadNumber":  {`event_key, name, payload`, `'a', 'cart_updated', '7'`, nil, ""},
		"PayloadArray":   {`event_key, name, payload`, `'a', 'newsletter_optin', '[1, {"customer": 3}]'`, nil, ""},
		"CartIDObject":   {`event_key, name, payload`, `'a', 'cart_updated', '{"cart": {"id": {"a": [1]}}}'`, nil, ""},
		"EmailNumber":    {`event_key, name, payload`, `'a', 'account_created', '{"customer": {"email": 12}}'`, nil, ""},
		"PayloadFiveMB":  {`event_key, name, payload`, `'a', 'order_paid', jsonb_build_object('custom', repeat('x', 5000000))`, nil, ""},
		"CartIDFiveMB":   {`event_key, name, payload`, `'a', 'cart_updated', jsonb_build_object('cart', jsonb_build_object('id', repeat('x', 5000000)))`, nil, ""},
		"Backslash":      {`event_key, name, payload`, `'\x', 'account_created', '{"customer": {"email": "\\x0"}}'`, nil, ""},
		"NothingAtAll":   {`consent`, `default`, nil, "event_key: is missing"},
		"QuoteInTheName": {`event_key, name`, `'a', 'custom:'';--'`, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, tx := t.Context(), storetest.Tx(t)
			addDestinations(t, tx, store.Destination{Name: "some", Kind: "webhook", Enabled: true, EventNames: []string{"order_placed"}})
			tag, err := tx.Exec(ctx, `insert into kvit.tracking_event (`+c.columns+`) values (`+c.values+`)`, c.args...)
			require.NoError(t, err)
			require.EqualValues(t, 1, tag.RowsAffected())
			events, err := store.Events(ctx, tx, "some", eventIDs(t, tx), destination.MaxPayload)
			require.NoError(t, err)
			require.Len(t, events, 1)
			if c.defect == "" {
				require.Nil(t, events[0].Defect)
				return
			}
			require.Equal(t, c.defect, *events[0].Defect)
			require.Len(t, jobArgs(t, tx), 1, "an event with a defect goes to every destination, to be rejected in sight")
		})
	}
}

// The trigger has its own list of names: it must be that of the destinations.
func TestTriggerKnowsTheNames(t *testing.T) {
	t.Parallel()
	ctx, tx := t.Context(), storetest.Tx(t)
	for _, name := range append([]string{"custom:any thing"}, destination.Names...) {
		_, err := insertEvent(ctx, tx, name, name, nil, nil)
		require.NoError(t, err)
	}
	var defects int
	require.NoError(t, tx.QueryRow(ctx, `select count(*) from kvit.event where defect is not null`).Scan(&defects))
	require.Zero(t, defects)
}

// A bulk insert in one transaction must not run out of locks.
func TestBulkInsert(t *testing.T) {
	t.Parallel()
	ctx, pool := t.Context(), storetest.DB(t)
	addDestinations(t, pool, store.Destination{Name: "all", Kind: "webhook", Enabled: true, EventNames: []string{"order_paid"}})
	tag, err := pool.Exec(ctx, `
		insert into kvit.tracking_event (event_key, name, payload)
		select 'order_paid:E' || i, 'order_paid', '{}' from generate_series(1, 20000) i`)
	require.NoError(t, err)
	require.EqualValues(t, 20000, tag.RowsAffected())
}

func TestEventsLeavesLargePayloadsInTheDatabase(t *testing.T) {
	t.Parallel()
	ctx, tx := t.Context(), storetest.Tx(t)
	_, err := insertEvent(ctx, tx, "order_paid:E1", "order_paid", nil, fmt.Sprintf(`{"custom": %q}`, strings.Repeat("x", 100)))
	require.NoError(t, err)
	for limit, large := range map[int]bool{50: true, 200: false} {
		events, err := store.Events(ctx, tx, "all", eventIDs(t, tx), limit)
		require.NoError(t, err)
		require.Equal(t, large, events[0].TooLarge)
		require.Equal(t, large, events[0].Payload == nil)
	}
}

func TestDeliveryStatusShowsEveryState(t *testing.T) {
	t.Parallel()
	ctx, tx := t.Context(), storetest.Tx(t)
	addDestinations(t, tx, store.Destination{Name: "all", Kind: "webhook", Enabled: true, EventNames: destination.Names})
	for i := range 3 {
		_, err := insertEvent(ctx, tx, fmt.Sprintf("order_paid:E%d", i), "order_paid", "E1", nil)
		require.NoError(t, err)
	}
	ids := eventIDs(t, tx)
	conclude(t, tx, store.Delivery{EventID: ids[0], Destination: "all", Outcome: "delivered", Attempts: 1})
	_, err := tx.Exec(ctx, `
		update kvit.river_job set state = 'retryable', attempt = 1, errors = array['{"error": "HTTP 500"}'::jsonb]
		where kvit.job_event_id(args) = $1`, ids[1])
	require.NoError(t, err)
	_, err = tx.Exec(ctx, `insert into kvit.river_job (kind, args, queue) values ('deliver_event', '{"event_id": "by hand"}', 'deliver_all')`)
	require.NoError(t, err)

	rows, _ := tx.Query(ctx, `select state || coalesce(' ' || last_error, '') from kvit.delivery_status where order_ref = 'E1' order by event_id`)
	states, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Equal(t, []string{"delivered", "retrying HTTP 500", "pending"}, states)
}

func TestPlaces(t *testing.T) {
	t.Parallel()
	setup := func(t *testing.T) (tx pgx.Tx, add func(key, name, occurredAt string) int64, finish func(id int64, outcome string)) {
		tx = storetest.Tx(t)
		addDestinations(t, tx, store.Destination{Name: "crm", Kind: "spread", Enabled: true, EventNames: destination.Names})
		add = func(key, name, occurredAt string) (id int64) {
			_, err := tx.Exec(t.Context(), `
				insert into kvit.tracking_event (event_key, name, order_ref, occurred_at, payload)
				values ($1, $2, 'E1', $3::timestamptz, '{"cart": {"id": "c1"}}')`, key, name, occurredAt)
			require.NoError(t, err)
			require.NoError(t, tx.QueryRow(t.Context(), `select id from kvit.event where event_key = $1`, key).Scan(&id))
			return id
		}
		finish = func(id int64, outcome string) {
			conclude(t, tx, store.Delivery{EventID: id, Destination: "crm", Outcome: outcome})
			_, err := tx.Exec(t.Context(), `
				update kvit.river_job set state = 'completed', finalized_at = now() where kvit.job_event_id(args) = $1`, id)
			require.NoError(t, err)
		}
		return tx, add, finish
	}
	place := func(t *testing.T, tx pgx.Tx, id int64) store.Place {
		places, err := store.Places(t.Context(), tx, "crm", []int64{id})
		require.NoError(t, err)
		require.Len(t, places, 1)
		return places[0]
	}

	t.Run("LaterWaitsForEarlier", func(t *testing.T) {
		t.Parallel()
		tx, add, finish := setup(t)
		placed, paid := add("a", "order_placed", "2026-01-01 10:00Z"), add("b", "order_paid", "2026-01-01 10:05Z")
		require.Nil(t, place(t, tx, placed).WaitUntil)
		require.NotNil(t, place(t, tx, paid).WaitUntil)
		finish(placed, "failed")
		require.Nil(t, place(t, tx, paid).WaitUntil, "one that ended without success is no longer in the way")
	})
	t.Run("OlderStateIsSuperseded", func(t *testing.T) {
		t.Parallel()
		tx, add, finish := setup(t)
		placed, paid := add("a", "order_placed", "2026-01-01 10:00Z"), add("b", "order_paid", "2026-01-01 10:05Z")
		require.False(t, place(t, tx, paid).Follows)
		finish(paid, "delivered")
		require.True(t, place(t, tx, placed).Superseded)
		require.False(t, place(t, tx, placed).Follows)
	})
	t.Run("LastPartialRefundComesLast", func(t *testing.T) {
		t.Parallel()
		tx, add, finish := setup(t)
		first, second := add("a", "order_partly_refunded", "2026-01-02 10:00Z"), add("b", "order_partly_refunded", "2026-01-03 10:00Z")
		paid, whole := add("c", "order_paid", "2026-01-01 10:00Z"), add("d", "order_refunded", "2026-01-02 09:00Z")
		require.NotNil(t, place(t, tx, first).WaitUntil, "the sale goes first")
		finish(paid, "delivered")
		require.Nil(t, place(t, tx, first).WaitUntil)
		require.NotNil(t, place(t, tx, second).WaitUntil)
		finish(second, "delivered")
		require.True(t, place(t, tx, first).Superseded)
		require.False(t, place(t, tx, whole).Superseded)
	})
	t.Run("Follows", func(t *testing.T) {
		t.Parallel()
		tx, add, finish := setup(t)
		placed, paid, cancelled := add("a", "order_placed", "2026-01-01 10:00Z"), add("b", "order_paid", "2026-01-01 10:05Z"), add("c", "order_cancelled", "2026-01-01 10:10Z")
		finish(placed, "rejected")
		require.False(t, place(t, tx, cancelled).Follows)
		finish(paid, "delivered")
		require.True(t, place(t, tx, cancelled).Follows)
	})
	t.Run("StateNeverGoesBackWhateverTheClocksSay", func(t *testing.T) {
		t.Parallel()
		tx, add, finish := setup(t)
		paid, placed := add("b", "order_paid", "2026-01-01 10:05Z"), add("a", "order_placed", "2026-01-01 11:00Z")
		finish(paid, "delivered")
		require.True(t, place(t, tx, placed).Superseded)
	})
	t.Run("OlderWaitsForNewerThatWasUnderWayBefore", func(t *testing.T) {
		t.Parallel()
		tx, add, _ := setup(t)
		paid, placed := add("b", "order_paid", "2026-01-01 10:05Z"), add("a", "order_placed", "2026-01-01 10:00Z")
		_, err := tx.Exec(t.Context(), `
			update kvit.river_job set state = 'running',
			       attempted_at = now() - case when kvit.job_event_id(args) = $1 then interval '1 second' else interval '0' end`, paid)
		require.NoError(t, err)
		require.NotNil(t, place(t, tx, placed).WaitUntil)
	})
	t.Run("OlderWaitsForNewerThatMayHaveArrived", func(t *testing.T) {
		t.Parallel()
		tx, add, finish := setup(t)
		paid := add("b", "order_paid", "2026-01-01 10:05Z")
		_, err := tx.Exec(t.Context(), `update kvit.river_job set state = 'retryable', errors = array['{"error": "HTTP 500"}'::jsonb]`)
		require.NoError(t, err)
		placed := add("a", "order_placed", "2026-01-01 10:00Z")
		require.NotNil(t, place(t, tx, placed).WaitUntil)
		require.Nil(t, place(t, tx, paid).WaitUntil, "one of the two goes first")
		finish(paid, "delivered")
		require.True(t, place(t, tx, placed).Superseded)
	})
	t.Run("NewestCartWins", func(t *testing.T) {
		t.Parallel()
		tx, add, finish := setup(t)
		old, current := add("a", "cart_updated", "2026-01-01 10:00Z"), add("b", "cart_updated", "2026-01-01 10:05Z")
		finish(current, "delivered")
		require.True(t, place(t, tx, old).Superseded)
	})
}
