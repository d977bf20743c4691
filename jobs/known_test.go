package jobs

import (
	"log/slog"
	"testing"
	"time"

	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"

	"kvit/store"
	"kvit/store/storetest"
	"kvit/watch"
)

func TestKnown(t *testing.T) {
	t.Parallel()
	k, now := newKnown(), time.Now()
	k.now = func() time.Time { return now }
	queues := []string{"a", "b", "c"}
	look := func(s store.Sight) { k.note(now, queues, s) }
	busy := store.Sight{Schedule: true, Queues: []store.DueQueue{{Name: "a"}, {Name: "b", In: time.Second}}}

	require.False(t, k.nothingIn("c"), "nobody has looked")
	require.False(t, k.nothingToSchedule())
	look(busy)
	require.False(t, k.nothingIn("a"))
	require.False(t, k.nothingIn("b"), "soon")
	require.False(t, k.nothingIn("d"), "not looked at")
	require.True(t, k.nothingIn("c"))
	require.False(t, k.nothingToSchedule())
	look(store.Sight{})
	require.True(t, k.nothingIn("a"))
	require.True(t, k.nothingToSchedule())

	k.heard("a")
	require.False(t, k.nothingIn("a"))
	require.True(t, k.nothingIn("b"))
	look(store.Sight{})
	now = now.Add(idleLook)
	require.True(t, k.nothingIn("a"))
	now = now.Add(idleLook)
	require.False(t, k.nothingIn("a"), "the waker has stopped")
	require.False(t, k.nothingToSchedule())
	look(store.Sight{})
	k.forget()
	require.False(t, k.nothingIn("a"))

	for range int(fetchAnyway / idleLook) {
		now = now.Add(idleLook)
		look(store.Sight{})
	}
	require.False(t, k.nothingIn("a"), "once in a while, for whatever a look does not see")
	require.True(t, k.nothingIn("a"))
}

// While nothing happens one look answers what River's services ask, each by itself; none of them misses a job for that.
func TestOneLookAnswersAll(t *testing.T) {
	t.Parallel()
	pool := storetest.DB(t)
	syncCRM(t, pool)
	r, clock := newRelay(), time.Duration(0)
	w := watch.New(watch.Options{DB: pool, Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return time.Now().Add(clock) }})
	waker := newWaker(pool, []string{"deliver_crm", maintenanceQueue}, r, w)
	executor := clockDriver{riverpgxv5.New(pool), w, pool, r}.GetExecutor()
	fetch := func(queue string) int {
		result, err := executor.JobGetAvailable(t.Context(), &riverdriver.JobGetAvailableParams{
			ClientID: "we", MaxAttemptedBy: 10, MaxToLock: 10, Queue: queue, Schema: Schema,
		})
		require.NoError(t, err)
		return len(result.Jobs)
	}
	schedule := func() int {
		tx, err := executor.Begin(t.Context())
		require.NoError(t, err)
		list, err := tx.JobSchedule(t.Context(), &riverdriver.JobScheduleParams{Max: 10, Now: new(time.Now()), Schema: Schema})
		require.NoError(t, err)
		require.NoError(t, tx.Commit(t.Context()))
		return len(list)
	}
	elected := storeLeader(t, pool)
	reelect := func() error {
		_, err := executor.LeaderAttemptReelect(t.Context(), &riverdriver.LeaderReelectParams{ElectedAt: elected, LeaderID: "we", Schema: Schema, TTL: time.Minute})
		return err
	}
	asked := func(do func()) int64 {
		before := pool.Stat().AcquireCount()
		do()
		return pool.Stat().AcquireCount() - before
	}
	all := func() {
		require.Zero(t, fetch("deliver_crm"))
		require.Zero(t, fetch(maintenanceQueue))
		require.Zero(t, schedule())
		require.NoError(t, reelect())
	}
	require.EqualValues(t, 5, asked(all), "nobody has looked: two fetches, the scheduler, the clock and the re-election")
	_, err := waker.look(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, asked(all), "the re-election")

	insertEvent(t, pool, "order_paid:E1")
	require.NoError(t, waker.hear(t.Context(), "deliver_crm"))
	require.Equal(t, 1, fetch("deliver_crm"))
	_, err = pool.Exec(t.Context(), `update kvit.river_job set state = 'retryable', scheduled_at = now() + interval '3 seconds'`)
	require.NoError(t, err)
	_, err = waker.look(t.Context())
	require.NoError(t, err)
	_, err = pool.Exec(t.Context(), `update kvit.river_job set scheduled_at = now()`) // as if the time had passed
	require.NoError(t, err)
	require.Equal(t, 1, schedule(), "due before the next look")

	clock = time.Hour
	require.ErrorIs(t, reelect(), rivertype.ErrNotFound, "this machine's clock was set since the last look")
	require.Zero(t, scan[int](t, pool, `select count(*) from kvit.river_leader`))
}

// storeLeader makes "we" the leader.
func storeLeader(t *testing.T, db store.DB) (elected time.Time) {
	t.Helper()
	require.NoError(t, db.QueryRow(t.Context(), `
		insert into kvit.river_leader (elected_at, expires_at, leader_id, name)
		values (now(), now() + interval '1 minute', 'we', 'default') returning elected_at`).Scan(&elected))
	return elected
}
