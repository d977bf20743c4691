package store_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"kvit/store"
	"kvit/store/storetest"
)

func cartRule() store.TableRule {
	return store.TableRule{
		Table: "public.Carts", When: "state = 'open' or note = '{ref} $1'", Since: "Seen", After: 24 * time.Hour,
		Children: []store.TableChild{{Table: "public.cart_items", Column: "cart", ParentColumn: "token"}, {Table: "public.cart_notes", Column: "cart_no", ParentColumn: "no"}},
	}
}

// cartsTx is a shop's carts with a key of two columns, and times of the given type.
func cartsTx(t *testing.T, sinceType string) pgx.Tx {
	t.Helper()
	tx := storetest.Tx(t)
	mustExec(t, tx, `
		create table public."Carts" (shop char(4), no int unique, token uuid unique, state text, note text, c1 int, "Seen" `+sinceType+`, primary key (shop, no));
		create table public.cart_items (id serial, cart uuid, sku text);
		create table public.cart_notes (cart_no bigint, note text);
		insert into public."Carts"
		select case when i % 2 = 0 then 'aa' else 'bbb' end, i, ('00000000-0000-0000-0000-00000000000' || i)::uuid, case when i = 5 then 'ordered' else 'open' end, null, 1,
		       case when i <> 6 then timestamp '2026-03-01' + i / 3 * interval '1 day' end
		from generate_series(1, 8) i;
		insert into public.cart_items (cart, sku) select token, 'x' from public."Carts", generate_series(1, 2);
		insert into public.cart_items (sku) values ('without a cart');
		insert into public.cart_notes select no, 'call back' from public."Carts" where no in (1, 5)`)
	return tx
}

// cartsAt is after 1 to 5 are due, though 5 is ordered; 6 has no time, and 7 and 8 are younger.
var cartsAt = time.Date(2026, 3, 3, 0, 0, 0, 0, time.UTC)

func cartNumbers(t *testing.T, tx pgx.Tx) []int32 {
	t.Helper()
	rows, err := tx.Query(t.Context(), `select no from public."Carts" order by no`)
	require.NoError(t, err)
	list, err := pgx.CollectRows(rows, pgx.RowTo[int32])
	require.NoError(t, err)
	return list
}

func TestCartsAreDeletedInBatches(t *testing.T) {
	t.Parallel()
	for _, sinceType := range []string{"timestamptz", "timestamp", "date"} {
		t.Run(sinceType, func(t *testing.T) {
			t.Parallel()
			tx := cartsTx(t, sinceType)
			due, overdue, err := store.CountDueRows(t.Context(), tx, cartRule(), cartsAt, 24*time.Hour)
			require.NoError(t, err)
			require.Equal(t, []int{4, 2}, []int{due, overdue})

			next := store.DueRows{Now: cartsAt, Limit: 3}
			first, err := store.LockDueRows(t.Context(), tx, cartRule(), next)
			require.NoError(t, err)
			require.Equal(t, 3, first.Len())
			next.After = first
			second, err := store.LockDueRows(t.Context(), tx, cartRule(), next)
			require.NoError(t, err)
			require.Equal(t, 1, second.Len())
			next.After = second
			none, err := store.LockDueRows(t.Context(), tx, cartRule(), next)
			require.NoError(t, err)
			require.Zero(t, none.Len())

			counts, err := store.EraseRows(t.Context(), tx, cartRule(), first)
			require.NoError(t, err)
			require.Equal(t, map[string]int64{"public.Carts": 3, "public.cart_items": 6, "public.cart_notes": 1}, counts)
			counts, err = store.EraseRows(t.Context(), tx, cartRule(), second)
			require.NoError(t, err)
			require.Equal(t, map[string]int64{"public.Carts": 1, "public.cart_items": 2, "public.cart_notes": 0}, counts)
			require.Equal(t, []int32{5, 6, 7, 8}, cartNumbers(t, tx))
			var items int
			require.NoError(t, tx.QueryRow(t.Context(), `select count(*) from public.cart_items`).Scan(&items))
			require.Equal(t, 9, items, "those of four carts, and one of none")
		})
	}
}

