package migrations

import (
	"context"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// MissingOn is what is missing on a server of this version where all else is well.
func MissingOn(version int) []string { return ground{version: version, create: true}.missing() }

// Change makes a change of the schema as a migration does, with waits of so many milliseconds.
func Change(ctx context.Context, pool *pgxpool.Pool, logger *slog.Logger, sql string, lock, pause time.Duration, tries int) error {
	return patience{lock: lock, pause: pause, tries: tries}.do(ctx, pool, logger, "the change", func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, sql)
		return err
	})
}

// UpPatiently is Up with waits of its own.
func UpPatiently(ctx context.Context, pool *pgxpool.Pool, logger *slog.Logger, lock, pause time.Duration, tries int) ([]string, error) {
	return up(ctx, pool, logger, patience{lock: lock, pause: pause, tries: tries})
}
