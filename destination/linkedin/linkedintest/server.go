// Package linkedintest is a strict stand-in for LinkedIn's Conversions API: it checks token, headers, schema, hashes
// and times, refuses a whole request for one bad event, and counts every event that it takes, repeats too. Tests and
// the demo use it.
package linkedintest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"kvit/destination/destinationtest/standin"
)

// Options are what a Server knows.
type Options struct {
	AccountID string
	Token     string
	Rules     map[string]Rule  // by their ids
	Version   string           // the only one that is served; empty: any
	Now       func() time.Time // its clock, by which events that are too old or of the future are refused; nil: none are
}

// Rule is a conversion rule of the account.
type Rule struct {
	Method   string // CONVERSIONS_API for one that takes events
	Disabled bool
}

// Server is an http.Handler.
type Server struct {
	standin.Desk

	options Options
	mux     *http.ServeMux
	counts  Counts
	events  map[[2]string]json.RawMessage
}

// Counts are what a Server has seen.
type Counts struct {
	Requests int // all of them
	Refused  int // whole requests; see Refusals
	Events   int // different rules and ids that count
	Twice    int // events that were counted once more
	LookUps  int // of conversion rules
}

const (
	maxAge    = 90 * 24 * time.Hour
	maxEvents = 5000
	urn       = "urn:lla:llaPartnerConversion:"
)

// New returns a server for one ad account.
func New(options Options) *Server {
	s := &Server{options: options, mux: http.NewServeMux(), events: map[[2]string]json.RawMessage{}}
	s.mux.HandleFunc("POST /rest/conversionEvents", s.take)
	s.mux.HandleFunc("GET /rest/conversions/{id}", s.look)
	return s
}

// ServeHTTP answers a call of the API.
func (s *Server) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	s.Take(w, req, s.serve, nil)
}

func (s *Server) serve(w http.ResponseWriter, req *http.Request) {
	version := req.Header.Get("LinkedIn-Version")
	switch {
	case !standin.IsSecret(req.Header.Get("Authorization"), "Bearer "+s.options.Token):
		s.refuse(w, http.StatusUnauthorized, "INVALID_ACCESS_TOKEN")
	case len(version) != 6:
		s.refuse(w, http.StatusBadRequest, "LinkedIn-Version: is missing")
	case s.options.Version != "" && version != s.options.Version:
		s.refuse(w, http.StatusUpgradeRequired, "LinkedIn-Version: is not active")
	case req.Header.Get("X-Restli-Protocol-Version") != "2.0.0":
		s.refuse(w, http.StatusBadRequest, "X-Restli-Protocol-Version: is not 2.0.0")
	default:
		s.mux.ServeHTTP(w, req)
	}
}

func (s *Server) look(w http.ResponseWriter, req *http.Request) {
	s.counts.LookUps++
	rule, known := s.options.Rules[req.PathValue("id")]
	if !known || req.URL.Query().Get("account") != "urn:li:sponsoredAccount:"+s.options.AccountID {
		s.refuse(w, http.StatusNotFound, "conversion: is not known")
		return
	}
	standin.Answer(w, http.StatusOK, map[string]any{
		"id": req.PathValue("id"), "name": "example", "type": "PURCHASE", "conversionMethod": rule.Method, "enabled": !rule.Disabled,
	})
}

func (s *Server) take(w http.ResponseWriter, req *http.Request) {
	var request struct {
		Elements []json.RawMessage `json:"elements"`
	}
	switch {
	case req.Header.Get("Content-Type") != "application/json":
		s.refuse(w, http.StatusUnsupportedMediaType, "Content-Type: must be application/json")
		return
	case req.Header.Get("X-RestLi-Method") != "BATCH_CREATE":
		s.refuse(w, http.StatusBadRequest, "X-RestLi-Method: must be BATCH_CREATE")
		return
	case standin.Strict(standin.Body(req), &request) != nil:
		s.refuse(w, http.StatusBadRequest, "body: must be JSON of known fields")
		return
	case len(request.Elements) == 0 || len(request.Elements) > maxEvents:
		s.refuse(w, http.StatusBadRequest, fmt.Sprintf("elements: must have 1 to %d events", maxEvents))
		return
	}
	events, problem := standin.Each(request.Elements, s.check)
	if problem != "" {
		s.refuse(w, http.StatusUnprocessableEntity, problem)
		return
	}
	statuses := make([]map[string]int, len(events))
	for i, e := range events {
		s.keep(e, request.Elements[i])
		statuses[i] = map[string]int{"status": http.StatusCreated}
	}
	standin.Answer(w, http.StatusOK, map[string]any{"elements": statuses})
}

func (s *Server) keep(e event, raw json.RawMessage) {
	key := [2]string{strings.TrimPrefix(e.Rule, urn), e.ID}
	if _, known := s.events[key]; known {
		s.counts.Twice++
	}
	s.events[key] = raw
}

func (s *Server) refuse(w http.ResponseWriter, status int, problem string) {
	s.Refuse(problem)
	standin.Answer(w, status, map[string]any{"status": status, "code": "EXAMPLE", "message": problem})
}

// Counts returns what was seen so far.
func (s *Server) Counts() Counts {
	s.Lock()
	defer s.Unlock()
	counts := s.counts
	counts.Requests, counts.Refused, counts.Events = s.Requests, s.Refused, len(s.events)
	return counts
}
