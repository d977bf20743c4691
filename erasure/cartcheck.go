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

// CartsStatus is where the carts of one rule stand.
type CartsStatus struct {
	Rule    string `json:"rule"`
	Due     int    `json:"due"`
	Overdue int    `json:"overdue"` // due for more than the grace
}

// CartsFinding is what CheckCarts has to say about one rule.
type CartsFinding struct {
	Rule     string
	Problems []policy.Problem // they stop the rule
	Advice   []policy.Problem
	Indexes  []string // statements that make indexes, without which each batch reads whole tables
}

// CheckCarts tells where the rules of carts and the database do not fit.
func (e *Eraser) CheckCarts(ctx context.Context) ([]CartsFinding, error) {
	var findings []CartsFinding
	for _, rule := range e.Carts {
		f, err := checkCarts(ctx, e.DB, rule)
		if err != nil {
			return nil, err
		}
		if f.Indexes, err = missingCartIndexes(ctx, e.DB, rule); err != nil {
			return nil, err
		}
		f.Advice = append(f.Advice, e.forgottenCarts(rule, f.references)...)
		findings = append(findings, f.CartsFinding)
	}
	return findings, nil
}

// Problems are those of Check and of the rules of carts: what each of them is about is not erased.
func (e *Eraser) Problems(ctx context.Context) ([]policy.Problem, error) {
	problems, err := e.Check(ctx)
	if err != nil {
		return nil, err
	}
	for _, rule := range e.Carts {
		f, err := checkCarts(ctx, e.DB, rule)
		if err != nil {
			return nil, err
		}
		problems = append(problems, f.Problems...)
	}
	return problems, nil
}

// CartsStatus counts the carts that are due. Rules that cannot be used are left out: Problems tells of them.
func (e *Eraser) CartsStatus(ctx context.Context, grace time.Duration) ([]CartsStatus, error) {
	list := []CartsStatus{}
	for _, rule := range e.Carts {
		due, overdue, err := store.CountDueCarts(ctx, e.DB, cartsOf(rule), e.now(), grace)
		switch {
		case err == nil:
			list = append(list, CartsStatus{Rule: rule.Name, Due: due, Overdue: overdue})
		case !isRulesFault(ctx, err):
			return nil, err
		}
	}
	return list, nil
}

type checkedCarts struct {
	CartsFinding
	references []policy.ForeignKey
}

// checkCarts compares a rule with the catalog and, if that says that it fits, tries its predicate.
func checkCarts(ctx context.Context, db store.DB, rule policy.Carts) (checkedCarts, error) {
	checked := checkedCarts{CartsFinding: CartsFinding{Rule: rule.Name}}
	database, err := ReadDatabase(ctx, db, rule.TableNames())
	if err != nil {
		return checked, err
	}
	checked.references = database.ForeignKeys
	checked.Problems, checked.Advice = rule.Check(database)
	if len(checked.Problems) > 0 {
		return checked, nil
	}
	// A statement that fails would end the transaction of a dry run.
	err = pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error { return store.TryCarts(ctx, tx, cartsOf(rule)) })
	if err != nil && !isRulesFault(ctx, err) {
		return checked, err
	}
	if err != nil {
		checked.Problems = append(checked.Problems, unusable(rule, err))
	}
	return checked, nil
}

func unusable(rule policy.Carts, err error) policy.Problem {
	return policy.Problem{
		Table:   rule.Table,
		Problem: fmt.Sprintf("cannot be erased as retention.carts.%s says, are when and since right? %s", rule.Name, store.Describe(err)),
	}
}

// isRulesFault: the database refuses the rule's statements themselves, whatever the cart.
func isRulesFault(ctx context.Context, err error) bool {
	var pgErr *pgconn.PgError
	return ctx.Err() == nil && errors.As(err, &pgErr) && !store.IsConnection(err) && !isLocked(err)
}

// forgottenCarts tells of a table that refers to an order, since the policy relies on the rules to erase it
// and may have orders whose carts none of them takes.
func (e *Eraser) forgottenCarts(rule policy.Carts, keys []policy.ForeignKey) []policy.Problem {
	takesAll := slices.ContainsFunc(e.Carts, func(other policy.Carts) bool { return other.Table == rule.Table && other.When == "" })
	if e.Orders == nil || takesAll {
		return nil
	}
	for _, key := range keys {
		if key.References == e.Orders.Table && slices.Contains(rule.TableNames(), key.Table) {
			return []policy.Problem{{Table: key.Table, Problem: fmt.Sprintf(
				"refers to %s, and the policy does not erase it: see to it that a rule takes the carts of orders, too, once they are due", e.Orders.Table)}}
		}
	}
	return nil
}

func missingCartIndexes(ctx context.Context, db store.DB, rule policy.Carts) ([]string, error) {
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
