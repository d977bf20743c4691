// Package store holds every SQL statement of kvit, one file a subject, a function a question.
package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// DB is what a pool, a connection and a transaction have in common.
type DB interface {
	Begin(ctx context.Context) (pgx.Tx, error)
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// ErrNotFound says that the row asked for is not there.
var ErrNotFound = errors.New("not found")

// Options are what the pool needs to know.
type Options struct {
	URL            string
	MaxConnections int
	TimeZone       string // in which times without a zone are read and written, as Postgres knows it; empty: UTC
	// Admit looks at each new connection before it is used; an error refuses it. Nil: all are good.
	Admit func(ctx context.Context, db DB) error
}

// Open makes the pool. It does not connect yet: kvit starts while the database is away.
func Open(ctx context.Context, o Options) (*pgxpool.Pool, error) {
	config, err := poolConfig(o)
	if err != nil {
		return nil, err
	}
	followWriter(config)
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open database pool: %w", err)
	}
	return pool, nil
}

// poolConfig is what all of kvit's connections have in common.
func poolConfig(o Options) (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(o.URL)
	if err != nil {
		// pgx's message may hold the URL with its password.
		return nil, errors.New("read database URL: it is not a valid Postgres URL or DSN")
	}
	config.MaxConns = int32(o.MaxConnections)
	config.ConnConfig.ConnectTimeout = 5 * time.Second
	// Plan each statement for the tables as they are. A prepared statement keeps the plan of its
	// first executions, when kvit.delivery is empty: a scan of the whole table for each event, which
	// cost two thirds of the throughput. It is also what PgBouncer in transaction mode needs.
	config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	params := config.ConnConfig.RuntimeParams
	params["application_name"] = "kvit"
	// Times without a zone in the shop's tables are read in the zone of the configuration, not in the server's. For
	// the whole session, so that each statement compares such a column as it stands, and can use its index.
	params["timezone"] = cmp.Or(o.TimeZone, "UTC")
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		if err := prepareSession(ctx, conn); err != nil || o.Admit == nil {
			return err
		}
		return o.Admit(ctx, conn)
	}
	return config, nil
}

// IsConnection tells whether the error is about reaching the database, not about a statement: a
// server that is away, starting, stopping, read only, or that cut the connection. Trying again may help.
func IsConnection(err error) bool {
	var misfit *MisfitError
	var held *HeldError
	if err == nil || errors.Is(err, context.Canceled) || errors.As(err, &misfit) || errors.As(err, &held) {
		return false
	}
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		switch pgErr.Code[:2] {
		case "57", "08", "53": // operator intervention, connection exception, insufficient resources
			return true
		}
		return pgErr.Code == readOnly || pgErr.Code == idledTooLong // the next connection is another one
	}
	return true
}

// IsDeadlock tells whether the statement was given up for another's sake, and has done nothing: trying again helps.
func IsDeadlock(err error) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) && pgErr.Code == "40P01"
}
