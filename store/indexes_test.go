package store_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/store"
	"kvit/store/storetest"
)

func TestLacksIndex(t *testing.T) {
	t.Parallel()
	tx := storetest.Tx(t)
	exec := func(sql string) {
		t.Helper()
		_, err := tx.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	exec(`create table public.big ("Order" bigint, email varchar(99), note text);
		create table public.small (order_id bigint);
		insert into public.big select i, 'a' || i from generate_series(1, 10001) i;
		analyze public.big; analyze public.small;
		create index on public.big (note) where note is not null`)
	lacks := func(k store.Lookup) bool {
		t.Helper()
		found, err := store.LacksIndex(t.Context(), tx, k)
		require.NoError(t, err)
		return found
	}
	require.False(t, lacks(store.Lookup{Table: "public.small", Column: "order_id"}))
	require.False(t, lacks(store.Lookup{Table: "public.none", Column: "order_id"}))
	require.True(t, lacks(store.Lookup{Table: "public.big", Column: "note"}), "a part of the rows is not enough")
	for _, k := range []store.Lookup{
		{Table: "public.big", Column: "Order"}, {Table: "public.big", Column: "email"},
		{Table: "public.big", Column: "email", Fold: true}, {Table: "public.big", Column: "note", Fold: true},
	} {
		require.True(t, lacks(k), k)
		exec(strings.Replace(k.Index(), "concurrently", "", 1))
		require.False(t, lacks(k), k)
		// It is the index that the erasure's own condition uses.
		condition := store.QuoteColumn(k.Column) + " = '7'"
		if k.Fold {
			condition = "lower(" + store.QuoteColumn(k.Column) + "::text) = '7'"
		}
		exec(`set local enable_seqscan = off`)
		var plan string
		require.NoError(t, tx.QueryRow(t.Context(), `explain (format json) select from public.big where `+condition).Scan(&plan))
		require.Contains(t, plan, "Index")
	}
}
