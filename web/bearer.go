package web

import (
	"crypto/sha256"
	"crypto/subtle"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// Wrong tokens are refused a few times a second, and told to slow down then. The right one is not kept waiting by them.
const (
	wrongTokensPerSecond = 1
	wrongTokensAtOnce    = 10
)

// bearer lets in programs that show a token. No cookie counts here, so that no browser shows it without its user's wish.
type bearer struct {
	expected [sha256.Size]byte
	what     string // was refused, for the log
	wrong    *rate.Limiter
	told     *rate.Limiter // of wrong tokens, to the log
	refused  atomic.Int64  // wrong tokens since the log was told
	logger   *slog.Logger
}

func newBearer(token, what string, logger *slog.Logger) *bearer {
	return &bearer{
		expected: sha256.Sum256([]byte(token)), what: what, logger: logger,
		wrong: rate.NewLimiter(wrongTokensPerSecond, wrongTokensAtOnce), told: rate.NewLimiter(rate.Every(time.Minute), 1),
	}
}

// admit tells whether the request has the token, and answers those that have not. It compares digests, whose length tells nothing, in
// constant time.
func (b *bearer) admit(w http.ResponseWriter, r *http.Request) bool {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	given := sha256.Sum256([]byte(strings.TrimSpace(token)))
	if subtle.ConstantTimeCompare(given[:], b.expected[:]) == 1 && strings.EqualFold(scheme, "Bearer") {
		return true
	}
	b.refuse(w)
	return false
}

func (b *bearer) refuse(w http.ResponseWriter) {
	b.refused.Add(1)
	if b.told.Allow() {
		b.logger.Warn(b.what+" refused for a wrong token", "requests", b.refused.Swap(0))
	}
	w.Header().Set("WWW-Authenticate", "Bearer")
	if !b.wrong.Allow() {
		w.Header().Set("Retry-After", "60")
		answer(w, http.StatusTooManyRequests, "too many wrong tokens")
		return
	}
	answer(w, http.StatusUnauthorized, "the token is missing or wrong")
}
