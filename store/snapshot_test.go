package store_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"kvit/store"
	"kvit/store/storetest"
)

func TestSnapshot(t *testing.T) {
	t.Parallel()
	pool := storetest.DB(t)
	_, err := pool.Exec(t.Context(), `create table notes (id int)`)
	require.NoError(t, err)
	err = store.Snapshot(t.Context(), pool, func(tx pgx.Tx) error {
		for range 2 {
			var n int
			require.NoError(t, tx.QueryRow(t.Context(), `select count(*) from notes`).Scan(&n))
			require.Zero(t, n, "what others write meanwhile is not in it")
			_, err := pool.Exec(t.Context(), `insert into notes values (1)`)
			require.NoError(t, err)
		}
		_, err := tx.Exec(t.Context(), `insert into notes values (2)`)
		return err
	})
	require.ErrorContains(t, err, "read-only")
}
