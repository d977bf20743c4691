package store_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"kvit/store"
	"kvit/store/storetest"
)

func TestLookAround(t *testing.T) {
	t.Parallel()
	db := storetest.DB(t)
	queues := []string{"deliver_crm", "deliver_mail", "erp"}
	look := func() store.Sight {
		s, err := store.LookAround(t.Context(), db, queues, 10*time.Second)
		require.NoError(t, err)
		return s
	}
	add := func(state, queue, in string) {
		_, err := db.Exec(t.Context(), `
			insert into kvit.river_job (kind, args, queue, max_attempts, state, scheduled_at)
			values ('deliver_event', '{}', $2, 10, $1::kvit.river_job_state, now() + $3::interval)`, state, queue, in)
		require.NoError(t, err)
	}
	s := look()
	require.Empty(t, s.Queues)
	require.False(t, s.Schedule)
	require.WithinDuration(t, time.Now(), s.Moment.At, time.Minute)
	require.Positive(t, s.Moment.EraseFrom)

	add("available", "deliver_other", "-1 minute")
	add("retryable", "deliver_crm", "15 seconds")
	require.Empty(t, look().Queues, "of a queue that was not asked about, and one that is not available")
	require.False(t, look().Schedule, "later than asked about")

	add("available", "deliver_crm", "1 hour")
	add("available", "erp", "-1 minute")
	add("scheduled", "deliver_other", "5 seconds")
	s = look()
	require.True(t, s.Schedule, "of any queue")
	due := map[string]time.Duration{}
	for _, q := range s.Queues {
		due[q.Name] = q.In
	}
	require.Len(t, due, 2)
	require.InDelta(t, 3600, due["deliver_crm"].Seconds(), 60)
	require.Negative(t, due["erp"])
}

// lone is a pool of one connection, whose server's process backend tells.
func lone(t *testing.T) (pool *pgxpool.Pool, backend func() int) {
	t.Helper()
	pool, err := store.Open(t.Context(), store.Options{URL: storetest.DB(t).Config().ConnString(), MaxConnections: 1})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool, func() (pid int) {
		require.NoError(t, pool.QueryRow(t.Context(), `select pg_backend_pid()`).Scan(&pid))
		return pid
	}
}

// A statement that asks by itself whether the server takes writes, and one that writes, are not asked for; where the answer is
// no, the server is left all the same.
func TestServersThatTakeNoWritesAreLeft(t *testing.T) {
	t.Parallel()
	for name, statement := range map[string]func(t *testing.T, pool *pgxpool.Pool) error{
		"LookingItself": func(t *testing.T, pool *pgxpool.Pool) error {
			_, err := store.LookAround(t.Context(), pool, nil, 0)
			return err
		},
		"Writing": func(t *testing.T, pool *pgxpool.Pool) error {
			_, err := pool.Exec(store.Writing(t.Context()), `delete from kvit.river_leader`)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool, backend := lone(t)
			before := backend()
			require.NoError(t, statement(t, pool))
			require.Equal(t, before, backend())
			_, err := pool.Exec(t.Context(), `set default_transaction_read_only = on`)
			require.NoError(t, err)
			require.Error(t, statement(t, pool))
			require.Eventually(t, func() bool { return statement(t, pool) == nil }, 10*time.Second, 10*time.Millisecond)
			require.NotEqual(t, before, backend())
		})
	}
}
