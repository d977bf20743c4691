package access

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

const (
	issuerPatience = 5 * time.Second // of somebody who has clicked
	issuerAgain    = time.Second     // those who click while it is away do not all ask
	maxAnswer      = 1 << 20         // bytes
)

// issuer is the provider of the login: asked who it is when that is needed first, and again while it does not answer.
type issuer struct {
	OIDC
	logger *slog.Logger
	http   *http.Client
	now    func() time.Time
	asking chan struct{} // one asks at a time

	mu    sync.Mutex
	known *oidc.Provider // nil: it has not answered yet
	away  time.Time      // when it did not answer; zero: it did, or was not asked
}

func newIssuer(o *OIDC, logger *slog.Logger) *issuer {
	if o == nil {
		return nil
	}
	return &issuer{OIDC: *o, logger: logger, now: time.Now, asking: make(chan struct{}, 1), http: &http.Client{
		Timeout: issuerPatience, Transport: boundedAnswers{http.DefaultTransport},
		// A redirect would carry the client's secret to wherever it points.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// boundedAnswers cuts what is longer than any answer of a provider's.
type boundedAnswers struct{ http.RoundTripper }

// RoundTrip sends a request.
func (b boundedAnswers) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := b.RoundTripper.RoundTrip(r)
	if err == nil {
		res.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(res.Body, maxAnswer), res.Body}
	}
	return res, err
}

func (i *issuer) awaySince() time.Time {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.away
}

// note keeps what became of a question.
func (i *issuer) note(p *oidc.Provider, err error) (*oidc.Provider, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if err == nil {
		i.known, i.away = p, time.Time{}
		return p, nil
	}
	i.away = i.now()
	i.logger.Warn("the provider of the login does not answer", "issuer", i.Issuer, "problem", short(err.Error()))
	return nil, ErrIssuerAway
}

// provider is what the issuer says of itself; ErrIssuerAway while it says nothing.
func (i *issuer) provider(ctx context.Context) (*oidc.Provider, error) {
	select {
	case i.asking <- struct{}{}:
		defer func() { <-i.asking }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	i.mu.Lock()
	known, away := i.known, i.away
	i.mu.Unlock()
	if known != nil {
		return known, nil
	}
	if i.now().Sub(away) < issuerAgain {
		return nil, ErrIssuerAway
	}
	return i.note(i.discover(context.WithoutCancel(ctx))) // what one visitor learns is for all: that he goes away ends nothing
}

// discover reads the provider's discovery document.
func (i *issuer) discover(ctx context.Context) (*oidc.Provider, error) {
	ctx, cancel := context.WithTimeout(oidc.ClientContext(ctx, i.http), issuerPatience)
	defer cancel()
	p, err := oidc.NewProvider(ctx, i.Issuer)
	if err != nil {
		return nil, err
	}
	return p, i.checkEndpoints(p)
}

// Check asks the provider who it is: what is wrong with its answer, or that there is none.
func (o OIDC) Check(ctx context.Context) error {
	_, err := newIssuer(&o, slog.New(slog.DiscardHandler)).discover(ctx)
	if err != nil {
		return errors.New(short(err.Error()))
	}
	return nil
}

// discovered is what go-oidc does not tell of a provider.
type discovered struct {
	Keys    string   `json:"jwks_uri"`
	Methods []string `json:"token_endpoint_auth_methods_supported"`
}

// checkEndpoints refuses a provider that is asked by https, and names addresses without it.
func (i *issuer) checkEndpoints(p *oidc.Provider) error {
	var d discovered
	if err := p.Claims(&d); err != nil {
		return fmt.Errorf("read discovery document: %w", err)
	}
	addresses := []string{p.Endpoint().AuthURL, p.Endpoint().TokenURL, d.Keys}
	if p.UserInfoEndpoint() != "" {
		addresses = append(addresses, p.UserInfoEndpoint())
	}
	for _, address := range addresses {
		u, err := url.Parse(address)
		if err != nil || u.Host == "" || u.Scheme != "https" && strings.HasPrefix(i.Issuer, "https:") {
			return errors.New("an address of its discovery document is missing, or no https")
		}
	}
	return nil
}

// client is kvit as the provider knows it.
func (i *issuer) client(p *oidc.Provider) *oauth2.Config {
	endpoint := p.Endpoint()
	endpoint.AuthStyle = oauth2.AuthStyleInHeader // what a provider must know that names none
	var d discovered
	if err := p.Claims(&d); err == nil && len(d.Methods) > 0 && !slices.Contains(d.Methods, "client_secret_basic") {
		endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	return &oauth2.Config{
		ClientID: i.ClientID, ClientSecret: i.ClientSecret, Endpoint: endpoint, RedirectURL: i.PublicURL + OIDCCallback,
		Scopes: append([]string{oidc.ScopeOpenID}, i.Scopes...),
	}
}

// claims exchanges the code and returns what the provider says of the user: a RefusedError, or ErrIssuerAway.
func (i *issuer) claims(ctx context.Context, code string, p pending) (claims, error) {
	provider, err := i.provider(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(oidc.ClientContext(ctx, i.http), issuerPatience)
	defer cancel()
	token, err := i.client(provider).Exchange(ctx, code, oauth2.VerifierOption(p.Verifier))
	if err != nil {
		return nil, i.failed("the code was not taken", err)
	}
	c, err := i.verify(ctx, provider, token, p.Nonce)
	if err != nil {
		return nil, i.failed("the ID token does not hold", err)
	}
	return c, i.ask(ctx, provider, token, c)
}

// failed says in the log what is wrong with an answer, without what the provider has written.
func (i *issuer) failed(what string, err error) error {
	var answer *oauth2.RetrieveError
	var unreachable *url.Error
	switch {
	case errors.Is(err, context.Canceled): // by whoever wanted to log in
		return err
	case errors.As(err, &answer) && answer.Response.StatusCode < http.StatusInternalServerError:
		i.logger.Warn("login refused: "+what, "status", answer.Response.StatusCode, "problem", errorCode(answer.ErrorCode))
		return refused(sayNotProved)
	case errors.As(err, &answer):
		_, err = i.note(nil, errors.New("HTTP "+strconv.Itoa(answer.Response.StatusCode)))
		return err
	case errors.As(err, &unreachable):
		_, err = i.note(nil, unreachable.Err)
		return err
	default:
		i.logger.Warn("login refused: "+what, "problem", short(err.Error()))
		return refused(sayNotProved)
	}
}

// verify returns the claims of the ID token, once it is known to be of this provider, for this client, and for this login.
func (i *issuer) verify(ctx context.Context, p *oidc.Provider, token *oauth2.Token, nonce string) (claims, error) {
	raw, ok := token.Extra("id_token").(string)
	if !ok {
		return nil, errors.New("there is none")
	}
	id, err := p.VerifierContext(ctx, &oidc.Config{ClientID: i.ClientID, Now: i.now}).Verify(ctx, raw)
	if err != nil {
		return nil, err
	}
	c := claims{}
	if err := id.Claims(&c); err != nil {
		return nil, errors.New("its claims cannot be read")
	}
	switch azp := c.text("azp"); {
	case !same(id.Nonce, nonce):
		return nil, errors.New("its nonce is not that of this login")
	case c["azp"] != nil && azp != i.ClientID || len(id.Audience) > 1 && azp == "":
		return nil, errors.New("it was made for another client")
	case id.Subject == "":
		return nil, errors.New("it names nobody")
	case id.AccessTokenHash != "" && id.VerifyAccessToken(token.AccessToken) != nil:
		return nil, errors.New("it belongs to another access token")
	}
	return c, nil
}

// ask adds what the ID token lacks and the provider tells elsewhere. The token's own claims stay.
func (i *issuer) ask(ctx context.Context, p *oidc.Provider, token *oauth2.Token, c claims) error {
	if p.UserInfoEndpoint() == "" || c.has(i.RolesClaim) && c.has(i.NameClaim) && (len(i.EmailDomains) == 0 || c.has("email")) {
		return nil
	}
	info, err := p.UserInfo(ctx, oauth2.StaticTokenSource(token))
	var unreachable *url.Error
	if err != nil && !errors.As(err, &unreachable) {
		err = errors.New("an answer of another form") // it may hold what the user is called
	}
	if err != nil {
		return i.failed("the user's claims could not be read", err)
	}
	more := claims{}
	if err := info.Claims(&more); err != nil {
		return i.failed("the user's claims could not be read", errors.New("they are no object"))
	}
	if info.Subject != c.text("sub") {
		return i.failed("the user's claims are of somebody else", errors.New("another sub"))
	}
	for name, value := range more {
		if _, there := c[name]; !there {
			c[name] = value
		}
	}
	return nil
}

var errorCodes = regexp.MustCompile(`^[a-z_]{1,60}$`)

// errorCode is what a provider calls an error, if it is one of the words that there are for it.
func errorCode(text string) string {
	if !errorCodes.MatchString(text) {
		return "unknown"
	}
	return text
}

// short is the beginning of a text that others have written, for the log.
func short(text string) string {
	const longest = 200
	text = strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return ' '
		}
		return c
	}, text)
	if len(text) > longest {
		text = strings.ToValidUTF8(text[:longest], "") + "..."
	}
	return text
}
