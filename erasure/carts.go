package erasure

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"kvit/erasure/policy"
	"kvit/erasure/proof"
	"kvit/store"
)

// cartPrefix begins the order reference of certificates that are about carts; the rule's name follows.
const cartPrefix = "cart:"

// isCarts tells whether a certificate is about the carts of a rule.
func isCarts(c proof.Certificate) bool { return c.OrderRef == cartPrefix+c.Clock }

// CartProblem is why carts that are due could not be deleted.
type CartProblem struct {
	Rule    string `json:"rule"`
	Carts   int    `json:"carts"`
	Problem string `json:"problem"`
}

// cartsOf is the rule as the store takes it.
func cartsOf(rule policy.Carts) store.Carts {
	c := store.Carts{Table: rule.Table, When: rule.When, Since: rule.Since, After: rule.EraseAfter}
	for _, child := range rule.Children {
		c.Children = append(c.Children, store.CartChild(child))
	}
	return c
}

// cartTables are the tables that the rules of carts erase.
func (e *Eraser) cartTables() []string {
	var names []string
	for _, rule := range e.Carts {
		names = append(names, rule.TableNames()...)
	}
	return names
}

// brakeCarts is brake for carts. A rule that cannot be used erases nothing, and stops nobody.
func (r *eraseRun) brakeCarts(ctx context.Context) (*Braking, error) {
	if r.Brake.MaxOrders == 0 {
		return nil, nil
	}
	for _, rule := range r.Carts {
		due, err := r.countDue(ctx, rule)
		if err != nil && !isRulesFault(ctx, err) {
			return nil, failure("count due carts", err)
		}
		if due > r.Brake.MaxOrders {
			return &Braking{Due: due, Reason: fmt.Sprintf("%d carts are due by retention.carts.%s, more than retention.brake.max_orders (%d)",
				due, rule.Name, r.Brake.MaxOrders)}, nil
		}
	}
	return nil, nil
}

func (r *eraseRun) countDue(ctx context.Context, rule policy.Carts) (due int, err error) {
	err = pgx.BeginFunc(ctx, r.db, func(tx pgx.Tx) error {
		due, _, err = store.CountDueCarts(ctx, tx, cartsOf(rule), r.now, 0)
		return err
	})
	return due, err
}

// carts deletes what is due by one rule after the other. A rule that does not fit stops itself alone.
func (r *eraseRun) carts(ctx context.Context) error {
	for _, rule := range r.Carts {
		err := r.dueCarts(ctx, rule)
		switch {
		case IsMisfit(err): // fitCarts has noted it
		case err != nil && isRulesFault(ctx, err):
			r.cartMisfit = append(r.cartMisfit, unusable(rule, err))
		case err != nil:
			return err
		}
	}
	return nil
}

// dueCarts deletes in batches.
func (r *eraseRun) dueCarts(ctx context.Context, rule policy.Carts) error {
	r.size = newBatchSize(r.BatchOrders, r.BatchTime) // a cart costs something else than an order
	r.report.Carts[rule.Name] += 0
	refused := map[string]int{}
	due := store.DueCarts{Now: r.now}
	for !r.late() {
		if err := r.calm(ctx); err != nil {
			return err
		}
		if r.late() { // it may have waited for a replica until now
			break
		}
		due.Limit = r.size.orders
		started := time.Now()
		batch, err := r.cartBatch(ctx, rule, due)
		if err != nil && batch.Len() > 0 && isRefusal(ctx, err) {
			err = r.cartByCart(ctx, rule, batch, refused)
		} else {
			r.size.took(batch.Len(), time.Since(started))
		}
		if err != nil {
			return err
		}
		if batch.Len() == 0 {
			return r.cartsLeft(ctx, rule, refused)
		}
		due.After = batch // carts that cannot be deleted stay behind
	}
	return r.cartsLeft(ctx, rule, refused)
}

// cartByCart deletes what it can of a batch that failed as a whole, and counts the others by their problem.
func (r *eraseRun) cartByCart(ctx context.Context, rule policy.Carts, batch store.CartBatch, refused map[string]int) error {
	for i := range batch.Len() {
		found, err := r.cartBatch(ctx, rule, store.DueCarts{Now: r.now, Only: batch.One(i), Limit: 1})
		switch {
		case err == nil, found.Len() > 0 && isLocked(err):
		case found.Len() == 0 || !isRefusal(ctx, err):
			return err
		default:
			refused[describe(err)]++
		}
	}
	return nil
}

