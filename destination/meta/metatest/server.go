// Package metatest is a strict stand-in for Meta's Conversions API: it checks address, token, fields and
// the forms of hashes, refuses a whole request for one bad event, and knows repeats. Tests and the demo
// use it.
package metatest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"time"

	"kvit/destination/destinationtest/standin"
)

// Server is an http.Handler.
type Server struct {
	standin.Desk

	token   string
	now     func() time.Time
	path    *regexp.Regexp
	counts  Counts
	counted standin.Once
}

// Counts are what a Server has seen.
type Counts struct {
	Requests int // all of them
	Refused  int // whole requests; see Refusals
	Events   int // counted, once each
	Repeats  int // events recognised as repeats
	Tests    int // events that came under a test code, which are counted as well
}

// window is how long Meta knows a repeat.
const window = 48 * time.Hour

// New returns a server for one dataset. now is its clock, by which it refuses events that are too old and
// forgets repeats; without one it does neither.
func New(dataset, token string, now func() time.Time) *Server {
	return &Server{
		token: token, now: now, counted: standin.Once{Window: window, Now: now},
		path: regexp.MustCompile(`^/v[0-9]+\.[0-9]+/` + regexp.QuoteMeta(dataset) + `/events$`),
	}
}

// ServeHTTP answers a call of the API.
func (s *Server) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	s.Take(w, req, s.serve, nil)
}

func (s *Server) serve(w http.ResponseWriter, req *http.Request) {
	count, refused := s.take(req)
	if refused != nil {
		s.Refuse(refused.reason)
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
	var r request
	if standin.Strict(standin.Body(req), &r) != nil {
		return 0, invalid("body: must be JSON of known fields")
	}
	if refused := s.admit(r.AccessToken, req.URL.Query()["access_token"]); refused != nil {
		return 0, refused
	}
	if len(r.Data) == 0 || len(r.Data) > maxEvents {
		return 0, invalid("data: must have 1 to %d events", maxEvents)
	}
	events, problem := standin.Each(r.Data, s.check)
	if problem != "" {
		return 0, invalid("%s", problem)
	}
	s.keep(events, r)
	return len(events), nil
}

// admit looks for the token in the body, or in the address, not in both.
func (s *Server) admit(inBody string, inQuery []string) *refusal {
	given := append([]string{inBody}, inQuery...)
	given = slices.DeleteFunc(given, func(token string) bool { return token == "" })
	if len(given) != 1 || !standin.IsSecret(given[0], s.token) {
		return &refusal{status: http.StatusBadRequest, code: 190, subcode: 463, reason: "access_token: is wrong"}
	}
	return nil
}

func (s *Server) keep(events []event, r request) {
	for i, e := range events {
		if r.TestEventCode != "" {
			s.counts.Tests++
		}
		if s.counted.Keep(e.Name, e.ID, r.Data[i]) {
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
func (s *Server) Event(name, id string) (json.RawMessage, bool) {
	s.Lock()
	defer s.Unlock()
	return s.counted.Get(name, id)
}
