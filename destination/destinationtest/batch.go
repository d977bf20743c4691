package destinationtest

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

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
	items := make([]destination.Encoded, n)
	for i := range items {
		event := some(t, b)
		event.Key = fmt.Sprintf("%s-%d", event.Key, i)
		item, rejected := b.Encode(event)
		require.Nil(t, rejected)
		items[i] = item
		require.Equal(t, items[0].Group, item.Group, "events of one visitor can share a request")
	}
	return items
}

func batcher(t *testing.T, h Harness, handler http.Handler, options destination.ClientOptions) destination.Batcher {
	t.Helper()
	b, ok := h.New(t, serve(t, handler), options).(destination.Batcher)
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
	b := batcher(t, h, http.HandlerFunc(hang), destination.ClientOptions{Timeout: short})
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
