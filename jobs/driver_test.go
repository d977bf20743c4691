package jobs

import (
	"log/slog"
	"testing"
	"time"

	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"

	"kvit/store/storetest"
	"kvit/watch"
)

// A leader 300 s ahead of the database took all jobs at work for those of a crashed process.
func TestRescueGoesByTheDatabasesClock(t *testing.T) {
	t.Parallel()
	db := storetest.DB(t)
	storetest.ShiftClock(t, db, -5*time.Minute)
	for state, started := range map[string]string{"at work": "10 seconds", "crashed": "2 minutes"} {
		_, err := db.Exec(t.Context(), `
			insert into kvit.river_job (kind, args, queue, max_attempts, state, attempt, attempted_at, attempted_by, metadata)
			values ('deliver_event', '{}', 'deliver_crm', 10, 'running', 1, now() - $1::interval, '{somebody}', jsonb_build_object('is', $2::text))`, started, state)
		require.NoError(t, err)
	}
	driver := clockDriver{riverpgxv5.New(db), watch.New(watch.Options{DB: db, Logger: slog.New(slog.DiscardHandler)}), db, newRelay()}
	executor := driver.GetExecutor()
	stuck := func(e riverdriver.Executor) []*rivertype.JobRow {
		list, err := e.JobGetStuck(t.Context(), &riverdriver.JobGetStuckParams{Max: 10, Schema: Schema, StuckHorizon: time.Now().Add(-time.Minute)})
		require.NoError(t, err)
		return list
	}
	require.Len(t, stuck(riverpgxv5.New(db).GetExecutor()), 2, "River itself would rescue both")
	list := stuck(executor)
	require.Len(t, list, 1)
	require.JSONEq(t, `{"is": "crashed"}`, string(list[0].Metadata))

	// What River puts off by this machine's clock is put off by as much by the database's.
	_, err := executor.JobSetStateIfRunningMany(t.Context(), &riverdriver.JobSetStateIfRunningManyParams{
		ID: []int64{list[0].ID}, Attempt: []*int{nil}, ErrData: [][]byte{nil}, FinalizedAt: []*time.Time{nil},
		MetadataDoMerge: []bool{false}, MetadataUpdates: [][]byte{nil}, ScheduledAt: []*time.Time{new(time.Now().Add(time.Minute))},
		Schema: Schema, State: []rivertype.JobState{rivertype.JobStateScheduled},
	})
	require.NoError(t, err)
	var wait float64
	require.NoError(t, db.QueryRow(t.Context(), `select extract(epoch from scheduled_at - now()) from kvit.river_job where id = $1`, list[0].ID).Scan(&wait))
	require.InDelta(t, 60, wait, 5)

	// So is what a rescue ends: its time decides when the job is forgotten.
	_, err = db.Exec(t.Context(), `update kvit.river_job set state = 'running' where id = $1`, list[0].ID)
	require.NoError(t, err)
	_, err = executor.JobRescueMany(t.Context(), &riverdriver.JobRescueManyParams{
		ID: []int64{list[0].ID}, Error: [][]byte{[]byte(`{}`)}, FinalizedAt: []*time.Time{new(time.Now())}, ScheduledAt: []time.Time{time.Now()},
		Schema: Schema, State: []string{string(rivertype.JobStateDiscarded)}, StuckHorizon: time.Now(),
	})
	require.NoError(t, err)
	var state string
	require.NoError(t, db.QueryRow(t.Context(), `select state::text, extract(epoch from finalized_at - now()) from kvit.river_job where id = $1`, list[0].ID).Scan(&state, &wait))
	require.Equal(t, "discarded", state)
	require.InDelta(t, 0, wait, 5)

	_, err = executor.LeaderAttemptReelect(t.Context(), &riverdriver.LeaderReelectParams{LeaderID: "we", Schema: Schema, TTL: time.Minute})
	require.ErrorIs(t, err, rivertype.ErrNotFound)
}
