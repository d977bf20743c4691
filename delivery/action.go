package delivery

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"kvit/store"
)

// ManyEvents is how many events an action may touch without the audit saying why. It is also the size of
// one step.
const ManyEvents = 1000

// Names of actions, as the audit has them.
const (
	ReplayAction  = "replay"
	CancelAction  = "cancel"
	SendNowAction = "send_now"
)

// Action is what an operator does to the deliveries of one destination: a Replay, a Backfill, a Cancel or a SendNow.
// It is previewed first; kvit.delivery_action keeps what was done.
type Action struct {
	Audit
	Name        string // as the audit has it
	Destination string
	Sends       bool          // makes jobs; nobody would work on them if the destination is off
	MaxAge      time.Duration // events that occurred longer ago will expire; 0: none will

	selection any // as the audit has it
	named     int // events that were asked for by id; 0: none
	preview   func(ctx context.Context, db store.DB, tooOldBefore time.Time) ([]store.Group, error)
	step      func(ctx context.Context, db store.DB, s store.Step) (store.Stepped, error)
}

// Audit is who does something, and why. It holds no personal data of the shop's customers.
type Audit struct {
	Operator string // empty: the database user
	Reason   string // empty: none
}

// Report is what an action would touch, and what it has done.
type Report struct {
	Action      string        `json:"action"`
	Destination string        `json:"destination"`
	DryRun      bool          `json:"dry_run"`
	Selected    int64         `json:"selected"`
	TooOld      int64         `json:"too_old"` // of Selected: they will expire
	Skipped     int64         `json:"skipped"`
	NotFound    int64         `json:"not_found"` // of the events named
	Groups      []store.Group `json:"groups"`
	ID          int64         `json:"id"` // of the row in kvit.delivery_action; 0: nothing was done
	Done        int64         `json:"done"`
}

// Preview counts what the action would touch. It matches store.ErrNotFound if kvit has never run with
// the destination.
func (a Action) Preview(ctx context.Context, db store.DB) (Report, error) {
	target, err := store.ReadTarget(ctx, db, a.Destination)
	if err != nil {
		return Report{}, err
	}
	if a.Sends {
		if err := served(a.Destination, target); err != nil {
			return Report{}, err
		}
	}
	var tooOldBefore time.Time // the year 1: no event is
	if a.MaxAge > 0 {
		now, err := store.Now(ctx, db)
		if err != nil {
			return Report{}, err
		}
		tooOldBefore = now.Add(-a.MaxAge)
	}
	groups, err := a.preview(ctx, db, tooOldBefore)
	if err != nil {
		return Report{}, err
	}
	return a.report(groups), nil
}

func (a Action) report(groups []store.Group) Report {
	r := Report{Action: a.Name, Destination: a.Destination, Groups: append([]store.Group{}, groups...)}
	for _, g := range groups {
		if g.Skipped != "" {
			r.Skipped += g.Events
			continue
		}
		r.Selected += g.Events
		r.TooOld += g.TooOld
	}
	r.NotFound = max(int64(a.named)-r.Selected-r.Skipped, 0)
	return r
}

// UnservedError says why nobody would work on the jobs that an action makes.
type UnservedError struct{ text string }

// Error says what to do first.
func (e UnservedError) Error() string { return e.text }

// served returns an UnservedError unless somebody works on the destination's jobs.
func served(name string, target store.Target) error {
	switch {
	case target.Removed:
		return UnservedError{name + " is no longer in the configuration, so that nothing would be sent; `kvit cancel` ends what still waits for it"}
	case target.Gone:
		return UnservedError{fmt.Sprintf("%s is disabled because its receiver answered 410 Gone; mend that and run `kvit resume %s` first", name, name)}
	case !target.Enabled:
		return UnservedError{name + " is switched off; set enabled: true and restart kvit run first"}
	}
	return nil
}

// Do does the action step by step and counts in the report of its preview. What is done stays done if it is
// interrupted. progress is told after each step that is not the last.
func (a Action) Do(ctx context.Context, db store.DB, r *Report, progress func()) error {
	id, err := store.AuditAction(ctx, db, a.Row(), r.Selected)
	if err != nil {
		return err
	}
	r.ID = id
	for step := (store.Step{Action: id, Limit: ManyEvents}); ; progress() {
		done, err := a.step(ctx, db, step)
		if err != nil {
			return fmt.Errorf("stopped after %d of %d events, run it again for the others: %w", r.Done, r.Selected, err)
		}
		r.Done += int64(done.Events)
		if done.Events < step.Limit {
			return nil
		}
		step.After = done.Last
	}
}

// Row is what kvit.delivery_action keeps of the action.
func (a Action) Row() store.Action {
	return store.Action{Action: a.Name, Destination: a.Destination, Operator: a.Operator, Reason: a.Reason, Selection: a.selection}
}

// Continue goes on with an action that was begun, which has done so many events, until it has done as many as were agreed to or no
// more are left. Each step looks anew at what is still as it was: what was sent or ended meanwhile is left alone.
func (a Action) Continue(ctx context.Context, db store.DB, id, done, agreed int64) error {
	step := store.Step{Action: id}
	for done < agreed {
		step.Limit = int(min(ManyEvents, agreed-done))
		stepped, err := a.step(ctx, db, step)
		if err != nil {
			return err
		}
		if done += int64(stepped.Events); stepped.Events < step.Limit {
			return nil
		}
		step.After = stepped.Last
	}
	return nil
}

// ReadAction makes an action of what Row has kept of it: of a replay, a cancel or a send_now.
func ReadAction(name string, selection []byte, audit Audit) (Action, error) {
	switch name {
	case ReplayAction:
		return readAction(selection, func(r store.Replay) (Action, error) { return Replay(r, audit) })
	case CancelAction:
		return readAction(selection, func(c store.Cancel) (Action, error) { return Cancel(c, audit), nil })
	case SendNowAction:
		return readAction(selection, func(n store.SendNow) (Action, error) { return SendNow(n, audit), nil })
	default:
		return Action{}, fmt.Errorf("read action: there is no %q", name)
	}
}

func readAction[T any](selection []byte, build func(T) (Action, error)) (Action, error) {
	var s T
	if err := json.Unmarshal(selection, &s); err != nil {
		return Action{}, fmt.Errorf("read action: %w", err)
	}
	return build(s)
}
