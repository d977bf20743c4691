package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Locks by which kvit's processes take turns. Each is a view of kvit's own, so that nobody can hold one who has no
// right on it.
const (
	erasureLock     = "erasure"
	erasureRunLock  = "erasure_run"
	orderStatusLock = "order_status"
	actionsLock     = "actions"
)

// lockPatience is how long kvit waits for a lock of its own. The transactions that hold them are short, but for the
// run of an erasure, which nothing waits for, and a dry run.
const lockPatience = 30 * time.Second

// HeldError says that another process of kvit's has what only one may have at a time.
type HeldError struct {
	Lock string // such as "erasure"
	PID  int    // of the server process that holds it; 0: it had let go when looked for
}

// Error names the server process.
func (e *HeldError) Error() string {
	if e.PID == 0 {
		return "the lock " + e.Lock + " was held by another process until a moment ago: try again"
	}
	return fmt.Sprintf("the lock %s is held by server process %d: try again when that has ended (pg_stat_activity tells what it does)", e.Lock, e.PID)
}

// takeLock takes one of kvit's locks until the transaction ends, or gives up with a *HeldError. Patience is in whole
// milliseconds; 0: do not wait at all.
func takeLock(ctx context.Context, tx pgx.Tx, lock string, patience time.Duration) error {
	_, err := tx.Exec(ctx, lockStatement(lock, patience))
	return heldError(lock, err)
}

func lockStatement(lock string, patience time.Duration) string {
	return fmt.Sprintf(`select kvit.take_lock('%s', %d)`, lock, patience.Milliseconds())
}

// heldError makes a *HeldError of the error that kvit.take_lock raises.
func heldError(lock string, err error) error {
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) || pgErr.Code != "KV001" {
		return err
	}
	pid, _ := strconv.Atoi(pgErr.Detail) // empty: 0
	return &HeldError{Lock: lock, PID: pid}
}
