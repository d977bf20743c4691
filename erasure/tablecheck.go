package erasure

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"kvit/erasure/policy"
	"kvit/store"
)

// TableStatus is where the rows of one rule stand.
type TableStatus struct {
	Rule    string `json:"rule"`
	Due     int    `json:"due"`
	Overdue int    `json:"overdue"` // due for more than the grace
}

// TableFinding is what CheckTables has to say about one rule.
type TableFinding struct {
	Rule     string
	Problems []policy.Problem // they stop the rule
	Advice   []policy.Problem
	Indexes  []string // statements that make indexes, without which each batch reads whole tables
}

// CheckTables tells where rules and the database do not fit, and tries each rule on a row, which is rolled back.
func (e *Eraser) CheckTables(ctx context.Context) ([]TableFinding, error) {
	var findings []TableFinding
	for _, rule := range e.Tables {
		f, err := e.checkTable(ctx, rule)
		if err != nil {
			return nil, err
		}
		if f.Indexes, err = missingTableIndexes(ctx, e.DB, rule); err != nil {
			return nil, err
		}
		f.Advice = append(f.Advice, e.forgottenOrders(rule, f.references)...)
		if len(f.Problems) == 0 {
			trial, err := e.TrialOf(ctx, rule)
			if err != nil {
				return nil, err
			}
			f.Problems, f.Advice = append(f.Problems, trial.Refused...), append(f.Advice, trial.Untried...)
		}
		findings = append(findings, f.TableFinding)
	}
	return findings, nil
}

// Problems are those of Check and of the rules: what each of them is about is not erased.
func (e *Eraser) Problems(ctx context.Context) ([]policy.Problem, error) {
	problems, err := e.Check(ctx)
	if err != nil {
		return nil, err
	}
	for _, rule := range e.Tables {
		f, err := e.checkTable(ctx, rule)
		if err != nil {
			return nil, err
		}
		problems = append(problems, f.Problems...)
	}
	return problems, nil
}

// TablesStatus counts the rows that are due. Rules that cannot be used are left out: Problems tells of them.
func (e *Eraser) TablesStatus(ctx context.Context, grace time.Duration) ([]TableStatus, error) {
	list := []TableStatus{}
	now, err := e.now(ctx, e.DB)
	if err != nil {
		return nil, err
	}
	for _, rule := range e.Tables {
		statement, err := e.readRule(ctx, e.DB, rule)
		if err != nil {
			return nil, err
		}
		due, overdue, err := store.CountDueRows(ctx, e.DB, statement, now, grace)
		switch {
		case err == nil:
			list = append(list, TableStatus{Rule: rule.Name, Due: due, Overdue: overdue})
		case !isRulesFault(ctx, err):
			return nil, err
		}
	}
	return list, nil
}

type checkedTable struct {
	TableFinding
	references []policy.ForeignKey
}

// checkTable compares a rule with the catalog and, if that says that it fits, tries its predicate.
func (e *Eraser) checkTable(ctx context.Context, rule policy.TableRule) (checkedTable, error) {
	checked := checkedTable{TableFinding: TableFinding{Rule: rule.Name}}
	database, err := ReadDatabase(ctx, e.DB, rule.TableNames())
	if err != nil {
		return checked, err
	}
	checked.references = database.ForeignKeys
	checked.Problems, checked.Advice = rule.Check(database)
	if len(checked.Problems) > 0 {
		return checked, nil
	}
	// A statement that fails would end the transaction of a dry run.
	err = pgx.BeginFunc(ctx, e.DB, func(tx pgx.Tx) error { return store.TryTable(ctx, tx, e.ruleIn(database, rule)) })
	if err != nil && !isRulesFault(ctx, err) {
		return checked, err
	}
	if err != nil {
		checked.Problems = append(checked.Problems, unusable(rule, err))
	}
	return checked, nil
}

func unusable(rule policy.TableRule, err error) policy.Problem {
	return policy.Problem{
		Table:   rule.Table,
		Problem: fmt.Sprintf("cannot be erased as retention.tables.%s says, are when and since right? %s", rule.Name, store.Describe(err)),
	}
}

// isRulesFault: the database refuses the rule's statements themselves, whatever the row.
func isRulesFault(ctx context.Context, err error) bool {
	var pgErr *pgconn.PgError
	return ctx.Err() == nil && errors.As(err, &pgErr) && !store.IsConnection(err) && !isLocked(err)
}

// forgottenOrders tells of a table that refers to an order, since the policy relies on the rules to erase it
// and may have orders whose rows none of them takes.
func (e *Eraser) forgottenOrders(rule policy.TableRule, keys []policy.ForeignKey) []policy.Problem {
	takesAll := slices.ContainsFunc(e.Tables, func(other policy.TableRule) bool { return other.Table == rule.Table && other.When == "" })
	inPolicy := slices.ContainsFunc(e.Policy.Tables, func(t policy.Table) bool { return t.Name == rule.Table })
	if e.Orders == nil || takesAll || inPolicy {
		return nil
	}
	for _, key := range keys {
		if key.References == e.Orders.Table && slices.Contains(rule.TableNames(), key.Table) {
			return []policy.Problem{{Table: key.Table, Problem: fmt.Sprintf(
				"refers to %s, and the policy does not erase it: see to it that a rule takes the rows of orders, too, once they are due", e.Orders.Table)}}
		}
	}
	return nil
}

func missingTableIndexes(ctx context.Context, db store.DB, rule policy.TableRule) ([]string, error) {
	needed := []store.Lookup{{Table: rule.Table, Column: rule.Since}}
	for _, child := range rule.Children {
		needed = append(needed, store.Lookup{Table: child.Table, Column: child.Column})
	}
	var missing []string
	for _, k := range needed {
		lacks, err := store.LacksIndex(ctx, db, k)
		if err != nil {
			return nil, err
		}
		if lacks {
			missing = append(missing, k.Index())
		}
	}
	return missing, nil
}
