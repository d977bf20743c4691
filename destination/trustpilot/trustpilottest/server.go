// Package trustpilottest is a strict stand-in for Trustpilot's Invitations API, and for the endpoint that gives access
// tokens: it checks credentials and schema, and keeps the invitations. Tests and the demo use it.
package trustpilottest

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"kvit/destination/destinationtest/standin"
)

// What a Server knows.
const (
	BusinessUnitID = "46d6a890ffa235a75b00021d"
	BusinessUserID = "507f1f77bcf86cd799439011"
	TemplateID     = "507f191e810c19729de860ea"
)

// Server is an http.Handler.
type Server struct {
	standin.Desk

	key, secret string
	mux         *http.ServeMux
	counts      Counts
	tokens      map[string]bool
	invitations []Invitation
}

// Counts are what a Server has seen.
type Counts struct {
	Requests    int // all but those for tokens
	Refused     int // requests not taken
	Tokens      int // requests for tokens
	Invitations int // mails that go out
	Twice       int // of them, those for a reference that had one
	Deletions   int // requests to forget somebody
}

// Invitation is one as https://developers.trustpilot.com/invitation-api has it.
type Invitation struct {
	ReplyTo     string          `json:"replyTo"`
	Locale      string          `json:"locale"`
	SenderName  string          `json:"senderName"`
	SenderEmail string          `json:"senderEmail"`
	LocationID  string          `json:"locationId"`
	Reference   string          `json:"referenceNumber"`
	Name        string          `json:"consumerName"`
	Email       string          `json:"consumerEmail"`
	Type        string          `json:"type"`
	Service     *ServiceReview  `json:"serviceReviewInvitation"`
	Products    *ProductReviews `json:"productReviewInvitation"`
}

// ServiceReview is about the shop.
type ServiceReview struct {
	TemplateID  string   `json:"templateId"`
	SendTime    string   `json:"preferredSendTime"`
	RedirectURI string   `json:"redirectUri"`
	Tags        []string `json:"tags"`
}

// ProductReviews are about what was bought.
type ProductReviews struct {
	TemplateID  string   `json:"templateId"`
	SendTime    string   `json:"preferredSendTime"`
	RedirectURI string   `json:"redirectUri"`
	SKUs        []string `json:"productSkus"`
}

// New returns a server for one business unit, with this API key and secret.
func New(key, secret string) *Server {
	s := &Server{key: key, secret: secret, mux: http.NewServeMux(), tokens: map[string]bool{}}
	const unit = "/v1/private/business-units/" + BusinessUnitID
	s.mux.HandleFunc("POST "+unit+"/email-invitations", s.invite)
	s.mux.HandleFunc("POST "+unit+"/invitation-data/delete", s.delete)
	s.mux.HandleFunc("GET "+unit+"/templates", func(w http.ResponseWriter, _ *http.Request) {
		standin.Answer(w, http.StatusOK, map[string]any{"templates": []any{map[string]string{"id": TemplateID, "name": "Example"}}})
	})
	return s
}

// ServeHTTP gives tokens at /token, and answers the calls of the API.
func (s *Server) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.URL.Path == "/token" {
		s.OneByOne(s.token)(w, req)
		return
	}
	s.Take(w, req, s.serve, nil)
}

func (s *Server) token(w http.ResponseWriter, req *http.Request) {
	s.counts.Tokens++
	key, secret, _ := req.BasicAuth()
	form, err := url.ParseQuery(string(standin.Body(req)))
	if err != nil || req.Method != http.MethodPost || form.Encode() != "grant_type=client_credentials" || key != s.key || !standin.IsSecret(secret, s.secret) {
		s.Refuse("the request for a token is not one, or its credentials are unknown")
		standin.Answer(w, http.StatusUnauthorized, map[string]string{"reason": "Invalid credentials"})
		return
	}
	token := fmt.Sprintf("example-%d", len(s.tokens)+1)
	s.tokens[token] = true
	standin.Answer(w, http.StatusOK, map[string]string{"access_token": token, "expires_in": "359999"}) // a text, as Trustpilot writes it
}

