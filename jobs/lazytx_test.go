package jobs

import (
	"log/slog"
	"testing"
	"time"

	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/stretchr/testify/require"

	"kvit/store/storetest"
	"kvit/watch"
)

// The scheduler's transaction begins only where there is something to schedule, and is a whole one then.
func TestSchedulerBeginsForSomethingToDo(t *testing.T) {
	t.Parallel()
	pool := storetest.DB(t)
	executor := clockDriver{riverpgxv5.New(pool), watch.New(watch.Options{DB: pool, Logger: slog.New(slog.DiscardHandler)}), pool, newRelay()}.GetExecutor()
	schedule := func() (riverdriver.ExecutorTx, int) {
		tx, err := executor.Begin(t.Context())
		require.NoError(t, err)
		list, err := tx.JobSchedule(t.Context(), &riverdriver.JobScheduleParams{Max: 10, Now: new(time.Now()), Schema: Schema})
		require.NoError(t, err)
		return tx, len(list)
	}
	state := func() (state string) {
		require.NoError(t, pool.QueryRow(t.Context(), `select state::text from kvit.river_job`).Scan(&state))
		return state
	}

	tx, n := schedule()
	require.Zero(t, n)
	require.Zero(t, pool.Stat().AcquiredConns(), "nothing has begun")
	require.NoError(t, tx.Commit(t.Context()))
	require.Error(t, tx.Commit(t.Context()), "it has ended")
	require.Error(t, tx.Exec(t.Context(), `select 1`))

	_, err := pool.Exec(t.Context(), `
		insert into kvit.river_job (kind, args, queue, max_attempts, state, scheduled_at)
		values ('deliver_event', '{}', 'deliver_crm', 10, 'retryable', now() - interval '1 second')`)
	require.NoError(t, err)
	tx, n = schedule()
	require.Equal(t, 1, n)
	require.EqualValues(t, 1, pool.Stat().AcquiredConns())
	require.NoError(t, tx.Rollback(t.Context()))
	require.Equal(t, "retryable", state())
	tx, n = schedule()
	require.Equal(t, 1, n)
	require.NoError(t, tx.Commit(t.Context()))
	require.Equal(t, "available", state())
}
