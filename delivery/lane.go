// Package delivery is the way of an event to one destination: it is loaded, admitted or refused, given its
// place among the states of the same thing, sent together with others, and settled with a receipt.
// Operators' replays, backfills and cancels begin that way anew or end it.
//
// It knows no queue: an Attempt comes in, a Verdict goes out, and whoever runs the queue translates.
package delivery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"go.opentelemetry.io/otel/trace"

	"kvit/destination"
	"kvit/group"
	"kvit/store"
)

// Settings are how one destination is served.
type Settings struct {
	Name         string
	Destination  destination.Destination
	Purpose      string               // consent that the event must carry; empty: none needed
	Concurrency  int                  // requests in flight
	Rate         float64              // requests a second; 0: no limit
	RetryFor     time.Duration        // from the first attempt; then the outcome is failed
	MaxAge       time.Duration        // events that occurred longer ago are expired; 0: no limit
	Window       time.Duration        // how long after the first the provider recognises a repeat; 0: no end
	RetryUnclear bool                 // send again after an unclear answer what would be counted again
	Batch        destination.Limits   // of one request
	Now          func() time.Time     // the database's clock, by which ages count; nil: time.Now
	Consent      *ConsentMap          // how the events' consent becomes purposes; nil: it is an object of purposes
	KeepJobs     bool                 // a job stays as completed when its delivery has ended; otherwise it goes with the receipt
	Traces       trace.TracerProvider // nil: nobody looks
	Country      string               // where national phone numbers belong whose customer has no country; empty: not known

	// For tests that cannot wait; 0: the constants of these names.
	FirstHold, LongestHold time.Duration
}

// Lane is the way of the events of one destination. Its methods may be called at the same time.
type Lane struct {
	Settings
	db      store.DB
	timeout time.Duration
	traits  destination.Traits
	tracer  trace.Tracer        // nil: nobody looks
	batcher destination.Batcher // nil: one event a request
	gate    *gate
	sender  *sender
	load    *group.Group[int64, *store.Event]
	place   *group.Group[int64, store.Place]
	settle  *group.Group[store.Delivery, bool] // whether the job ended with the receipt
	changed func(GateState)
	disable func(ctx context.Context, destination, reason string)
	metrics *Metrics
	logger  *slog.Logger
}

// MaxPayload is the most bytes of a payload that an event is loaded with.
const MaxPayload = destination.MaxPayload

// groupMax bounds a round trip's memory: this many payloads of destination.MaxPayload at worst.
const groupMax = 100

// NewLane makes a lane; timeout is that of one attempt.
func NewLane(s Settings, db store.DB, timeout time.Duration, metrics *Metrics, logger *slog.Logger) *Lane {
	if s.Now == nil {
		s.Now = time.Now
	}
	batcher, _ := s.Destination.(destination.Batcher)
	traits := s.Destination.Traits()
	lane := &Lane{
		Settings: s,
		db:       db,
		timeout:  timeout,
		traits:   traits,
		tracer:   tracer(s.Traces),
		batcher:  batcher,
		load: group.New(groupMax, func(ctx context.Context, ids []int64) ([]*store.Event, error) {
			events, err := store.Events(ctx, db, s.Name, ids, MaxPayload)
			return arrange(ids, events, func(e *store.Event) int64 { return e.ID }), err
		}),
		place: group.New(groupMax, func(ctx context.Context, ids []int64) ([]store.Place, error) {
			places, err := store.Places(ctx, db, s.Name, ids)
			return values(arrange(ids, places, func(p *store.Place) int64 { return p.ID })), err
		}),
		settle: group.New(groupMax, func(ctx context.Context, list []store.Delivery) ([]bool, error) {
			return settle(ctx, db, list)
		}),
		changed: func(GateState) {},
		disable: func(context.Context, string, string) {},
		metrics: metrics,
		logger:  logger.With("destination", s.Name),
	}
	lane.gate = newGate(s.Rate, lane.follow)
	lane.gate.first, lane.gate.last = cmp.Or(s.FirstHold, FirstHold), cmp.Or(s.LongestHold, LongestHold)
	lane.sender = newSender(lane, timeout/3)
	metrics.held(s.Name, false)
	return lane
}

// OnHold names who is told when requests stop, and when they flow again. To be called before Work.
func (l *Lane) OnHold(changed func(GateState)) { l.changed = changed }

