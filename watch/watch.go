// Package watch looks whether this process may lead the others and erase: whether its clock agrees with the database's,
// and whether it is new enough for the schema. The database's clock decides what is due; a process that disagrees with
// it has no say, whichever of the two is wrong.
package watch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"kvit/store"
)

const (
	// WarnApart is how far the clocks may be apart without a word.
	WarnApart = 5 * time.Second
	// MaxApart is how far they may be apart for a process that erases or leads.
	MaxApart = time.Minute

	every     = time.Minute
	lookTime  = 5 * time.Second
	tellEvery = time.Hour // what stays wrong is logged once an hour
)

// Options are what a watch looks at.
type Options struct {
	DB      store.DB
	Knows   int              // the newest migration that this process knows of
	Now     func() time.Time // the process's clock; nil: time.Now. It has to have a monotonic reading
	Records bool             // look for what lies in the future, too
	Logger  *slog.Logger
}

// Watch compares, and remembers what it saw last. Its methods may be called from several goroutines.
type Watch struct {
	o Options

	mu     sync.Mutex
	last   View      // zero: it has not looked yet
	seen   time.Time // when that was, by a clock that nobody can set
	looked View      // by the last Look: what asks in between must not hide a jump
	told   map[string]time.Time
}

// View is what a look has seen.
type View struct {
	Process  time.Time     // this process's clock
	Database time.Time     // the database's at the same moment
	Error    time.Duration // by how much Database may be wrong, since the answer took its time

	Knows     int           // the newest migration that this process knows of
	EraseFrom int           // that it must at least know of to erase
	Future    []store.Ahead // newest records that lie in the database's future
}

// New makes a watch that has not looked yet.
func New(o Options) *Watch {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Watch{o: o, told: map[string]time.Time{}}
}

// Ahead is by how much the process's clock is ahead of the database's at least; negative if it is behind.
func (v View) Ahead() time.Duration {
	ahead := v.Process.Round(0).Sub(v.Database) // without the monotonic reading, which the database's time has not
	switch {
	case ahead > v.Error:
		return ahead - v.Error
	case ahead < -v.Error:
		return ahead + v.Error
	}
	return 0
}

// MayLead returns an *ApartError if the clocks are too far apart.
func (v View) MayLead() error {
	if ahead := v.Ahead(); ahead.Abs() > MaxApart {
		return &ApartError{Process: v.Process, Database: v.Database}
	}
	return nil
}

// MayErase returns an *ApartError, or an *OldError if the schema asks for a newer process.
func (v View) MayErase() error {
	if v.Knows < v.EraseFrom {
		return &OldError{Knows: v.Knows, Needs: v.EraseFrom}
	}
	return v.MayLead()
}

// ApartError says that two clocks are too far apart. It names both times, because nobody knows which is right.
type ApartError struct {
	Process, Database time.Time
}

// Error says what does not happen meanwhile.
func (e *ApartError) Error() string {
	return fmt.Sprintf("the clocks are apart: this machine says %s, the database %s; kvit does not erase, nor lead other processes, while it is more than %s",
		e.Process.UTC().Format(time.RFC3339), e.Database.UTC().Format(time.RFC3339), MaxApart)
}

// OldError says that this process is older than what the schema asks of one that erases.
type OldError struct {
	Knows, Needs int // migrations
}

// Error says what to do.
func (e *OldError) Error() string {
	return fmt.Sprintf("this kvit is too old to erase: it knows migration %d, and the schema asks for %d; install the newer kvit here, too", e.Knows, e.Needs)
}

// Is tells whether err is about who may erase, and not about what.
func Is(err error) bool {
	var apart *ApartError
	var old *OldError
	return errors.As(err, &apart) || errors.As(err, &old)
}

// Ask looks by db, which may be a transaction, and remembers what it sees.
func (w *Watch) Ask(ctx context.Context, db store.DB) (View, error) {
	return w.AskBy(func() (store.Moment, error) { return store.ReadMoment(ctx, db) })
}

// AskBy looks by a statement that asks for more than the moment.
func (w *Watch) AskBy(read func() (store.Moment, error)) (View, error) {
	before := w.o.Now()
	moment, err := read()
	if err != nil {
		return View{}, err
	}
	half := w.o.Now().Sub(before) / 2
	v := View{Process: before.Add(half), Database: moment.At, Error: half, Knows: w.o.Knows, EraseFrom: moment.EraseFrom}
	w.mu.Lock()
	defer w.mu.Unlock()
	v.Future = w.last.Future
	w.last, w.seen = v, time.Now()
	return v, nil
}

