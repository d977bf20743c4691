// Package googleadstest is a strict stand-in for events:ingest of Google's Data Manager API, and for the endpoint that
// gives access tokens: it checks credentials, account, schema and hashes, and keeps a conversion for each transaction
// id. Tests and the demo use it.
package googleadstest

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"kvit/destination/destinationtest/standin"
)

// Options are what a Server knows.
type Options struct {
	CustomerID   string
	Action       string           // the conversion actions of the account
	MoreActions  []string         // likewise
	RefreshToken string           // also the client secret; its client is ClientID
	Now          func() time.Time // older events than 14 days are refused; nil: times are not looked at
	// FailToken, if not nil, is asked before each request for a token, with 1 for the first.
	FailToken func(n int) standin.Failure
}

// ClientID is the OAuth client that a Server knows.
const ClientID = "kvit.apps.googleusercontent.com"

// Server is an http.Handler.
type Server struct {
	standin.Desk
	Options

	mux         *http.ServeMux
	counts      Counts
	tokens      map[string]bool
	conversions map[[2]string]Event // by action and transaction id
}

// Counts are what a Server has seen.
type Counts struct {
	Requests    int // all but those for tokens
	Refused     int // requests not taken
	Tokens      int // requests for tokens
	Conversions int // different transaction ids
	Adjusted    int // events that have changed one
	Repeats     int // events that have changed nothing
	Tests       int // events that were only validated
}

// New returns a server for one account.
func New(options Options) *Server {
	s := &Server{Options: options, mux: http.NewServeMux(), tokens: map[string]bool{}, conversions: map[[2]string]Event{}}
	s.mux.HandleFunc("POST /v1/events:ingest", s.ingest)
	return s
}

// ServeHTTP gives tokens at /token, and takes events at /v1/events:ingest.
func (s *Server) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.URL.Path == "/token" {
		s.failToken().Handle(w, req, s.OneByOne(s.token), func([]byte) { w.WriteHeader(http.StatusServiceUnavailable) })
		return
	}
	s.Take(w, req, s.serve, nil)
}

func (s *Server) failToken() standin.Failure {
	s.Lock()
	defer s.Unlock()
	s.counts.Tokens++
	if s.FailToken == nil {
		return standin.Failure{}
	}
	return s.FailToken(s.counts.Tokens)
}

func (s *Server) token(w http.ResponseWriter, req *http.Request) {
	form, err := url.ParseQuery(string(standin.Body(req)))
	if err != nil || req.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
		s.refuseToken(w, "the request for a token is not one")
		return
	}
	if problem := s.grantProblem(form, "http://"+req.Host+req.URL.Path); problem != "" {
		s.refuseToken(w, problem)
		return
	}
	token := fmt.Sprintf("ya29.example-%d", len(s.tokens)+1)
	s.tokens[token] = true
	standin.Answer(w, http.StatusOK, map[string]any{"access_token": token, "token_type": "Bearer", "expires_in": 3599})
}

func (s *Server) grantProblem(form url.Values, audience string) string {
	switch form.Get("grant_type") {
	case "refresh_token":
		if form.Get("client_id") != ClientID || !standin.IsSecret(form.Get("client_secret"), s.RefreshToken) ||
			!standin.IsSecret(form.Get("refresh_token"), s.RefreshToken) || len(form) != 4 {
			return "the refresh token is unknown, or another client's"
		}
		return ""
	case "urn:ietf:params:oauth:grant-type:jwt-bearer":
		return standin.AssertionProblem(form.Get("assertion"), audience, "https://www.googleapis.com/auth/datamanager", time.Now())
	}
	return "the grant is unknown"
}

func (s *Server) refuseToken(w http.ResponseWriter, problem string) {
	s.Refuse(problem)
	standin.Answer(w, http.StatusBadRequest, map[string]string{"error": "invalid_grant", "error_description": problem})
}

// Forget makes all tokens invalid.
func (s *Server) Forget() {
	s.Lock()
	defer s.Unlock()
	clear(s.tokens)
}

func (s *Server) serve(w http.ResponseWriter, req *http.Request) {
	token, isBearer := strings.CutPrefix(req.Header.Get("Authorization"), "Bearer ")
	if !isBearer || !s.tokens[token] {
		s.refuse(w, http.StatusUnauthorized, "UNAUTHENTICATED", fault{why: "the access token is unknown"})
		return
	}
	s.mux.ServeHTTP(w, req)
}

