package jobs

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"

	"kvit/delivery"
	"kvit/destination"
	"kvit/store"
	"kvit/store/storetest"
)

const (
	waitFor = 30 * time.Second
	tick    = 20 * time.Millisecond
)

// provider is a destination that answers as the test says.
type provider struct {
	send func(ctx context.Context, e destination.Event) (int, error)
}

func (p *provider) Send(ctx context.Context, e destination.Event) (int, error) { return p.send(ctx, e) }
func (p *provider) Traits() destination.Traits {
	return destination.Traits{Events: destination.Names}
}

func requireCancelled(t *testing.T, err error, reason string) {
	t.Helper()
	var cancelled *river.JobCancelError
	require.ErrorAs(t, err, &cancelled)
	require.ErrorContains(t, err, reason)
}

func requireSnoozed(t *testing.T, err error) time.Duration {
	t.Helper()
	var snoozed *river.JobSnoozeError
	require.ErrorAs(t, err, &snoozed)
	return snoozed.Duration
}

func TestVerdictsAsRiverHasThem(t *testing.T) {
	t.Parallel()
	require.NoError(t, toRiver(delivery.Verdict{Kind: delivery.Done}))
	requireCancelled(t, toRiver(delivery.Verdict{Kind: delivery.GivenUp, Err: errors.New("rejected: no")}), "rejected: no")
	require.Equal(t, time.Hour, requireSnoozed(t, toRiver(delivery.Verdict{Kind: delivery.PutBack, Wait: time.Hour})))
	again := errors.New("the provider was away; may have arrived")
	require.Equal(t, again, toRiver(delivery.Verdict{Kind: delivery.TryAgain, Err: again}))
}

func TestWhatAJobTellsOfItsAttempts(t *testing.T) {
	t.Parallel()
	now := time.Now()
	at := func(ago time.Duration, text string) rivertype.AttemptError {
		return rivertype.AttemptError{At: now.Add(-ago), Error: text}
	}
	job := func(row rivertype.JobRow) *river.Job[DeliverArgs] {
		return &river.Job[DeliverArgs]{JobRow: &row, Args: DeliverArgs{EventID: 7, Destination: "crm"}}
	}
	require.Equal(t, delivery.Attempt{EventID: 7, Number: 1, First: now}, attemptOf(job(rivertype.JobRow{
		Attempt: 1, AttemptedAt: &now, Metadata: []byte(`{}`),
	})))
	require.Equal(t, delivery.Attempt{
		EventID: 7, Number: 4, First: now.Add(-3 * time.Hour), Unclear: now.Add(-2 * time.Hour), Failures: 2, PutBack: 5,
	}, attemptOf(job(rivertype.JobRow{
		Attempt: 4, AttemptedAt: &now, Metadata: []byte(`{"snoozes": 5}`),
		Errors: []rivertype.AttemptError{
			at(3*time.Hour, "connection refused; not taken"), at(2*time.Hour, rescued), at(time.Hour, "HTTP 502; may have arrived"),
		},
	})), "a crash is unclear, and no failure")
}

func TestTriesAgainAfterTheHold(t *testing.T) {
	t.Parallel()
	tx := storetest.Tx(t)
	require.NoError(t, store.SyncDestinations(t.Context(), tx, []store.Destination{{Name: "crm", Kind: "webhook", Enabled: true, EventNames: destination.Names}}, true))
	insertEvent(t, tx, "order_paid:E1")
	lane := delivery.NewLane(delivery.Settings{
		Name: "crm", Concurrency: 1, RetryFor: time.Hour, Destination: &provider{send: func(context.Context, destination.Event) (int, error) {
			return 429, &destination.Error{Kind: destination.Throttled, Code: 429, Reason: "too many", RetryAfter: time.Hour}
		}},
	}, tx, 4*time.Second, delivery.NewMetrics(prometheus.NewRegistry()), slog.New(slog.DiscardHandler))
	worker := &deliverWorker{relay: newRelay(), lanes: map[string]*delivery.Lane{"crm": lane}}
	job := &river.Job[DeliverArgs]{
		JobRow: &rivertype.JobRow{}, Args: DeliverArgs{EventID: scan[int64](t, tx, `select id from kvit.event`), Destination: "crm"},
	}
	requireSnoozed(t, worker.Work(t.Context(), job))
	require.Greater(t, time.Until(worker.NextRetry(job)), 59*time.Minute, "an event that failed while the hold began")
}

func TestArgsByHand(t *testing.T) {
	t.Parallel()
	for _, data := range []string{`{}`, `[]`, `7`, `{"event_id": "1", "destination": "crm"}`, `{"event_id": -1, "destination": "crm"}`, `{"event_id": 1}`, `{"event_id": 1, "destination": "crm", "email": "jane@example.com"}`} {
		var args DeliverArgs
		require.NoError(t, args.UnmarshalJSON([]byte(data)), "an error here would make River retry for days")
		err := (&deliverWorker{relay: newRelay()}).Work(t.Context(), &river.Job[DeliverArgs]{JobRow: &rivertype.JobRow{}, Args: args})
		requireCancelled(t, err, errArgs.Error())
	}
	for _, args := range []DeliverArgs{{EventID: 1, Destination: "nowhere"}} {
		err := (&deliverWorker{relay: newRelay()}).Work(t.Context(), &river.Job[DeliverArgs]{JobRow: &rivertype.JobRow{}, Args: args})
		requireCancelled(t, err, "not configured")
	}
}

func TestRetriesWaitLongerAndForgetCrashes(t *testing.T) {
	t.Parallel()
	worker := &deliverWorker{}
	job := &river.Job[DeliverArgs]{JobRow: &rivertype.JobRow{}}
	var last time.Duration
	for range 9 {
		wait := time.Until(worker.NextRetry(job))
		require.Greater(t, wait, last/2)
		last = wait
		job.Errors = append(job.Errors, rivertype.AttemptError{Error: "HTTP 500"})
	}
	require.Greater(t, last, 4*time.Hour)
	job.Errors = nil
	for range 20 {
		job.Errors = append(job.Errors, rivertype.AttemptError{Error: rescued})
	}
	require.Less(t, time.Until(worker.NextRetry(job)), 10*time.Second, "a crash of kvit is not the provider's fault")
}
