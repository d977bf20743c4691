package delivery

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"kvit/destination"
	"kvit/group"
)

// shelf is a Batcher that keeps what it was given, and answers as the test says. An event is encoded
// as its key; the part before a slash is its group.
type shelf struct {
	traits  destination.Traits
	answer  func(items []string) ([]destination.Result, *destination.Error)
	mu      sync.Mutex
	batches [][]string
}

func (s *shelf) Traits() destination.Traits { return s.traits }

func (s *shelf) Send(ctx context.Context, event destination.Event) (int, error) {
	return destination.SendOne(ctx, s, event)
}

func (s *shelf) Encode(event destination.Event) (destination.Encoded, *destination.Error) {
	if event.Key == "unfit" {
		return destination.Encoded{}, destination.Reject("order.total: is required")
	}
	group, _, _ := strings.Cut(event.Key, "/")
	return destination.Encoded{Group: group, Body: []byte(event.Key)}, nil
}

func (s *shelf) SendBatch(_ context.Context, items []destination.Encoded) ([]destination.Result, *destination.Error) {
	keys := make([]string, len(items))
	for i, item := range items {
		keys[i] = string(item.Body)
	}
	s.mu.Lock()
	s.batches = append(s.batches, keys)
	s.mu.Unlock()
	if s.answer == nil {
		return destination.Taken(items, 200), nil
	}
	return s.answer(keys)
}

// newShelf returns a lane whose requests go to the shelf.
func newShelf(t *testing.T, s *shelf) *Lane {
	t.Helper()
	l := NewLane(Settings{
		Name: "ads", Destination: s, Concurrency: 1, RetryFor: time.Hour, Batch: s.traits.Batch,
	}, nil, 30*time.Second, NewMetrics(prometheus.NewRegistry()), slog.New(slog.DiscardHandler))
	return l
}

// sendAll sends letters that all wait before the first request begins, and returns their replies.
func sendAll(t *testing.T, l *Lane, keys ...string) map[string]reply {
	t.Helper()
	var mu sync.Mutex
	replies := map[string]reply{}
	l.sender.mu.Lock()
	l.sender.busy = l.sender.concurrency // nobody serves yet
	l.sender.mu.Unlock()
	var group sync.WaitGroup
	for i, key := range keys {
		event := destination.Event{Key: key, OccurredAt: time.Unix(int64(-i), 0)} // those that wait longest occurred last
		encoded, _ := l.batcher.Encode(event)
		group.Go(func() {
			r := l.sender.send(&letter{ctx: t.Context(), event: event, encoded: encoded, answer: make(chan reply, 1)})
			mu.Lock()
			defer mu.Unlock()
			replies[key] = r
		})
	}
	require.Eventually(t, func() bool {
		l.sender.mu.Lock()
		defer l.sender.mu.Unlock()
		return len(l.sender.waiting) == len(keys)
	}, waitFor, time.Millisecond)
	l.sender.serve()
	group.Wait()
	return replies
}

func numbered(format string, n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf(format, i)
	}
	return keys
}

func TestWhatWaitsGoesTogetherOldestFirst(t *testing.T) {
	t.Parallel()
	s := &shelf{traits: destination.Traits{Batch: destination.Limits{Events: 10}}}
	keys := numbered("a/%02d", 25)
	for key, r := range sendAll(t, newShelf(t, s), keys...) {
		require.Equal(t, reply{fate: sent, code: 200}, r, key)
	}
	require.Equal(t, []int{10, 10, 5}, sizes(s.batches))
	for _, batch := range s.batches {
		require.IsDecreasing(t, batch)
	}
}

func sizes(batches [][]string) (sizes []int) {
	for _, batch := range batches {
		sizes = append(sizes, len(batch))
	}
	return sizes
}

func TestGroupsNeverShareARequest(t *testing.T) {
	t.Parallel()
	s := &shelf{traits: destination.Traits{Batch: destination.Limits{Events: 10}}}
	keys := append(append(numbered("a/%d", 3), numbered("b/%d", 3)...), numbered("a/%d", 6)[3:]...)
	rand.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	sendAll(t, newShelf(t, s), keys...)
	require.ElementsMatch(t, []int{6, 3}, sizes(s.batches))
	for _, batch := range s.batches {
		for _, key := range batch {
			require.Equal(t, batch[0][0], key[0])
		}
	}
}