// OnGone names who stops the destination for good when its receiver wants no more events. To be called
// before Work.
func (l *Lane) OnGone(disable func(ctx context.Context, destination, reason string)) {
	l.disable = disable
}

// follow tells of what the gate has decided.
func (l *Lane) follow(state GateState) {
	switch {
	case state.Alarm:
		l.logger.Error("CREDENTIALS ARE NOT ACCEPTED: no event goes to this destination until that is mended; they wait",
			"reason", state.Reason, "next_try", state.Until)
	case state.Held:
		l.logger.Warn("provider is left alone for a while; its events wait", "reason", state.Reason, "next_try", state.Until)
	default:
		l.logger.Info("provider answers again; its events flow")
	}
	l.metrics.held(l.Name, state.Held)
	l.changed(state)
}

// Capacity is how many events are worth working on at a time. The larger, the more events share
// the round trips before and after their requests: 128 jobs for 16 requests in flight gave 2,900
// events/s, 512 gave 3,900. It also bounds memory, since each job holds its payload. A provider that
// takes 1,000 events a request gets more than others; one with a rate limit gets no more than can go out while
// a job is patient.
func (l *Lane) Capacity() int {
	jobs := min(max(32*l.Concurrency, 64), 512)
	if l.sender.limits.Events > jobs {
		// Half as many again as a request holds: they are loaded while it is under way.
		jobs = min(l.sender.limits.Events, 1000) * 3 / 2
	}
	if l.Rate > 0 {
		requests := l.Rate * l.sender.patience.Seconds() / 2
		jobs = int(min(float64(jobs), max(requests*float64(l.sender.limits.Events), 1)))
	}
	return jobs
}

// settle writes receipts, and tells of each whether its job ended with it.
func settle(ctx context.Context, db store.DB, list []store.Delivery) ([]bool, error) {
	ids, err := store.SettleDeliveries(ctx, db, list)
	if err != nil {
		return nil, err
	}
	ended := make([]bool, len(list))
	for i, d := range list {
		ended[i] = slices.Contains(ids, d.JobID)
	}
	return ended, nil
}

// arrange puts rows in the order of the ids that were asked for; nil where there is no row.
func arrange[Row any](ids []int64, rows []Row, id func(*Row) int64) []*Row {
	byID := make(map[int64]*Row, len(rows))
	for i := range rows {
		byID[id(&rows[i])] = &rows[i]
	}
	arranged := make([]*Row, len(ids))
	for i, id := range ids {
		arranged[i] = byID[id]
	}
	return arranged
}

func values[Row any](rows []*Row) []Row {
	list := make([]Row, len(rows))
	for i, row := range rows {
		if row != nil {
			list[i] = *row
		}
	}
	return list
}

// Work takes one event the whole way: load, admit, send, settle.
func (l *Lane) Work(ctx context.Context, a Attempt) Verdict {
	stored, err := l.event(ctx, a)
	if err != nil {
		return l.postpone(ctx, "load event", err)
	}
	if stored == nil {
		return giveUp(errors.New("event does not exist"))
	}
	if stored.Settled {
		return done()
	}
	event, refusal := l.admit(a, stored, l.Now())
	if refusal != nil {
		return l.end(ctx, a, stored, *refusal)
	}
	a.omitted = event.Payload.Omitted
	if contains(l.traits.States, event.Name) {
		place, err := l.place.Do(ctx, stored.ID)
		if err != nil {
			return l.postpone(ctx, "find place of event", err)
		}
		if place.Superseded {
			return l.end(ctx, a, stored, ending{Outcome: Superseded, Reason: "a later state was delivered before"})
		}
		if place.WaitUntil != nil {
			return putBack(turnWait(place.WaitUntil.Sub(l.Now())))
		}
		if place.ID != 0 && !place.Follows && contains(l.traits.Adjusts, event.Name) {
			return l.end(ctx, a, stored, ending{Outcome: Rejected, Reason: "no earlier state was delivered, which this one would change"})
		}
	}
	return l.deliver(ctx, a, stored, event)
}

func (l *Lane) event(ctx context.Context, a Attempt) (*store.Event, error) {
	if a.Event != nil {
		return a.Event, nil
	}
	return l.load.Do(ctx, a.EventID)
}

