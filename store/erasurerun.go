package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// LockErasure makes the transaction the only one that erases or places holds, and tells it to give
// up rather than make the shop wait: locks that the shop holds for longer than half a second are an
// error, since what the transaction has locked already, others wait for. Call it first in the
// transaction. Of a process that is frozen, or whose machine is gone, the server ends it after 10 seconds. It returns a *HeldError if another one does not end within 30 seconds.
func LockErasure(ctx context.Context, tx pgx.Tx) error {
	// Under a stricter isolation, which the database may have as its default, the statements after
	// the wait would not see what was committed meanwhile, such as a hold. A batch needs few rows of
	// each table, most of them in memory: with the default cost the planner reads whole tables instead.
	// All in one round trip, since each batch begins with it.
	_, err := tx.Exec(ctx, `
		set transaction isolation level read committed;
		`+lockStatement(erasureLock, lockPatience)+`;
		set local lock_timeout = '500ms';
		`+endIdle+`;
		set local random_page_cost = 1.1`)
	if err != nil {
		return fmt.Errorf("lock erasure: %w", heldError(erasureLock, err))
	}
	return nil
}

// endIdle has the server end a transaction that locks rows of the shop's and of whose process nothing is heard. Without it the shop
// would wait until TCP gives up, which takes two hours where a machine has vanished, and for ever where a process is frozen.
const endIdle = `set local idle_in_transaction_session_timeout = '10s'`

// idledTooLong is the SQLSTATE of that end (https://www.postgresql.org/docs/current/errcodes-appendix.html).
const idledTooLong = "25P03"

// BackendPID is the server's process behind a transaction, also where a pool stands between.
func BackendPID(ctx context.Context, tx pgx.Tx) (pid uint32, err error) {
	if err := tx.QueryRow(ctx, `select pg_backend_pid()`).Scan(&pid); err != nil {
		return 0, fmt.Errorf("read backend pid: %w", err)
	}
	return pid, nil
}

// LimitWaiting makes the transaction give up, with an error, where the shop would have to wait for it or
// it for the shop: after 2 seconds for a lock, 5 for a statement.
func LimitWaiting(ctx context.Context, tx pgx.Tx) error {
	if _, err := tx.Exec(ctx, `set local lock_timeout = '2s'`); err != nil {
		return fmt.Errorf("limit waiting: %w", err)
	}
	if _, err := tx.Exec(ctx, `set local statement_timeout = '5s'`); err != nil {
		return fmt.Errorf("limit statements: %w", err)
	}
	return nil
}

// ErrRunning says that an erasure is under way, in this process or another.
var ErrRunning = errors.New("another erasure is under way")

// LockErasureRun makes the transaction's run the only one of all processes, until the transaction ends
// or its connection does. It returns ErrRunning, with the server process, if there is one. The transaction may wait while its
// run works in others: at this isolation it keeps nothing from being vacuumed.
func LockErasureRun(ctx context.Context, tx pgx.Tx) error {
	if _, err := tx.Exec(ctx, `set transaction isolation level read committed`); err != nil {
		return fmt.Errorf("set isolation of erasure run: %w", err)
	}
	if _, err := tx.Exec(ctx, `set local idle_in_transaction_session_timeout = 0`); err != nil {
		return fmt.Errorf("let erasure run wait: %w", err)
	}
	err := takeLock(ctx, tx, erasureRunLock, 0)
	var held *HeldError
	if errors.As(err, &held) {
		return fmt.Errorf("%w (server process %d)", ErrRunning, held.PID)
	}
	if err != nil {
		return fmt.Errorf("lock erasure run: %w", err)
	}
	return nil
}

// CheckConstraints lets deferred constraints, which Postgres checks at commit, speak now. Later statements
// of the transaction defer all that can be.
func CheckConstraints(ctx context.Context, tx pgx.Tx) error {
	for _, mode := range []string{"immediate", "deferred"} {
		if _, err := tx.Exec(ctx, `set constraints all `+mode); err != nil {
			return fmt.Errorf("check deferred constraints: %w", err)
		}
	}
	return nil
}

// ErasureRun is one run of the erasure.
type ErasureRun struct {
	StartedAt  time.Time
	FinishedAt *time.Time // nil: it is under way, or was interrupted and something may still be due
	Orders     int
	Events     int
	Problem    *string // why something is left undone; nil: all is well
	BrakedAt   *int    // orders that were due when the brake stopped it before the first; nil: it did not
}

// StartErasureRun notes that a run begins, and forgets runs that began before forget. knows is the newest migration that this
// process knows of.
func StartErasureRun(ctx context.Context, db DB, now, forget time.Time, knows int) (id int64, err error) {
	if _, err := db.Exec(ctx, `delete from kvit.erasure_run where started_at < $1`, forget); err != nil {
		return 0, fmt.Errorf("forget erasure runs: %w", err)
	}
	err = db.QueryRow(ctx, `insert into kvit.erasure_run (started_at, known_migration) values ($1, $2) returning id`, now, knows).Scan(&id)
	if err != nil {
		return 0, fmt.Errorf("start erasure run: %w", err)
	}
	return id, nil
}

// FinishErasureRun notes how a run ended; of run it reads all but StartedAt.
func FinishErasureRun(ctx context.Context, db DB, id int64, run ErasureRun) error {
	_, err := db.Exec(ctx, `
		update kvit.erasure_run set finished_at = $2, orders = $3, events = $4, problem = $5, braked_at = $6 where id = $1`,
		id, run.FinishedAt, run.Orders, run.Events, run.Problem, run.BrakedAt)
	if err != nil {
		return fmt.Errorf("finish erasure run: %w", err)
	}
	return nil
}

// LastErasureRun is the last run of those that finished, whatever their clocks said; ErrNotFound if there is none.
func LastErasureRun(ctx context.Context, db DB) (ErasureRun, error) {
	rows, _ := db.Query(ctx, `
		select started_at, finished_at, orders, events, problem, braked_at
		from kvit.erasure_run
		where finished_at is not null
		order by id desc
		limit 1`) // Collect reports its error
	run, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[ErasureRun])
	if errors.Is(err, pgx.ErrNoRows) {
		return ErasureRun{}, fmt.Errorf("last erasure run: %w", ErrNotFound)
	}
	if err != nil {
		return ErasureRun{}, fmt.Errorf("last erasure run: %w", err)
	}
	return run, nil
}
