// Package webhooktest is a webhook receiver as it should be: it verifies signatures and counts each
// webhook-id once. It can be told to fail. Tests and the demo use it.
package webhooktest

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"sync"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// Failure is how a request goes wrong.
type Failure int

// The failures. After means that the event was counted before things went wrong, so that the next
// attempt is a repeat.
const (
	None Failure = iota
	ErrorBefore
	ErrorAfter
	ResetAfter
	Throttle // 429, Retry-After: 1
)

// Receiver is an http.Handler.
type Receiver struct {
	keys []*standardwebhooks.Webhook
	fail func(n int) Failure

	mu       sync.Mutex
	requests int
	refused  int
	repeats  int
	counted  map[string]string // event key by webhook-id
}

// Counts are what a Receiver has seen.
type Counts struct {
	Requests int // all of them
	Refused  int // not signed by a known secret, or not an event
	Counted  int // events, each once
	Repeats  int // requests for an event that was counted before
}

// New returns a receiver that knows the secrets. fail, if not nil, is asked before each request, with
// 1 for the first.
func New(fail func(n int) Failure, secrets ...string) (*Receiver, error) {
	r := &Receiver{fail: fail, counted: map[string]string{}}
	for _, secret := range secrets {
		key, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			return nil, err
		}
		r.keys = append(r.keys, key)
	}
	return r, nil
}

// Every lets each nth request fail, in the given ways by turns.
func Every(nth int, ways ...Failure) func(n int) Failure {
	return func(n int) Failure {
		if n%nth != 0 {
			return None
		}
		return ways[(n/nth-1)%len(ways)]
	}
}

// ServeHTTP answers 204 to an event, counted or repeated, and 401 to what is not signed.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	failure := r.arrive()
	switch failure {
	case ErrorBefore:
		http.Error(w, "failing as told", http.StatusInternalServerError)
		return
	case Throttle:
		w.Header().Set("Retry-After", "1")
		http.Error(w, "slow down as told", http.StatusTooManyRequests)
		return
	}
	if status := r.take(req); status != http.StatusNoContent {
		http.Error(w, http.StatusText(status), status)
		return
	}
	switch failure {
	case ErrorAfter:
		http.Error(w, "failing as told", http.StatusBadGateway)
	case ResetAfter:
		panic(http.ErrAbortHandler)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

func (r *Receiver) arrive() Failure {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests++
	if r.fail == nil {
		return None
	}
	return r.fail(r.requests)
}

// take verifies and counts one request, and returns the status it deserves.
func (r *Receiver) take(req *http.Request) int {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return r.refuse(http.StatusBadRequest)
	}
	if !r.signed(body, req.Header) {
		return r.refuse(http.StatusUnauthorized)
	}
	var event struct {
		Type, Timestamp string
		Data            struct {
			Key string `json:"event_key"`
		}
	}
	if err := json.Unmarshal(body, &event); err != nil || event.Type == "" || event.Timestamp == "" || event.Data.Key == "" {
		return r.refuse(http.StatusBadRequest)
	}
	r.count(req.Header.Get(standardwebhooks.HeaderWebhookID), event.Data.Key)
	return http.StatusNoContent
}

func (r *Receiver) signed(body []byte, header http.Header) bool {
	for _, key := range r.keys {
		if key.Verify(body, header) == nil {
			return true
		}
	}
	return false
}

func (r *Receiver) refuse(status int) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refused++
	return status
}

func (r *Receiver) count(id, key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.counted[id]; known {
		r.repeats++
		return
	}
	r.counted[id] = key
}

// Counts returns what was seen so far.
func (r *Receiver) Counts() Counts {
	r.mu.Lock()
	defer r.mu.Unlock()
	return Counts{Requests: r.requests, Refused: r.refused, Counted: len(r.counted), Repeats: r.repeats}
}

// Events returns the event keys that were counted, by webhook-id.
func (r *Receiver) Events() map[string]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.counted)
}
