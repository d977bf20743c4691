package destination

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/tidwall/gjson"
	"golang.org/x/sync/singleflight"
)

// TokenOptions say how access tokens of OAuth 2.0 are asked for (RFC 6749).
type TokenOptions struct {
	Address string                                  // of the token endpoint
	Grant   func(now time.Time) (url.Values, error) // the form to post; an error is one of the configuration
	Header  http.Header                             // beside Content-Type; may be nil
	Now     func() time.Time                        // default time.Now
}

// Tokens keeps an access token until shortly before it expires. However many need one, one request asks for it, and
// one that fails is not asked again at once. What goes wrong here is never the fault of an event, and the provider
// has not counted it. Safe for concurrent use.
type Tokens struct {
	TokenOptions
	client *Client
	asking singleflight.Group

	mu   sync.Mutex
	kept heldToken
}

// heldToken is the last token that came, and the last failure to get another one.
type heldToken struct {
	token  string
	ends   time.Time // of the token
	renew  time.Time // from then on another one is asked for
	failed *Error    // holds until renew, unless the token does
}

// NewTokens returns a Tokens that has none yet.
func NewTokens(client *Client, options TokenOptions) *Tokens {
	if options.Now == nil {
		options.Now = time.Now
	}
	return &Tokens{TokenOptions: options, client: client}
}

const (
	// tokenMargin is how long before its end a token is renewed: at most, or a tenth of its life.
	tokenMargin = 5 * time.Minute
	// tokenLife is that of a token whose answer does not tell.
	tokenLife = 5 * time.Minute
	// maxTokenLife bounds what an answer tells.
	maxTokenLife = 30 * 24 * time.Hour
	// tokenPause is how long nobody asks again after a failure.
	tokenPause = 2 * time.Second
)

// Get returns a token that is valid, or why there is none: Unauthorized, Misconfigured, Throttled or Unreachable, with
// a reason that begins with "no access token".
func (t *Tokens) Get(ctx context.Context) (string, *Error) {
	if ctx.Err() != nil {
		return "", noToken(Unreachable, "cancelled before the request was written")
	}
	if held, ok := t.current(); ok {
		return held.answer()
	}
	// Whoever asks first may leave, and the others still wait: the client's timeout ends the request.
	asked := t.asking.DoChan("", func() (any, error) { return t.ask(context.WithoutCancel(ctx)), nil })
	select {
	case result := <-asked:
		return result.Val.(heldToken).answer()
	case <-ctx.Done():
		return "", noToken(Unreachable, "cancelled while waiting for one")
	}
}

// With calls send with a token, or tells why there is none as Get does. A token that the provider does not accept is
// forgotten; one that was kept from before may have been revoked, so that send is called once more with a new one.
func (t *Tokens) With(ctx context.Context, send func(token string) *Error) *Error {
	kept, _ := t.current()
	token, failed := t.Get(ctx)
	if failed != nil {
		return failed
	}
	failed = send(token)
	if failed == nil || failed.Kind != Unauthorized || failed.Code == http.StatusForbidden { // 403: it is not about the token
		return failed
	}
	t.drop(token)
	if token != kept.token {
		return failed
	}
	if token, failed = t.Get(ctx); failed != nil {
		return failed
	}
	if failed = send(token); failed != nil && failed.Kind == Unauthorized {
		t.drop(token)
	}
	return failed
}

// drop forgets a token that the provider did not accept, so that the next attempt gets another one.
func (t *Tokens) drop(token string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.kept.token == token {
		t.kept = heldToken{}
	}
}

func (t *Tokens) current() (heldToken, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.kept, t.Now().Before(t.kept.renew)
}

func (h heldToken) answer() (string, *Error) {
	if h.failed == nil {
		return h.token, nil
	}
	failed := *h.failed // callers may add to it
	return "", &failed
}

// ask gets a token. If that fails while the old one is still valid, the old one stays.
func (t *Tokens) ask(ctx context.Context) heldToken {
	if held, ok := t.current(); ok {
		return held // another call has just ended
	}
	fresh, failed := t.request(ctx)
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.Now()
	switch {
	case failed == nil:
		t.kept = fresh
	case now.Before(t.kept.ends):
		t.kept.renew = now.Add(tokenPause)
	default:
		t.kept = heldToken{failed: failed, renew: now.Add(tokenPause)}
	}
	return t.kept
}

func (t *Tokens) request(ctx context.Context) (heldToken, *Error) {
	asked := t.Now()
	form, err := t.Grant(asked)
	if err != nil {
		return heldToken{}, noToken(Misconfigured, "the key cannot sign")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.Address, strings.NewReader(form.Encode()))
	if err != nil {
		return heldToken{}, noToken(Misconfigured, "the address cannot be used")
	}
	for name, values := range t.Header {
		req.Header[name] = values
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	answer, failed := t.client.Do(req)
	if failed != nil {
		return heldToken{}, tokenFailure(failed)
	}
	return readToken(answer, asked)
}

func readToken(answer Answer, asked time.Time) (heldToken, *Error) {
	if judged := Judge(answer.Status, answer.Header); judged != nil {
		return heldToken{}, tokenFailure(judged)
	}
	if answer.Cut {
		return heldToken{}, noToken(Unreachable, "the answer broke off")
	}
	token := gjson.GetBytes(answer.Body, "access_token").Str
	if !gjson.ValidBytes(answer.Body) || !IsVisibleASCII(token) {
		return heldToken{}, &Error{Kind: Misconfigured, Code: answer.Status, Reason: "no access token: the answer holds none: check the address"}
	}
	life := min(time.Duration(gjson.GetBytes(answer.Body, "expires_in").Int())*time.Second, maxTokenLife) // some write it as a text
	if life <= 0 {
		life = tokenLife
	}
	ends := asked.Add(life)
	return heldToken{token: token, ends: ends, renew: ends.Add(-min(tokenMargin, life/10))}, nil
}

// tokenFailure words the failure of a request for a token. RFC 6749 answers 400 and 401 to wrong credentials, in the
// place where an event's would be rejected.
func tokenFailure(failed *Error) *Error {
	kind, reason := failed.Kind, failed.Reason
	switch {
	case failed.Code == http.StatusNotFound, failed.Code == http.StatusMethodNotAllowed:
		kind, reason = Misconfigured, "nothing gives them at this address"
	case kind == Rejected, kind == Unauthorized:
		kind, reason = Unauthorized, "the provider did not accept the credentials"
	case kind == Ambiguous:
		kind = Unreachable // the event's request was not written
	}
	return &Error{Kind: kind, Code: failed.Code, Reason: "no access token: " + reason, RetryAfter: failed.RetryAfter}
}

func noToken(kind Kind, why string) *Error {
	return &Error{Kind: kind, Reason: "no access token: " + why}
}
