package store_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"kvit/store"
	"kvit/store/storetest"
)

func refs(orders []store.DueOrder) (list []string) {
	for _, o := range orders {
		list = append(list, o.Ref)
	}
	return list
}

func TestLockDueOrders(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC)
	tx, o := ordersTx(t, "text")
	_, err := tx.Exec(t.Context(), `
		insert into public.orders (ref, imported, number, erased) values
		    ('exactly', '2026-03-01 12:00:00Z', 'SO-1', null),
		    ('too-early', '2026-03-01 12:00:00.000001Z', null, null),
		    ('same-time-b', '2026-02-01Z', null, null),
		    ('same-time-a', '2026-02-01Z', null, null),
		    ('erased', '2026-02-01Z', null, now()),
		    (null, '2026-02-01Z', null, null),
		    ('never', null, null, null),
		    ('infinity', 'infinity', null, null),
		    ('minus-infinity', '-infinity', null, null);
		insert into kvit.legal_hold (order_ref, reason, placed_by, expires_at) values
		    ('same-time-b', 'audit', 'ops', '2026-03-31 12:00:00Z')`)
	require.NoError(t, err)

	all, err := store.LockDueOrders(t.Context(), tx, o, store.Due{Clock: o.AllClocks()[0], Now: now, Limit: 10})
	require.NoError(t, err)
	require.Equal(t, []string{"minus-infinity", "same-time-a", "same-time-b", "exactly"}, refs(all))
	require.Equal(t, "SO-1", *all[3].ERPNumber)
	require.Equal(t, time.Unix(0, 0).UTC(), all[0].ImportedAt.UTC())

	var stepwise []string
	due := store.Due{Clock: o.AllClocks()[0], Now: now, Limit: 1}
	for {
		batch, err := store.LockDueOrders(t.Context(), tx, o, due)
		require.NoError(t, err)
		if len(batch) == 0 {
			break
		}
		stepwise = append(stepwise, batch[0].Ref)
		due.After = batch[0]
	}
	require.Equal(t, refs(all), stepwise)

	some, err := store.LockDueOrders(t.Context(), tx, o, store.Due{Clock: o.AllClocks()[0], Now: now, Limit: 10, Refs: []string{"exactly", "too-early", "erased"}})
	require.NoError(t, err)
	require.Equal(t, []string{"exactly"}, refs(some))

	earlier, err := store.LockDueOrders(t.Context(), tx, o, store.Due{Clock: o.AllClocks()[0], Now: now.Add(-time.Microsecond), Limit: 10})
	require.NoError(t, err)
	require.Equal(t, []string{"minus-infinity", "same-time-a"}, refs(earlier), "the hold has not expired yet")

	dueNow, held, err := store.CountDueOrders(t.Context(), tx, o, now.Add(-time.Microsecond))
	require.NoError(t, err)
	require.Equal(t, []int{2, 1}, []int{dueNow, held})
}

func TestDueByColumnsWithoutAZone(t *testing.T) {
	t.Parallel()
	for _, sqlType := range []string{"timestamp", "date"} {
		t.Run(sqlType, func(t *testing.T) {
			t.Parallel()
			tx := storetest.Tx(t)
			_, err := tx.Exec(t.Context(), `
				set local timezone = 'UTC';
				create table public.orders (ref text, placed `+sqlType+`, imported `+sqlType+`, number text, erased `+sqlType+`);
				insert into public.orders (ref, imported) values ('E1', '2026-03-01'), ('E2', '2026-03-02')`)
			require.NoError(t, err)
			now := time.Date(2026, 3, 31, 0, 0, 0, 0, time.UTC)
			due, err := store.LockDueOrders(t.Context(), tx, shopOrders(), store.Due{Clock: shopOrders().AllClocks()[0], Now: now, Limit: 10})
			require.NoError(t, err)
			require.Equal(t, []string{"E1"}, refs(due))
			next, err := store.LockDueOrders(t.Context(), tx, shopOrders(), store.Due{Clock: shopOrders().AllClocks()[0], Now: now, Limit: 10, After: due[0]})
			require.NoError(t, err)
			require.Empty(t, next)
			_, err = store.EraseTable(t.Context(), tx, shopOrders(), store.TableErasure{Table: "public.orders"}, []string{"E1"}, now)
			require.NoError(t, err)
			due, err = store.LockDueOrders(t.Context(), tx, shopOrders(), store.Due{Clock: shopOrders().AllClocks()[0], Now: now, Limit: 10})
			require.NoError(t, err)
			require.Empty(t, due)
		})
	}
}

