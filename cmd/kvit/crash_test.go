package main

import (
	"context"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"kvit/destination/webhook/webhooktest"
	"kvit/store/storetest"
)

// keepSelling inserts events, in a transaction each, until it is told to stop, and gives their number.
// What Postgres did not take, it inserts again, as a shop's customer would try again.
func keepSelling(ctx context.Context, pool *pgxpool.Pool, pause time.Duration) <-chan int {
	sold := make(chan int, 1)
	go func() {
		ticker := time.NewTicker(pause)
		defer ticker.Stop()
		for n := 0; ; {
			select {
			case <-ctx.Done():
				sold <- n
				return
			case <-ticker.C:
			}
			_, err := pool.Exec(context.WithoutCancel(ctx), `
				insert into kvit.tracking_event (event_key, name, order_ref, payload, consent)
				values ('order_paid:E' || $1::integer, 'order_paid', 'E' || $1::integer, '{"order": {"total": "749.00"}}', '{"marketing": true}')`, n)
			if err == nil {
				n++
			}
		}
	}()
	return sold
}

func requireAllDelivered(t *testing.T, pool *pgxpool.Pool, receiver *webhooktest.Receiver, sold int) {
	t.Helper()
	require.Eventually(t, func() bool {
		if hasten(t.Context(), pool) != nil {
			return false // Postgres has just been away
		}
		open, err := tryCount(t.Context(), pool, `select count(*) from kvit.river_job where kind = 'deliver_event' and finalized_at is null`)
		return err == nil && open == 0
	}, 2*waitFor, 10*tick, "every job is finished")
	require.Equal(t, sold, count(t, pool, `select count(*) from kvit.event`))
	require.Equal(t, sold, count(t, pool, `select count(*) from kvit.delivery where outcome = 'delivered'`))
	counts := receiver.Counts()
	require.Equal(t, sold, counts.Counted, "every event has arrived and counts once")
	require.Len(t, receiver.Events(), sold)
	require.Zero(t, counts.Refused)
	t.Logf("%d events, %d repeats that the receiver dropped", sold, counts.Repeats)
}

// outlast lets a minute pass for what killed processes have left. Without it River would lead again,
// and find their jobs, after up to a minute of real time. No process may run.
func outlast(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	_, err := pool.Exec(t.Context(), `
		update kvit.river_job set attempted_at = attempted_at - interval '1 minute' where state = 'running';
		delete from kvit.river_leader`)
	require.NoError(t, err)
}

// hasten ends the waits of holds and backoffs, which are longer than a test can wait.
func hasten(ctx context.Context, pool *pgxpool.Pool) error {
	_, err := pool.Exec(ctx, `
		update kvit.river_job set state = 'available', scheduled_at = now() where kind = 'deliver_event' and state in ('retryable', 'scheduled')`)
	return err
}

// Events flow while kvit is killed again and again, each time without a chance to say goodbye.
func TestKilledAgainAndAgain(t *testing.T) {
	t.Parallel()
	receiver, err := webhooktest.New(webhooktest.Every(17, webhooktest.ErrorBefore, webhooktest.ResetAfter), secret)
	require.NoError(t, err)
	server := httptest.NewServer(receiver)
	t.Cleanup(server.Close)
	k := install(t, storetest.URL(t), webhookYAML(server))
	k.mustCall("migrate", "up")
	pool := k.pool()

	ctx, stop := context.WithCancel(t.Context())
	sold := keepSelling(ctx, pool, 2*time.Millisecond)
	random := rand.New(rand.NewPCG(7, 7))
	for kills := range 8 {
		process := k.start()
		// It is killed in the midst of its work: when it has settled a few more, at a random moment.
		target := count(t, pool, `select count(*) from kvit.delivery`) + 1 + random.IntN(100)
		require.Eventually(t, func() bool {
			return count(t, pool, `select count(*) from kvit.delivery`) >= target
		}, waitFor, time.Millisecond, "kill %d", kills)
		require.NoError(t, process.Process.Kill())
		_ = process.Wait()
	}
	stop()
	n := <-sold
	stuck := count(t, pool, `select count(*) from kvit.river_job where state = 'running'`)
	require.Positive(t, stuck, "the kills have hit jobs at work")

	outlast(t, pool)
	k.start()
	requireAllDelivered(t, pool, receiver, n)
}

