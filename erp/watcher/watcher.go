// Package watcher asks ERPs for the shop's orders, one source a Watcher, and writes what they show into
// kvit.erp_receipt. Whether an order is marked is judged where all evidence is judged.
//
// A false "imported" destroys an order that nobody has, a missed one keeps personal data for ever. So a document counts
// only if its reference is an order's as a whole, whatever the ERP's filter says; nothing follows from an answer that
// is empty; and what has been read is noted only when all of it was read.
package watcher

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"kvit/erp"
	"kvit/store"
)

// Source is one company in an ERP, and how it is asked.
type Source struct {
	Name        string
	Kind        string
	Fingerprint string // of the settings: other ones have progress of their own
	Connector   erp.Connector
	Matcher     erp.Matcher
	Meter       *erp.Meter // the one that the connector counts by
	Poll        time.Duration
	Overlap     time.Duration
	CallsPerDay int        // 0: no limit
	Expires     *time.Time // when the credentials end, as the configuration says
	Check       erp.Check  // what of its documents is compared with the order, and noted for that
}

// Options are what a Watcher works with.
type Options struct {
	DB      store.DB
	Orders  store.Orders
	Source  Source
	Metrics *Metrics // may be nil
	Logger  *slog.Logger
}

// Watcher polls one source. Safe for concurrent use: the database sees to it that one run is under way in the cluster.
type Watcher struct {
	db      store.DB
	orders  store.Orders
	source  Source
	metrics *Metrics
	logger  *slog.Logger

	complained atomic.Pointer[time.Time] // when a failure or warning was last logged as an error
}

// New returns the Watcher of a source.
func New(o Options) *Watcher {
	if o.Source.Meter == nil {
		o.Source.Meter = &erp.Meter{}
	}
	return &Watcher{db: o.DB, orders: o.Orders, source: o.Source, metrics: o.Metrics, logger: o.Logger.With("source", o.Source.Name)}
}

// Name is that of the source.
func (w *Watcher) Name() string { return w.source.Name }

// Every is the time between two polls.
func (w *Watcher) Every() time.Duration { return w.source.Poll }

const (
	probeEvery    = 24 * time.Hour // credentials and company are proved anew
	lookupEvery   = 24 * time.Hour // all open orders are asked for, whatever was followed
	complainEvery = time.Hour      // the same trouble is logged as an error
	leastCalls    = 10             // of one run, while the day has any: a probe needs some
	openChunk     = 20_000         // references of open orders that are in memory at a time
	fewBatches    = 2              // so many lookups are made with every poll
	slack         = 24 * time.Hour // what a clock of an ERP's may differ from the database's
)

// Report is what a run has done.
type Report struct {
	Documents int // that were read
	Evidence  int // that was new
	Warning   string
	Wait      time.Duration // until it is worth to run again; 0: the next poll
}

// Run polls once, until the given time at the latest. What it could not do by then it goes on with in the next
// run. Of a source that another run has, or that is to be left alone, it returns store.ErrNotNow and when to come back.
func (w *Watcher) Run(ctx context.Context, until time.Time) (Report, error) {
	lease := uuid.NewString()
	poll, wait, err := store.BeginERPPoll(ctx, w.db, w.source.Name, w.source.Fingerprint, lease, time.Until(until)+time.Minute)
	if err != nil {
		return Report{Wait: wait}, err
	}
	r := &run{Watcher: w, ERPPoll: poll, lease: lease, until: until}
	w.source.Meter.Begin(w.allowance(poll))
	began := time.Now()
	err = r.all(ctx)
	w.metrics.observe(w.source.Name, time.Since(began))
	return w.end(ctx, r, err)
}

// allowance is how many calls a run may make: an even share of what is left of the day, and a bit more, since most
// polls need less.
func (w *Watcher) allowance(poll store.ERPPoll) int {
	if w.source.CallsPerDay == 0 {
		return erp.Unlimited
	}
	left := max(w.source.CallsPerDay-poll.Calls, 0)
	now := poll.Now.UTC()
	rest := now.Truncate(24 * time.Hour).Add(24 * time.Hour).Sub(now)
	polls := int(rest/w.source.Poll) + 1
	return min(left, max(2*left/polls, leastCalls))
}

