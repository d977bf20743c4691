// Package microsoftuettest is a strict stand-in for the UET Conversions API of Microsoft Advertising:
// it checks credentials, fields and hashes, and keeps what it was told, one event per id.
// Where Microsoft's own behaviour is not documented (docs/destinations/microsoft_uet.md) it takes the
// harsher reading: unknown fields are refused. Tests and the demo use it.
package microsoftuettest

import (
	"crypto/subtle"
	"mime"
	"net/http"
	"slices"
	"sync"
	"time"

	"kvit/destination/destinationtest/standin"
)

// Server is an http.Handler.
type Server struct {
	token string
	now   func() time.Time
	mux   *http.ServeMux

	mu       sync.Mutex
	counts   Counts
	events   map[string]Event // by id
	refused  map[string]bool
	problems []string
}

// Counts are what a Server has seen.
type Counts struct {
	Requests int // all of them
	Refused  int // requests not taken at all; see Problems
	Failed   int // events not taken of requests that were; see Problems
	Events   int // different ids
	Repeats  int // events that had been counted
}

// New returns a server for one UET tag. now tells what time it is there: events of the future, or of
// more than seven days ago, are refused. nil: times are not looked at.
func New(tagID, token string, now func() time.Time) *Server {
	s := &Server{token: token, now: now, mux: http.NewServeMux(), events: map[string]Event{}, refused: map[string]bool{}}
	s.mux.HandleFunc("POST /v1/"+tagID+"/events", s.take)
	return s
}

// Refuse makes the events with these ids fail.
func (s *Server) Refuse(ids ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		s.refused[id] = true
	}
}

// ServeHTTP answers a call of the API.
func (s *Server) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	s.mu.Lock()
	s.counts.Requests++
	s.mu.Unlock()
	if subtle.ConstantTimeCompare([]byte(req.Header.Get("Authorization")), []byte("Bearer "+s.token)) != 1 {
		s.refuse(w, http.StatusUnauthorized, "Unauthorized", "the token is not accepted", nil)
		return
	}
	s.mux.ServeHTTP(w, req)
}

func (s *Server) take(w http.ResponseWriter, req *http.Request) {
	media, _, _ := mime.ParseMediaType(req.Header.Get("Content-Type"))
	if media != "application/json" {
		s.refuse(w, http.StatusUnsupportedMediaType, "BadRequest", "content type is not application/json", nil)
		return
	}
	request, problem := readRequest(req.Body)
	if problem != "" {
		s.refuse(w, http.StatusBadRequest, "BadRequest", problem, nil)
		return
	}
	details := s.check(request.Data)
	if len(details) > 0 && (!request.Continue || len(details) == len(request.Data)) {
		s.refuse(w, http.StatusBadRequest, "ValidationError", "no event was taken", details)
		return
	}
	s.record(request.Data, details)
	body := map[string]any{"eventsReceived": len(request.Data) - len(details), "traceId": "example"}
	if len(details) > 0 {
		body["error"] = failure{Code: "ValidationError", Message: "some events were not taken", Details: details}
	}
	standin.Answer(w, http.StatusOK, body)
}

// failure is the error of an answer.
type failure struct {
	Code    string   `json:"code"`
	Message string   `json:"message"`
	Details []detail `json:"details,omitempty"`
}

// detail is what is wrong with one event.
type detail struct {
	Index    int    `json:"index"`
	Property string `json:"propertyName"`
	Value    any    `json:"attemptedValue"`
	Message  string `json:"errorMessage"`
}

// check returns the first fault of each event that has one.
func (s *Server) check(events []Event) []detail {
	s.mu.Lock()
	defer s.mu.Unlock()
	var details []detail
	for i, event := range events {
		property, problem := s.problem(event)
		if problem == "" {
			continue
		}
		s.counts.Failed++
		s.problems = append(s.problems, property+" "+problem)
		details = append(details, detail{Index: i, Property: property, Value: event.ID, Message: problem})
	}
	return details
}

func (s *Server) problem(event Event) (property, problem string) {
	if s.refused[event.ID] {
		return "eventId", "is refused as told"
	}
	if s.now != nil && event.Time != nil {
		age := s.now().Sub(time.Unix(*event.Time, 0))
		if age < 0 || age > 7*24*time.Hour {
			return "eventTime", "is not of the last seven days"
		}
	}
	return event.problem()
}

func (s *Server) record(events []Event, details []detail) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, event := range events {
		if slices.ContainsFunc(details, func(d detail) bool { return d.Index == i }) {
			continue
		}
		if _, known := s.events[event.ID]; known {
			s.counts.Repeats++
		}
		s.events[event.ID] = event
	}
}

func (s *Server) refuse(w http.ResponseWriter, status int, code, problem string, details []detail) {
	s.mu.Lock()
	s.counts.Refused++
	s.problems = append(s.problems, problem)
	s.mu.Unlock()
	standin.Answer(w, status, map[string]any{"eventsReceived": 0, "error": failure{Code: code, Message: problem, Details: details}, "traceId": "example"})
}

// Counts returns what was seen so far.
func (s *Server) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := s.counts
	counts.Events = len(s.events)
	return counts
}

// Problems returns why requests and events were not taken. They name fields, never values.
func (s *Server) Problems() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.problems)
}

// Event returns what was counted under an id.
func (s *Server) Event(id string) (Event, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	event, ok := s.events[id]
	return event, ok
}
