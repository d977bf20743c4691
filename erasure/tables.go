package erasure

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"kvit/erasure/policy"
	"kvit/erasure/proof"
	"kvit/store"
)

// What begins the order reference of certificates that are about rows of a rule, whose name follows. The second one
// is of certificates from when all rules were for carts.
const (
	tablePrefix = "table:"
	cartPrefix  = "cart:"
)

// isTable tells whether a certificate is about the rows of a rule.
func isTable(c proof.Certificate) bool {
	return c.OrderRef == tablePrefix+c.Clock || c.OrderRef == cartPrefix+c.Clock
}

// TableProblem is why rows that are due could not be erased.
type TableProblem struct {
	Rule    string `json:"rule"`
	Rows    int    `json:"rows"`
	Problem string `json:"problem"`
}

// ruleIn is the rule as the store takes it.
func (e *Eraser) ruleIn(database policy.Database, rule policy.TableRule) store.TableRule {
	r := rule.Rows(database)
	r.Key = e.HashKey
	return r
}

// readRule is ruleIn for whoever has not read the catalog.
func (e *Eraser) readRule(ctx context.Context, db store.DB, rule policy.TableRule) (store.TableRule, error) {
	var database policy.Database
	if len(rule.Columns) > 0 {
		var err error
		if database.Columns, err = store.TableColumns(ctx, db, []string{rule.Table}); err != nil {
			return store.TableRule{}, err
		}
	}
	return e.ruleIn(database, rule), nil
}

// ruledTables are the tables that rules erase.
func (e *Eraser) ruledTables() []string {
	var names []string
	for _, rule := range e.Tables {
		names = append(names, rule.TableNames()...)
	}
	return names
}

// brakeTables is brake for rules. One that cannot be used erases nothing, and stops nobody.
func (r *eraseRun) brakeTables(ctx context.Context) (*Braking, error) {
	if r.Brake.MaxOrders == 0 {
		return nil, nil
	}
	for _, rule := range r.Tables {
		due, err := r.countRows(ctx, rule)
		if err != nil && !isRulesFault(ctx, err) {
			return nil, failure("count due rows", err)
		}
		if due > r.Brake.MaxOrders {
			return &Braking{Due: due, Reason: fmt.Sprintf("%d rows are due by retention.tables.%s, more than retention.brake.max_orders (%d)",
				due, rule.Name, r.Brake.MaxOrders)}, nil
		}
	}
	return nil, nil
}

func (r *eraseRun) countRows(ctx context.Context, rule policy.TableRule) (due int, err error) {
	err = pgx.BeginFunc(ctx, r.db, func(tx pgx.Tx) error {
		statement, err := r.readRule(ctx, tx, rule)
		if err != nil {
			return err
		}
		due, _, err = store.CountDueRows(ctx, tx, statement, r.now, 0)
		return err
	})
	return due, err
}

// tables erases what is due by one rule after the other. A rule that does not fit stops itself alone.
func (r *eraseRun) tables(ctx context.Context) error {
	for _, rule := range r.Tables {
		err := r.table(ctx, rule)
		switch {
		case IsMisfit(err): // fitRule has noted it
		case err != nil && isRulesFault(ctx, err):
			r.tableMisfit = append(r.tableMisfit, unusable(rule, err))
		case err != nil:
			return err
		}
	}
	return nil
}

func (r *eraseRun) table(ctx context.Context, rule policy.TableRule) error {
	r.size = newBatchSize(r.BatchOrders, r.BatchTime) // a row costs something else than an order
	r.report.Tables[rule.Name] += 0
	due := dueRows{eraseRun: r, rule: rule, problems: map[string]int{}}
	if err := inBatches(ctx, r, due); err != nil {
		return err
	}
	return due.left(ctx)
}

// dueRows are the rows of a rule, as a source.
type dueRows struct {
	*eraseRun
	rule     policy.TableRule
	problems map[string]int // rows that were refused, by why
}

var _ source[store.RowBatch] = dueRows{}

func (d dueRows) erase(ctx context.Context, tx pgx.Tx, w wanted[store.RowBatch]) (found store.RowBatch, done func(), err error) {
	rule, err := d.fitRule(ctx, tx)
	if err != nil {
		return found, nil, err
	}
	d.size.begins()
	found, err = store.LockDueRows(ctx, tx, rule, store.DueRows{Now: d.now, After: w.after, Only: w.only, Limit: w.limit})
	if err != nil || found.Len() == 0 {
		return found, nil, err
	}
	var columns map[string]int64
	if d.report.DryRun {
		if columns, err = store.CountRowValues(ctx, tx, rule, found); err != nil {
			return found, nil, err
		}
	}
	rows, err := d.remember(ctx, tx, rule, found)
	if err != nil {
		return found, nil, err
	}
	counts, err := d.eraseRows(ctx, tx, rule, found)
	return found, func() { d.erased(found.Len(), counts, columns); d.look.add(rows) }, err
}

