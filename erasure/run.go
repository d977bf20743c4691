package erasure

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"kvit/erasure/policy"
	"kvit/store"
)

// eraseRun is one run, dry or not.
type eraseRun struct {
	*Eraser
	db        store.DB  // the dry run's transaction, else Eraser.DB
	now       time.Time // by the database, when the run began
	stopAt    time.Time // no batch begins after this; zero: no limit
	confirmed bool      // the brake is off
	agreed    int       // the brake lets so much pass
	size      batchSize
	lookout   lookout
	look      look // for copies of what was erased
	sampling  sampling
	report    Report
	misfit    []policy.Problem // that the last batch found
	fitted    *fitting         // that it found; nil: there was none
	shop      store.Orders     // Eraser.Orders as the last batch found the table

	tableMisfit []policy.Problem // that stop rules
}

// do is a whole run: the only one of all processes while it lasts, and noted in kvit.erasure_run.
func (r *eraseRun) do(ctx context.Context) (Report, error) {
	err := r.alone(ctx, func() error {
		id, err := store.StartErasureRun(ctx, r.DB, r.now, r.now.Add(-r.ReceiptsAfter), r.knows())
		if err != nil {
			return failure("start erasure", err)
		}
		if err = r.recognise(ctx); err == nil {
			r.startSampling(ctx)
			err = r.everything(ctx)
			r.residues(ctx, id)
		}
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
	if err := r.begin(ctx, tx); err != nil {
		return err
	}
	r.lookout = lookout{tx: tx, lag: r.MaxReplicaLag}
	return work()
}

// undone does work in one transaction and rolls it back.
func (r *eraseRun) undone(ctx context.Context, work func(pgx.Tx) error) error {
	r.report.DryRun = true
	r.report.Columns = map[string]map[string]int64{}
	return r.inOne(ctx, work)
}

// inOne does work in one transaction instead of batch by batch. What work does not commit is undone.
func (r *eraseRun) inOne(ctx context.Context, work func(pgx.Tx) error) error {
	tx, err := r.DB.Begin(ctx)
	if err != nil {
		return failure("begin erasure", err)
	}
	defer rollBack(ctx, tx)
	if err := r.begin(ctx, tx); err != nil {
		return err
	}
	if err := store.LockErasure(ctx, tx); err != nil {
		return failure("begin erasure", err)
	}
	r.db = tx
	return work(tx)
}

// begin makes the run the only one, if this process may erase at all, and notes when it began.
func (r *eraseRun) begin(ctx context.Context, tx pgx.Tx) (err error) {
	if err := lockRun(ctx, tx); err != nil {
		return err
	}
	if err := r.mayErase(ctx, tx); err != nil {
		return failure("begin erasure", err)
	}
	if r.now, err = r.Eraser.now(ctx, tx); err != nil {
		return failure("begin erasure", err)
	}
	return nil
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

// recognise looks whether the orders can be told at all, and makes kvit know those that are new, where it keeps
// their marks itself: what is due is found by these. That is no part of the erasure, and a dry run does it, too.
func (r *eraseRun) recognise(ctx context.Context) error {
	if r.Orders == nil {
		return nil
	}
	var err error
	if r.misfit, err = r.Check(ctx); err != nil {
		return failure("check the column policy", err)
	}
	if r.lost() || !r.Orders.OwnMarks() {
		return nil
	}
	if err := store.NoticeAllOrders(ctx, r.DB, *r.Orders, r.stopAt); err != nil {
		return failure("look for new orders", err)
	}
	return nil
}

// everything goes through all that is due. A policy that does not fit stops the tables it does not fit.
func (r *eraseRun) everything(ctx context.Context) error {
	if err := r.brake(ctx); err != nil {
		return err
	}
	if err := r.orders(ctx); err != nil && !IsMisfit(err) {
		return failure("erase orders", err)
	}
	if err := r.tables(ctx); err != nil {
		return failure("erase rows of tables", err)
	}
	// After the rules, since a row that one of them takes may be the last that keeps another.
	if err := r.sweep(ctx); err != nil && !IsMisfit(err) {
		return failure("erase rows that were left", err)
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
	if problems := slices.Concat(r.misfit, r.tableMisfit); len(problems) > 0 {
		return &policy.MisfitError{Problems: problems}
	}
	_, rows := r.report.rowsErased()
	return notErased(r.report.Failed, rows)
}

// orders erases by one clock after the other.
func (r *eraseRun) orders(ctx context.Context) error {
	if r.Orders == nil {
		return nil
	}
	for _, clock := range r.Orders.AllClocks() {
		if err := inBatches(ctx, r, dueOrders{r, clock}); err != nil {
			return err
		}
	}
	if r.report.More {
		return nil
	}
	return r.count(ctx)
}

// named erases those of the named orders that the clock lets go.
func (r *eraseRun) named(ctx context.Context, clock store.Clock, refs []string) error {
	for len(refs) > 0 {
		if err := r.calm(ctx); err != nil {
			return err
		}
		n := min(r.size.orders, len(refs))
		only := make(orderLot, n)
		for i, ref := range refs[:n] {
			only[i].Ref = ref
		}
		if _, err := asFarAsItGoes(ctx, r, dueOrders{r, clock}, wanted[orderLot]{only: only, limit: n}); err != nil {
			return err
		}
		refs = refs[n:]
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

// looseEvents needs to know which events have an order, and leaves them alone while nothing tells.
func (r *eraseRun) looseEvents(ctx context.Context) error {
	if r.Orders != nil && r.lost() {
		return nil
	}
	next := &store.LooseEvents{Now: r.now, Before: r.now.Add(-r.EventsAfter), Limit: batchEvents}
	for next != nil && !r.late() {
		var erased int
		err := r.locked(ctx, func(tx pgx.Tx) (err error) {
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
	if err := r.purgeMarks(ctx); err != nil {
		return err
	}
	purged := batchEvents
	for purged == batchEvents && !r.late() {
		err := r.allowed(ctx, func(tx pgx.Tx) (err error) {
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
		err := r.allowed(ctx, func(tx pgx.Tx) (err error) {
			after, err = store.PurgeErasureProgress(ctx, tx, r.Orders, r.now.Add(-progressAge), after, batchEvents)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// purgeMarks needs to know what an order is, too.
func (r *eraseRun) purgeMarks(ctx context.Context) error {
	if r.Orders == nil || r.lost() {
		return nil
	}
	for after, first := "", true; (first || after != "") && !r.late(); first = false {
		err := pgx.BeginFunc(ctx, r.db, func(tx pgx.Tx) (err error) {
			after, err = store.NoticeGone(ctx, tx, *r.Orders, after, batchMarks)
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
	return slices.ContainsFunc(r.misfit, func(p policy.Problem) bool { return p.Unreachable && p.Table == r.Orders.Table })
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
	ended := IsMisfit(problem) || errors.Is(problem, ErrNotErased) || errors.Is(problem, ErrBraked)
	interrupted := r.report.More || problem != nil && !ended
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if !interrupted {
		finished, err := r.Eraser.now(ctx, r.DB)
		if err != nil {
			return failure("note the end of the erasure", err)
		}
		row.FinishedAt = &finished
	}
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
	for _, p := range r.report.TableProblems {
		r.Logger.Warn("rows could not be erased", "rule", p.Rule, "rows", p.Rows, "problem", p.Problem)
	}
	rows, _ := r.report.rowsErased()
	attrs := []any{
		"orders", r.report.Orders, "rows", rows, "events", r.report.Events, "purged", r.report.Purged,
		"held", r.report.Held, "waiting", r.report.Waiting, "skipped", r.report.Skipped, "failed", r.report.Failed, "more", r.report.More,
	}
	if problem != nil {
		r.Logger.Error("erasure ended with a problem", append(attrs, "err", problem)...)
		return
	}
	r.Logger.Info("erasure done", attrs...)
}
