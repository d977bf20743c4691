package store_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"kvit/store"
	"kvit/store/storetest"
)

// related makes tables and names those that belong to public.orders.
func related(t *testing.T, tx pgx.Tx, schema string, more ...string) []string {
	t.Helper()
	_, err := tx.Exec(t.Context(), schema)
	require.NoError(t, err)
	names, err := store.RelatedTables(t.Context(), tx, "public.orders", more, 3)
	require.NoError(t, err)
	return names
}

func TestRelatedTables(t *testing.T) {
	t.Parallel()
	names := related(t, storetest.Tx(t), `
		create schema "Odd";
		create table public.orders (id bigint primary key, previous bigint references public.orders, unique (id, previous));
		create table public.lines (id bigint primary key, order_id bigint references public.orders);
		create table "Odd"."Gift wrap" (id bigint primary key, line_id bigint references public.lines);
		create table public.cards (id bigint primary key, wrap_id bigint references "Odd"."Gift wrap");
		create table public.stamps (card_id bigint references public.cards);
		create table public.pairs (b bigint, a bigint, foreign key (b, a) references public.orders (id, previous));
		create table public.products (id bigint primary key);
		create table public.people (id bigint primary key);
		create table public.wishes (people_id bigint references public.people)`, "public.people")
	require.Equal(t, []string{
		"public.orders", "public.lines", "public.pairs", "public.people", "Odd.Gift wrap", "public.wishes", "public.cards",
	}, names, "three keys away at most, and nothing unrelated")
}

func TestRelatedTablesNamesAPartitionedTableOnce(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"public.orders", "public.lines"}, related(t, storetest.Tx(t), `
		create table public.orders (id bigint primary key) partition by range (id);
		create table public.orders_1 partition of public.orders for values from (0) to (9);
		create table public.lines (order_id bigint references public.orders) partition by range (order_id);
		create table public.lines_1 partition of public.lines for values from (0) to (9)`))
}

func TestRelatedTablesOfNothing(t *testing.T) {
	t.Parallel()
	tx := storetest.Tx(t)
	_, err := tx.Exec(t.Context(), `create table public.orders (id bigint); create view public.seen as select * from public.orders`)
	require.NoError(t, err)
	for _, name := range []string{"public.none", "none.none", "public.seen"} {
		_, err = store.RelatedTables(t.Context(), tx, "public.orders", []string{name}, 3)
		require.EqualError(t, err, "table "+name+" does not exist, or is no table")
	}
}

// A first policy is drafted before kvit has any right on the shop's tables.
func TestRelatedTablesNeedNoRights(t *testing.T) {
	t.Parallel()
	tx := storetest.Tx(t)
	names := related(t, tx, `
		create role kvit_test_nobody nologin;
		create table public.orders (id bigint primary key, email text);
		create table public.lines (order_id bigint references public.orders);
		revoke all on public.orders, public.lines from public;
		set local role kvit_test_nobody`)
	require.Equal(t, []string{"public.orders", "public.lines"}, names)
	columns, err := store.TableColumns(t.Context(), tx, names)
	require.NoError(t, err)
	require.Len(t, columns, 3)
}
