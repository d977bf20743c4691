package jobs

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/riverqueue/river"

	"kvit/store"
)

// MaintainArgs need nothing: the job looks for what is left to do.
type MaintainArgs struct{}

// Kind is stored with the job: never rename it.
func (MaintainArgs) Kind() string { return "maintain" }

// maintainWorker looks every minute for what fell through: deliveries whose job was cancelled by
// hand, and evidence whose order has appeared since.
type maintainWorker struct {
	river.WorkerDefaults[MaintainArgs]
	db     store.DB
	orders *store.Orders
	logger *slog.Logger
}

const maintainEvery = time.Minute

// Work does one round.
func (w *maintainWorker) Work(ctx context.Context, job *river.Job[MaintainArgs]) (err error) {
	defer catch(w.logger, job.ID, &err)
	abandoned, err := store.SettleAbandoned(ctx, w.db)
	if err != nil {
		return w.problem(err)
	}
	if abandoned > 0 {
		w.logger.Warn("deliveries failed because their jobs were cancelled or discarded", "count", abandoned)
	}
	open, err := store.OpenReceipts(ctx, w.db, 5000)
	if err != nil {
		return w.problem(err)
	}
	for ids := range slices.Chunk(open, markMax) {
		if err := markOrders(ctx, w.db, w.orders, ids); err != nil {
			return w.problem(err)
		}
	}
	return nil
}

func (w *maintainWorker) problem(err error) error {
	w.logger.Error("maintenance stopped early", "problem", store.Describe(err))
	return river.JobCancel(errors.New("maintain: " + store.Describe(err))) // the next minute's job tries again
}
