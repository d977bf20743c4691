package destination_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/destination"
)

// tokenServer gives tokens, and counts how often it was asked.
type tokenServer struct {
	asked  atomic.Int64
	mu     sync.Mutex
	answer func(w http.ResponseWriter, req *http.Request)
}

func (s *tokenServer) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	s.asked.Add(1)
	s.mu.Lock()
	answer := s.answer
	s.mu.Unlock()
	answer(w, req)
}

func (s *tokenServer) answers(status int, body string, headers ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

type clock struct{ nanos atomic.Int64 }

func (c *clock) now() time.Time              { return time.Unix(1741083330, c.nanos.Load()) }
func (c *clock) pass(duration time.Duration) { c.nanos.Add(int64(duration)) }

func setupTokens(t *testing.T) (*destination.Tokens, *tokenServer, *clock) {
	t.Helper()
	server, clock := &tokenServer{}, &clock{}
	listening := httptest.NewServer(server)
	t.Cleanup(listening.Close)
	return destination.NewTokens(destination.NewClient(destination.ClientOptions{AllowPrivate: true}), destination.TokenOptions{
		Address: listening.URL, Now: clock.now, Header: http.Header{"Authorization": {"Basic eA=="}},
		Grant: func(time.Time) (url.Values, error) { return url.Values{"grant_type": {"client_credentials"}}, nil },
	}), server, clock
}

func TestTokenIsKeptAndRenewedEarly(t *testing.T) {
	t.Parallel()
	tokens, server, clock := setupTokens(t)
	server.answers(200, `{"access_token": "one", "expires_in": 3600}`)
	for range 3 {
		token, failed := tokens.Get(t.Context())
		require.Nil(t, failed)
		require.Equal(t, "one", token)
	}
	clock.pass(54 * time.Minute)
	_, _ = tokens.Get(t.Context())
	require.EqualValues(t, 1, server.asked.Load())

	server.answers(200, `{"access_token": "two", "expires_in": "3600"}`) // a text, as some write it
	clock.pass(2 * time.Minute)
	token, failed := tokens.Get(t.Context())
	require.Nil(t, failed)
	require.Equal(t, "two", token, "before the first has expired")
	require.EqualValues(t, 2, server.asked.Load())
}

// TestTokenOutlivesItsRenewal: as long as the old token is valid, a token endpoint that is down holds nothing up.
func TestTokenOutlivesItsRenewal(t *testing.T) {
	t.Parallel()
	tokens, server, clock := setupTokens(t)
	server.answers(200, `{"access_token": "one", "expires_in": 3600}`)
	_, _ = tokens.Get(t.Context())
	server.answers(503, "")
	clock.pass(56 * time.Minute)
	token, failed := tokens.Get(t.Context())
	require.Nil(t, failed)
	require.Equal(t, "one", token)
	clock.pass(5 * time.Minute)
	_, failed = tokens.Get(t.Context())
	require.Equal(t, &destination.Error{Kind: destination.Unreachable, Code: 503, Reason: "no access token: the provider had an error of its own"}, failed)
}

func TestTokenIsAskedForOnce(t *testing.T) {
	t.Parallel()
	tokens, server, _ := setupTokens(t)
	waiting := make(chan struct{})
	server.answer = func(w http.ResponseWriter, _ *http.Request) {
		<-waiting
		_, _ = io.WriteString(w, `{"access_token": "one", "expires_in": 3600}`)
	}
	// Whoever asks first leaves; the others get the token all the same.
	first, leave := context.WithCancel(t.Context())
	left := make(chan *destination.Error)
	go func() {
		_, failed := tokens.Get(first)
		left <- failed
	}()
	require.Eventually(t, func() bool { return server.asked.Load() == 1 }, 10*time.Second, time.Millisecond)
	leave()
	require.Equal(t, destination.Unreachable, (<-left).Kind)

	var others sync.WaitGroup
	for range 20 {
		others.Go(func() {
			token, failed := tokens.Get(t.Context())
			if failed != nil || token != "one" {
				t.Error(token, failed)
			}
		})
	}
	close(waiting)
	others.Wait()
	require.EqualValues(t, 1, server.asked.Load())
}

func TestTokenFailures(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status int
		body   string
		kind   destination.Kind
		reason string
	}{
		"Grant":     {400, `{"error": "invalid_grant", "error_description": "Qmarker"}`, destination.Unauthorized, "no access token: the provider did not accept the credentials"},
		"Client":    {401, `{"error": "invalid_client"}`, destination.Unauthorized, "no access token: the provider did not accept the credentials"},
		"Forbidden": {403, ``, destination.Unauthorized, "no access token: the provider did not accept the credentials"},
		"Address":   {404, ``, destination.Misconfigured, "no access token: nothing gives them at this address"},
		"Redirect":  {302, ``, destination.Misconfigured, "no access token: the provider answered with a redirect; set the address it leads to"},
		"Limit":     {429, ``, destination.Throttled, "no access token: the provider asked to slow down"},
		"Own":       {500, ``, destination.Unreachable, "no access token: the provider had an error of its own"},
		"Page":      {200, `<html>Qmarker`, destination.Misconfigured, "no access token: the answer holds none: check the address"},
		"NoText":    {200, `{"access_token": 7}`, destination.Misconfigured, "no access token: the answer holds none: check the address"},
		"NoHeader":  {200, `{"access_token": "a\nb"}`, destination.Misconfigured, "no access token: the answer holds none: check the address"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tokens, server, clock := setupTokens(t)
			server.answers(test.status, test.body)
			for range 3 { // it is not asked again at once
				_, failed := tokens.Get(t.Context())
				require.Equal(t, test.kind, failed.Kind)
				require.Equal(t, test.reason, failed.Reason)
				failed.Reason = "callers may add to it"
			}
			require.EqualValues(t, 1, server.asked.Load())

			server.answers(200, `{"access_token": "one"}`)
			clock.pass(3 * time.Second)
			token, failed := tokens.Get(t.Context())
			require.Nil(t, failed)
			require.Equal(t, "one", token)
		})
	}
}

