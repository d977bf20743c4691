package store

import (
	"context"
	"time"
)

// NoteERPSubscription notes until when an ERP notifies.
func NoteERPSubscription(ctx context.Context, db DB, name, lease string, until time.Time) error {
	return holding(ctx, db, name, lease, "note subscription", `
		update kvit.erp_source set subscribed_until = $3 where name = $1 and lease = $2`, until)
}
