package jobs

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/rivertype"

	"kvit/delivery"
	"kvit/store"
)

// loaded are the events that came along with their jobs, until their workers take them.
type loaded struct {
	mu     sync.Mutex
	events map[int64]*store.Event
}

func newLoaded() *loaded { return &loaded{events: map[int64]*store.Event{}} }

func (l *loaded) put(list []store.FetchedJob) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, j := range list {
		if j.Event != nil {
			l.events[j.ID] = j.Event
		}
	}
}

// take returns the event of a job once; nil: it has to be loaded.
func (l *loaded) take(jobID int64) *store.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	event := l.events[jobID]
	delete(l.events, jobID)
	return event
}

// pace spaces the fetches of a queue: at once where one job came, so that a lone event goes at once, and further apart the more
// came, so that a crowd comes together. River itself knows one pause for all times.
type pace struct {
	mu   sync.Mutex
	next map[string]time.Time
}

func newPace() *pace { return &pace{next: map[string]time.Time{}} }

const (
	fetchCooldown  = time.Millisecond // River's own pause, its shortest
	fetchPerJob    = 2 * time.Millisecond
	fetchLongest   = 8 * time.Millisecond
	fetchSaturated = 20 * time.Millisecond // the workers have all that they can take
)

// wait waits until the queue's next fetch.
func (p *pace) wait(ctx context.Context, queue string) error {
	p.mu.Lock()
	at := p.next[queue]
	p.mu.Unlock()
	pause := time.Until(at)
	if pause <= 0 {
		return nil
	}
	select {
	case <-time.After(pause):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// fetched notes what a fetch that was allowed limit jobs has brought.
func (p *pace) fetched(queue string, n, limit int) {
	pause := min(time.Duration(max(n-1, 0))*fetchPerJob, fetchLongest)
	if n == limit && n > 1 {
		pause = fetchSaturated
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next[queue] = time.Now().Add(pause)
}

// JobGetAvailable fetches deliveries by kvit's own statement, which brings the events along, and all else by River's.
func (e clockExecutor) JobGetAvailable(ctx context.Context, params *riverdriver.JobGetAvailableParams) (*riverdriver.JobGetAvailableResult, error) {
	if e.known.nothingIn(params.Queue) {
		return &riverdriver.JobGetAvailableResult{}, nil
	}
	name, ours := strings.CutPrefix(params.Queue, QueueOf(""))
	if !ours {
		return e.Executor.JobGetAvailable(ctx, params)
	}
	if err := e.pace.wait(ctx, params.Queue); err != nil {
		return nil, err
	}
	begun := time.Now()
	list, err := store.FetchJobs(ctx, e.db, store.Fetch{
		Queue: params.Queue, Destination: name, Worker: params.ClientID, MaxWorkers: params.MaxAttemptedBy, Limit: params.MaxToLock,
		Now: params.Now, Kinds: params.Kind, MaxPayload: delivery.MaxPayload,
	})
	if err != nil {
		return nil, err
	}
	e.pace.fetched(params.Queue, len(list), params.MaxToLock)
	e.traffic.fetched(params.Queue, len(list), time.Now())
	result := &riverdriver.JobGetAvailableResult{Jobs: make([]*rivertype.JobRow, len(list)), DecodeErrors: map[int64]error{}}
	for i, job := range list {
		row, err := riverRow(params.Queue, job)
		if err != nil {
			result.DecodeErrors[row.ID] = err
			list[i].Event = nil
		}
		result.Jobs[i] = row
	}
	e.traced.fetched(result.Jobs, begun)
	e.loaded.put(list)
	return result, nil
}

// riverRow is the job as River works it, without what only River's pages show. A row is there also where its errors cannot
// be read, which fails the attempt.
func riverRow(queue string, j store.FetchedJob) (*rivertype.JobRow, error) {
	attempted := j.AttemptedAt.UTC()
	row := &rivertype.JobRow{
		ID: j.ID, Attempt: max(j.Attempt, 0), AttemptedAt: &attempted, CreatedAt: j.CreatedAt.UTC(), EncodedArgs: j.Args,
		Errors: make([]rivertype.AttemptError, len(j.Errors)), Kind: j.Kind, MaxAttempts: max(j.MaxAttempts, 0), Metadata: j.Metadata,
		Priority: max(j.Priority, 0), Queue: queue, ScheduledAt: j.ScheduledAt.UTC(), State: rivertype.JobStateRunning,
	}
	for i, text := range j.Errors {
		if err := riverdriver.UnmarshalAttemptError(text, &row.Errors[i]); err != nil {
			row.Errors = nil
			return row, fmt.Errorf("read errors of job: %w", err)
		}
	}
	return row, nil
}
