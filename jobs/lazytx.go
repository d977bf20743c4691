package jobs

import (
	"context"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"kvit/store"
)

// lazyTx is a transaction that begins with its first statement. One in which nothing was asked costs nothing: every few seconds
// River's scheduler begins one to make jobs available, of which there are none most of the time.
type lazyTx struct {
	db store.DB

	mu    sync.Mutex
	tx    pgx.Tx // nil: not begun
	ended bool
}

func (l *lazyTx) begun(ctx context.Context) (pgx.Tx, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended && l.tx == nil {
		return nil, pgx.ErrTxClosed
	}
	if l.tx != nil {
		return l.tx, nil
	}
	tx, err := l.db.Begin(ctx)
	if err != nil {
		return nil, err
	}
	l.tx = tx
	return tx, nil
}

// end is of no effect on the database where nothing was asked.
func (l *lazyTx) end(of func(pgx.Tx) error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tx != nil {
		return of(l.tx)
	}
	if l.ended {
		return pgx.ErrTxClosed
	}
	l.ended = true
	return nil
}

func (l *lazyTx) Commit(ctx context.Context) error {
	return l.end(func(tx pgx.Tx) error { return tx.Commit(ctx) })
}

func (l *lazyTx) Rollback(ctx context.Context) error {
	return l.end(func(tx pgx.Tx) error { return tx.Rollback(ctx) })
}

func (l *lazyTx) Begin(ctx context.Context) (pgx.Tx, error) {
	tx, err := l.begun(ctx)
	if err != nil {
		return nil, err
	}
	return tx.Begin(ctx)
}

func (l *lazyTx) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	tx, err := l.begun(ctx)
	if err != nil {
		return pgconn.CommandTag{}, err
	}
	return tx.Exec(ctx, sql, args...)
}

func (l *lazyTx) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	tx, err := l.begun(ctx)
	if err != nil {
		return nil, err
	}
	return tx.Query(ctx, sql, args...)
}

func (l *lazyTx) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	tx, err := l.begun(ctx)
	if err != nil {
		return failedRow{err}
	}
	return tx.QueryRow(ctx, sql, args...)
}

func (l *lazyTx) CopyFrom(ctx context.Context, table pgx.Identifier, columns []string, rows pgx.CopyFromSource) (int64, error) {
	tx, err := l.begun(ctx)
	if err != nil {
		return 0, err
	}
	return tx.CopyFrom(ctx, table, columns, rows)
}

func (l *lazyTx) Prepare(ctx context.Context, name, sql string) (*pgconn.StatementDescription, error) {
	tx, err := l.begun(ctx)
	if err != nil {
		return nil, err
	}
	return tx.Prepare(ctx, name, sql)
}

// SendBatch begins the transaction; where that fails, so does the batch.
func (l *lazyTx) SendBatch(ctx context.Context, batch *pgx.Batch) pgx.BatchResults {
	tx, err := l.begun(ctx)
	if err != nil {
		return failedBatch{err: err}
	}
	return tx.SendBatch(ctx, batch)
}

// LargeObjects are of a transaction that has begun; kvit and River have none.
func (l *lazyTx) LargeObjects() pgx.LargeObjects { return l.tx.LargeObjects() }

// Conn is nil until the transaction has begun.
func (l *lazyTx) Conn() *pgx.Conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tx == nil {
		return nil
	}
	return l.tx.Conn()
}

type failedRow struct{ err error }

func (r failedRow) Scan(...any) error { return r.err }

type failedBatch struct {
	pgx.BatchResults // nil: what is not here nobody calls on a batch that failed
	err              error
}

func (b failedBatch) Exec() (pgconn.CommandTag, error) { return pgconn.CommandTag{}, b.err }
func (b failedBatch) Query() (pgx.Rows, error)         { return nil, b.err }
func (b failedBatch) QueryRow() pgx.Row                { return failedRow{b.err} }
func (b failedBatch) Close() error                     { return b.err }
