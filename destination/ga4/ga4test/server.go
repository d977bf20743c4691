// Package ga4test is a strict stand-in for the Measurement Protocol of Google Analytics 4. It counts
// what the protocol's documentation allows, and tells of the rest, which Google would drop without a
// word. Repeated purchases of one visitor count once, repeats of anything else count again. It can be
// told to fail. Tests and the demo use it.
package ga4test

import (
	"maps"
	"net/http"
	"time"

	"kvit/destination/destinationtest/standin"
)

// Failure is how a request goes wrong. The zero value is none.
type Failure = standin.Failure

// Options are the settings of a Server.
type Options struct {
	MeasurementID, APISecret string
	Fail                     func(n int) Failure // asked before each request, with 1 for the first; may be nil
	Now                      func() time.Time    // for the age of events; nil: any age is taken
}

// Server is an http.Handler.
type Server struct {
	standin.Desk

	options   Options
	counts    Counts
	events    map[string]int // how many of a name were counted
	purchases map[string]int // how often a transaction was counted
	seen      map[string]int // purchases by visitor and transaction
}

// Counts are what a Server has seen.
type Counts struct {
	Requests  int // all of them
	Refused   int // requests and events that Google would drop; see Refusals
	Events    int // counted, a purchase once
	Repeats   int // purchases of a visitor that were counted before
	Validated int // events that were valid at the debug address, and not counted
}

// New returns a server for one data stream.
func New(options Options) *Server {
	return &Server{Desk: standin.Desk{Fail: options.Fail}, options: options, events: map[string]int{}, purchases: map[string]int{}, seen: map[string]int{}}
}

// ServeHTTP answers 204 to whatever comes to /mp/collect, and what is wrong with it at /debug/mp/collect.
func (s *Server) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	s.Take(w, req, s.serve, nil)
}

func (s *Server) serve(w http.ResponseWriter, req *http.Request) {
	status, messages := s.handle(req, standin.Body(req))
	if messages == nil {
		w.WriteHeader(status)
		return
	}
	standin.Answer(w, status, map[string]any{"validationMessages": messages})
}

// Message is one finding of the validation.
type Message struct {
	FieldPath   string `json:"fieldPath"`
	Description string `json:"description"`
	Code        string `json:"validationCode"`
}

// handle returns messages, which may be empty, for the debug address alone.
func (s *Server) handle(req *http.Request, body []byte) (status int, messages []Message) {
	debug := req.URL.Path == "/debug/mp/collect"
	if !debug && req.URL.Path != "/mp/collect" {
		s.Refuse("there is nothing at this path")
		return http.StatusNotFound, nil
	}
	if req.Method != http.MethodPost {
		s.Refuse("the method is not POST")
		return http.StatusMethodNotAllowed, nil
	}
	c := s.check(req, body)
	if debug {
		if len(c.messages) == 0 {
			s.counts.Validated += len(c.events)
		}
		return http.StatusOK, append([]Message{}, c.messages...)
	}
	for _, m := range append(c.loud, c.messages...) {
		s.Refuse(m.FieldPath + ": " + m.Description)
	}
	if len(c.loud)+len(c.messages) == 0 {
		for _, e := range c.events {
			s.count(c, e)
		}
	}
	return http.StatusNoContent, nil
}

// count takes the same purchase of another visitor for another one: the harsher of the two readings
// that there are of Google's deduplication.
func (s *Server) count(c *checked, e event) {
	if e.Name == "purchase" {
		transaction := e.text("transaction_id")
		key := c.ClientID + "|" + c.UserID + "|" + transaction
		s.seen[key]++
		if s.seen[key] > 1 {
			s.counts.Repeats++
			return
		}
		s.purchases[transaction]++
	}
	s.events[e.Name]++
	s.counts.Events++
}

// Counts returns what was seen so far.
func (s *Server) Counts() Counts {
	s.Lock()
	defer s.Unlock()
	counts := s.counts
	counts.Requests, counts.Refused = s.Requests, s.Refused
	return counts
}

// Events returns how many events of each name were counted.
func (s *Server) Events() map[string]int {
	s.Lock()
	defer s.Unlock()
	return maps.Clone(s.events)
}

// Purchases returns how often each transaction id was counted.
func (s *Server) Purchases() map[string]int {
	s.Lock()
	defer s.Unlock()
	return maps.Clone(s.purchases)
}
