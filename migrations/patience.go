package migrations

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// patience says how long a change of the schema waits for locks. While it waits for one on a table that the
// shop inserts into, the shop's statements wait behind it: so each wait is short, and they get their turn in between.
type patience struct {
	lock  time.Duration // one wait
	pause time.Duration // until the next
	tries int
}

// usual gives up after about two minutes.
var usual = patience{lock: time.Second, pause: 3 * time.Second, tries: 30}

// HeldError says that others hold a lock which a change of the schema needs.
type HeldError struct {
	What    string   // the change
	Holders []string // server processes, each with its role and what it is doing; empty: they were gone when looked for
}

// Error names the server processes that are in the way.
func (e *HeldError) Error() string {
	holders := "a process that has ended meanwhile"
	if len(e.Holders) > 0 {
		holders = strings.Join(e.Holders, ", ")
	}
	return e.What + " waits for a lock that is held by " + holders + ": end its transaction, or try again later"
}

// Patiently does work in one transaction, which sees nothing but pg_catalog by names without a schema and gives up
// each lock that it does not get within a second, so that nobody waits behind it for longer. Then it is rolled back and
// begins again, and logger hears whose server process is in the way; after about two minutes it is a *HeldError.
func Patiently(ctx context.Context, pool *pgxpool.Pool, logger *slog.Logger, what string, work func(pgx.Tx) error) error {
	return usual.do(ctx, pool, logger, what, work)
}

func (p patience) do(ctx context.Context, pool *pgxpool.Pool, logger *slog.Logger, what string, work func(pgx.Tx) error) error {
	for try := 1; ; try++ {
		holders, err := p.once(ctx, pool, work)
		if !gaveWay(err) {
			return err
		}
		held := &HeldError{What: what, Holders: holders}
		if try == p.tries {
			return held
		}
		logger.Warn("waiting for a lock", "for", what, "held_by", holders, "try", try)
		select {
		case <-time.After(p.pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// gaveWay tells whether another try may help: a lock was not to be had, or two transactions waited for each other.
func gaveWay(err error) bool {
	var held *HeldError
	var pgErr *pgconn.PgError
	return !errors.As(err, &held) && errors.As(err, &pgErr) && (pgErr.Code == "55P03" || pgErr.Code == "40P01")
}

// once returns who was in the way when the transaction waited last.
func (p patience) once(ctx context.Context, pool *pgxpool.Pool, work func(pgx.Tx) error) (holders []string, err error) {
	watched, stop := context.WithCancel(ctx)
	defer stop()
	var watch sync.WaitGroup
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		// Behind a pooler that hands out connections by the transaction, these settings must not outlive it. The one
		// for idle transactions is for the lock of the migrations, which waits while others work.
		_, err := tx.Exec(ctx, fmt.Sprintf(`
			set local search_path = pg_catalog, pg_temp;
			set local lock_timeout = %d;
			set local idle_in_transaction_session_timeout = 0`, p.lock.Milliseconds()))
		if err != nil {
			return err
		}
		var pid int
		if err := tx.QueryRow(ctx, `select pg_backend_pid()`).Scan(&pid); err != nil {
			return err
		}
		watch.Go(func() { holders = watchHolders(watched, pool, pid, p.lock/4) })
		return work(tx)
	})
	stop()
	watch.Wait()
	return holders, err
}

// watchHolders looks by another connection who keeps a server process waiting, until ctx ends: afterwards it can no
// longer be told. It returns the last that it has seen.
func watchHolders(ctx context.Context, pool *pgxpool.Pool, pid int, every time.Duration) (holders []string) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return holders
		case <-tick.C:
		}
		if seen, err := readHolders(ctx, pool, pid); err == nil && len(seen) > 0 {
			holders = seen
		}
	}
}

// readHolders needs no right: whose process it is, everybody may see, and what it is doing, sometimes.
func readHolders(ctx context.Context, pool *pgxpool.Pool, pid int) ([]string, error) {
	rows, _ := pool.Query(ctx, `
		select format('server process %s', b.pid) || coalesce(format(' (role %s, %s)', a.usename,
		           coalesce(a.state || ' since ' || date_trunc('second', a.state_change)::text, nullif(a.application_name, ''), 'busy')), '')
		from unnest(pg_blocking_pids($1)) b (pid)
		left join pg_stat_activity a on a.pid = b.pid`, pid) // Collect reports its error
	return pgx.CollectRows(rows, pgx.RowTo[string])
}
