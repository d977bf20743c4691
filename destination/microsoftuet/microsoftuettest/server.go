// Package microsoftuettest is a strict stand-in for the UET Conversions API of Microsoft Advertising:
// it checks credentials, fields and hashes, and keeps what it was told, one event per id.
// Where Microsoft's own behaviour is not documented (docs/destinations/microsoft_uet.md) it takes the
// harsher reading: unknown fields are refused. Tests and the demo use it.
package microsoftuettest

import (
	"net/http"
	"slices"
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
	events  map[string]Event // by id
	failing map[string]bool
}

// Counts are what a Server has seen.
type Counts struct {
	Requests int // all of them
	Refused  int // requests not taken at all; see Refusals
	Failed   int // events not taken of requests that were; see Refusals
	Events   int // different ids
	Repeats  int // events that had been counted
}

// New returns a server for one UET tag. now tells what time it is there: events of the future, or of
// more than seven days ago, are refused. nil: times are not looked at.
func New(tagID, token string, now func() time.Time) *Server {
	s := &Server{token: token, now: now, mux: http.NewServeMux(), events: map[string]Event{}, failing: map[string]bool{}}
	s.mux.HandleFunc("POST /v1/"+tagID+"/events", s.take)
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

// ServeHTTP answers a call of the API.
func (s *Server) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	s.Take(w, req, s.serve, nil)
}

func (s *Server) serve(w http.ResponseWriter, req *http.Request) {
	if !standin.IsSecret(req.Header.Get("Authorization"), "Bearer "+s.token) {
		s.refuse(w, http.StatusUnauthorized, "Unauthorized", "the token is not accepted", nil)
		return
	}
	s.mux.ServeHTTP(w, req)
}

func (s *Server) take(w http.ResponseWriter, req *http.Request) {
	if req.Header.Get("Content-Type") != "application/json" {
		s.refuse(w, http.StatusUnsupportedMediaType, "BadRequest", "content type is not application/json", nil)
		return
	}
	request, problem := readRequest(standin.Body(req))
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
	var details []detail
	for i, event := range events {
		property, problem := s.problem(event)
		if problem == "" {
			continue
		}
		s.counts.Failed++
		s.Note(property + " " + problem)
		details = append(details, detail{Index: i, Property: property, Value: event.ID, Message: problem})
	}
	return details
}

func (s *Server) problem(event Event) (property, problem string) {
	if s.failing[event.ID] {
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
	s.Refuse(problem)
	standin.Answer(w, status, map[string]any{"eventsReceived": 0, "error": failure{Code: code, Message: problem, Details: details}, "traceId": "example"})
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
