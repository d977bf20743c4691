package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/riverqueue/river"
	"github.com/tidwall/gjson"

	"kvit/config"
	"kvit/destination"
	"kvit/group"
	"kvit/store"
)

// DeliverArgs name one event and one destination. The trigger on kvit.tracking_event writes them.
type DeliverArgs struct {
	EventID     int64  `json:"event_id"`
	Destination string `json:"destination"`

	unfit bool
}

// Kind is stored with the job: never rename it.
func (DeliverArgs) Kind() string { return "deliver_event" }

// UnmarshalJSON notes args that do not fit instead of failing. It reads what the trigger writes by
// itself: encoding/json took 9 of the 150 µs that an event costs kvit.
func (a *DeliverArgs) UnmarshalJSON(data []byte) error {
	members := 0
	gjson.ParseBytes(data).ForEach(func(name, value gjson.Result) bool {
		members++
		switch {
		case name.Str == "event_id" && value.Type == gjson.Number:
			a.EventID = value.Int()
		case name.Str == "destination" && value.Type == gjson.String:
			a.Destination = value.Str
		}
		return true
	})
	a.unfit = members != 2 || a.EventID <= 0 || a.Destination == ""
	return nil
}

// deliverWorker delivers events, each destination in a lane of its own.
type deliverWorker struct {
	river.WorkerDefaults[DeliverArgs]
	lanes   map[string]*lane
	timeout time.Duration
	logger  *slog.Logger
}

// Work delivers one event to one destination, or says when to try again.
func (w *deliverWorker) Work(ctx context.Context, job *river.Job[DeliverArgs]) (err error) {
	defer catch(w.logger, job.ID, &err)
	if job.Args.unfit {
		return river.JobCancel(errArgs)
	}
	lane, ok := w.lanes[job.Args.Destination]
	if !ok {
		return river.JobCancel(errors.New("destination is not configured"))
	}
	return lane.work(ctx, job)
}

// Timeout bounds one attempt: load, admit, send and settle.
func (w *deliverWorker) Timeout(*river.Job[DeliverArgs]) time.Duration { return w.timeout }

// NextRetry backs off with the failures so far, and beyond the time for which the destination is held.
func (w *deliverWorker) NextRetry(job *river.Job[DeliverArgs]) time.Time {
	wait := backoff(failures(job.JobRow))
	if lane, ok := w.lanes[job.Args.Destination]; ok {
		wait = lane.notBefore(wait)
	}
	return time.Now().Add(wait)
}

// backoffs follow the advice of Standard Webhooks 1.0, but faster at first and at most 6 h apart,
// so that a provider's night is over for its events soon after it is over for the provider.
var backoffs = []time.Duration{
	5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute,
	time.Hour, 2 * time.Hour, 4 * time.Hour, 6 * time.Hour,
}

func backoff(failures int) time.Duration {
	return jitter(backoffs[min(failures, len(backoffs)-1)])
}

// jitter spreads a wait over 80 to 120 % of it, so that what failed together does not come back
// together.
func jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.8 + 0.4*rand.Float64()))
}

// Lane is how one destination is served.
type Lane struct {
	Name         string
	Destination  destination.Destination
	Purpose      string             // consent that the event must carry; empty: none needed
	Concurrency  int                // requests in flight
	Rate         float64            // requests a second; 0: no limit
	RetryFor     time.Duration      // from the first attempt; then the outcome is failed
	MaxAge       time.Duration      // events that occurred longer ago are expired; 0: no limit
	Window       time.Duration      // how long after the first the provider recognises a repeat; 0: no end
	RetryUnclear bool               // send again after an unclear answer what would be counted again
	Batch        destination.Limits // of one request

	// Other durations than firstHold and longestHold, for tests that cannot wait.
	firstHold, longestHold time.Duration
}

type lane struct {
	Lane
	db      store.DB
	timeout time.Duration
	traits  destination.Traits
	batcher destination.Batcher // nil: one event a request
	gate    *gate
	sender  *sender
	load    *group.Group[int64, *store.Event]
	place   *group.Group[int64, store.Place]
	settle  *group.Group[store.Delivery, struct{}]
	disable func(ctx context.Context, destination, reason string)
	metrics *Metrics
	logger  *slog.Logger
}

// groupMax bounds a round trip's memory: this many payloads of destination.MaxPayload at worst.
const groupMax = 100

