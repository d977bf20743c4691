package erasure

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"kvit/erasure/policy"
	"kvit/store"
	"kvit/watch"
)

func remain(table string, left map[string]int64) error {
	var rows int64
	for _, n := range left {
		rows += n
	}
	if rows == 0 {
		return nil
	}
	return &store.RemainsError{Table: table, Rows: rows}
}

// failure words a database error without its values. That this process must not erase it passes on.
func failure(action string, err error) error {
	if watch.Is(err) {
		return fmt.Errorf("%s: %w", action, err)
	}
	return errors.New(action + ": " + describe(err))
}

func describe(err error) string {
	var left *store.RemainsError
	if errors.As(err, &left) {
		return left.Error()
	}
	return store.Describe(err)
}

// IsMisfit tells whether the error is a *policy.MisfitError.
func IsMisfit(err error) bool {
	var misfit *policy.MisfitError
	return errors.As(err, &misfit)
}

// isRefusal: a statement failed, as opposed to the connection or the whole run. Fewer orders at a
// time may help.
func isRefusal(ctx context.Context, err error) bool {
	var left *store.RemainsError
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
		brokenTx         = "25"    // an earlier statement failed: of the lookout, since a batch would have ended
	)
	if pgErr.Code == statementTimeout {
		return true
	}
	return !strings.HasPrefix(pgErr.Code, wrongStatement) && !strings.HasPrefix(pgErr.Code, brokenTx) && !store.IsConnection(err)
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
