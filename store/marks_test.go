package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"kvit/store"
	"kvit/store/storetest"
)

// ownMarks is a shop that has no columns for kvit's marks.
func ownMarks() store.Orders {
	return store.Orders{Table: "public.orders", Ref: "ref", PlacedAt: "placed", AwaitingImport: "status = 'paid'", EraseAfter: 30 * day}
}

func one[T any](t *testing.T, db store.DB, sql string, args ...any) (v T) {
	t.Helper()
	require.NoError(t, db.QueryRow(t.Context(), sql, args...).Scan(&v))
	return v
}

// refExpressions make a reference of each type of a number i.
var refExpressions = map[string]string{
	"text": `'E' || i`, "bigint": `i`, "uuid": `('00000000-0000-7000-8000-' || lpad(i::text, 12, '0'))::uuid`,
}

// markedShop has many orders that are long erased, some that are due, and some that wait for the ERP.
func markedShop(t *testing.T, refType string) (*pgxpool.Pool, store.Orders) {
	t.Helper()
	db := storetest.DB(t)
	mustExec(t, db, `create table public.orders (ref `+refType+` primary key, placed timestamptz not null default now(), status text not null default 'paid', note text);
		insert into public.orders (ref, placed, note) select `+refExpressions[refType]+`, now() - interval '1 day' * (i / 100), repeat('x', 200) from generate_series(1, 20000) i;
		insert into kvit.order_mark (order_ref, imported_at, erp_number, erased_at)
		select (`+refExpressions[refType]+`)::text, case when i > 60 then now() - interval '1 day' * (31 + i / 100) end, 'SO-' || i, case when i > 100 then now() end
		from generate_series(1, 20000) i;
		insert into kvit.legal_hold (order_ref, reason, placed_by) select (`+refExpressions[refType]+`)::text, 'audit', 'ops' from generate_series(70, 72) i;
		analyze public.orders; analyze kvit.order_mark`)
	return db, ownMarks()
}

// readWhole tells how many rows this transaction has read of the two tables without an index.
func readWhole(t *testing.T, tx pgx.Tx) int64 {
	t.Helper()
	return one[int64](t, tx, `
		select coalesce(sum(seq_tup_read), 0)::bigint from pg_stat_xact_all_tables
		where relid in ('public.orders'::regclass, 'kvit.order_mark'::regclass)`)
}

// What is due costs what is due, whatever the size of the table and of kvit's own.
func TestDueOrdersAreFoundByOwnMarks(t *testing.T) {
	t.Parallel()
	for refType := range refExpressions {
		t.Run(refType, func(t *testing.T) {
			t.Parallel()
			db, o := markedShop(t, refType)
			tx, err := db.Begin(t.Context())
			require.NoError(t, err)
			defer func() { _ = tx.Rollback(t.Context()) }()
			require.NoError(t, store.LockErasure(t.Context(), tx))
			now := time.Now()

			due, err := store.LockDueOrders(t.Context(), tx, o, store.Due{Now: now, Clock: o.AllClocks()[0], Limit: 30})
			require.NoError(t, err)
			require.Len(t, due, 30)
			next, err := store.LockDueOrders(t.Context(), tx, o, store.Due{Now: now, Clock: o.AllClocks()[0], Limit: 30, After: due[29]})
			require.NoError(t, err)
			require.Len(t, next, 7)
			require.NotNil(t, next[0].ImportedAt)
			require.NotNil(t, next[0].ERPNumber)
			count, held, err := store.CountDueOrders(t.Context(), tx, o, now)
			require.NoError(t, err)
			require.Equal(t, []int{37, 3}, []int{count, held})
			holds, err := store.HeldOrders(t.Context(), tx, o, now, 10)
			require.NoError(t, err)
			require.Len(t, holds, 3)
			status, err := store.ReadOrdersStatus(t.Context(), tx, o, 0)
			require.NoError(t, err)
			require.Equal(t, []int64{60, 37, 37, 3}, []int64{status.AwaitingImport, status.ErasuresDue, status.ErasuresOverdue, status.ErasuresHeld})
			require.Zero(t, readWhole(t, tx))
		})
	}
}

