package generic

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/tidwall/gjson"
	"golang.org/x/sync/singleflight"

	"kvit/config"
	"kvit/destination"
)

// oauth2 gets access tokens with client credentials (RFC 6749, 4.4).
type oauth2 struct {
	tokenURL     string
	clientID     string
	clientSecret config.Secret
	scope        string // empty: none is asked for
	audience     string // empty: none is named
	inBody       bool   // the credentials go into the form instead of the header
}

// tokenMargin is how long before its end a token is not used any more: the request has to arrive.
const tokenMargin = 30 * time.Second

// untoldLife is how long a token is used whose answer does not say how long it lives.
const untoldLife = 5 * time.Minute

// tokens keeps an access token as long as it lives. Safe for concurrent use.
type tokens struct {
	*oauth2
	client *destination.Client

	asking singleflight.Group
	mu     sync.Mutex
	token  string
	until  time.Time
}

// got is what came of asking for a token.
type got struct {
	token  string
	failed *destination.Error
}

// get returns the token that is kept, or asks for one: once for all that wait.
func (t *tokens) get(ctx context.Context) (token string, kept bool, failed *destination.Error) {
	if token, ok := t.kept(); ok {
		return token, true, nil
	}
	if ctx.Err() != nil {
		return "", false, cancelled()
	}
	answer := t.asking.DoChan("", func() (any, error) {
		if token, ok := t.kept(); ok {
			return got{token: token}, nil
		}
		token, failed := t.ask(context.WithoutCancel(ctx)) // others wait for it, too
		return got{token, failed}, nil
	})
	select {
	case result := <-answer:
		came := result.Val.(got)
		return came.token, false, came.failed
	case <-ctx.Done():
		return "", false, cancelled()
	}
}

func cancelled() *destination.Error {
	return &destination.Error{Kind: destination.Unreachable, Reason: "cancelled while waiting for an access token"}
}

func (t *tokens) kept() (string, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.token, t.token != "" && time.Now().Before(t.until)
}

// forget drops a token that the provider has not accepted.
func (t *tokens) forget(token string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.token == token {
		t.token = ""
	}
}

func (t *tokens) ask(ctx context.Context) (string, *destination.Error) {
	asked := time.Now()
	req, err := t.request(ctx)
	if err != nil {
		return "", &destination.Error{Kind: destination.Misconfigured, Reason: "token_url cannot be used"}
	}
	answer, failed := t.client.Do(req)
	if failed == nil {
		failed = judgeToken(answer)
	}
	if failed != nil {
		return "", withoutToken(failed)
	}
	token := gjson.GetBytes(answer.Body, "access_token").Str
	life := time.Duration(gjson.GetBytes(answer.Body, "expires_in").Int()) * time.Second
	if life <= 0 || life > 365*24*time.Hour {
		life = untoldLife
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.token, t.until = token, asked.Add(max(life-tokenMargin, life/2))
	return token, nil
}

func (t *tokens) request(ctx context.Context) (*http.Request, error) {
	form := url.Values{"grant_type": {"client_credentials"}}
	if t.scope != "" {
		form.Set("scope", t.scope)
	}
	if t.audience != "" {
		form.Set("audience", t.audience)
	}
	if t.inBody {
		form.Set("client_id", t.clientID)
		form.Set("client_secret", t.clientSecret.Reveal())
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.tokenURL, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	if !t.inBody { // RFC 6749, 2.3.1: both are encoded as in a form first
		req.SetBasicAuth(url.QueryEscape(t.clientID), url.QueryEscape(t.clientSecret.Reveal()))
	}
	return req, nil
}

// judgeToken takes 400 for what RFC 6749, 5.2 has it for: a wrong client, secret or scope.
func judgeToken(answer destination.Answer) *destination.Error {
	judged := destination.Judge(answer.Status, answer.Header)
	switch answer.Status {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden:
		judged.Kind, judged.Reason = destination.Unauthorized, "the client's credentials were not accepted"
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		judged.Kind, judged.Reason = destination.Misconfigured, "nothing gives tokens at token_url"
	}
	if judged != nil {
		if judged.Kind == destination.Rejected {
			judged.Kind = destination.Misconfigured // it is not about the event
			judged.Reason = "the request for a token was refused"
		}
		return judged
	}
	token := gjson.GetBytes(answer.Body, "access_token")
	if answer.Cut || !gjson.ValidBytes(answer.Body) || token.Type != gjson.String || !destination.IsVisibleASCII(token.Str) {
		return &destination.Error{Kind: destination.Unreachable, Code: answer.Status, Reason: "the answer held none"}
	}
	return nil
}

// withoutToken is the outcome for the event: without a token it has certainly not been sent.
func withoutToken(failed *destination.Error) *destination.Error {
	kind := failed.Kind
	if kind == destination.Ambiguous {
		kind = destination.Unreachable
	}
	return &destination.Error{Kind: kind, Code: failed.Code, Reason: "no access token: " + failed.Reason, RetryAfter: failed.RetryAfter}
}
