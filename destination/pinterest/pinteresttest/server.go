// Package pinteresttest is a strict stand-in for the Pinterest API for Conversions: it checks
// credentials, schema and hashes, and keeps what it was told, one event per id. Tests and the demo
// use it.
package pinteresttest

import (
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
	events  map[string]Event
	failing map[string]bool
}

// Counts are what a Server has seen.
type Counts struct {
	Requests int // all of them
	Refused  int // requests not taken at all: credentials, schema
	Failed   int // events not taken of requests that were; see Refusals
	Events   int // different ids that count
	Repeats  int // events recognised as having been counted
	Twice    int // events counted once more, since they came too late to be recognised
	Tests    int // events checked and not recorded
}

// New returns a server for one ad account. now tells what time it is there: an event of the future is
// refused, and one of more than an hour ago is taken for an offline conversion, of which repeats
// count. nil: times are not looked at.
func New(adAccountID, token string, now func() time.Time) *Server {
	s := &Server{token: token, now: now, mux: http.NewServeMux(), events: map[string]Event{}, failing: map[string]bool{}}
	s.mux.HandleFunc("POST /v5/ad_accounts/"+adAccountID+"/events", s.take)
	s.mux.HandleFunc("POST /v5/ad_accounts/{other}/events", func(w http.ResponseWriter, _ *http.Request) {
		s.refuse(w, http.StatusForbidden, 29, "not permitted to access that resource")
	})
	return s
}

// FailFor makes the events with these ids fail.
func (s *Server) FailFor(ids ...string) {
	s.Lock()
	defer s.Unlock()
	for _, id := range ids {
		s.failing[id] = true
	}
}

// ServeHTTP answers a call of Pinterest's API.
func (s *Server) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	s.Take(w, req, s.serve, nil)
}

func (s *Server) serve(w http.ResponseWriter, req *http.Request) {
	if !standin.IsSecret(req.Header.Get("Authorization"), "Bearer "+s.token) {
		s.refuse(w, http.StatusUnauthorized, 2, "authentication failed")
		return
	}
	s.mux.ServeHTTP(w, req)
}

func (s *Server) take(w http.ResponseWriter, req *http.Request) {
	if req.Header.Get("Content-Type") != "application/json" {
		s.refuse(w, http.StatusBadRequest, 4196, "content type is not application/json")
		return
	}
	events, problem := readEvents(standin.Body(req))
	if problem != "" {
		s.refuse(w, http.StatusBadRequest, 4196, problem)
		return
	}
	s.answer(w, s.record(events, req.URL.Query().Get("test") == "true"))
}

// verdict is what the answer tells of an event.
type verdict struct {
	Status  string `json:"status"`
	Problem string `json:"error_message,omitempty"`
}

func (s *Server) record(events []Event, test bool) []verdict {
	verdicts := make([]verdict, len(events))
	for i, event := range events {
		verdicts[i] = verdict{Status: "processed"}
		if problem := s.check(event); problem != "" {
			verdicts[i] = verdict{Status: "failed", Problem: problem}
			s.counts.Failed++
			s.Note(problem)
			continue
		}
		s.count(event, test)
	}
	return verdicts
}

func (s *Server) check(event Event) string {
	switch {
	case s.failing[event.ID]:
		return "refused as told"
	case s.now != nil && event.at().After(s.now()):
		return "event_time is in the future"
	}
	return event.problem()
}

func (s *Server) count(event Event, test bool) {
	_, known := s.events[event.ID]
	switch {
	case test:
		s.counts.Tests++
		return
	case known && s.now != nil && s.now().Sub(event.at()) > time.Hour:
		s.counts.Twice++
	case known:
		s.counts.Repeats++
	}
	s.events[event.ID] = event
}

func (s *Server) answer(w http.ResponseWriter, verdicts []verdict) {
	processed := 0
	for _, v := range verdicts {
		if v.Status == "processed" {
			processed++
		}
	}
	body := map[string]any{"num_events_received": len(verdicts), "num_events_processed": processed, "events": verdicts}
	if processed == len(verdicts) {
		standin.Answer(w, http.StatusOK, body)
		return
	}
	// The number of this code is not documented, nor what is in its details.
	standin.Answer(w, http.StatusUnprocessableEntity, map[string]any{"code": 1, "message": "Not all events were successfully processed.", "details": body})
}

func (s *Server) refuse(w http.ResponseWriter, status, code int, problem string) {
	s.Refuse(problem)
	standin.Answer(w, status, map[string]any{"code": code, "message": problem})
}

// Counts returns what was seen so far.
func (s *Server) Counts() Counts {
	s.Lock()
	defer s.Unlock()
	counts := s.counts
	counts.Requests, counts.Refused, counts.Events = s.Requests, s.Refused, len(s.events)
	return counts
}

// Event returns what was counted under an id.
func (s *Server) Event(id string) (Event, bool) { return standin.Get(&s.Desk, s.events, id) }
