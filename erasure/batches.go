package erasure

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"kvit/store"
)

// A run erases from sources: the orders of a clock, and the rows of a rule. Each gives up what is due in lots.

// lot is what one transaction has found due. L is itself.
type lot[L any] interface {
	Len() int
	One(i int) L
}

// wanted says which of what is due is looked at.
type wanted[L any] struct {
	after L // go on after the last of these; empty: from the start
	only  L // these alone; empty: all
	limit int
}

// source is what a run erases in batches.
type source[L lot[L]] interface {
	// erase locks, erases, verifies and certifies what is due, and returns it even if that fails. Done is called
	// once the transaction is committed.
	erase(ctx context.Context, tx pgx.Tx, w wanted[L]) (found L, done func(), err error)
	// refused notes that the one of a lot cannot be erased.
	refused(one L, problem string)
}

// inBatches erases what is due in the source. What cannot be erased stays behind; the run goes on after it.
func inBatches[L lot[L]](ctx context.Context, r *eraseRun, s source[L]) error {
	var w wanted[L]
	for !r.late() {
		if err := r.calm(ctx); err != nil || r.late() { // it may have waited for a replica until now
			return err
		}
		w.limit = r.size.orders
		found, err := asFarAsItGoes(ctx, r, s, w)
		if err != nil || found.Len() == 0 {
			return err
		}
		w.after = found
	}
	return nil
}

// asFarAsItGoes erases a batch, or of one that is refused what it can, and returns all of it.
func asFarAsItGoes[L lot[L]](ctx context.Context, r *eraseRun, s source[L], w wanted[L]) (L, error) {
	started := time.Now()
	found, err := batch(ctx, r, s, w)
	if err != nil && found.Len() > 0 && isRefusal(ctx, err) {
		return found, oneByOne(ctx, r, s, found)
	}
	r.size.ended(found.Len(), started)
	return found, err
}

// oneByOne erases what it can of a lot that failed as a whole.
func oneByOne[L lot[L]](ctx context.Context, r *eraseRun, s source[L], failed L) error {
	for i := range failed.Len() {
		found, err := batch(ctx, r, s, wanted[L]{only: failed.One(i), limit: 1})
		switch {
		case err == nil:
		case found.Len() == 0 || !isRefusal(ctx, err):
			return err
		case !isLocked(err): // what is locked is counted in the end
			s.refused(found, describe(err))
		}
	}
	return nil
}

// batch erases one lot in one transaction.
func batch[L lot[L]](ctx context.Context, r *eraseRun, s source[L], w wanted[L]) (found L, err error) {
	var done func()
	err = r.locked(ctx, func(tx pgx.Tx) error {
		if found, done, err = s.erase(ctx, tx, w); err != nil || found.Len() == 0 {
			return err
		}
		return r.parting(ctx, tx)
	})
	if err == nil && found.Len() > 0 {
		done()
	}
	return found, err
}

// locked does work in a transaction that is the only one to erase.
func (r *eraseRun) locked(ctx context.Context, work func(pgx.Tx) error) error {
	return r.allowed(ctx, func(tx pgx.Tx) error {
		if err := store.LockErasure(ctx, tx); err != nil {
			return err
		}
		return work(tx)
	})
}

// allowed does work in a transaction, if this process may erase: a newer one may have migrated a moment ago.
func (r *eraseRun) allowed(ctx context.Context, work func(pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, r.db, func(tx pgx.Tx) error {
		if err := work(tx); err != nil {
			return err
		}
		return r.mayErase(ctx, tx)
	})
}

// parting is the last that a batch does before its transaction ends.
func (r *eraseRun) parting(ctx context.Context, tx pgx.Tx) error {
	if r.lookout.tx == nil {
		return store.CheckConstraints(ctx, tx) // in one transaction, no commit will do it for this batch
	}
	return r.lookout.waiters(ctx, tx)
}
