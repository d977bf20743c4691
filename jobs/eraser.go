package jobs

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/robfig/cron/v3"

	"kvit/retention"
	"kvit/store"
)

// ErrNotErased says that the run went through, but left orders that cannot be erased as they are.
var ErrNotErased = errors.New("orders could not be erased")

// Eraser erases personal data that is due: of orders, of events that no order takes along, and, long
// after that, the events' rows themselves with their receipts.
type Eraser struct {
	DB            store.DB
	Orders        *store.Orders     // nil: no shop is configured
	Policy        retention.Policy  // its Orders is filled in from the Orders above
	EventsAfter   time.Duration     // since they were received
	ReceiptsAfter time.Duration     // since the event was received and the receipt written
	BatchOrders   int               // orders a transaction
	HashKey       *store.HashKey    // nil: the policy hashes nothing
	Schedule      cron.Schedule     // nil: only when asked
	Now           func() time.Time  // nil: time.Now
	OrdersErased  func(n int)       // told after every batch; may be nil
	RunSucceeded  func(t time.Time) // told after every run without a problem; may be nil
	Logger        *slog.Logger
}

// batchEvents is how many events one transaction erases or deletes.
const batchEvents = 1000

// maxProblems bounds the list in a report; all are counted.
const maxProblems = 1000

// Report is what a run did, or a dry run would do. It holds no personal data.
type Report struct {
	DryRun   bool             `json:"dry_run"`
	Orders   int              `json:"orders"`   // erased
	Events   int              `json:"events"`   // erased, with their order or without one
	Purged   int              `json:"purged"`   // events deleted with their receipts
	Rows     map[string]int64 `json:"rows"`     // overwritten or deleted, by table
	Held     int              `json:"held"`     // orders that would be due but for a hold
	Skipped  int              `json:"skipped"`  // due orders that another transaction had locked
	Failed   int              `json:"failed"`   // due orders that the database refuses to erase
	Problems []OrderProblem   `json:"problems"` // why, for the first 1,000 of them

	// Blocked tables are left alone, because the column policy does not fit them. Waiting orders are due
	// and erased but for these tables.
	Blocked []retention.Blocked `json:"blocked"`
	Waiting int                 `json:"waiting"`

	More bool `json:"more"` // time was up before everything due was done
}

// OrderProblem is why an order could not be erased.
type OrderProblem struct {
	OrderRef string `json:"order_ref"`
	Problem  string `json:"problem"`
}

// Run erases everything that is due. The report counts what was done even if there is an error: a
// *retention.PolicyError if the column policy does not fit (what it does fit is erased all the same),
// ErrNotErased if the report has problems.
func (e *Eraser) Run(ctx context.Context) (Report, error) {
	return e.runUntil(ctx, time.Time{})
}

// DryRun runs the statements of Run in one transaction and rolls it back. Until then it keeps the
// orders that are due locked.
func (e *Eraser) DryRun(ctx context.Context) (Report, error) {
	r := e.newRun(time.Time{})
	r.report.DryRun = true
	tx, err := e.DB.Begin(ctx)
	if err != nil {
		return r.report, failure("begin dry run", err)
	}
	defer func() {
		// A cancelled context must not keep the locks until the connection is found dead.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_ = tx.Rollback(ctx)
	}()
	if err := store.LockErasure(ctx, tx); err != nil {
		return r.report, failure("begin dry run", err)
	}
	r.db = tx
	if err := r.everything(ctx); err != nil {
		return r.report, err
	}
	if err := store.CheckConstraints(ctx, tx); err != nil {
		return r.report, failure("check deferred constraints", err)
	}
	return r.report, nil
}

// Check tells where the column policy and the database do not fit; empty means that erasing is safe.
func (e *Eraser) Check(ctx context.Context) ([]retention.Problem, error) {
	if e.Orders == nil {
		return nil, nil
	}
	policy := e.policy()
	database, err := readDatabase(ctx, e.DB, policy.TableNames())
	if err != nil {
		return nil, err
	}
	return policy.Check(database), nil
}

func (e *Eraser) policy() retention.Policy {
	o := e.Orders
	return retention.Policy{
		Tables: e.Policy.Tables,
		Orders: retention.OrdersTable{
			Name: o.Table, Ref: o.Ref, PlacedAt: o.PlacedAt,
			ImportedAt: o.ImportedAt, ERPNumber: o.ERPNumber, ErasedAt: o.ErasedAt,
		},
	}
}

// readDatabase reads what the policy of these tables is checked against.
func readDatabase(ctx context.Context, db store.DB, tables []string) (retention.Database, error) {
	var database retention.Database
	columns, err := store.TableColumns(ctx, db, tables)
	if err != nil {
		return database, err
	}
	for _, c := range columns {
		database.Columns = append(database.Columns, retention.DatabaseColumn(c))
	}
	references, err := store.References(ctx, db, tables)
	if err != nil {
		return database, err
	}
	for _, r := range references {
		database.ForeignKeys = append(database.ForeignKeys, retention.ForeignKey(r))
	}
	indexes, err := store.UniqueIndexes(ctx, db, tables)
	if err != nil {
		return database, err
	}
	for _, i := range indexes {
		database.UniqueIndexes = append(database.UniqueIndexes, retention.UniqueIndex(i))
	}
	return database, nil
}

// statements are the policy's statements, as the store takes them.
func (e *Eraser) statements(policy retention.Policy, database retention.Database) []store.TableErasure {
	var list []store.TableErasure
	for _, t := range policy.Erasures(database) {
		erasure := store.TableErasure{Table: t.Table, Shared: t.Shared, DeleteRows: t.DeleteRows, Key: e.HashKey}
		for _, l := range t.Path {
			erasure.Path = append(erasure.Path, store.Link(l))
		}
		for _, w := range t.Writes {
			erasure.Writes = append(erasure.Writes, store.Write{
				Column: w.Column, Type: w.Type, Strategy: string(w.Strategy), Text: w.Text, Unit: w.Unit, Length: w.Length, Plan: w.Plan,
			})
		}
		list = append(list, erasure)
	}
	return list
}

// missed tells whether a scheduled run should have begun since the last one that finished. Before
// the first run there is nothing to catch up with: it waits for its time.
func (e *Eraser) missed(ctx context.Context) (bool, error) {
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
	return e.Schedule.Next(last.StartedAt).Before(e.now()), nil
}

func (e *Eraser) now() time.Time {
	if e.Now == nil {
		return time.Now()
	}
	return e.Now()
}

// runUntil begins no batch after stopAt; the zero time means no limit.
func (e *Eraser) runUntil(ctx context.Context, stopAt time.Time) (Report, error) {
	r := e.newRun(stopAt)
	id, err := store.StartErasureRun(ctx, e.DB, r.now, r.now.Add(-e.ReceiptsAfter))
	if err != nil {
		return r.report, failure("start erasure", err)
	}
	err = r.everything(ctx)
	if noteErr := r.note(ctx, id, err); err == nil {
		err = noteErr
	}
	r.log(err)
	if err == nil && !r.report.More && e.RunSucceeded != nil {
		e.RunSucceeded(r.now)
	}
	return r.report, err
}

func (e *Eraser) newRun(stopAt time.Time) *eraseRun {
	return &eraseRun{
		Eraser: e, db: e.DB, stopAt: stopAt,
		now:    e.now().UTC().Truncate(time.Microsecond), // as Postgres keeps it, so that hashes stay true
		report: Report{Rows: map[string]int64{}, Problems: []OrderProblem{}, Blocked: []retention.Blocked{}},
	}
}