// end notes how the run ended.
func (w *Watcher) end(ctx context.Context, r *run, err error) (Report, error) {
	report := Report{Documents: r.documents, Evidence: r.evidence, Warning: strings.Join(r.warnings, "; ")}
	ended := store.ERPRun{Warning: report.Warning, Calls: w.source.Meter.Used(), Documents: r.documents}
	if err != nil {
		ended.Problem = problem(err)
		ended.Wait = pause(err, r.Failures+1)
		report.Wait = ended.Wait
	}
	if errors.Is(err, store.ErrLeaseLost) {
		return report, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if failed := store.EndERPPoll(ctx, w.db, w.source.Name, r.lease, ended); failed != nil && err == nil {
		return report, failed
	}
	w.complain(ended, r)
	return report, err
}

// complain logs trouble, as an error once an hour.
func (w *Watcher) complain(ended store.ERPRun, r *run) {
	if ended.Problem == "" && ended.Warning == "" {
		if w.complained.Swap(nil) != nil {
			w.logger.Info("the ERP answers as it should again")
		}
		return
	}
	level := slog.LevelWarn
	if last := w.complained.Load(); last == nil || time.Since(*last) >= complainEvery {
		w.complained.Store(new(time.Now()))
		level = slog.LevelError
	}
	if ended.Problem != "" {
		w.logger.Log(context.Background(), level, "the ERP could not be asked", "problem", ended.Problem, "failures", r.Failures+1)
	}
	if ended.Warning != "" {
		w.logger.Log(context.Background(), level, "the ERP's answers are not as they should be", "problem", ended.Warning)
	}
}

// problem words an error for operators, without a value in it.
func problem(err error) string {
	var failed *erp.Error
	switch {
	case errors.As(err, &failed):
		return failed.Error()
	case errors.Is(err, store.ErrLeaseLost):
		return err.Error()
	default:
		return store.Describe(err)
	}
}

// pause is how long a source is left alone after so many failures in a row.
func pause(err error, failures int) time.Duration {
	var failed *erp.Error
	if !errors.As(err, &failed) {
		return 0 // the database's fault: the next poll
	}
	double := func(first, most time.Duration) time.Duration { return min(first<<min(failures-1, 10), most) }
	switch failed.Kind {
	case erp.Unauthorized: // somebody has to mend it, and asking often may lock the user out
		return double(15*time.Minute, 2*time.Hour)
	case erp.Misconfigured, erp.Unproven, erp.Refused, erp.Malformed:
		return double(time.Minute, time.Hour)
	case erp.Spent:
		return 15 * time.Minute
	default:
		return max(failed.RetryAfter, double(5*time.Second, 5*time.Minute))
	}
}

// Probe asks for the proof alone and notes nothing.
func (w *Watcher) Probe(ctx context.Context) (erp.Proof, error) {
	w.source.Meter.Begin(erp.Unlimited)
	return w.source.Connector.Probe(ctx)
}

// expires is when the credentials end: the earlier of what the ERP and the configuration say; nil: neither does.
func (w *Watcher) expires(proof erp.Proof) *time.Time {
	if proof.Expires == nil || w.source.Expires != nil && w.source.Expires.Before(*proof.Expires) {
		return w.source.Expires
	}
	return proof.Expires
}

// run is one poll.
type run struct {
	*Watcher
	store.ERPPoll
	lease string
	until time.Time

	documents int
	evidence  int
	refused   int // single references
	warnings  []string
}

// all does what is due, in the order of what everything else rests on. Where following the changes fails by an answer, the lookup is
// tried all the same: it is the safety net.
func (r *run) all(ctx context.Context) error {
	if err := r.prove(ctx); err != nil {
		return err
	}
	if err := r.subscribe(ctx); err != nil {
		return err
	}
	if err := r.collect(ctx); err != nil {
		return err
	}
	followed := r.follow(ctx)
	switch erp.KindOf(followed) {
	case 0:
		if followed != nil {
			return followed
		}
	case erp.Refused, erp.Malformed, erp.TooMuch, erp.Misconfigured:
	default:
		return followed
	}
	return cmp.Or(r.lookup(ctx), followed)
}

// prove makes sure of the right company, before anything is asked of it.
func (r *run) prove(ctx context.Context) error {
	if r.ProbedAt != nil && r.Now.Sub(*r.ProbedAt) < probeEvery {
		return nil
	}
	proof, err := r.source.Connector.Probe(ctx)
	if err != nil {
		return err
	}
	return store.NoteERPProbe(ctx, r.db, r.source.Name, r.lease, proof.Company, r.expires(proof))
}

// subscribedFor is how long an ERP must go on notifying, or it is asked to again: those that end after three days are renewed daily.
const subscribedFor = 48 * time.Hour

// subscribe makes the ERP notify. That it cannot is no reason not to ask it.
func (r *run) subscribe(ctx context.Context) error {
	subscriber, ok := r.source.Connector.(erp.Subscriber)
	if !ok || r.SubscribedUntil != nil && r.SubscribedUntil.Sub(r.Now) >= subscribedFor {
		return nil
	}
	until, err := subscriber.Subscribe(ctx)
	var failed *erp.Error
	if errors.As(err, &failed) {
		r.warn("the ERP does not take the subscription to its notifications, so that polls alone tell of changes: " + failed.Error())
		return nil
	}
	if err != nil {
		return err
	}
	return store.NoteERPSubscription(ctx, r.db, r.source.Name, r.lease, until)
}

// collect empties an inbox.
func (r *run) collect(ctx context.Context) error {
	inbox, ok := r.source.Connector.(erp.Inbox)
	if !ok {
		return nil
	}
	return inbox.Collect(ctx, func(docs []erp.Document) error {
		r.documents += len(docs)
		return r.handIn(ctx, docs, true)
	})
}

// over tells whether the time of the run is.
func (r *run) over() bool { return !time.Now().Before(r.until) }

// warn notes trouble that does not end the run, each kind once.
func (r *run) warn(text string) {
	if !slices.Contains(r.warnings, text) {
		r.warnings = append(r.warnings, text)
	}
}
