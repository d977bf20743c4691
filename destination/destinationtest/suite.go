// Package destinationtest is what every destination has to pass: Run, with the adapter pointed at
// servers that answer, refuse, hang, break off and lie.
package destinationtest

import (
	"context"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/destination"
)

// Harness is what the suite has to know about an adapter.
type Harness struct {
	// New returns the adapter, pointed at baseURL (http://127.0.0.1:1234 or https://…, no path).
	New func(t *testing.T, baseURL string, options destination.ClientOptions) destination.Destination
	// Success answers as the provider does when it has taken an event.
	Success http.HandlerFunc
	// ReadsAnswer is true if success depends on the body of a 2xx, so that one that breaks off is Ambiguous.
	ReadsAnswer bool
	// Statuses are those by which the provider means something else than destination.Judge says.
	Statuses map[int]destination.Kind
	// Volatile are headers that differ from attempt to attempt: a time, a signature.
	Volatile []string
}

// short is how long a request may take where the server never answers.
const short = 150 * time.Millisecond

// brief is the same where the request, or the answer's beginning, must get through first, on a busy
// machine too.
const brief = time.Second

// long is how long anything else may take, and nothing does.
const long = 20 * time.Second

// Run runs the suite, in parallel.
func Run(t *testing.T, h Harness) {
	tests := map[string]func(*testing.T, Harness){
		"Traits": traits, "EveryEvent": everyEvent, "TestEvent": testEvent, "NoPayload": noPayload, "SameTwice": sameTwice,
		"Statuses": statuses, "RetryAfter": waits, "Redirect": redirect,
		"Refused": refused, "TimeoutBeforeWritten": timeoutBefore, "TimeoutAfterWritten": timeoutAfter, "Reset": reset,
		"BodyBreaksOff": bodyBreaksOff, "SlowBody": slowBody, "GiantAnswer": giantAnswer, "OddAnswers": oddAnswers,
		"CancelledBefore": cancelledBefore, "CancelledMeanwhile": cancelledMeanwhile,
		"Echo": echo, "Concurrent": concurrent, "Reuse": reuse,
	}
	if _, ok := h.New(t, "http://127.0.0.1:1", destination.ClientOptions{}).(destination.Batcher); ok {
		maps.Copy(tests, batchTests)
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, h)
		})
	}
}

func traits(t *testing.T, h Harness) {
	d := h.New(t, "http://127.0.0.1:1", destination.ClientOptions{Timeout: short})
	require.NotEmpty(t, d.Traits().Events)
	for _, name := range d.Traits().Events {
		require.True(t, destination.IsName(name), name)
	}
	require.Equal(t, d.Traits(), d.Traits())
	require.Subset(t, d.Traits().Events, d.Traits().CountedAgain)
	require.Subset(t, d.Traits().Events, d.Traits().States)
	require.Subset(t, d.Traits().States, d.Traits().Adjusts)
	_, isBatcher := d.(destination.Batcher)
	require.Equal(t, isBatcher, d.Traits().Batch != destination.Limits{}, "limits belong to a Batcher")
}

func everyEvent(t *testing.T, h Harness) {
	seen := &recorder{next: h.Success}
	d := h.New(t, Serve(t, seen), destination.ClientOptions{Timeout: long})
	for i, name := range names(d) {
		code, err := send(t, d, Event(t, name))
		require.Nil(t, err, name)
		require.Equal(t, 2, code/100, name)
		require.Len(t, seen.all(), i+1, name)
	}
}

// testEvent: whichever event kvit check --send-test chooses, it lacks nothing.
func testEvent(t *testing.T, h Harness) {
	d := h.New(t, Serve(t, h.Success), destination.ClientOptions{Timeout: long})
	for _, name := range names(d) {
		_, err := send(t, d, destination.TestEvent(name, time.Now()))
		require.Nil(t, err, name)
	}
}