// One order is looked up by its reference, whatever the type of that.
func TestOrderStatusOfOneOrder(t *testing.T) {
	t.Parallel()
	for refType, expression := range refExpressions {
		t.Run(refType, func(t *testing.T) {
			t.Parallel()
			db, o := markedShop(t, refType)
			require.NoError(t, store.SyncOrderStatus(t.Context(), db, o))
			mustExec(t, db, `analyze kvit.event; analyze kvit.erp_receipt; analyze kvit.legal_hold`)
			ref := one[string](t, db, `select (`+expression+`)::text from generate_series(71, 71) i`)
			tx, err := db.Begin(t.Context())
			require.NoError(t, err)
			defer func() { _ = tx.Rollback(t.Context()) }()
			mustExec(t, tx, `set local role kvit_ops; set local timezone = 'America/New_York'`)
			rows, err := tx.Query(t.Context(), `
				select order_ref, erp_order_number, erase_due_at = erp_imported_at + interval '720 hours' as right_due, held, erased_at is null as living
				from kvit.order_status where order_ref = $1`, ref)
			require.NoError(t, err)
			found, err := pgx.CollectExactlyOneRow(rows, pgx.RowToMap)
			require.NoError(t, err)
			require.Equal(t, map[string]any{"order_ref": ref, "erp_order_number": "SO-71", "right_due": true, "held": true, "living": true}, found)
			mustExec(t, tx, `reset role`)
			require.Zero(t, readWhole(t, tx))
		})
	}
}

// No migration of the shop's is in kvit's way, nor the other way round: the view answers nothing, and kvit tells what
// does not fit.
func TestTheShopAltersItsTable(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		migration string
		misfit    string // empty: it still fits
		answers   bool
	}{
		"AlterType":         {`alter table public.orders alter column ref type varchar(40)`, "", true},
		"AlterTypeToNumber": {`alter table public.orders alter column ref type bigint using ref::bigint`, "", true},
		"AlterTypeOfMark":   {`alter table public.orders alter column number type varchar(20)`, "", true},
		"DropImportedAt":    {`alter table public.orders drop column imported`, "column public.orders.imported does not exist", false},
		"DropERPNumber":     {`alter table public.orders drop column number`, "column public.orders.number does not exist", false},
		"DropErasedAt":      {`alter table public.orders drop column erased`, "column public.orders.erased does not exist", false},
		"Rename":            {`alter table public.orders rename column placed to placed_at`, "column public.orders.placed does not exist", false},
		"RenameRef":         {`alter table public.orders rename column ref to order_number`, "column public.orders.ref does not exist", false},
		"RenameInPredicate": {`alter table public.orders rename column status to state`, "shop.orders.awaiting_import cannot be used: database error 42703: column \"status\" does not exist", true},
		"DropTable":         {`drop table public.orders`, "table public.orders does not exist", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tx, o := ordersTx(t, "text")
			mustExec(t, tx, `alter table public.orders add status text; insert into public.orders (ref, placed, imported) values ('7', now(), now())`)
			o.AwaitingImport = "status = 'paid'"
			require.NoError(t, store.SyncOrderStatus(t.Context(), tx, o))
			require.NoError(t, store.NoticeAllOrders(t.Context(), tx, o, time.Time{}))
			count := func() int {
				return one[int](t, tx, `select count(*) from kvit.order_status where order_ref = '7' and erp_imported_at is not null`)
			}
			require.Equal(t, 1, count())

			mustExec(t, tx, c.migration)

			if !c.answers {
				require.Zero(t, count())
			}
			misfits, err := store.ShopMisfits(t.Context(), tx, o)
			require.NoError(t, err)
			if c.misfit == "" {
				require.Empty(t, misfits)
			} else {
				require.Equal(t, []string{c.misfit}, misfits)
			}
			require.NoError(t, store.SyncOrderStatus(t.Context(), tx, o), "kvit starts all the same")
			require.Equal(t, map[bool]int{true: 1, false: 0}[c.answers], count())
		})
	}
}

