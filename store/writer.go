package store

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// ErrReadOnly says that the server takes no writes: it is a replica, or was told to be read only.
var ErrReadOnly = errors.New("the database is read only: a replica, or a server that another one has replaced")

// readOnly is the SQLSTATE of a write to such a server.
const readOnly = "25006"

// Writable returns ErrReadOnly if the server that answers takes no writes.
func Writable(ctx context.Context, db DB) error {
	var only bool
	err := db.QueryRow(ctx, `select pg_is_in_recovery() or current_setting('transaction_read_only')::boolean`).Scan(&only)
	if err != nil {
		return fmt.Errorf("ask whether the database takes writes: %w", err)
	}
	if only {
		return ErrReadOnly
	}
	return nil
}

const (
	writerLook   = 2 * time.Second // a connection that is used is asked that often whether its server takes writes
	lastLook     = "kvit: looked"  // of a connection's custom data: when that was
	writerAnswer = 5 * time.Second // how long the answer may take
)

// followWriter has the pool leave a server that takes no writes any more, though it keeps its connections open, as after
// some failovers. Connections are asked before they are used, at once if a write has been refused; where the answer is no,
// all that lead to that server are cut, River's LISTEN included, which is no connection of the pool's. With several
// hosts, new ones lead to the one that takes writes.
func followWriter(config *pgxpool.Config) {
	lines := &lines{open: map[*line]string{}}
	dial := config.ConnConfig.DialFunc
	config.ConnConfig.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return lines.add(conn), nil
	}
	refused := config.ConnConfig.OnPgError
	config.ConnConfig.OnPgError = func(conn *pgconn.PgConn, err *pgconn.PgError) bool {
		if err.Code == readOnly {
			delete(conn.CustomData(), lastLook)
		}
		return refused(conn, err)
	}
	config.PrepareConn = func(ctx context.Context, conn *pgx.Conn) (bool, error) {
		return lines.stays(ctx, conn), nil
	}
	admit := config.AfterConnect
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		// It is taken as it is, or a server that is alone and read only would be connected to without end.
		conn.PgConn().CustomData()[lastLook] = time.Now()
		if admit == nil {
			return nil
		}
		return admit(ctx, conn)
	}
	if config.ConnConfig.ValidateConnect == nil && hosts(config.ConnConfig) > 1 {
		config.ConnConfig.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
}

// hosts counts the servers in a URL.
func hosts(config *pgx.ConnConfig) int {
	all := map[string]bool{fmt.Sprint(config.Host, " ", config.Port): true}
	for _, f := range config.Fallbacks {
		all[fmt.Sprint(f.Host, " ", f.Port)] = true
	}
	return len(all)
}

// lines are the open connections, and where they lead to.
type lines struct {
	mu   sync.Mutex
	open map[*line]string
}

// line is a connection that is known while it is open.
type line struct {
	net.Conn
	all *lines
}

func (l *lines) add(conn net.Conn) net.Conn {
	added := &line{Conn: conn, all: l}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open[added] = conn.RemoteAddr().String()
	return added
}

// Close forgets the connection.
func (c *line) Close() error {
	c.all.mu.Lock()
	delete(c.all.open, c)
	c.all.mu.Unlock()
	return c.Conn.Close()
}

// cut closes all that lead to an address. Whoever uses one gets an error, and connects anew.
func (l *lines) cut(address string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c, to := range l.open {
		if to == address {
			delete(l.open, c)
			_ = c.Conn.Close()
		}
	}
}

// ownLook is in the context of a statement that finds out by itself whether its server takes writes.
type ownLook struct{ cut func() }

// ownLookKey is where it is.
type ownLookKey struct{}

// Writing marks the context of a statement that writes, and so needs no look before it: a server that takes no writes refuses it, and
// the connection is asked before it is used again.
func Writing(ctx context.Context) context.Context {
	return context.WithValue(ctx, ownLookKey{}, &ownLook{})
}

// lookingItself marks the context of a statement that asks what a look would. Where the answer is no, readOnly leaves the server.
func lookingItself(ctx context.Context) (marked context.Context, readOnly func()) {
	look := &ownLook{cut: func() {}} // db is no pool's
	return context.WithValue(ctx, ownLookKey{}, look), func() { look.cut() }
}

// stays tells whether a connection may be used.
func (l *lines) stays(ctx context.Context, conn *pgx.Conn) bool {
	data := conn.PgConn().CustomData()
	last, asked := data[lastLook].(time.Time) // not asked: a write has been refused
	look, itself := ctx.Value(ownLookKey{}).(*ownLook)
	if itself {
		address := conn.PgConn().Conn().RemoteAddr().String()
		look.cut = func() { l.cut(address) }
	}
	if asked && time.Since(last) < writerLook {
		return true
	}
	data[lastLook] = time.Now()
	if asked && itself {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, writerAnswer)
	defer cancel()
	err := Writable(ctx, conn)
	if errors.Is(err, ErrReadOnly) {
		l.cut(conn.PgConn().Conn().RemoteAddr().String())
	}
	return err == nil
}
