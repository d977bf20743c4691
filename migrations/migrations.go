// Package migrations holds the schema kvit as numbered SQL files and brings a database up to
// date: its own files and River's migrations, into the same schema.
package migrations

import (
	"cmp"
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

// Schema is where everything kvit owns lives, River's tables included.
const Schema = "kvit"

// ErrOldSchema says that the database lacks migrations of this build.
var ErrOldSchema = errors.New("the schema is older than this build")

// lockKey is the session advisory lock that lets one process at a time migrate.
const lockKey int64 = 0x6b76_6974 // "kvit"

//go:embed *.sql
var files embed.FS

// Migration is one step and when it was applied; AppliedAt is nil while it is pending.
type Migration struct {
	Name      string     `json:"name"`
	AppliedAt *time.Time `json:"applied_at"`
}

type step struct {
	version int
	name    string
	sql     string
}

// Up applies what is pending, in order, each step in its own transaction, and returns the names of
// the steps it applied. Two processes may call it at once: the second waits and finds nothing to do.
func Up(ctx context.Context, pool *pgxpool.Pool, logger *slog.Logger) ([]string, error) {
	steps, err := readSteps(files)
	if err != nil {
		return nil, err
	}
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect to migrate: %w", err)
	}
	defer conn.Release()
	unlock, err := lock(ctx, conn)
	if err != nil {
		return nil, err
	}
	defer unlock()

	var applied []string
	for i, s := range steps {
		done, err := apply(ctx, conn.Conn(), s)
		if err != nil {
			return applied, fmt.Errorf("apply migration %s: %w", s.name, err)
		}
		if done {
			applied = append(applied, s.name)
		}
		if i > 0 {
			continue
		}
		// River's tables come right after the schema, since kvit's own refer to them.
		names, err := upRiver(ctx, pool, logger)
		applied = append(applied, names...)
		if err != nil {
			return applied, err
		}
	}
	return applied, nil
}

// Status lists every step of this build, applied or pending, kvit's first, then River's.
func Status(ctx context.Context, pool *pgxpool.Pool) ([]Migration, error) {
	steps, err := readSteps(files)
	if err != nil {
		return nil, err
	}
	appliedAt, err := appliedTimes(ctx, pool, `select version, applied_at from kvit.migration`)
	if err != nil {
		return nil, err
	}
	var list []Migration
	for _, s := range steps {
		list = append(list, Migration{Name: s.name, AppliedAt: appliedAt[s.version]})
	}
	river, err := statusRiver(ctx, pool)
	return append(list, river...), err
}

// Check returns ErrOldSchema if a step is pending. A database that is newer than this build is
// fine: migrations only add.
func Check(ctx context.Context, pool *pgxpool.Pool) error {
	list, err := Status(ctx, pool)
	if err != nil {
		return err
	}
	for _, m := range list {
		if m.AppliedAt == nil {
			return fmt.Errorf("%w: %s is not applied; run `kvit migrate up`", ErrOldSchema, m.Name)
		}
	}
	return nil
}

// Newest is the number of the newest migration of this build.
func Newest() int {
	steps, err := readSteps(files)
	if err != nil || len(steps) == 0 {
		return 0 // the files are built in: their own test reads them
	}
	return steps[len(steps)-1].version
}

func lock(ctx context.Context, conn *pgxpool.Conn) (unlock func(), err error) {
	if _, err := conn.Exec(ctx, `select pg_advisory_lock($1)`, lockKey); err != nil {
		return nil, fmt.Errorf("lock migrations: %w", err)
	}
	return func() {
		// The lock ends with the connection at the latest; a cancelled context must not keep it.
		_, _ = conn.Exec(context.WithoutCancel(ctx), `select pg_advisory_unlock($1)`, lockKey)
	}, nil
}

