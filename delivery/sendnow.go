package delivery

import (
	"context"
	"time"

	"kvit/store"
)

// SendNow ends the wait of deliveries that are to be tried again. The circuit breaker and the limit of a rate still hold.
func SendNow(n store.SendNow, audit Audit) Action {
	return Action{
		Audit: audit, Name: SendNowAction, Destination: n.Destination, Sends: true, selection: n, named: len(n.Events),
		preview: func(ctx context.Context, db store.DB, _ time.Time) ([]store.Group, error) {
			return store.PreviewSendNow(ctx, db, n)
		},
		step: func(ctx context.Context, db store.DB, s store.Step) (store.Stepped, error) {
			return store.SendNowStep(ctx, db, n, s)
		},
	}
}
