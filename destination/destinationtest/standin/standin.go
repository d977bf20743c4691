// Package standin is what the stand-ins of providers have in common: how requests come in and go wrong, how
// JSON is read, checked and answered, and what counts once.
package standin

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"
)

// Failure is how a request goes wrong. The zero value is none.
type Failure struct {
	Status     int           // answer with this status instead
	RetryAfter string        // header of that answer
	Delay      time.Duration // wait before answering
	After      bool          // keep what was said first, so that the next attempt is a repeat
	Reset      bool          // break the connection off instead of answering
	Echo       bool          // put the request's body into the answer
}

// Handle lets serve take the request and answer it, or goes wrong. refuse writes the answer of f.Status;
// echo is the body that came, for Echo, else empty.
func (f Failure) Handle(w http.ResponseWriter, req *http.Request, serve http.HandlerFunc, refuse func(echo []byte)) {
	if !wait(req, f.Delay) {
		return
	}
	if f.Status == 0 && !f.Reset {
		serve(w, req)
		return
	}
	body, _ := io.ReadAll(req.Body) // what came is enough for a failure
	if f.After {
		req.Body = io.NopCloser(bytes.NewReader(body))
		serve(unheard{http.Header{}}, req)
	}
	if f.Reset {
		panic(http.ErrAbortHandler)
	}
	if f.RetryAfter != "" {
		w.Header().Set("Retry-After", f.RetryAfter)
	}
	if !f.Echo {
		body = nil
	}
	refuse(body)
}

// wait returns false if the client left meanwhile.
func wait(req *http.Request, delay time.Duration) bool {
	if delay == 0 {
		return true
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-req.Context().Done():
		return false
	}
}

// unheard is an answer that goes nowhere.
type unheard struct{ header http.Header }

func (u unheard) Header() http.Header         { return u.header }
func (u unheard) Write(b []byte) (int, error) { return len(b), nil }
func (u unheard) WriteHeader(int)             {}

// Answer writes body as JSON.
func Answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // whoever left does not hear it
}

// Strict reads one JSON value, all of whose members into has.
func Strict(body []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	decoder.UseNumber()
	if err := decoder.Decode(into); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one value")
	}
	return nil
}
