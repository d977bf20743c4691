package ga4test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"kvit/destination/destinationtest/standin"
)

// Deleted is an identifier of whom the deletion was asked for.
type Deleted struct {
	Member string // clientId, userId or userProvidedData
	Value  string
}

// Deletions is an http.Handler: a strict stand-in for the user deletion of Google's Admin API, and for the
// endpoint that gives access tokens to service accounts.
type Deletions struct {
	standin.Desk

	propertyID string
	fail       func(path string) Failure
	mux        *http.ServeMux
	tokens     []string
	deleted    []Deleted
}

const (
	tokenPath = "/token"
	bearer    = "Bearer "
	scope     = "https://www.googleapis.com/auth/analytics.edit"
)

// NewDeletions returns a server for one property. fail, if not nil, is asked before each request; After is not
// for this one.
func NewDeletions(propertyID string, fail func(path string) Failure) *Deletions {
	d := &Deletions{propertyID: propertyID, fail: fail, mux: http.NewServeMux()}
	d.mux.HandleFunc("POST "+tokenPath, d.token)
	d.mux.HandleFunc("POST /v1alpha/properties/{call}", d.submit)
	return d
}

// Credentials is the key of the only service account that a server knows, in the form of Google's file, with a
// Deletions at baseURL as the place that gives tokens.
func Credentials(baseURL string) string { return standin.ServiceAccountKey(baseURL + tokenPath) }

// ServeHTTP gives tokens at /token, and takes deletions at /v1alpha/properties/<id>:submitUserDeletion.
func (d *Deletions) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	var failure Failure
	if d.fail != nil {
		failure = d.fail(req.URL.Path)
	}
	failure.Handle(w, req, d.OneByOne(d.mux.ServeHTTP), func([]byte) { w.WriteHeader(failure.Status) })
}

func (d *Deletions) token(w http.ResponseWriter, req *http.Request) {
	form, err := url.ParseQuery(string(standin.Body(req)))
	switch {
	case err != nil || req.Header.Get("Content-Type") != "application/x-www-form-urlencoded" || len(form) != 2,
		form.Get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer":
		d.refuse(w, http.StatusBadRequest, "the request for a token is not one")
		return
	}
	if problem := standin.AssertionProblem(form.Get("assertion"), "http://"+req.Host+tokenPath, scope, time.Now()); problem != "" {
		d.refuse(w, http.StatusBadRequest, problem)
		return
	}
	token := fmt.Sprintf("ya29.example-%d", len(d.tokens)+1)
	d.tokens = append(d.tokens, token)
	standin.Answer(w, http.StatusOK, map[string]any{"access_token": token, "token_type": "Bearer", "expires_in": 3599})
}

func (d *Deletions) submit(w http.ResponseWriter, req *http.Request) {
	known := slices.Contains(d.tokens, strings.TrimPrefix(req.Header.Get("Authorization"), bearer))
	switch {
	case !known || !strings.HasPrefix(req.Header.Get("Authorization"), bearer):
		d.refuse(w, http.StatusUnauthorized, "the access token is unknown")
		return
	case req.PathValue("call") != d.propertyID+":submitUserDeletion":
		d.refuse(w, http.StatusForbidden, "the property is another's")
		return
	}
	who, problem := deletedIn(req)
	if problem != "" {
		d.refuse(w, http.StatusBadRequest, problem)
		return
	}
	d.deleted = append(d.deleted, who)
	standin.Answer(w, http.StatusOK, map[string]string{"deletionRequestTime": time.Now().UTC().Format(time.RFC3339Nano)})
}

// deletedIn reads a request, which has exactly one identifier.
func deletedIn(req *http.Request) (who Deleted, problem string) {
	var members map[string]string
	switch {
	case standin.Strict(standin.Body(req), &members) != nil || len(members) != 1:
		return Deleted{}, "the body must have one identifier"
	case req.Header.Get("Content-Type") != "application/json":
		return Deleted{}, "the type of the body must be application/json"
	}
	for member, value := range members {
		who = Deleted{member, value}
	}
	known := map[string]bool{"clientId": true, "userId": true, "userProvidedData": true}
	if !known[who.Member] || who.Value == "" || utf8.RuneCountInString(who.Value) > 256 ||
		strings.Contains(who.Value, "@") != (who.Member == "userProvidedData" && !strings.HasPrefix(who.Value, "+")) {
		return Deleted{}, "the identifier is unknown, or of another kind"
	}
	return who, ""
}

func (d *Deletions) refuse(w http.ResponseWriter, status int, why string) {
	d.Refuse(why)
	http.Error(w, `{"error":{"message":"as it says"}}`, status)
}

// Deleted returns what was asked for, in order.
func (d *Deletions) Deleted() []Deleted {
	d.Lock()
	defer d.Unlock()
	return slices.Clone(d.deleted)
}
