package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"

	"kvit/delivery"
	"kvit/erasure"
	"kvit/erasure/proof"
	"kvit/erp"
	"kvit/erp/watcher"
	"kvit/store"
	"kvit/watch"
)

// Kinds of operations, beside the actions of delivery.
const (
	EraseDryRun = "erase_dry_run"
	EraseNow    = "erase"
	EraseAgreed = "erase_agreed" // past the brake, as far as somebody has agreed
	VerifyChain = "verify"
	TestEvent   = "test_event"
	ERPProbe    = "erp_probe"
	ERPLookup   = "erp_lookup"
)

// Agreed is the request of EraseAgreed.
type Agreed struct {
	Due int `json:"due"`
}

// Lookup is the request of ERPLookup.
type Lookup struct {
	OrderRefs []string `json:"order_refs"`
}

// Proof is the report of ERPProbe.
type Proof struct {
	Company string     `json:"company"`
	Expires *time.Time `json:"credentials_expire"`
}

const (
	operationQueue    = "operations"
	operationAttempts = 8 // for a database that is away; what cannot be done ends with its first attempt
)

// OperationArgs name what somebody has asked for on a page.
type OperationArgs struct {
	OperationID int64 `json:"operation_id"`

	unfit bool
}

// Kind is stored with the job: never rename it.
func (OperationArgs) Kind() string { return "operation" }

// UnmarshalJSON notes args that do not fit instead of failing.
func (a *OperationArgs) UnmarshalJSON(data []byte) error {
	type plain OperationArgs
	a.unfit = !decodeArgs(data, (*plain)(a)) || a.OperationID == 0
	return nil
}

// Request notes work that somebody asks for, with its audit, and makes the job that does it, in one transaction.
func Request(ctx context.Context, client *river.Client[pgx.Tx], db store.DB, o store.NewOperation) (id int64, err error) {
	err = pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		if id, err = store.AddOperation(ctx, tx, o); err != nil {
			return err
		}
		_, err = client.InsertTx(ctx, tx, OperationArgs{OperationID: id}, &river.InsertOpts{Queue: operationQueueOf(o), MaxAttempts: operationAttempts})
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("request %s: %w", o.Kind, err)
	}
	return id, nil
}

// operationQueueOf lets questions to an ERP take turns with its polls, which count their calls and keep their place in it.
func operationQueueOf(o store.NewOperation) string {
	if o.Kind == ERPProbe || o.Kind == ERPLookup {
		return pollQueue(o.Subject)
	}
	return operationQueue
}

// operationWorker does what was asked for on a page.
type operationWorker struct {
	river.WorkerDefaults[OperationArgs]
	db      *pgxpool.Pool
	lanes   []delivery.Settings
	erps    []*watcher.Watcher
	eraser  *erasure.Eraser // nil: this kvit erases nothing
	timeout time.Duration   // of one delivery attempt
	logger  *slog.Logger
}

// Timeout is that of an erasure, the longest of what is asked for.
func (w *operationWorker) Timeout(*river.Job[OperationArgs]) time.Duration { return eraseTimeout }

// Work does an operation once, or goes on with it.
func (w *operationWorker) Work(ctx context.Context, job *river.Job[OperationArgs]) (err error) {
	defer catch(w.logger, job.ID, &err)
	if job.Args.unfit {
		return river.JobCancel(errArgs)
	}
	o, err := store.ReadOperation(ctx, w.db, job.Args.OperationID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return river.JobCancel(errArgs)
	case err != nil:
		return errors.New(store.Describe(err))
	case o.FinishedAt != nil:
		return nil
	}
	if err := store.StartOperation(ctx, w.db, o.ID); err != nil {
		return errors.New(store.Describe(err))
	}
	return w.conclude(ctx, job, o, w.do(ctx, o))
}

// errMore says that time was up, and the operation goes on in another job run.
var errMore = errors.New("there is more to do")

// problemError ends an operation: trying again would end in the same way.
type problemError struct{ text string }

// Error is what the page shows.
func (e *problemError) Error() string { return e.text }

// conclude says to River what becomes of an operation, and notes its end.
func (w *operationWorker) conclude(ctx context.Context, job *river.Job[OperationArgs], o store.Operation, err error) error {
	var problem *problemError
	switch {
	case err == nil, errors.As(err, &problem):
	case errors.Is(err, errMore):
		return river.JobSnooze(time.Second)
	case errors.Is(err, store.ErrRunning), watch.Is(err):
		return river.JobSnooze(runningAgain)
	case errors.Is(ctx.Err(), context.Canceled): // kvit stops: it goes on with the next start
		return ctx.Err()
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		problem = &problemError{"it took longer than " + eraseTimeout.String() + "; what was done by then stays done, and a dry run was rolled back"}
	case job.Attempt < operationAttempts:
		return errors.New(store.Describe(err))
	default:
		problem = &problemError{store.Describe(err)}
	}
	return w.finish(ctx, o, problem)
}

