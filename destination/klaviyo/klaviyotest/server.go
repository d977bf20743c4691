// Package klaviyotest is a strict stand-in for Klaviyo: it checks key, headers, shape and forms as
// Klaviyo's OpenAPI describes them, drops repeated events as Klaviyo does, and keeps what it was told.
// It can be told to fail. Tests and the demo use it.
package klaviyotest

import (
	"encoding/json"
	"maps"
	"net/http"
	"regexp"
	"strings"

	"kvit/destination/destinationtest/standin"
)

// Failure is how a request goes wrong. The zero value is none.
type Failure = standin.Failure

// Server is an http.Handler.
type Server struct {
	standin.Desk

	apiKey   string
	mux      *http.ServeMux
	counts   Counts
	events   map[string]Event // by unique id, metric and profile
	consents map[string]Consent
	deleted  map[string]int
}

// Counts are what a Server has seen.
type Counts struct {
	Requests     int // all of them
	Refused      int // wrong key, headers or fields; see Refusals
	Events       int // recorded
	Repeats      int // events that were recorded before, and were not again
	Subscribed   int // jobs that subscribed somebody
	Lifted       int // of those, the ones that lifted an earlier unsubscription
	Unsubscribed int // jobs that unsubscribed somebody
	Deletions    int // jobs that delete the profiles of somebody
}

// Event is a recorded event.
type Event struct {
	UniqueID, Metric, Time, Currency string
	Value                            json.Number
	Profile                          map[string]any
	Properties                       map[string]any
	Said                             int // how often
}

// Consent is what is known of an address or number.
type Consent struct {
	Word string // SUBSCRIBED or UNSUBSCRIBED
	List string // joined by the latest subscription
	Said []string
}

// New returns a server for one private key. fail, if not nil, is asked before each request, with 1 for
// the first.
func New(apiKey string, fail func(n int) Failure) *Server {
	s := &Server{
		Desk: standin.Desk{Fail: fail}, apiKey: apiKey, mux: http.NewServeMux(),
		events: map[string]Event{}, consents: map[string]Consent{}, deleted: map[string]int{},
	}
	s.mux.HandleFunc("POST /api/events", take(s, s.event))
	s.mux.HandleFunc("POST /api/profile-subscription-bulk-create-jobs", take(s, s.subscribe))
	s.mux.HandleFunc("POST /api/profile-subscription-bulk-delete-jobs", take(s, s.unsubscribe))
	s.mux.HandleFunc("POST /api/data-privacy-deletion-jobs", take(s, s.delete))
	s.mux.HandleFunc("GET /api/accounts", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]any{"data": []any{map[string]string{"type": "account", "id": "AbC123"}}})
	})
	return s
}

// ServeHTTP answers a call of Klaviyo's API.
func (s *Server) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	s.Take(w, req, s.serve, func(status int, _ []byte) { refuse(w, refusal{status, "as_told", ""}) })
}

var revisions = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}(\.[a-z0-9-]+)?$`)

func (s *Server) serve(w http.ResponseWriter, req *http.Request) {
	key, ok := strings.CutPrefix(req.Header.Get("Authorization"), "Klaviyo-API-Key ")
	switch {
	case !ok || !standin.IsSecret(key, s.apiKey):
		s.refuse(w, refusal{http.StatusUnauthorized, "authentication_failed", ""})
	case !revisions.MatchString(req.Header.Get("Revision")):
		s.refuse(w, refusal{http.StatusBadRequest, "invalid", "revision"})
	default:
		s.mux.ServeHTTP(w, req)
	}
}

// refusal is why a call is not taken; the zero value is none.
type refusal struct {
	status  int
	code    string
	pointer string
}

func invalid(pointer string) refusal { return refusal{http.StatusBadRequest, "invalid", pointer} }

// take reads a JSON:API call without unknown members, and answers what with says of it.
func take[T any](s *Server, with func(T) refusal) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		if req.Header.Get("Content-Type") != "application/vnd.api+json" {
			s.refuse(w, refusal{http.StatusUnsupportedMediaType, "invalid", "content-type"})
			return
		}
		var call T
		body := standin.Body(req)
		if len(body) > 5_000_000 || standin.Strict(body, &call) != nil {
			s.refuse(w, invalid("/data"))
			return
		}
		if refused := with(call); refused.status != 0 {
			s.refuse(w, refused)
			return
		}
		w.WriteHeader(http.StatusAccepted)
	}
}

func (s *Server) refuse(w http.ResponseWriter, why refusal) {
	s.Refuse(why.code + " " + why.pointer)
	refuse(w, why)
}

func refuse(w http.ResponseWriter, why refusal) {
	answer(w, why.status, map[string]any{"errors": []any{map[string]any{
		"id": "6f3f9a52", "status": why.status, "code": why.code, "title": "Invalid input.", "detail": "as it says",
		"source": map[string]string{"pointer": why.pointer},
	}}})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/vnd.api+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // whoever left does not hear it
}

// Counts returns what was seen so far.
func (s *Server) Counts() Counts {
	s.Lock()
	defer s.Unlock()
	counts := s.counts
	counts.Requests, counts.Refused, counts.Events = s.Requests, s.Refused, len(s.events)
	return counts
}

// Event returns a recorded event by its unique id.
func (s *Server) Event(uniqueID string) (Event, bool) {
	s.Lock()
	defer s.Unlock()
	for key := range maps.Keys(s.events) {
		if s.events[key].UniqueID == uniqueID {
			return s.events[key], true
		}
	}
	return Event{}, false
}

// Consent returns what is known of an e-mail address or a phone number.
func (s *Server) Consent(address string) (Consent, bool) {
	return standin.Get(&s.Desk, s.consents, address)
}

// Deleted returns how often the deletion of the profiles with an e-mail address or a phone number was asked for.
func (s *Server) Deleted(address string) int {
	s.Lock()
	defer s.Unlock()
	return s.deleted[address]
}
