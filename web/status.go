package web

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"time"
)

const (
	statusAtOnce   = 2 // the database works at; more are told to come back
	statusPatience = 10 * time.Second
)

// Status is the door for programs that want to know where kvit stands.
type Status struct {
	Token string // empty: the door does not exist

	// Read returns what is shown, as JSON: that of `kvit status --json`.
	Read func(ctx context.Context) (any, error)
}

// statusHandler answers GET /status.json.
type statusHandler struct {
	Status
	bearer *bearer
	slots  chan struct{}
	logger *slog.Logger
}

func newStatusHandler(s Status, logger *slog.Logger) *statusHandler {
	return &statusHandler{Status: s, bearer: newBearer(s.Token, "the status was", logger), slots: make(chan struct{}, statusAtOnce), logger: logger}
}

func (h *statusHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !h.bearer.admit(w, r) {
		return
	}
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	default:
		w.Header().Set("Retry-After", "5")
		answer(w, http.StatusServiceUnavailable, "too many requests at once: try again")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), statusPatience)
	defer cancel()
	status, err := h.Read(ctx)
	var text bytes.Buffer
	if err == nil {
		err = json.NewEncoder(&text).Encode(status)
	}
	if err != nil {
		h.logger.Warn("status could not be read", "err", err)
		answer(w, http.StatusServiceUnavailable, "kvit's state cannot be read at the moment")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = text.WriteTo(w)
}
