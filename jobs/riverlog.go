package jobs

import (
	"context"
	"log/slog"
)

// calmHandler drops what River says at info level, counts of jobs every five seconds among them,
// unless debugging is on. kvit itself logs what an operator needs to know.
type calmHandler struct {
	slog.Handler
}

// Enabled raises the level to warn.
func (h calmHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.Handler.Enabled(ctx, level) && (level >= slog.LevelWarn || h.Handler.Enabled(ctx, slog.LevelDebug))
}

// WithAttrs keeps the handler calm.
func (h calmHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return calmHandler{h.Handler.WithAttrs(attrs)}
}

// WithGroup keeps the handler calm.
func (h calmHandler) WithGroup(name string) slog.Handler {
	return calmHandler{h.Handler.WithGroup(name)}
}
