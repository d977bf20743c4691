package erasure

import (
	"context"
	"maps"
	"reflect"
	"slices"

	"github.com/jackc/pgx/v5"

	"kvit/erasure/policy"
	"kvit/erasure/proof"
	"kvit/store"
)

// dueOrders are the orders of a clock, as a source.
type dueOrders struct {
	*eraseRun
	clock store.Clock
}

// orderLot is orders that are due.
type orderLot []store.DueOrder

// Len is the number of orders.
func (l orderLot) Len() int { return len(l) }

// One is the order of this place alone.
func (l orderLot) One(i int) orderLot { return l[i : i+1] }

var _ source[orderLot] = dueOrders{}

func (d dueOrders) erase(ctx context.Context, tx pgx.Tx, w wanted[orderLot]) (orderLot, func(), error) {
	due := store.Due{Now: d.now, Clock: d.clock, Limit: w.limit}
	if len(w.only) > 0 {
		due.Refs = refsOf(w.only)
	}
	if len(w.after) > 0 {
		due.After = w.after[len(w.after)-1]
	}
	orders, done, err := d.eraseOrders(ctx, tx, due)
	return orders, func() { d.erased(orders, done) }, err
}

// erased counts what a batch has done, and tells of it.
func (r *eraseRun) erased(orders []store.DueOrder, done batchDone) {
	r.report.add(orders, done)
	r.look.add(done.look)
	if !done.waiting && r.OrdersErased != nil && !r.report.DryRun {
		r.OrdersErased(len(orders))
	}
}

func (d dueOrders) refused(one orderLot, problem string) {
	d.report.Failed++
	if len(d.report.Problems) < maxProblems {
		d.report.Problems = append(d.report.Problems, OrderProblem{OrderRef: one[0].Ref, Problem: problem})
	}
}

