// Package snowplowtest is a strict stand-in for a Snowplow collector and the pipeline behind it: it
// takes requests as a collector does, validates events as the enrichment does, and keeps one of each
// event id, as the models of a warehouse do. It can be told to fail. Tests and the demo use it.
package snowplowtest

import (
	"encoding/json"
	"io"
	"maps"
	"mime"
	"net/http"

	"kvit/destination/destinationtest/standin"
)

// Failure is how a request goes wrong. The zero value is none.
type Failure = standin.Failure

// Options are the settings of a Server. What is 0 takes the default of a collector.
type Options struct {
	AppID    string              // events of another one fail; empty: any
	MaxBody  int                 // bytes of a request, else 413; default 2,000,000
	MaxEvent int                 // bytes of an event, else it fails; default 1,000,000
	Fail     func(n int) Failure // asked before each request, with 1 for the first; may be nil
}

// Server is an http.Handler.
type Server struct {
	standin.Desk

	options Options
	counts  Counts
	events  map[string]Event
}

// Counts are what a Server has seen.
type Counts struct {
	Requests int // all of them
	Refused  int // not the protocol, or too large
	Failed   int // events that are not valid, answered with 200 all the same
	Events   int // valid, each id once
	Repeats  int // of an id that was there before
	Changed  int // repeats that were not the same
}

// Event is a valid event as it first came: its fields, and the schemas of its entities with their data.
type Event struct {
	Fields   map[string]string
	Action   string // of an e-commerce event
	Entities map[string][]map[string]any
}

// New returns a collector without events.
func New(options Options) *Server {
	if options.MaxBody == 0 {
		options.MaxBody = 2_000_000
	}
	if options.MaxEvent == 0 {
		options.MaxEvent = 1_000_000
	}
	return &Server{Desk: standin.Desk{Fail: options.Fail}, options: options, events: map[string]Event{}}
}

// ServeHTTP answers as a collector: 200 whatever the events are worth.
func (s *Server) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	s.Take(w, req, s.serve, nil)
}

func (s *Server) serve(w http.ResponseWriter, req *http.Request) {
	w.WriteHeader(s.take(req, standin.Body(req)))
	_, _ = io.WriteString(w, "ok") // whoever left does not hear it
}

// take returns the status that a request deserves.
func (s *Server) take(req *http.Request, body []byte) int {
	mediaType, _, _ := mime.ParseMediaType(req.Header.Get("Content-Type"))
	switch {
	case req.URL.Path != "/com.snowplowanalytics.snowplow/tp2" || req.URL.RawQuery != "":
		return s.refuse(http.StatusNotFound, "there is nothing at this path")
	case req.Method != http.MethodPost:
		return s.refuse(http.StatusMethodNotAllowed, "the method is not POST")
	case len(body) > s.options.MaxBody:
		return s.refuse(http.StatusRequestEntityTooLarge, "the request is too large")
	case mediaType != "application/json":
		return s.refuse(http.StatusUnsupportedMediaType, "the content type is not application/json")
	}
	var payload struct {
		Schema string
		Data   []json.RawMessage
	}
	err := json.Unmarshal(body, &payload)
	if err != nil || payload.Schema != "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4" || len(payload.Data) == 0 {
		s.fail("the request is no payload_data")
		return http.StatusOK
	}
	for _, raw := range payload.Data {
		s.enrich(raw)
	}
	return http.StatusOK
}

func (s *Server) refuse(status int, why string) int {
	s.Refuse(why)
	return status
}

func (s *Server) fail(why string) {
	s.counts.Failed++
	s.Note(why)
}

// enrich validates one event and keeps it, unless its id is known.
func (s *Server) enrich(raw []byte) {
	if len(raw) > s.options.MaxEvent {
		s.fail("an event is too large")
		return
	}
	event, wrong := s.read(raw)
	if wrong != "" {
		s.fail(wrong)
		return
	}
	first, known := s.events[event.Fields["eid"]]
	if !known {
		s.events[event.Fields["eid"]] = event
		return
	}
	s.counts.Repeats++
	if !maps.Equal(first.Fields, event.Fields) {
		s.counts.Changed++
	}
}

// Counts returns what was seen so far.
func (s *Server) Counts() Counts {
	s.Lock()
	defer s.Unlock()
	counts := s.counts
	counts.Requests, counts.Refused, counts.Events = s.Requests, s.Refused, len(s.events)
	return counts
}

// Event returns an event by its id (eid).
func (s *Server) Event(id string) (Event, bool) { return standin.Get(&s.Desk, s.events, id) }
