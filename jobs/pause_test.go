package jobs

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"kvit/delivery"
	"kvit/destination"
	"kvit/store"
	"kvit/store/storetest"
)

// A pause holds in every process and beyond a restart, also where River has forgotten the queue, and loses nothing.
func TestPauseHoldsInAllProcessesUntilResumed(t *testing.T) {
	t.Parallel()
	pool := storetest.DB(t)
	var requests atomic.Int64
	send := func(context.Context, destination.Event) (int, error) { requests.Add(1); return 200, nil }
	start := func() func() {
		syncCRM(t, pool)
		client, err := NewClient(Options{
			Pool: pool, Timeout: 10 * time.Second, Notify: true, Logger: slog.New(slog.DiscardHandler), Metrics: delivery.NewMetrics(prometheus.NewRegistry()),
			Lanes: []delivery.Settings{{Name: "crm", Concurrency: 4, RetryFor: time.Hour, Destination: &provider{send: send}}},
		})
		require.NoError(t, err)
		require.NoError(t, client.Start(t.Context()))
		return func() {
			ctx, cancel := context.WithTimeout(context.Background(), waitFor)
			defer cancel()
			require.NoError(t, client.StopAndCancel(ctx))
		}
	}
	stops := []func(){start(), start()}
	insertEvent(t, pool, "order_paid:E1")
	delivered := func(n int) func() bool {
		return func() bool {
			return scan[int](t, pool, `select count(*) from kvit.delivery where outcome = 'delivered'`) == n
		}
	}
	require.Eventually(t, delivered(1), waitFor, tick)

	pause := store.Pause{Destination: "crm", Who: "anna", Reason: "it is being moved"}
	require.NoError(t, store.PauseDestination(t.Context(), pool, pause))
	require.ErrorIs(t, store.PauseDestination(t.Context(), pool, pause), store.ErrPaused)
	for _, stop := range stops {
		stop() // a producer that has heard of the pause and one that has not would both fetch no later than this
	}
	for i := range 5 {
		insertEvent(t, pool, fmt.Sprintf("order_paid:F%d", i))
	}
	_, err := pool.Exec(t.Context(), `delete from kvit.river_queue`)
	require.NoError(t, err, "River forgets queues that nobody has worked on for a day")
	stop := start()
	insertEvent(t, pool, "order_paid:G1")
	_, err = pool.Exec(t.Context(), `insert into kvit.river_job (kind, args, queue) values ('maintain', '{}', 'maintenance')`)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		return scan[bool](t, pool, `select exists (select from kvit.river_job where kind = 'maintain' and state = 'completed')`)
	}, waitFor, tick, "other queues work")
	require.EqualValues(t, 1, requests.Load())
	require.Equal(t, 6, scan[int](t, pool, `select count(*) from kvit.river_job where kind = 'deliver_event' and state = 'available'`))

	require.NoError(t, store.ResumeDestination(t.Context(), pool, store.Pause{Destination: "crm", Who: "anna", Reason: "it has moved"}))
	require.Eventually(t, delivered(7), waitFor, tick, "nothing is lost")
	require.ErrorIs(t, store.ResumeDestination(t.Context(), pool, pause), store.ErrNotPaused)
	stop()
	require.Equal(t, "pause resume", scan[string](t, pool, `select string_agg(action, ' ' order by id) from kvit.audit where who = 'anna' and subject = 'crm'`))
}
