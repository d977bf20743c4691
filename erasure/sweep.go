package erasure

import (
	"context"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"kvit/erasure/proof"
	"kvit/store"
)

// sweep erases rows that stayed behind with other orders, once the last of these is gone: erased later on, or
// deleted by the shop.
func (r *eraseRun) sweep(ctx context.Context) error {
	if r.Orders == nil {
		return nil
	}
	count, _, err := store.LeftCount(ctx, r.db)
	if err != nil || count == 0 {
		return err
	}
	for place, more := 0, true; more && !r.late(); place++ {
		next := &store.LeftRows{Limit: max(r.BatchOrders, 1)}
		for next != nil && !r.late() {
			if err := r.calm(ctx); err != nil {
				return err
			}
			if next, more, err = r.sweepAsFar(ctx, place, *next); err != nil {
				return err
			}
		}
	}
	return nil
}

// sweepAsFar is sweepBatch, but one by one where a batch is refused: what cannot be erased stays remembered, and
// keeps nothing else.
func (r *eraseRun) sweepAsFar(ctx context.Context, place int, l store.LeftRows) (next *store.LeftRows, more bool, err error) {
	next, more, err = r.sweepBatch(ctx, place, l)
	if err == nil || !isRefusal(ctx, err) {
		return next, more, err
	}
	single := &store.LeftRows{After: l.After, Limit: 1}
	for range l.Limit {
		single, more, err = r.sweepBatch(ctx, place, *single)
		if err != nil && !isRefusal(ctx, err) {
			return nil, false, err
		}
		if single == nil {
			return nil, more, refusedBefore(err)
		}
		if err != nil && !isLocked(err) {
			if err := r.refuseLeft(ctx, single.After, err); err != nil {
				return nil, false, err
			}
		}
	}
	return &store.LeftRows{After: single.After, Limit: l.Limit}, more, nil
}

// refusedBefore is the error of a batch that was refused before it found a row to blame. Locks are tried again by the next run.
func refusedBefore(err error) error {
	if isLocked(err) {
		return nil
	}
	return err
}

// refuseLeft notes that a row that was left cannot be erased.
func (r *eraseRun) refuseLeft(ctx context.Context, id int64, problem error) error {
	ref, table, err := store.LeftBy(ctx, r.db, id)
	if err != nil {
		return err
	}
	r.report.Failed++
	if len(r.report.Problems) < maxProblems {
		r.report.Problems = append(r.report.Problems, OrderProblem{
			OrderRef: ref, Problem: "a row of " + table + " that it had left with other orders: " + describe(problem),
		})
	}
	return nil
}

// sweepBatch looks at some of the rows that were left by the way at this place in the plan; more is false if there
// is no such place. The next batch has a plan of its own, for the policy must fit in the transaction that relies
// on it.
func (r *eraseRun) sweepBatch(ctx context.Context, place int, l store.LeftRows) (next *store.LeftRows, more bool, err error) {
	var table string
	var counts map[string]int64
	err = r.locked(ctx, func(tx pgx.Tx) error {
		plan, err := r.fit(ctx, tx)
		if err != nil {
			return err
		}
		ways := slices.DeleteFunc(plan.erasures, func(e store.TableErasure) bool { return len(e.Primary) == 0 })
		if more = place < len(ways); !more {
			return nil
		}
		table = ways[place].Table
		if counts, next, err = store.SweepLeft(ctx, tx, r.shop, ways[place], foundBy(ways, place), l); err != nil || len(counts) == 0 {
			return err
		}
		if err := r.certifySwept(ctx, tx, table, counts); err != nil {
			return err
		}
		return r.parting(ctx, tx)
	})
	if err != nil {
		return next, more, err
	}
	for _, n := range counts {
		r.report.Rows[table] += n
	}
	return next, more, nil
}

// foundBy are the ways of the table for its first place: that one also takes rows that were left in a way that the
// policy knows no more.
func foundBy(ways []store.TableErasure, place int) []string {
	var names []string
	for i, e := range ways {
		if e.Table != ways[place].Table {
			continue
		}
		if i < place {
			return nil
		}
		names = append(names, e.Way())
	}
	return names
}

// certifySwept adds to what the certificates of the orders that left the rows say.
func (r *eraseRun) certifySwept(ctx context.Context, tx pgx.Tx, table string, counts map[string]int64) error {
	var orders []store.DueOrder
	rows := rowCounts{}
	for _, ref := range slices.Sorted(maps.Keys(counts)) {
		orders = append(orders, store.DueOrder{Ref: ref})
		rows[ref] = map[string]int64{table: counts[ref]}
	}
	return r.certify(ctx, tx, store.Clock{Name: proof.ClockShared}, orders, rows, nil)
}
