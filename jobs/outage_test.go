package jobs

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"kvit/delivery"
	"kvit/destination"
	"kvit/store"
	"kvit/store/storetest"
)

// outage is a client whose one destination, crm, can be down.
type outage struct {
	pool     *pgxpool.Pool
	metrics  *prometheus.Registry
	failing  atomic.Pointer[destination.Error]
	requests atomic.Int64
	mu       sync.Mutex
	seen     map[string]int
	missing  int           // requests until met
	met      chan struct{} // nil: requests do not wait for each other
	blocked  map[string]chan struct{}
}

// disliked is the key of an event that is always turned away.
const disliked = "order_paid:disliked"

func newOutage(t testing.TB, lane delivery.Settings, others ...delivery.Settings) *outage {
	t.Helper()
	o := &outage{pool: storetest.DB(t), metrics: prometheus.NewRegistry(), seen: map[string]int{}}
	known := []store.Destination{{Name: "crm", Kind: "webhook", Enabled: true, EventNames: destination.Names}}
	for _, other := range others {
		known = append(known, store.Destination{Name: other.Name, Kind: "webhook", Enabled: true, EventNames: destination.Names})
	}
	require.NoError(t, store.SyncDestinations(t.Context(), o.pool, known, true))
	// Counts what River writes, which is what an operator's database has to bear.
	_, err := o.pool.Exec(t.Context(), `
		create sequence public.updates;
		create function public.count_update() returns trigger language plpgsql as $$ begin perform nextval('public.updates'); return null; end $$;
		create trigger count_update after update on kvit.river_job for each row execute function public.count_update()`)
	require.NoError(t, err)
	lane.Name, lane.RetryFor = "crm", 100*time.Hour
	lane.Destination = &provider{send: o.send}
	client, err := NewClient(Options{
		Pool: o.pool, Timeout: 10 * time.Second, Notify: true, Lanes: append(others, lane),
		Metrics: delivery.NewMetrics(o.metrics), Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	require.NoError(t, client.Start(context.WithoutCancel(t.Context())))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), waitFor)
		defer cancel()
		require.NoError(t, client.StopAndCancel(ctx))
	})
	return o
}