// remember collects, before rows are erased, what to look for afterwards: of a few of the run's.
func (d dueRows) remember(ctx context.Context, tx pgx.Tx, rule store.TableRule, found store.RowBatch) (look, error) {
	ref := tablePrefix + d.rule.Name
	known := 0
	for _, other := range d.look.refs {
		if other == ref {
			known++
		}
	}
	wanted := min(d.Residue.Orders-known, found.Len())
	if wanted <= 0 {
		return look{}, nil
	}
	return rowsLook(ctx, tx, ref, rule, found.First(wanted))
}

// rowsLook is what to look for of rows that are about to be erased; ref names their rule. What cannot be read is no error.
func rowsLook(ctx context.Context, tx pgx.Tx, ref string, rule store.TableRule, found store.RowBatch) (look, error) {
	l := look{apart: []string{ref}}
	var values []store.OldValue
	err := inside(ctx, tx, func(tx pgx.Tx) (err error) {
		values, err = store.OldRowValues(ctx, tx, rule, found, comparedOrders)
		return err
	})
	if err != nil && isStatement(err) {
		l.unread = []store.Unsearched{{Table: rule.Table, Reason: "its old values could not be read: " + store.Describe(err)}}
		return l, nil
	}
	places := make([]string, found.Len())
	for i := range places {
		places[i] = strconv.Itoa(i)
		l.refs = append(l.refs, ref)
	}
	l.values = chooseValues(values, places, placeholders([]store.TableErasure{{Writes: rule.Writes}}))
	return l, err
}

// fitRule checks the rule in the transaction that relies on it: a table that refers to its rows may have come
// a minute ago.
func (d dueRows) fitRule(ctx context.Context, tx pgx.Tx) (store.TableRule, error) {
	database, err := lockDatabase(ctx, tx, d.rule.TableNames())
	if err != nil {
		return store.TableRule{}, err
	}
	if problems, _ := d.rule.Check(database); len(problems) > 0 {
		d.tableMisfit = append(d.tableMisfit, problems...)
		return store.TableRule{}, &policy.MisfitError{Problems: problems}
	}
	return d.ruleIn(database, d.rule), nil
}

// eraseRows erases, looks whether all is gone, and certifies it.
func (d dueRows) eraseRows(ctx context.Context, tx pgx.Tx, rule store.TableRule, found store.RowBatch) (map[string]int64, error) {
	counts, err := store.EraseRows(ctx, tx, rule, found)
	if err != nil {
		return nil, err
	}
	left, err := store.RowsLeft(ctx, tx, rule, found)
	if err != nil {
		return nil, err
	}
	for _, table := range d.rule.TableNames() {
		if left[table] > 0 {
			return nil, &store.RemainsError{Table: table, Rows: left[table]}
		}
	}
	return counts, d.seal(ctx, tx, 1, func(int) proof.Certificate {
		return proof.Certificate{
			OrderRef: tablePrefix + d.rule.Name, Clock: d.rule.Name, PolicyHash: d.rule.Hash(), RowCounts: counts,
			Verification: map[string]int64{proof.Left: 0},
		}
	})
}

func (d dueRows) erased(rows int, counts, columns map[string]int64) {
	d.report.Tables[d.rule.Name] += rows
	for table, n := range counts {
		d.report.Rows[table] += n
	}
	if columns != nil {
		d.report.addColumns(d.rule.Table, columns)
	}
}

func (d dueRows) refused(_ store.RowBatch, problem string) { d.problems[problem]++ }

// left reports what the run leaves: rows that were refused, and those that somebody has locked.
func (d dueRows) left(ctx context.Context) error {
	failed := 0
	for _, problem := range slices.Sorted(maps.Keys(d.problems)) {
		failed += d.problems[problem]
		d.report.TableProblems = append(d.report.TableProblems, TableProblem{Rule: d.rule.Name, Rows: d.problems[problem], Problem: problem})
	}
	if d.report.More {
		return nil
	}
	left, err := d.countRows(ctx, d.rule)
	d.report.Skipped += max(left-failed, 0)
	return err
}

// rowsErased counts the rows of all rules, without those of their children.
func (r Report) rowsErased() (erased, failed int) {
	for _, n := range r.Tables {
		erased += n
	}
	for _, p := range r.TableProblems {
		failed += p.Rows
	}
	return erased, failed
}

// notErased is the error of a run that left something; nil: it did not.
func notErased(orders, rows int) error {
	var parts []string
	if orders > 0 {
		parts = append(parts, fmt.Sprintf("%d orders", orders))
	}
	if rows > 0 {
		parts = append(parts, fmt.Sprintf("%d rows", rows))
	}
	if len(parts) == 0 {
		return nil
	}
	return fmt.Errorf("%s %w", strings.Join(parts, " and "), ErrNotErased)
}
