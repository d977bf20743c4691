package erasure

import (
	"context"

	"github.com/jackc/pgx/v5"

	"kvit/erasure/policy"
	"kvit/store"
)

// ReadDatabase reads what a policy of these tables is checked against, or drafted from.
func ReadDatabase(ctx context.Context, db store.DB, tables []string) (database policy.Database, err error) {
	if database.Columns, err = store.TableColumns(ctx, db, tables); err != nil {
		return database, err
	}
	if database.ForeignKeys, err = store.References(ctx, db); err != nil {
		return database, err
	}
	database.UniqueIndexes, err = store.UniqueIndexes(ctx, db, tables)
	return database, err
}

// lockDatabase is ReadDatabase under a lock that keeps columns from being added until the transaction ends: what it
// tells stays true.
func lockDatabase(ctx context.Context, tx pgx.Tx, tables []string) (policy.Database, error) {
	if err := store.LockTables(ctx, tx, tables); err != nil {
		return policy.Database{}, err
	}
	return ReadDatabase(ctx, tx, tables)
}