func (w *operationWorker) finish(ctx context.Context, o store.Operation, problem *problemError) error {
	text := ""
	if problem != nil {
		text = problem.text
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := store.FinishOperation(ctx, w.db, o.ID, text); err != nil {
		return errors.New(store.Describe(err))
	}
	w.logger.Info("operation ended", "operation", o.ID, "kind", o.Kind, "subject", o.Subject, "by", o.RequestedBy, "problem", text)
	return nil
}

func (w *operationWorker) do(ctx context.Context, o store.Operation) error {
	switch o.Kind {
	case delivery.ReplayAction, delivery.CancelAction, delivery.SendNowAction:
		return w.act(ctx, o)
	case EraseDryRun, EraseNow, EraseAgreed:
		return w.erase(ctx, o)
	case VerifyChain:
		return w.verify(ctx, o)
	case TestEvent:
		return w.test(ctx, o)
	case ERPProbe, ERPLookup:
		return w.ask(ctx, o)
	default:
		return &problemError{"this kvit does not know how to do it"}
	}
}

// report keeps what came of an operation, whatever became of it.
func (w *operationWorker) report(ctx context.Context, o store.Operation, report any, err error) error {
	kept, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if noteErr := store.ReportOperation(kept, w.db, o.ID, report); noteErr != nil && err == nil {
		return noteErr
	}
	return err
}

func (w *operationWorker) act(ctx context.Context, o store.Operation) error {
	if o.ActionID == nil || o.Planned == nil {
		return &problemError{"nobody has agreed to a number of events"}
	}
	act, err := delivery.ReadAction(o.Kind, o.Request, delivery.Audit{Operator: o.RequestedBy, Reason: o.Reason})
	if err != nil {
		return err
	}
	err = act.Continue(ctx, w.db, *o.ActionID, o.Done, *o.Planned)
	if errors.Is(err, store.ErrNotServed) {
		return &problemError{store.ErrNotServed.Error()}
	}
	return err
}

func (w *operationWorker) verify(ctx context.Context, o store.Operation) error {
	chain, err := erasure.Verify(ctx, w.db)
	var broken *proof.BrokenError
	if errors.As(err, &broken) {
		err = &problemError{broken.Error()}
	}
	return w.report(ctx, o, chain, err)
}

func (w *operationWorker) erase(ctx context.Context, o store.Operation) error {
	if w.eraser == nil {
		return &problemError{"this kvit erases nothing"}
	}
	report, err := w.runErasure(ctx, o)
	if errors.Is(err, store.ErrRunning) || watch.Is(err) {
		return err
	}
	var earlier erasure.Report
	if o.Report != nil && json.Unmarshal(o.Report, &earlier) == nil {
		report = report.Plus(earlier)
	}
	more := report.More && (err == nil || erasure.IsMisfit(err)) // what the policy does fit goes on
	if erasure.IsMisfit(err) || errors.Is(err, erasure.ErrNotErased) || errors.Is(err, erasure.ErrBraked) {
		err = &problemError{err.Error()}
	}
	if err = w.report(ctx, o, report, err); more {
		return errMore
	}
	return err
}

func (w *operationWorker) runErasure(ctx context.Context, o store.Operation) (erasure.Report, error) {
	stopAt := time.Now().Add(eraseBudget)
	switch o.Kind {
	case EraseDryRun:
		return w.eraser.DryRun(ctx)
	case EraseAgreed:
		var agreed Agreed
		if err := json.Unmarshal(o.Request, &agreed); err != nil {
			return erasure.Report{}, errArgs
		}
		return w.eraser.RunAgreed(ctx, agreed.Due, stopAt)
	default:
		return w.eraser.RunUntil(ctx, stopAt)
	}
}

// test sends at most one event: whoever finds it begun does not know whether it was sent.
func (w *operationWorker) test(ctx context.Context, o store.Operation) error {
	if o.StartedAt != nil {
		return &problemError{"kvit was interrupted; the provider may have got the event, or not"}
	}
	i := slices.IndexFunc(w.lanes, func(l delivery.Settings) bool { return l.Name == o.Subject })
	if i < 0 {
		return &problemError{"the destination is not switched on"}
	}
	target, err := store.ReadTarget(ctx, w.db, o.Subject)
	if err != nil {
		return err
	}
	sending, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	trial, err := delivery.Test(sending, w.lanes[i], target.EventNames)
	if err != nil {
		return &problemError{err.Error()}
	}
	if trial.Problem != "" {
		err = &problemError{trial.Outcome + ": " + trial.Problem}
	}
	return w.report(ctx, o, trial, err)
}

// ask puts a question to an ERP, and changes nothing.
func (w *operationWorker) ask(ctx context.Context, o store.Operation) error {
	i := slices.IndexFunc(w.erps, func(one *watcher.Watcher) bool { return one.Name() == o.Subject })
	if i < 0 {
		return &problemError{"this ERP is not asked by this kvit"}
	}
	report, err := w.answer(ctx, w.erps[i], o)
	var failed *erp.Error
	if errors.As(err, &failed) {
		return &problemError{failed.Error()}
	}
	if err != nil {
		return err
	}
	return w.report(ctx, o, report, nil)
}

func (w *operationWorker) answer(ctx context.Context, one *watcher.Watcher, o store.Operation) (any, error) {
	if o.Kind == ERPProbe {
		proved, err := one.Probe(ctx)
		return Proof{proved.Company, proved.Expires}, err
	}
	var lookup Lookup
	if err := json.Unmarshal(o.Request, &lookup); err != nil {
		return nil, &problemError{errArgs.Error()}
	}
	answers, err := one.Ask(ctx, lookup.OrderRefs)
	for i := range answers {
		for j := range answers[i].Documents {
			answers[i].Documents[j].Ref = "" // in the ERP it may be what a customer has written
		}
	}
	return answers, err
}
