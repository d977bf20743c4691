package jobs

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"kvit/erp/watcher"
	"kvit/store"
)

// PollArgs name one source of kvit.erp_source.
type PollArgs struct {
	Source string `json:"source"`

	unfit bool
}

// Kind is stored with the job: never rename it.
func (PollArgs) Kind() string { return "poll_erp" }

// UnmarshalJSON notes args that do not fit instead of failing.
func (a *PollArgs) UnmarshalJSON(data []byte) error {
	type plain PollArgs
	a.unfit = !decodeArgs(data, (*plain)(a)) || a.Source == ""
	return nil
}

// InsertOpts keep polls of a source from piling up behind a long one. Each source has a queue of its own, so that one whose ERP
// is slow keeps no other from being polled.
func (a PollArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{
		Queue:       pollQueue(a.Source),
		MaxAttempts: 1,
		UniqueOpts: river.UniqueOpts{ByArgs: true, ByState: []rivertype.JobState{
			rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRetryable,
			rivertype.JobStateRunning, rivertype.JobStateScheduled,
		}},
	}
}

func pollQueue(source string) string { return "poll_" + source }

const (
	pollTimeout = 10 * time.Minute
	pollBudget  = 8 * time.Minute // a run begins nothing after this, and the next one goes on
)

func pollPeriodic(watchers []*watcher.Watcher) []*river.PeriodicJob {
	list := make([]*river.PeriodicJob, len(watchers))
	for i, w := range watchers {
		list[i] = river.NewPeriodicJob(river.PeriodicInterval(w.Every()), func() (river.JobArgs, *river.InsertOpts) {
			return PollArgs{Source: w.Name()}, nil
		}, &river.PeriodicJobOpts{RunOnStart: true})
	}
	return list
}

// pollWorker polls ERPs.
type pollWorker struct {
	river.WorkerDefaults[PollArgs]
	watchers map[string]*watcher.Watcher
	logger   *slog.Logger
}

func newPollWorker(watchers []*watcher.Watcher, logger *slog.Logger) *pollWorker {
	w := &pollWorker{watchers: map[string]*watcher.Watcher{}, logger: logger}
	for _, one := range watchers {
		w.watchers[one.Name()] = one
	}
	return w
}

// Timeout is longer than that of other jobs. It is also how long the job of a crashed process waits.
func (w *pollWorker) Timeout(*river.Job[PollArgs]) time.Duration { return pollTimeout }

// Work polls once. What went wrong stands in kvit.erp_source; a poll that is due earlier than the next one comes back by itself.
func (w *pollWorker) Work(ctx context.Context, job *river.Job[PollArgs]) (err error) {
	defer catch(w.logger, job.ID, &err)
	one := w.watchers[job.Args.Source]
	if job.Args.unfit || one == nil {
		return river.JobCancel(errArgs)
	}
	report, err := one.Run(ctx, time.Now().Add(pollBudget))
	switch {
	case err == nil, errors.Is(err, store.ErrLeaseLost):
		return nil
	case report.Wait > 0 && report.Wait < one.Every():
		return river.JobSnooze(report.Wait)
	case errors.Is(err, store.ErrNotNow):
		return nil
	default:
		return river.JobCancel(errors.New("poll the ERP: see kvit.erp_source")) // the next poll tries again
	}
}

// expiresSoon is how long before their end credentials are spoken of.
const expiresSoon = 14 * 24 * time.Hour

// watchERPs tells of ERPs that were not asked with success for three polls, whatever kept them from it, and of credentials
// that end soon. Metrics and kvit erp list tell it too.
func (w *maintainWorker) watchERPs(ctx context.Context) error {
	list, err := store.ERPSources(ctx, w.db)
	if err != nil {
		return err
	}
	var troubles []erpTrouble
	for _, s := range list {
		troubles = append(troubles, troublesOf(s)...)
	}
	for _, t := range w.erps.due(troubles, time.Now()) {
		w.logger.Error(t.message, t.attributes...)
	}
	return nil
}

// erpTrouble is something that people have to hear of.
type erpTrouble struct {
	source, message string
	attributes      []any
}

func troublesOf(s store.ERPSourceStatus) (list []erpTrouble) {
	if s.Silent {
		list = append(list, erpTrouble{s.Name, "an ERP was not asked with success for three polls: orders are not marked, and not erased",
			[]any{"source", s.Name, "failures", s.Failures, "problem", text(s.LastError)}})
	}
	if s.Enabled && s.CredentialsExpire != nil && time.Until(*s.CredentialsExpire) < expiresSoon {
		list = append(list, erpTrouble{s.Name, "the credentials of an ERP end soon", []any{"source", s.Name, "at", s.CredentialsExpire.UTC().Format(time.DateOnly)}})
	}
	return list
}

// erpTroubles are those that were logged, and when: each is told by itself, so that credentials that end in two weeks do not hide for an
// hour that another ERP is down.
type erpTroubles struct {
	mu   sync.Mutex
	told map[string]time.Time
}

// due are the troubles that are new, or were told an hour ago. What is over is forgotten.
func (t *erpTroubles) due(list []erpTrouble, now time.Time) (due []erpTrouble) {
	t.mu.Lock()
	defer t.mu.Unlock()
	told := make(map[string]time.Time, len(list))
	for _, one := range list {
		key := one.source + ": " + one.message
		last, ok := t.told[key]
		if !ok || now.Sub(last) >= alarmEvery {
			due, last = append(due, one), now
		}
		told[key] = last
	}
	t.told = told
	return due
}

// watchIncomplete tells of orders that the ERP has in part. Metrics, kvit status and kvit orders tell it too.
func (w *maintainWorker) watchIncomplete(ctx context.Context) error {
	if w.orders == nil {
		return nil
	}
	n, err := store.CountIncomplete(ctx, w.db, *w.orders)
	if err != nil {
		return err
	}
	last := w.partial.Load()
	switch {
	case n == 0:
		w.partial.Store(nil)
	case last == nil || time.Since(*last) >= alarmEvery:
		w.partial.Store(new(time.Now()))
		w.logger.Error("the ERP does not show the whole of some orders: they are not marked, and not erased; `kvit orders --incomplete` lists them", "orders", n)
	}
	return nil
}
