package erasure

import (
	"context"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"kvit/erasure/policy"
	"kvit/store"
)

// Trial is what came of running an erasure's statements for a few orders.
type Trial struct {
	Refused []policy.Problem // what the database refuses: CHECK and other constraints, triggers
	Untried []policy.Problem // tables of which nothing can be said: locked, or too slow
}

// Trial finds what Check cannot judge: it runs the real statements for one order that has a row in a
// table, table by table, in a transaction that it rolls back. It waits for no lock longer than 2
// seconds, and gives a statement 5. Triggers of the shop run, too. Tables that Check stops are left out.
func (e *Eraser) Trial(ctx context.Context) (Trial, error) {
	if e.Orders == nil {
		return Trial{}, nil
	}
	tx, err := e.DB.Begin(ctx)
	if err != nil {
		return Trial{}, err
	}
	defer rollBack(ctx, tx)
	if err := store.LimitWaiting(ctx, tx); err != nil {
		return Trial{}, err
	}
	t := trial{Eraser: e, tx: tx}
	if err := t.plan(ctx); err != nil {
		return Trial{}, err
	}
	tried := map[string]bool{}
	for _, erasure := range t.erasures {
		ref, err := t.sample(ctx, erasure)
		if err != nil {
			return Trial{}, err
		}
		if ref == "" || tried[ref] {
			continue
		}
		tried[ref] = true
		if err := t.order(ctx, ref); err != nil {
			return Trial{}, err
		}
	}
	return t.found, nil
}

type trial struct {
	*Eraser
	tx       pgx.Tx
	erasures []store.TableErasure
	found    Trial
}

func (t *trial) plan(ctx context.Context) error {
	p := t.policy()
	database, err := ReadDatabase(ctx, t.tx, p.TableNames())
	if err != nil {
		return err
	}
	blocked, all := p.Blocked(database, p.Check(database))
	if all {
		return nil
	}
	t.erasures = slices.DeleteFunc(t.statements(p, database), func(e store.TableErasure) bool {
		return slices.ContainsFunc(blocked, func(b policy.Blocked) bool { return b.Table == e.Table })
	})
	return nil
}

// sample picks an order that has a row in the table; empty if there is none.
func (t *trial) sample(ctx context.Context, e store.TableErasure) (ref string, err error) {
	err = t.undone(ctx, func(tx pgx.Tx) (err error) {
		ref, err = store.SampleOrder(ctx, tx, *t.Orders, e)
		return err
	})
	return ref, t.judge(e.Table, err)
}

// order does everything for one order. What follows on a refusal would say nothing new.
func (t *trial) order(ctx context.Context, ref string) error {
	var table string
	err := t.undone(ctx, func(tx pgx.Tx) error {
		now, err := t.now(ctx, tx)
		if err != nil {
			return err
		}
		for _, e := range t.erasures {
			table = e.Table
			if _, err := store.EraseTable(ctx, tx, *t.Orders, e, []string{ref}, now); err != nil {
				return err
			}
			found, err := store.FindRemains(ctx, tx, *t.Orders, e, []string{ref})
			if err != nil {
				return err
			}
			if err := remain(table, found.Left); err != nil {
				return err
			}
		}
		return store.CheckConstraints(ctx, tx)
	})
	return t.judge(table, err)
}

// undone runs do inside of the transaction and takes it back.
func (t *trial) undone(ctx context.Context, do func(pgx.Tx) error) error {
	tx, err := t.tx.Begin(ctx)
	if err != nil {
		return err
	}
	err = do(tx)
	if rollbackErr := tx.Rollback(ctx); err == nil {
		err = rollbackErr
	}
	return err
}

// judge notes what Postgres says of a table. Errors that are not about the statement end the trial.
func (t *trial) judge(table string, err error) error {
	var pgErr *pgconn.PgError
	var left *store.RemainsError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &left):
		t.found.Refused = add(t.found.Refused, table, "was tried on an order, and cannot be erased as the policy says: "+left.Error())
	case !errors.As(err, &pgErr):
		return err
	case isUntried(pgErr):
		t.found.Untried = add(t.found.Untried, table, "was not tried: "+store.Describe(err))
	case store.IsConnection(err):
		return err
	default:
		t.found.Refused = add(t.found.Refused, table, "was tried on an order, and cannot be erased as the policy says: "+store.Describe(err))
	}
	return nil
}

// isUntried: a lock, or too little time, kept the statement from the end.
func isUntried(err *pgconn.PgError) bool {
	const queryCanceled = "57014" // the statement took too long
	return isLocked(err) || err.Code == queryCanceled
}

// add says the same only once.
func add(list []policy.Problem, table, text string) []policy.Problem {
	problem := policy.Problem{Table: table, Problem: text}
	if slices.Contains(list, problem) {
		return list
	}
	return append(list, problem)
}
