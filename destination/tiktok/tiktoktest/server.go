// Package tiktoktest is a strict stand-in for TikTok's Events API: it checks address, token, fields and
// the forms of hashes, refuses a whole request for one bad event with a code in an answer of HTTP 200, and
// knows repeats. Tests and the demo use it.
package tiktoktest

import (
	"crypto/subtle"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"slices"
	"sync"
	"time"

	"kvit/destination/destinationtest/standin"
)

// Server is an http.Handler.
type Server struct {
	sourceID, token string
	now             func() time.Time

	mu       sync.Mutex
	counts   Counts
	refusals []string
	counted  map[key]counted
}

// key is what TikTok deduplicates on.
type key struct{ event, id string }

type counted struct {
	at   time.Time // when it came; zero without a clock
	body json.RawMessage
}

// Counts are what a Server has seen.
type Counts struct {
	Requests int // all of them
	Refused  int // whole requests; see Refusals
	Events   int // counted, once each
	Repeats  int // events recognised as repeats
	Tests    int // events that came under a test code
}

// New returns a server for one event source. now is its clock, by which it refuses events that are too old
// and forgets repeats; without one it does neither.
func New(sourceID, token string, now func() time.Time) *Server {
	return &Server{sourceID: sourceID, token: token, now: now, counted: map[key]counted{}}
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
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts.Requests++
	if req.Method != http.MethodPost || !path.MatchString(req.RequestURI) {
		s.refuse("unknown method or path")
		http.NotFound(w, req)
		return
	}
	code, message := 0, "OK"
	if refused := s.take(req); refused != nil {
		code, message = refused.code, refused.reason
		s.refuse(refused.reason)
	}
	standin.Answer(w, http.StatusOK, map[string]any{"code": code, "message": message, "request_id": "202503041015300000"})
}

func (s *Server) refuse(reason string) {
	s.counts.Refused++
	s.refusals = append(s.refusals, reason)
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
	if subtle.ConstantTimeCompare([]byte(req.Header.Get("Access-Token")), []byte(s.token)) != 1 {
		return &refusal{code: 40105, reason: "Access-Token: is wrong"}
	}
	body, err := io.ReadAll(req.Body)
	var r request
	if err != nil || req.Header.Get("Content-Type") != "application/json" || standin.Strict(body, &r) != nil {
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
	return s.takeEvents(r)
}

func (s *Server) takeEvents(r request) *refusal {
	events := make([]event, len(r.Data))
	for i, raw := range r.Data {
		if err := standin.Strict(raw, &events[i]); err != nil {
			return invalid("data: an event has an unknown field or a wrong type")
		}
		if problem := s.check(events[i]); problem != "" {
			return invalid(problem)
		}
	}
	s.keep(events, r)
	return nil
}

// window is how long TikTok knows a repeat, from the first.
const window = 48 * time.Hour

func (s *Server) keep(events []event, r request) {
	var now time.Time
	if s.now != nil {
		now = s.now()
	}
	for i, e := range events {
		if r.TestEventCode != nil {
			s.counts.Tests++
		}
		k := key{e.Event, e.ID}
		if first, known := s.counted[k]; known && now.Sub(first.at) <= window {
			s.counts.Repeats++
			continue
		}
		s.counts.Events++
		s.counted[k] = counted{at: now, body: r.Data[i]}
	}
}

// Counts returns what was seen so far.
func (s *Server) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts
}

// Refusals returns why requests were refused.
func (s *Server) Refusals() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.refusals)
}

// Event returns what was counted under a name and an id, as JSON.
func (s *Server) Event(event, id string) (json.RawMessage, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.counted[key{event, id}]
	return slices.Clone(found.body), ok
}
