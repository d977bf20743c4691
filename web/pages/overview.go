package pages

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"kvit/delivery"
	"kvit/schedule"
	"kvit/status"
	"kvit/store"
)

func (s *Site) overviewRoutes() {
	s.read("GET /{$}", s.overview)
}

// period is what the overview tells of.
const period = 24 * time.Hour

// overview is the first page: a status with its alarms, and what has happened in the period.
type overview struct {
	status.Status
	Alarms   []status.Alarm
	Since    time.Time // a period before the status's time
	Activity store.Activity
	Cards    []destinationCard
	Erasure  erasureCard
}

// destinationCard is one destination of the overview.
type destinationCard struct {
	store.DestinationStatus
	State, StateName string // class and word
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
	Bad     bool   // somebody may have to look into it
	Why     string // address of what tells the reasons; empty: there is nothing to tell
}

type erasureCard struct {
	Next        time.Time
	Zone        string            // of the schedule
	LastRun     *store.ErasureRun // nil: none has ended yet
	Certificate *store.CertificateNote
}

func (s *Site) overview(w http.ResponseWriter, r *http.Request) error {
	o, err := s.overviews.get(r.Context(), overviewAge, s.readOverview)
	if err != nil {
		return err
	}
	return s.render(w, r, "overview", o)
}

// Unknown tells whether a part of the status could not be read: its numbers say nothing then.
func (o *overview) Unknown(what string) bool {
	return slices.ContainsFunc(o.Unreadable, func(u status.Unread) bool { return u.What == what })
}

// SlotText is how long one part of the charts is.
func (o *overview) SlotText() string {
	return spoken(o.Activity.Until.Sub(o.Activity.From) / store.ActivitySlots)
}

func (s *Site) statusOptions() status.Options {
	return status.Options{DB: s.Pool, Reads: s.Reads, Orders: s.Orders, Grace: s.Grace, Eraser: s.Eraser, Watch: s.Watch, Anchor: s.Anchor, Since: s.Since}
}

// readOverview asks all questions at once; the slowest decides how long it takes.
func (s *Site) readOverview(ctx context.Context) (*overview, error) {
	var o overview
	var err error
	if o.Status, err = status.Read(ctx, s.statusOptions()); err != nil {
		return nil, err
	}
	o.Since = o.At.Add(-period)
	var trouble []store.TroubleCount
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) { o.Activity, err = store.ReadActivity(ctx, s.reads(), o.Since); return err })
	group.Go(func() (err error) { trouble, err = store.Trouble(ctx, s.reads(), o.Since); return err })
	group.Go(func() (err error) { o.Erasure, err = s.readErasure(ctx, o.At); return err })
	if err := group.Wait(); err != nil {
		return nil, err
	}
	for _, d := range o.Destinations {
		if d.RemovedAt == nil || d.Pending > 0 {
			o.Cards = append(o.Cards, newCard(d, o.Activity, trouble, o.Since))
		}
	}
	o.Alarms = status.Alarms(o.Status)
	return &o, nil
}

func (s *Site) readErasure(ctx context.Context, now time.Time) (e erasureCard, err error) {
	runs, err := schedule.Parse(s.Config.Retention.Schedule, s.Config.Retention.TimeZone)
	if err != nil {
		return e, fmt.Errorf("read retention.schedule: %w", err)
	}
	e.Next, e.Zone = runs.Next(now), s.Config.Retention.TimeZone
	run, err := store.LastErasureRun(ctx, s.reads())
	switch {
	case err == nil:
		e.LastRun = &run
	case !errors.Is(err, store.ErrNotFound):
		return e, err
	}
	e.Certificate, err = store.NewestCertificate(ctx, s.reads())
	return e, err
}

func newCard(d store.DestinationStatus, a store.Activity, trouble []store.TroubleCount, since time.Time) destinationCard {
	c := destinationCard{DestinationStatus: d}
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
		c.Counts = append(c.Counts, outcomeCount{outcome, counts[outcome], bad && counts[outcome] > 0, c.why(outcome, counts[outcome], since)})
	}
	for _, outcome := range []string{"superseded", "erased"} { // rare, and nobody misses them
		if counts[outcome] > 0 {
			c.Counts = append(c.Counts, outcomeCount{Outcome: outcome, Count: counts[outcome]})
		}
	}
	return c
}

// why is where the reasons of a number stand: the same deliveries, counted by reason.
func (c *destinationCard) why(outcome string, n int64, since time.Time) string {
	switch {
	case n == 0 || outcome == "delivered":
		return ""
	case outcome == "withheld":
		return "/orders?" + queryOf(store.OrderFilter{Destination: c.Name, State: outcome}, 0)
	default:
		return "/replay?" + bulkFilter{
			Action: delivery.ReplayAction, Destination: c.Name, Outcomes: []string{outcome}, Since: since.UTC().Format(time.RFC3339),
		}.Values().Encode() + "#preview"
	}
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
	case c.PausedAt != nil:
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

// For so long one reading serves everybody who looks at the overview, and the number of alarms on all other pages.
const (
	overviewAge = 2 * time.Second
	alarmsAge   = 30 * time.Second
)

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

func (c *overviewCache) get(ctx context.Context, maxAge time.Duration, read func(context.Context) (*overview, error)) (*overview, error) {
	c.reading.Lock()
	defer c.reading.Unlock()
	if last := c.last.Load(); last != nil && time.Since(last.at) < maxAge {
		return last.overview, nil
	}
	o, err := read(ctx)
	if err != nil {
		return nil, err
	}
	c.last.Store(&readAt{time.Now(), o})
	return o, nil
}
