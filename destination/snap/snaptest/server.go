// Package snaptest is a strict stand-in for Snap's Conversions API: it checks token, schema, hashes and times,
// refuses a whole request for one bad event, and counts one event per name and id. Tests and the demo use it.
package snaptest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"kvit/destination/destinationtest/standin"
)

// Server is an http.Handler.
type Server struct {
	standin.Desk

	token   string
	now     func() time.Time
	mux     *http.ServeMux
	counts  Counts
	counted standin.Once
}

// Counts are what a Server has seen.
type Counts struct {
	Requests int // all of them
	Refused  int // whole requests; see Refusals
	Events   int // counted, once each
	Repeats  int // events recognised as repeats
	Tests    int // events that were checked and not counted
}

const (
	window    = 48 * time.Hour
	maxAge    = 37 * 24 * time.Hour
	maxEvents = 2000
)

// New returns a server for one pixel. now is its clock, by which it refuses events that are too old or of the
// future and forgets repeats; without one it does neither.
func New(pixelID, token string, now func() time.Time) *Server {
	s := &Server{token: token, now: now, mux: http.NewServeMux(), counted: standin.Once{Window: window, Now: now}}
	s.mux.HandleFunc("POST /v3/"+pixelID+"/events", func(w http.ResponseWriter, req *http.Request) { s.take(w, req, false) })
	s.mux.HandleFunc("POST /v3/"+pixelID+"/events/validate", func(w http.ResponseWriter, req *http.Request) { s.take(w, req, true) })
	other := func(w http.ResponseWriter, _ *http.Request) {
		s.refuse(w, http.StatusForbidden, "the pixel is somebody else's")
	}
	s.mux.HandleFunc("POST /v3/{pixel}/events", other)
	s.mux.HandleFunc("POST /v3/{pixel}/events/validate", other)
	return s
}

// ServeHTTP answers a call of the API.
func (s *Server) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	s.Take(w, req, s.serve, nil)
}

func (s *Server) serve(w http.ResponseWriter, req *http.Request) {
	if !standin.IsSecret(req.URL.Query().Get("access_token"), s.token) {
		s.refuse(w, http.StatusUnauthorized, "access_token: is wrong")
		return
	}
	s.mux.ServeHTTP(w, req)
}

func (s *Server) take(w http.ResponseWriter, req *http.Request, test bool) {
	var request struct {
		Data []json.RawMessage `json:"data"`
	}
	switch {
	case req.Header.Get("Content-Type") != "application/json":
		s.refuse(w, http.StatusBadRequest, "Content-Type: must be application/json")
		return
	case standin.Strict(standin.Body(req), &request) != nil:
		s.refuse(w, http.StatusBadRequest, "body: must be JSON of known fields")
		return
	case len(request.Data) == 0 || len(request.Data) > maxEvents:
		s.refuse(w, http.StatusBadRequest, fmt.Sprintf("data: must have 1 to %d events", maxEvents))
		return
	}
	events, problem := standin.Each(request.Data, s.check)
	if problem != "" {
		s.refuse(w, http.StatusBadRequest, problem)
		return
	}
	s.keep(events, request.Data, test)
	answer := map[string]any{"status": "VALID", "reason": "Events have been processed successfully."}
	if test {
		answer["test_event"] = true
	}
	standin.Answer(w, http.StatusOK, answer)
}

func (s *Server) keep(events []event, raw []json.RawMessage, test bool) {
	for i, e := range events {
		switch {
		case test:
			s.counts.Tests++
		case s.counted.Keep(e.Name, e.ID, raw[i]):
			s.counts.Events++
		default:
			s.counts.Repeats++
		}
	}
}

func (s *Server) refuse(w http.ResponseWriter, status int, problem string) {
	s.Refuse(problem)
	standin.Answer(w, status, map[string]any{
		"status": "INVALID", "event": 0, "errors": map[string]any{"codes": []string{"E1"}, "error_msgs": []string{problem}},
	})
}

// Counts returns what was seen so far.
func (s *Server) Counts() Counts {
	s.Lock()
	defer s.Unlock()
	counts := s.counts
	counts.Requests, counts.Refused = s.Requests, s.Refused
	return counts
}

// Event returns what counts under a name and an id.
func (s *Server) Event(name, id string) (json.RawMessage, bool) {
	s.Lock()
	defer s.Unlock()
	return s.counted.Get(name, id)
}