func (o *outage) send(ctx context.Context, e destination.Event) (int, error) {
	o.requests.Add(1)
	o.attend(ctx)
	o.mu.Lock()
	wait := o.blocked[e.Name]
	o.mu.Unlock()
	if wait != nil {
		select {
		case <-wait:
			return 200, nil
		case <-ctx.Done():
		}
	}
	if failing := o.failing.Load(); failing != nil {
		return failing.Code, failing
	}
	if e.Key == disliked {
		return 403, &destination.Error{Kind: destination.Unauthorized, Code: 403, Reason: "no"}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.seen[e.Key]++
	return 200, nil
}

func (o *outage) insert(t testing.TB, n int) {
	t.Helper()
	_, err := o.pool.Exec(t.Context(), `
		insert into kvit.tracking_event (event_key, name)
		select 'order_paid:' || gen_random_uuid(), 'order_paid' from generate_series(1, $1::int)`, n)
	require.NoError(t, err)
}

func (o *outage) query(t testing.TB, sql string) (n int) {
	t.Helper()
	require.NoError(t, o.pool.QueryRow(t.Context(), sql).Scan(&n))
	return n
}

func (o *outage) updates(t testing.TB) int {
	return o.query(t, `select case when is_called then last_value else 0 end from public.updates`)
}

func (o *outage) held(t testing.TB) int {
	return o.query(t, `select count(held_until) from kvit.destination`)
}

// breaker is the gauge of crm.
func (o *outage) breaker(t testing.TB) float64 {
	t.Helper()
	families, err := o.metrics.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() == "kvit_breaker_open" {
			require.Len(t, f.GetMetric(), 1)
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatal("no such gauge")
	return 0
}

// TestAnOutageIsSatOut lets 3,000 events meet a provider that is down: few requests, few writes, and
// when it returns every event arrives.
func TestAnOutageIsSatOut(t *testing.T) {
	t.Parallel()
	for name, down := range map[string]*destination.Error{
		"Unreachable":  {Kind: destination.Unreachable, Reason: "connection refused"},
		"Failing":      {Kind: destination.Ambiguous, Code: 502, Reason: "down"},
		"Unauthorized": {Kind: destination.Unauthorized, Code: 401, Reason: "wrong credentials"},
		"Throttling":   {Kind: destination.Throttled, Code: 429, Reason: "slow down"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const events = 3000
			o := newOutage(t, delivery.Settings{Concurrency: 4, FirstHold: 200 * time.Millisecond, LongestHold: 400 * time.Millisecond})
			o.failing.Store(down)
			o.insert(t, events)
			require.Eventually(t, func() bool { return o.held(t) == 1 }, waitFor, tick)
			require.InDelta(t, 1, o.breaker(t), 0)
			before := o.requests.Load()
			require.Eventually(t, func() bool { return o.requests.Load() > before+5 }, waitFor, tick, "it probes")
			window := 128 // of a concurrency of 4
			require.Less(t, o.updates(t), 8*window, "what was fetched is put back once, the rest is not touched")
			require.Zero(t, o.query(t, `select count(*) from kvit.delivery`))

			o.failing.Store(nil)
			require.Eventually(t, func() bool {
				// Those that met the outage wait longer by themselves; make that now.
				_, err := o.pool.Exec(t.Context(), `update kvit.river_job set scheduled_at = now(), state = 'available' where state in ('scheduled', 'retryable')`)
				require.NoError(t, err)
				return o.query(t, `select count(*) from kvit.delivery where outcome = 'delivered'`) == events
			}, waitFor, 10*tick)
			require.Len(t, o.seen, events)
			require.Zero(t, o.held(t))
			require.Zero(t, o.breaker(t))
		})
	}
}

// TestWhatExpiredDuringAnOutageSaysSo: a provider is down for longer than its deadline while another
// one is healthy. Each event has its receipt at both in the end.
func TestWhatExpiredDuringAnOutageSaysSo(t *testing.T) {
	t.Parallel()
	healthy := &provider{send: func(context.Context, destination.Event) (int, error) { return 200, nil }}
	const early, late, deadline = 400, 100, 3 * time.Second
	o := newOutage(t, delivery.Settings{
		Concurrency: 4, FirstHold: 100 * time.Millisecond, LongestHold: 500 * time.Millisecond,
		MaxAge: 10*time.Second + deadline, // an attempt's time counts, too
	}, delivery.Settings{Name: "healthy", Destination: healthy, Concurrency: 4, RetryFor: time.Hour})
	o.failing.Store(&destination.Error{Kind: destination.Unreachable, Reason: "connection refused"})
	o.insert(t, early)
	require.Eventually(t, func() bool {
		return o.query(t, `select count(*) from kvit.delivery where destination = 'healthy'`) == early
	}, waitFor, tick, "the other one is not held up")
	require.Eventually(t, func() bool {
		return o.query(t, `select count(*) from kvit.event where occurred_at > now() - interval '3.1 seconds'`) == 0
	}, waitFor, tick)
	o.failing.Store(nil)
	_, err := o.pool.Exec(t.Context(), `
		insert into kvit.tracking_event (event_key, name, occurred_at) -- in time on the slowest machine
		select 'order_paid:' || gen_random_uuid(), 'order_paid', now() + interval '1 hour' from generate_series(1, $1::int)`, late)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		// Those that met the outage wait longer by themselves; make that now.
		_, err := o.pool.Exec(t.Context(), `update kvit.river_job set scheduled_at = now(), state = 'available' where state = 'retryable'`)
		require.NoError(t, err)
		return o.query(t, `select count(*) from kvit.delivery`) == 2*(early+late)
	}, waitFor, 10*tick)
	expired := o.query(t, `
		select count(*) from kvit.delivery where destination = 'crm' and outcome = 'expired' and reason = 'occurred more than 13s ago (max_age)'`)
	delivered := o.query(t, `select count(*) from kvit.delivery where destination = 'crm' and outcome = 'delivered'`)
	require.Equal(t, early, expired)
	require.Equal(t, late, delivered)
	require.Equal(t, early+late, o.query(t, `select count(*) from kvit.delivery where destination = 'healthy' and outcome = 'delivered'`))
}

// TestAllIsFetchedAgainAfterAnOutage: with the few jobs of a probe there could never be so many requests
// at a time.
func TestAllIsFetchedAgainAfterAnOutage(t *testing.T) {
	t.Parallel()
	const together = probeJobs + 4
	o := newOutage(t, delivery.Settings{Concurrency: together, FirstHold: 50 * time.Millisecond, LongestHold: 50 * time.Millisecond})
	o.failing.Store(&destination.Error{Kind: destination.Unauthorized, Code: 401, Reason: "wrong credentials"})
	o.insert(t, 1)
	require.Eventually(t, func() bool { return o.held(t) == 1 }, waitFor, tick)
	o.failing.Store(nil)
	o.insert(t, 1)
	require.Eventually(t, func() bool { return o.held(t) == 0 }, waitFor, tick)
	o.meet(together)
	o.insert(t, together)
	select {
	case <-o.met:
	case <-time.After(waitFor):
		t.Fatal("never so many requests at a time")
	}
}

