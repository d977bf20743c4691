package pages

import (
	"crypto/rand"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/puddle/v2"

	"kvit/store"
)

// refusal is an error that becomes a page of its own.
type refusal struct {
	status   int
	sentence string
}

// Error is the sentence that the page shows.
func (r *refusal) Error() string { return r.sentence }

// refuse makes the page that says why a request was not followed, in a sentence for the operator.
func refuse(status int, sentence string) error { return &refusal{status, sentence} }

// toLogin sends to the login, and from there back.
type toLogin struct{}

// Error is never shown.
func (toLogin) Error() string { return "not logged in" }

// isAway tells whether it is the database that does not answer. store.IsConnection takes any error for that which is not Postgres' own.
func isAway(err error) bool {
	var answer *pgconn.PgError
	var connect *pgconn.ConnectError
	var network net.Error
	return errors.As(err, &answer) && store.IsConnection(err) || errors.As(err, &connect) || errors.As(err, &network) || errors.Is(err, puddle.ErrClosedPool)
}

// fail answers with the page of an error.
func (s *Site) fail(w http.ResponseWriter, r *http.Request, err error) {
	var refused *refusal
	var tooLarge *http.MaxBytesError
	switch {
	case errors.Is(err, toLogin{}):
		target := "/login"
		if r.URL.Path != "/" {
			target += "?to=" + url.QueryEscape(r.URL.RequestURI())
		}
		http.Redirect(w, r, target, http.StatusSeeOther)
		return
	case errors.As(err, &refused):
	case errors.As(err, &tooLarge):
		refused = &refusal{http.StatusRequestEntityTooLarge, "That is more than this form takes."}
	case isAway(err):
		refused = &refusal{http.StatusServiceUnavailable, "The database does not answer at the moment. Try again."}
		s.Logger.Warn("page could not be read", "path", r.Pattern, "problem", store.Describe(err))
	default:
		reference := strings.ToLower(rand.Text()[:8])
		refused = &refusal{http.StatusInternalServerError, "This did not work. The reason is in kvit's log, under the reference " + reference + "."}
		s.Logger.Error("page failed", "reference", reference, "path", r.Pattern, "problem", store.Describe(err))
	}
	s.renderStatus(w, r, refused.status, "refused", refused.sentence)
}
