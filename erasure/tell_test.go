package erasure

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"kvit/destination"
	"kvit/store"
	"kvit/store/storetest"
)

// provider is a destination that can be told.
type provider struct {
	destination.Destination
	mute   bool // it has no call for it
	traits destination.Traits
	redact func(ctx context.Context, said destination.Redaction) (int, error)
}

func (p provider) Traits() destination.Traits { return p.traits }
func (p provider) CanRedact() bool            { return !p.mute }
func (p provider) Redact(ctx context.Context, said destination.Redaction) (int, error) {
	return p.redact(ctx, said)
}

func one(p destination.Destination) Recipient {
	return Recipient{Name: "one", Adapter: func() (destination.Destination, error) { return p, nil }}
}

// newTeller is one for jane, with a task for the destination called one.
func newTeller(t *testing.T, clientIDs int, recipients ...Recipient) (*teller, *pgxpool.Pool, []store.Task) {
	t.Helper()
	pool := storetest.DB(t)
	_, err := pool.Exec(t.Context(), `
		insert into kvit.destination (name, kind, enabled, event_names) values ('one', 'webhook', true, '{order_paid}');
		insert into kvit.tracking_event (event_key, name, order_ref) values ('order_paid:E1', 'order_paid', 'E1');
		update kvit.river_job set state = 'running', attempted_at = now(), attempt = 1`)
	require.NoError(t, err)
	subject := store.Subject{Email: jane}
	require.NoError(t, store.MakeTasks(t.Context(), pool, store.TaskRequest{Reference: "T-1", By: "anna", Subject: subject, OrderRefs: []string{"E1"}, ClientIDs: clientIDs}))
	ids, err := store.SubjectEventIDs(t.Context(), pool, subject, []string{"E1"})
	require.NoError(t, err)
	tasks, err := store.OpenTasks(t.Context(), pool, "T-1")
	require.NoError(t, err)
	require.Len(t, tasks, 1)
	return &teller{recipients: recipients, db: pool, subject: subject, eventIDs: ids}, pool, tasks
}

const endJob = `update kvit.river_job set state = 'completed', finalized_at = now()`

// A provider that is told while an event is on its way would get the person's data once more.
func TestTellsAfterTheLastDelivery(t *testing.T) {
	t.Parallel()
	var pool *pgxpool.Pool
	running := make(chan int, 10)
	teller, db, tasks := newTeller(t, 0, one(provider{redact: func(ctx context.Context, _ destination.Redaction) (int, error) {
		var n int
		if err := pool.QueryRow(ctx, `select count(*) from kvit.river_job where state = 'running'`).Scan(&n); err != nil {
			n = -1
		}
		running <- n
		return 204, nil
	}}))
	pool = db
	asked := make(chan struct{})
	teller.db = watchedDB{DB: pool, queries: new(atomic.Int64), asked: asked}
	done := make(chan []ToldTask, 1)
	go func() {
		told, err := teller.tell(t.Context(), tasks)
		if err != nil {
			t.Errorf("tell: %v", err)
		}
		done <- told
	}()
	select {
	case <-asked: // it has looked, and found the delivery
	case <-done:
		require.Fail(t, "told while a delivery was under way")
	}
	_, err := pool.Exec(t.Context(), endJob)
	require.NoError(t, err)
	told := <-done
	require.Len(t, told, 1)
	require.True(t, told[0].Told)
	require.Zero(t, <-running, "none was running when the provider was told")
	require.Empty(t, running, "it is told once")
}

// watchedDB closes asked when its second query begins, which is when the first is answered.
type watchedDB struct {
	store.DB
	queries *atomic.Int64
	asked   chan struct{}
}

func (w watchedDB) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	if w.queries.Add(1) == 2 {
		close(w.asked)
	}
	return w.DB.QueryRow(ctx, sql, args...)
}

// Client ids that went with the events at an earlier attempt cannot be told any more: that is for somebody
// to look at, while providers that need none are told.
func TestTellsOfLostClientIDs(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		had   int
		known []string
		told  bool
	}{
		"All":  {2, []string{"1.2", "3.4"}, true},
		"Some": {2, []string{"1.2"}, false},
		"None": {2, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var said []string
			recipient := one(provider{traits: destination.Traits{FindsByClientID: true}, redact: func(_ context.Context, r destination.Redaction) (int, error) {
				said = append(said, r.ClientIDs...)
				return 200, nil
			}})
			teller, pool, tasks := newTeller(t, c.had, recipient)
			_, err := pool.Exec(t.Context(), endJob)
			require.NoError(t, err)
			teller.clientIDs = c.known
			told, err := teller.tell(t.Context(), tasks)
			require.NoError(t, err)
			require.Equal(t, c.told, told[0].Told)
			require.Equal(t, c.known, said, "what is known is told")
			open, err := store.OpenTasks(t.Context(), pool, "T-1")
			require.NoError(t, err)
			if c.told {
				require.Empty(t, open)
				return
			}
			require.Contains(t, *open[0].Problem, "client")
			require.Equal(t, 1, open[0].Attempts)
		})
	}
}

// What cannot be told stays a task, with the reason in kvit's own words; what a provider says goes nowhere.
func TestTasksThatCannotBeTold(t *testing.T) {
	t.Parallel()
	answer := func(err error) Recipient {
		return one(provider{redact: func(context.Context, destination.Redaction) (int, error) { return 503, err }})
	}
	for name, c := range map[string]struct {
		recipients []Recipient
		says       string
		attempts   int
	}{
		"Removed":  {nil, "the configuration does not name it any more", 0},
		"Spoilt":   {[]Recipient{{Name: "one", Adapter: func() (destination.Destination, error) { return nil, errors.New(marker) }}}, "cannot be made of its configuration", 0},
		"NoCall":   {[]Recipient{one(nil)}, "kvit has no call for it", 0},
		"Mute":     {[]Recipient{one(provider{mute: true})}, "kvit has no call for it", 0},
		"Judged":   {[]Recipient{answer(&destination.Error{Kind: destination.Rejected, Code: 503, Reason: "it said no"})}, "it said no", 1},
		"Unjudged": {[]Recipient{answer(errors.New(marker))}, "the provider could not be told", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			teller, pool, tasks := newTeller(t, 0, c.recipients...)
			_, err := pool.Exec(t.Context(), endJob)
			require.NoError(t, err)
			told, err := teller.tell(t.Context(), tasks)
			require.NoError(t, err)
			require.False(t, told[0].Told)
			require.Equal(t, c.attempts > 0, told[0].failed)
			require.Contains(t, *told[0].Problem, c.says)
			open, err := store.OpenTasks(t.Context(), pool, "T-1")
			require.NoError(t, err)
			require.Equal(t, told[0].Problem, open[0].Problem)
			require.Equal(t, c.attempts, open[0].Attempts)
			require.NotContains(t, *open[0].Problem, marker)
		})
	}
}
