package standin

import (
	"bytes"
	"crypto/subtle"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Desk is where a stand-in takes requests: it counts them, lets them go wrong as told, has them served one
// at a time, and notes what was not taken. A stand-in embeds it, and keeps what it knows under its lock.
type Desk struct {
	sync.Mutex
	Fail func(n int) Failure // asked before each request, with 1 for the first; may be nil

	Requests int // all of them
	Refused  int // those that Refuse was called for
	refusals []string
}

// Take lets serve answer the request, with its body read and the lock held, unless it goes wrong. refuse
// writes the answer of a failure that has a status, and may be nil for one without a body; echo is the body
// that came, for Failure.Echo, else empty.
func (d *Desk) Take(w http.ResponseWriter, req *http.Request, serve http.HandlerFunc, refuse func(status int, echo []byte)) {
	failure := d.arrive()
	failure.Handle(w, req, d.OneByOne(serve), func(echo []byte) {
		if refuse == nil {
			w.WriteHeader(failure.Status)
			return
		}
		refuse(failure.Status, echo)
	})
}

func (d *Desk) arrive() Failure {
	d.Lock()
	defer d.Unlock()
	d.Requests++
	if d.Fail == nil {
		return Failure{}
	}
	return d.Fail(d.Requests)
}

// OneByOne lets serve answer requests whose bodies have been read, with the lock held.
func (d *Desk) OneByOne(serve http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return // the client has left
		}
		req.Body = io.NopCloser(bytes.NewReader(body))
		d.Lock()
		defer d.Unlock()
		serve(w, req)
	}
}

// Refuse counts a request that is not taken, and notes why. The lock is held.
func (d *Desk) Refuse(why string) {
	d.Refused++
	d.Note(why)
}

// Note notes why something is not taken, by the names of fields, never with values. The lock is held.
func (d *Desk) Note(why string) { d.refusals = append(d.refusals, why) }

// Refusals returns why requests, or parts of them, were not taken. They name fields, never values.
func (d *Desk) Refusals() []string {
	d.Lock()
	defer d.Unlock()
	return slices.Clone(d.refusals)
}

// Get reads what a stand-in keeps by a key.
func Get[T any](d *Desk, from map[string]T, key string) (T, bool) {
	d.Lock()
	defer d.Unlock()
	value, ok := from[key]
	return value, ok
}

// Body returns what a request that came over a Desk holds.
func Body(req *http.Request) []byte {
	body, _ := io.ReadAll(req.Body) // it was read before
	return body
}

// IsSecret tells whether what was given is the secret.
func IsSecret(given, secret string) bool {
	return subtle.ConstantTimeCompare([]byte(given), []byte(secret)) == 1
}

// Once keeps what a provider counts once under a name and an id, as it first came.
type Once struct {
	Window time.Duration    // how long a repeat is known, from the first
	Now    func() time.Time // nil: it is known for ever
	kept   map[[2]string]kept
}

type kept struct {
	at   time.Time
	body json.RawMessage
}

// Keep returns false for a repeat.
func (o *Once) Keep(name, id string, body json.RawMessage) bool {
	var now time.Time
	if o.Now != nil {
		now = o.Now()
	}
	if o.kept == nil {
		o.kept = map[[2]string]kept{}
	}
	if first, known := o.kept[[2]string{name, id}]; known && now.Sub(first.at) <= o.Window {
		return false
	}
	o.kept[[2]string{name, id}] = kept{now, body}
	return true
}

// Get returns what counts.
func (o *Once) Get(name, id string) (json.RawMessage, bool) {
	found, ok := o.kept[[2]string{name, id}]
	return slices.Clone(found.body), ok
}
