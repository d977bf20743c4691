// Package generictest is a provider as one finds them that have no adapter: it takes events as JSON, as a form or as
// parameters of an address, and counts each id once. It is strict about their form, gives access tokens, and can be
// told to fail. Tests and the demo use it.
package generictest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"kvit/destination/destinationtest/standin"
)

// Failure is how a request goes wrong. The zero value is none.
type Failure = standin.Failure

// TokenPath is where access tokens are given.
const TokenPath = "/token"

// Provider is an http.Handler.
type Provider struct {
	standin.Desk
	Life   int // seconds that an access token lives; 0: it does not say
	secret string
	tokens int // given so far; only the last is good
	ids    map[string]map[string]string
	again  int
}

// Counts are what a Provider has seen.
type Counts struct {
	Requests int // all of them
	Refused  int // without the secret, or not in a form that it takes
	Events   int // each id once
	Repeats  int // of an id that was counted before
	Tokens   int // that were given
}

// New returns a provider that wants the secret: as a bearer token, as the password of Basic, in the header X-Api-Key or
// in the parameter api_key; or an access token that it gives for it. fail, if not nil, is asked before each request,
// with 1 for the first.
func New(secret string, fail func(n int) Failure) *Provider {
	return &Provider{Desk: standin.Desk{Fail: fail}, secret: secret, ids: map[string]map[string]string{}}
}

// Counts tells what was seen so far.
func (p *Provider) Counts() Counts {
	p.Lock()
	defer p.Unlock()
	return Counts{Requests: p.Requests, Refused: p.Refused, Events: len(p.ids), Repeats: p.again, Tokens: p.tokens}
}

// Event returns what came under an id the first time, by name; false if nothing did.
func (p *Provider) Event(id string) (map[string]string, bool) { return standin.Get(&p.Desk, p.ids, id) }

// Revoke makes the access token that was given last worth nothing.
func (p *Provider) Revoke() {
	p.Lock()
	defer p.Unlock()
	p.tokens++
}

// ServeHTTP answers 200 to an event, counted or repeated, 401 to who does not know the secret, and 400 to what is not
// in its form.
func (p *Provider) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	p.Take(w, req, p.serve, func(status int, echo []byte) {
		standin.Answer(w, status, map[string]string{"status": "error", "error": string(echo)})
	})
}

func (p *Provider) serve(w http.ResponseWriter, req *http.Request) {
	if req.URL.Path == TokenPath {
		p.giveToken(w, req)
		return
	}
	if !p.knows(req) {
		p.Refuse("credentials")
		standin.Answer(w, http.StatusUnauthorized, map[string]string{"status": "error"})
		return
	}
	fields, err := read(req)
	if err == nil && fields["id"] == "" {
		err = errors.New("id")
	}
	if err != nil {
		p.Refuse(err.Error())
		standin.Answer(w, http.StatusBadRequest, map[string]string{"status": "error"})
		return
	}
	if _, known := p.ids[fields["id"]]; known {
		p.again++
		standin.Answer(w, http.StatusOK, map[string]string{"status": "duplicate"})
		return
	}
	p.ids[fields["id"]] = fields
	standin.Answer(w, http.StatusOK, map[string]string{"status": "ok"})
}

func (p *Provider) giveToken(w http.ResponseWriter, req *http.Request) {
	form, err := url.ParseQuery(string(standin.Body(req)))
	client, secret, basic := req.BasicAuth()
	if !basic {
		client, secret = form.Get("client_id"), form.Get("client_secret")
	}
	if req.Method != http.MethodPost || err != nil || form.Get("grant_type") != "client_credentials" || client == "" || !standin.IsSecret(secret, p.secret) {
		p.Refuse("token")
		standin.Answer(w, http.StatusUnauthorized, map[string]string{"error": "invalid_client"})
		return
	}
	p.tokens++
	answer := map[string]any{"access_token": p.token(), "token_type": "Bearer"}
	if p.Life > 0 {
		answer["expires_in"] = p.Life
	}
	standin.Answer(w, http.StatusOK, answer)
}

func (p *Provider) token() string { return fmt.Sprintf("%s-%d", p.secret, p.tokens) }

func (p *Provider) knows(req *http.Request) bool {
	bearer := strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer ")
	_, password, _ := req.BasicAuth()
	for _, given := range []string{bearer, password, req.Header.Get("X-Api-Key"), req.URL.Query().Get("api_key")} {
		if standin.IsSecret(given, p.secret) {
			return true
		}
	}
	return p.tokens > 0 && standin.IsSecret(bearer, p.token())
}

// read gives the fields of the query and of the body. A field may not come twice.
func read(req *http.Request) (map[string]string, error) {
	fields := map[string]string{}
	if err := addForm(fields, req.URL.RawQuery); err != nil {
		return nil, errors.New("query")
	}
	delete(fields, "api_key")
	sent := standin.Body(req)
	switch req.Header.Get("Content-Type") {
	case "application/json":
		return fields, addJSON(fields, sent)
	case "application/x-www-form-urlencoded":
		if err := addForm(fields, string(sent)); err != nil {
			return nil, errors.New("form")
		}
		return fields, nil
	}
	if len(sent) > 0 {
		return nil, errors.New("content type")
	}
	return fields, nil
}

func addForm(to map[string]string, encoded string) error {
	values, err := url.ParseQuery(encoded)
	if err != nil {
		return err
	}
	for name, given := range values {
		if _, twice := to[name]; twice || len(given) != 1 || !utf8.ValidString(given[0]) {
			return errors.New(name)
		}
		to[name] = given[0]
	}
	return nil
}

// addJSON reads an object whose members are told by their paths, as in lines.0.sku.
func addJSON(to map[string]string, body []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	if err := addValue(to, "", decoder); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) || !utf8.Valid(body) {
		return errors.New("json")
	}
	return nil
}

func addValue(to map[string]string, path string, from *json.Decoder) error {
	token, err := from.Token()
	if err != nil {
		return errors.New("json")
	}
	delimiter, nested := token.(json.Delim)
	if !nested {
		if _, twice := to[path]; twice || path == "" {
			return errors.New("json: a member comes twice, or it is no object")
		}
		to[path] = fmt.Sprint(token)
		return nil
	}
	for i := 0; from.More(); i++ {
		inner := fmt.Sprint(i)
		if delimiter == '{' {
			name, err := from.Token()
			if err != nil {
				return errors.New("json")
			}
			inner = name.(string)
		}
		if err := addValue(to, strings.TrimPrefix(path+"."+inner, "."), from); err != nil {
			return err
		}
	}
	_, err = from.Token()
	return err
}