func TestOneCartOfABatch(t *testing.T) {
	t.Parallel()
	tx := cartsTx(t, "timestamptz")
	batch, err := store.LockDueRows(t.Context(), tx, cartRule(), store.DueRows{Now: cartsAt, Limit: 10})
	require.NoError(t, err)
	one, err := store.LockDueRows(t.Context(), tx, cartRule(), store.DueRows{Now: cartsAt, Only: batch.One(1), Limit: 10})
	require.NoError(t, err)
	require.Equal(t, batch.One(1), one)
	_, err = store.EraseRows(t.Context(), tx, cartRule(), one)
	require.NoError(t, err)
	require.Equal(t, []int32{2, 3, 4, 5, 6, 7, 8}, cartNumbers(t, tx), "the second of 2, 1, 4, 3")
	one, err = store.LockDueRows(t.Context(), tx, cartRule(), store.DueRows{Now: cartsAt, Only: batch.One(1), Limit: 10})
	require.NoError(t, err)
	require.Zero(t, one.Len())
}

// A trigger of the shop may change the carts while their items go, or keep a row.
func TestCartsLeftAreFoundByTheirKeys(t *testing.T) {
	t.Parallel()
	tx := cartsTx(t, "timestamptz")
	mustExec(t, tx, `
		create function touch() returns trigger language plpgsql as $$ begin
		    update public."Carts" set "Seen" = now() where token = old.cart; return null;
		end $$;
		create trigger touch after delete on public.cart_items for each row execute function touch();
		create function keep() returns trigger language plpgsql as $$ begin return null; end $$;
		create trigger keep before delete on public."Carts" for each row when (old.no = 2) execute function keep();
		create trigger keep before delete on public.cart_notes for each row execute function keep()`)
	batch, err := store.LockDueRows(t.Context(), tx, cartRule(), store.DueRows{Now: cartsAt, Limit: 10})
	require.NoError(t, err)
	counts, err := store.EraseRows(t.Context(), tx, cartRule(), batch)
	require.NoError(t, err)
	require.Equal(t, map[string]int64{"public.Carts": 3, "public.cart_items": 8, "public.cart_notes": 0}, counts)
	left, err := store.RowsLeft(t.Context(), tx, cartRule(), batch)
	require.NoError(t, err)
	require.Equal(t, map[string]int64{"public.Carts": 1, "public.cart_items": 0, "public.cart_notes": 1}, left)
}

// These are the rights that kvit check asks for.
func TestCartsNeedFewRights(t *testing.T) {
	t.Parallel()
	tx := cartsTx(t, "timestamptz")
	mustExec(t, tx, `
		create role few_rights;
		grant select, delete on public."Carts", public.cart_items, public.cart_notes to few_rights;
		set local role few_rights;
		savepoint before`)
	_, err := store.LockDueRows(t.Context(), tx, cartRule(), store.DueRows{Now: cartsAt, Limit: 10})
	require.ErrorContains(t, err, "permission denied")
	mustExec(t, tx, `rollback to before; reset role; grant update (note) on public."Carts" to few_rights; set local role few_rights`)
	batch, err := store.LockDueRows(t.Context(), tx, cartRule(), store.DueRows{Now: cartsAt, Limit: 10})
	require.NoError(t, err)
	_, err = store.EraseRows(t.Context(), tx, cartRule(), batch)
	require.NoError(t, err)
	left, err := store.RowsLeft(t.Context(), tx, cartRule(), batch)
	require.NoError(t, err)
	require.Equal(t, map[string]int64{"public.Carts": 0, "public.cart_items": 0, "public.cart_notes": 0}, left)
	require.Equal(t, []int32{5, 6, 7, 8}, cartNumbers(t, tx))
}

func TestCartsThatCannotBeTold(t *testing.T) {
	t.Parallel()
	tx := cartsTx(t, "timestamptz")
	require.NoError(t, store.TryTable(t.Context(), tx, cartRule()))
	mustExec(t, tx, `alter table public."Carts" drop constraint "Carts_pkey"`)
	_, err := store.LockDueRows(t.Context(), tx, cartRule(), store.DueRows{Now: cartsAt, Limit: 10})
	require.EqualError(t, err, "read columns of public.Carts: the table has no primary key")
	wrong := cartRule()
	wrong.When = "stat = 'open'"
	require.ErrorContains(t, store.TryTable(t.Context(), tx, wrong), "try rule for public.Carts: ")
}