// Recent is what was seen last, if that is younger than atMost; false: it is not, or this process's clock has been set since, or
// the process was halted, so that it has to ask. Only the database can tell of its own clock.
func (w *Watch) Recent(atMost time.Duration) (View, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	passed := time.Since(w.seen)
	if w.last.Process.IsZero() || passed > atMost {
		return View{}, false
	}
	moved := w.o.Now().Round(0).Sub(w.last.Process.Round(0))
	return w.last, (moved - passed).Abs() < clockStep
}

// clockStep is by how much a clock may be set without being asked about anew; what a look takes is less.
const clockStep = WarnApart / 2

// Look asks, looks at records where that is wanted, and logs what is wrong.
func (w *Watch) Look(ctx context.Context) (View, error) {
	v, err := w.Ask(ctx, w.o.DB)
	if err != nil {
		return v, err
	}
	if w.o.Records {
		if v.Future, err = store.FutureRecords(ctx, w.o.DB, MaxApart); err != nil {
			return v, err
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	previous := w.looked
	w.last.Future, w.looked = v.Future, v
	w.tell(previous, v)
	return v, nil
}

// Run looks every minute until ctx ends.
func (w *Watch) Run(ctx context.Context) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		w.look(ctx)
	}
}

// look drops an error: a database that is away all of kvit notices.
func (w *Watch) look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	_, _ = w.Look(ctx)
}

// Last is what the watch saw last; the zero View if it has not looked yet.
func (w *Watch) Last() View {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last
}

// Now is the database's clock as far as the last look tells. A step of the process's clock does not change it.
func (w *Watch) Now() time.Time {
	last, now := w.Last(), w.o.Now()
	if last.Process.IsZero() {
		return now
	}
	return last.Database.Add(now.Sub(last.Process))
}

// Correct makes a time by the process's clock one by the database's.
func (w *Watch) Correct(t time.Time) time.Time {
	return t.Add(w.Now().Sub(w.o.Now().Round(0)))
}

// tell logs what is wrong, once an hour while it stays; w.mu is held.
func (w *Watch) tell(previous, v View) {
	ahead := v.Ahead()
	attrs := []any{"ahead", ahead.Round(time.Millisecond).String(), "here", v.Process.UTC(), "database", v.Database}
	w.tellIf("far", v.MayLead() != nil, func() {
		w.o.Logger.Error("this machine's clock and the database's are too far apart: this kvit neither erases nor leads", attrs...)
	})
	w.tellIf("apart", ahead.Abs() > WarnApart && v.MayLead() == nil, func() {
		w.o.Logger.Warn("this machine's clock and the database's are apart", attrs...)
	})
	w.tellIf("old", v.Knows < v.EraseFrom, func() {
		w.o.Logger.Error("this kvit is too old to erase", "err", &OldError{Knows: v.Knows, Needs: v.EraseFrom})
	})
	w.tellIf("future", len(v.Future) > 0, func() {
		for _, f := range v.Future {
			w.o.Logger.Error("a record lies in the future of the database's clock: it was ahead, or is behind", "what", f.What, "at", f.At, "database", v.Database)
		}
	})
	if step := v.step(previous); step.Abs() > MaxApart {
		w.o.Logger.Error("the database's clock has jumped, or this process was halted", "by", step.Round(time.Second).String(), "database", v.Database)
	}
}

// step is by how much more the database's clock has moved since the previous view than time has passed.
func (v View) step(previous View) time.Duration {
	if previous.Process.IsZero() {
		return 0
	}
	return v.Database.Sub(previous.Database) - v.Process.Sub(previous.Process)
}

func (w *Watch) tellIf(what string, wrong bool, tell func()) {
	if !wrong {
		delete(w.told, what)
		return
	}
	if last, ok := w.told[what]; ok && time.Since(last) < tellEvery {
		return
	}
	w.told[what] = time.Now()
	tell()
}

// Knows is the newest migration that this process knows of.
func (w *Watch) Knows() int { return w.o.Knows }
