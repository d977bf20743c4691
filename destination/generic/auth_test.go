package generic_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/destination"
	"kvit/destination/destinationtest"
	"kvit/destination/generic"
	"kvit/destination/generic/generictest"
)

func TestAuth(t *testing.T) {
	t.Parallel()
	for name, auth := range map[string]string{
		"Basic": `{basic: {user: kvit, password: "${SECRET}"}}`, "Bearer": `{bearer: "${SECRET}"}`,
		"Header": `{header: {name: X-Api-Key, value: "${SECRET}"}}`, "Query": `{query: {name: api_key, value: "${SECRET}"}}`,
		"OAuth2":       `{oauth2: {token_url: ORIGIN/token, client_id: "kv:it", client_secret: "${SECRET}", scope: a}}`,
		"OAuth2InBody": `{oauth2: {token_url: ORIGIN/token, client_id: kvit, client_secret: "${SECRET}", audience: b, credentials_in: body}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			provider := generictest.New(secret, nil)
			origin := destinationtest.Serve(t, provider)
			event := destinationtest.EventWith(t, "order_paid", `{}`)
			for _, text := range []string{
				"    auth: " + auth + "\n" + withRequest(`        query: {id: "{event.key}"}`+"\n"),
				withRequest("        auth: " + auth + "\n" + `        query: {id: "{event.key}"}` + "\n"),
			} {
				require.Equal(t, http.StatusOK, destinationtest.Deliver(t, at(t, text, origin), event))
			}
			require.Zero(t, provider.Counts().Refused)
		})
	}
	t.Run("None", func(t *testing.T) {
		t.Parallel()
		d := at(t, withRequest(`        query: {id: "{event.key}"}`+"\n"), destinationtest.Serve(t, generictest.New(secret, nil)))
		require.Equal(t, destination.Unauthorized, destinationtest.Fail(t, d, destinationtest.EventWith(t, "order_paid", `{}`)).Kind)
	})
}

// TestSignedTime: the password is made of the time that the header tells.
func TestSignedTime(t *testing.T) {
	t.Parallel()
	origin, last := destinationtest.Recording(t, 200, "")
	d := at(t, `    auth: {basic: {user: key, password: "${SECRET}", signed_header: X-Request-Timestamp}}`+"\n"+withRequest("        query: {a: 1}\n"), origin)
	destinationtest.Deliver(t, d, destinationtest.EventWith(t, "order_paid", `{}`))
	told := last().Header.Get("X-Request-Timestamp")
	at, err := http.ParseTime(told)
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), at, time.Minute)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(told))
	signature := base64.StdEncoding.EncodeToString([]byte(hex.EncodeToString(mac.Sum(nil))))
	require.Equal(t, "Basic "+base64.StdEncoding.EncodeToString([]byte("key:"+signature)), last().Header.Get("Authorization"))
}

const asOAuth = `
    allow_private: true
    auth: {oauth2: {token_url: ORIGIN/token, client_id: kvit, client_secret: "${SECRET}"}}
    url: ORIGIN/events
    deduplicates: event.key
    requests: {search: {json: {id: "{event.key}"}}}
`

func search(t *testing.T, key string) destination.Event {
	event := destinationtest.Event(t, "search")
	event.Key = key
	return event
}

// TestTokenIsAskedForOnce: by all that wait for it, and again only when it ends.
func TestTokenIsAskedForOnce(t *testing.T) {
	t.Parallel()
	provider := generictest.New(secret, nil)
	provider.Life = 3600
	waiting := make(chan struct{})
	origin := destinationtest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == generictest.TokenPath {
			<-waiting
		}
		provider.ServeHTTP(w, req)
	}))
	d := at(t, asOAuth, origin)
	var group sync.WaitGroup
	for _, key := range strings.Split("abcdefgh", "") {
		event := search(t, key)
		group.Go(func() {
			_, err := d.Send(t.Context(), event)
			require.NoError(t, err)
		})
	}
	close(waiting)
	group.Wait()
	destinationtest.Deliver(t, d, search(t, "later"))
	require.Equal(t, generictest.Counts{Requests: 10, Events: 9, Tokens: 1}, provider.Counts())
}

func TestTokenEnds(t *testing.T) {
	t.Parallel()
	t.Run("Revoked", func(t *testing.T) {
		t.Parallel()
		provider := generictest.New(secret, nil)
		d := at(t, asOAuth, destinationtest.Serve(t, provider))
		destinationtest.Deliver(t, d, search(t, "a"))
		provider.Revoke()
		destinationtest.Deliver(t, d, search(t, "b"))
		require.Equal(t, generictest.Counts{Requests: 5, Refused: 1, Events: 2, Tokens: 3}, provider.Counts())
	})
	t.Run("NeverGood", func(t *testing.T) {
		t.Parallel()
		var events atomic.Int64
		provider := generictest.New(secret, nil)
		d := at(t, asOAuth, destinationtest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.URL.Path == generictest.TokenPath {
				provider.ServeHTTP(w, req)
				return
			}
			events.Add(1)
			w.WriteHeader(http.StatusUnauthorized)
		})))
		for range 2 {
			require.Equal(t, destination.Unauthorized, destinationtest.Fail(t, d, search(t, "a")).Kind)
		}
		require.EqualValues(t, 2, events.Load(), "a token that is new is not replaced")
	})
	t.Run("Expired", func(t *testing.T) {
		t.Parallel()
		provider := generictest.New(secret, nil)
		provider.Life = 1
		d := at(t, asOAuth, destinationtest.Serve(t, provider))
		require.Eventually(t, func() bool {
			destinationtest.Deliver(t, d, search(t, "a"))
			return provider.Counts().Tokens > 1
		}, 10*time.Second, 50*time.Millisecond)
		require.Zero(t, provider.Counts().Refused)
	})
}

// TestNoToken: without one nothing is sent, and the outcome says why.
func TestNoToken(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status int
		body   string
		kind   destination.Kind
		reason string
	}{
		"Client":    {401, `{"error": "invalid_client"}`, destination.Unauthorized, "no access token: the provider did not accept the credentials"},
		"Scope":     {400, `{"error": "invalid_scope"}`, destination.Unauthorized, "no access token: the provider did not accept the credentials"},
		"Address":   {404, ``, destination.Misconfigured, "no access token: nothing gives them at this address"},
		"Refused":   {422, ``, destination.Unauthorized, "no access token: the provider did not accept the credentials"},
		"Throttled": {429, ``, destination.Throttled, "no access token: the provider asked to slow down"},
		"Down":      {500, ``, destination.Unreachable, "no access token: the provider had an error of its own"},
		"NoJSON":    {200, `<html>`, destination.Misconfigured, "no access token: the answer holds none: check the address"},
		"Empty":     {200, `{"access_token": ""}`, destination.Misconfigured, "no access token: the answer holds none: check the address"},
		"NoHeader":  {200, `{"access_token": "a\r\nb"}`, destination.Misconfigured, "no access token: the answer holds none: check the address"},
		"Redirect":  {302, ``, destination.Misconfigured, "no access token: the provider answered with a redirect; set the address it leads to"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var others atomic.Int64
			d := at(t, asOAuth, destinationtest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				if req.URL.Path != generictest.TokenPath {
					others.Add(1)
				}
				w.Header().Set("Retry-After", "300")
				w.WriteHeader(test.status)
				_, _ = w.Write([]byte(test.body))
			})))
			failed := destinationtest.Fail(t, d, search(t, "a"))
			require.Equal(t, test.kind, failed.Kind)
			require.Equal(t, test.reason, failed.Reason)
			require.Equal(t, test.status, failed.Code)
			require.Equal(t, test.kind == destination.Throttled, failed.RetryAfter == 300*time.Second)
			require.Zero(t, others.Load())
		})
	}
	t.Run("Closed", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, destination.Unreachable, destinationtest.Fail(t, at(t, asOAuth, "http://127.0.0.1:1"), search(t, "a")).Kind)
	})
}

// TestWhoLeavesDoesNotTakeTheTokenAlong: others wait for the same one.
func TestWhoLeavesDoesNotTakeTheTokenAlong(t *testing.T) {
	t.Parallel()
	provider := generictest.New(secret, nil)
	asked, answer := make(chan struct{}), make(chan struct{})
	d := at(t, asOAuth, destinationtest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == generictest.TokenPath {
			close(asked)
			<-answer
		}
		provider.ServeHTTP(w, req)
	})))
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan error)
	event := search(t, "a")
	go func() {
		_, err := d.Send(ctx, event)
		left <- err
	}()
	<-asked
	cancel()
	require.Equal(t, &destination.Error{Kind: destination.Unreachable, Reason: "no access token: cancelled while waiting for one"}, <-left)
	close(answer)
	destinationtest.Deliver(t, d, search(t, "b"))
	require.Equal(t, 1, provider.Counts().Tokens)
}

func TestProve(t *testing.T) {
	t.Parallel()
	provider := generictest.New(secret, nil)
	origin := destinationtest.Serve(t, provider)
	proved, err := at(t, asOAuth, origin).(destination.Prober).Prove(t.Context())
	require.NoError(t, err)
	require.Equal(t, "the client's credentials give an access token; not proved that the provider takes events with it", proved)
	require.Equal(t, generictest.Counts{Requests: 1, Tokens: 1}, provider.Counts())

	elsewhere := strings.Replace(asOAuth, "url: ORIGIN/events", "url: http://127.0.0.1:1/events", 1)
	_, err = at(t, elsewhere, origin).(destination.Prober).Prove(t.Context())
	require.EqualError(t, err, "connection refused")
	_, err = at(t, asOAuth, destinationtest.Answering(t, 401, "")).(destination.Prober).Prove(t.Context())
	require.EqualError(t, err, "no access token: the provider did not accept the credentials (HTTP 401)")

	_, proves := at(t, asQuery, origin).(destination.Prober)
	require.False(t, proves)
	require.NoError(t, at(t, asQuery, origin).(*generic.HTTP).Reach(t.Context()))
	require.EqualError(t, at(t, asQuery, "http://127.0.0.1:1").(*generic.HTTP).Reach(t.Context()), "connection refused")
}

// TestErrorsShowNoAddress: whatever fails, no part of the address is told, since it holds values.
func TestErrorsShowNoAddress(t *testing.T) {
	t.Parallel()
	text := strings.Replace(withRequest("        url: ORIGIN/{customer.first_name}\n        query: {a: \"{customer.first_name}\"}\n"), "deduplicates: none", "auth: {query: {name: k, value: \"${SECRET}\"}}\n    deduplicates: none", 1)
	for _, origin := range []string{"http://127.0.0.1:1", "http://nobody.invalid", "https://127.0.0.1:1", destinationtest.Answering(t, 302, "", "Location", "/x"), destinationtest.Answering(t, 500, "")} {
		for _, name := range []string{destinationtest.Marker, "%zz\x00" + destinationtest.Marker, "../" + destinationtest.Marker} {
			event := destinationtest.EventWith(t, "order_paid", string(destination.JSON(map[string]any{"customer": map[string]string{"first_name": name}})))
			failed := destinationtest.Fail(t, at(t, text, origin), event)
			u, err := url.Parse(origin)
			require.NoError(t, err)
			for _, hidden := range []string{destinationtest.Marker, secret, u.Host} {
				require.NotContains(t, failed.Error(), hidden)
			}
		}
	}
}
