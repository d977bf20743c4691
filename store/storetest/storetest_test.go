package storetest_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"kvit/store/storetest"
)

func TestMain(m *testing.M) { storetest.Run(m) }

// DB is what a pool and a transaction share.
type DB interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

func timed(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// has reports whether a table, named with its schema, exists.
func has(t *testing.T, db DB, table string) bool {
	var found bool
	require.NoError(t, db.QueryRow(timed(t), `select to_regclass($1) is not null`, table).Scan(&found))
	return found
}

func databaseOf(t *testing.T, db DB) string {
	var name string
	require.NoError(t, db.QueryRow(timed(t), `select current_database()`).Scan(&name))
	return name
}

func exists(t *testing.T, database string) bool {
	var found bool
	err := storetest.Tx(t).QueryRow(timed(t), `select exists (select from pg_database where datname = $1)`, database).Scan(&found)
	require.NoError(t, err)
	return found
}

func TestTx(t *testing.T) {
	t.Parallel()
	t.Run("Writes", func(t *testing.T) {
		tx := storetest.Tx(t)
		require.True(t, has(t, tx, "kvit.tracking_event"))
		_, err := tx.Exec(timed(t), `create table kvit.only_in_tx ()`)
		require.NoError(t, err)
	})
	require.False(t, has(t, storetest.Tx(t), "kvit.only_in_tx"))
}

func TestTxEndedByTheTest(t *testing.T) {
	t.Parallel()
	require.NoError(t, storetest.Tx(t).Rollback(timed(t)))
}

func TestDB(t *testing.T) {
	t.Parallel()
	var name string
	t.Run("Own", func(t *testing.T) {
		one, two := storetest.DB(t), storetest.DB(t)
		_, err := one.Exec(timed(t), `create table kvit.mine ()`)
		require.NoError(t, err)
		require.True(t, has(t, one, "kvit.tracking_event"))
		require.True(t, has(t, one, "kvit.mine"))
		require.False(t, has(t, two, "kvit.mine"))
		name = databaseOf(t, one)
		require.True(t, exists(t, name))
	})
	require.False(t, exists(t, name))
}

func TestDBsAtOnce(t *testing.T) {
	t.Parallel()
	for range 8 {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			require.True(t, has(t, storetest.DB(t), "kvit.tracking_event"))
		})
	}
}

func TestURL(t *testing.T) {
	t.Parallel()
	var name string
	t.Run("ConnectionLeftOpen", func(t *testing.T) {
		pool, err := pgxpool.New(timed(t), storetest.URL(t))
		require.NoError(t, err)
		require.True(t, has(t, pool, "kvit.tracking_event"))
		name = databaseOf(t, pool)
	})
	require.False(t, exists(t, name))
}

func TestEmpty(t *testing.T) {
	t.Parallel()
	require.False(t, has(t, storetest.Empty(t), "kvit.tracking_event"))
}

func TestServer(t *testing.T) {
	t.Parallel()
	require.Same(t, storetest.Server(t), storetest.Server(t))
	require.FileExists(t, filepath.Join(storetest.Server(t).BinDir(), "postgres"))
}

func TestOwnServer(t *testing.T) {
	t.Parallel()
	s := storetest.OwnServer(t)
	require.NotSame(t, storetest.Server(t), s)
	require.NoError(t, s.Restart(timed(t)))
}

func BenchmarkDB(b *testing.B) {
	for b.Loop() {
		require.NoError(b, storetest.DB(b).Ping(timed(b)))
	}
}
