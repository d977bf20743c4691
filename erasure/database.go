package erasure

import (
	"context"

	"kvit/erasure/policy"
	"kvit/store"
)

// ReadDatabase reads what a policy of these tables is checked against, or drafted from.
func ReadDatabase(ctx context.Context, db store.DB, tables []string) (policy.Database, error) {
	var database policy.Database
	columns, err := store.TableColumns(ctx, db, tables)
	if err != nil {
		return database, err
	}
	for _, c := range columns {
		database.Columns = append(database.Columns, policy.DatabaseColumn(c))
	}
	references, err := store.References(ctx, db, tables)
	if err != nil {
		return database, err
	}
	for _, r := range references {
		database.ForeignKeys = append(database.ForeignKeys, policy.ForeignKey(r))
	}
	indexes, err := store.UniqueIndexes(ctx, db, tables)
	if err != nil {
		return database, err
	}
	for _, i := range indexes {
		database.UniqueIndexes = append(database.UniqueIndexes, policy.UniqueIndex(i))
	}
	return database, nil
}
