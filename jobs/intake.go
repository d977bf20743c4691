package jobs

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/riverqueue/river"

	"kvit/delivery"
	"kvit/group"
	"kvit/store"
)

// intake is how many jobs of a destination this process fetches: all that it can work, none while the
// destination is held, or a few for a probe. Without it, each of 100,000 events that wait for a provider
// that is down would be fetched and put back again and again, and River rewrites its row each time.
//
// River can add and remove a queue of a running client. Its pause of a queue is not used, since that
// holds for all processes and is the operators'.
type intake struct {
	queue  string
	full   river.QueueConfig
	queues *river.QueueBundle // nil in tests without a client
	db     store.DB
	logger *slog.Logger
	name   string // of the destination

	mu     sync.Mutex
	want   int // workers
	have   int
	state  delivery.GateState
	told   delivery.GateState // as kvit.destination has it
	moving bool
	probe  *time.Timer
}

// newIntake lets the lane's gate decide about what is fetched for it.
func newIntake(l *delivery.Lane, poll time.Duration, db store.DB, logger *slog.Logger) *intake {
	full := river.QueueConfig{MaxWorkers: l.Capacity(), FetchCooldown: fetchCooldown, FetchPollInterval: poll}
	i := &intake{
		queue: QueueOf(l.Name), full: full, want: full.MaxWorkers, have: full.MaxWorkers,
		db: db, logger: logger.With("destination", l.Name), name: l.Name,
	}
	l.OnHold(i.change)
	return i
}

// stopping stands for the workers of a queue that is being removed.
const stopping = -1

// change follows the gate.
func (i *intake) change(state delivery.GateState) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.probe != nil {
		i.probe.Stop()
	}
	i.state, i.want = state, i.full.MaxWorkers
	if state.Held {
		i.want = 0
		i.probe = time.AfterFunc(time.Until(state.Until), func() { i.letProbe(state) })
	}
	i.move()
}

// probeJobs are fetched when a hold is over. The gate lets one of them through; more than one, because
// those that are expired end without a request, and after a long outage there may be many of them.
const probeJobs = 8

// letProbe fetches a few jobs when a hold is over, unless something else has happened since.
func (i *intake) letProbe(state delivery.GateState) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.state == state {
		i.want = min(probeJobs, i.full.MaxWorkers)
		i.move()
	}
}

// move starts to bring about what is wanted; i.mu is held.
func (i *intake) move() {
	if i.moving || i.queues == nil {
		return
	}
	i.moving = true
	go func() {
		for i.step() {
		}
	}()
}

// step does one change, and tells whether there may be more to do. Removing a queue waits for its
// jobs, and meanwhile River cannot stop: so a wait is short, and repeated.
func (i *intake) step() (more bool) {
	i.mu.Lock()
	want, have, state, told := i.want, i.have, i.state, i.told
	if want == have && state == told {
		i.moving = false
		i.mu.Unlock()
		return false
	}
	i.mu.Unlock()
	if state != told {
		i.tell(state)
	}
	if want == have {
		return true
	}
	if have != 0 {
		// From here on River may fetch nothing more, though the queue is still there: that is neither what
		// there was nor what is wanted, whatever is wanted by the time the wait is over.
		i.mu.Lock()
		i.have = stopping
		i.mu.Unlock()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		err := i.queues.Remove(ctx, i.queue)
		if errors.Is(err, context.DeadlineExceeded) {
			return true
		}
		have = i.failed("remove queue", err, 0)
	} else {
		config := i.full
		config.MaxWorkers = want
		have = i.failed("add queue", i.queues.Add(i.queue, config), want)
	}
	i.mu.Lock()
	i.have = have
	i.mu.Unlock()
	return true
}

// failed logs an error that River does not document for these calls; what is then there is what was
// asked for, as far as anybody can tell.
func (i *intake) failed(what string, err error, have int) int {
	if err != nil {
		i.logger.Error("intake could not be changed", "while", what, "problem", store.Describe(err))
	}
	return have
}

// tell lets operators see the hold in kvit.destination, whichever process they ask.
func (i *intake) tell(state delivery.GateState) {
	ctx, cancel := context.WithTimeout(context.Background(), group.Timeout)
	defer cancel()
	var err error
	if state.Held {
		err = store.HoldDestination(ctx, i.db, i.name, state.Until, state.Reason)
	} else {
		err = store.ReleaseDestination(ctx, i.db, i.name)
	}
	if err != nil {
		i.logger.Warn("hold could not be noted in kvit.destination", "problem", store.Describe(err))
	}
	i.mu.Lock()
	i.told = state
	i.mu.Unlock()
}