func (s *Server) serve(w http.ResponseWriter, req *http.Request) {
	token, isBearer := strings.CutPrefix(req.Header.Get("Authorization"), "Bearer ")
	switch {
	case !isBearer || !s.tokens[token]:
		s.refuse(w, http.StatusUnauthorized, "the access token is unknown")
	case req.Header.Get("X-Business-User-Id") != BusinessUserID:
		s.refuse(w, http.StatusForbidden, "the user is unknown")
	case req.Method == http.MethodPost && req.Header.Get("Content-Type") != "application/json":
		s.refuse(w, http.StatusUnsupportedMediaType, "the body is not JSON")
	default:
		s.mux.ServeHTTP(w, req)
	}
}

func (s *Server) invite(w http.ResponseWriter, req *http.Request) {
	var one Invitation
	if standin.Strict(standin.Body(req), &one) != nil {
		s.refuse(w, http.StatusBadRequest, "the body is not JSON of the schema")
		return
	}
	if problem := one.problem(); problem != "" {
		s.refuse(w, http.StatusBadRequest, problem)
		return
	}
	if slices.ContainsFunc(s.invitations, func(other Invitation) bool { return other.Reference == one.Reference }) {
		s.counts.Twice++
	}
	s.invitations = append(s.invitations, one)
	w.WriteHeader(http.StatusAccepted)
}

var (
	mailbox   = regexp.MustCompile(`^[^@\s]+@[^@\s]+\.[^@\s]+$`)
	locale    = regexp.MustCompile(`^[a-z]{2}-[A-Z]{2}$`)
	forbidden = regexp.MustCompile(`[#*+"%&]`)
)

func (i Invitation) problem() string {
	switch {
	case !mailbox.MatchString(i.Email):
		return "consumerEmail is no address"
	case i.Name == "":
		return "consumerName is missing"
	case i.Reference == "" || forbidden.MatchString(i.Reference):
		return "referenceNumber is missing, or has a character that links cannot have"
	case !locale.MatchString(i.Locale):
		return "locale is none"
	case i.Type != "email":
		return "type is not email"
	case i.Service == nil || i.Service.TemplateID != TemplateID:
		return "templateId is unknown"
	}
	if _, err := time.Parse("2006-01-02T15:04:05", i.Service.SendTime); err != nil {
		return "preferredSendTime is no time"
	}
	if i.Products != nil && (len(i.Products.SKUs) == 0 || slices.Contains(i.Products.SKUs, "")) {
		return "productSkus are missing"
	}
	return ""
}

func (s *Server) delete(w http.ResponseWriter, req *http.Request) {
	var call struct {
		Emails []string `json:"customerEmails"`
	}
	if standin.Strict(standin.Body(req), &call) != nil || len(call.Emails) == 0 || !mailbox.MatchString(call.Emails[0]) {
		s.refuse(w, http.StatusBadRequest, "customerEmails are missing")
		return
	}
	s.counts.Deletions++
	s.invitations = slices.DeleteFunc(s.invitations, func(one Invitation) bool { return slices.Contains(call.Emails, one.Email) })
	w.WriteHeader(http.StatusOK)
}

func (s *Server) refuse(w http.ResponseWriter, status int, why string) {
	s.Refuse(why)
	standin.Answer(w, status, map[string]any{"message": why, "errorCode": 1014})
}

// Counts returns what was seen so far.
func (s *Server) Counts() Counts {
	s.Lock()
	defer s.Unlock()
	counts := s.counts
	counts.Requests, counts.Refused, counts.Invitations = s.Requests, s.Refused, len(s.invitations)
	return counts
}

// Invitations returns those that were not deleted.
func (s *Server) Invitations() []Invitation {
	s.Lock()
	defer s.Unlock()
	return slices.Clone(s.invitations)
}
