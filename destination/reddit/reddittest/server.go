// Package reddittest is a strict stand-in for Reddit's Conversions API: it checks token, schema, hashes and times,
// refuses a whole request for one bad event, and counts one event per type and conversion id. Tests and the demo
// use it.
package reddittest

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
	Tests    int // events that came under an id for tests, and are not counted
}

const (
	window    = 48 * time.Hour
	maxAge    = 7 * 24 * time.Hour
	maxEvents = 1000
)

// New returns a server for one pixel. now is its clock, by which it refuses events that are too old or of the
// future and forgets repeats; without one it does neither.
func New(pixelID, token string, now func() time.Time) *Server {
	s := &Server{token: token, now: now, mux: http.NewServeMux(), counted: standin.Once{Window: window, Now: now}}
	s.mux.HandleFunc("POST /api/v3/pixels/"+pixelID+"/conversion_events", s.take)
	s.mux.HandleFunc("POST /api/v3/pixels/{pixel}/conversion_events", func(w http.ResponseWriter, _ *http.Request) {
		s.refuse(w, http.StatusForbidden, "the pixel is somebody else's")
	})
	return s
}

// ServeHTTP answers a call of the API.
func (s *Server) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	s.Take(w, req, s.serve, nil)
}

func (s *Server) serve(w http.ResponseWriter, req *http.Request) {
	switch {
	case !standin.IsSecret(req.Header.Get("Authorization"), "Bearer "+s.token):
		s.refuse(w, http.StatusUnauthorized, "UNAUTHORIZED")
	case req.Header.Get("User-Agent") == "" || req.Header.Get("User-Agent") == "Go-http-client/1.1":
		s.refuse(w, http.StatusTooManyRequests, "the user agent is a default one")
	default:
		s.mux.ServeHTTP(w, req)
	}
}

type request struct {
	Data struct {
		Events  []json.RawMessage `json:"events"`
		TestID  string            `json:"test_id"`
		Partner string            `json:"partner"`
	} `json:"data"`
}

func (s *Server) take(w http.ResponseWriter, req *http.Request) {
	var r request
	switch {
	case req.Header.Get("Content-Type") != "application/json":
		s.refuse(w, http.StatusBadRequest, "Content-Type: must be application/json")
		return
	case standin.Strict(standin.Body(req), &r) != nil:
		s.refuse(w, http.StatusBadRequest, "body: must be JSON of known fields")
		return
	case len(r.Data.Events) == 0 || len(r.Data.Events) > maxEvents:
		s.refuse(w, http.StatusBadRequest, fmt.Sprintf("data.events: must have 1 to %d events", maxEvents))
		return
	}
	events, problem := standin.Each(r.Data.Events, s.check)
	if problem != "" {
		s.refuse(w, http.StatusBadRequest, problem)
		return
	}
	s.keep(events, r)
	standin.Answer(w, http.StatusOK, map[string]any{"data": map[string]any{
		"message": fmt.Sprintf("Successfully processed %d conversion events.", len(events)),
	}})
}

func (s *Server) keep(events []event, r request) {
	for i, e := range events {
		switch {
		case r.Data.TestID != "":
			s.counts.Tests++
		case s.counted.Keep(e.Type.Tracking+e.Type.Name, e.Metadata.ConversionID, r.Data.Events[i]):
			s.counts.Events++
		default:
			s.counts.Repeats++
		}
	}
}

func (s *Server) refuse(w http.ResponseWriter, status int, problem string) {
	s.Refuse(problem)
	standin.Answer(w, status, map[string]any{"error": map[string]any{"code": status, "message": problem}})
}

// Counts returns what was seen so far.
func (s *Server) Counts() Counts {
	s.Lock()
	defer s.Unlock()
	counts := s.counts
	counts.Requests, counts.Refused = s.Requests, s.Refused
	return counts
}
