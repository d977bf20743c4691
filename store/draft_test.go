package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/store"
	"kvit/store/storetest"
)

func TestShopTables(t *testing.T) {
	t.Parallel()
	tx := storetest.Tx(t)
	_, err := tx.Exec(t.Context(), `
		create schema "Odd";
		create table public.orders (id bigint primary key) partition by range (id);
		create table public.orders_1 partition of public.orders for values from (0) to (9);
		create table "Odd"."Gift wrap" (order_id bigint);
		create table public.products (id bigint);
		create view public.seen as select * from public.products`)
	require.NoError(t, err)
	names, err := store.ShopTables(t.Context(), tx, "public.orders")
	require.NoError(t, err)
	require.Equal(t, []string{"Odd.Gift wrap", "public.orders", "public.products"}, names, "a partitioned table once, no view, nothing of kvit's")
	for _, name := range []string{"public.none", "none.none", "public.seen", "kvit.event"} {
		_, err = store.ShopTables(t.Context(), tx, name)
		require.EqualError(t, err, "table "+name+" does not exist, or is no table")
	}
}

// A first policy is drafted before kvit has any right on the shop's tables.
func TestShopTablesNeedNoRights(t *testing.T) {
	t.Parallel()
	tx := storetest.Tx(t)
	_, err := tx.Exec(t.Context(), `
		create role kvit_test_nobody nologin;
		create table public.orders (id bigint primary key, email text);
		create table public.lines (order_id bigint references public.orders);
		revoke all on public.orders, public.lines from public;
		set local role kvit_test_nobody`)
	require.NoError(t, err)
	names, err := store.ShopTables(t.Context(), tx)
	require.NoError(t, err)
	require.Equal(t, []string{"public.lines", "public.orders"}, names)
	columns, err := store.TableColumns(t.Context(), tx, names)
	require.NoError(t, err)
	require.Len(t, columns, 3)
	for _, c := range columns {
		require.False(t, c.HasForm(), "nobody may look at %s", c.Name)
	}
}
