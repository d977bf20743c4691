package bench

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
)

// receiver reads each body and counts. all is closed when the last event has come.
type receiver struct {
	events  func(body []byte) int // in a request; nil: one
	expects int64
	delay   time.Duration  // before it answers
	came    []atomic.Int64 // when the event of an order came, in ns since start; nil: nobody asks
	start   time.Time
	count   atomic.Int64
	all     chan struct{}
}

func (r *receiver) listen(b *testing.B) string {
	r.all = make(chan struct{})
	server := httptest.NewServer(r)
	b.Cleanup(server.Close)
	return server.URL
}

// listen starts one that expects as many events as are sent by default.
func listen(b *testing.B, eventsIn func([]byte) int) (*receiver, string) {
	r := &receiver{events: eventsIn, expects: events}
	return r, r.listen(b)
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	n := int64(1)
	switch {
	case r.events != nil:
		body, _ := io.ReadAll(req.Body)
		n = int64(r.events(body))
		_, _ = fmt.Fprintf(w, `{"events_received": %d, "messages": []}`, n)
	case r.came != nil:
		body, _ := io.ReadAll(req.Body)
		if i := orderIn(body); i >= 0 && i < len(r.came) {
			r.came[i].CompareAndSwap(0, int64(time.Since(r.start)))
		}
	default:
		_, _ = io.Copy(io.Discard, req.Body)
	}
	time.Sleep(r.delay)
	if now := r.count.Add(n); now >= r.expects && now-n < r.expects {
		close(r.all)
	}
}

// orderIn finds the number of the order whose reference is E and its number; -1: there is none.
func orderIn(body []byte) int {
	for _, mark := range []string{`"ref":"E`, `"ref": "E`} {
		if _, rest, ok := bytes.Cut(body, []byte(mark)); ok {
			number, _, _ := bytes.Cut(rest, []byte(`"`))
			if n, err := strconv.Atoi(string(number)); err == nil {
				return n
			}
		}
	}
	return -1
}

// eventsInMeta counts by what each event has once.
func eventsInMeta(body []byte) int { return bytes.Count(body, []byte(`"event_id":`)) }

// wait waits for the last event.
func (r *receiver) wait(b *testing.B) {
	b.Helper()
	select {
	case <-r.all:
	case <-time.After(bound):
		b.Fatalf("only %d of %d events came", r.count.Load(), r.expects)
	}
}
