package destinationtest

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"kvit/destination"
)

// batchTests are the tests of an adapter that is a destination.Batcher.
var batchTests = map[string]func(*testing.T, Harness){
	"BatchGoesInOneRequest": batchGoesInOneRequest, "BatchSameTwice": batchSameTwice,
	"BatchStatuses": batchStatuses, "BatchOddAnswers": batchOddAnswers, "BatchTimeout": batchTimeout,
	"EncodeSameTwice": encodeSameTwice, "EncodeNothing": encodeNothing,
}

// batch is up to n events of one group that differ in their key.
func batch(t *testing.T, b destination.Batcher, n int) []destination.Encoded {
	t.Helper()
	if most := b.Traits().Batch.Events; most > 0 {
		n = min(n, most)
	}
	items := Items(t, b, names(b)[0], n)
	for _, item := range items {
		require.Equal(t, items[0].Group, item.Group, "events of one visitor can share a request")
	}
	return items
}

// Items are n events of this name, in the provider's form, whose keys are name:0, name:1 and so on.
func Items(t *testing.T, b destination.Batcher, name string, n int) []destination.Encoded {
	t.Helper()
	events := make([]destination.Event, n)
	for i := range events {
		events[i] = Event(t, name)
		events[i].Key = fmt.Sprintf("%s:%d", name, i)
	}
	return Encode(t, b, events...)
}

// Encode writes events, all of which the provider can take, in its form.
func Encode(t *testing.T, b destination.Batcher, events ...destination.Event) []destination.Encoded {
	t.Helper()
	items := make([]destination.Encoded, len(events))
	for i, event := range events {
		item, rejected := b.Encode(event)
		require.Nil(t, rejected)
		items[i] = item
	}
	return items
}

// Body is an event, which the provider can take, in its form.
func Body(t *testing.T, b destination.Batcher, event destination.Event) string {
	t.Helper()
	return string(Encode(t, b, event)[0].Body)
}

// SentAs checks under which name the provider gets each event: the text at a path of its form.
func SentAs(t *testing.T, b destination.Batcher, path string, want map[string]string) {
	t.Helper()
	for name, as := range want {
		require.Equal(t, as, gjson.Get(Body(t, b, Event(t, name)), path).String(), name)
	}
}

// NotSent checks that the adapter neither names nor takes these events.
func NotSent(t *testing.T, b destination.Batcher, names ...string) {
	t.Helper()
	for _, name := range names {
		_, rejected := b.Encode(Event(t, name))
		require.Equal(t, destination.Reject("name: is not an event that this destination sends"), rejected, name)
		require.NotContains(t, b.Traits().Events, name)
	}
}

// Lines are n items of a cart or an order, separated by commas; %[1]d in the form is the number of each.
func Lines(n int, form string) string {
	lines := make([]string, n)
	for i := range lines {
		lines[i] = fmt.Sprintf(form, i)
	}
	return strings.Join(lines, ",")
}

// FullRequest sends as many events of this name as the provider takes at once: a thousand.
func FullRequest(t *testing.T, b destination.Batcher, name string) {
	t.Helper()
	require.Equal(t, 1000, b.Traits().Batch.Events)
	items := Items(t, b, name, 1000)
	results, failed := b.SendBatch(t.Context(), items)
	require.Nil(t, failed)
	require.Equal(t, destination.Taken(items, 200), results)
}

// OneRefusesAll sends an event beside one of eight days before now, and then alone. It returns the error of
// both, of which nothing was taken: see the caller's halves in destination.Batcher.
func OneRefusesAll(t *testing.T, b destination.Batcher, now time.Time) *destination.Error {
	t.Helper()
	fresh, old := Event(t, "order_paid"), Event(t, "page_viewed")
	old.OccurredAt = now.Add(-8 * 24 * time.Hour)
	items := Encode(t, b, fresh, old)
	_, failed := b.SendBatch(t.Context(), items)
	require.NotNil(t, failed)
	require.Equal(t, destination.Rejected, failed.Kind)
	_, alone := b.SendBatch(t.Context(), items[:1])
	require.Nil(t, alone)
	return failed
}

// SendEveryTest sends the event of kvit check --send-test, whichever name it takes, and returns how many.
func SendEveryTest(t *testing.T, tester destination.Tester) int {
	t.Helper()
	names := tester.(destination.Destination).Traits().Events
	for _, name := range names {
		_, err := tester.SendTest(t.Context(), destination.TestEvent(name, time.Now()))
		require.NoError(t, err, name)
	}
	return len(names)
}

