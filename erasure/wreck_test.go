package erasure

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
)

// wreck is a pool of connections that crash at one statement of a run, counted from 1 over all of them.
// A statement is what pgx sends as one: begin, set, a query, a copy, commit, rollback. Of those that travel together, the
// line may be cut before they are sent and before each answer is read.
type wreck struct {
	shop *shop
	pool *pgxpool.Pool

	mu     sync.Mutex
	crash  crash
	passed int // statements, or commits, so far
	struck bool
	lines  []*line
}

// crash is where and how it happens.
type crash struct {
	at   int  // the statement that does not happen any more; 0: none
	lost bool // at counts commits alone, and that one happens, but its answer does not arrive
	all  bool // every connection is cut, as when the process dies; else that of the statement
}

// line is a connection that can be cut.
type line struct {
	net.Conn
	pid  uint32 // of the server's process
	deaf bool   // the next answer is read and thrown away, and the line is cut
	cut  bool
}

func (l *line) Read(p []byte) (int, error) {
	n, err := l.Conn.Read(p)
	if l.deaf {
		_ = l.Close()
		return 0, io.ErrUnexpectedEOF
	}
	return n, err
}

var errWreck = errors.New("the process is dead")

// wreck makes a pool for the shop's database that crashes at will.
func (s *shop) wreck() *wreck {
	s.t.Helper()
	w := &wreck{shop: s}
	config := s.db.Config()
	dial := config.ConnConfig.DialFunc
	config.ConnConfig.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return w.join(&line{Conn: conn})
	}
	config.ConnConfig.Tracer = w
	var err error
	w.pool, err = pgxpool.NewWithConfig(s.t.Context(), config)
	require.NoError(s.t, err)
	s.t.Cleanup(w.pool.Close)
	return w
}

func (w *wreck) join(l *line) (net.Conn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.struck && w.crash.all {
		_ = l.Close()
		return nil, errWreck
	}
	w.lines = append(w.lines, l)
	return l, nil
}

// TraceQueryStart is called by pgx before it sends a statement.
func (w *wreck) TraceQueryStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	w.pass(conn, data.SQL == "commit")
	return ctx
}

// TraceQueryEnd is called by pgx after a statement.
func (w *wreck) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// TraceCopyFromStart is called by pgx before a copy.
func (w *wreck) TraceCopyFromStart(ctx context.Context, conn *pgx.Conn, _ pgx.TraceCopyFromStartData) context.Context {
	w.pass(conn, false)
	return ctx
}

// TraceCopyFromEnd is called by pgx after a copy.
func (w *wreck) TraceCopyFromEnd(context.Context, *pgx.Conn, pgx.TraceCopyFromEndData) {}

// TraceBatchStart is called by pgx before it sends several statements together.
func (w *wreck) TraceBatchStart(ctx context.Context, conn *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	w.pass(conn, false)
	return ctx
}

// TraceBatchQuery is called by pgx after each of them.
func (w *wreck) TraceBatchQuery(_ context.Context, conn *pgx.Conn, _ pgx.TraceBatchQueryData) {
	w.pass(conn, false)
}

// TraceBatchEnd is called by pgx after all of them.
func (w *wreck) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

func (w *wreck) pass(conn *pgx.Conn, isCommit bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	own := slices.IndexFunc(w.lines, func(l *line) bool { return l == conn.PgConn().Conn() })
	w.lines[own].pid = conn.PgConn().PID()
	if w.struck || w.crash.lost && !isCommit {
		return
	}
	w.passed++
	if w.passed != w.crash.at {
		return
	}
	w.struck = true
	for i, l := range w.lines {
		switch {
		case i == own && w.crash.lost:
			l.cut, l.deaf = true, true
		case i == own || w.crash.all:
			l.cut = true
			_ = l.Close()
		}
	}
}

// run runs the erasure until it crashes, if it comes so far, and returns when the database has noticed.
func (w *wreck) run(c crash) (Report, error) {
	t := w.shop.t
	t.Helper()
	w.mu.Lock()
	w.crash, w.passed, w.struck = c, 0, false
	w.mu.Unlock()
	eraser := *w.shop.Eraser
	eraser.DB = w.pool
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	report, err := eraser.Run(ctx)
	require.NoError(t, ctx.Err())
	w.bury()
	return report, err
}

// bury waits until the server has ended the processes of the lines that were cut.
func (w *wreck) bury() {
	w.mu.Lock()
	defer w.mu.Unlock()
	pids := []int64{}
	w.lines = slices.DeleteFunc(w.lines, func(l *line) bool {
		if l.cut {
			pids = append(pids, int64(l.pid))
		}
		return l.cut
	})
	if w.struck && w.crash.all {
		w.pool.Reset() // it does not know yet that its idle connections are cut
	}
	require.Eventually(w.shop.t, func() bool {
		return value[bool](w.shop, `select not exists (select from pg_stat_activity where pid = any ($1))`, pids)
	}, time.Minute, time.Millisecond)
}
