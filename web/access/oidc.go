package access

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"kvit/store"
)

// OIDC is a login by an OpenID provider.
type OIDC struct {
	Issuer       string
	ClientID     string
	ClientSecret string
	PublicURL    string          // by which browsers come here; no slash at its end
	Scopes       []string        // beside openid
	RolesClaim   string          // whose values are the keys of Roles
	Roles        map[string]Role // who has none of these is refused
	NameClaim    string          // what the audit calls a user
	EmailDomains []string        // none: any address, or none, will do
}

// Addresses of the login by OIDC.
const (
	OIDCPath     = "/login/oidc"
	OIDCCallback = "/login/oidc/callback"
)

// ErrIssuerAway says that the provider did not answer as one does. Its details are in the log.
var ErrIssuerAway = errors.New("the provider of the login does not answer")

// RefusedError is a login by OIDC that was not taken.
type RefusedError struct{ Sentence string }

// Error is the sentence, for whoever tried to log in.
func (e *RefusedError) Error() string { return e.Sentence }

// Sentences that more than one mistake ends in.
const (
	sayBegunElsewhere = "This login did not begin in this browser, was used before, or took longer than ten minutes. Begin again."
	sayNotProved      = "What the provider of the login has sent does not prove who you are. The reason is in kvit's log."
)

func refused(sentence string) error { return &RefusedError{sentence} }

// pendingFor is how long somebody may take at the provider.
const pendingFor = 10 * time.Minute

// pending is a login that is under way. It waits in the database, by the hash of a token that the browser alone has, and is taken
// from there once.
type pending struct {
	State    string `json:"state"`
	Nonce    string `json:"nonce"`
	Verifier string `json:"verifier"` // of PKCE
	To       string `json:"to"`       // the page to go on to
}

// HasPasswords tells whether there are users with passwords.
func (g *Guard) HasPasswords() bool { return len(g.accounts) > 0 }

// Start asks the provider of the login who it is, so that the login's page can say if it does not answer. Nothing waits for that.
func (g *Guard) Start(ctx context.Context) {
	if g.issuer != nil {
		go func() { _, _ = g.issuer.provider(ctx) }()
	}
}

// Issuer is the host of the provider of the login, empty if there is none, and since when it does not answer; zero: it does, as
// far as kvit knows.
func (g *Guard) Issuer() (host string, away time.Time) {
	if g.issuer == nil {
		return "", time.Time{}
	}
	u, err := url.Parse(g.issuer.Issuer)
	if err != nil {
		return g.issuer.Issuer, g.issuer.awaySince()
	}
	return u.Host, g.issuer.awaySince()
}

// BeginOIDC begins a login and returns the address at the provider to send the browser to: ErrThrottled, ErrIssuerAway, or a
// problem of the database. Afterwards it goes on to a path of the pages.
func (g *Guard) BeginOIDC(w http.ResponseWriter, r *http.Request, to string) (address string, err error) {
	if !g.throttle.admit(clientAddress(r, g.hops)) {
		return "", ErrThrottled
	}
	provider, err := g.issuer.provider(r.Context())
	if err != nil {
		return "", err
	}
	p := pending{State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), To: to}
	if err := g.keepPending(w, r, p); err != nil {
		return "", err
	}
	return g.issuer.client(provider).AuthCodeURL(p.State, oidc.Nonce(p.Nonce), oauth2.S256ChallengeOption(p.Verifier)), nil
}

func (g *Guard) keepPending(w http.ResponseWriter, r *http.Request, p pending) error {
	if err := store.DropOldSessions(r.Context(), g.db, g.keepAudit); err != nil {
		return err
	}
	data, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("begin login: %w", err)
	}
	token := rand.Text()
	if err := store.SaveWebSession(r.Context(), g.db, pendingKey(token), data, time.Now().Add(pendingFor)); err != nil {
		return err
	}
	http.SetCookie(w, g.pendingCookie(token, pendingFor))
	return nil
}

// pendingCookie is Lax, unlike that of a session: the browser comes back from another site.
func (g *Guard) pendingCookie(token string, lasts time.Duration) *http.Cookie {
	c := &http.Cookie{ //nolint:gosec // it is secure wherever the session's is: behind TLS
		Name: "kvit-login", Value: token, Path: "/", MaxAge: int(lasts.Seconds()), HttpOnly: true, Secure: g.sessions.Cookie.Secure, SameSite: http.SameSiteLaxMode,
	}
	if c.Secure {
		c.Name = "__Host-" + c.Name
	}
	if lasts <= 0 {
		c.MaxAge = -1
	}
	return c
}