// cartsLeft reports what the run leaves: carts that were refused, and those that somebody has locked.
func (r *eraseRun) cartsLeft(ctx context.Context, rule policy.Carts, refused map[string]int) error {
	failed := 0
	for _, problem := range slices.Sorted(maps.Keys(refused)) {
		failed += refused[problem]
		r.report.CartProblems = append(r.report.CartProblems, CartProblem{Rule: rule.Name, Carts: refused[problem], Problem: problem})
	}
	if r.report.More {
		return nil
	}
	left, err := r.countDue(ctx, rule)
	r.report.Skipped += max(left-failed, 0)
	return err
}

// cartBatch deletes one batch of carts in one transaction, with its certificate. It returns them even if that
// fails.
func (r *eraseRun) cartBatch(ctx context.Context, rule policy.Carts, due store.DueCarts) (batch store.CartBatch, err error) {
	var counts map[string]int64
	err = pgx.BeginFunc(ctx, r.db, func(tx pgx.Tx) error {
		if err := store.LockErasure(ctx, tx); err != nil {
			return err
		}
		if err := r.fitCarts(ctx, tx, rule); err != nil {
			return err
		}
		if batch, err = store.LockDueCarts(ctx, tx, cartsOf(rule), due); err != nil || batch.Len() == 0 {
			return err
		}
		if counts, err = r.eraseCarts(ctx, tx, rule, batch); err != nil {
			return err
		}
		return r.parting(ctx, tx)
	})
	if err != nil {
		return batch, err
	}
	r.report.Carts[rule.Name] += batch.Len()
	for table, n := range counts {
		r.report.Rows[table] += n
	}
	return batch, nil
}

// fitCarts checks the rule in the transaction that relies on it: a table that refers to carts may have come
// a minute ago.
func (r *eraseRun) fitCarts(ctx context.Context, tx pgx.Tx, rule policy.Carts) error {
	if err := store.LockTables(ctx, tx, rule.TableNames()); err != nil {
		return err
	}
	database, err := ReadDatabase(ctx, tx, rule.TableNames())
	if err != nil {
		return err
	}
	problems, _ := rule.Check(database)
	if len(problems) == 0 {
		return nil
	}
	r.cartMisfit = append(r.cartMisfit, problems...)
	return &policy.PolicyError{Problems: problems}
}

// eraseCarts deletes, looks whether all is gone, and certifies it.
func (r *eraseRun) eraseCarts(ctx context.Context, tx pgx.Tx, rule policy.Carts, batch store.CartBatch) (map[string]int64, error) {
	counts, err := store.EraseCarts(ctx, tx, cartsOf(rule), batch)
	if err != nil {
		return nil, err
	}
	left, err := store.CartsLeft(ctx, tx, cartsOf(rule), batch)
	if err != nil {
		return nil, err
	}
	for _, table := range rule.TableNames() {
		if left[table] > 0 {
			return nil, &store.RemainsError{Table: table, Rows: left[table]}
		}
	}
	return counts, r.certifyCarts(ctx, tx, rule, counts)
}

func (r *eraseRun) certifyCarts(ctx context.Context, tx pgx.Tx, rule policy.Carts, counts map[string]int64) error {
	number, hash, err := store.LastCertificate(ctx, tx)
	if err != nil {
		return err
	}
	chain := proof.Chain{Number: number, Hash: hash}
	return store.AppendCertificates(ctx, tx, []store.Certificate{store.Certificate(chain.Seal(proof.Certificate{
		OrderRef: cartPrefix + rule.Name, ErasedAt: r.now, Clock: rule.Name, PolicyHash: rule.Hash(), RowCounts: counts,
		Verification: map[string]int64{proof.Left: 0},
	}))})
}

// cartsErased counts the carts of all rules.
func (r Report) cartsErased() (erased, failed int) {
	for _, n := range r.Carts {
		erased += n
	}
	for _, p := range r.CartProblems {
		failed += p.Carts
	}
	return erased, failed
}

// notErased is the error of a run that left something; nil: it did not.
func notErased(orders, carts int) error {
	var parts []string
	if orders > 0 {
		parts = append(parts, fmt.Sprintf("%d orders", orders))
	}
	if carts > 0 {
		parts = append(parts, fmt.Sprintf("%d carts", carts))
	}
	if len(parts) == 0 {
		return nil
	}
	return fmt.Errorf("%s %w", strings.Join(parts, " and "), ErrNotErased)
}
