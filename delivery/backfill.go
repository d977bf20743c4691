package delivery

import (
	"context"
	"time"

	"kvit/store"
)

// Backfill sends a destination the events that it has not seen.
func Backfill(b store.Backfill, audit Audit) Action {
	return Action{
		Audit: audit, Name: "backfill", Destination: b.Destination, Sends: true, selection: b,
		preview: func(ctx context.Context, db store.DB, tooOldBefore time.Time) ([]store.Group, error) {
			return store.PreviewBackfill(ctx, db, b, tooOldBefore)
		},
		step: func(ctx context.Context, db store.DB, s store.Step) (store.Stepped, error) {
			return store.BackfillStep(ctx, db, b, s)
		},
	}
}