// turnWait is how long an event waits for the one before it: a little longer than that one's own
// wait, at most a quarter of an hour in case that one is cancelled meanwhile.
func turnWait(other time.Duration) time.Duration {
	return min(max(other, 0)+jitter(500*time.Millisecond), 15*time.Minute)
}

// deliver gives the event to the sender and concludes from what became of it. An event that was not
// sent goes back as it was: that is no attempt.
func (l *Lane) deliver(ctx context.Context, a Attempt, stored *store.Event, event destination.Event) Verdict {
	letter := &letter{
		ctx: ctx, eventID: stored.ID, event: event, answer: make(chan reply, 1),
		careful: !l.RetryUnclear && contains(l.traits.CountedAgain, event.Name),
	}
	if l.batcher != nil {
		encoded, rejected := l.batcher.Encode(event)
		if rejected != nil {
			return l.end(ctx, a, stored, ending{Outcome: Rejected, Reason: rejected.Error()})
		}
		letter.encoded, letter.event.Payload, letter.event.Raw = encoded, destination.Payload{}, nil // both forms in memory are one too many
	}
	var sending step
	letter.ctx, sending = l.traceEvent(ctx, "kvit.send", a, stored)
	r := l.sender.send(letter)
	sending.end(replied(r))
	switch r.fate {
	case held:
		return putBack(r.wait + jitter(time.Second))
	case late:
		return putBack(r.wait + jitter(3*time.Second))
	case divided:
		return putBack(jitter(time.Second))
	case begun:
		return l.end(ctx, a, stored, ending{Outcome: Failed, Unclear: true, Reason: "kvit was interrupted at an earlier attempt, " + stopReason})
	case unknown:
		r.err = &destination.Error{Kind: destination.Ambiguous, Reason: "no answer before the attempt's time was over"}
	}
	return l.conclude(ctx, a, stored, r.code, r.err)
}

// ending is how a delivery ends.
type ending struct {
	Outcome string
	Reason  string
	Code    int
	Unclear bool // the provider may have counted the event
}

// withNote is the reason of an ending with what the event was delivered without, or what it might have been
// rejected for the lack of, unless the reason tells of it itself.
func withNote(e ending, omitted destination.Omissions) string {
	omitted = slices.DeleteFunc(slices.Clone(omitted), func(o destination.Omission) bool { return e.Reason == o.Place+": "+o.Why })
	note := omitted.Note()
	switch {
	case note == "" || e.Outcome != Delivered && e.Outcome != Rejected:
		return e.Reason
	case e.Reason == "":
		return note
	default:
		return e.Reason + "; " + note
	}
}

// end writes the receipt, and ends the attempts: together, or given up afterwards, with the reason, where somebody may want
// to look into it.
func (l *Lane) end(ctx context.Context, a Attempt, stored *store.Event, e ending) Verdict {
	// The event has been sent or judged: neither a stop of kvit nor the job's timeout may lose that.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), group.Timeout)
	defer cancel()
	e.Reason = withNote(e, a.omitted)
	trouble := e.Outcome == Rejected || e.Outcome == Failed
	receipt := store.Delivery{
		EventID: stored.ID, Destination: l.Name, Outcome: e.Outcome, Reason: e.Reason, ResponseCode: e.Code,
		Unclear: e.Unclear, Attempts: a.Number, FirstAttemptAt: a.First, Careful: len(l.traits.CountedAgain) > 0,
	}
	if !trouble {
		receipt.JobID, receipt.KeepJob = a.JobID, l.KeepJobs
	}
	ctx, step := l.traceEvent(ctx, "kvit.receipt", a, stored)
	jobEnded, err := l.settle.Do(ctx, receipt)
	step.settled(e.Outcome, err == nil)
	if err != nil {
		l.logger.Error("receipt could not be written", "event_id", stored.ID, "outcome", e.Outcome, "problem", store.Describe(err))
		return tryAgain(errors.New("write receipt: the database did not take it"))
	}
	l.metrics.settled(l.Name, e.Outcome, l.Now().Sub(stored.ReceivedAt))
	if e.Outcome == Delivered {
		l.metrics.leftOut(l.Name, a.omitted)
	}
	if trouble {
		l.logger.Warn("delivery ended without success", "event_id", stored.ID, "outcome", e.Outcome, "reason", e.Reason)
		return giveUp(fmt.Errorf("%s: %s", e.Outcome, e.Reason))
	}
	return Verdict{Kind: Done, JobEnded: jobEnded}
}
