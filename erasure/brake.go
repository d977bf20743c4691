package erasure

import (
	"context"
	"fmt"

	"kvit/store"
)

// Brake stops a run before its first row if more is due than is to be believed.
type Brake struct {
	MaxOrders int     // due orders; 0: as many as there are
	MaxShare  float64 // due orders among all, looked at from brakeFrom due orders on; 0: any share
}

// brakeFrom keeps Brake.MaxShare from stopping shops that have a few orders.
const brakeFrom = 100

// brake compares what is due with what is to be believed. A clock that is wrong by years, a policy that
// was made for another table, or an import that marked everything look like this.
func (r *eraseRun) brake(ctx context.Context) error {
	braking, err := r.brakeOrders(ctx)
	if err == nil && braking == nil {
		braking, err = r.brakeCarts(ctx)
	}
	if err != nil || braking == nil {
		return err
	}
	r.report.Brake = braking
	if r.confirmed || r.report.DryRun {
		return nil
	}
	return fmt.Errorf("%w: %s; look at them with kvit erase --dry-run, and if they are right, kvit erase --confirm", ErrBraked, braking.Reason)
}

func (r *eraseRun) brakeOrders(ctx context.Context) (*Braking, error) {
	if r.Orders == nil || r.lost() || r.Brake == (Brake{}) {
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
