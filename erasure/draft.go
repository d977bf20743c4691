package erasure

import (
	"context"

	"github.com/jackc/pgx/v5"

	"kvit/erasure/policy"
	"kvit/store"
)

// draftRows are looked at in each table.
const draftRows = 200

// DraftPolicy proposes a policy for the orders table, for the tables that keys tie to it, and for those that are
// asked for, "schema.table". It goes by the catalog, and by what values look like, which the database counts: no value
// leaves it. customerID is the orders' column; empty: there is none.
func DraftPolicy(ctx context.Context, db store.DB, orders policy.OrdersTable, customerID string, asked []string) (policy.Draft, error) {
	tables, err := store.ShopTables(ctx, db, append([]string{orders.Name}, asked...)...)
	if err != nil {
		return policy.Draft{}, err
	}
	database, err := ReadDatabase(ctx, db, tables)
	if err != nil {
		return policy.Draft{}, err
	}
	forms, err := readForms(ctx, db, database)
	if err != nil {
		return policy.Draft{}, err
	}
	return policy.DraftPolicy(policy.DraftSource{
		Orders: orders, CustomerID: customerID, Tables: tables, Asked: asked, Database: database, Forms: forms,
	}), nil
}

// readForms counts what the values of texts and documents look like. Tables that cannot be read, are locked or
// take too long are left out.
func readForms(ctx context.Context, db store.DB, database policy.Database) (map[string][]store.ColumnForm, error) {
	columns := map[string][]string{}
	for _, c := range database.Columns {
		if c.HasForm() {
			columns[c.Table] = append(columns[c.Table], c.Name)
		}
	}
	forms := map[string][]store.ColumnForm{}
	err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		for table, names := range columns {
			found, err := store.ColumnForms(ctx, tx, table, names, draftRows)
			if err == nil {
				forms[table] = found
			} else if store.IsConnection(err) || ctx.Err() != nil {
				return err
			}
		}
		return nil
	})
	return forms, err
}
