// Package webhooktest is a webhook receiver as it should be: it verifies signatures, counts each
// webhook-id once, and notes who is to be forgotten. It can be told to fail. Tests and the demo use it.
package webhooktest

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"kvit/destination/destinationtest/standin"
)

// Failure is how a request goes wrong. The zero value is none.
type Failure = standin.Failure

// Some failures. After means that the event was counted before things went wrong, so that the next
// attempt is a repeat.
var (
	ErrorBefore = Failure{Status: http.StatusInternalServerError}
	ErrorAfter  = Failure{Status: http.StatusBadGateway, After: true}
	ResetAfter  = Failure{Reset: true, After: true}
	Throttle    = Failure{Status: http.StatusTooManyRequests, RetryAfter: "1"}
)

// Receiver is an http.Handler.
type Receiver struct {
	standin.Desk

	keys     []*standardwebhooks.Webhook
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
	r := &Receiver{Desk: standin.Desk{Fail: fail}, counted: map[string]string{}, redacted: map[string]Redaction{}}
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
			return Failure{}
		}
		return ways[(n/nth-1)%len(ways)]
	}
}

// ServeHTTP answers 204 to an event, counted or repeated, and 401 to what is not signed.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.Take(w, req, r.serve, nil)
}

// serve verifies and counts one request, and answers with the status it deserves.
func (r *Receiver) serve(w http.ResponseWriter, req *http.Request) {
	body := standin.Body(req)
	if !r.signed(body, req.Header) {
		r.Refuse("signature")
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if problem := r.take(req.Header.Get(standardwebhooks.HeaderWebhookID), body); problem != "" {
		r.Refuse(problem)
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (r *Receiver) take(id string, body []byte) (problem string) {
	var said struct {
		Type, Timestamp string
		Data            json.RawMessage
	}
	if err := json.Unmarshal(body, &said); err != nil || said.Type == "" || said.Timestamp == "" {
		return "type, timestamp"
	}
	if said.Type == "customer.redacted" {
		return r.redact(id, said.Data)
	}
	return r.event(id, said.Data)
}

func (r *Receiver) event(id string, data []byte) (problem string) {
	var event struct {
		Key string `json:"event_key"`
	}
	if err := json.Unmarshal(data, &event); err != nil || event.Key == "" {
		return "event_key"
	}
	count(r, r.counted, id, event.Key)
	return ""
}

// redact is strict: a member that nobody knows is a mistake in spelling, and one without a value says nothing.
func (r *Receiver) redact(id string, data []byte) (problem string) {
	var redaction Redaction
	if standin.Strict(data, &redaction) != nil || bytes.Contains(data, []byte(`""`)) || bytes.Contains(data, []byte(`:null`)) {
		return "data"
	}
	count(r, r.redacted, id, redaction)
	return ""
}

func (r *Receiver) signed(body []byte, header http.Header) bool {
	for _, key := range r.keys {
		if key.Verify(body, header) == nil {
			return true
		}
	}
	return false
}

// count keeps what is said under an id the first time.
func count[T any](r *Receiver, known map[string]T, id string, said T) {
	if _, ok := known[id]; ok {
		r.repeats++
		return
	}
	known[id] = said
}

// Counts returns what was seen so far.
func (r *Receiver) Counts() Counts {
	r.Lock()
	defer r.Unlock()
	return Counts{Requests: r.Requests, Refused: r.Refused, Counted: len(r.counted), Repeats: r.repeats, Redacted: len(r.redacted)}
}

// Events returns the event keys that were counted, by webhook-id.
func (r *Receiver) Events() map[string]string {
	r.Lock()
	defer r.Unlock()
	return maps.Clone(r.counted)
}

// Redactions returns the redactions that were taken, by webhook-id.
func (r *Receiver) Redactions() map[string]Redaction {
	r.Lock()
	defer r.Unlock()
	return maps.Clone(r.redacted)
}