func newLane(l Lane, db store.DB, timeout time.Duration, metrics *Metrics, logger *slog.Logger) *lane {
	batcher, _ := l.Destination.(destination.Batcher)
	traits := l.Destination.Traits()
	careful := len(traits.CountedAgain) > 0
	lane := &lane{
		Lane:    l,
		db:      db,
		timeout: timeout,
		traits:  traits,
		batcher: batcher,
		load: group.New(groupMax, func(ctx context.Context, ids []int64) ([]*store.Event, error) {
			events, err := store.Events(ctx, db, l.Name, ids, destination.MaxPayload)
			return arrange(ids, events, func(e *store.Event) int64 { return e.ID }), err
		}),
		place: group.New(groupMax, func(ctx context.Context, ids []int64) ([]store.Place, error) {
			places, err := store.Places(ctx, db, l.Name, ids)
			return values(arrange(ids, places, func(p *store.Place) int64 { return p.ID })), err
		}),
		settle: group.New(groupMax, func(ctx context.Context, list []store.Delivery) ([]struct{}, error) {
			return make([]struct{}, len(list)), settle(ctx, db, list, careful)
		}),
		metrics: metrics,
		logger:  logger.With("destination", l.Name),
	}
	lane.gate = newGate(l.Rate, func(gateState) {})
	lane.gate.first, lane.gate.last = cmp.Or(l.firstHold, firstHold), cmp.Or(l.longestHold, longestHold)
	lane.sender = newSender(lane, timeout/3)
	metrics.held(l.Name, false)
	return lane
}

