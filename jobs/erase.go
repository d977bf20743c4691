package jobs

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"kvit/erasure"
	"kvit/store"
	"kvit/watch"
)

// EraseArgs say why the job runs.
type EraseArgs struct {
	// CatchUp: kvit has just started, and the run takes place only if a scheduled one was missed.
	CatchUp bool `json:"catch_up"`

	unfit bool
}

// Kind is stored with the job: never rename it.
func (EraseArgs) Kind() string { return "erase_due" }

// UnmarshalJSON notes args that do not fit instead of failing.
func (a *EraseArgs) UnmarshalJSON(data []byte) error {
	type plain EraseArgs
	a.unfit = !decodeArgs(data, (*plain)(a))
	return nil
}

// InsertOpts keep runs from piling up behind a long one. Uniqueness goes by the args too, since a
// catch-up that finds nothing to do must not swallow a scheduled run.
func (EraseArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{
		Queue:       maintenanceQueue,
		MaxAttempts: 10,
		UniqueOpts: river.UniqueOpts{ByArgs: true, ByState: []rivertype.JobState{
			rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRetryable,
			rivertype.JobStateRunning, rivertype.JobStateScheduled,
		}},
	}
}

const (
	eraseTimeout = 10 * time.Minute
	eraseBudget  = 8 * time.Minute // a run begins no batch after this, and goes on in a second one
	lockedAgain  = time.Minute     // until orders that the shop had locked are tried again
	runningAgain = time.Minute     // until a run looks again whether another one has ended
)

// erasePeriodic schedules the runs. River keeps its ticks in the leader's memory, so whoever becomes
// the leader also looks whether one was missed.
func erasePeriodic(e *erasure.Eraser) []*river.PeriodicJob {
	if e == nil || e.Schedule == nil {
		return nil
	}
	constructor := func(args EraseArgs) river.PeriodicJobConstructor {
		return func() (river.JobArgs, *river.InsertOpts) { return args, nil }
	}
	return []*river.PeriodicJob{
		river.NewPeriodicJob(e.Schedule, constructor(EraseArgs{}), nil),
		river.NewPeriodicJob(river.NeverSchedule(), constructor(EraseArgs{CatchUp: true}), &river.PeriodicJobOpts{RunOnStart: true}),
	}
}

// eraseWorker erases what is due.
type eraseWorker struct {
	river.WorkerDefaults[EraseArgs]
	eraser *erasure.Eraser // nil: this kvit erases nothing
	logger *slog.Logger
}

func newEraseWorker(e *erasure.Eraser, logger *slog.Logger) *eraseWorker {
	return &eraseWorker{eraser: e, logger: logger}
}

// Timeout is longer than that of other jobs. It is also how long the job of a crashed process waits.
func (w *eraseWorker) Timeout(*river.Job[EraseArgs]) time.Duration { return eraseTimeout }

// Work does one run. What a person has to mend is tried again at the next scheduled run, anything
// else by River's retries.
func (w *eraseWorker) Work(ctx context.Context, job *river.Job[EraseArgs]) (err error) {
	defer catch(w.logger, job.ID, &err)
	if job.Args.unfit || w.eraser == nil {
		return river.JobCancel(errArgs)
	}
	if job.Args.CatchUp {
		missed, err := w.eraser.Missed(ctx)
		if err != nil {
			return errors.New("look for a missed erasure: " + store.Describe(err))
		}
		if !missed {
			return nil
		}
	}
	report, err := w.eraser.RunUntil(ctx, time.Now().Add(eraseBudget))
	switch {
	case errors.Is(err, store.ErrRunning), watch.Is(err): // another process may do it, or this one when it may
		return river.JobSnooze(runningAgain)
	case errors.Is(err, erasure.ErrNotErased), errors.Is(err, erasure.ErrBraked):
		return river.JobCancel(err)
	case err != nil && !erasure.IsMisfit(err):
		return err
	case report.More: // what the policy does fit goes on
		return river.JobSnooze(time.Second)
	case err != nil:
		return river.JobCancel(err)
	case report.Skipped > 0:
		return river.JobSnooze(lockedAgain)
	}
	return nil
}