// noPayload sends nothing or rejects: it never panics, and never asks the provider about an event it rejects.
func noPayload(t *testing.T, h Harness) {
	for _, empty := range []string{"", "{}", `{"customer": {}, "order": {}, "cart": {}, "optin": {}, "client": {}, "custom": {}}`} {
		seen := &recorder{next: h.Success}
		d := h.New(t, Serve(t, seen), destination.ClientOptions{Timeout: long})
		for _, name := range names(d) {
			before := len(seen.all())
			_, err := send(t, d, EventWith(t, name, empty))
			if err == nil {
				require.Greater(t, len(seen.all()), before, name)
				continue
			}
			require.Equal(t, destination.Rejected, err.Kind, name)
			require.Len(t, seen.all(), before, name)
		}
	}
}

func sameTwice(t *testing.T, h Harness) {
	seen := &recorder{next: h.Success}
	url := Serve(t, seen)
	for _, name := range names(h.New(t, url, destination.ClientOptions{})) {
		before := len(seen.all())
		for range 2 { // adapters of their own: nothing may be remembered
			_, err := send(t, h.New(t, url, destination.ClientOptions{Timeout: long}), Event(t, name))
			require.Nil(t, err, name)
		}
		requests := seen.all()[before:]
		require.Len(t, requests, 2, name)
		for _, header := range h.Volatile {
			require.NotEmpty(t, requests[0].Header.Get(header), header)
			requests[0].Header.Del(header)
			requests[1].Header.Del(header)
		}
		require.Equal(t, requests[0], requests[1], name)
	}
}

// plainStatuses are those without a header that would give them another meaning.
var plainStatuses = map[int]destination.Kind{
	304: destination.Misconfigured, 400: destination.Rejected, 401: destination.Unauthorized, 403: destination.Unauthorized,
	404: destination.Rejected, 408: destination.Ambiguous, 409: destination.Rejected, 410: destination.Rejected, 413: destination.Rejected,
	422: destination.Rejected, 425: destination.Throttled, 429: destination.Throttled,
	500: destination.Ambiguous, 502: destination.Ambiguous, 503: destination.Ambiguous, 504: destination.Ambiguous,
}

func statuses(t *testing.T, h Harness) {
	want := maps.Clone(plainStatuses)
	maps.Copy(want, h.Statuses)
	for status, kind := range want {
		d := h.New(t, Serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })), destination.ClientOptions{Timeout: long})
		code, err := send(t, d, some(t, d))
		require.NotNil(t, err, status)
		require.Equal(t, kind, err.Kind, status)
		require.Equal(t, status, code)
		require.Equal(t, status, err.Code)
		require.Zero(t, err.RetryAfter, status)
	}
}

func waits(t *testing.T, h Harness) {
	for header, want := range map[string]time.Duration{
		"17": 17 * time.Second, "172800": 24 * time.Hour, "99999999999999999999": 24 * time.Hour, "-3": 0, "soon": 0,
		time.Now().Add(time.Hour).UTC().Format(http.TimeFormat):  time.Hour,
		time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat): 0,
	} {
		for _, status := range []int{429, 503} {
			d := h.New(t, Serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Retry-After", header)
				w.WriteHeader(status)
			})), destination.ClientOptions{Timeout: long})
			_, err := send(t, d, some(t, d))
			require.NotNil(t, err)
			require.Equal(t, destination.Throttled, err.Kind)
			require.InDelta(t, want, err.RetryAfter, float64(long), header)
			require.Equal(t, want == 0, err.RetryAfter == 0, header)
		}
	}
}

func redirect(t *testing.T, h Harness) {
	elsewhere := &recorder{next: h.Success}
	target := Serve(t, elsewhere)
	for _, status := range []int{301, 302, 303, 307, 308} {
		d := h.New(t, Serve(t, http.RedirectHandler(target, status)), destination.ClientOptions{Timeout: long})
		code, err := send(t, d, some(t, d))
		require.NotNil(t, err)
		require.Equal(t, destination.Misconfigured, err.Kind)
		require.Equal(t, status, code)
	}
	require.Empty(t, elsewhere.all())
}

