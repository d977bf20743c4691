package erp

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"kvit/config"
)

// Basic is HTTP's Basic authentication.
type Basic struct {
	User     string
	Password config.Secret
}

// Authorize adds the header.
func (b Basic) Authorize(_ context.Context, _ *Client, req *http.Request) error {
	req.SetBasicAuth(b.User, b.Password.Reveal())
	return nil
}

// Refused tells that there are no other credentials.
func (b Basic) Refused() bool { return false }

// Headers are secrets in headers of the ERP's own, by their names.
type Headers map[string]config.Secret

// Authorize adds the headers.
func (h Headers) Authorize(_ context.Context, _ *Client, req *http.Request) error {
	for name, secret := range h {
		req.Header.Set(name, secret.Reveal())
	}
	return nil
}

// Refused tells that there are no other credentials.
func (h Headers) Refused() bool { return false }

// ClientCredentials fetches tokens by the OAuth2 grant of that name (RFC 6749, 4.4), and keeps each until shortly
// before it expires.
type ClientCredentials struct {
	TokenURL string
	ID       string
	Secret   config.Secret
	Extra    url.Values  // more of the form: scope, tenant_id
	Header   http.Header // more of the request's header
	Basic    bool        // id and secret are sent by HTTP's Basic authentication, and not in the form

	mu    sync.Mutex
	token string
	until time.Time
}

// tokenMargin is how long before its end a token is not used any more.
const tokenMargin = 3 * time.Minute

// Authorize adds a token, and fetches one if there is none that is fresh.
func (cc *ClientCredentials) Authorize(ctx context.Context, c *Client, req *http.Request) error {
	cc.mu.Lock()
	defer cc.mu.Unlock()
	if cc.token == "" || !c.now().Before(cc.until) {
		if err := cc.fetch(ctx, c); err != nil {
			return err
		}
	}
	req.Header.Set("Authorization", "Bearer "+cc.token)
	return nil
}

// Refused forgets the token.
func (cc *ClientCredentials) Refused() bool {
	cc.mu.Lock()
	defer cc.mu.Unlock()
	cc.token = ""
	return true
}

func (cc *ClientCredentials) fetch(ctx context.Context, c *Client) error {
	form := url.Values{"grant_type": {"client_credentials"}}
	if !cc.Basic {
		form.Set("client_id", cc.ID)
		form.Set("client_secret", cc.Secret.Reveal())
	}
	for name, values := range cc.Extra {
		form[name] = values
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, cc.TokenURL, strings.NewReader(form.Encode()))
	if err != nil {
		return Fail(Misconfigured, "the address of the token endpoint is no URL")
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for name, values := range cc.Header {
		req.Header[name] = values
	}
	if cc.Basic {
		req.SetBasicAuth(url.QueryEscape(cc.ID), url.QueryEscape(cc.Secret.Reveal())) // RFC 6749, 2.3.1
	}
	var answer struct {
		Token string `json:"access_token"`
		Type  string `json:"token_type"`
		For   int64  `json:"expires_in"`
	}
	asked := c.now()
	if _, err := c.once(req, &answer); err != nil {
		return tokenError(err)
	}
	if answer.Token == "" || !strings.EqualFold(answer.Type, "Bearer") {
		return Fail(Malformed, "the token endpoint's answer has no bearer token")
	}
	lasts := time.Duration(max(answer.For, 0)) * time.Second
	cc.token, cc.until = answer.Token, asked.Add(max(lasts-tokenMargin, lasts/2))
	return nil
}

// tokenError words what a token endpoint's answer means: it answers 400 to wrong credentials (RFC 6749, 5.2). It has no
// code, which stands for the answer of the ERP itself.
func tokenError(err error) error {
	var e *Error
	if !errors.As(err, &e) {
		return err
	}
	if e.Kind == Refused || e.Kind == Unauthorized {
		return Fail(Unauthorized, "the token endpoint refuses client id or secret (HTTP %d)", e.Code)
	}
	worded := Fail(e.Kind, "token endpoint: %s", e.Error())
	worded.RetryAfter = e.RetryAfter
	return worded
}