// With an index on the time the search for due carts reads those alone, however large the table.
func TestDueCartsComeFromTheIndex(t *testing.T) {
	t.Parallel()
	db := storetest.DB(t)
	_, err := db.Exec(t.Context(), `
		create table public.carts (id bigint primary key, seen timestamptz);
		insert into public.carts select i, timestamptz '2026-03-01' + i * interval '1 minute' from generate_series(1, 50000) i;
		create table public.cart_items (cart bigint references public.carts);
		insert into public.cart_items select id from public.carts`)
	require.NoError(t, err)
	rule := store.TableRule{Table: "public.carts", Since: "seen", Children: []store.TableChild{{Table: "public.cart_items", Column: "cart", ParentColumn: "id"}}}
	for _, k := range []store.Lookup{{Table: "public.carts", Column: "seen"}, {Table: "public.cart_items", Column: "cart"}} {
		_, err = db.Exec(t.Context(), k.Index())
		require.NoError(t, err)
	}
	_, err = db.Exec(t.Context(), `analyze public.carts; analyze public.cart_items`)
	require.NoError(t, err)
	tx, err := db.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(t.Context()) }()
	reads := func() (n int) {
		require.NoError(t, tx.QueryRow(t.Context(), `
			select coalesce(pg_stat_get_xact_tuples_returned('public.carts'::regclass), 0)
			     + coalesce(pg_stat_get_xact_tuples_returned('public.cart_items'::regclass), 0)`).Scan(&n))
		return n
	}
	before := reads()
	due := store.DueRows{Now: time.Date(2026, 3, 1, 2, 0, 0, 0, time.UTC), Limit: 100}
	for _, carts := range []int{100, 20, 0} {
		batch, err := store.LockDueRows(t.Context(), tx, rule, due)
		require.NoError(t, err)
		require.Equal(t, carts, batch.Len())
		_, err = store.EraseRows(t.Context(), tx, rule, batch)
		require.NoError(t, err)
		left, err := store.RowsLeft(t.Context(), tx, rule, batch)
		require.NoError(t, err)
		require.Equal(t, map[string]int64{"public.carts": 0, "public.cart_items": 0}, left)
		due.After = batch
	}
	require.Equal(t, before, reads(), "rows read by scanning a table")
}

// A time without a zone is one in the rule's, whatever the session's is.
func TestRowsAreDueInTheZoneOfTheirTimes(t *testing.T) {
	t.Parallel()
	tx := storetest.Tx(t)
	mustExec(t, tx, `
		set local timezone = 'Asia/Tokyo';
		create table public.jobs (id int primary key, at timestamp, on_day date);
		insert into public.jobs values (1, '2026-07-01 12:00', '2026-07-01'), (2, '2026-07-01 12:01', '2026-07-02')`)
	for _, since := range []string{"at", "on_day"} {
		rule := store.TableRule{Table: "public.jobs", Since: since, TimeZone: "America/New_York", After: time.Hour}
		first := time.Date(2026, 7, 1, 17, 0, 0, 0, time.UTC) // noon in New York, and an hour
		if since == "on_day" {
			first = time.Date(2026, 7, 1, 5, 0, 0, 0, time.UTC) // midnight there, and an hour
		}
		for ago, want := range map[time.Duration]int{0: 1, time.Second: 0} {
			due, _, err := store.CountDueRows(t.Context(), tx, rule, first.Add(-ago), 0)
			require.NoError(t, err)
			require.Equal(t, want, due, since)
		}
		found, err := store.LockDueRows(t.Context(), tx, rule, store.DueRows{Now: first, Limit: 10})
		require.NoError(t, err)
		require.Equal(t, 1, found.Len())
		found, err = store.LockDueRows(t.Context(), tx, rule, store.DueRows{Now: first.Add(48 * time.Hour), After: found, Limit: 10})
		require.NoError(t, err)
		require.Equal(t, 1, found.Len())
	}
}

// A query within the condition says whose column it means by the name of the table.
func TestConditionOfARuleNamesItsTable(t *testing.T) {
	t.Parallel()
	tx := storetest.Tx(t)
	mustExec(t, tx, `
		create table public."Address" (id int primary key, at timestamptz);
		create table public.parcels (id int, address_id int);
		insert into public."Address" values (1, '2026-07-01'), (2, '2026-07-01');
		insert into public.parcels values (7, 2)`)
	rule := store.TableRule{Table: "public.Address", Since: "at", When: `id > 0 and not exists (select from public.parcels p where p.address_id = "Address".id) -- any more`}
	due, _, err := store.CountDueRows(t.Context(), tx, rule, cartsAt.AddDate(1, 0, 0), 0)
	require.NoError(t, err)
	require.Equal(t, 1, due)
}
