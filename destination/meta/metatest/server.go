// Package metatest is a strict stand-in for Meta's Conversions API: it checks address, token, fields and
// the forms of hashes, refuses a whole request for one bad event, and knows repeats. Tests and the demo
// use it.
package metatest

import (
	"crypto/subtle"
	"encoding/json"
	"fmt"
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
	dataset, token string
	now            func() time.Time
	path           *regexp.Regexp

	mu       sync.Mutex
	counts   Counts
	refusals []string
	counted  map[key]counted
}

// key is what Meta deduplicates on.
type key struct{ name, id string }

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
	Tests    int // events that came under a test code, which are counted as well
}

// New returns a server for one dataset. now is its clock, by which it refuses events that are too old and
// forgets repeats; without one it does neither.
func New(dataset, token string, now func() time.Time) *Server {
	return &Server{
		dataset: dataset, token: token, now: now, counted: map[key]counted{},
		path: regexp.MustCompile(`^/v[0-9]+\.[0-9]+/` + regexp.QuoteMeta(dataset) + `/events$`),
	}
}

// ServeHTTP answers a call of the API.
func (s *Server) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts.Requests++
	count, refused := s.take(req)
	if refused != nil {
		s.counts.Refused++
		s.refusals = append(s.refusals, refused.reason)
		standin.Answer(w, refused.status, map[string]any{"error": map[string]any{
			"message": refused.reason, "type": "OAuthException", "code": refused.code, "error_subcode": refused.subcode,
			"is_transient": false, "fbtrace_id": "AbCdEf",
		}})
		return
	}
	standin.Answer(w, http.StatusOK, map[string]any{"events_received": count, "messages": []string{}, "fbtrace_id": "AbCdEf"})
}

// refusal is why a request is not taken.
type refusal struct {
	status, code, subcode int
	reason                string // names fields, never values
}

func invalid(format string, args ...any) *refusal {
	return &refusal{status: http.StatusBadRequest, code: 100, subcode: 2804003, reason: fmt.Sprintf(format, args...)}
}

type request struct {
	AccessToken   string            `json:"access_token"`
	TestEventCode string            `json:"test_event_code"`
	Data          []json.RawMessage `json:"data"`
}

// maxEvents is how many Meta takes in one request.
const maxEvents = 1000

// take takes all events of a request, or none.
func (s *Server) take(req *http.Request) (int, *refusal) {
	switch {
	case req.Method != http.MethodPost || !s.path.MatchString(req.URL.Path):
		return 0, &refusal{status: http.StatusBadRequest, code: 100, subcode: 33, reason: "unknown method or path"}
	case req.Header.Get("Content-Type") != "application/json":
		return 0, invalid("Content-Type: must be application/json")
	}
	body, err := io.ReadAll(req.Body)
	var r request
	if err != nil || standin.Strict(body, &r) != nil {
		return 0, invalid("body: must be JSON of known fields")
	}
	if refused := s.admit(r.AccessToken, req.URL.Query()["access_token"]); refused != nil {
		return 0, refused
	}
	if len(r.Data) == 0 || len(r.Data) > maxEvents {
		return 0, invalid("data: must have 1 to %d events", maxEvents)
	}
	events := make([]event, len(r.Data))
	for i, raw := range r.Data {
		if err := standin.Strict(raw, &events[i]); err != nil {
			return 0, invalid("data: an event has an unknown field or a wrong type")
		}
		if problem := s.check(events[i]); problem != "" {
			return 0, invalid("%s", problem)
		}
	}
	s.keep(events, r)
	return len(events), nil
}

// admit looks for the token in the body, or in the address, not in both.
func (s *Server) admit(inBody string, inQuery []string) *refusal {
	given := append([]string{inBody}, inQuery...)
	given = slices.DeleteFunc(given, func(token string) bool { return token == "" })
	if len(given) != 1 || subtle.ConstantTimeCompare([]byte(given[0]), []byte(s.token)) != 1 {
		return &refusal{status: http.StatusBadRequest, code: 190, subcode: 463, reason: "access_token: is wrong"}
	}
	return nil
}

// window is how long Meta knows a repeat.
const window = 48 * time.Hour

func (s *Server) keep(events []event, r request) {
	var now time.Time
	if s.now != nil {
		now = s.now()
	}
	for i, e := range events {
		if r.TestEventCode != "" {
			s.counts.Tests++
		}
		k := key{e.Name, e.ID}
		if first, known := s.counted[k]; known && e.ID != "" && now.Sub(first.at) <= window {
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
func (s *Server) Event(name, id string) (json.RawMessage, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.counted[key{name, id}]
	return slices.Clone(found.body), ok
}
