package pages

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"kvit/schedule"
	"kvit/store"
)

func (s *Site) overviewRoutes() {
	s.read("GET /{$}", s.overview)
}

// period is what the overview tells of.
const period = 24 * time.Hour

// overview is the first page. All of it is read at one time.
type overview struct {
	Alarms       []alarm
	At           time.Time // by the database's clock
	Since        time.Time // a period before
	Activity     store.Activity
	Destinations []destinationCard
	ERPs         []store.ERPSourceStatus
	Orders       *store.OrdersStatus // nil: shop.orders is not configured, or cannot be read
	OrdersFault  string              // why it cannot be read
	Erasure      erasureCard
}

// destinationCard is one destination of the overview.
type destinationCard struct {
	store.DestinationStatus
	State, StateName string // class and word
	Paused           *time.Time
	Counts           []outcomeCount
	Events           template.HTML // chart: receipts by slot
	Delay            template.HTML // chart: seconds by slot
	Most             int64         // receipts in one slot
	Typical, Slow    float64       // seconds, in the newest slot with deliveries
}

// outcomeCount is a number under a destination.
type outcomeCount struct {
	Outcome string
	Count   int64
	Bad     bool // somebody may have to look into it
}

type erasureCard struct {
	Next        time.Time
	Zone        string // of the schedule
	LastSuccess *time.Time
	LastRun     *store.ErasureRun // nil: none has ended yet
	Certificate *store.CertificateNote
	Residue     []store.ResidueStatus
	OpenTasks   int64
	OldestTask  *time.Time
}

func (s *Site) overview(w http.ResponseWriter, r *http.Request) error {
	o, err := s.overviews.get(r.Context(), s.readOverview)
	if err != nil {
		return err
	}
	return s.render(w, r, "overview", o)
}

// SlotText is how long one part of the charts is.
func (o *overview) SlotText() string {
	return spoken(o.Activity.Until.Sub(o.Activity.From) / store.ActivitySlots)
}

// readOverview asks all questions at once; the slowest decides how long it takes.
func (s *Site) readOverview(ctx context.Context) (*overview, error) {
	now, err := store.Now(ctx, s.Pool)
	if err != nil {
		return nil, err
	}
	o := &overview{At: now, Since: now.Add(-period)}
	var statuses []store.DestinationStatus
	var trouble []store.TroubleCount
	var paused map[string]time.Time
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(4) // the pool is for deliveries
	group.Go(func() (err error) { statuses, err = store.DestinationStatuses(ctx, s.Pool); return err })
	group.Go(func() (err error) { o.Activity, err = store.ReadActivity(ctx, s.Pool, o.Since); return err })
	group.Go(func() (err error) { trouble, err = store.Trouble(ctx, s.Pool, o.Since); return err })
	group.Go(func() (err error) { paused, err = store.Pauses(ctx, s.Pool); return err })
	group.Go(func() (err error) { o.ERPs, err = store.ERPSources(ctx, s.Pool); return err })
	group.Go(func() (err error) { o.Erasure, err = s.readErasure(ctx, now); return err })
	group.Go(func() error { return s.readOrders(ctx, o, now) })
	if err := group.Wait(); err != nil {
		return nil, err
	}
	for _, d := range statuses {
		if d.RemovedAt == nil || d.Pending > 0 {
			o.Destinations = append(o.Destinations, newCard(d, o.Activity, trouble, paused))
		}
	}
	o.Alarms = alarmsOf(o)
	return o, nil
}

// readOrders tells why it says nothing, where the shop's table does not fit: the rest of the page is still of use.
func (s *Site) readOrders(ctx context.Context, o *overview, now time.Time) error {
	if s.Orders == nil {
		return nil
	}
	misfits, err := store.ShopMisfits(ctx, s.Pool, *s.Orders)
	if err != nil {
		return err
	}
	if len(misfits) > 0 {
		o.OrdersFault = misfits[0]
		return nil
	}
	status, err := store.ReadOrdersStatus(ctx, s.Pool, *s.Orders, s.Grace(now))
	if err != nil {
		return err
	}
	o.Orders = &status
	return nil
}

