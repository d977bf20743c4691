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
	db        store.DB // the dry run's transaction, else Eraser.DB
	now       time.Time
	stopAt    time.Time // no batch begins after this; zero: no limit
	confirmed bool      // the brake is off
	size      batchSize
	lookout   lookout
	report    Report
	misfit    []retention.Problem // that the last batch found
}

// do is a whole run: the only one of all processes while it lasts, and noted in kvit.erasure_run.
func (r *eraseRun) do(ctx context.Context) (Report, error) {
	err := r.alone(ctx, func() error {
		id, err := store.StartErasureRun(ctx, r.DB, r.now, r.now.Add(-r.ReceiptsAfter))
		if err != nil {
			return failure("start erasure", err)
		}
		err = r.everything(ctx)
		if noteErr := r.note(ctx, id, err); err == nil {
			err = noteErr
		}
		r.log(err)
		return err
	})
	if err == nil && !r.report.More && r.RunSucceeded != nil {
		r.RunSucceeded(r.now)
	}
	return r.report, err
}

// alone does work while it keeps every other run from beginning; store.ErrRunning if one is under way.
func (r *eraseRun) alone(ctx context.Context, work func() error) error {
	tx, err := r.DB.Begin(ctx)
	if err != nil {
		return failure("begin erasure", err)
	}
	defer rollBack(ctx, tx)
	if err := lockRun(ctx, tx); err != nil {
		return err
	}
	r.lookout = lookout{tx: tx, lag: r.MaxReplicaLag}
	return work()
}

// undone does work in one transaction and rolls it back.
func (r *eraseRun) undone(ctx context.Context, work func() error) error {
	r.report.DryRun = true
	r.report.Columns = map[string]map[string]int64{}
	return r.inOne(ctx, func(pgx.Tx) error { return work() })
}

// inOne does work in one transaction instead of batch by batch. What work does not commit is undone.
func (r *eraseRun) inOne(ctx context.Context, work func(pgx.Tx) error) error {
	tx, err := r.DB.Begin(ctx)
	if err != nil {
		return failure("begin erasure", err)
	}
	defer rollBack(ctx, tx)
	if err := lockRun(ctx, tx); err != nil {
		return err
	}
	if err := store.LockErasure(ctx, tx); err != nil {
		return failure("begin erasure", err)
	}
	r.db = tx
	return work(tx)
}

func lockRun(ctx context.Context, tx pgx.Tx) error {
	err := store.LockErasureRun(ctx, tx)
	if err != nil && !errors.Is(err, store.ErrRunning) {
		return failure("begin erasure", err)
	}
	return err
}

// rollBack ends a transaction even if ctx has ended: its locks must not stay until the connection is
// found dead.
func rollBack(ctx context.Context, tx pgx.Tx) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	_ = tx.Rollback(ctx)
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
	if err := r.brake(ctx); err != nil {
		return err
	}
	if err := r.orders(ctx); err != nil && !isMisfit(err) {
		return failure("erase orders", err)
	}
	if err := r.looseEvents(ctx); err != nil {
		return failure("erase events without an order", err)
	}
	if err := r.purge(ctx); err != nil {
		return failure("purge receipts", err)
	}
	return r.outcome()
}

// outcome is the error of a run that went through, if it left something.
func (r *eraseRun) outcome() error {
	if len(r.misfit) > 0 {
		return &retention.PolicyError{Problems: r.misfit}
	}
	if r.report.Failed > 0 {
		return fmt.Errorf("%d %w", r.report.Failed, ErrNotErased)
	}
	return nil
}