func (s *Server) ingest(w http.ResponseWriter, req *http.Request) {
	var body request
	if standin.Strict(standin.Body(req), &body) != nil || req.Header.Get("Content-Type") != "application/json" {
		s.refuse(w, http.StatusBadRequest, "INVALID_ARGUMENT", fault{"", "INVALID_ARGUMENT", "the body is not JSON of the schema"})
		return
	}
	if found := s.accountFault(body.Destinations); found != nil {
		status := http.StatusBadRequest
		if found.reason == "PERMISSION_DENIED" {
			status = http.StatusForbidden
		}
		s.refuse(w, status, "INVALID_ARGUMENT", *found)
		return
	}
	events, found := body.read()
	if found == nil {
		found = s.tooOld(events)
	}
	if found != nil {
		s.refuse(w, http.StatusBadRequest, "INVALID_ARGUMENT", *found)
		return
	}
	s.record(body.Destinations[0].Action, events, body.ValidateOnly)
	standin.Answer(w, http.StatusOK, map[string]string{"requestId": fmt.Sprintf("example-%d", s.Requests)})
}

func (s *Server) accountFault(list []account) *fault {
	if len(list) != 1 || list[0].Operating.Type != "GOOGLE_ADS" || list[0].Login != nil && list[0].Login.Type != "GOOGLE_ADS" {
		return &fault{"destinations", "INVALID_DESTINATION", "the request has not one account of Google Ads"}
	}
	if list[0].Operating.ID != s.CustomerID {
		return &fault{"", "PERMISSION_DENIED", "the account is another's"}
	}
	if list[0].Action != s.Action && !slices.Contains(s.MoreActions, list[0].Action) {
		return &fault{"destinations.destinations[0].product_destination_id", "INVALID_CONVERSION_ACTION_ID", "the conversion action is unknown"}
	}
	return nil
}

func (s *Server) tooOld(events []Event) *fault {
	if s.Now == nil {
		return nil
	}
	for i, event := range events {
		at, _ := time.Parse(time.RFC3339, event.Timestamp) // it was one before
		if s.Now().Sub(at) > 14*24*time.Hour {
			return &fault{fmt.Sprintf("events.events[%d].event_timestamp", i), "EVENT_TIME_INVALID", "an event is too old"}
		}
	}
	return nil
}

func (s *Server) record(action string, events []Event, test bool) {
	for _, event := range events {
		id := [2]string{action, event.TransactionID}
		old, known := s.conversions[id]
		switch {
		case test:
			s.counts.Tests++
			continue
		case known && amount(old) == amount(event):
			s.counts.Repeats++
			continue
		case known:
			s.counts.Adjusted++
			old.Currency, old.Value = event.Currency, event.Value // all else stays as it first came
			event = old
		}
		s.conversions[id] = event
	}
}

func amount(e Event) string {
	if e.Value == nil {
		return ""
	}
	return e.Currency + " " + string(e.Value)
}

func (s *Server) refuse(w http.ResponseWriter, status int, code string, found fault) {
	s.Refuse(found.why)
	details := []any{map[string]string{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": code, "domain": "datamanager.googleapis.com"}}
	if found.field != "" {
		details = append(details, map[string]any{
			"@type":           "type.googleapis.com/google.rpc.BadRequest",
			"fieldViolations": []any{map[string]string{"field": found.field, "description": found.why, "reason": found.reason}},
		})
	}
	standin.Answer(w, status, map[string]any{"error": map[string]any{"code": status, "message": "There was a problem with the request.", "status": code, "details": details}})
}

// Counts returns what was seen so far.
func (s *Server) Counts() Counts {
	s.Lock()
	defer s.Unlock()
	counts := s.counts
	counts.Requests, counts.Refused, counts.Conversions = s.Requests, s.Refused, len(s.conversions)
	return counts
}

// Conversion returns what counts for a transaction id.
func (s *Server) Conversion(action, id string) (Event, bool) {
	s.Lock()
	defer s.Unlock()
	event, ok := s.conversions[[2]string{action, id}]
	return event, ok
}
