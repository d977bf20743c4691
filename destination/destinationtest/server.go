package destinationtest

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// Request is a request as it came.
type Request struct {
	Method, Path string
	Header       http.Header
	Body         string
}

// recorder keeps every request and lets next answer.
type recorder struct {
	next     http.HandlerFunc
	mu       sync.Mutex
	requests []Request
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err == nil {
		r.mu.Lock()
		r.requests = append(r.requests, Request{Method: req.Method, Path: req.RequestURI, Header: req.Header.Clone(), Body: string(body)})
		r.mu.Unlock()
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	r.next(w, req)
}

func (r *recorder) all() []Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.requests)
}

// Serve lets handler answer at the address that it returns, until the test ends.
func Serve(t *testing.T, handler http.Handler) string {
	t.Helper()
	url, _ := serveCounting(t, handler)
	return url
}

// serveCounting also counts the connections.
func serveCounting(t *testing.T, handler http.Handler) (url string, connections *atomic.Int64) {
	connections = new(atomic.Int64)
	server := httptest.NewUnstartedServer(handler)
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server.URL, connections
}

// hang reads the request and answers no more until the client leaves.
func hang(_ http.ResponseWriter, req *http.Request) {
	_, _ = io.Copy(io.Discard, req.Body)
	<-req.Context().Done()
}

func closedPort(t *testing.T) string {
	listener := listen(t)
	require.NoError(t, listener.Close())
	return listener.Addr().String()
}

func listen(t *testing.T) net.Listener {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return listener
}

// mute accepts connections and says nothing until the other side leaves.
func mute(t *testing.T) string {
	return talk(t, func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) })
}

// babbling reads a request and answers with something that is not HTTP.
func babbling(t *testing.T) string {
	return talk(t, func(conn net.Conn) {
		req, err := http.ReadRequest(bufio.NewReader(conn))
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, req.Body)
		_, _ = io.WriteString(conn, Marker+" at your service\r\n\r\n")
	})
}

func talk(t *testing.T, with func(net.Conn)) string {
	listener := listen(t)
	var group sync.WaitGroup
	group.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			group.Go(func() {
				defer conn.Close()
				with(conn)
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		group.Wait()
	})
	return listener.Addr().String()
}