func (s *Site) readErasure(ctx context.Context, now time.Time) (e erasureCard, err error) {
	runs, err := schedule.Parse(s.Config.Retention.Schedule, s.Config.Retention.TimeZone)
	if err != nil {
		return e, fmt.Errorf("read retention.schedule: %w", err)
	}
	e.Next, e.Zone = runs.Next(now), s.Config.Retention.TimeZone
	if e.LastSuccess, err = store.LastErasureSuccess(ctx, s.Pool); err != nil {
		return e, err
	}
	run, err := store.LastErasureRun(ctx, s.Pool)
	switch {
	case err == nil:
		e.LastRun = &run
	case !errors.Is(err, store.ErrNotFound):
		return e, err
	}
	if e.Certificate, err = store.NewestCertificate(ctx, s.Pool); err != nil {
		return e, err
	}
	if e.Residue, err = store.OpenResidues(ctx, s.Pool); err != nil {
		return e, err
	}
	e.OpenTasks, e.OldestTask, err = store.TaskBacklog(ctx, s.Pool)
	return e, err
}

func newCard(d store.DestinationStatus, a store.Activity, trouble []store.TroubleCount, paused map[string]time.Time) destinationCard {
	c := destinationCard{DestinationStatus: d}
	if at, ok := paused[d.Name]; ok {
		c.Paused = &at
	}
	c.State, c.StateName = c.state()
	counts := map[string]int64{}
	c.draw(a, counts)
	for _, t := range trouble {
		if t.Destination == d.Name {
			counts[t.Outcome] = t.Count
		}
	}
	for _, outcome := range []string{"delivered", "withheld", "rejected", "expired", "failed", "lost"} {
		bad := outcome == "rejected" || outcome == "failed" || outcome == "lost"
		c.Counts = append(c.Counts, outcomeCount{outcome, counts[outcome], bad && counts[outcome] > 0})
	}
	for _, outcome := range []string{"superseded", "erased"} { // rare, and nobody misses them
		if counts[outcome] > 0 {
			c.Counts = append(c.Counts, outcomeCount{outcome, counts[outcome], false})
		}
	}
	return c
}

// state is what matters most about a destination at the moment.
func (c *destinationCard) state() (class, word string) {
	switch {
	case c.RemovedAt != nil:
		return "removed", "removed"
	case c.DisabledReason != nil:
		return "disabled", "disabled by the receiver"
	case !c.Enabled:
		return "off", "switched off"
	case c.Paused != nil:
		return "paused", "paused"
	case c.HeldUntil != nil:
		return "held", "left alone"
	default:
		return "on", "on"
	}
}

// draw makes the charts, and adds up counts.
func (c *destinationCard) draw(a store.Activity, counts map[string]int64) {
	var good, bad, typical series
	newest := -1
	for _, p := range a.Parts {
		if p.Destination != c.Name {
			continue
		}
		if !isTrouble(p.Outcome) {
			counts[p.Outcome] += p.Count // trouble is counted by when it ended, not by when the event came
		}
		if isTrouble(p.Outcome) {
			bad[p.Slot] += float64(p.Count)
		} else {
			good[p.Slot] += float64(p.Count)
		}
		if p.Outcome == "delivered" && p.Typical > 0 {
			typical[p.Slot] = p.Typical
			if p.Slot > newest {
				newest, c.Typical, c.Slow = p.Slot, p.Typical, p.Slow
			}
		}
	}
	for i := range good {
		c.Most = max(c.Most, int64(good[i]+bad[i]))
	}
	c.Events = bars(fmt.Sprintf("Receipts of %s in %d parts of the period, at most %d in one", c.Name, store.ActivitySlots, c.Most), good, bad)
	c.Delay = line(fmt.Sprintf("Typical delay of deliveries to %s in %d parts of the period, at most %s", c.Name, store.ActivitySlots, seconds(typical.most())), typical)
}

func isTrouble(outcome string) bool {
	return outcome == "rejected" || outcome == "expired" || outcome == "failed" || outcome == "lost"
}

// overviewAge is for how long one reading serves everybody.
const overviewAge = 2 * time.Second

// overviewCache keeps many open tabs from asking the database as often.
type overviewCache struct {
	reading sync.Mutex
	last    atomic.Pointer[readAt]
}

// readAt is an overview and when it was read, by this machine's clock.
type readAt struct {
	at       time.Time
	overview *overview
}

func (c *overviewCache) get(ctx context.Context, read func(context.Context) (*overview, error)) (*overview, error) {
	c.reading.Lock()
	defer c.reading.Unlock()
	if last := c.last.Load(); last != nil && time.Since(last.at) < overviewAge {
		return last.overview, nil
	}
	o, err := read(ctx)
	if err != nil {
		return nil, err
	}
	c.last.Store(&readAt{time.Now(), o})
	return o, nil
}

// alarms is how many alarms the last overview had, if it is not old. It asks nothing: every page shows it.
func (c *overviewCache) alarms() int {
	last := c.last.Load()
	if last == nil || time.Since(last.at) > 5*time.Minute {
		return 0
	}
	return len(last.overview.Alarms)
}