// pendingKey is no hash of a session's token, so that neither can be taken for the other.
func pendingKey(token string) string {
	sum := sha256.Sum256([]byte(token))
	return "login:" + base64.RawURLEncoding.EncodeToString(sum[:])
}

// EndOIDC takes what the browser brings back from the provider, and begins a session: a RefusedError, ErrIssuerAway, or a problem of
// the database. to is where BeginOIDC was asked to go on to.
func (g *Guard) EndOIDC(w http.ResponseWriter, r *http.Request) (to string, err error) {
	p, err := g.takePending(w, r)
	if err != nil {
		return "", err
	}
	code, err := g.issuer.codeOf(r.URL.Query(), p)
	if err != nil {
		return "", err
	}
	claims, err := g.issuer.claims(r.Context(), code, p)
	if err != nil {
		return "", err
	}
	return p.To, g.enter(r.Context(), claims)
}

func (g *Guard) takePending(w http.ResponseWriter, r *http.Request) (p pending, err error) {
	cookie, err := r.Cookie(g.pendingCookie("", 0).Name)
	if err != nil {
		return p, refused(sayBegunElsewhere)
	}
	http.SetCookie(w, g.pendingCookie("", 0))
	data, found, err := store.TakeWebSession(r.Context(), g.db, pendingKey(cookie.Value))
	if err != nil {
		return p, err
	}
	if !found {
		return p, refused(sayBegunElsewhere)
	}
	if err := json.Unmarshal(data, &p); err != nil {
		return p, fmt.Errorf("read login: %w", err)
	}
	return p, nil
}

// enter begins the session of whoever the claims are about, if they give a role.
func (g *Guard) enter(ctx context.Context, c claims) error {
	name, err := g.issuer.name(c)
	if err != nil {
		return err
	}
	detail := map[string]string{"issuer": g.issuer.Issuer, "sub": c.text("sub")}
	grants, err := g.issuer.admit(c)
	if err != nil {
		// Who it was is for the log of the provider, and for whoever has to give the role.
		return errors.Join(store.Audit(ctx, g.db, store.AuditEntry{Action: "login refused", Subject: name, Reason: err.Error(), Detail: detail}), err)
	}
	if err := g.begin(ctx, name, g.issuer.fingerprint()); err != nil {
		return err
	}
	g.sessions.Put(ctx, sessionGrants, strings.Join(grants, "\n"))
	return store.Audit(ctx, g.db, store.AuditEntry{Who: name, Action: "login", Detail: detail})
}

// fingerprint changes with whatever decides who a user is, and ends his session then.
func (o OIDC) fingerprint() string {
	domains := slices.Sorted(slices.Values(o.EmailDomains))
	sum := sha256.Sum256([]byte(strings.Join(append([]string{o.Issuer, o.ClientID, o.RolesClaim, o.NameClaim}, domains...), "\n")))
	return hex.EncodeToString(sum[:])
}

// oidcUser is who a session of a login by OIDC belongs to. What the values of the claim give is of the configuration now.
func (g *Guard) oidcUser(ctx context.Context, name string) User {
	if g.issuer == nil || g.sessions.GetString(ctx, sessionFingerprint) != g.issuer.fingerprint() {
		return User{}
	}
	role := g.issuer.role(strings.Split(g.sessions.GetString(ctx, sessionGrants), "\n"))
	if role == Nobody {
		return User{}
	}
	return User{Name: name, Role: role}
}

// codeOf reads the provider's answer from the address.
func (i *issuer) codeOf(query url.Values, p pending) (code string, err error) {
	switch {
	case !same(query.Get("state"), p.State):
		return "", refused(sayBegunElsewhere)
	case query.Has("iss") && query.Get("iss") != i.Issuer:
		i.logger.Warn("login refused: another provider than that of the configuration has answered")
		return "", refused(sayNotProved)
	case query.Get("error") == "access_denied":
		return "", refused("The provider of the login has not let you in, or you have not agreed to it.")
	case query.Has("error"):
		i.logger.Warn("login refused by its provider", "problem", errorCode(query.Get("error")))
		return "", refused("The provider of the login has refused kvit's request. The reason is in kvit's log.")
	case query.Get("code") == "":
		return "", refused(sayNotProved)
	}
	return query.Get("code"), nil
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
