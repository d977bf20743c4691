package jobs

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/rivertype"

	"kvit/store"
	"kvit/watch"
)

// clockDriver keeps a process whose clock is wrong from leading, and gives River's maintenance the database's clock.
// River compares times that the database has written with its own: a leader 300 s ahead took all jobs at work for those of
// a crashed process, and had them done a second time.
//
// River lets a driver be wrapped: what it asks of the executor it asks through these methods.
type clockDriver struct {
	riverdriver.Driver[pgx.Tx]
	watch *watch.Watch
	db    store.DB
	relay
}

// relay is what the driver and the workers of one process tell each other.
type relay struct {
	ended   *ended
	loaded  *loaded
	traffic *traffic
	pace    *pace
	known   *known
	traced  *traced // nil: nobody looks
}

func newRelay() relay {
	return relay{ended: newEnded(), loaded: newLoaded(), traffic: newTraffic(), pace: newPace(), known: newKnown()}
}

// GetExecutor wraps that of River's driver.
func (d clockDriver) GetExecutor() riverdriver.Executor {
	return clockExecutor{d.Driver.GetExecutor(), d.watch, d.db, d.Driver.UnwrapExecutor, d.relay}
}

// UnwrapTx is the transaction within one that the executor has begun.
func (d clockDriver) UnwrapTx(tx riverdriver.ExecutorTx) pgx.Tx {
	if wrapped, ok := tx.(clockTx); ok {
		tx = wrapped.ExecutorTx
	}
	return d.Driver.UnwrapTx(tx)
}

type clockExecutor struct {
	riverdriver.Executor
	watch *watch.Watch
	db    store.DB
	begin func(pgx.Tx) riverdriver.ExecutorTx // makes one of River's of a transaction
	relay
}

// Begin wraps the transaction, too: River bids, and makes jobs available, in one. It begins with its first statement.
func (e clockExecutor) Begin(context.Context) (riverdriver.ExecutorTx, error) {
	return clockTx{e.begin(&lazyTx{db: e.db}), e}, nil
}

type clockTx struct {
	riverdriver.ExecutorTx
	executor clockExecutor
}

// LeaderAttemptElect does not bid while the clocks are apart.
func (tx clockTx) LeaderAttemptElect(ctx context.Context, params *riverdriver.LeaderElectParams) (*riverdriver.Leader, error) {
	if err := tx.executor.mayLead(ctx); err != nil {
		return nil, err
	}
	return tx.ExecutorTx.LeaderAttemptElect(ctx, params)
}

// JobSchedule makes jobs available whose time has come by the database's clock. Where there are none, which the waker's last look
// tells, or one statement outside of the transaction, that does not even begin.
func (tx clockTx) JobSchedule(ctx context.Context, params *riverdriver.JobScheduleParams) ([]*riverdriver.JobScheduleResult, error) {
	if tx.executor.known.nothingToSchedule() {
		return nil, nil
	}
	corrected := *params
	if params.Now != nil {
		corrected.Now = new(tx.executor.watch.Correct(*params.Now))
	}
	if due, err := store.JobsToSchedule(ctx, tx.executor.db, corrected.Now); err != nil || !due {
		return nil, err
	}
	return tx.ExecutorTx.JobSchedule(ctx, &corrected)
}

// LeaderAttemptReelect lets go, so that another process can lead at once.
func (e clockExecutor) LeaderAttemptReelect(ctx context.Context, params *riverdriver.LeaderReelectParams) (*riverdriver.Leader, error) {
	err := e.mayStillLead(ctx)
	if err == nil {
		return e.Executor.LeaderAttemptReelect(store.Writing(ctx), params)
	}
	if errors.Is(err, rivertype.ErrNotFound) {
		_, resignErr := e.LeaderResign(ctx, &riverdriver.LeaderResignParams{
			ElectedAt: params.ElectedAt, LeaderID: params.LeaderID, LeadershipTopic: leadershipTopic, Schema: params.Schema,
		})
		if resignErr != nil {
			return nil, resignErr
		}
	}
	return nil, err
}

