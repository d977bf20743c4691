package jobs

import (
	"context"

	"kvit/retention"
	"kvit/store"
)

// ReadDatabase reads what a column policy of these tables is checked against, or drafted from.
func ReadDatabase(ctx context.Context, db store.DB, tables []string) (retention.Database, error) {
	return readDatabase(ctx, db, tables)
}
