package jobs

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/riverqueue/river"

	"kvit/store"
)

// NotifyArgs need nothing: the job looks which alarms are on.
type NotifyArgs struct{}

// Kind is stored with the job: never rename it.
func (NotifyArgs) Kind() string { return "notify" }

// notifyEvery is how often kvit looks for alarms, and tries messages again.
const notifyEvery = time.Minute

// notifyWorker tells of alarms, whichever process gets the job.
type notifyWorker struct {
	river.WorkerDefaults[NotifyArgs]
	tell   func(ctx context.Context) error // nil: nobody is told
	logger *slog.Logger
}

// Work does one round.
func (w *notifyWorker) Work(ctx context.Context, job *river.Job[NotifyArgs]) (err error) {
	defer catch(w.logger, job.ID, &err)
	if w.tell == nil {
		return nil
	}
	if err := w.tell(ctx); err != nil {
		w.logger.Error("alarms could not be told", "problem", store.Describe(err))
		return river.JobCancel(errors.New("notify: " + store.Describe(err))) // the next minute's job tries again
	}
	return nil
}

func notifyPeriodic(tell func(ctx context.Context) error) []*river.PeriodicJob {
	if tell == nil {
		return nil
	}
	return []*river.PeriodicJob{river.NewPeriodicJob(river.PeriodicInterval(notifyEvery), func() (river.JobArgs, *river.InsertOpts) {
		return NotifyArgs{}, &river.InsertOpts{Queue: maintenanceQueue, MaxAttempts: 1}
	}, &river.PeriodicJobOpts{RunOnStart: true})}
}