// An older kvit's view stands on the shop's table. It goes, and the new one is made once.
func TestOrderStatusOfAnOlderKvitIsReplaced(t *testing.T) {
	t.Parallel()
	tx, o := ordersTx(t, "text")
	mustExec(t, tx, `create view kvit.order_status as select ref as order_ref, erased from public.orders`)
	require.NoError(t, store.SyncOrderStatus(t.Context(), tx, o))
	oid := one[uint32](t, tx, `select 'kvit.order_status'::regclass::oid`)
	require.NoError(t, store.SyncOrderStatus(t.Context(), tx, o))
	require.Equal(t, oid, one[uint32](t, tx, `select 'kvit.order_status'::regclass::oid`))
	require.Zero(t, one[int](t, tx, `
		select count(*) from pg_depend d where d.refobjid = 'public.orders'::regclass and d.deptype = 'n'
		  and d.classid in ('pg_rewrite'::regclass, 'pg_proc'::regclass, 'pg_trigger'::regclass)`))
	o.EraseAfter = 60 * day
	require.NoError(t, store.SyncOrderStatus(t.Context(), tx, o))
	require.NotEqual(t, oid, one[uint32](t, tx, `select 'kvit.order_status'::regclass::oid`))
}

// A name that kvit returns is not mistaken for a column that a predicate means, and quotes are no way out.
func TestPredicatesInOrderStatus(t *testing.T) {
	t.Parallel()
	tx := storetest.Tx(t)
	mustExec(t, tx, `create table public.orders (ref text primary key, placed timestamptz, erased_at timestamptz, status text);
		insert into public.orders values ('E1', '2026-01-01', '2026-01-02', '$1 \ ''quoted''')`)
	o := ownMarks()
	o.Clocks = []store.Clock{{Name: "closed", When: `erased_at is not null and status = '$1 \ ''quoted'''`, Since: "erased_at", After: day}}
	require.NoError(t, store.SyncOrderStatus(t.Context(), tx, o))
	require.NoError(t, store.NoticeAllOrders(t.Context(), tx, o, time.Time{}))
	require.True(t, one[bool](t, tx, `select erase_due_at = '2026-01-03' and erased_at is null from kvit.order_status`))
	due, err := store.LockDueOrders(t.Context(), tx, o, store.Due{Now: time.Date(2026, 1, 3, 0, 0, 0, 0, time.UTC), Clock: o.AllClocks()[1], Limit: 5})
	require.NoError(t, err)
	require.Equal(t, []string{"E1"}, refs(due))
}

func TestMarksAreSetOnce(t *testing.T) {
	t.Parallel()
	tx := storetest.Tx(t)
	mustExec(t, tx, `create table public.orders (ref text primary key, placed timestamptz, status text); insert into public.orders (ref) values ('E1')`)
	o := ownMarks()
	first := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	require.NoError(t, store.MarkOrders(t.Context(), tx, o, []store.Mark{{Ref: "E1", ImportedAt: first, ERPNumber: "SO-1"}}))
	require.NoError(t, store.MarkOrders(t.Context(), tx, o, []store.Mark{{Ref: "E1", ImportedAt: first.Add(time.Hour), ERPNumber: "SO-2"}}))
	found, err := store.LockOrders(t.Context(), tx, o, []string{"E1", "E2"})
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.True(t, first.Equal(*found[0].ImportedAt))
	require.Equal(t, "SO-1", *found[0].ERPNumber)
	require.Nil(t, found[0].ErasedAt)
}