// SendTests checks a destination that marks tests with a code, once without and once with the code. marked
// is how many marked events have come from the latter; lacks is a field that a page_viewed without payload
// is rejected for.
func SendTests(t *testing.T, without, with destination.Tester, marked func() int, lacks string) {
	t.Helper()
	_, err := without.SendTest(t.Context(), Event(t, "order_paid"))
	require.ErrorContains(t, err, "test_event_code: is required")

	_, err = with.(destination.Destination).Send(t.Context(), Event(t, "order_paid"))
	require.NoError(t, err)
	require.Zero(t, marked(), "only a test is marked as one")
	code, err := with.SendTest(t.Context(), Event(t, "page_viewed"))
	require.NoError(t, err)
	require.Equal(t, 200, code)
	require.Equal(t, 1, marked())
	_, err = with.SendTest(t.Context(), EventWith(t, "page_viewed", ""))
	require.ErrorContains(t, err, lacks)
}

func batcher(t *testing.T, h Harness, handler http.Handler, options destination.ClientOptions) destination.Batcher {
	t.Helper()
	b, ok := h.New(t, Serve(t, handler), options).(destination.Batcher)
	require.True(t, ok)
	return b
}

func batchGoesInOneRequest(t *testing.T, h Harness) {
	seen := &recorder{next: h.Success}
	b := batcher(t, h, seen, destination.ClientOptions{Timeout: long})
	items := batch(t, b, 20)
	results, err := b.SendBatch(t.Context(), items)
	require.Nil(t, err)
	require.Len(t, results, len(items))
	for _, result := range results {
		require.Nil(t, result.Err)
		require.Equal(t, 2, result.Code/100)
	}
	require.Len(t, seen.all(), 1)
}

func batchSameTwice(t *testing.T, h Harness) {
	seen := &recorder{next: h.Success}
	b := batcher(t, h, seen, destination.ClientOptions{Timeout: long})
	items := batch(t, b, 3)
	for range 2 {
		_, err := b.SendBatch(t.Context(), items)
		require.Nil(t, err)
	}
	requests := seen.all()
	require.Len(t, requests, 2)
	require.Equal(t, requests[0].Body, requests[1].Body)
}

// batchStatuses: what a status means for one event it means for the whole request.
func batchStatuses(t *testing.T, h Harness) {
	want := maps.Clone(plainStatuses)
	maps.Copy(want, h.Statuses)
	for status, kind := range want {
		b := batcher(t, h, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }), destination.ClientOptions{Timeout: long})
		_, err := b.SendBatch(t.Context(), batch(t, b, 3))
		require.NotNil(t, err, status)
		require.Equal(t, kind, err.Kind, status)
		require.Equal(t, status, err.Code)
	}
}

// batchOddAnswers: whatever comes, each item has a result or all have an error, and nothing of the
// answer is in it.
func batchOddAnswers(t *testing.T, h Harness) {
	for _, body := range append(oddBodies, `{"events":[{"status":"`+Marker+`"}]}`, `{"error":{"details":[{"index":99}]}}`, `{"code":"`+Marker+`"}`) {
		for _, status := range []int{200, 400, 422} {
			b := batcher(t, h, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(status)
				_, _ = io.WriteString(w, body)
			}), destination.ClientOptions{Timeout: long})
			items := batch(t, b, 3)
			results, err := b.SendBatch(t.Context(), items)
			if err != nil {
				require.NotContains(t, err.Error(), Marker)
				continue
			}
			require.Len(t, results, len(items))
			for _, result := range results {
				require.True(t, result.Err == nil || !strings.Contains(result.Err.Error(), Marker))
			}
		}
	}
}

func batchTimeout(t *testing.T, h Harness) {
	b := batcher(t, h, http.HandlerFunc(hang), destination.ClientOptions{Timeout: brief})
	_, err := b.SendBatch(t.Context(), batch(t, b, 3))
	require.NotNil(t, err)
	require.Equal(t, destination.Ambiguous, err.Kind)
}

func encodeSameTwice(t *testing.T, h Harness) {
	b := batcher(t, h, http.NotFoundHandler(), destination.ClientOptions{})
	for _, name := range names(b) {
		first, rejected := b.Encode(Event(t, name))
		require.Nil(t, rejected, name)
		require.NotEmpty(t, first.Body, name)
		again, _ := batcher(t, h, http.NotFoundHandler(), destination.ClientOptions{}).Encode(Event(t, name))
		require.Equal(t, string(first.Body), string(again.Body), name)
		require.Equal(t, first.Group, again.Group, name)
	}
}

func encodeNothing(t *testing.T, h Harness) {
	b := batcher(t, h, http.NotFoundHandler(), destination.ClientOptions{})
	for _, name := range names(b) {
		if _, rejected := b.Encode(EventWith(t, name, "")); rejected != nil {
			require.Equal(t, destination.Rejected, rejected.Kind, name)
			require.NotEmpty(t, rejected.Reason, name)
		}
	}
}
