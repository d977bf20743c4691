// Package status reads where kvit stands, and tells which alarms that makes. What kvit status, the pages, the messages of
// notify and deploy/prometheus/rules.yaml call an alarm is the one list in kinds.go.
package status

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"kvit/erasure"
	"kvit/erasure/policy"
	"kvit/store"
	"kvit/watch"
)

// Options are what a status is read from.
type Options struct {
	DB     store.DB                           // the primary
	Reads  *store.Reads                       // where what may be a moment old is read; nil: in DB
	Orders *store.Orders                      // nil: the shop's orders are not configured
	Grace  func(now time.Time) time.Duration  // how long something may be due without being overdue; nil: nothing is overdue
	Eraser *erasure.Eraser                    // nil: nothing is erased
	Watch  *watch.Watch                       // of this process; nil: nothing is said of clocks
	Anchor func(ctx context.Context) []string // what is wrong with the file of retention.anchor; nil: there is none
	Since  time.Time                          // when the process began that asks, if it is one that may lead; zero: it is not, or long ago
}

// electionTakes is how long nobody may lead after a start: a leader that has crashed keeps its term for 15 seconds, and River's others try every
// 5 to 6 (internal/leadership of v0.51.2).
const electionTakes = 30 * time.Second

func (o Options) running(ctx context.Context) (bool, error) {
	if time.Since(o.Since) < electionTakes {
		return true, nil
	}
	return store.HasLeader(ctx, o.DB)
}

func (o Options) reads() store.DB {
	if o.Reads == nil {
		return o.DB
	}
	return o.Reads.Pool
}

// Status is what `kvit status --json` prints, beside the alarms.
type Status struct {
	At           time.Time                 `json:"at"`      // by the database's clock; zero: nothing could be read
	Running      bool                      `json:"running"` // a kvit run leads
	Destinations []store.DestinationStatus `json:"destinations"`
	Outcomes     []store.OutcomeCount      `json:"outcomes"`
	Trouble      []store.TroubleOfHour     `json:"trouble"`         // of the last hour
	LeftOut      []store.FieldLeftOut      `json:"fields_left_out"` // of events delivered in the last 7 days
	ERPs         []store.ERPSourceStatus   `json:"erp_sources"`
	Conflicts    store.ConflictStatus      `json:"conflicts"`
	Orders       *store.OrdersStatus       `json:"orders"`       // null: shop.orders is not configured, or does not fit
	ShopMisfits  []string                  `json:"shop_misfits"` // where the orders table does not fit; no order is marked or erased
	LastErasure  *time.Time                `json:"last_erasure"`
	HasRun       bool                      `json:"-"`      // an erasure has ended, well or not
	Braked       int                       `json:"braked"` // orders, rows of one rule, or events that were due when the brake stopped the last run; 0: it did not
	Tables       []erasure.TableStatus     `json:"tables"`

	Residue []store.ResidueStatus `json:"residue"` // columns that hold values of erased orders

	OpenTasks  int64      `json:"open_tasks"` // destinations that somebody has to tell about a person's request
	OldestTask *time.Time `json:"oldest_task"`

	Untold []store.FailingChannel `json:"failing_channels"` // channels of notify that do not take messages

	PolicyProblems []policy.Problem `json:"policy_problems"` // each stops the erasure of its table
	AnchorProblems []string         `json:"anchor_problems"` // of the file that notices a restored backup

	Reads *Reads `json:"reads"` // where all but who runs, the clocks, rows and the policy was read; null: there is no replica

	Clocks     Clocks    `json:"clocks"`
	Unreadable []Unread  `json:"unreadable"` // parts that could not be read: nothing is known of them
	overdueAt  time.Time // a successful erasure must not be older; zero: nothing is said
}

// Reads is where a Status was read, if there is a replica.
type Reads struct {
	store.ReadState
	Lag *float64 `json:"lag_seconds"` // of the replica, at most; null: not known
}

// ReadsOf returns nil if there is no replica.
func ReadsOf(r *store.Reads) *Reads {
	if r == nil || !r.Configured() {
		return nil
	}
	s := &Reads{ReadState: r.State()}
	if s.ReadState.Lag != nil {
		s.Lag = new(s.ReadState.Lag.Seconds())
	}
	return s
}

// Unread is a part of the status that could not be read.
type Unread struct {
	What    string `json:"what"`
	Problem string `json:"problem"` // free of values
}

// Clocks tell of the clocks, and of who may erase.
type Clocks struct {
	Database time.Time     `json:"database"`
	Ahead    float64       `json:"ahead_seconds"` // this machine's clock; negative: it is behind
	Problem  string        `json:"problem"`       // why a kvit on this machine does not erase; empty: it may
	Future   []store.Ahead `json:"future"`        // the newest records of a kind, if they lie in the database's future
}

// ClocksOf is what a look at the clocks has seen.
func ClocksOf(v watch.View) Clocks {
	c := Clocks{Database: v.Database, Ahead: v.Ahead().Seconds(), Future: append([]store.Ahead{}, v.Future...)}
	if err := v.MayErase(); err != nil {
		c.Problem = err.Error()
	}
	return c
}

