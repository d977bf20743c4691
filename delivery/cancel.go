package delivery

import (
	"context"
	"time"

	"kvit/store"
)

// Cancel ends deliveries that wait. Their destination may be one that is no longer served.
func Cancel(c store.Cancel, audit Audit) Action {
	return Action{
		Audit: audit, Name: CancelAction, Destination: c.Destination, selection: c, named: len(c.Events),
		preview: func(ctx context.Context, db store.DB, _ time.Time) ([]store.Group, error) {
			return store.PreviewCancel(ctx, db, c)
		},
		step: func(ctx context.Context, db store.DB, s store.Step) (store.Stepped, error) {
			return store.CancelStep(ctx, db, c, s)
		},
	}
}
