package web_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"kvit/web"
)

func listen(t *testing.T, ready func(context.Context) error) string {
	t.Helper()
	s, err := web.Listen(t.Context(), web.Options{Listen: "127.0.0.1:0", Ready: ready, Metrics: prometheus.NewRegistry(), Logger: quiet})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s.Addr()
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	c, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(20*time.Second)))
	return c
}

func ask(t *testing.T, address string) int {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/healthz", nil)
	require.NoError(t, err)
	res, err := client.Do(req)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	return res.StatusCode
}

// 300 sockets that say nothing, and 300 that have said half a line, keep no probe out, and the oldest are
// closed long before any timeout.
func TestIdleConnectionsKeepNobodyOut(t *testing.T) {
	t.Parallel()
	for name, says := range map[string]string{"Mute": "", "Halting": "GET /heal"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := listen(t, nil)
			began := time.Now()
			var flood []net.Conn
			for range 300 {
				c := dial(t, address)
				_, _ = io.WriteString(c, says) // fails where it was closed meanwhile
				flood = append(flood, c)
			}
			require.Equal(t, http.StatusOK, ask(t, address))
			for _, c := range flood[:300-64] {
				_, err := c.Read(make([]byte, 1))
				require.Error(t, err)
				require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "it is still open")
			}
			require.Less(t, time.Since(began), 5*time.Second, "closed by the bound, not by a timeout")
		})
	}
}

// A connection with a request under way is not closed in favour of others.
func TestRequestsUnderWayAreKept(t *testing.T) {
	t.Parallel()
	asked, answer := make(chan struct{}), make(chan struct{})
	address := listen(t, func(context.Context) error {
		close(asked)
		<-answer
		return nil
	})
	first := dial(t, address)
	_, err := io.WriteString(first, "GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
	require.NoError(t, err)
	<-asked
	for range 100 {
		dial(t, address)
	}
	require.Equal(t, http.StatusOK, ask(t, address))
	close(answer)
	line := make([]byte, len("HTTP/1.1 200"))
	_, err = io.ReadFull(first, line)
	require.NoError(t, err)
	require.Equal(t, "HTTP/1.1 200", string(line))
}

func TestLongHeadersAreRefused(t *testing.T) {
	t.Parallel()
	c := dial(t, listen(t, nil))
	_, _ = io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: x\r\nX: "+strings.Repeat("x", 64<<10)+"\r\n\r\n")
	line := make([]byte, len("HTTP/1.1 431"))
	_, err := io.ReadFull(c, line)
	require.NoError(t, err)
	require.Equal(t, "HTTP/1.1 431", string(line))
}

// With a certificate the port speaks TLS alone, and connections with a request under way are known all the same.
func TestTLS(t *testing.T) {
	t.Parallel()
	issuer := httptest.NewTLSServer(nil)
	t.Cleanup(issuer.Close)
	s, err := web.Listen(t.Context(), web.Options{
		Listen: "127.0.0.1:0", Metrics: prometheus.NewRegistry(), Logger: quiet,
		TLS: &tls.Config{Certificates: issuer.TLS.Certificates, MinVersion: tls.VersionTLS12},
		Pages: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "page "+r.URL.Path)
		}),
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	client := issuer.Client()
	for path, want := range map[string]string{"/orders": "page /orders", "/healthz": "ok\n"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+s.Addr()+path, nil)
		require.NoError(t, err)
		res, err := client.Do(req)
		require.NoError(t, err)
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, want, string(body))
	}
	require.Equal(t, http.StatusBadRequest, ask(t, s.Addr()), "plain HTTP")
}
