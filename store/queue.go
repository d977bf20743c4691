package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Queue is statements of a transaction that travel together. The server does them one after the other, in their
// order, without waiting for kvit to have read what came of the one before. The zero value is empty.
type Queue struct {
	batch pgx.Batch
}

// add queues a statement; read is called with its rows, and what says what it is for.
func (q *Queue) add(what, sql string, args []any, read func(pgx.Rows) error) {
	q.batch.Queue(sql, args...).Query(func(rows pgx.Rows) error {
		if err := read(rows); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		return nil
	})
}

// Run does what is queued and empties the queue. The error is that of the first statement that has one; what came
// after it was not done, or is undone with the transaction.
func (q *Queue) Run(ctx context.Context, tx pgx.Tx) error {
	batch := q.batch
	q.batch = pgx.Batch{}
	if batch.Len() == 0 {
		return nil
	}
	return tx.SendBatch(ctx, &batch).Close()
}
