package erasure

import (
	"context"

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
