package destinationtest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/destination"
)

// Answering gives every request the same answer, at the address that it returns. The headers are names and
// values by turns.
func Answering(t *testing.T, status int, body string, headers ...string) string {
	t.Helper()
	url, _ := Recording(t, status, body, headers...)
	return url
}

// Recording is Answering; last returns the request that came last.
func Recording(t *testing.T, status int, body string, headers ...string) (url string, last func() Request) {
	t.Helper()
	seen := &recorder{next: func(w http.ResponseWriter, _ *http.Request) {
		setAll(w.Header(), headers)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}}
	return Serve(t, seen), func() Request {
		requests := seen.all()
		require.NotEmpty(t, requests)
		return requests[len(requests)-1]
	}
}

func setAll(header http.Header, namesAndValues []string) {
	for i := 0; i+1 < len(namesAndValues); i += 2 {
		header.Set(namesAndValues[i], namesAndValues[i+1])
	}
}

// Post lets handler answer a request. The headers are names and values by turns.
func Post(handler http.Handler, address, body string, headers ...string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(http.MethodPost, address, strings.NewReader(body))
	setAll(req.Header, headers)
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, req)
	return answer
}

// Deliver sends an event that the provider takes, and returns the status.
func Deliver(t *testing.T, d destination.Destination, event destination.Event) int {
	t.Helper()
	code, err := d.Send(t.Context(), event)
	require.NoError(t, err, event.Name)
	return code
}

// Fail sends an event that is not delivered, and returns why.
func Fail(t *testing.T, d destination.Destination, event destination.Event) *destination.Error {
	t.Helper()
	_, err := d.Send(t.Context(), event)
	var failed *destination.Error
	require.ErrorAs(t, err, &failed)
	return failed
}

// AnswerForAll checks what an adapter makes of an answer, with a Retry-After of five minutes, to a request of
// three events: want is the error of them all, whose reason holds this part, or 0 if they were taken.
func AnswerForAll(t *testing.T, at func(url string) destination.Batcher, status int, body string, want destination.Kind, reason string) {
	t.Helper()
	b := at(Answering(t, status, body, "Retry-After", "300"))
	event := Event(t, "order_paid")
	results, failed := b.SendBatch(t.Context(), Encode(t, b, event, event, event))
	if want == 0 {
		require.Nil(t, failed)
		require.Len(t, results, 3)
		return
	}
	require.NotNil(t, failed)
	require.Equal(t, want, failed.Kind)
	require.Equal(t, status, failed.Code)
	require.Contains(t, failed.Reason, reason)
	require.NotContains(t, failed.Reason, Marker)
	require.Equal(t, want == destination.Throttled, failed.RetryAfter == 300*time.Second)
}

// AnswerForEach checks what an adapter makes of an answer to a request of two events: each is the error of
// each, 0 for none; if it is nil, whole is the error of both. reason is that of the last error.
func AnswerForEach(t *testing.T, at func(url string) destination.Batcher, status int, body string, whole destination.Kind, each []destination.Kind, reason string) {
	t.Helper()
	b := at(Answering(t, status, body))
	results, failed := b.SendBatch(t.Context(), Items(t, b, "search", 2))
	if each == nil {
		require.Equal(t, &destination.Error{Kind: whole, Code: status, Reason: reason}, failed)
		return
	}
	require.Nil(t, failed)
	var got []destination.Kind
	last := ""
	for _, result := range results {
		require.Equal(t, status, result.Code)
		if result.Err == nil {
			got = append(got, 0)
			continue
		}
		got, last = append(got, result.Err.Kind), result.Err.Reason
	}
	require.Equal(t, each, got)
	require.Equal(t, reason, last)
}
