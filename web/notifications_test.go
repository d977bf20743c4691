package web

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A notification is a hint of whoever knows the state, and no more than one in ten seconds is followed.
func TestNotifications(t *testing.T) {
	t.Parallel()
	looks := 0
	h := Handler(Options{
		Logger: slog.New(slog.DiscardHandler),
		Notifications: Notifications{States: map[string]string{"bc": "s3cret"}, Look: func(_ context.Context, source string) error {
			require.Equal(t, "bc", source)
			looks++
			return nil
		}},
	})
	ask := func(method, target, body string) (int, string) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body)))
		return w.Code, w.Body.String()
	}
	for _, c := range []struct {
		method, target, body string
		code                 int
		answer               string
		looks                int
	}{
		{http.MethodPost, "/erp/notifications/bc?validationToken=abc-123", "", 200, "abc-123", 0},
		{http.MethodGet, "/erp/notifications/bc?validationToken=abc-123", "", 200, "abc-123", 0},
		{http.MethodGet, "/erp/notifications/bc?validationToken=%3Cscript%3E", "", 400, "", 0},
		{http.MethodGet, "/erp/notifications/nav?validationToken=abc", "", 404, "", 0},
		{http.MethodGet, "/erp/notifications/bc", "", 405, "", 0},
		{http.MethodPost, "/erp/notifications/bc", `{"value":[]}`, 400, "", 0},
		{http.MethodPost, "/erp/notifications/bc", `half`, 400, "", 0},
		{http.MethodPost, "/erp/notifications/bc", `{"value":[{"clientState":"s3cre"}]}`, 403, "", 0},
		{http.MethodPost, "/erp/notifications/bc", `{"value":[{"clientState":"s3cret"},{"changeType":"deleted"}]}`, 403, "", 0},
		{http.MethodPost, "/erp/notifications/bc", `{"value":[{"clientState":"s3cret","changeType":"collection","resource":"x"}]}`, 200, "ok\n", 1},
		{http.MethodPost, "/erp/notifications/bc", `{"value":[{"clientState":"s3cret","changeType":"deleted"}]}`, 200, "ok\n", 1},
	} {
		code, text := ask(c.method, c.target, c.body)
		require.Equal(t, c.code, code, "%+v", c)
		require.Equal(t, c.looks, looks, "%+v", c)
		if c.answer != "" {
			require.Equal(t, c.answer, text)
		}
	}
}
