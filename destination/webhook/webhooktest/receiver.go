// Package webhooktest is a webhook receiver as it should be: it verifies signatures, counts each
// webhook-id once, and notes who is to be forgotten. It can be told to fail. Tests and the demo use it.
package webhooktest

import (
	"bytes"
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
	redacted map[string]Redaction
}

// Redaction is what a customer.redacted says.
type Redaction struct {
	Customer struct {
		ID    string `json:"id"`
		Email string `json:"email"`
		Phone string `json:"phone"`
	} `json:"customer"`
	ClientIDs []string `json:"ga_client_ids"`
	OrderRefs []string `json:"order_refs"`
}

// Counts are what a Receiver has seen.
type Counts struct {
	Requests int // all of them
	Refused  int // not signed by a known secret, or not an event
	Counted  int // events, each once
	Repeats  int // requests for an event or a redaction that was counted before
	Redacted int // redactions, each once
}

// New returns a receiver that knows the secrets. fail, if not nil, is asked before each request, with
// 1 for the first.
func New(fail func(n int) Failure, secrets ...string) (*Receiver, error) {
	r := &Receiver{fail: fail, counted: map[string]string{}, redacted: map[string]Redaction{}}
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
	var said struct {
		Type, Timestamp string
		Data            json.RawMessage
	}
	if err := json.Unmarshal(body, &said); err != nil || said.Type == "" || said.Timestamp == "" {
		return r.refuse(http.StatusBadRequest)
	}
	id := req.Header.Get(standardwebhooks.HeaderWebhookID)
	if said.Type == "customer.redacted" {
		return r.redact(id, said.Data)
	}
	return r.event(id, said.Data)
}

func (r *Receiver) event(id string, data []byte) int {
	var event struct {
		Key string `json:"event_key"`
	}
	if err := json.Unmarshal(data, &event); err != nil || event.Key == "" {
		return r.refuse(http.StatusBadRequest)
	}
	count(r, r.counted, id, event.Key)
	return http.StatusNoContent
}

// redact is strict: a member that nobody knows is a mistake in spelling, and one without a value says nothing.
func (r *Receiver) redact(id string, data []byte) int {
	var redaction Redaction
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&redaction); err != nil || bytes.Contains(data, []byte(`""`)) || bytes.Contains(data, []byte(`:null`)) {
		return r.refuse(http.StatusBadRequest)
	}
	count(r, r.redacted, id, redaction)
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

// count keeps what is said under an id the first time.
func count[T any](r *Receiver, known map[string]T, id string, said T) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := known[id]; ok {
		r.repeats++
		return
	}
	known[id] = said
}

// Counts returns what was seen so far.
func (r *Receiver) Counts() Counts {
	r.mu.Lock()
	defer r.mu.Unlock()
	return Counts{Requests: r.requests, Refused: r.refused, Counted: len(r.counted), Repeats: r.repeats, Redacted: len(r.redacted)}
}

// Events returns the event keys that were counted, by webhook-id.
func (r *Receiver) Events() map[string]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.counted)
}

// Redactions returns the redactions that were taken, by webhook-id.
func (r *Receiver) Redactions() map[string]Redaction {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.redacted)
}
