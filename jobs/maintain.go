package jobs

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/riverqueue/river"

	"kvit/erp"
	"kvit/store"
)

// MaintainArgs need nothing: the job looks for what is left to do.
type MaintainArgs struct{}

// Kind is stored with the job: never rename it.
func (MaintainArgs) Kind() string { return "maintain" }

// maintainWorker looks every minute for what fell through: deliveries whose job was cancelled or deleted by
// hand, evidence whose order has appeared since, and pauses that River has forgotten.
type maintainWorker struct {
	river.WorkerDefaults[MaintainArgs]
	db     store.DB
	orders *store.Orders
	checks map[string]erp.Check
	logger *slog.Logger

	alarmed   atomic.Pointer[time.Time] // when late imports were last logged; nil: there were none
	lost      atomic.Pointer[time.Time] // when lost deliveries were last logged; nil: there were none
	erps      erpTroubles
	partial   atomic.Pointer[time.Time] // when incomplete orders were last logged; nil: there were none
	misfitted atomic.Pointer[time.Time] // when it was last logged that the shop's table does not fit; nil: it does
}

const (
	maintainEvery = time.Minute
	alarmEvery    = time.Hour       // late imports, lost deliveries, and a table that does not fit, are logged once an hour while there are any
	noticeTime    = 5 * time.Second // what a round spends on open evidence, and on looking for orders that kvit does not know of
)

// Work does one round.
func (w *maintainWorker) Work(ctx context.Context, job *river.Job[MaintainArgs]) (err error) {
	defer catch(w.logger, job.ID, &err)
	if _, err := store.KeepPaused(ctx, w.db); err != nil {
		return w.problem(err)
	}
	abandoned, err := store.SettleAbandoned(ctx, w.db)
	if err != nil {
		return w.problem(err)
	}
	if abandoned > 0 {
		w.logger.Warn("deliveries failed because their jobs were cancelled or discarded", "count", abandoned)
	}
	if err := w.findLost(ctx); err != nil {
		return w.problem(err)
	}
	if err := w.watchERPs(ctx); err != nil {
		return w.problem(err)
	}
	if fits, err := w.shopFits(ctx); err != nil || !fits {
		return w.problem(err)
	}
	if err := w.mark(ctx); err != nil {
		return w.problem(err)
	}
	if err := w.notice(ctx); err != nil {
		return w.problem(err)
	}
	if err := w.watchIncomplete(ctx); err != nil {
		return w.problem(err)
	}
	return w.problem(w.alarm(ctx))
}

// findLost tells of deliveries that were wanted and have neither receipt nor job. Metrics and kvit status tell it too.
func (w *maintainWorker) findLost(ctx context.Context) error {
	if _, err := store.FindLost(ctx, w.db); err != nil {
		return err
	}
	lost, err := store.LostDeliveries(ctx, w.db)
	if err != nil {
		return err
	}
	last := w.lost.Load()
	switch {
	case len(lost) == 0:
		w.lost.Store(nil)
	case last == nil || time.Since(*last) >= alarmEvery:
		w.lost.Store(new(time.Now()))
		for _, l := range lost {
			w.logger.Error("DELIVERIES ARE LOST: their jobs were deleted; `kvit replay` sends them",
				"destination", l.Destination, "deliveries", l.Deliveries)
		}
	}
	return nil
}

// shopFits tells whether the orders table is as it was configured. The shop may alter it while kvit runs: then
// marks and erasures wait, and everything else goes on.
func (w *maintainWorker) shopFits(ctx context.Context) (bool, error) {
	if w.orders == nil {
		return true, nil
	}
	misfits, err := store.ShopMisfits(ctx, w.db, *w.orders)
	if err != nil {
		return false, err
	}
	last := w.misfitted.Load()
	switch {
	case len(misfits) == 0:
		if last != nil {
			w.misfitted.Store(nil)
			w.logger.Info("the shop's orders table fits again")
		}
	case last == nil || time.Since(*last) >= alarmEvery:
		w.misfitted.Store(new(time.Now()))
		w.logger.Error("the shop's orders table does not fit shop.orders: no order is marked or erased", "problems", misfits)
	}
	return len(misfits) == 0, nil
}

// mark looks at evidence that is open, piece by piece, the newest first.
func (w *maintainWorker) mark(ctx context.Context) error {
	until := time.Now().Add(noticeTime)
	for before := int64(0); ; {
		ids, err := store.OpenReceipts(ctx, w.db, before, markMax)
		if err != nil || len(ids) == 0 {
			return err
		}
		if err := (marker{w.db, w.orders, w.checks}).mark(ctx, ids); err != nil {
			if ctx.Err() != nil || store.IsConnection(err) {
				return err
			}
			w.logger.Error("orders could not be marked", "problem", store.Describe(err)) // the rest of the round is not to suffer
		}
		if before = ids[len(ids)-1]; time.Now().After(until) {
			return nil
		}
	}
}

// notice makes kvit know orders that are new, and follow the table where its columns have changed.
func (w *maintainWorker) notice(ctx context.Context) error {
	if w.orders == nil {
		return nil
	}
	if err := store.SyncOrderStatus(ctx, w.db, *w.orders); err != nil {
		return err
	}
	until := time.Now().Add(noticeTime)
	if err := store.NoticeNewOrders(ctx, w.db, *w.orders, until); err != nil {
		return err
	}
	return store.NoticeOldOrders(ctx, w.db, *w.orders, until)
}

// alarm tells of orders that the ERP should have by now. Metrics and kvit status tell it too.
func (w *maintainWorker) alarm(ctx context.Context) error {
	if w.orders == nil {
		return nil
	}
	late, err := store.LateImports(ctx, w.db, *w.orders)
	if err != nil {
		return err
	}
	last := w.alarmed.Load()
	switch {
	case late == 0:
		w.alarmed.Store(nil)
	case last == nil || time.Since(*last) >= alarmEvery:
		w.alarmed.Store(new(time.Now()))
		w.logger.Error("the ERP does not have orders that it should have by now", "orders", late, "after", w.orders.AlarmAfter.String())
	}
	return nil
}

func (w *maintainWorker) problem(err error) error {
	if err == nil {
		return nil
	}
	w.logger.Error("maintenance stopped early", "problem", store.Describe(err))
	return river.JobCancel(errors.New("maintain: " + store.Describe(err))) // the next minute's job tries again
}
