package store

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// searchPath is where kvit's statements, and River's, find what they name without a schema: in Postgres itself. With any
// other schema in it, whoever may create there has his own functions and operators run with kvit's rights, because one
// whose arguments fit better wins, wherever it is.
const searchPath = "pg_catalog, pg_temp"

// SearchPathCure makes a role's sessions begin with kvit's search path, also behind a pooler.
func SearchPathCure(role string) string {
	return "alter role " + QuoteColumn(role) + " set search_path = " + searchPath
}

// prepareSession sets the search path of a new connection. Behind a pooler it leaves it as it is, since the session behind
// may be handed to others, the shop perhaps: there the role's own setting has to do it, and Session tells whether it does.
func prepareSession(ctx context.Context, conn *pgx.Conn) error {
	s, err := readSession(ctx, conn)
	if err != nil || s.Pooled || s.Safe() {
		return err
	}
	if _, err := conn.Exec(ctx, `set search_path = `+searchPath); err != nil {
		return fmt.Errorf("set search path: %w", err)
	}
	return nil
}

// Session is what a connection is like.
type Session struct {
	Role       string
	Pooled     bool   // the server's process is another than the one that answered the connection: a pooler stands between
	SearchPath string // as it is set

	pid uint32 // of the server's process
}

// Safe tells whether names without a schema are found in Postgres itself alone.
func (s Session) Safe() bool {
	return strings.ReplaceAll(s.SearchPath, " ", "") == "pg_catalog,pg_temp"
}

// Sessions looks at so many connections of the pool at the same time: a pooler may have a different one behind each.
func Sessions(ctx context.Context, pool *pgxpool.Pool, n int) ([]Session, error) {
	var list []Session
	var conns []*pgxpool.Conn
	defer func() {
		for _, conn := range conns {
			conn.Release()
		}
	}()
	for range n {
		conn, err := pool.Acquire(ctx)
		if err != nil {
			return nil, fmt.Errorf("connect: %w", err)
		}
		conns = append(conns, conn)
		s, err := readSession(ctx, conn.Conn())
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}

// Shared tells whether connections that were open at the same time had one server's process in turn: the pooler hands
// it out by the transaction or the statement. False says nothing.
func Shared(sessions []Session) bool {
	for i, s := range sessions {
		if slices.ContainsFunc(sessions[:i], func(other Session) bool { return other.pid == s.pid }) {
			return true
		}
	}
	return false
}

// readSession names everything with its schema: it is the first statement of a connection. In the simple protocol it
// prepares nothing that a pooler could lose.
func readSession(ctx context.Context, conn *pgx.Conn) (s Session, err error) {
	err = conn.QueryRow(ctx, `
		select current_user::pg_catalog.text, pg_catalog.pg_backend_pid(), pg_catalog.current_setting('search_path')`,
		pgx.QueryExecModeSimpleProtocol).Scan(&s.Role, &s.pid, &s.SearchPath)
	if err != nil {
		return s, fmt.Errorf("read session: %w", err)
	}
	s.Pooled = s.pid != conn.PgConn().PID()
	return s, nil
}