// leadershipTopic is where River tells that somebody has resigned.
const leadershipTopic = "river_leadership"

// mayStillLead takes the waker's last look for the answer, which comes as often as it would be asked for.
func (e clockExecutor) mayStillLead(ctx context.Context) error {
	if view, ok := e.watch.Recent(knownFor); ok && view.MayLead() == nil {
		return nil
	}
	return e.mayLead(ctx)
}

// mayLead returns rivertype.ErrNotFound, River's word for an election that is lost, if the clocks are apart.
func (e clockExecutor) mayLead(ctx context.Context) error {
	view, err := e.watch.Ask(ctx, e.db)
	if err != nil {
		return err
	}
	if view.MayLead() != nil {
		return rivertype.ErrNotFound
	}
	return nil
}

// JobGetStuck asks for the jobs that have run too long by the database's clock.
func (e clockExecutor) JobGetStuck(ctx context.Context, params *riverdriver.JobGetStuckParams) ([]*rivertype.JobRow, error) {
	if _, err := e.watch.Ask(ctx, e.db); err != nil {
		return nil, err
	}
	corrected := *params
	corrected.StuckHorizon = e.watch.Correct(params.StuckHorizon)
	return e.Executor.JobGetStuck(ctx, &corrected)
}

// JobRescueMany rescues none that has been fetched anew meanwhile, and notes when, by the database's clock.
func (e clockExecutor) JobRescueMany(ctx context.Context, params *riverdriver.JobRescueManyParams) (*struct{}, error) {
	corrected := *params
	corrected.StuckHorizon = e.watch.Correct(params.StuckHorizon)
	corrected.FinalizedAt = e.all(params.FinalizedAt)
	corrected.ScheduledAt = make([]time.Time, len(params.ScheduledAt))
	for i, at := range params.ScheduledAt {
		corrected.ScheduledAt[i] = e.watch.Correct(at)
	}
	return e.Executor.JobRescueMany(ctx, &corrected)
}

// JobSetStateIfRunningMany notes nothing of jobs that have ended, and of others when they are to be tried again, which River
// has by its own clock.
func (e clockExecutor) JobSetStateIfRunningMany(ctx context.Context, params *riverdriver.JobSetStateIfRunningManyParams) ([]*rivertype.JobRow, error) {
	corrected := *e.ended.without(params)
	if len(corrected.ID) == 0 {
		return nil, nil
	}
	corrected.ScheduledAt = e.all(corrected.ScheduledAt)
	corrected.FinalizedAt = e.all(corrected.FinalizedAt)
	return e.Executor.JobSetStateIfRunningMany(ctx, &corrected)
}

func (e clockExecutor) all(times []*time.Time) []*time.Time {
	list := make([]*time.Time, len(times))
	for i, at := range times {
		if at != nil {
			list[i] = new(e.watch.Correct(*at))
		}
	}
	return list
}

// JobDeleteBefore forgets jobs by the database's clock.
func (e clockExecutor) JobDeleteBefore(ctx context.Context, params *riverdriver.JobDeleteBeforeParams) (int, error) {
	corrected := *params
	corrected.CancelledFinalizedAtHorizon = e.watch.Correct(params.CancelledFinalizedAtHorizon)
	corrected.CompletedFinalizedAtHorizon = e.watch.Correct(params.CompletedFinalizedAtHorizon)
	corrected.DiscardedFinalizedAtHorizon = e.watch.Correct(params.DiscardedFinalizedAtHorizon)
	return e.Executor.JobDeleteBefore(store.Writing(ctx), &corrected)
}

// QueueDeleteExpired forgets queues by the database's clock.
func (e clockExecutor) QueueDeleteExpired(ctx context.Context, params *riverdriver.QueueDeleteExpiredParams) ([]string, error) {
	corrected := *params
	corrected.UpdatedAtHorizon = e.watch.Correct(params.UpdatedAtHorizon)
	return e.Executor.QueueDeleteExpired(ctx, &corrected)
}
