package erasure

import (
	"context"
	"fmt"
	"time"

	"kvit/store"
)

// Brake stops a run before its first row if more is due than is to be believed.
type Brake struct {
	MaxOrders int     // due orders; 0: as many as there are
	MaxShare  float64 // due orders among all, looked at from brakeFrom due orders on; 0: any share

	// MaxEventShare is of events whose payloads are due among those that still have one, and of events that are to be
	// deleted with their receipts among all; looked at from brakeFrom on. 0: any share.
	MaxEventShare float64
}

// brakeFrom keeps shares from stopping shops that have a few orders.
const brakeFrom = 100

// brake compares what is due with what is to be believed. A clock that is wrong by years, a policy that
// was made for another table, or an import that marked everything look like this.
func (r *eraseRun) brake(ctx context.Context) error {
	braking, err := r.brakeOrders(ctx)
	if err == nil && braking == nil {
		braking, err = r.brakeTables(ctx)
	}
	if err == nil && braking == nil {
		braking, err = r.brakeEvents(ctx)
	}
	if err != nil || braking == nil {
		return err
	}
	r.report.Brake = braking
	if r.confirmed || r.report.DryRun || braking.Due <= r.agreed {
		return nil
	}
	return fmt.Errorf("%w: %s; look at them with kvit erase --dry-run, and if they are right, kvit erase --confirm", ErrBraked, braking.Reason)
}

func (r *eraseRun) brakeOrders(ctx context.Context) (*Braking, error) {
	if r.Orders == nil || r.lost() || r.Brake.MaxOrders == 0 && r.Brake.MaxShare == 0 {
		return nil, nil
	}
	due, _, err := store.CountDueOrders(ctx, r.db, *r.Orders, r.now)
	if err != nil {
		return nil, failure("count due orders", err)
	}
	reason, err := r.tooMany(ctx, due)
	if err != nil || reason == "" {
		return nil, err
	}
	return &Braking{Due: due, Reason: reason}, nil
}

// tooMany words why so many orders are; empty if they are not.
func (r *eraseRun) tooMany(ctx context.Context, due int) (string, error) {
	if r.Brake.MaxOrders > 0 && due > r.Brake.MaxOrders {
		return fmt.Sprintf("%d orders are due, more than retention.brake.max_orders (%d)", due, r.Brake.MaxOrders), nil
	}
	if r.Brake.MaxShare == 0 || due < brakeFrom {
		return "", nil
	}
	all, err := store.CountOrders(ctx, r.db, *r.Orders)
	if err != nil {
		return "", failure("count orders", err)
	}
	if float64(due) <= r.Brake.MaxShare*float64(all) {
		return "", nil
	}
	return fmt.Sprintf("%d of %d orders are due, more than retention.brake.max_share (%g)", due, all, r.Brake.MaxShare), nil
}

// brakeEvents is brake for payloads that no order takes along, and for events that are deleted.
func (r *eraseRun) brakeEvents(ctx context.Context) (*Braking, error) {
	if r.Brake.MaxEventShare == 0 || r.Orders != nil && r.lost() {
		return nil, nil
	}
	payloads, err := store.CountLooseEvents(ctx, r.db, r.Orders, r.now, r.now.Add(-r.EventsAfter))
	if err != nil {
		return nil, failure("count due payloads", err)
	}
	if braking := r.tooLarge(payloads, r.EventsAfter, "payloads of events"); braking != nil {
		return braking, nil
	}
	purged, err := store.CountPurge(ctx, r.db, r.now.Add(-r.ReceiptsAfter))
	if err != nil {
		return nil, failure("count events to delete", err)
	}
	return r.tooLarge(purged, r.ReceiptsAfter, "events with their receipts"), nil
}

// tooLarge is the braking for a share of events that go at an age; nil if it is to be believed.
func (r *eraseRun) tooLarge(s store.Share, after time.Duration, what string) *Braking {
	limit := max(r.Brake.MaxEventShare, r.explained(after))
	if s.Due < brakeFrom || float64(s.Due) <= limit*float64(s.All) {
		return nil
	}
	return &Braking{Due: s.Due, Reason: fmt.Sprintf("%d of %d %s are due, more than retention.brake.max_event_share (%g)",
		s.Due, s.All, what, r.Brake.MaxEventShare)}
}

// explained is the share that is due when two runs of the schedule meet, if events come evenly and go at an age.
func (r *eraseRun) explained(after time.Duration) float64 {
	if r.Schedule == nil {
		return 0
	}
	next := r.Schedule.Next(r.now)
	two := 2 * r.Schedule.Next(next).Sub(next)
	if two <= 0 {
		return 0
	}
	return float64(two) / float64(two+after)
}
