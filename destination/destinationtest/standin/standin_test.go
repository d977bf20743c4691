package standin_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/destination/destinationtest/standin"
)

// provider counts what it hears, and fails as it is told.
type provider struct {
	failure standin.Failure
	heard   []string
}

func (p *provider) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	p.failure.Handle(w, req, func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		p.heard = append(p.heard, string(body))
		w.Header().Set("X-Heard", "yes")
		standin.Answer(w, http.StatusAccepted, "taken")
	}, func(echo []byte) { standin.Answer(w, p.failure.Status, "no "+string(echo)) })
}

func (p *provider) ask(ctx context.Context) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	p.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodPost, "/", strings.NewReader("hello")))
	return w
}

func TestFailure(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		failure standin.Failure
		status  int
		answer  string
		heard   []string
	}{
		"None":    {standin.Failure{}, 202, `"taken"`, []string{"hello"}},
		"Delayed": {standin.Failure{Delay: time.Millisecond}, 202, `"taken"`, []string{"hello"}},
		"Before":  {standin.Failure{Status: 503, RetryAfter: "7"}, 503, `"no "`, nil},
		"After":   {standin.Failure{Status: 500, After: true}, 500, `"no "`, []string{"hello"}},
		"Echo":    {standin.Failure{Status: 400, Echo: true}, 400, `"no hello"`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &provider{failure: test.failure}
			w := p.ask(t.Context())
			require.Equal(t, test.status, w.Code)
			require.JSONEq(t, test.answer, w.Body.String())
			require.Equal(t, "application/json", w.Header().Get("Content-Type"))
			require.Equal(t, test.failure.RetryAfter, w.Header().Get("Retry-After"))
			require.Equal(t, test.status != 202, w.Header().Get("X-Heard") == "", "the answer that was lost is not seen")
			require.Equal(t, test.heard, p.heard)
		})
	}
}

func TestReset(t *testing.T) {
	t.Parallel()
	for after, heard := range map[bool][]string{false: nil, true: {"hello"}} {
		p := &provider{failure: standin.Failure{Reset: true, After: after}}
		require.PanicsWithValue(t, http.ErrAbortHandler, func() { p.ask(t.Context()) })
		require.Equal(t, heard, p.heard)
	}
}

func TestClientLeaves(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p := &provider{failure: standin.Failure{Delay: time.Hour}}
	p.ask(ctx)
	require.Empty(t, p.heard)
}

func TestStrict(t *testing.T) {
	t.Parallel()
	for body, good := range map[string]bool{
		`{"a": 1}`: true, `{}`: true, `{"a": 1} `: true,
		`{"b": 1}`: false, `{"a": "1"}`: false, `{"a": 1} {}`: false, `{"a": 1}]`: false, `{"a"`: false, ``: false,
	} {
		var into struct{ A int }
		require.Equal(t, good, standin.Strict([]byte(body), &into) == nil, body)
	}
}
