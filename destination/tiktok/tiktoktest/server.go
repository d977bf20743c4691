// Package tiktoktest is a strict stand-in for TikTok's Events API: it checks address, token, fields and
// the forms of hashes, refuses a whole request for one bad event with a code in an answer of HTTP 200, and
// knows repeats. Tests and the demo use it.
package tiktoktest

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"time"

	"kvit/destination/destinationtest/standin"
)

// Server is an http.Handler.
type Server struct {
	standin.Desk

	sourceID, token string
	now             func() time.Time
	counts          Counts
	counted         standin.Once
}

// Counts are what a Server has seen.
type Counts struct {
	Requests int // all of them
	Refused  int // whole requests; see Refusals
	Events   int // counted, once each
	Repeats  int // events recognised as repeats
	Tests    int // events that came under a test code
}

// window is how long TikTok knows a repeat, from the first.
const window = 48 * time.Hour

// New returns a server for one event source. now is its clock, by which it refuses events that are too old
// and forgets repeats; without one it does neither.
func New(sourceID, token string, now func() time.Time) *Server {
	return &Server{sourceID: sourceID, token: token, now: now, counted: standin.Once{Window: window, Now: now}}
}

// refusal is why a request is not taken.
type refusal struct {
	code   int
	reason string // names fields, never values
}

func invalid(reason string) *refusal { return &refusal{code: 40002, reason: reason} }

var path = regexp.MustCompile(`^/open_api/v[0-9]+\.[0-9]+/event/track/$`)

// ServeHTTP answers a call of the API; only another address has another status than 200.
func (s *Server) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	s.Take(w, req, s.serve, nil)
}

func (s *Server) serve(w http.ResponseWriter, req *http.Request) {
	if req.Method != http.MethodPost || !path.MatchString(req.RequestURI) {
		s.Refuse("unknown method or path")
		http.NotFound(w, req)
		return
	}
	code, message := 0, "OK"
	if refused := s.take(req); refused != nil {
		code, message = refused.code, refused.reason
		s.Refuse(refused.reason)
	}
	standin.Answer(w, http.StatusOK, map[string]any{"code": code, "message": message, "request_id": "202503041015300000"})
}

type request struct {
	EventSource   string            `json:"event_source"`
	EventSourceID string            `json:"event_source_id"`
	TestEventCode *string           `json:"test_event_code"`
	Data          []json.RawMessage `json:"data"`
}

// maxEvents is how many TikTok takes in one request.
const maxEvents = 1000

// take takes all events of a request, or none.
func (s *Server) take(req *http.Request) *refusal {
	if !standin.IsSecret(req.Header.Get("Access-Token"), s.token) {
		return &refusal{code: 40105, reason: "Access-Token: is wrong"}
	}
	var r request
	if req.Header.Get("Content-Type") != "application/json" || standin.Strict(standin.Body(req), &r) != nil {
		return invalid("body: must be JSON of known fields")
	}
	switch {
	case !slices.Contains([]string{"web", "app", "offline", "crm"}, r.EventSource):
		return invalid("event_source: is unknown")
	case r.EventSourceID != s.sourceID:
		return invalid("event_source_id: is unknown")
	case r.TestEventCode != nil && *r.TestEventCode == "":
		return invalid("test_event_code: is empty")
	case len(r.Data) == 0 || len(r.Data) > maxEvents:
		return invalid("data: must have 1 to 1000 events")
	}
	events, problem := standin.Each(r.Data, s.check)
	if problem != "" {
		return invalid(problem)
	}
	s.keep(events, r)
	return nil
}

func (s *Server) keep(events []event, r request) {
	for i, e := range events {
		if r.TestEventCode != nil {
			s.counts.Tests++
		}
		if s.counted.Keep(e.Event, e.ID, r.Data[i]) {
			s.counts.Events++
		} else {
			s.counts.Repeats++
		}
	}
}

// Counts returns what was seen so far.
func (s *Server) Counts() Counts {
	s.Lock()
	defer s.Unlock()
	counts := s.counts
	counts.Requests, counts.Refused = s.Requests, s.Refused
	return counts
}

// Event returns what was counted under a name and an id, as JSON.
func (s *Server) Event(event, id string) (json.RawMessage, bool) {
	s.Lock()
	defer s.Unlock()
	return s.counted.Get(event, id)
}
