package store_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"kvit/store"
	"kvit/store/storetest"
)

// Statements that travel together are done in their order, each sees what the ones before did, and the error is that
// of the first that has one, by its own name.
func TestQueue(t *testing.T) {
	t.Parallel()
	tx := storetest.Tx(t)
	var q store.Queue
	require.NoError(t, q.Run(t.Context(), tx), "nothing is queued")

	_, err := tx.Exec(t.Context(), `
		create table public.people (ref text, name text);
		insert into public.people values ('E1', 'Jane'), ('E2', 'Joe');
		create table public.orders (ref text unique, placed timestamptz, imported timestamptz, number text, erased timestamptz);
		insert into public.orders values ('E1'), ('E2')`)
	require.NoError(t, err)
	o := shopOrders()
	people := store.TableErasure{
		Table: "public.people", Path: []store.Link{{Column: "ref", Table: "public.orders", Key: "ref", Type: "text"}},
		Writes: []store.Write{{Column: "name", Type: "text", Strategy: "null"}},
	}
	refs := []string{"E1", "E2"}
	var looks []int64
	look := func(found store.Remains) error {
		looks = append(looks, found.Left["E1"]+found.Left["E2"])
		return nil
	}
	var counts map[string]int64
	require.NoError(t, q.FindRemains(t.Context(), tx, o, people, refs, look))
	require.NoError(t, q.EraseTable(t.Context(), tx, o, people, refs, time.Now(), func(n map[string]int64) { counts = n }))
	require.NoError(t, q.FindRemains(t.Context(), tx, o, people, refs, look))
	require.Empty(t, looks, "they have not been sent")
	require.NoError(t, q.Run(t.Context(), tx))
	require.Equal(t, []int64{2, 0}, looks)
	require.Equal(t, map[string]int64{"E1": 1, "E2": 1}, counts)
	require.NoError(t, q.Run(t.Context(), tx), "it is empty again")
	require.Len(t, looks, 2)

	_, err = tx.Exec(t.Context(), `alter table public.people add check (name is not null) not valid`)
	require.NoError(t, err)
	require.NoError(t, q.FindRemains(t.Context(), tx, o, people, refs, look))
	require.NoError(t, q.EraseTable(t.Context(), tx, o, people, refs, time.Now(), func(map[string]int64) {}))
	require.NoError(t, q.FindRemains(t.Context(), tx, o, people, refs, look))
	err = q.Run(t.Context(), tx)
	require.ErrorContains(t, err, "erase public.people: ")
	var refused *pgconn.PgError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, "23514", refused.Code)
	require.Len(t, looks, 3, "the last was not looked at")
}
