package web

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
)

// maxConnections bounds the open connections of the port. A few probes and scrapers need one or two each.
const maxConnections = 64

// connections bounds how many are open, without letting whoever holds many keep others out: a new one
// takes the place of the one that has been without a request for longest. Only where each has a request
// under way is the new one closed, and those end by the server's timeouts.
type connections struct {
	net.Listener
	most int

	mu    sync.Mutex
	open  map[*connection]struct{}
	clock uint64 // counts what changes, so that the smallest is the oldest
}

type connection struct {
	net.Conn
	all   *connections
	since uint64 // when it was accepted or its last request ended, by the clock of all
	busy  bool   // a request is under way
}

func boundConnections(l net.Listener, most int) *connections {
	return &connections{Listener: l, most: most, open: map[*connection]struct{}{}}
}

// Accept returns the next connection that there is room for.
func (c *connections) Accept() (net.Conn, error) {
	for {
		accepted, err := c.Listener.Accept()
		if err != nil {
			return nil, err
		}
		added, left := c.add(accepted)
		if left != nil {
			_ = left.Close()
		}
		if added != nil {
			return added, nil
		}
	}
}

// add returns the connection as one of all, or nil if there is no room, and what has to be closed.
func (c *connections) add(accepted net.Conn) (added *connection, left net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.open) >= c.most {
		oldest := c.longestIdle()
		if oldest == nil {
			return nil, accepted
		}
		delete(c.open, oldest)
		left = oldest.Conn
	}
	c.clock++
	added = &connection{Conn: accepted, all: c, since: c.clock}
	c.open[added] = struct{}{}
	return added, left
}

func (c *connections) longestIdle() *connection {
	var oldest *connection
	for one := range c.open {
		if !one.busy && (oldest == nil || one.since < oldest.since) {
			oldest = one
		}
	}
	return oldest
}

// Close ends the connection and gives its place back.
func (c *connection) Close() error {
	c.all.mu.Lock()
	delete(c.all.open, c)
	c.all.mu.Unlock()
	return c.Conn.Close()
}

func (c *connection) setBusy(busy bool) {
	c.all.mu.Lock()
	defer c.all.mu.Unlock()
	c.all.clock++
	c.busy, c.since = busy, c.all.clock
}

type connectionKey struct{}

// withConnection lets a request find its connection: http.Server.ConnContext.
func withConnection(ctx context.Context, c net.Conn) context.Context {
	if secret, ok := c.(*tls.Conn); ok {
		c = secret.NetConn()
	}
	return context.WithValue(ctx, connectionKey{}, c)
}

// marksBusy keeps a connection from being closed in favour of another while it is answered.
func marksBusy(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, ok := r.Context().Value(connectionKey{}).(*connection); ok {
			c.setBusy(true)
			defer c.setBusy(false)
		}
		next.ServeHTTP(w, r)
	})
}