func TestBytesOfARequestAreBounded(t *testing.T) {
	t.Parallel()
	s := &shelf{traits: destination.Traits{Batch: destination.Limits{Bytes: 25}}}
	keys := append(numbered("a/%03d", 9), strings.Repeat("a", 40)) // 6 bytes each with a comma; one is too large by itself
	sendAll(t, newShelf(t, s), keys...)
	total := 0
	for _, batch := range s.batches {
		size := len(strings.Join(batch, ",")) + 1
		require.True(t, size <= 25 || len(batch) == 1, "%v", batch)
		total += len(batch)
	}
	require.Equal(t, 10, total)
	require.Contains(t, sizes(s.batches), 4)
}

// TestARefusedBatchIsHalved: whichever events are bad, they alone are rejected and no other is lost.
func TestARefusedBatchIsHalved(t *testing.T) {
	t.Parallel()
	for round := range 50 {
		n, bad := 1+rand.IntN(200), map[string]bool{}
		keys := numbered("a/%03d", n)
		for range rand.IntN(4) {
			bad[keys[rand.IntN(n)]] = true
		}
		s := &shelf{traits: destination.Traits{Batch: destination.Limits{Events: 1000}}}
		s.answer = func(items []string) ([]destination.Result, *destination.Error) {
			for _, key := range items {
				if bad[key] {
					return nil, &destination.Error{Kind: destination.Rejected, Code: 400, Reason: "one is bad"}
				}
			}
			return make([]destination.Result, len(items)), nil
		}
		for key, r := range sendAll(t, newShelf(t, s), keys...) {
			require.Equal(t, sent, r.fate)
			require.Equal(t, bad[key], r.err != nil, "round %d: %s", round, key)
		}
		require.LessOrEqual(t, len(s.batches), 1+len(bad)*2*8, "halving takes 2 requests a level: 8 levels for 200 events")
	}
}

func TestAnErrorOfTheProviderIsNoReasonToHalve(t *testing.T) {
	t.Parallel()
	s := &shelf{traits: destination.Traits{Batch: destination.Limits{Events: 1000}}}
	s.answer = func([]string) ([]destination.Result, *destination.Error) {
		return nil, &destination.Error{Kind: destination.Ambiguous, Code: 502, Reason: "down"}
	}
	for _, r := range sendAll(t, newShelf(t, s), numbered("a/%d", 50)...) {
		require.EqualError(t, r.err, "down (HTTP 502)")
	}
	require.Len(t, s.batches, 1)
}

func TestResultsBelongToTheirEvents(t *testing.T) {
	t.Parallel()
	s := &shelf{traits: destination.Traits{Batch: destination.Limits{Events: 1000}}}
	s.answer = func(items []string) ([]destination.Result, *destination.Error) {
		results := make([]destination.Result, len(items))
		for i, key := range items {
			if strings.HasSuffix(key, "3") {
				results[i] = destination.Result{Code: 422, Err: destination.Reject("refused %s", key)}
			}
		}
		return results, nil
	}
	for key, r := range sendAll(t, newShelf(t, s), numbered("a/%02d", 40)...) {
		if strings.HasSuffix(key, "3") {
			require.EqualError(t, r.err, "refused "+key)
			continue
		}
		require.NoError(t, r.err)
	}
	require.Len(t, s.batches, 1, "an event that is refused by itself does not break up its batch")
}

// TestHalvingGoesOnWhenTheTimeIsOver: the events are put back and the next batches are smaller, so that
// even a provider whose every answer takes all the time gets rid of the bad event.
func TestHalvingGoesOnWhenTheTimeIsOver(t *testing.T) {
	t.Parallel()
	s := &shelf{traits: destination.Traits{Batch: destination.Limits{Events: 64}}}
	l := newShelf(t, s)
	s.answer = func(items []string) ([]destination.Result, *destination.Error) {
		for _, key := range items {
			if key == "a/00" {
				return nil, &destination.Error{Kind: destination.Rejected, Reason: "one is bad"}
			}
		}
		return make([]destination.Result, len(items)), nil
	}
	l.timeout = 1000 * time.Hour // what is left of a job's time is then never enough for one more request
	waiting, rounds := numbered("a/%02d", 64), 0
	for len(waiting) > 0 {
		rounds++
		require.Less(t, rounds, 20)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		var again []string
		for key, r := range sendAllWith(ctx, t, l, waiting) {
			switch {
			case r.fate == divided:
				again = append(again, key)
			case r.err != nil:
				require.Equal(t, "a/00", key)
			}
		}
		cancel()
		waiting = again
	}
	require.Greater(t, rounds, 1)
}

