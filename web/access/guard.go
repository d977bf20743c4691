package access

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"
	"golang.org/x/crypto/bcrypt"

	"kvit/store"
)

// Options say who may log in, and how requests reach kvit.
type Options struct {
	DB          store.DB
	Users       []Account
	OIDC        *OIDC         // nil: passwords are the only way
	Secure      bool          // browsers come by TLS: kvit's own, or a proxy's
	BehindProxy int           // how many proxies stand before kvit and add to X-Forwarded-For; 0: none
	KeepAudit   time.Duration // older entries go
	Logger      *slog.Logger
}

// Account is a user of the configuration.
type Account struct {
	User
	PasswordHash string // bcrypt
}

// Guard stands before the pages.
type Guard struct {
	db        store.DB
	accounts  map[string]Account
	issuer    *issuer // nil: there is no login by OIDC
	nobody    []byte  // the hash that an unknown name is compared with, so that it takes as long
	sessions  *scs.SessionManager
	throttle  *throttle
	hops      int
	keepAudit time.Duration
	logger    *slog.Logger
	hashing   chan struct{}
}

// Errors of a login.
var (
	ErrWrong     = errors.New("name or password are wrong")
	ErrThrottled = errors.New("too many logins from this address")
)

// hashesAtOnce bounds how many passwords are compared at the same time: each takes a core for a quarter of a second, and anybody
// may try.
const hashesAtOnce = 2

// New makes the guard. Without users and OIDC nobody can log in.
func New(o Options) (*Guard, error) {
	g := &Guard{
		db: o.DB, accounts: map[string]Account{}, sessions: newSessions(o.DB, o.Secure), throttle: newThrottle(time.Now), hops: o.BehindProxy,
		issuer: newIssuer(o.OIDC, o.Logger), keepAudit: o.KeepAudit, logger: o.Logger, hashing: make(chan struct{}, hashesAtOnce),
	}
	cost := bcrypt.MinCost
	for _, a := range o.Users {
		g.accounts[a.Name] = a
		c, err := bcrypt.Cost([]byte(a.PasswordHash))
		if err != nil {
			return nil, fmt.Errorf("read the password's hash of user %s: %w", a.Name, err)
		}
		cost = max(cost, c)
	}
	var err error
	if g.nobody, err = bcrypt.GenerateFromPassword([]byte("nobody"), cost); err != nil {
		return nil, fmt.Errorf("prepare logins: %w", err)
	}
	g.sessions.ErrorFunc = g.unavailable
	return g, nil
}

func (g *Guard) unavailable(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() == nil {
		g.logger.Warn("sessions could not be read", "problem", store.Describe(err))
	}
	w.Header().Del("Set-Cookie")
	http.Error(w, "The database does not answer at the moment. Try again.", http.StatusServiceUnavailable)
}

// Wrap puts the guard before all pages: requests that another site has caused are refused, security headers set, and the request's
// user found. What a user may do is for Require to say.
func (g *Guard) Wrap(pages http.Handler) http.Handler {
	return secured(http.NewCrossOriginProtection().Handler(g.sessions.LoadAndSave(g.identify(pages))))
}

// identify puts the user into the request's context.
func (g *Guard) identify(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(WithUser(r.Context(), g.user(r.Context()))))
	})
}

// user is who the session belongs to. Role and password are those of the configuration now, not those of the login.
func (g *Guard) user(ctx context.Context) User {
	name := g.sessions.GetString(ctx, sessionUser)
	if strings.HasPrefix(name, oidcPrefix) {
		return g.oidcUser(ctx, name)
	}
	account, known := g.accounts[name]
	if !known || g.sessions.GetString(ctx, sessionFingerprint) != fingerprint(account) {
		return User{}
	}
	return account.User
}

func fingerprint(a Account) string {
	sum := sha256.Sum256([]byte(a.PasswordHash))
	return hex.EncodeToString(sum[:])
}

// Login checks name and password, and begins a session: ErrWrong, ErrThrottled, or a problem of the database.
func (g *Guard) Login(r *http.Request, name, password string) error {
	ctx := r.Context()
	if !g.throttle.admit(clientAddress(r, g.hops)) {
		return ErrThrottled
	}
	account, known := g.accounts[name]
	if !g.matches(ctx, account, known, password) {
		if err := ctx.Err(); err != nil {
			return err
		}
		// Who mistakes one field for the other has typed a password as a name: names that are not known are not kept.
		if err := store.Audit(ctx, g.db, store.AuditEntry{Action: "login refused", Subject: account.Name}); err != nil {
			return err
		}
		return ErrWrong
	}
	if err := g.begin(ctx, account.Name, fingerprint(account)); err != nil {
		return err
	}
	return store.Audit(ctx, g.db, store.AuditEntry{Who: account.Name, Action: "login"})
}

// matches takes as long for a name that nobody has.
func (g *Guard) matches(ctx context.Context, account Account, known bool, password string) bool {
	select {
	case g.hashing <- struct{}{}:
		defer func() { <-g.hashing }()
	case <-ctx.Done():
		return false
	}
	hash := g.nobody
	if known {
		hash = []byte(account.PasswordHash)
	}
	return bcrypt.CompareHashAndPassword(hash, []byte(password)) == nil && known
}

// begin gives the browser a session. The fingerprint is of what the user has proved himself by.
func (g *Guard) begin(ctx context.Context, name, fingerprint string) error {
	if err := store.DropOldSessions(ctx, g.db, g.keepAudit); err != nil {
		return err
	}
	if err := g.sessions.Clear(ctx); err != nil { // of whoever was logged in before
		return fmt.Errorf("begin session: %w", err)
	}
	// Another token than before the login: nobody can have planted it.
	if err := g.sessions.RenewToken(ctx); err != nil {
		return fmt.Errorf("begin session: %w", err)
	}
	g.sessions.Put(ctx, sessionUser, name)
	g.sessions.Put(ctx, sessionFingerprint, fingerprint)
	return nil
}

// Logout ends the session, in all processes.
func (g *Guard) Logout(ctx context.Context) error {
	if err := g.sessions.Destroy(ctx); err != nil {
		return fmt.Errorf("end session: %w", err)
	}
	return store.Audit(ctx, g.db, store.AuditEntry{Who: UserOf(ctx).Name, Action: "logout"})
}

// Say keeps a sentence for the next page that the session sees.
func (g *Guard) Say(ctx context.Context, sentence string) {
	g.sessions.Put(ctx, sessionSentence, sentence)
}

// Said is the sentence that was kept, once; empty: none.
func (g *Guard) Said(ctx context.Context) string { return g.sessions.PopString(ctx, sessionSentence) }

// Policy is the Content-Security-Policy of kvit's own pages: nothing of another host, no script or style within a page.
const Policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// secured sets the headers of every answer; a handler may set its own instead.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", Policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin") // with no-referrer, browsers that lack Sec-Fetch-Site send Origin: null with our own forms
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}