// TestTokenThatIsNotAccepted: one from before may have been revoked; a new one is not at fault.
func TestTokenThatIsNotAccepted(t *testing.T) {
	t.Parallel()
	tokens, server, _ := setupTokens(t)
	server.answers(200, `{"access_token": "one", "expires_in": 3600}`)
	var sent []string
	with := func(answers ...*destination.Error) *destination.Error {
		sent = nil
		return tokens.With(t.Context(), func(token string) *destination.Error {
			sent = append(sent, token)
			return answers[len(sent)-1]
		})
	}
	unauthorized := &destination.Error{Kind: destination.Unauthorized, Code: 401}
	require.Same(t, unauthorized, with(unauthorized))
	require.Equal(t, []string{"one"}, sent, "it was new")
	require.Nil(t, with(nil))
	require.EqualValues(t, 2, server.asked.Load(), "it was forgotten")

	server.answers(200, `{"access_token": "two", "expires_in": 3600}`)
	forbidden := &destination.Error{Kind: destination.Unauthorized, Code: 403}
	require.Same(t, forbidden, with(forbidden))
	require.Equal(t, []string{"one"}, sent, "another token has the same rights")
	require.Nil(t, with(unauthorized, nil))
	require.Equal(t, []string{"one", "two"}, sent)
	server.answers(200, `{"access_token": "three", "expires_in": 3600}`)
	require.Same(t, unauthorized, with(unauthorized, unauthorized))
	require.Equal(t, []string{"two", "three"}, sent, "not for ever")
	require.EqualValues(t, 4, server.asked.Load())

	var sentAgain []string
	server.answers(200, `{"access_token": "four", "expires_in": 3600}`)
	require.Nil(t, with(nil))
	server.answers(200, `{"access_token": "five", "expires_in": 3600}`)
	require.Nil(t, tokens.With(t.Context(), func(token string) *destination.Error {
		sentAgain = append(sentAgain, token)
		if token == "five" {
			return nil
		}
		require.Nil(t, with(unauthorized, nil), "another has replaced it meanwhile")
		return unauthorized
	}))
	require.Equal(t, []string{"four", "five"}, sentAgain)
	require.EqualValues(t, 6, server.asked.Load(), "what has replaced it is not forgotten")

	_ = with(unauthorized, unauthorized)
	server.answers(401, ``)
	require.Equal(t, "no access token: the provider did not accept the credentials", with().Reason)
	require.Empty(t, sent)
}

func TestTokenRequest(t *testing.T) {
	t.Parallel()
	tokens, server, _ := setupTokens(t)
	server.answer = func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		if req.Method+" "+req.Header.Get("Content-Type")+" "+req.Header.Get("Authorization")+" "+string(body) ==
			"POST application/x-www-form-urlencoded Basic eA== grant_type=client_credentials" {
			_, _ = io.WriteString(w, `{"access_token": "one"}`)
		}
	}
	token, failed := tokens.Get(t.Context())
	require.Nil(t, failed)
	require.Equal(t, "one", token)
}

func TestTokenWithoutAnAddress(t *testing.T) {
	t.Parallel()
	unreachable := destination.NewTokens(destination.NewClient(destination.ClientOptions{AllowPrivate: true}), destination.TokenOptions{
		Address: "http://127.0.0.1:1", Grant: func(time.Time) (url.Values, error) { return nil, nil },
	})
	_, failed := unreachable.Get(t.Context())
	require.Equal(t, &destination.Error{Kind: destination.Unreachable, Reason: "no access token: connection refused"}, failed)
	private := destination.NewTokens(destination.NewClient(destination.ClientOptions{}), destination.TokenOptions{
		Address: "http://127.0.0.1:1", Grant: func(time.Time) (url.Values, error) { return nil, nil },
	})
	_, failed = private.Get(t.Context())
	require.Equal(t, destination.Misconfigured, failed.Kind, "the guard of addresses holds here, too")
	unsigned := destination.NewTokens(nil, destination.TokenOptions{Grant: func(time.Time) (url.Values, error) { return nil, errors.New("x") }})
	_, failed = unsigned.Get(t.Context())
	require.Equal(t, "no access token: the key cannot sign", failed.Reason)
}

func FuzzTokenAnswer(f *testing.F) {
	f.Add([]byte(`{"access_token": "ya29.example", "token_type": "Bearer", "expires_in": 3599}`))
	f.Add([]byte(`{"access_token": "a", "expires_in": -1e99}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		tokens, server, _ := setupTokens(t)
		server.answers(200, string(body))
		if token, failed := tokens.Get(t.Context()); failed == nil {
			require.Regexp(t, `^[!-~]+$`, token, "it becomes a header")
		}
	})
}

func FuzzReadServiceAccount(f *testing.F) {
	f.Add(`{"type": "service_account", "client_email": "kvit@example.com", "private_key": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"}`)
	f.Add(`{"type": "authorized_user"}`)
	f.Add(`null`)
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := destination.ReadServiceAccount(text); err != nil {
			require.EqualError(t, err, "must be the JSON key of a service account", "the text of the error is not made of what was read")
		}
	})
}
