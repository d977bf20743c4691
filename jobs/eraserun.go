package jobs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"kvit/retention"
	"kvit/store"
)

// eraseRun is one run, dry or not.
type eraseRun struct {
	*Eraser
	db     store.DB // the dry run's transaction, else Eraser.DB
	now    time.Time
	stopAt time.Time
	report Report
}

// late tells, and notes, that time is up.
func (r *eraseRun) late() bool {
	if !r.stopAt.IsZero() && time.Now().After(r.stopAt) {
		r.report.More = true
	}
	return r.report.More
}

// everything goes through all that is due. A policy that does not fit stops the orders alone.
func (r *eraseRun) everything(ctx context.Context) error {
	policyErr := r.orders(ctx)
	if policyErr != nil && !isMisfit(policyErr) {
		return failure("erase orders", policyErr)
	}
	if err := r.looseEvents(ctx); err != nil {
		return failure("erase events without an order", err)
	}
	if err := r.purge(ctx); err != nil {
		return failure("purge receipts", err)
	}
	if policyErr != nil {
		return policyErr
	}
	if r.report.Failed > 0 {
		return fmt.Errorf("%d %w", r.report.Failed, ErrNotErased)
	}
	return nil
}

func (r *eraseRun) orders(ctx context.Context) error {
	if r.Orders == nil {
		return nil
	}
	due := store.Due{Now: r.now, Limit: max(r.BatchOrders, 1)}
	for !r.late() {
		orders, err := r.batch(ctx, due)
		if err != nil && len(orders) > 0 && isRefusal(ctx, err) {
			err = r.oneByOne(ctx, orders)
		}
		if err != nil {
			return err
		}
		if len(orders) == 0 {
			return r.count(ctx)
		}
		// Orders that cannot be erased stay behind; the run goes on after them.
		due.After = orders[len(orders)-1]
	}
	return nil
}

// oneByOne erases what it can of a batch that failed as a whole.
func (r *eraseRun) oneByOne(ctx context.Context, orders []store.DueOrder) error {
	for _, o := range orders {
		found, err := r.batch(ctx, store.Due{Now: r.now, Refs: []string{o.Ref}, Limit: 1})
		if err == nil {
			continue
		}
		if len(found) == 0 || !isRefusal(ctx, err) {
			return err
		}
		if isLocked(err) {
			continue // count finds it
		}
		r.report.Failed++
		if len(r.report.Problems) < maxProblems {
			r.report.Problems = append(r.report.Problems, OrderProblem{OrderRef: o.Ref, Problem: store.Describe(err)})
		}
	}
	return nil
}

// count looks at what is left: due orders that were not erased were locked, or else they failed.
func (r *eraseRun) count(ctx context.Context) error {
	left, held, err := store.CountDueOrders(ctx, r.db, *r.Orders, r.now)
	if err != nil {
		return err
	}
	r.report.Held = held
	r.report.Skipped = max(left-r.report.Failed, 0)
	return nil
}

// batch erases one batch of orders in one transaction. It returns them even if that fails.
func (r *eraseRun) batch(ctx context.Context, due store.Due) (orders []store.DueOrder, err error) {
	var counts rowCounts
	err = pgx.BeginFunc(ctx, r.db, func(tx pgx.Tx) error {
		orders, counts, err = r.erase(ctx, tx, due)
		return err
	})
	if err != nil || len(orders) == 0 {
		return orders, err
	}
	r.report.Orders += len(orders)
	for _, tables := range counts {
		for table, n := range tables {
			r.report.Rows[table] += n
		}
		r.report.Events += int(tables[eventTable])
	}
	if r.OrdersErased != nil && !r.report.DryRun {
		r.OrdersErased(len(orders))
	}
	return orders, nil
}

// rowCounts are the rows overwritten or deleted, by order reference and table.
type rowCounts map[string]map[string]int64

func (c rowCounts) add(table string, orders []store.DueOrder, byRef map[string]int64) {
	for _, o := range orders {
		if c[o.Ref] == nil {
			c[o.Ref] = map[string]int64{}
		}
		c[o.Ref][table] += byRef[o.Ref]
	}
}

const eventTable = "kvit.event"

func (r *eraseRun) erase(ctx context.Context, tx pgx.Tx, due store.Due) ([]store.DueOrder, rowCounts, error) {
	if err := store.LockErasure(ctx, tx); err != nil {
		return nil, nil, err
	}
	erasures, err := r.fit(ctx, tx)
	if err != nil {
		return nil, nil, err
	}
	orders, err := store.LockDueOrders(ctx, tx, *r.Orders, due)
	if err != nil || len(orders) == 0 {
		return nil, nil, err
	}
	counts, err := r.eraseRows(ctx, tx, erasures, orders)
	if err != nil {
		return orders, nil, err
	}
	return orders, counts, r.certify(ctx, tx, orders, counts)
}

// fit checks the policy in the transaction that relies on it, under a lock that keeps columns from
// being added: one that was added a minute ago stops the erasure.
func (r *eraseRun) fit(ctx context.Context, tx pgx.Tx) ([]store.TableErasure, error) {
	policy := r.policy()
	if err := store.LockTables(ctx, tx, policy.TableNames()); err != nil {
		return nil, err
	}
	columns, err := databaseColumns(ctx, tx, policy.TableNames())
	if err != nil {
		return nil, err
	}
	if problems := policy.Check(columns); len(problems) > 0 {
		return nil, &retention.PolicyError{Problems: problems}
	}
	var erasures []store.TableErasure
	for _, e := range policy.Erasures(columns) {
		erasures = append(erasures, store.TableErasure(e))
	}
	return erasures, nil
}

