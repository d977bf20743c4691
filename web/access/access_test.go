package access

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Who guesses has ten attempts, and another each half minute; others are not slowed down.
func TestThrottle(t *testing.T) {
	t.Parallel()
	now := time.Now()
	throttle := newThrottle(func() time.Time { return now })
	for range attempts {
		require.True(t, throttle.admit("192.0.2.1"))
	}
	require.False(t, throttle.admit("192.0.2.1"))
	require.True(t, throttle.admit("192.0.2.2"))
	now = now.Add(attemptEvery)
	require.True(t, throttle.admit("192.0.2.1"))
	require.False(t, throttle.admit("192.0.2.1"))
}

// However many addresses try, no more are remembered than there is room for, and those that guess stay slowed down while others
// can be forgotten.
func TestThrottleForgets(t *testing.T) {
	t.Parallel()
	now := time.Now()
	throttle := newThrottle(func() time.Time { return now })
	for i := range maxAddresses - 1 {
		throttle.admit(fmt.Sprint("a", i))
	}
	now = now.Add(attemptEvery)
	for range attempts {
		throttle.admit("guesses")
	}
	throttle.admit("one more")
	require.LessOrEqual(t, len(throttle.limiters), maxAddresses)
	require.False(t, throttle.admit("guesses"))
}

func TestClientAddress(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		socket    string
		forwarded []string
		hops      int
		want      string
	}{
		"Socket":        {"192.0.2.1:555", []string{"198.51.100.9"}, 0, "192.0.2.1"},
		"OneProxy":      {"10.0.0.1:555", []string{"203.0.113.5"}, 1, "203.0.113.5"},
		"Invented":      {"10.0.0.1:555", []string{"198.51.100.9, 203.0.113.5"}, 1, "203.0.113.5"},
		"TwoProxies":    {"10.0.0.1:555", []string{"198.51.100.9, 203.0.113.5", "10.0.0.2"}, 2, "203.0.113.5"},
		"PastTheProxy":  {"192.0.2.1:555", nil, 1, "192.0.2.1"},
		"Unreadable":    {"10.0.0.1:555", []string{"what?"}, 1, "unknown"},
		"WithPort":      {"10.0.0.1:555", []string{"203.0.113.5:4711"}, 1, "203.0.113.5"},
		"NetworkOfIPv6": {"[2001:db8:1:2:3:4:5:6]:555", nil, 0, "2001:db8:1:2::/64"},
		"MappedIPv4":    {"[::ffff:192.0.2.1]:555", nil, 0, "192.0.2.1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/login", nil)
			r.RemoteAddr = test.socket
			for _, value := range test.forwarded {
				r.Header.Add("X-Forwarded-For", value)
			}
			require.Equal(t, test.want, clientAddress(r, test.hops))
		})
	}
}

// Behind TLS the cookie is one that no other host and no plain connection can set.
func TestSecureCookie(t *testing.T) {
	t.Parallel()
	m := newSessions(nil, true)
	require.Equal(t, "__Host-kvit", m.Cookie.Name)
	require.True(t, m.Cookie.Secure)
	require.True(t, m.Cookie.HttpOnly)
	require.Equal(t, http.SameSiteStrictMode, m.Cookie.SameSite)
	require.Equal(t, "/", m.Cookie.Path)
	require.True(t, m.HashTokenInStore)
}