// The same with Postgres: stopped and started while kvit and the shop go on.
func TestPostgresStoppedAndStarted(t *testing.T) {
	t.Parallel()
	receiver, err := webhooktest.New(nil, secret)
	require.NoError(t, err)
	server := httptest.NewServer(receiver)
	t.Cleanup(server.Close)
	postgres := storetest.OwnServer(t)
	k := install(t, postgres.URL("postgres"), webhookYAML(server))
	k.mustCall("migrate", "up")
	pool := k.pool()

	ctx, stop := context.WithCancel(t.Context())
	sold := keepSelling(ctx, pool, 5*time.Millisecond)
	k.start()
	k.waitReady()
	for round := range 3 {
		target := count(t, pool, `select count(*) from kvit.delivery`) + 20
		require.Eventually(t, func() bool {
			n, err := tryCount(t.Context(), pool, `select count(*) from kvit.delivery`)
			return err == nil && n >= target
		}, 2*waitFor, tick, "round %d", round)
		if round%2 == 0 {
			require.NoError(t, postgres.StopOnly(t.Context()))
		} else {
			require.NoError(t, postgres.Crash(t.Context()))
		}
		require.Eventually(t, func() bool { status, _ := k.get("/readyz"); return status == 503 }, waitFor, tick)
		status, _ := k.get("/healthz")
		require.Equal(t, 200, status)
		require.NoError(t, postgres.StartAgain(t.Context()))
	}
	k.waitReady()
	stop()
	requireAllDelivered(t, pool, receiver, <-sold)
}

// Postgres is away when kvit starts: it waits, says so, and begins by itself.
func TestWaitsForTheDatabase(t *testing.T) {
	t.Parallel()
	postgres := storetest.OwnServer(t)
	k := install(t, postgres.URL("postgres"), "database: {url: \"${DATABASE_URL}\"}\nops: {listen: \"%ADDRESS%\"}\n")
	k.mustCall("migrate", "up")
	require.NoError(t, postgres.StopOnly(t.Context()))
	process := k.start()
	require.Eventually(t, func() bool { status, _ := k.get("/readyz"); return status == 503 }, waitFor, tick)
	require.Eventually(t, func() bool { return strings.Count(k.log.String(), "waiting for the database") >= 2 }, waitFor, tick)
	require.NoError(t, postgres.StartAgain(t.Context()))
	k.waitReady()
	k.stop(process)
}

// A stop lets the request under way end, and its receipt be written.
func TestStopLetsTheRequestEnd(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(entered)
		<-release
	}))
	t.Cleanup(server.Close)
	k := install(t, storetest.URL(t), webhookYAML(server))
	k.mustCall("migrate", "up")
	pool := k.pool()
	process := k.start()
	k.waitReady()
	_, err := pool.Exec(t.Context(), `
		insert into kvit.tracking_event (event_key, name, consent) values ('order_paid:E1', 'order_paid', '{"marketing": true}')`)
	require.NoError(t, err)
	<-entered
	require.NoError(t, process.Process.Signal(syscall.SIGTERM))
	require.Eventually(t, func() bool { return strings.Contains(k.log.String(), "kvit stops") }, waitFor, tick)
	close(release)
	require.NoError(t, process.Wait())
	require.Equal(t, 1, count(t, pool, `select count(*) from kvit.delivery where outcome = 'delivered'`))
	require.Zero(t, count(t, pool, `select count(*) from kvit.river_job where kind = 'deliver_event'`), "it went with the receipt")
}
