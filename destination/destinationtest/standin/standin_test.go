package standin_test

import (
	"context"
	"encoding/json"
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
	standin.Desk
	heard []string
}

func failing(failure standin.Failure) *provider {
	return &provider{Desk: standin.Desk{Fail: func(int) standin.Failure { return failure }}}
}

func (p *provider) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	p.Take(w, req, func(w http.ResponseWriter, req *http.Request) {
		p.heard = append(p.heard, string(standin.Body(req)))
		w.Header().Set("X-Heard", "yes")
		standin.Answer(w, http.StatusAccepted, "taken")
	}, func(status int, echo []byte) { standin.Answer(w, status, "no "+string(echo)) })
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
			p := failing(test.failure)
			w := p.ask(t.Context())
			require.Equal(t, test.status, w.Code)
			require.JSONEq(t, test.answer, w.Body.String())
			require.Equal(t, "application/json", w.Header().Get("Content-Type"))
			require.Equal(t, test.failure.RetryAfter, w.Header().Get("Retry-After"))
			require.Equal(t, test.status != 202, w.Header().Get("X-Heard") == "", "the answer that was lost is not seen")
			require.Equal(t, test.heard, p.heard)
			require.Equal(t, 1, p.Requests)
		})
	}
}

func TestReset(t *testing.T) {
	t.Parallel()
	for after, heard := range map[bool][]string{false: nil, true: {"hello"}} {
		p := failing(standin.Failure{Reset: true, After: after})
		require.PanicsWithValue(t, http.ErrAbortHandler, func() { p.ask(t.Context()) })
		require.Equal(t, heard, p.heard)
	}
}

func TestClientLeaves(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p := failing(standin.Failure{Delay: time.Hour})
	p.ask(ctx)
	require.Empty(t, p.heard)
}

func TestStrict(t *testing.T) {
	t.Parallel()
	for body, good := range map[string]bool{
		`{"a": 1}`: true, `{}`: true, `{"a": 1} `: true,
		`{"a": 1.0}`: false, `{"b": 1}`: false, `{"a": "1"}`: false, `{"a": 1} {}`: false, `{"a": 1}]`: false, `{"a"`: false, ``: false,
	} {
		var into struct{ A int }
		require.Equal(t, good, standin.Strict([]byte(body), &into) == nil, body)
	}
}

func TestDesk(t *testing.T) {
	t.Parallel()
	var asked []int
	p := &provider{}
	p.Fail = func(n int) standin.Failure {
		asked = append(asked, n)
		return standin.Failure{}
	}
	for range 2 {
		require.Equal(t, http.StatusAccepted, p.ask(t.Context()).Code)
	}
	require.Equal(t, []int{1, 2}, asked)
	p.Lock()
	p.Refuse("a field")
	p.Note("another")
	p.Unlock()
	require.Equal(t, 1, p.Refused)
	require.Equal(t, []string{"a field", "another"}, p.Refusals())
	got, known := standin.Get(&p.Desk, map[string]int{"a": 1}, "a")
	require.True(t, known)
	require.Equal(t, 1, got)
	_, known = standin.Get(&p.Desk, map[string]int{"a": 1}, "b")
	require.False(t, known)
}

// TestOneAtATime: whoever does not finish the request does not keep others from the desk.
func TestOneAtATime(t *testing.T) {
	t.Parallel()
	p := &provider{}
	slow, never := io.Pipe()
	started := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		body := io.MultiReader(readFunc(func() { close(started) }), slow)
		p.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/", body))
	}()
	<-started
	require.Equal(t, http.StatusAccepted, p.ask(t.Context()).Code)
	require.NoError(t, never.CloseWithError(io.ErrUnexpectedEOF))
	<-done
	require.Equal(t, []string{"hello"}, p.heard)
}

// readFunc is a body that ends at once, after a call.
type readFunc func()

func (f readFunc) Read([]byte) (int, error) {
	f()
	return 0, io.EOF
}

func TestOnce(t *testing.T) {
	t.Parallel()
	now := time.Unix(1, 0)
	once := standin.Once{Window: time.Hour, Now: func() time.Time { return now }}
	require.True(t, once.Keep("a", "1", []byte(`1`)))
	require.True(t, once.Keep("b", "1", []byte(`2`)), "another name")
	now = now.Add(time.Hour)
	require.False(t, once.Keep("a", "1", []byte(`3`)))
	first, ok := once.Get("a", "1")
	require.True(t, ok)
	require.Equal(t, "1", string(first))
	now = now.Add(time.Second)
	require.True(t, once.Keep("a", "1", []byte(`4`)), "it is forgotten")
	_, ok = once.Get("a", "2")
	require.False(t, ok)
}

func TestForms(t *testing.T) {
	t.Parallel()
	hash := strings.Repeat("0123456789abcdef", 4)
	for name, is := range map[string]bool{
		"Hash": standin.IsSHA256(hash), "Currency": standin.IsCurrency("DKK"), "IP": standin.IsIP("2001:db8::1"), "Seconds": standin.IsUnixSeconds(1741083330),
		"Email": standin.HasEmail("", "https://shop.example.com/?m=a%40example.com"), "EmailInPath": standin.HasEmail("https://shop.example.com/a@example.com"),
		"Secret": standin.IsSecret("a", "a"),
	} {
		require.True(t, is, name)
	}
	for name, is := range map[string]bool{
		"UpperHash": standin.IsSHA256(strings.ToUpper(hash)), "ShortHash": standin.IsSHA256(hash[1:]), "NoHash": standin.IsSHA256(""),
		"LowerCurrency": standin.IsCurrency("dkk"), "NoIP": standin.IsIP("x"), "Millis": standin.IsUnixSeconds(1741083330000), "Zero": standin.IsUnixSeconds(0),
		"NoEmail": standin.HasEmail("https://shop.example.com/@brand"), "Secret": standin.IsSecret("", "a"),
	} {
		require.False(t, is, name)
	}
}

func TestEach(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{`[{"A":1},{"A":2}]`: "", `[{"A":1},{"A":-1}]`: "A", `[{"A":1},{"B":2}]`: "data: an event has an unknown field or a wrong type"} {
		var list []json.RawMessage
		require.NoError(t, json.Unmarshal([]byte(body), &list))
		values, problem := standin.Each(list, func(v struct{ A int }) string {
			if v.A < 0 {
				return "A"
			}
			return ""
		})
		require.Equal(t, want, problem)
		require.Equal(t, problem == "", len(values) == 2, "all or none")
	}
}