func apply(ctx context.Context, conn *pgx.Conn, s step) (done bool, err error) {
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		known, err := isApplied(ctx, tx, s.version)
		if err != nil || known {
			return err
		}
		if _, err := tx.Exec(ctx, s.sql); err != nil {
			return err
		}
		done = true
		_, err = tx.Exec(ctx, `insert into kvit.migration (version, name) values ($1, $2)`, s.version, s.name)
		return err
	})
	return done, err
}

func isApplied(ctx context.Context, tx pgx.Tx, version int) (bool, error) {
	var tableExists bool
	err := tx.QueryRow(ctx, `select to_regclass('kvit.migration') is not null`).Scan(&tableExists)
	if err != nil || !tableExists {
		return false, err
	}
	var known bool
	err = tx.QueryRow(ctx, `select exists (select from kvit.migration where version = $1)`, version).Scan(&known)
	return known, err
}

// appliedTimes reads (version, time) pairs; a table that does not exist yet has none.
func appliedTimes(ctx context.Context, pool *pgxpool.Pool, query string) (map[int]*time.Time, error) {
	rows, _ := pool.Query(ctx, query) // ForEachRow reports its error
	times := map[int]*time.Time{}
	var version int
	var at time.Time
	_, err := pgx.ForEachRow(rows, []any{&version, &at}, func() error {
		appliedAt := at
		times[version] = &appliedAt
		return nil
	})
	if err != nil && !undefinedTable(err) {
		return nil, fmt.Errorf("read applied migrations: %w", err)
	}
	return times, nil
}

func undefinedTable(err error) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) && (pgErr.Code == "42P01" || pgErr.Code == "3F000")
}

func riverMigrator(pool *pgxpool.Pool, logger *slog.Logger) (*rivermigrate.Migrator[pgx.Tx], error) {
	migrator, err := rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{Schema: Schema, Logger: logger})
	if err != nil {
		return nil, fmt.Errorf("make River's migrator: %w", err)
	}
	return migrator, nil
}

func upRiver(ctx context.Context, pool *pgxpool.Pool, logger *slog.Logger) ([]string, error) {
	migrator, err := riverMigrator(pool, logger)
	if err != nil {
		return nil, err
	}
	result, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil)
	if err != nil {
		return nil, fmt.Errorf("apply River's migrations: %w", err)
	}
	var names []string
	for _, v := range result.Versions {
		names = append(names, riverName(v.Version, v.Name))
	}
	return names, nil
}

func statusRiver(ctx context.Context, pool *pgxpool.Pool) ([]Migration, error) {
	migrator, err := riverMigrator(pool, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	appliedAt, err := appliedTimes(ctx, pool, `select version, created_at from kvit.river_migration where line = 'main'`)
	if err != nil {
		return nil, err
	}
	var list []Migration
	for _, m := range migrator.AllVersions() {
		list = append(list, Migration{Name: riverName(m.Version, m.Name), AppliedAt: appliedAt[m.Version]})
	}
	return list, nil
}

func riverName(version int, name string) string {
	return fmt.Sprintf("river_%03d_%s", version, strings.ReplaceAll(name, " ", "_"))
}

func readSteps(fsys fs.FS) ([]step, error) {
	names, err := fs.Glob(fsys, "*.sql")
	if err != nil {
		return nil, fmt.Errorf("list migrations: %w", err)
	}
	var steps []step
	for _, name := range names {
		number, _, _ := strings.Cut(name, "_")
		version, err := strconv.Atoi(number)
		if err != nil {
			return nil, fmt.Errorf("read number of migration %s: %w", name, err)
		}
		sql, err := fs.ReadFile(fsys, name)
		if err != nil {
			return nil, fmt.Errorf("read migration %s: %w", name, err)
		}
		steps = append(steps, step{version: version, name: strings.TrimSuffix(name, ".sql"), sql: string(sql)})
	}
	slices.SortFunc(steps, func(a, b step) int { return cmp.Compare(a.version, b.version) })
	return steps, nil
}
