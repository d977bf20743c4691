package access

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/alexedwards/scs/v2"

	"kvit/store"
)

// lifetime is how long a session lasts: a working day, then one logs in again.
const lifetime = 12 * time.Hour

// What a session holds.
const (
	sessionUser        = "user"
	sessionFingerprint = "fingerprint" // of the password's hash, so that another password ends the session; or of ops.oidc
	sessionGrants      = "grants"      // values of a claim that gave a role, a line each
	sessionSentence    = "sentence"    // to be shown once
)

// newSessions makes the manager: sessions are in the database, by the hash of their token.
func newSessions(db store.DB, secure bool) *scs.SessionManager {
	m := scs.New()
	m.Lifetime = lifetime
	m.HashTokenInStore = true
	m.Store = sessionStore{db}
	m.Cookie.Name = "kvit"
	if secure {
		m.Cookie.Name = "__Host-kvit" // browsers take it from this host alone, and only by https
	}
	m.Cookie.Secure = secure
	m.Cookie.SameSite = http.SameSiteStrictMode
	m.Cookie.Persist = false
	return m
}

// sessionStore is the table kvit.session as scs wants it.
type sessionStore struct{ db store.DB }

var errNoContext = errors.New("sessions need a context")

// Find, Commit and Delete are of an older contract of scs, which calls those below instead.
func (sessionStore) Find(string) ([]byte, bool, error) { return nil, false, errNoContext }

// Commit is never called, as Find.
func (sessionStore) Commit(string, []byte, time.Time) error { return errNoContext }

// Delete is never called, as Find.
func (sessionStore) Delete(string) error { return errNoContext }

// FindCtx reads a session that is still good.
func (s sessionStore) FindCtx(ctx context.Context, token string) ([]byte, bool, error) {
	return store.WebSession(ctx, s.db, token)
}

// CommitCtx writes a session.
func (s sessionStore) CommitCtx(ctx context.Context, token string, data []byte, expires time.Time) error {
	return store.SaveWebSession(ctx, s.db, token, data, expires)
}

// DeleteCtx ends a session.
func (s sessionStore) DeleteCtx(ctx context.Context, token string) error {
	return store.EndWebSession(ctx, s.db, token)
}
