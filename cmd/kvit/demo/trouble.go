package demo

import (
	"bytes"
	"crypto/sha256"
	"io"
	"net/http"
	"sync"

	"github.com/tidwall/gjson"
)

// trouble makes each nth event that arrives fail once, and with it the request that it is in, in four
// ways by turns; two of them lose the answer after the receiver has counted the events, so that the
// next attempt is a repeat.
//
// Where requests hold many events, a few of them go well after each trouble: kvit leaves a provider
// alone after five failures in a row, and after one when it has just asked to slow down, for longer
// than a short demo has.
//
// It comes in two phases. In the first one an event fails at its first attempt alone, because kvit's
// second wait is half a minute, and a third one two, which a demo does not have. In the second one,
// from when the shop closes, nothing fails, so that everything can settle and be counted.
type trouble struct {
	next  http.Handler
	nth   int
	split func(body []byte) [][]byte // the events of a request, each the same at every attempt
	again func() int                 // what the receiver has counted that a repeat would add to; nil: there is no such thing

	mu   sync.Mutex
	over bool
	came int                        // how often trouble has come
	rest int                        // requests that go well after each trouble
	calm int                        // of these, those that are left
	seen map[[sha256.Size]byte]bool // events

	passed  map[[sha256.Size]byte]bool // requests that the receiver has heard
	repeats int                        // of these

	counting sync.Mutex // held while a request is passed on, if again is not nil
	unsaid   int        // what was added to again by requests whose answer was lost
}

func newTrouble(next http.Handler, nth int) *trouble {
	return &trouble{next: next, nth: nth, split: whole, seen: map[[sha256.Size]byte]bool{}, passed: map[[sha256.Size]byte]bool{}}
}

// whole is for receivers that take one event a request.
func whole(body []byte) [][]byte { return [][]byte{body} }

// batch is for receivers that take a list of events, at a path in a JSON object.
func batch(path string) func(body []byte) [][]byte {
	return func(body []byte) [][]byte {
		events := gjson.GetBytes(body, path)
		if !gjson.ValidBytes(body) || !events.IsArray() {
			return whole(body) // a call of another kind, kvit check's for instance
		}
		var list [][]byte
		for _, event := range events.Array() {
			list = append(list, []byte(event.Raw))
		}
		return list
	}
}

func (t *trouble) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = true
}

type way int

const (
	fine way = iota
	failsBefore
	failsAfter
	resetsAfter
	throttles
)

var ways = []way{failsAfter, throttles, resetsAfter, failsBefore}

// meet decides how a request goes. It goes well if any of its events has been here before.
func (t *trouble) meet(body []byte) way {
	t.mu.Lock()
	defer t.mu.Unlock()
	fresh := true
	for _, event := range t.split(body) {
		sum := sha256.Sum256(event)
		fresh = fresh && !t.seen[sum]
		t.seen[sum] = true
	}
	t.calm--
	if t.over || !fresh || t.calm >= 0 || len(t.seen)/t.nth <= t.came {
		return fine
	}
	t.came++
	t.calm = t.rest
	return ways[(t.came-1)%len(ways)]
}

// ServeHTTP passes the request on, or lets it fail.
func (t *trouble) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // whoever asked has left
	}
	how := t.meet(body)
	if how == failsAfter || how == resetsAfter {
		t.passUnheard(req, body)
	}
	switch how {
	case failsBefore, failsAfter:
		http.Error(w, "an invented failure", http.StatusBadGateway)
	case resetsAfter:
		panic(http.ErrAbortHandler)
	case throttles:
		w.Header().Set("Retry-After", "1")
		http.Error(w, "an invented limit", http.StatusTooManyRequests)
	default:
		t.pass(w, req, body)
	}
}

// pass lets the receiver hear the request.
func (t *trouble) pass(w http.ResponseWriter, req *http.Request, body []byte) {
	t.note(req, body)
	if t.again != nil {
		t.counting.Lock()
		defer t.counting.Unlock()
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	t.next.ServeHTTP(w, req)
}

// passUnheard loses the answer.
func (t *trouble) passUnheard(req *http.Request, body []byte) {
	t.note(req, body)
	req.Body = io.NopCloser(bytes.NewReader(body))
	if t.again == nil {
		t.next.ServeHTTP(unheard{http.Header{}}, req)
		return
	}
	t.counting.Lock()
	defer t.counting.Unlock()
	before := t.again()
	t.next.ServeHTTP(unheard{http.Header{}}, req)
	t.unsaid += t.again() - before
}

func (t *trouble) note(req *http.Request, body []byte) {
	sum := sha256.Sum256(append([]byte(req.URL.Path+"\n"), body...))
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.passed[sum] {
		t.repeats++
	}
	t.passed[sum] = true
}

// heardAgain is how many requests the receiver had heard before.
func (t *trouble) heardAgain() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.repeats
}

// countedUnsaid is how much the receiver has counted, of what a repeat would add to, without kvit
// having been told.
func (t *trouble) countedUnsaid() int {
	t.counting.Lock()
	defer t.counting.Unlock()
	return t.unsaid
}

// unheard is an answer that gets lost.
type unheard struct{ header http.Header }

func (u unheard) Header() http.Header         { return u.header }
func (u unheard) Write(b []byte) (int, error) { return len(b), nil }
func (u unheard) WriteHeader(int)             {}
