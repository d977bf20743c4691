package erasure

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"kvit/erasure/policy"
	"kvit/erasure/proof"
	"kvit/store"
)

// Again erases once more, by the present policy, the orders that were erased by an earlier one: what a table or a column
// that the policy has got since still holds of them goes. Each of the orders gets a supplement, also if nothing was
// left. What only led to a row over something that is erased is out of reach. Orders on hold are left.
func (e *Eraser) Again(ctx context.Context) (Report, error) {
	r := e.newRun(time.Time{})
	err := r.alone(ctx, func() error { return r.outdated(ctx) })
	return r.report, err
}

// DryAgain runs the statements of Again in one transaction and rolls it back.
func (e *Eraser) DryAgain(ctx context.Context) (Report, error) {
	r := e.newRun(time.Time{})
	err := r.undone(ctx, func(pgx.Tx) error { return r.outdated(ctx) })
	return r.report, err
}

// outdated goes through the orders by their references.
func (r *eraseRun) outdated(ctx context.Context) error {
	if r.Orders == nil {
		return nil
	}
	for after := ""; ; {
		if err := r.calm(ctx); err != nil {
			return err
		}
		refs, err := store.OutdatedOrders(ctx, r.db, *r.Orders, r.policy().Hash(), after, r.size.orders)
		if err != nil {
			return failure("find orders of an earlier policy", err)
		}
		if len(refs) == 0 {
			return r.outcome()
		}
		after = refs[len(refs)-1]
		if err := r.outdatedBatch(ctx, refs); err != nil {
			return err
		}
	}
}

// outdatedBatch erases a lot, or of one that is refused what it can.
func (r *eraseRun) outdatedBatch(ctx context.Context, refs []string) error {
	started := time.Now()
	err := r.eraseOutdated(ctx, refs)
	if err == nil {
		r.size.ended(len(refs), started)
		return nil
	}
	if !isRefusal(ctx, err) {
		return wordless("erase orders again", err)
	}
	for _, ref := range refs {
		err := r.eraseOutdated(ctx, []string{ref})
		if err != nil && !isRefusal(ctx, err) {
			return wordless("erase orders again", err)
		}
		if err != nil {
			dueOrders{eraseRun: r}.refused(orderLot{{Ref: ref}}, describe(err))
		}
	}
	return nil
}

func (r *eraseRun) eraseOutdated(ctx context.Context, refs []string) error {
	var orders []store.DueOrder
	var done batchDone
	err := r.locked(ctx, func(tx pgx.Tx) error {
		plan, err := r.fit(ctx, tx)
		if err != nil {
			return err
		}
		if plan.waiting { // a supplement would claim what is not so
			return &policy.MisfitError{Problems: r.misfit}
		}
		r.size.begins()
		if orders, err = r.erasedOrders(ctx, tx, refs); err != nil || len(orders) == 0 {
			return err
		}
		for i := range plan.erasures {
			plan.erasures[i].Again = true
		}
		if err := plan.findKeys(ctx, tx, r.shop, refsOf(orders)); err != nil {
			return err
		}
		done = batchDone{counts: rowCounts{}, columns: map[string]map[string]int64{}, shared: map[string]int64{}}
		if err := r.eraseRows(ctx, tx, plan, refsOf(orders), nil, &done); err != nil {
			return err
		}
		if err := r.certify(ctx, tx, store.Clock{Name: proof.ClockPolicy}, orders, done.counts, done.shared); err != nil {
			return err
		}
		return r.parting(ctx, tx)
	})
	if err == nil {
		r.report.add(orders, done)
	}
	return err
}

// erasedOrders locks those that are erased and not on hold.
func (r *eraseRun) erasedOrders(ctx context.Context, tx pgx.Tx, refs []string) ([]store.DueOrder, error) {
	found, err := store.LockOrders(ctx, tx, r.shop, refs)
	if err != nil {
		return nil, err
	}
	before := len(r.report.Holds)
	if err := r.holding(ctx, tx, refs); err != nil {
		return nil, err
	}
	var orders []store.DueOrder
	for _, o := range found {
		isHeld := slices.ContainsFunc(r.report.Holds[before:], func(h store.HeldOrder) bool { return h.OrderRef == o.Ref })
		if o.ErasedAt != nil && !isHeld {
			orders = append(orders, store.DueOrder{Ref: o.Ref, ImportedAt: o.ImportedAt, ERPNumber: o.ERPNumber})
		}
	}
	return orders, nil
}

// outdatedFindings advise to erase again what an earlier policy has erased.
func (e *Eraser) outdatedFindings(ctx context.Context, shop store.Orders) []Finding {
	n, err := store.CountOutdatedOrders(ctx, e.DB, shop, e.policy().Hash())
	if err != nil || n == 0 {
		return nil // what is wrong with the orders has been told
	}
	return []Finding{{Key: "retention.policy", Advice: true, Problem: fmt.Sprintf("%d orders were erased by an earlier policy: what this one "+
		"has got since is still there of them; `kvit erase --again --dry-run` tells what that is, `kvit erase --again` erases it", n)}}
}
