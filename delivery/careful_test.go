package delivery

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/destination"
)

// newCarefulBench has a provider that counts each page_viewed it is sent, and recognises orders.
func newCarefulBench(t *testing.T) *bench {
	b := newBench(t)
	b.lane.Destination.(*provider).traits.CountedAgain = []string{"page_viewed", destination.AnyCustom}
	lane := NewLane(b.lane.Settings, b.tx, 4*time.Second, b.lane.metrics, b.lane.logger)
	lane.disable = b.lane.disable
	b.lane = lane
	return b
}

func (b *bench) begun() (n int) {
	b.t.Helper()
	require.NoError(b.t, b.tx.QueryRow(context.WithoutCancel(b.t.Context()), `select count(*) from kvit.delivery_attempt`).Scan(&n))
	return n
}

func (b *bench) unclear(eventID int64) (unclear bool) {
	b.t.Helper()
	require.NoError(b.t, b.tx.QueryRow(b.t.Context(), `select unclear from kvit.delivery where event_id = $1`, eventID).Scan(&unclear))
	return unclear
}

var (
	lost    = &destination.Error{Kind: destination.Ambiguous, Reason: "no answer within the timeout"}
	refused = &destination.Error{Kind: destination.Unreachable, Reason: "connection refused"}
)

func TestAnUnclearAnswerEndsWhatWouldBeCountedAgain(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"page_viewed", "custom:wishlist"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newCarefulBench(t)
			b.answer = lost
			id := b.event(name, nil)
			requireGivenUp(t, b.work(t.Context(), id), "no answer within the timeout")
			require.Equal(t, "failed: no answer within the timeout, and the provider would count a repeat again (on_ambiguous: stop)", b.receipt(id))
			require.True(t, b.unclear(id))
			requireDone(t, b.work(t.Context(), id))
			require.Len(t, b.sent, 1)
			require.Zero(t, b.begun())
		})
	}
}

func TestAnUnclearAnswerIsRetriedWhereItDoesNotMatter(t *testing.T) {
	t.Parallel()
	t.Run("TheProviderRecognisesRepeats", func(t *testing.T) {
		t.Parallel()
		b := newCarefulBench(t)
		b.answer = lost
		id := b.event("order_paid", nil)
		requireTriedAgain(t, b.work(t.Context(), id), "no answer within the timeout; may have arrived")
		require.Zero(t, b.begun(), "no round trip for what may be sent twice")
	})
	t.Run("TheOperatorWantsIt", func(t *testing.T) {
		t.Parallel()
		b := newCarefulBench(t)
		b.lane.RetryUnclear = true
		b.answer = lost
		id := b.event("page_viewed", nil)
		requireTriedAgain(t, b.work(t.Context(), id), "no answer within the timeout; may have arrived")
		b.answer = nil
		requireDone(t, b.work(t.Context(), id, time.Now()))
		require.Equal(t, "delivered", b.receipt(id))
	})
}

func TestWhatWasNotTakenIsSentAgain(t *testing.T) {
	t.Parallel()
	b := newCarefulBench(t)
	id := b.event("page_viewed", nil)
	for range 3 {
		b.answer = refused
		requireTriedAgain(t, b.work(t.Context(), id), "connection refused; not taken")
		require.Zero(t, b.begun())
	}
	b.answer = nil
	requireDone(t, b.work(t.Context(), id))
	require.Equal(t, "delivered", b.receipt(id))
	require.Zero(t, b.begun())
}

// TestACrashInBetweenIsAnUnclearAnswer stops kvit while the request is under way, which leaves what a
// kill leaves: an attempt that has begun, and no receipt.
func TestACrashInBetweenIsAnUnclearAnswer(t *testing.T) {
	t.Parallel()
	b := newCarefulBench(t)
	ctx, cancel := context.WithCancel(t.Context())
	b.lane.Destination.(*provider).send = func(_ context.Context, e destination.Event) (int, error) {
		b.sent = append(b.sent, e)
		cancel()
		return 0, lost
	}
	id := b.event("page_viewed", nil)
	requireStopped(t, b.work(ctx, id))
	require.Equal(t, 1, b.begun())
	requireGivenUp(t, b.work(t.Context(), id), "interrupted at an earlier attempt")
	require.Len(t, b.sent, 1)
	require.True(t, b.unclear(id))
	require.Zero(t, b.begun())
}

func TestRetriesEndWhenARepeatIsNoLongerRecognised(t *testing.T) {
	t.Parallel()
	old := time.Now().Add(-49 * time.Hour)
	setup := func(t *testing.T) (*bench, int64) {
		b := newBench(t)
		b.lane.Window, b.lane.RetryFor, b.lane.MaxAge = 48*time.Hour, 1000*time.Hour, 0
		return b, b.event("order_paid", nil)
	}
	t.Run("MayHaveArrived", func(t *testing.T) {
		t.Parallel()
		b, id := setup(t)
		requireDone(t, b.work(t.Context(), id, old))
		require.Equal(t, "expired: may have arrived more than 2d ago, a repeat would not be recognised (repeats_known_for)", b.receipt(id))
		require.True(t, b.unclear(id))
		require.Empty(t, b.sent)
	})
	t.Run("StillRecognised", func(t *testing.T) {
		t.Parallel()
		b, id := setup(t)
		requireDone(t, b.work(t.Context(), id, time.Now().Add(-47*time.Hour)))
		require.Equal(t, "delivered", b.receipt(id))
	})
	t.Run("NeverArrived", func(t *testing.T) {
		t.Parallel()
		b, id := setup(t)
		b.attemptText = "connection refused; not taken"
		requireDone(t, b.work(t.Context(), id, old))
		require.Equal(t, "delivered", b.receipt(id))
	})
}

// TestAgeCountsToTheEndOfTheAttempt: an event that grows too old between here and the provider would
// spoil its whole batch.
func TestAgeCountsToTheEndOfTheAttempt(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.lane.timeout = 30 * time.Second
	for age, want := range map[string]string{"23 hours 59 minutes 45 seconds": "expired: occurred more than 1d ago (max_age)", "23 hours 59 minutes": "delivered"} {
		id := b.event("order_paid", map[string]string{"occurred_at": "now() - interval '" + age + "'"})
		requireDone(t, b.work(t.Context(), id))
		require.Equal(t, want, b.receipt(id))
	}
}
