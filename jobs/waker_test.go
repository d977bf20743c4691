package jobs

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"kvit/destination"
	"kvit/store"
	"kvit/store/storetest"
	"kvit/watch"
)

// wakerBench is a waker whose time the test moves.
func wakerBench(t *testing.T) (*pgxpool.Pool, *waker, *time.Time) {
	t.Helper()
	pool := storetest.DB(t)
	syncCRM(t, pool)
	now := time.Now()
	w := newWaker(pool, []string{"deliver_crm", "deliver_mail"}, newRelay(), watch.New(watch.Options{DB: pool, Logger: slog.New(slog.DiscardHandler)}))
	w.now = func() time.Time { return now }
	return pool, w, &now
}

// notifies tells whether an event's insert wakes somebody.
func notifies(t *testing.T, pool *pgxpool.Pool, key string) bool {
	t.Helper()
	conn, err := pool.Acquire(t.Context())
	require.NoError(t, err)
	defer conn.Release()
	_, err = conn.Exec(t.Context(), `listen "kvit.river_insert"`)
	require.NoError(t, err)
	insertEvent(t, conn, key)
	_, err = conn.Exec(t.Context(), `select pg_notify('kvit.river_insert', 'last')`)
	require.NoError(t, err)
	for n := 0; ; n++ {
		heard, err := conn.Conn().WaitForNotification(t.Context())
		require.NoError(t, err)
		if heard.Payload == "last" {
			return n > 0
		}
	}
}

func TestWordThatWorkersAreAwake(t *testing.T) {
	t.Parallel()
	pool, _, _ := wakerBench(t)
	require.True(t, notifies(t, pool, "order_paid:E1"), "nobody has given it")
	require.NoError(t, store.StayAwake(t.Context(), pool, 10*time.Second))
	require.False(t, notifies(t, pool, "order_paid:E2"))
	require.NoError(t, store.StayAwake(t.Context(), pool, -time.Millisecond))
	require.True(t, notifies(t, pool, "order_paid:E3"), "it is over")
	require.NoError(t, store.StayAwake(t.Context(), pool, time.Hour))
	require.True(t, notifies(t, pool, "order_paid:E4"), "of a clock that was set back")
}

// hearMany lets it hear what is enough to stay awake.
func hearMany(t *testing.T, w *waker) {
	t.Helper()
	for range heardMany {
		require.NoError(t, w.hear(t.Context(), "deliver_crm"))
	}
}

func TestWakerStaysAwakeWhileItIsOfUse(t *testing.T) {
	t.Parallel()
	pool, w, now := wakerBench(t)
	for range heardMany / 2 {
		require.NoError(t, w.hear(t.Context(), "deliver_crm"))
		require.NoError(t, w.hear(t.Context(), "deliver_mail"))
	}
	require.True(t, notifies(t, pool, "order_paid:E1"), "not many of one queue")
	*now = now.Add(2 * heardWindow)
	hearMany(t, w)
	require.False(t, notifies(t, pool, "order_paid:E2"))

	// Rounds of use renew the word.
	for range 2 * int(awakeFor/awakePause) {
		w.traffic.fetched("deliver_crm", 1, *now)
		queues, err := w.look(t.Context())
		require.NoError(t, err)
		require.Contains(t, queues, "deliver_crm")
		*now = now.Add(awakePause)
		require.False(t, w.next.After(*now))
	}
	require.True(t, w.awake(*now))

	// Rounds of none let it end, after which looks become rare.
	for w.awake(*now) {
		_, err := w.look(t.Context())
		require.NoError(t, err)
		*now = w.next
	}
	for waited := time.Duration(0); waited < idleLook; waited = w.next.Sub(*now) {
		*now = w.next
		queues, err := w.look(t.Context())
		require.NoError(t, err)
		require.Equal(t, []string{"deliver_crm"}, queues, "the events of before")
	}
}

// While the word holds quiet destinations are looked into by the way, and other queues as often as while nothing happens: of their
// jobs everybody is notified.
func TestWakerLooksIntoOtherQueues(t *testing.T) {
	t.Parallel()
	_, w, now := wakerBench(t)
	w.queues = append(w.queues, maintenanceQueue)
	hearMany(t, w)
	rounds := map[string]int{}
	const seconds = 20
	for began := *now; now.Sub(began) < seconds*time.Second; *now = now.Add(awakePause) {
		w.traffic.fetched("deliver_crm", 1, *now)
		queues, err := w.look(t.Context())
		require.NoError(t, err)
		for _, q := range queues {
			rounds[q]++
		}
	}
	every := int(seconds * time.Second / awakePause)
	require.Equal(t, every, rounds["deliver_crm"])
	require.InDelta(t, every/othersEvery, rounds["deliver_mail"], 100)
	require.Equal(t, int(seconds*time.Second/idleLook), rounds[maintenanceQueue])
}

// A transaction that was open when the word was believed, and commits when it is over, is found without a notification.
func TestWakerLooksAgainWhenAJobIsDue(t *testing.T) {
	t.Parallel()
	pool, w, now := wakerBench(t)
	queues, err := w.look(t.Context())
	require.NoError(t, err)
	require.Empty(t, queues)
	w.pause = idleLook
	insertEvent(t, pool, "order_paid:E1")
	_, err = pool.Exec(t.Context(), `update kvit.river_job set scheduled_at = now() + interval '2 seconds'`)
	require.NoError(t, err)
	queues, err = w.look(t.Context())
	require.NoError(t, err)
	require.Empty(t, queues)
	require.WithinDuration(t, now.Add(2*time.Second), w.next, time.Second)
}

// The word is given, and kept: nothing of what is written while it holds, or by transactions that saw it, waits.
func TestEventsFlowWhileNobodyNotifies(t *testing.T) {
	t.Parallel()
	pool := storetest.DB(t)
	var sent atomic.Int64
	startClient(t, pool, nil, func(context.Context, destination.Event) (int, error) {
		sent.Add(1)
		return 200, nil
	})
	insertEvent(t, pool, "order_paid:first")
	require.Eventually(t, func() bool { return sent.Load() == 1 }, waitFor, tick)
	require.NoError(t, store.StayAwake(t.Context(), pool, 10*time.Second)) // somebody who does not keep it
	for i := range 20 {
		insertEvent(t, pool, fmt.Sprintf("order_paid:E%d", i))
	}
	require.Eventually(t, func() bool { return sent.Load() == 21 }, 2*idleLook, tick)
}
