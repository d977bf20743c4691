package erasure

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/robfig/cron/v3"

	"kvit/erasure/policy"
	"kvit/store"
	"kvit/watch"
)

var (
	// ErrNotErased says that the run went through, but left orders or rows that cannot be erased as they are.
	ErrNotErased = errors.New("could not be erased")
	// ErrBraked says that more is due than the brake lets pass, and nothing was erased.
	ErrBraked = errors.New("the brake stopped the erasure before the first row")
)

// Eraser erases personal data that is due: of orders, of rows that a rule names, of events that no order takes along, and,
// long after that, the events' rows themselves with their receipts.
type Eraser struct {
	DB            store.DB
	Orders        *store.Orders // nil: no shop is configured
	Policy        policy.Policy // its Orders is filled in from the Orders above
	Tables        []policy.TableRule
	EventsAfter   time.Duration // since they were received
	ReceiptsAfter time.Duration // since the event was received and the receipt written
	BatchOrders   int           // orders a transaction, at most
	BatchTime     time.Duration // that a transaction shall take; 0: BatchOrders alone decide
	Brake         Brake
	Residue       Residue           // what a run looks for when it has erased
	MaxReplicaLag time.Duration     // the run waits for replicas that are further behind; 0: for none
	HashKey       *store.HashKey    // nil: the policy hashes nothing
	Schedule      cron.Schedule     // nil: only when asked
	Now           func() time.Time  // what decides instead of the database's clock, for tests; nil: that decides
	Watch         *watch.Watch      // whether this process may erase; nil: nobody asks
	OrdersErased  func(n int)       // told after every batch; may be nil
	RunSucceeded  func(t time.Time) // told after every run without a problem; may be nil
	Logger        *slog.Logger
}

// batchEvents is how many events one transaction erases or deletes.
const batchEvents = 1000

// batchMarks is how many marks of orders one transaction compares with the shop's table.
const batchMarks = 10_000

// maxProblems bounds the list in a report; all are counted.
const maxProblems = 1000

// Report is what a run did, or a dry run would do. It holds no personal data.
type Report struct {
	DryRun   bool              `json:"dry_run"`
	Orders   int               `json:"orders"`   // erased
	Events   int               `json:"events"`   // erased, with their order or without one
	Purged   int               `json:"purged"`   // events deleted with their receipts
	Rows     map[string]int64  `json:"rows"`     // overwritten or deleted, by table
	Samples  []string          `json:"samples"`  // references of the first orders erased
	Held     int               `json:"held"`     // orders that would be due but for a hold
	Holds    []store.HeldOrder `json:"holds"`    // of these, the first 1,000
	Skipped  int               `json:"skipped"`  // due orders and rows that another transaction had locked
	Failed   int               `json:"failed"`   // due orders that the database refuses to erase
	Problems []OrderProblem    `json:"problems"` // why, for the first 1,000 of them

	// Blocked tables are left alone, because the column policy does not fit them. Waiting orders are due
	// and erased but for these tables.
	Blocked []policy.Blocked `json:"blocked"`
	Waiting int              `json:"waiting"`

	// Columns are the values overwritten that were not null, by table and column; of a dry run alone.
	Columns map[string]map[string]int64 `json:"columns,omitempty"`

	Tables        map[string]int `json:"tables"`         // rows erased, by rule, without those of its children
	TableProblems []TableProblem `json:"table_problems"` // why due rows were not

	Brake *Braking `json:"brake"` // nil: the brake lets the run pass

	Replay *Replayed `json:"replay,omitempty"` // of Eraser.Replay alone

	Residue *ResidueReport `json:"residue,omitempty"` // nil: nothing was looked for

	More bool `json:"more"` // time was up before everything due was done
}

// Braking is why the brake stops a run.
type Braking struct {
	Due    int    `json:"due"` // orders, rows of one rule, or events
	Reason string `json:"reason"`
}

// OrderProblem is why an order could not be erased.
type OrderProblem struct {
	OrderRef string `json:"order_ref"`
	Problem  string `json:"problem"`
}

// Run erases everything that is due. The report counts what was done even if there is an error: a
// *policy.MisfitError if the column policy does not fit (what it does fit is erased all the same),
// ErrNotErased if the report has problems, ErrBraked and store.ErrRunning if nothing was done.
func (e *Eraser) Run(ctx context.Context) (Report, error) {
	return e.newRun(time.Time{}).do(ctx)
}