// settle writes receipts; attempts that had been noted as begun have then ended.
func settle(ctx context.Context, db store.DB, list []store.Delivery, careful bool) error {
	if !careful {
		return store.SettleDeliveries(ctx, db, list)
	}
	return store.SettleCarefulDeliveries(ctx, db, list)
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

// work takes one event the whole way: load, admit, send, settle.
func (l *lane) work(ctx context.Context, job *river.Job[DeliverArgs]) error {
	stored, err := l.load.Do(ctx, job.Args.EventID)
	if err != nil {
		return l.postpone(ctx, "load event", err)
	}
	if stored == nil {
		return river.JobCancel(errors.New("event does not exist"))
	}
	if stored.Settled {
		return nil
	}
	event, refusal := l.admit(job.JobRow, stored, time.Now())
	if refusal != nil {
		return l.end(ctx, job, stored, *refusal)
	}
	if contains(l.traits.States, event.Name) {
		place, err := l.place.Do(ctx, stored.ID)
		if err != nil {
			return l.postpone(ctx, "find place of event", err)
		}
		if place.Superseded {
			return l.end(ctx, job, stored, ending{Outcome: Superseded, Reason: "a later state was delivered before"})
		}
		if place.WaitUntil != nil {
			return river.JobSnooze(turnWait(time.Until(*place.WaitUntil)))
		}
	}
	return l.deliver(ctx, job, stored, event)
}

// turnWait is how long an event waits for the one before it: a little longer than that one's own
// wait, at most a quarter of an hour in case that one is cancelled meanwhile.
func turnWait(other time.Duration) time.Duration {
	return min(max(other, 0)+jitter(500*time.Millisecond), 15*time.Minute)
}

// deliver gives the event to the sender and concludes from what became of it. An event that was not
// sent goes back as it was: that is no attempt.
func (l *lane) deliver(ctx context.Context, job *river.Job[DeliverArgs], stored *store.Event, event destination.Event) error {
	letter := &letter{
		ctx: ctx, eventID: stored.ID, event: event, answer: make(chan reply, 1),
		careful: !l.RetryUnclear && contains(l.traits.CountedAgain, event.Name),
	}
	if l.batcher != nil {
		encoded, rejected := l.batcher.Encode(event)
		if rejected != nil {
			return l.end(ctx, job, stored, ending{Outcome: Rejected, Reason: rejected.Error()})
		}
		letter.encoded, letter.event.Payload, letter.event.Raw = encoded, destination.Payload{}, nil // both forms in memory are one too many
	}
	r := l.sender.send(letter)
	switch r.fate {
	case held:
		return river.JobSnooze(r.wait + jitter(time.Second))
	case late:
		return river.JobSnooze(r.wait + jitter(3*time.Second))
	case divided:
		return river.JobSnooze(jitter(time.Second))
	case begun:
		return l.end(ctx, job, stored, ending{Outcome: Failed, Unclear: true, Reason: "kvit was interrupted at an earlier attempt, " + stopReason})
	case unknown:
		r.err = &destination.Error{Kind: destination.Ambiguous, Reason: "no answer before the attempt's time was over"}
	}
	return l.conclude(ctx, job, stored, r.code, r.err)
}

// stopReason is why an unclear answer ends a delivery.
const stopReason = "and the provider would count a repeat again (on_ambiguous: stop)"

// ending is how a delivery ends.
type ending struct {
	Outcome string
	Reason  string
	Code    int
	Unclear bool // the provider may have counted the event
}

// end writes the receipt, then ends the job: as cancelled, with the reason, where somebody may
// want to look into it.
func (l *lane) end(ctx context.Context, job *river.Job[DeliverArgs], stored *store.Event, e ending) error {
	// The event has been sent or judged: neither a stop of kvit nor the job's timeout may lose that.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), group.Timeout)
	defer cancel()
	_, err := l.settle.Do(ctx, store.Delivery{
		EventID: stored.ID, Destination: l.Name, Outcome: e.Outcome, Reason: e.Reason, ResponseCode: e.Code,
		Unclear: e.Unclear, Attempts: job.Attempt, FirstAttemptAt: firstAttempt(job.JobRow),
	})
	if err != nil {
		l.logger.Error("receipt could not be written", "event_id", stored.ID, "outcome", e.Outcome, "problem", store.Describe(err))
		return errors.New("write receipt: the database did not take it")
	}
	l.metrics.settled(l.Name, e.Outcome, stored.ReceivedAt)
	if e.Outcome == Rejected || e.Outcome == Failed {
		l.logger.Warn("delivery ended without success", "event_id", stored.ID, "outcome", e.Outcome, "reason", e.Reason)
		return river.JobCancel(fmt.Errorf("%s: %s", e.Outcome, e.Reason))
	}
	return nil
}

// conclude is the one place that decides what an attempt's error means.
func (l *lane) conclude(ctx context.Context, job *river.Job[DeliverArgs], stored *store.Event, code int, err error) error {
	if err == nil {
		return l.end(ctx, job, stored, ending{Outcome: Delivered, Code: code})
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err() // kvit stops, or an operator cancels: River puts the job back or ends it
	}
	var failed *destination.Error
	if !errors.As(err, &failed) { // a panic
		failed = &destination.Error{Kind: destination.Ambiguous, Reason: err.Error()}
	}
	switch failed.Kind {
	case destination.Rejected:
		return l.end(ctx, job, stored, ending{Outcome: Rejected, Reason: failed.Error(), Code: failed.Code})
	case destination.Gone:
		l.disable(ctx, l.Name, failed.Error())
		return river.JobSnooze(time.Minute)
	case destination.Throttled, destination.Unauthorized:
		return l.snooze(job, stored, failed)
	case destination.Ambiguous:
		if !l.RetryUnclear && contains(l.traits.CountedAgain, stored.Name) {
			return l.end(ctx, job, stored, ending{Outcome: Failed, Unclear: true, Code: failed.Code, Reason: failed.Error() + ", " + stopReason})
		}
	}
	return l.retryLater(ctx, job, stored, failed)
}

// snooze waits for as long as the provider asks, or until its credentials may have been mended; that
// is no attempt, and has no end but the event's age. The wait grows with each, so that one event
// that a provider turns away by itself does not hold up the others for long.
func (l *lane) snooze(job *river.Job[DeliverArgs], stored *store.Event, cause *destination.Error) error {
	l.logger.Info("provider turned the event away; trying again later", "event_id", stored.ID,
		"kind", cause.Kind.String(), "reason", cause.Error(), "attempt", job.Attempt)
	if cause.RetryAfter > 0 {
		return river.JobSnooze(throttle(cause.RetryAfter))
	}
	return river.JobSnooze(l.notBefore(backoff(failures(job.JobRow) + snoozes(job.JobRow))))
}

// notBefore lengthens a wait beyond the time for which the destination is held, and a little more:
// events that have not been tried yet go first.
func (l *lane) notBefore(wait time.Duration) time.Duration {
	held, _ := l.gate.heldFor()
	if held == 0 {
		return wait
	}
	return max(wait, held+jitter(5*time.Second))
}

// retryLater returns the error, unless the event has been tried for as long as configured.
func (l *lane) retryLater(ctx context.Context, job *river.Job[DeliverArgs], stored *store.Event, cause *destination.Error) error {
	if time.Since(firstAttempt(job.JobRow)) < l.RetryFor {
		l.logger.Info("attempt did not deliver; trying again later", "event_id", stored.ID,
			"kind", cause.Kind.String(), "reason", cause.Error(), "attempt", job.Attempt)
		return errors.New(attemptText(cause))
	}
	_, arrived := firstUnclear(job.JobRow)
	return l.end(ctx, job, stored, ending{
		Outcome: Failed, Code: cause.Code, Unclear: arrived || mayHaveArrived(cause.Kind),
		Reason: fmt.Sprintf("no success within %s; last: %s", config.FormatDuration(l.RetryFor), cause),
	})
}

// throttle is a little more than the provider asks for, so that not all come back together.
func throttle(after time.Duration) time.Duration {
	return after + jitter(min(after/10+time.Second, time.Minute))
}

// postpone puts a job back that never got as far as the provider; that is no attempt.
func (l *lane) postpone(ctx context.Context, what string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(err, group.ErrPanic) {
		return err
	}
	l.logger.Warn("delivery is postponed", "while", what, "problem", store.Describe(err))
	return river.JobSnooze(jitter(5 * time.Second))
}