// Read reads all parts that can be read, and names the others in Unreadable, which is an alarm. It returns an error, beside
// a Status that says so, if not even the clock can be read.
func Read(ctx context.Context, o Options) (Status, error) {
	s := Status{ShopMisfits: []string{}, PolicyProblems: []policy.Problem{}, AnchorProblems: []string{}, Unreadable: []Unread{}}
	now, err := store.Now(ctx, o.DB)
	if err != nil {
		s.cannotRead("the database", err)
		return s, err
	}
	s.At = now
	grace := time.Duration(100*365*24) * time.Hour
	if o.Grace != nil {
		grace = o.Grace(now)
		s.overdueAt = now.Add(-grace)
	}
	s.Reads = ReadsOf(o.Reads)
	s.readParts(ctx, s.parts(o, now, grace))
	if o.Anchor != nil {
		s.AnchorProblems = append(s.AnchorProblems, o.Anchor(ctx)...)
	}
	return s, ctx.Err()
}

// atOnce is how many questions are open at a time: the pool is for deliveries.
const atOnce = 4

// readParts asks for all at once; each writes its own fields.
func (s *Status) readParts(ctx context.Context, parts []part) {
	errs := make([]error, len(parts))
	var group errgroup.Group
	group.SetLimit(atOnce)
	for i, part := range parts {
		group.Go(func() error { errs[i] = part.read(ctx); return nil })
	}
	_ = group.Wait()
	for i, err := range errs {
		if err != nil {
			s.cannotRead(parts[i].what, err)
		}
	}
}

func (s *Status) cannotRead(what string, err error) {
	s.Unreadable = append(s.Unreadable, Unread{What: what, Problem: store.Describe(err)})
}

type part struct {
	what string
	read func(ctx context.Context) error
}

func (s *Status) parts(o Options, now time.Time, grace time.Duration) []part {
	db := o.reads()
	return []part{
		{"the clocks", func(ctx context.Context) error { return s.readClocks(ctx, o) }},
		{"who runs", func(ctx context.Context) (err error) { s.Running, err = o.running(ctx); return err }},
		{"destinations", func(ctx context.Context) (err error) {
			s.Destinations, err = store.DestinationStatuses(ctx, db)
			return err
		}},
		{"outcomes", func(ctx context.Context) (err error) { s.Outcomes, err = store.OutcomeCounts(ctx, db); return err }},
		{"what ended badly", func(ctx context.Context) (err error) { s.Trouble, err = store.TroublesOfHour(ctx, db); return err }},
		{"fields left out", func(ctx context.Context) (err error) {
			s.LeftOut, err = store.FieldsLeftOut(ctx, db, now.AddDate(0, 0, -7))
			return err
		}},
		{"ERPs", func(ctx context.Context) (err error) { s.ERPs, err = store.ERPSources(ctx, db); return err }},
		{"conflicts", func(ctx context.Context) (err error) { s.Conflicts, err = store.Conflicts(ctx, db); return err }},
		{"the last erasure", func(ctx context.Context) error { return s.readLastErasure(ctx, db) }},
		{"copies", func(ctx context.Context) (err error) { s.Residue, err = store.OpenResidues(ctx, db); return err }},
		{"open tasks", func(ctx context.Context) (err error) {
			s.OpenTasks, s.OldestTask, err = store.TaskBacklog(ctx, db)
			return err
		}},
		{"orders", func(ctx context.Context) error { return s.readOrders(ctx, db, o.Orders, grace) }},
		{"rows of retention.tables", func(ctx context.Context) error { return s.readTables(ctx, o.Eraser, grace) }},
		{"what was told", func(ctx context.Context) (err error) {
			s.Untold, err = store.FailingChannels(ctx, db, notifyFails)
			return err
		}},
		{"the column policy", func(ctx context.Context) error { return s.readPolicy(ctx, o.Eraser) }},
	}
}

func (s *Status) readClocks(ctx context.Context, o Options) error {
	if o.Watch == nil {
		s.Clocks = Clocks{Database: s.At, Future: []store.Ahead{}}
		return nil
	}
	view, err := o.Watch.Look(ctx)
	if err != nil {
		return err
	}
	s.Clocks = ClocksOf(view)
	return nil
}

func (s *Status) readLastErasure(ctx context.Context, db store.DB) (err error) {
	if s.LastErasure, err = store.LastErasureSuccess(ctx, db); err != nil {
		return err
	}
	if s.Braked, err = store.Braked(ctx, db); err != nil {
		return err
	}
	_, err = store.LastErasureRun(ctx, db)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	s.HasRun = err == nil
	return err
}

// readOrders says nothing of orders that it cannot read, but why.
func (s *Status) readOrders(ctx context.Context, db store.DB, table *store.Orders, grace time.Duration) error {
	if table == nil {
		return nil
	}
	misfits, err := store.ShopMisfits(ctx, db, *table)
	if err != nil {
		return err
	}
	if len(misfits) > 0 {
		s.ShopMisfits = misfits
		return nil
	}
	orders, err := store.ReadOrdersStatus(ctx, db, *table, grace)
	if err != nil {
		return err
	}
	s.Orders = &orders
	return nil
}

func (s *Status) readTables(ctx context.Context, eraser *erasure.Eraser, grace time.Duration) (err error) {
	if eraser == nil {
		return nil
	}
	s.Tables, err = eraser.TablesStatus(ctx, grace)
	return err
}

func (s *Status) readPolicy(ctx context.Context, eraser *erasure.Eraser) error {
	if eraser == nil {
		return nil
	}
	problems, err := eraser.Problems(ctx)
	s.PolicyProblems = append(s.PolicyProblems, problems...)
	return err
}