func sendAllWith(ctx context.Context, t *testing.T, l *Lane, keys []string) map[string]reply {
	t.Helper()
	replies := map[string]reply{}
	letters := make([]*letter, len(keys))
	l.sender.mu.Lock()
	for i, key := range keys {
		encoded, _ := l.batcher.Encode(destination.Event{Key: key})
		letters[i] = &letter{ctx: ctx, event: destination.Event{Key: key}, encoded: encoded, answer: make(chan reply, 1)}
	}
	l.sender.waiting, l.sender.busy = append([]*letter{}, letters...), 1
	l.sender.mu.Unlock()
	l.sender.serve()
	for i, key := range keys {
		replies[key] = <-letters[i].answer
	}
	return replies
}

func TestAHeldDestinationGetsNoRequest(t *testing.T) {
	t.Parallel()
	s := &shelf{traits: destination.Traits{Batch: destination.Limits{Events: 10}}}
	l := newShelf(t, s)
	l.gate.report(refusal(destination.Unauthorized))
	for _, r := range sendAll(t, l, numbered("a/%d", 20)...) {
		require.Equal(t, held, r.fate)
		require.Greater(t, r.wait, FirstHold/2)
	}
	require.Empty(t, s.batches)
}

// TestOneRequestProbes: when a hold is over, others wait for the answer to the first.
func TestOneRequestProbes(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}), make(chan struct{})
	s := &shelf{traits: destination.Traits{Batch: destination.Limits{Events: 1}}}
	s.answer = func(items []string) ([]destination.Result, *destination.Error) {
		close(entered)
		<-release
		return make([]destination.Result, len(items)), nil
	}
	l := newShelf(t, s)
	l.sender.concurrency = 4
	l.gate.reason = "it was down" // and the hold is over
	send := func(key string) reply {
		return l.sender.send(&letter{ctx: t.Context(), encoded: destination.Encoded{Body: []byte(key)}, answer: make(chan reply, 1)})
	}
	first := make(chan reply, 1)
	go func() { first <- send("first") }()
	<-entered
	require.Equal(t, held, send("second").fate)
	close(release)
	require.Equal(t, reply{fate: sent}, <-first)
	requireOpen(t, l.gate)
	require.Len(t, s.batches, 1)
}

func TestAPanicOfTheAdapterHarmsNobodyElse(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	s := &shelf{traits: destination.Traits{Batch: destination.Limits{Events: 10}}}
	l := newShelf(t, s)
	l.sender.logger = slog.New(slog.NewTextHandler(&log, nil))
	s.answer = func([]string) ([]destination.Result, *destination.Error) { panic(marker) }
	for _, r := range sendAll(t, l, numbered("a/%d", 5)...) {
		require.ErrorIs(t, r.err, group.ErrPanic)
	}
	require.NotContains(t, log.String(), marker)
	s.answer = nil
	for _, r := range sendAll(t, l, "a/1") {
		require.NoError(t, r.err)
	}
}

func TestTooFewResultsAreNoResult(t *testing.T) {
	t.Parallel()
	s := &shelf{traits: destination.Traits{Batch: destination.Limits{Events: 10}}}
	s.answer = func([]string) ([]destination.Result, *destination.Error) { return nil, nil }
	for _, r := range sendAll(t, newShelf(t, s), numbered("a/%d", 5)...) {
		var failed *destination.Error
		require.ErrorAs(t, r.err, &failed)
		require.Equal(t, destination.Ambiguous, failed.Kind)
	}
}

// TestOneJobsEndDoesNotBreakOffTheOthersRequest lets one of two jobs be cancelled while their request
// is under way.
func TestOneJobsEndDoesNotBreakOffTheOthersRequest(t *testing.T) {
	t.Parallel()
	one, cancelOne := context.WithCancel(t.Context())
	other, cancelOther := context.WithCancel(t.Context())
	defer cancelOther()
	ctx, done := together([]*letter{{ctx: one}, {ctx: other}})
	defer done()
	cancelOne()
	require.Never(t, func() bool { return ctx.Err() != nil }, 50*time.Millisecond, 5*time.Millisecond)
	cancelOther()
	require.Eventually(t, func() bool { return ctx.Err() != nil }, waitFor, time.Millisecond)
}