func (r *eraseRun) eraseRows(ctx context.Context, tx pgx.Tx, erasures []store.TableErasure, orders []store.DueOrder) (rowCounts, error) {
	refs := make([]string, len(orders))
	for i, o := range orders {
		refs[i] = o.Ref
	}
	counts := rowCounts{}
	for _, e := range erasures {
		byRef, err := store.EraseTable(ctx, tx, *r.Orders, e, refs, r.now)
		if err != nil {
			return nil, err
		}
		counts.add(e.Table, orders, byRef)
	}
	byRef, err := store.EraseOrderEvents(ctx, tx, refs, r.now)
	if err != nil {
		return nil, err
	}
	counts.add(eventTable, orders, byRef)
	return counts, nil
}

func (r *eraseRun) certify(ctx context.Context, tx pgx.Tx, orders []store.DueOrder, counts rowCounts) error {
	number, hash, err := store.LastCertificate(ctx, tx)
	if err != nil {
		return err
	}
	chain := retention.Chain{Number: number, Hash: hash}
	policyHash := r.policy().Hash()
	certificates := make([]store.Certificate, len(orders))
	for i, o := range orders {
		certificates[i] = store.Certificate(chain.Seal(retention.Certificate{
			OrderRef: o.Ref, ErasedAt: r.now, ERPImportedAt: o.ImportedAt, ERPOrderNumber: o.ERPNumber,
			PolicyHash: policyHash, RowCounts: counts[o.Ref],
		}))
	}
	return store.AppendCertificates(ctx, tx, certificates)
}

func (r *eraseRun) looseEvents(ctx context.Context) error {
	next := &store.LooseEvents{Now: r.now, Before: r.now.Add(-r.EventsAfter), Limit: batchEvents}
	for next != nil && !r.late() {
		var erased int
		err := pgx.BeginFunc(ctx, r.db, func(tx pgx.Tx) (err error) {
			if err := store.LockErasure(ctx, tx); err != nil {
				return err
			}
			erased, next, err = store.EraseLooseEvents(ctx, tx, r.Orders, *next)
			return err
		})
		if err != nil {
			return err
		}
		r.report.Events += erased
		r.report.Rows[eventTable] += int64(erased)
	}
	return nil
}

func (r *eraseRun) purge(ctx context.Context) error {
	purged := batchEvents
	for purged == batchEvents && !r.late() {
		err := pgx.BeginFunc(ctx, r.db, func(tx pgx.Tx) (err error) {
			purged, err = store.PurgeEvents(ctx, tx, r.now.Add(-r.ReceiptsAfter), batchEvents)
			return err
		})
		if err != nil {
			return err
		}
		r.report.Purged += purged
	}
	return nil
}

// note writes the end of the run. One that was interrupted counts as not finished, so that the next
// start catches up with it.
func (r *eraseRun) note(ctx context.Context, id int64, problem error) error {
	row := store.ErasureRun{Orders: r.report.Orders, Events: r.report.Events}
	if problem != nil {
		text := problem.Error()
		row.Problem = &text
	}
	interrupted := r.report.More || problem != nil && !isMisfit(problem) && !errors.Is(problem, ErrNotErased)
	if !interrupted {
		finished := r.Eraser.now()
		row.FinishedAt = &finished
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := store.FinishErasureRun(ctx, r.DB, id, row); err != nil {
		return failure("note the end of the erasure", err)
	}
	return nil
}

func (r *eraseRun) log(problem error) {
	for _, p := range r.report.Problems {
		r.Logger.Warn("order could not be erased", "order_ref", p.OrderRef, "problem", p.Problem)
	}
	attrs := []any{
		"orders", r.report.Orders, "events", r.report.Events, "purged", r.report.Purged,
		"held", r.report.Held, "skipped", r.report.Skipped, "failed", r.report.Failed, "more", r.report.More,
	}
	if problem != nil {
		r.Logger.Error("erasure ended with a problem", append(attrs, "err", problem)...)
		return
	}
	r.Logger.Info("erasure done", attrs...)
}

// failure words a database error without its values.
func failure(action string, err error) error {
	return errors.New(action + ": " + store.Describe(err))
}

func isMisfit(err error) bool {
	var misfit *retention.PolicyError
	return errors.As(err, &misfit)
}

// isRefusal: a statement failed, as opposed to the connection or the whole run. Fewer orders at a
// time may help.
func isRefusal(ctx context.Context, err error) bool {
	var pgErr *pgconn.PgError
	if ctx.Err() != nil || !errors.As(err, &pgErr) {
		return false
	}
	const (
		statementTimeout = "57014" // query_canceled, and it was not us
		wrongStatement   = "42"    // undefined column, permission denied, ...: so it is for every order
	)
	if pgErr.Code == statementTimeout {
		return true
	}
	return !strings.HasPrefix(pgErr.Code, wrongStatement) && !store.IsConnection(err)
}

// isLocked: somebody else is at work on the order's rows.
func isLocked(err error) bool {
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) {
		return false
	}
	switch pgErr.Code {
	case "55P03", "40P01", "40001": // lock_not_available, deadlock_detected, serialization_failure
		return true
	}
	return false
}
