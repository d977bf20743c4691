package jobs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
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
	misfit []retention.Problem // that the last batch found
}

// late tells, and notes, that time is up.
func (r *eraseRun) late() bool {
	if !r.stopAt.IsZero() && time.Now().After(r.stopAt) {
		r.report.More = true
	}
	return r.report.More
}

// everything goes through all that is due. A policy that does not fit stops the tables it does not fit.
func (r *eraseRun) everything(ctx context.Context) error {
	if err := r.orders(ctx); err != nil && !isMisfit(err) {
		return failure("erase orders", err)
	}
	if err := r.looseEvents(ctx); err != nil {
		return failure("erase events without an order", err)
	}
	if err := r.purge(ctx); err != nil {
		return failure("purge receipts", err)
	}
	if len(r.misfit) > 0 {
		return &retention.PolicyError{Problems: r.misfit}
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

// count looks at what is left: due orders that were not erased wait for a table, or failed, or were
// locked.
func (r *eraseRun) count(ctx context.Context) error {
	left, held, err := store.CountDueOrders(ctx, r.db, *r.Orders, r.now)
	if err != nil {
		return err
	}
	r.report.Held = held
	r.report.Skipped = max(left-r.report.Failed-r.report.Waiting, 0)
	return nil
}

// batch erases one batch of orders in one transaction. It returns them even if that fails.
func (r *eraseRun) batch(ctx context.Context, due store.Due) (orders []store.DueOrder, err error) {
	var done batchDone
	err = pgx.BeginFunc(ctx, r.db, func(tx pgx.Tx) error {
		orders, done, err = r.erase(ctx, tx, due)
		return err
	})
	if err != nil || len(orders) == 0 {
		return orders, err
	}
	for _, tables := range done.counts {
		for table, n := range tables {
			r.report.Rows[table] += n
		}
		r.report.Events += int(tables[eventTable])
	}
	if done.waiting {
		r.report.Waiting += len(orders)
		return orders, nil
	}
	r.report.Orders += len(orders)
	if r.OrdersErased != nil && !r.report.DryRun {
		r.OrdersErased(len(orders))
	}
	return orders, nil
}

// batchDone is what became of a batch.
type batchDone struct {
	counts  rowCounts // of this time
	waiting bool      // tables are left, so that the orders are not erased yet
}

// rowCounts are the rows overwritten or deleted, by order reference and table.
type rowCounts map[string]map[string]int64

func (c rowCounts) add(table string, refs []string, byRef map[string]int64) {
	for _, ref := range refs {
		if c[ref] == nil {
			c[ref] = map[string]int64{}
		}
		c[ref][table] += byRef[ref]
	}
}

const eventTable = "kvit.event"

func (r *eraseRun) erase(ctx context.Context, tx pgx.Tx, due store.Due) ([]store.DueOrder, batchDone, error) {
	var done batchDone
	if err := store.LockErasure(ctx, tx); err != nil {
		return nil, done, err
	}
	plan, err := r.fit(ctx, tx)
	if err != nil {
		return nil, done, err
	}
	orders, err := store.LockDueOrders(ctx, tx, *r.Orders, due)
	if err != nil || len(orders) == 0 {
		return nil, done, err
	}
	progress, err := store.ErasureProgress(ctx, tx, refsOf(orders))
	if err != nil {
		return orders, done, err
	}
	done = batchDone{counts: rowCounts{}, waiting: plan.waiting}
	if err := r.eraseRows(ctx, tx, plan, refsOf(orders), progress, done.counts); err != nil {
		return orders, done, err
	}
	total := plan.total(progress, done.counts)
	if plan.waiting {
		return orders, done, store.SaveErasureProgress(ctx, tx, changed(progress, total), r.now)
	}
	if err := store.DropErasureProgress(ctx, tx, refsOf(orders)); err != nil {
		return orders, done, err
	}
	return orders, done, r.certify(ctx, tx, orders, total)
}

func refsOf(orders []store.DueOrder) []string {
	refs := make([]string, len(orders))
	for i, o := range orders {
		refs[i] = o.Ref
	}
	return refs
}

// erasePlan is what can be done at the moment.
type erasePlan struct {
	erasures []store.TableErasure // the orders table is the last, and not among them while something waits
	waiting  bool                 // for tables that the policy does not fit
}

// fit checks the policy in the transaction that relies on it, under a lock that keeps columns from
// being added: a table that got one a minute ago is left alone.
func (r *eraseRun) fit(ctx context.Context, tx pgx.Tx) (erasePlan, error) {
	policy := r.policy()
	if err := store.LockTables(ctx, tx, policy.TableNames()); err != nil {
		return erasePlan{}, err
	}
	database, err := readDatabase(ctx, tx, policy.TableNames())
	if err != nil {
		return erasePlan{}, err
	}
	r.misfit = policy.Check(database)
	blocked, all := policy.Blocked(database, r.misfit)
	r.report.Blocked = append([]retention.Blocked{}, blocked...)
	if all {
		return erasePlan{}, &retention.PolicyError{Problems: r.misfit}
	}
	plan := erasePlan{waiting: len(blocked) > 0}
	for _, e := range r.statements(policy, database) {
		isBlocked := slices.ContainsFunc(blocked, func(b retention.Blocked) bool { return b.Table == e.Table })
		if isBlocked || plan.waiting && e.Table == r.Orders.Table {
			continue
		}
		plan.erasures = append(plan.erasures, e)
	}
	return plan, nil
}

// eraseRows leaves out what is done already while something waits. When nothing does, all is done once
// more for orders of which a part was done ahead: rows may have come since, and the policy may have
// changed.
func (r *eraseRun) eraseRows(ctx context.Context, tx pgx.Tx, plan erasePlan, refs []string, progress, counts rowCounts) error {
	for _, e := range plan.erasures {
		left := refs
		if plan.waiting {
			left = slices.DeleteFunc(slices.Clone(refs), func(ref string) bool {
				_, done := progress[ref][e.Table]
				return done
			})
		}
		if len(left) == 0 {
			continue
		}
		byRef, err := store.EraseTable(ctx, tx, *r.Orders, e, left, r.now)
		if err != nil {
			return err
		}
		counts.add(e.Table, left, byRef)
	}
	byRef, err := store.EraseOrderEvents(ctx, tx, refs, r.now)
	if err != nil {
		return err
	}
	counts.add(eventTable, refs, byRef)
	return nil
}

// total adds up what was done before and now. Rows that were overwritten before are among those
// overwritten once more, while rows that were deleted are not.
func (p erasePlan) total(before, now rowCounts) rowCounts {
	overwritten := map[string]bool{}
	for _, e := range p.erasures {
		overwritten[e.Table] = !e.DeleteRows
	}
	total := rowCounts{}
	for ref, tables := range now {
		total[ref] = maps.Clone(before[ref])
		if total[ref] == nil {
			total[ref] = map[string]int64{}
		}
		for table, n := range tables {
			if overwritten[table] {
				total[ref][table] = max(total[ref][table], n)
			} else {
				total[ref][table] += n
			}
		}
	}
	return total
}

// changed leaves out the orders of which nothing was done this time.
func changed(before, total rowCounts) rowCounts {
	return maps.Collect(func(yield func(string, map[string]int64) bool) {
		for ref, tables := range total {
			if !maps.Equal(before[ref], tables) && !yield(ref, tables) {
				return
			}
		}
	})
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
	if err := r.purgeProgress(ctx); err != nil {
		return err
	}
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

// progressAge is how old progress is when kvit looks whether the order is still there.
const progressAge = 24 * time.Hour

// purgeProgress needs to know what an order is, and leaves progress alone while nothing tells.
func (r *eraseRun) purgeProgress(ctx context.Context) error {
	if r.Orders == nil || r.lost() {
		return nil
	}
	for after, first := "", true; (first || after != "") && !r.late(); first = false {
		err := pgx.BeginFunc(ctx, r.db, func(tx pgx.Tx) (err error) {
			after, err = store.PurgeErasureProgress(ctx, tx, r.Orders, r.now.Add(-progressAge), after, batchEvents)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// lost tells whether the orders table cannot be read as it should.
func (r *eraseRun) lost() bool {
	return slices.ContainsFunc(r.misfit, func(p retention.Problem) bool { return p.Unreachable && p.Table == r.Orders.Table })
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
		"held", r.report.Held, "waiting", r.report.Waiting, "skipped", r.report.Skipped, "failed", r.report.Failed, "more", r.report.More,
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
