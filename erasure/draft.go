package erasure

import (
	"context"

	"kvit/erasure/policy"
	"kvit/store"
)

// DraftPolicy proposes a policy for the orders table, for the tables that refer to it, and for those that are
// asked for, "schema.table". It goes by the catalog alone: no row is read. customerID is the orders' column;
// empty: there is none.
func DraftPolicy(ctx context.Context, db store.DB, orders policy.OrdersTable, customerID string, asked []string) (policy.Draft, error) {
	related, err := store.RelatedTables(ctx, db, orders.Name, asked, policy.DraftDepth)
	if err != nil {
		return policy.Draft{}, err
	}
	database, err := ReadDatabase(ctx, db, related)
	if err != nil {
		return policy.Draft{}, err
	}
	return policy.DraftPolicy(policy.DraftSource{
		Orders: orders, CustomerID: customerID, Tables: related, Asked: asked, Database: database,
	}), nil
}