// batchDone is what became of a batch.
type batchDone struct {
	counts  rowCounts                   // of this time
	columns map[string]map[string]int64 // values overwritten, by table and column; of a dry run alone
	shared  map[string]int64            // rows that stay, by order reference
	waiting bool                        // tables are left, so that the orders are not erased yet
	look    look                        // what to look for afterwards
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
		r.addColumns(table, columns)
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

func (r *Report) addColumns(table string, columns map[string]int64) {
	if r.Columns[table] == nil {
		r.Columns[table] = map[string]int64{}
	}
	for column, n := range columns {
		r.Columns[table][column] += n
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

func (r *eraseRun) eraseOrders(ctx context.Context, tx pgx.Tx, due store.Due) ([]store.DueOrder, batchDone, error) {
	var done batchDone
	plan, err := r.fit(ctx, tx)
	if err != nil {
		return nil, done, err
	}
	r.size.begins()
	orders, err := store.LockDueOrders(ctx, tx, r.shop, due)
	if err != nil || len(orders) == 0 {
		return nil, done, err
	}
	if err := plan.findKeys(ctx, tx, r.shop, refsOf(orders)); err != nil {
		return orders, done, err
	}
	progress, err := store.ErasureProgress(ctx, tx, refsOf(orders))
	if err != nil {
		return orders, done, err
	}
	done = batchDone{counts: rowCounts{}, columns: map[string]map[string]int64{}, shared: map[string]int64{}, waiting: plan.waiting}
	if done.look, err = r.remember(ctx, tx, plan, refsOf(orders)); err != nil {
		return orders, done, err
	}
	if err := r.eraseRows(ctx, tx, plan, refsOf(orders), progress, &done); err != nil {
		return orders, done, err
	}
	total := plan.total(progress, done.counts)
	if plan.waiting {
		return orders, done, store.SaveErasureProgress(ctx, tx, changed(progress, total), r.now)
	}
	if len(progress) > 0 {
		if err := store.DropErasureProgress(ctx, tx, refsOf(orders)); err != nil {
			return orders, done, err
		}
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
	p := r.policy()
	database, err := lockDatabase(ctx, tx, p.TableNames())
	if err != nil {
		return erasePlan{}, err
	}
	f := r.fitted
	if f == nil || !reflect.DeepEqual(f.database, database) {
		f = r.fitTo(p, database)
		r.fitted = f
	}
	r.misfit = slices.Clone(f.misfit)
	r.report.Blocked = append([]policy.Blocked{}, f.blocked...)
	if f.all {
		return erasePlan{}, &policy.MisfitError{Problems: r.misfit}
	}
	if r.shop, err = r.Orders.Resolved(ctx, tx); err != nil {
		return erasePlan{}, err
	}
	return erasePlan{erasures: slices.Clone(f.erasures), waiting: len(f.blocked) > 0}, nil
}

// fitting is how the policy fits a database. Each batch reads anew what the database is; as long as that is the same,
// so is what follows from it.
type fitting struct {
	database policy.Database
	misfit   []policy.Problem
	blocked  []policy.Blocked
	all      bool // tables are blocked
	erasures []store.TableErasure
}

func (r *eraseRun) fitTo(p policy.Policy, database policy.Database) *fitting {
	f := &fitting{database: database, misfit: p.Check(database)}
	if f.blocked, f.all = p.Blocked(database, f.misfit); f.all {
		return f
	}
	for _, e := range r.statements(p, database) {
		isBlocked := slices.ContainsFunc(f.blocked, func(b policy.Blocked) bool { return b.Table == e.Table })
		if isBlocked || len(f.blocked) > 0 && e.Table == r.Orders.Table {
			continue
		}
		f.erasures = append(f.erasures, e)
	}
	return f
}

// keyTypes are those of numbers that the shop gives, or of references. Anything else, such as an e-mail
// address, stays in the database: a server may log the parameters of statements.
var keyTypes = []string{"smallint", "integer", "bigint", "uuid"}

// findKeys reads once what the tables' rows are found by.
func (p erasePlan) findKeys(ctx context.Context, tx pgx.Tx, shop store.Orders, refs []string) error {
	known := map[string]map[string]string{}
	for i, e := range p.erasures {
		if len(e.Path) == 0 {
			continue
		}
		last := e.Path[len(e.Path)-1]
		if last.Fold || len(last.And) > 0 || !slices.Contains(keyTypes, last.Type) {
			continue
		}
		if known[last.Key] == nil {
			keys, err := store.OrderKeys(ctx, tx, shop, last.Key, refs)
			if err != nil {
				return err
			}
			known[last.Key] = keys
		}
		p.erasures[i].Keys = known[last.Key]
	}
	return nil
}

// eraseRows leaves out what is done already while something waits. When nothing does, all is done once
// more for orders of which a part was done ahead: rows may have come since, and the policy may have
// changed.
func (r *eraseRun) eraseRows(ctx context.Context, tx pgx.Tx, plan erasePlan, refs []string, progress rowCounts, done *batchDone) error {
	var later []tableRefs
	var q store.Queue
	for _, e := range plan.erasures {
		t := tableRefs{e, refs}
		if plan.waiting {
			t.refs = progress.without(e.Table, refs)
		}
		if len(t.refs) == 0 {
			continue
		}
		if err := r.eraseTable(ctx, tx, &q, t, done); err != nil {
			return err
		}
		if !e.Cut {
			later = append(later, t)
			continue
		}
		if err := r.verify(ctx, tx, &q, []tableRefs{t}, done); err != nil {
			return err
		}
	}
	byRef, err := q.EraseOrderEvents(ctx, tx, refs, r.now)
	if err != nil {
		return err
	}
	done.counts.add(eventTable, refs, byRef)
	// At the end, since a trigger of one table may write to another.
	q.EventsLeft(refs, func(left map[string]int64) error { return remain(eventTable, left) })
	return r.verify(ctx, tx, &q, later, done)
}

// tableRefs is a table and the orders that it is erased for.
type tableRefs struct {
	store.TableErasure
	refs []string
}

// eraseTable queues it, since the server need not wait for kvit to have read what it did to the table before.
func (r *eraseRun) eraseTable(ctx context.Context, tx pgx.Tx, q *store.Queue, t tableRefs, done *batchDone) error {
	if r.report.DryRun {
		if err := r.countValues(ctx, tx, q, t, done); err != nil {
			return err
		}
	}
	return q.EraseTable(ctx, tx, r.shop, t.TableErasure, t.refs, r.now, func(byRef map[string]int64) {
		done.counts.add(t.Table, t.refs, byRef)
	})
}

// countValues counts what is there once all that is queued is done.
func (r *eraseRun) countValues(ctx context.Context, tx pgx.Tx, q *store.Queue, t tableRefs, done *batchDone) error {
	if err := q.Run(ctx, tx); err != nil {
		return err
	}
	columns, err := store.CountValues(ctx, tx, r.shop, t.TableErasure, t.refs)
	if err == nil && columns != nil {
		done.columns[t.Table] = columns
	}
	return err
}

// verify looks for what should be gone, once all that is queued is done: a trigger or a rule of the shop may have kept it.
func (r *eraseRun) verify(ctx context.Context, tx pgx.Tx, q *store.Queue, tables []tableRefs, done *batchDone) error {
	var shared []tableRefs
	for _, t := range tables {
		err := q.FindRemains(ctx, tx, r.shop, t.TableErasure, t.refs, func(found store.Remains) error {
			if done.share(found) && len(t.Primary) > 0 {
				shared = append(shared, t)
			}
			return remain(t.Table, found.Left)
		})
		if err != nil {
			return err
		}
	}
	if err := q.Run(ctx, tx); err != nil {
		return err
	}
	for _, t := range shared {
		if err := store.RememberLeft(ctx, tx, r.shop, t.TableErasure, t.refs); err != nil {
			return err
		}
	}
	return nil
}

// share adds up rows that stay, and tells whether there are any.
func (d *batchDone) share(found store.Remains) bool {
	shared := false
	for ref, n := range found.Shared {
		d.shared[ref] += n
		shared = shared || n > 0
	}
	return shared
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
	policyHash := r.policy().Hash()
	return r.seal(ctx, tx, len(orders), func(i int) proof.Certificate {
		o := orders[i]
		return proof.Certificate{
			OrderRef: o.Ref, Clock: clock.Name, ERPImportedAt: o.ImportedAt, ERPOrderNumber: o.ERPNumber,
			PolicyHash: policyHash, RowCounts: counts[o.Ref],
			Verification: map[string]int64{proof.Left: 0, proof.Shared: shared[o.Ref]},
		}
	})
}

// seal appends n certificates of now to the chain.
func (r *eraseRun) seal(ctx context.Context, tx pgx.Tx, n int, certificate func(i int) proof.Certificate) error {
	number, hash, err := store.LastCertificate(ctx, tx)
	if err != nil {
		return err
	}
	chain := proof.Chain{Number: number, Hash: hash}
	return store.AppendSealed(ctx, tx, n, func(i int) store.Certificate {
		c := certificate(i)
		c.ErasedAt = r.now
		return store.Certificate(chain.Seal(c))
	})
}