// brake compares what is due with what is to be believed. A clock that is wrong by years, a policy that
// was made for another table, or an import that marked everything look like this.
func (r *eraseRun) brake(ctx context.Context) error {
	if r.Orders == nil || r.Brake == (Brake{}) {
		return nil
	}
	due, _, err := store.CountDueOrders(ctx, r.db, *r.Orders, r.now)
	if err != nil {
		return failure("count due orders", err)
	}
	reason, err := r.tooMany(ctx, due)
	if err != nil || reason == "" {
		return err
	}
	r.report.Brake = &Braking{Due: due, Reason: reason}
	if r.confirmed || r.report.DryRun {
		return nil
	}
	return fmt.Errorf("%w: %s; look at them with kvit erase --dry-run, and if they are right, kvit erase --confirm", ErrBraked, reason)
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

// orders erases by one clock after the other.
func (r *eraseRun) orders(ctx context.Context) error {
	if r.Orders == nil {
		return nil
	}
	for _, clock := range r.Orders.AllClocks() {
		if err := r.due(ctx, store.Due{Now: r.now, Clock: clock}); err != nil {
			return err
		}
	}
	if r.report.More {
		return nil
	}
	return r.count(ctx)
}

// due erases what is due in batches.
func (r *eraseRun) due(ctx context.Context, due store.Due) error {
	for !r.late() {
		if err := r.calm(ctx); err != nil {
			return err
		}
		due.Limit = r.size.orders
		started := time.Now()
		orders, err := r.batch(ctx, due)
		if err != nil && len(orders) > 0 && isRefusal(ctx, err) {
			err = r.oneByOne(ctx, orders, due)
		} else {
			r.size.took(len(orders), time.Since(started))
		}
		if err != nil || len(orders) == 0 {
			return err
		}
		// Orders that cannot be erased stay behind; the run goes on after them.
		due.After = orders[len(orders)-1]
	}
	return nil
}

// named erases those of the named orders that the clock lets go.
func (r *eraseRun) named(ctx context.Context, clock store.Clock, refs []string) error {
	for len(refs) > 0 {
		if err := r.calm(ctx); err != nil {
			return err
		}
		n := min(r.size.orders, len(refs))
		due := store.Due{Now: r.now, Clock: clock, Refs: refs[:n], Limit: n}
		started := time.Now()
		orders, err := r.batch(ctx, due)
		if err != nil && len(orders) > 0 && isRefusal(ctx, err) {
			err = r.oneByOne(ctx, orders, due)
		} else {
			r.size.took(len(orders), time.Since(started))
		}
		if err != nil {
			return err
		}
		refs = refs[n:]
	}
	return nil
}

// oneByOne erases what it can of a batch that failed as a whole.
func (r *eraseRun) oneByOne(ctx context.Context, orders []store.DueOrder, due store.Due) error {
	due.Limit = 1
	for _, o := range orders {
		due.Refs = []string{o.Ref}
		found, err := r.batch(ctx, due)
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
			r.report.Problems = append(r.report.Problems, OrderProblem{OrderRef: o.Ref, Problem: describe(err)})
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
	if held > 0 {
		holds, err := store.HeldOrders(ctx, r.db, *r.Orders, r.now, maxProblems)
		if err != nil {
			return err
		}
		r.report.Holds = append(r.report.Holds, holds...)
	}
	r.report.Skipped = max(left-r.report.Failed-r.report.Waiting, 0)
	return nil
}

// batch erases one batch of orders in one transaction. It returns them even if that fails.
func (r *eraseRun) batch(ctx context.Context, due store.Due) (orders []store.DueOrder, err error) {
	var done batchDone
	err = pgx.BeginFunc(ctx, r.db, func(tx pgx.Tx) error {
		orders, done, err = r.erase(ctx, tx, due)
		if err != nil || len(orders) == 0 {
			return err
		}
		if r.lookout.tx == nil {
			return store.CheckConstraints(ctx, tx) // in one transaction, no commit will do it for this batch
		}
		return r.lookout.waiters(ctx, tx)
	})
	if err != nil || len(orders) == 0 {
		return orders, err
	}
	r.report.add(orders, done)
	if done.waiting {
		return orders, nil
	}
	if r.OrdersErased != nil && !r.report.DryRun {
		r.OrdersErased(len(orders))
	}
	return orders, nil
}

// batchDone is what became of a batch.
type batchDone struct {
	counts  rowCounts                   // of this time
	columns map[string]map[string]int64 // values overwritten, by table and column; of a dry run alone
	shared  map[string]int64            // rows that stay, by order reference
	waiting bool                        // tables are left, so that the orders are not erased yet
}

// maxSamples is how many references a report names.
const maxSamples = 10

// add counts what a batch has done.
func (r *Report) add(orders []store.DueOrder, done batchDone) {
	for _, tables := range done.counts {
		for table, n := range tables {
			r.Rows[table] += n
		}
		r.Events += int(tables[eventTable])
	}
	for table, columns := range done.columns {
		if r.Columns[table] == nil {
			r.Columns[table] = map[string]int64{}
		}
		for column, n := range columns {
			r.Columns[table][column] += n
		}
	}
	for _, o := range orders[:min(len(orders), maxSamples-len(r.Samples))] {
		r.Samples = append(r.Samples, o.Ref)
	}
	if done.waiting {
		r.Waiting += len(orders)
	} else {
		r.Orders += len(orders)
	}
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

// without leaves out the orders for which a table is done.
func (c rowCounts) without(table string, refs []string) []string {
	return slices.DeleteFunc(slices.Clone(refs), func(ref string) bool {
		_, done := c[ref][table]
		return done
	})
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
	done = batchDone{counts: rowCounts{}, columns: map[string]map[string]int64{}, shared: map[string]int64{}, waiting: plan.waiting}
	if err := r.eraseRows(ctx, tx, plan, refsOf(orders), progress, &done); err != nil {
		return orders, done, err
	}
	total := plan.total(progress, done.counts)
	if plan.waiting {
		return orders, done, store.SaveErasureProgress(ctx, tx, changed(progress, total), r.now)
	}
	if err := store.DropErasureProgress(ctx, tx, refsOf(orders)); err != nil {
		return orders, done, err
	}
	return orders, done, r.certify(ctx, tx, due.Clock, orders, total, done.shared)
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
	database, err := ReadDatabase(ctx, tx, policy.TableNames())
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
func (r *eraseRun) eraseRows(ctx context.Context, tx pgx.Tx, plan erasePlan, refs []string, progress rowCounts, done *batchDone) error {
	var later []tableRefs
	for _, e := range plan.erasures {
		t := tableRefs{e, refs}
		if plan.waiting {
			t.refs = progress.without(e.Table, refs)
		}
		if len(t.refs) == 0 {
			continue
		}
		if err := r.eraseTable(ctx, tx, t, done); err != nil {
			return err
		}
		if !e.Cut {
			later = append(later, t)
			continue
		}
		if err := r.verify(ctx, tx, t, done); err != nil {
			return err
		}
	}
	byRef, err := store.EraseOrderEvents(ctx, tx, refs, r.now)
	if err != nil {
		return err
	}
	done.counts.add(eventTable, refs, byRef)
	// At the end, since a trigger of one table may write to another.
	for _, t := range later {
		if err := r.verify(ctx, tx, t, done); err != nil {
			return err
		}
	}
	left, err := store.EventsLeft(ctx, tx, refs)
	if err != nil {
		return err
	}
	return remain(eventTable, left)
}

// tableRefs is a table and the orders that it is erased for.
type tableRefs struct {
	store.TableErasure
	refs []string
}

func (r *eraseRun) eraseTable(ctx context.Context, tx pgx.Tx, t tableRefs, done *batchDone) error {
	if r.report.DryRun {
		columns, err := store.CountValues(ctx, tx, *r.Orders, t.TableErasure, t.refs)
		if err != nil {
			return err
		}
		if columns != nil {
			done.columns[t.Table] = columns
		}
	}
	byRef, err := store.EraseTable(ctx, tx, *r.Orders, t.TableErasure, t.refs, r.now)
	if err != nil {
		return err
	}
	done.counts.add(t.Table, t.refs, byRef)
	return nil
}

// verify looks for what should be gone: a trigger or a rule of the shop may have kept it.
func (r *eraseRun) verify(ctx context.Context, tx pgx.Tx, t tableRefs, done *batchDone) error {
	found, err := store.FindRemains(ctx, tx, *r.Orders, t.TableErasure, t.refs)
	if err != nil {
		return err
	}
	for ref, n := range found.Shared {
		done.shared[ref] += n
	}
	return remain(t.Table, found.Left)
}

// remainError says that a table kept what it should have lost.
type remainError struct {
	table string
	rows  int64
}

func (e *remainError) Error() string {
	return fmt.Sprintf("%d rows of %s still hold what was to be erased: a trigger or a rule may keep it", e.rows, e.table)
}

func remain(table string, left map[string]int64) error {
	var rows int64
	for _, n := range left {
		rows += n
	}
	if rows == 0 {
		return nil
	}
	return &remainError{table: table, rows: rows}
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

func (r *eraseRun) certify(ctx context.Context, tx pgx.Tx, clock store.Clock, orders []store.DueOrder, counts rowCounts, shared map[string]int64) error {
	number, hash, err := store.LastCertificate(ctx, tx)
	if err != nil {
		return err
	}
	chain := retention.Chain{Number: number, Hash: hash}
	policyHash := r.policy().Hash()
	certificates := make([]store.Certificate, len(orders))
	for i, o := range orders {
		certificates[i] = store.Certificate(chain.Seal(retention.Certificate{
			OrderRef: o.Ref, ErasedAt: r.now, Clock: clock.Name, ERPImportedAt: o.ImportedAt, ERPOrderNumber: o.ERPNumber,
			PolicyHash: policyHash, RowCounts: counts[o.Ref],
			Verification: map[string]int64{retention.Left: 0, retention.Shared: shared[o.Ref]},
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
	if errors.Is(problem, ErrBraked) {
		row.BrakedAt = &r.report.Brake.Due
	}
	ended := isMisfit(problem) || errors.Is(problem, ErrNotErased) || errors.Is(problem, ErrBraked)
	interrupted := r.report.More || problem != nil && !ended
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
	for _, h := range r.report.Holds {
		r.Logger.Warn("order is due but on hold", "order_ref", h.OrderRef)
	}
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
	return errors.New(action + ": " + describe(err))
}

func describe(err error) string {
	var left *remainError
	if errors.As(err, &left) {
		return left.Error()
	}
	return store.Describe(err)
}

func isMisfit(err error) bool {
	var misfit *retention.PolicyError
	return errors.As(err, &misfit)
}

// isRefusal: a statement failed, as opposed to the connection or the whole run. Fewer orders at a
// time may help.
func isRefusal(ctx context.Context, err error) bool {
	var left *remainError
	if errors.As(err, &left) {
		return true
	}
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