// RunUntil is Run, but begins nothing more after that time, and says so in Report.More.
func (e *Eraser) RunUntil(ctx context.Context, stopAt time.Time) (Report, error) {
	return e.newRun(stopAt).do(ctx)
}

// RunConfirmed is Run without the brake: somebody has looked.
func (e *Eraser) RunConfirmed(ctx context.Context) (Report, error) {
	r := e.newRun(time.Time{})
	r.confirmed = true
	return r.do(ctx)
}

// RunAgreed is RunUntil for somebody who has looked at so much that is due: the brake lets that much pass, and no more.
func (e *Eraser) RunAgreed(ctx context.Context, due int, stopAt time.Time) (Report, error) {
	r := e.newRun(stopAt)
	r.agreed = due
	return r.do(ctx)
}

// DryRun runs the statements of Run in one transaction and rolls it back. Until then it keeps the
// orders that are due locked. The brake does not stop it; the report tells whether it would stop a run.
func (e *Eraser) DryRun(ctx context.Context) (Report, error) {
	r := e.newRun(time.Time{})
	if err := r.recognise(ctx); err != nil {
		return r.report, err
	}
	err := r.undone(ctx, func(pgx.Tx) error { return r.everything(ctx) })
	return r.report, err
}

// Check tells where the column policy and the database do not fit; empty means that erasing is safe.
func (e *Eraser) Check(ctx context.Context) ([]policy.Problem, error) {
	if e.Orders == nil {
		return nil, nil
	}
	p := e.policy()
	database, err := ReadDatabase(ctx, e.DB, p.TableNames())
	if err != nil {
		return nil, err
	}
	return p.Check(database), nil
}

func (e *Eraser) policy() policy.Policy {
	o := e.Orders
	if o == nil {
		return e.Policy
	}
	return policy.Policy{
		Tables: e.Policy.Tables, Elsewhere: e.ruledTables(),
		Orders: policy.OrdersTable{
			Name: o.Table, Ref: o.Ref, PlacedAt: o.PlacedAt,
			ImportedAt: o.ImportedAt, ERPNumber: o.ERPNumber, ErasedAt: o.ErasedAt, Email: o.Email,
			TimeZone: o.TimeZone, Since: o.SinceColumns(),
		},
	}
}

// statements are the policy's statements, as the store takes them.
func (e *Eraser) statements(p policy.Policy, database policy.Database) []store.TableErasure {
	list := p.Erasures(database)
	for i := range list {
		list[i].Key = e.HashKey
	}
	return list
}

// Missed tells whether a scheduled run should have begun since the last one that finished. Before
// the first run there is nothing to catch up with: it waits for its time.
func (e *Eraser) Missed(ctx context.Context) (bool, error) {
	if e.Schedule == nil {
		return false, nil
	}
	last, err := store.LastErasureRun(ctx, e.DB)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	now, err := e.now(ctx, e.DB)
	// A run of the future was one of a clock that was wrong: nobody knows what has been missed since.
	return err == nil && (last.StartedAt.After(now) || e.Schedule.Next(last.StartedAt).Before(now)), err
}

// now is the time that decides what is due: the database's, as Postgres keeps it, so that hashes stay true.
func (e *Eraser) now(ctx context.Context, db store.DB) (time.Time, error) {
	if e.Now != nil {
		return e.Now().UTC().Truncate(time.Microsecond), nil
	}
	return store.Now(ctx, db)
}

// knows is the newest migration that this process knows of; 0 if nobody asks.
func (e *Eraser) knows() int {
	if e.Watch == nil {
		return 0
	}
	return e.Watch.Knows()
}

// mayErase returns an error, of which watch.Is is true, if this process must not erase. It asks in the transaction that
// is going to.
func (e *Eraser) mayErase(ctx context.Context, tx pgx.Tx) error {
	if e.Watch == nil {
		return nil
	}
	view, err := e.Watch.Ask(ctx, tx)
	if err != nil {
		return err
	}
	return view.MayErase()
}

func (e *Eraser) newRun(stopAt time.Time) *eraseRun {
	return &eraseRun{
		Eraser: e, db: e.DB, stopAt: stopAt,
		report: Report{
			Rows: map[string]int64{}, Samples: []string{}, Holds: []store.HeldOrder{}, Problems: []OrderProblem{}, Blocked: []policy.Blocked{},
			Tables: map[string]int{}, TableProblems: []TableProblem{},
		},
		size: newBatchSize(e.BatchOrders, e.BatchTime),
	}
}
