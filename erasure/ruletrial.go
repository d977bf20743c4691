package erasure

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"kvit/erasure/policy"
	"kvit/store"
)

// whatever is late enough for every row that has a time to be due.
var whatever = time.Date(9000, 1, 1, 0, 0, 0, 0, time.UTC)

// TrialOf runs a rule's real statements on one of its rows, due or not, in a transaction that it rolls back: a
// constraint or a trigger speaks up by day. It waits no longer than Trial does.
func (e *Eraser) TrialOf(ctx context.Context, rule policy.TableRule) (Trial, error) {
	tx, err := e.DB.Begin(ctx)
	if err != nil {
		return Trial{}, err
	}
	defer rollBack(ctx, tx)
	if err := store.LimitWaiting(ctx, tx); err != nil {
		return Trial{}, err
	}
	return judgeRule(rule, e.eraseSomeRows(ctx, tx, rule, 1, nil))
}

// eraseSomeRows erases up to limit rows of a rule, due or not, and looks whether they are gone. before is told of the
// rows while they are there; it may be nil.
func (e *Eraser) eraseSomeRows(ctx context.Context, tx pgx.Tx, rule policy.TableRule, limit int, before func(store.TableRule, store.RowBatch) error) error {
	statement, err := e.readRule(ctx, tx, rule)
	if err != nil {
		return err
	}
	found, err := store.LockDueRows(ctx, tx, statement, store.DueRows{Now: whatever, Limit: limit})
	if err != nil || found.Len() == 0 {
		return err
	}
	if before != nil {
		if err := before(statement, found); err != nil {
			return err
		}
	}
	if _, err := store.EraseRows(ctx, tx, statement, found); err != nil {
		return err
	}
	left, err := store.RowsLeft(ctx, tx, statement, found)
	if err != nil {
		return err
	}
	for _, table := range rule.TableNames() {
		if left[table] > 0 {
			return &store.RemainsError{Table: table, Rows: left[table]}
		}
	}
	return store.CheckConstraints(ctx, tx)
}

// judgeRule is what the database says of a rule. An error that is not about its statements stays one.
func judgeRule(rule policy.TableRule, err error) (Trial, error) {
	var pgErr *pgconn.PgError
	var left *store.RemainsError
	switch {
	case err == nil:
		return Trial{}, nil
	case errors.As(err, &left):
		return Trial{Refused: []policy.Problem{{Table: left.Table, Problem: "was tried on a row, and cannot be erased as the rule says: " + left.Error()}}}, nil
	case !errors.As(err, &pgErr):
		return Trial{}, err
	case isUntried(pgErr):
		return Trial{Untried: []policy.Problem{{Table: rule.Table, Problem: "was not tried: " + store.Describe(err)}}}, nil
	case store.IsConnection(err):
		return Trial{}, err
	}
	return Trial{Refused: []policy.Problem{{Table: rule.Table, Problem: "was tried on a row, and cannot be erased as the rule says: " + store.Describe(err)}}}, nil
}
