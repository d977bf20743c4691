package erasure

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"kvit/erasure/policy"
	"kvit/store"
)

// ScanOptions say how a scan looks.
type ScanOptions struct {
	Orders   int           // of which values are looked for
	Time     time.Duration // for the search
	Progress func(done, total int)
}

// Scan erases some orders that are not erased yet, looks everywhere for what should be gone, and rolls it back:
// what the policy forgets, and what triggers copy, is found before the first night. Until the search is over the
// rows of these orders are locked. Triggers of the shop run, too. Tables that Check stops are left out.
func (e *Eraser) Scan(ctx context.Context, o ScanOptions) (ResidueReport, error) {
	return e.scanFor(ctx, o, func(t *trial) ([]string, error) { return t.some(ctx, o.Orders) })
}

func (e *Eraser) scanFor(ctx context.Context, o ScanOptions, choose func(*trial) ([]string, error)) (ResidueReport, error) {
	nothing := ResidueReport{Unsearched: []store.Unsearched{}, Found: []Copy{}, Kept: []Copy{}}
	tx, err := e.DB.Begin(ctx)
	if err != nil {
		return nothing, err
	}
	defer rollBack(ctx, tx)
	if err := store.LimitWaiting(ctx, tx); err != nil {
		return nothing, err
	}
	t := trial{Eraser: e, tx: tx}
	var shop store.Orders
	var l look
	if e.Orders != nil {
		if shop, l, err = t.scanOrders(ctx, choose); err != nil {
			return nothing, err
		}
	}
	if err := t.eraseRows(ctx, &l, o.Orders); err != nil {
		return nothing, err
	}
	if len(l.refs) == 0 {
		return nothing, nil
	}
	return e.search(ctx, tx, shop, l, time.Now().Add(o.Time), o.Progress)
}

// scanOrders erases some orders, and tells what to look for.
func (t *trial) scanOrders(ctx context.Context, choose func(*trial) ([]string, error)) (shop store.Orders, l look, err error) {
	if err := t.plan(ctx); err != nil || len(t.erasures) == 0 {
		return shop, l, err
	}
	if shop, err = t.Orders.Resolved(ctx, t.tx); err != nil {
		return shop, l, err
	}
	l.erasures = t.erasures
	refs, err := choose(t)
	if err != nil || len(refs) == 0 {
		return shop, l, err
	}
	others, err := store.SampleRefs(ctx, t.tx, shop, refs, comparedOrders)
	if err != nil {
		return shop, l, err
	}
	if l, err = t.lookFor(ctx, t.tx, shop, t.erasures, refs, others); err != nil {
		return shop, l, err
	}
	return shop, l, t.eraseSome(ctx, &l)
}

// eraseRows erases some rows of each rule. A rule that is refused is left out: Trial's like for rules tells of it.
func (t *trial) eraseRows(ctx context.Context, l *look, limit int) error {
	for _, rule := range t.Tables {
		var rows look
		err := inside(ctx, t.tx, func(tx pgx.Tx) error {
			return t.eraseSomeRows(ctx, tx, rule, limit, func(statement store.TableRule, found store.RowBatch) (err error) {
				rows, err = rowsLook(ctx, tx, tablePrefix+rule.Name, statement, found)
				return err
			})
		})
		switch {
		case err == nil:
			l.add(rows)
		case isRefused(ctx, err):
			l.unread = append(l.unread, store.Unsearched{Table: rule.Table, Reason: "rows of retention.tables." + rule.Name + " could not be erased on trial: " + describe(err)})
		default:
			return err
		}
	}
	return nil
}

// some are orders that have a row in each table, and others until there are enough.
func (t *trial) some(ctx context.Context, limit int) ([]string, error) {
	var refs []string
	for _, erasure := range t.erasures {
		ref, err := t.sample(ctx, erasure)
		if err != nil {
			return nil, err
		}
		if ref != "" && len(refs) < limit && !slices.Contains(refs, ref) {
			refs = append(refs, ref)
		}
	}
	more, err := store.SampleRefs(ctx, t.tx, *t.Orders, refs, limit-len(refs))
	return append(refs, more...), err
}

// eraseSome erases the orders together, as a run does, so that a row that two of them have goes with both. It leaves
// out, and forgets, those that are refused: Trial tells of them.
func (t *trial) eraseSome(ctx context.Context, l *look) error {
	together := func(refs []string) error {
		return inside(ctx, t.tx, func(tx pgx.Tx) error { return t.eraseRefs(ctx, tx, refs) })
	}
	err := together(l.refs)
	if err == nil || !isRefused(ctx, err) {
		return err
	}
	var fit []string
	for _, ref := range l.refs {
		err := t.undone(ctx, func(tx pgx.Tx) error { return t.eraseRefs(ctx, tx, []string{ref}) })
		switch {
		case err == nil:
			fit = append(fit, ref)
		case isRefused(ctx, err):
			t.spare(l, ref, err)
		default:
			return err
		}
	}
	if len(fit) == 0 {
		return nil
	}
	if err = together(fit); err == nil || !isRefused(ctx, err) {
		return err
	}
	for _, ref := range fit {
		t.spare(l, ref, err)
	}
	return nil
}

func isRefused(ctx context.Context, err error) bool { return isRefusal(ctx, err) || isStatement(err) }

// spare notes that an order could not be erased on trial, so that nothing of it can be a copy.
func (t *trial) spare(l *look, ref string, err error) {
	owner := slices.Index(l.refs, ref)
	l.alive = append(l.alive, ref)
	l.unread = append(l.unread, store.Unsearched{Table: t.Orders.Table, Reason: "one of the orders could not be erased on trial: " + describe(err)})
	l.values = slices.DeleteFunc(l.values, func(v store.SearchValue) bool { return v.Owner == owner })
}

func (t *trial) eraseRefs(ctx context.Context, tx pgx.Tx, refs []string) error {
	now, err := t.now(ctx, tx)
	if err != nil {
		return err
	}
	for _, e := range t.erasures {
		if _, err := store.EraseTable(ctx, tx, *t.Orders, e, refs, now); err != nil {
			return err
		}
	}
	if _, err := store.EraseOrderEvents(ctx, tx, refs, now); err != nil {
		return err
	}
	return store.CheckConstraints(ctx, tx) // triggers that wait for the commit may copy, too
}

// Advise words a copy for an operator.
func (c Copy) Advise() policy.Problem {
	return policy.Problem{Table: c.Table, Column: c.Column, Problem: "keeps values of an erased order: it is " + c.Reason}
}

// Meant tells whether the policy itself keeps the copy, as opposed to rows that go another time.
func (c Copy) Meant() bool { return c.Reason == keptRows || c.Reason == keptColumn }
