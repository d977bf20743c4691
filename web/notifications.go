package web

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"unicode"

	"golang.org/x/time/rate"
)

const (
	maxNotifications  = 1 << 20 // bytes of a request
	maxHandshake      = 2048    // of a token that is answered with
	notificationEvery = 10      // seconds between two polls that notifications bring about
)

// Notifications is the door for ERPs that say when something has changed. What they say is a hint to look sooner, and nothing else.
type Notifications struct {
	States map[string]string                              // by source: what a notification has to show; empty: the door does not exist
	Look   func(ctx context.Context, source string) error // makes the source be polled soon
}

// notificationsHandler answers /erp/notifications/{source}.
type notificationsHandler struct {
	sources map[string]*notified
	look    func(ctx context.Context, source string) error
	told    *rate.Limiter // of wrong notifications, to the log
	logger  *slog.Logger
}

// notified is a source that notifies.
type notified struct {
	expected [sha256.Size]byte
	looks    *rate.Limiter
}

func newNotificationsHandler(n Notifications, logger *slog.Logger) *notificationsHandler {
	h := &notificationsHandler{sources: map[string]*notified{}, look: n.Look, logger: logger, told: rate.NewLimiter(rate.Limit(1.0/60), 1)}
	for name, state := range n.States {
		h.sources[name] = &notified{expected: sha256.Sum256([]byte(state)), looks: rate.NewLimiter(rate.Limit(1.0/notificationEvery), 1)}
	}
	return h
}

// ServeHTTP answers the handshake, which anybody may ask for, and takes notifications of those who know the source's state. A
// failure code that is not one of the server's own makes Business Central forget the subscription: kvit makes it anew within a day.
func (h *notificationsHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("source")
	source := h.sources[name]
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if source == nil {
		answer(w, http.StatusNotFound, "no such source is notified of")
		return
	}
	if token := r.URL.Query().Get("validationToken"); token != "" {
		shakeHands(w, token)
		return
	}
	if r.Method != http.MethodPost {
		answer(w, http.StatusMethodNotAllowed, "must be a POST")
		return
	}
	states, ok := notificationStates(w, r)
	if !ok {
		answer(w, http.StatusBadRequest, "is no list of notifications")
		return
	}
	if !source.sent(states) {
		if h.told.Allow() {
			h.logger.Warn("a notification was refused for a wrong clientState", "source", name)
		}
		answer(w, http.StatusForbidden, "clientState is missing or wrong")
		return
	}
	if source.looks.Allow() {
		if err := h.look(r.Context(), name); err != nil {
			h.logger.Warn("a notification was not followed; the next poll looks all the same", "source", name, "err", err)
		}
	}
	answer(w, http.StatusOK, "ok")
}

// shakeHands gives the token back, as plain text, if it looks like one.
func shakeHands(w http.ResponseWriter, token string) {
	if len(token) > maxHandshake || strings.ContainsFunc(token, func(r rune) bool {
		return r > unicode.MaxASCII || !unicode.IsPrint(r) || strings.ContainsRune("<>\"'&", r)
	}) {
		answer(w, http.StatusBadRequest, "validationToken is none")
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, token) //nolint:gosec // plain text, checked above; without a line's end: it is compared
}

// notificationStates reads what each notification shows. Nothing else of them is of interest.
func notificationStates(w http.ResponseWriter, r *http.Request) (states []string, ok bool) {
	var body struct {
		Value []struct {
			State string `json:"clientState"`
		} `json:"value"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxNotifications)).Decode(&body); err != nil || len(body.Value) == 0 {
		return nil, false
	}
	for _, n := range body.Value {
		states = append(states, n.State)
	}
	return states, true
}

// sent tells whether the source has sent all of these: digests are compared, whose length tells nothing, in constant time.
func (n *notified) sent(states []string) bool {
	same := 1
	for _, state := range states {
		given := sha256.Sum256([]byte(state))
		same &= subtle.ConstantTimeCompare(given[:], n.expected[:])
	}
	return same == 1
}