// TestAHoldThatIsOverBeforeTheQueueIsGone: the hold begins and ends while a long request keeps River from
// removing the queue. What comes afterwards must be fetched.
func TestAHoldThatIsOverBeforeTheQueueIsGone(t *testing.T) {
	t.Parallel()
	o := newOutage(t, delivery.Settings{Concurrency: 4, FirstHold: time.Millisecond, LongestHold: time.Millisecond})
	short, long := o.block("search"), o.block("page_viewed")
	for _, name := range []string{"search", "page_viewed"} {
		_, err := o.pool.Exec(t.Context(), `insert into kvit.tracking_event (event_key, name) values ($1, $1)`, name)
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool { return o.requests.Load() == 2 }, waitFor, tick)
	o.failing.Store(&destination.Error{Kind: destination.Unauthorized, Code: 401, Reason: "wrong credentials"})
	o.insert(t, 1)
	require.Eventually(t, func() bool { return o.held(t) == 1 }, waitFor, tick)
	began := time.Now()
	o.failing.Store(nil)
	close(short)
	require.Eventually(t, func() bool { return time.Since(began) > 3*time.Second/2 }, waitFor, tick, "River is asked for a second at a time")
	close(long)
	o.insert(t, 10)
	require.Eventually(t, func() bool { return o.query(t, `select count(*) from kvit.delivery`) >= 12 }, waitFor, tick)
}

// block lets the requests of a name wait until the channel is closed.
func (o *outage) block(name string) chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.blocked == nil {
		o.blocked = map[string]chan struct{}{}
	}
	o.blocked[name] = make(chan struct{})
	return o.blocked[name]
}

// meet lets requests wait until so many are there at a time.
func (o *outage) meet(n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.missing, o.met = n, make(chan struct{})
}

// attend waits for the others, if it is to.
func (o *outage) attend(ctx context.Context) {
	o.mu.Lock()
	met := o.met
	if o.missing--; met != nil && o.missing == 0 {
		close(met)
	}
	o.mu.Unlock()
	if met == nil {
		return
	}
	select {
	case <-met:
	case <-ctx.Done():
		o.mu.Lock()
		defer o.mu.Unlock()
		o.missing++ // it was there, but not together with the others
	}
}

// TestAnEventTurnedAwayDoesNotStopTheOthers: the provider answers 403 to one event alone, always, as a
// firewall does that dislikes its text.
func TestAnEventTurnedAwayDoesNotStopTheOthers(t *testing.T) {
	t.Parallel()
	o := newOutage(t, delivery.Settings{Concurrency: 4, FirstHold: 50 * time.Millisecond, LongestHold: 50 * time.Millisecond})
	insertEvent(t, o.pool, disliked)
	o.insert(t, 200)
	require.Eventually(t, func() bool { return o.query(t, `select count(*) from kvit.delivery`) == 200 }, waitFor, tick)
	require.NotContains(t, o.seen, disliked)
}

func TestTheRateIsKeptWithoutSnoozes(t *testing.T) {
	t.Parallel()
	const events = 300 // more than can go out while a job is patient
	o := newOutage(t, delivery.Settings{Concurrency: 16, Rate: 50})
	start := time.Now()
	o.insert(t, events)
	require.Eventually(t, func() bool { return o.query(t, `select count(*) from kvit.delivery`) == events }, waitFor, tick)
	require.Greater(t, time.Since(start), (events-1)*time.Second/50)
	require.Eventually(t, func() bool {
		return o.query(t, `select count(*) from kvit.river_job where kind = 'deliver_event' and finalized_at is null`) == 0
	}, waitFor, tick)
	require.LessOrEqual(t, o.updates(t), 2*events+10, "one to fetch, one to complete, and those of kvit's own jobs")
}

// BenchmarkOutage is an hour of a provider that is down with 100,000 events waiting, at 60 times the speed:
// the holds are a sixtieth of the real ones, and lengths of time in the result are of the hour.
func BenchmarkOutage(b *testing.B) {
	const speed = 60
	for b.Loop() {
		o := newOutage(b, delivery.Settings{Concurrency: 16, FirstHold: delivery.FirstHold / speed, LongestHold: delivery.LongestHold / speed})
		o.failing.Store(&destination.Error{Kind: destination.Unreachable, Reason: "connection refused"})
		o.insert(b, 100_000)
		time.Sleep(time.Hour / speed)
		b.ReportMetric(float64(o.updates(b))/60, "job-updates/min")
		b.ReportMetric(float64(o.requests.Load())/60, "requests/min")
		if n := o.query(b, `select count(*) from kvit.river_job where finalized_at is null`); n != 100_000 {
			b.Fatal(fmt.Sprint(n, " events wait"))
		}
	}
}