func refused(t *testing.T, h Harness) {
	d := h.New(t, "http://"+closedPort(t), destination.ClientOptions{Timeout: long})
	_, err := send(t, d, some(t, d))
	require.NotNil(t, err)
	require.Equal(t, destination.Unreachable, err.Kind)
}

// timeoutBefore meets a server that accepts the connection and then says nothing to the TLS handshake.
func timeoutBefore(t *testing.T, h Harness) {
	d := h.New(t, "https://"+mute(t), destination.ClientOptions{Timeout: short})
	_, err := send(t, d, some(t, d))
	require.NotNil(t, err)
	require.Equal(t, destination.Unreachable, err.Kind)
}

func timeoutAfter(t *testing.T, h Harness) {
	d := h.New(t, Serve(t, http.HandlerFunc(hang)), destination.ClientOptions{Timeout: brief})
	_, err := send(t, d, some(t, d))
	require.NotNil(t, err)
	require.Equal(t, destination.Ambiguous, err.Kind)
}

func reset(t *testing.T, h Harness) {
	seen := &recorder{next: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }}
	d := h.New(t, Serve(t, seen), destination.ClientOptions{Timeout: long})
	_, err := send(t, d, some(t, d))
	require.NotNil(t, err)
	require.Equal(t, destination.Ambiguous, err.Kind)
	require.Len(t, seen.all(), 1) // and not tried again behind kvit's back
}

func bodyBreaksOff(t *testing.T, h Harness) {
	cut(t, h, long, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
}

func slowBody(t *testing.T, h Harness) { cut(t, h, brief, hang) }

// cut lets the answer begin well, and then go on as rest does.
func cut(t *testing.T, h Harness, timeout time.Duration, rest http.HandlerFunc) {
	for status, kind := range map[int]destination.Kind{200: destination.Ambiguous, 422: destination.Rejected} {
		d := h.New(t, Serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			w.Header().Set("Content-Length", "1000")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, `{"datas":`)
			_ = http.NewResponseController(w).Flush()
			rest(w, req)
		})), destination.ClientOptions{Timeout: timeout})
		code, err := send(t, d, some(t, d))
		require.Equal(t, status, code)
		if status == 200 && !h.ReadsAnswer {
			require.Nil(t, err)
			continue
		}
		require.NotNil(t, err)
		require.Equal(t, kind, err.Kind)
	}
}

// giantAnswer counts what a server that never ends gets rid of: no more than is read, and what the
// sockets hold.
func giantAnswer(t *testing.T, h Harness) {
	served := make(chan int, 1)
	d := h.New(t, Serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		total, piece := 0, []byte(strings.Repeat("x", 64<<10))
		for total < 1<<30 {
			n, err := w.Write(piece)
			total += n
			if err != nil {
				break
			}
		}
		served <- total
	})), destination.ClientOptions{Timeout: long})
	code, _ := send(t, d, some(t, d))
	require.Equal(t, 200, code)
	require.Less(t, <-served, 32<<20)
}

// oddBodies are answers that are not what any provider promises.
var oddBodies = []string{"", "<html><p>Welcome", "null", "[]", "{", `"text"`, strings.Repeat("[", destination.MaxAnswer), "\x00\xff"}

func oddAnswers(t *testing.T, h Harness) {
	for _, body := range oddBodies {
		for _, status := range []int{200, 204, 500} {
			d := h.New(t, Serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(status)
				_, _ = io.WriteString(w, body)
			})), destination.ClientOptions{Timeout: long})
			code, err := send(t, d, some(t, d))
			require.Equal(t, status, code)
			require.True(t, status != 500 || err.Kind == destination.Ambiguous)
		}
	}
	t.Run("NotHTTP", func(t *testing.T) {
		t.Parallel()
		d := h.New(t, "http://"+babbling(t), destination.ClientOptions{Timeout: long})
		_, err := send(t, d, some(t, d))
		require.NotNil(t, err)
		require.Equal(t, destination.Ambiguous, err.Kind)
	})
}