// Two transactions never take the same order, also where the shop's rows cannot be locked.
func TestMarksAreLocked(t *testing.T) {
	t.Parallel()
	db := storetest.DB(t)
	mustExec(t, db, `create table public.sales (ref text, placed timestamptz, status text);
		insert into public.sales values ('E1', now(), 'paid'), ('E1', now(), 'paid'), ('E2', now(), 'paid');
		create view public.orders as select ref, min(placed) as placed, min(status) as status from public.sales group by ref;
		insert into kvit.order_mark (order_ref, imported_at) select ref, now() - interval '31 days' from public.orders`)
	o := ownMarks()
	find := func(tx pgx.Tx, limit int) []string {
		orders, err := store.LockDueOrders(t.Context(), tx, o, store.Due{Now: time.Now(), Clock: o.AllClocks()[0], Limit: limit})
		require.NoError(t, err)
		return refs(orders)
	}
	a, err := db.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = a.Rollback(t.Context()) }()
	b, err := db.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = b.Rollback(t.Context()) }()
	require.Equal(t, []string{"E1"}, find(a, 1))
	require.Equal(t, []string{"E2"}, find(b, 2))
}

// Where no index keeps references apart, an order is left alone while another row has its reference.
func TestReferenceOfTwoRows(t *testing.T) {
	t.Parallel()
	tx := storetest.Tx(t)
	mustExec(t, tx, `create table public.orders (ref text, placed timestamptz, status text, unique (ref, placed)) partition by range (placed);
		create table public.orders_1 partition of public.orders for values from ('2025-01-01') to ('2026-01-01');
		create table public.orders_2 partition of public.orders for values from ('2026-01-01') to ('2027-01-01');
		insert into public.orders values ('E1', '2025-05-05', 'paid'), ('E2', '2025-05-05', 'paid'), ('E2', '2026-01-01', 'paid');
		insert into kvit.order_mark (order_ref, imported_at) values ('E1', '2025-06-01'), ('E2', '2025-06-01')`)
	o := ownMarks()
	orders, err := store.LockDueOrders(t.Context(), tx, o, store.Due{Now: time.Now(), Clock: o.AllClocks()[0], Limit: 5})
	require.NoError(t, err)
	require.Equal(t, []string{"E1"}, refs(orders))
}

// New orders are seen at once, those that came late a day later, and each once.
func TestNoticeOrders(t *testing.T) {
	t.Parallel()
	for refType, expression := range refExpressions {
		t.Run(refType, func(t *testing.T) {
			t.Parallel()
			tx := storetest.Tx(t)
			o := ownMarks()
			mustExec(t, tx, `create table public.orders (ref `+refType+` unique, placed timestamptz)`)
			add := func(from, to int, placed string) {
				mustExec(t, tx, fmt.Sprintf(`insert into public.orders select %s, %s from generate_series(%d, %d) i`, expression, placed, from, to))
			}
			known := func() int { return one[int](t, tx, `select count(*) from kvit.order_mark`) }
			soon := func() time.Time { return time.Now().Add(time.Minute) }
			add(1, 25_000, `now() - interval '1 second' * i`)
			add(25_001, 25_001, `'infinity'`)
			add(25_002, 25_002, `null`)
			mustExec(t, tx, `insert into public.orders (placed) values (now())`) // a cart
			require.NoError(t, store.NoticeNewOrders(t.Context(), tx, o, soon()))
			require.Equal(t, 25_000, known())
			require.NoError(t, store.NoticeOldOrders(t.Context(), tx, o, soon()))
			require.Equal(t, 25_002, known())

			add(30_001, 30_001, `now()`)
			add(30_002, 30_002, `now() - interval '59 minutes'`)
			add(30_003, 30_003, `now() - interval '3 days'`)
			require.NoError(t, store.NoticeNewOrders(t.Context(), tx, o, soon()))
			require.NoError(t, store.NoticeOldOrders(t.Context(), tx, o, soon()))
			require.Equal(t, 25_004, known(), "the last one came late")
			mustExec(t, tx, `update kvit.order_lookout set all_seen_at = now() - interval '25 hours'`)
			for range 3 { // each call does one chunk: time is up
				require.NoError(t, store.NoticeOldOrders(t.Context(), tx, o, time.Time{}))
			}
			require.Equal(t, 25_005, known())
			require.Nil(t, one[*string](t, tx, `select after_ref from kvit.order_lookout`))
		})
	}
}