// With the suggested index the search for due orders reads those alone, however large the table.
func TestDueOrdersComeFromTheIndex(t *testing.T) {
	t.Parallel()
	db := storetest.DB(t)
	o := shopOrders()
	_, err := db.Exec(t.Context(), `
		create table public.orders (ref text primary key, placed timestamptz, imported timestamptz, number text, erased timestamptz);
		insert into public.orders (ref, imported, erased)
		select 'E' || i, now() - i * interval '1 minute', case when i > 43210 then now() end from generate_series(1, 60000) i`)
	require.NoError(t, err)
	_, err = db.Exec(t.Context(), o.DueIndex(o.AllClocks()[0]))
	require.NoError(t, err)
	_, err = db.Exec(t.Context(), `analyze public.orders`)
	require.NoError(t, err)
	tx, err := db.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(t.Context()) }()
	reads := func() (n int) {
		require.NoError(t, tx.QueryRow(t.Context(), `
			select coalesce(pg_stat_get_xact_tuples_returned('public.orders'::regclass), 0)`).Scan(&n))
		return n
	}
	before := reads()
	due, err := store.LockDueOrders(t.Context(), tx, o, store.Due{Clock: o.AllClocks()[0], Now: time.Now(), Limit: 200})
	require.NoError(t, err)
	require.Len(t, due, 11)
	require.Equal(t, before, reads(), "rows read by scanning the table")
}

func TestEraseTableLeavesOtherRowsAlone(t *testing.T) {
	t.Parallel()
	tx, o := ordersTx(t, "text")
	_, err := tx.Exec(t.Context(), `
		insert into public.orders (ref) values ('E1'), ('E2'), ('E3');
		create table public.notes (order_ref text, "Körper" text);
		insert into public.notes values ('E1', 'a'), ('E1', 'b'), ('E3', 'c'), (null, 'd')`)
	require.NoError(t, err)
	text := `it's $1 "erased"`
	counts, err := store.EraseTable(t.Context(), tx, o, store.TableErasure{
		Table: "public.notes", Path: []store.Link{{Column: "order_ref", Table: "public.orders", Key: "ref"}},
		Writes: []store.Write{{Column: "Körper", Strategy: "text", Text: text}},
	}, []string{"E1", "E2"}, time.Now())
	require.NoError(t, err)
	require.Equal(t, map[string]int64{"E1": 2}, counts)
	rows, _ := tx.Query(t.Context(), `select "Körper" from public.notes order by 1`)
	got, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.ElementsMatch(t, []string{text, text, "c", "d"}, got)
}

func TestErasureRuns(t *testing.T) {
	t.Parallel()
	tx := storetest.Tx(t)
	_, err := store.LastErasureRun(t.Context(), tx)
	require.ErrorIs(t, err, store.ErrNotFound)
	start := time.Date(2026, 1, 1, 3, 30, 0, 0, time.UTC)
	for i, finished := range []bool{true, true, false} {
		at := start.AddDate(0, 0, i)
		id, err := store.StartErasureRun(t.Context(), tx, at, start.AddDate(0, 0, 1), 16)
		require.NoError(t, err)
		if !finished {
			continue
		}
		problem := "a problem"
		end := at.Add(time.Minute)
		require.NoError(t, store.FinishErasureRun(t.Context(), tx, id, store.ErasureRun{FinishedAt: &end, Orders: i, Events: 10 * i, Problem: &problem}))
	}
	last, err := store.LastErasureRun(t.Context(), tx)
	require.NoError(t, err)
	require.True(t, last.StartedAt.Equal(start.AddDate(0, 0, 1)), "the third has not finished")
	require.Equal(t, []int{1, 10}, []int{last.Orders, last.Events})
	require.Equal(t, "a problem", *last.Problem)
	var runs int
	require.NoError(t, tx.QueryRow(t.Context(), `select count(*) from kvit.erasure_run`).Scan(&runs))
	require.Equal(t, 2, runs, "the first is forgotten")
}