func cancelledBefore(t *testing.T, h Harness) {
	seen := &recorder{next: h.Success}
	d := h.New(t, Serve(t, seen), destination.ClientOptions{Timeout: long})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := sendWith(ctx, t, d, some(t, d))
	require.NotNil(t, err)
	require.Equal(t, destination.Unreachable, err.Kind)
	require.Empty(t, seen.all())
}

func cancelledMeanwhile(t *testing.T, h Harness) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	d := h.New(t, Serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		_, _ = io.Copy(io.Discard, req.Body)
		cancel()
		hang(w, req)
	})), destination.ClientOptions{Timeout: long})
	_, err := sendWith(ctx, t, d, some(t, d))
	require.NotNil(t, err)
	require.Equal(t, destination.Ambiguous, err.Kind)
}

// echo answers with everything that came; send looks for it in the error.
func echo(t *testing.T, h Harness) {
	for _, status := range []int{200, 302, 400, 401, 404, 422, 429, 500, 503} {
		d := h.New(t, Serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			body, _ := io.ReadAll(req.Body)
			w.Header().Set("Location", "/"+Marker)
			w.Header().Set("Retry-After", Marker)
			w.WriteHeader(status)
			_, _ = io.WriteString(w, `{"error": `+strconv.Quote(string(body)+Marker+req.Header.Get("Authorization"))+`}`)
		})), destination.ClientOptions{Timeout: long})
		_, err := send(t, d, some(t, d))
		require.True(t, err != nil || status == 200)
	}
}

func concurrent(t *testing.T, h Harness) {
	const senders, each = 8, 20
	seen := &recorder{next: h.Success}
	d := h.New(t, Serve(t, seen), destination.ClientOptions{Timeout: long, MaxConns: senders})
	event := some(t, d)
	errs := make(chan error, senders*each)
	var group sync.WaitGroup
	for range senders {
		group.Go(func() {
			for range each {
				_, err := d.Send(t.Context(), event)
				errs <- err
			}
		})
	}
	group.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
	requests := seen.all()
	require.Len(t, requests, senders*each)
	for _, request := range requests {
		require.Equal(t, requests[0].Body, request.Body)
	}
}

// reuse counts the connections of many requests, answered well and badly: one.
func reuse(t *testing.T, h Harness) {
	var n atomic.Int64
	url, connections := serveCounting(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if n.Add(1)%2 == 0 {
			w.WriteHeader(http.StatusUnprocessableEntity)
			_, _ = io.WriteString(w, strings.Repeat("x", 10_000))
			return
		}
		h.Success(w, req)
	}))
	d := h.New(t, url, destination.ClientOptions{Timeout: long})
	for range 10 {
		_, _ = send(t, d, some(t, d))
	}
	require.EqualValues(t, 1, connections.Load())
}

func send(t *testing.T, d destination.Destination, event destination.Event) (int, *destination.Error) {
	t.Helper()
	return sendWith(t.Context(), t, d, event)
}

// sendWith sends, and checks what holds for every error.
func sendWith(ctx context.Context, t *testing.T, d destination.Destination, event destination.Event) (int, *destination.Error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, long) // an adapter without a timeout of its own fails, and does not hang
	defer cancel()
	start := time.Now()
	code, err := d.Send(ctx, event)
	require.Less(t, time.Since(start), long)
	if err == nil {
		return code, nil
	}
	var known *destination.Error
	require.ErrorAs(t, err, &known, "the error must be a *destination.Error")
	require.NotContains(t, known.Kind.String(), "kind(")
	require.NotEmpty(t, known.Reason)
	text := strings.ToLower(err.Error())
	for _, secret := range []string{Marker, "127.0.0.1", "://", "example.com", "E100042", "749"} {
		require.NotContains(t, text, strings.ToLower(secret))
	}
	return code, known
}

// names are the events of the adapter, with one made up for the custom ones.
func names(d destination.Destination) []string {
	events := slices.Clone(d.Traits().Events)
	if i := slices.Index(events, destination.AnyCustom); i >= 0 {
		events[i] = "custom:example"
	}
	return events
}

// some is an event that the adapter takes.
func some(t *testing.T, d destination.Destination) destination.Event {
	return Event(t, names(d)[0])
}
