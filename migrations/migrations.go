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
// the steps it applied. Two processes may call it at once: the second waits and finds nothing to do. No lock is waited
// for without limit, see Patiently.
func Up(ctx context.Context, pool *pgxpool.Pool, logger *slog.Logger) ([]string, error) {
	return up(ctx, pool, logger, usual)
}

func up(ctx context.Context, pool *pgxpool.Pool, logger *slog.Logger, p patience) (applied []string, err error) {
	steps, err := readSteps(files)
	if err != nil {
		return nil, err
	}
	if err := p.makeLock(ctx, pool, logger); err != nil {
		return nil, fmt.Errorf("make the lock of the migrations: %w", err)
	}
	m := migrator{pool: pool, logger: logger, patience: p}
	err = p.do(ctx, pool, logger, "kvit migrate up", func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `lock table kvit.lock_migration in exclusive mode`); err != nil {
			return fmt.Errorf("lock migrations: %w", err)
		}
		return m.all(ctx, steps)
	})
	return m.applied, err
}

// makeLock makes what processes that migrate take turns by: a lock on it ends with its transaction, also behind a
// pooler, and nobody may take it but the role that owns the schema. It is a view, because VACUUM waits for locks on tables.
func (p patience) makeLock(ctx context.Context, pool *pgxpool.Pool, logger *slog.Logger) error {
	for range p.tries {
		err := p.do(ctx, pool, logger, "kvit migrate up", func(tx pgx.Tx) error {
			var schema, lock bool
			err := tx.QueryRow(ctx, `select to_regnamespace('kvit') is not null, to_regclass('kvit.lock_migration') is not null`).Scan(&schema, &lock)
			if err != nil || lock {
				return err
			}
			if !schema {
				if _, err := tx.Exec(ctx, `create schema kvit`); err != nil {
					return err
				}
			}
			_, err = tx.Exec(ctx, `
				create view kvit.lock_migration as select 1 as one;
				comment on view kvit.lock_migration is 'Lock: one process at a time migrates.'`)
			return err
		})
		if !isThere(err) {
			return err
		}
	}
	return nil
}

// isThere tells whether another process has made an object at the same moment.
func isThere(err error) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) && slices.Contains([]string{"23505", "42P06", "42P07", "42710"}, pgErr.Code)
}

// migrator applies steps while its caller holds the lock of the migrations.
type migrator struct {
	pool     *pgxpool.Pool
	logger   *slog.Logger
	patience patience
	applied  []string
}

func (m *migrator) all(ctx context.Context, steps []step) error {
	for i, s := range steps {
		if err := m.one(ctx, s); err != nil {
			return fmt.Errorf("apply migration %s: %w", s.name, err)
		}
		if i > 0 {
			continue
		}
		// River's tables come right after the schema, since kvit's own refer to them.
		if err := m.river(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (m *migrator) one(ctx context.Context, s step) error {
	done := false
	err := m.patience.do(ctx, m.pool, m.logger, "migration "+s.name, func(tx pgx.Tx) (err error) {
		done, err = apply(ctx, tx, s)
		return err
	})
	if err == nil && done {
		m.applied = append(m.applied, s.name)
	}
	return err
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

func apply(ctx context.Context, tx pgx.Tx, s step) (done bool, err error) {
	known, err := isApplied(ctx, tx, s.version)
	if err != nil || known {
		return false, err
	}
	if _, err := tx.Exec(ctx, s.sql); err != nil {
		return false, err
	}
	_, err = tx.Exec(ctx, `insert into kvit.migration (version, name) values ($1, $2)`, s.version, s.name)
	return err == nil, err
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

// river applies River's migrations, each in a transaction of its own: some need what the one before has committed.
func (m *migrator) river(ctx context.Context) error {
	migrator, err := riverMigrator(m.pool, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	for _, v := range migrator.AllVersions() {
		var result *rivermigrate.MigrateResult
		err := m.patience.do(ctx, m.pool, m.logger, "River's migrations", func(tx pgx.Tx) (err error) {
			// River warns of many steps in one transaction. This is one, and the transaction is what limits its waiting.
			result, err = migrator.MigrateTx(ctx, tx, rivermigrate.DirectionUp, &rivermigrate.MigrateOpts{TargetVersion: v.Version}) //nolint:staticcheck // see above
			return err
		})
		if err != nil {
			return fmt.Errorf("apply River's migrations: %w", err)
		}
		for _, done := range result.Versions {
			m.applied = append(m.applied, riverName(done.Version, done.Name))
		}
	}
	return nil
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
