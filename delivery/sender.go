package delivery

import (
	"context"
	"log/slog"
	"math"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"kvit/destination"
	"kvit/group"
)

// sender gathers the events that wait for a destination into requests. It makes up to concurrency of
// them at a time; each takes what waits by then, so that a lone event goes at once and a crowd goes
// together. Nothing waits on a timer, but for the rate limit.
type sender struct {
	// request makes one request, and answers each letter.
	request     func(ctx context.Context, letters []*letter)
	limits      destination.Limits
	concurrency int
	patience    time.Duration // a letter waits no longer than this for its request to begin
	gate        *gate
	logger      *slog.Logger

	mu      sync.Mutex
	waiting []*letter
	busy    int // requests under way or about to be
	most    int // events a request for now
}

func newSender(l *Lane, patience time.Duration) *sender {
	s := &sender{
		request: l.request, limits: l.Batch, concurrency: l.Concurrency, patience: patience, gate: l.gate, logger: l.logger,
	}
	switch {
	case l.batcher == nil:
		s.limits = destination.Limits{Events: 1}
	case s.limits.Events == 0:
		s.limits.Events = math.MaxInt
	}
	s.most = s.limits.Events
	return s
}

// shrink makes requests smaller after one that was refused, so that the event at fault is found in
// the end however slow the provider is.
func (s *sender) shrink(events int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.most = max(min(s.most, events), 1)
}

// grow lets requests be larger again after one of this size that was not refused.
func (s *sender) grow(events int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if events >= s.most {
		s.most = min(2*events, s.limits.Events)
	}
}

// letter is an event on its way into a request.
type letter struct {
	ctx     context.Context // of its job
	eventID int64
	event   destination.Event
	encoded destination.Encoded // of a Batcher
	careful bool                // a repeat would be counted again, and is to be avoided
	answer  chan reply          // has room for the one answer
}

// reply is what became of a letter.
type reply struct {
	fate fate
	wait time.Duration // not before this is there a use in trying again; held and late
	code int
	err  error // sent: nil is delivered
}

type fate int

const (
	sent    fate = iota // a request was made, code and err tell how it went
	held                // no request may be made now
	late                // no request had room in time
	divided             // its request was refused for another event's sake and time was over: try again
	begun               // an earlier attempt began and never ended: it may have arrived
	unknown             // the job's time was over while a request was under way
)

func (l *letter) reply(r reply) { l.answer <- r }

// send waits until the letter has been sent, or could not be.
func (s *sender) send(l *letter) reply {
	s.mu.Lock()
	s.waiting = append(s.waiting, l)
	start := s.busy < s.concurrency
	if start {
		s.busy++
	}
	s.mu.Unlock()
	if start {
		go s.serve()
	}
	patience := time.NewTimer(s.patience)
	defer patience.Stop()
	select {
	case r := <-l.answer:
		return r
	case <-patience.C:
	case <-l.ctx.Done():
	}
	if s.withdraw(l) {
		return reply{fate: late, wait: s.gate.paceWait()}
	}
	select {
	case r := <-l.answer:
		return r
	case <-l.ctx.Done():
	}
	select {
	case r := <-l.answer: // the answer to a request that ended with the job's context
		return r
	case <-time.After(time.Second):
		return reply{fate: unknown}
	}
}

// withdraw takes back a letter that no request has begun to carry.
func (s *sender) withdraw(l *letter) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.Index(s.waiting, l)
	if i < 0 {
		return false
	}
	s.waiting = slices.Delete(s.waiting, i, i+1)
	return true
}

// serve makes requests until no letter waits.
func (s *sender) serve() {
	for {
		if wait, probing := s.gate.heldFor(); wait > 0 || probing && !s.lone() {
			s.turnAway(max(wait, time.Second))
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), s.patience)
		paced := s.gate.pace(ctx)
		cancel()
		letters := s.take(paced)
		if letters == nil {
			return
		}
		s.carry(letters)
	}
}

// lone tells whether this is the only request: probes go one at a time.
func (s *sender) lone() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.busy == 1
}

// turnAway answers all letters that wait, and ends the serving.
func (s *sender) turnAway(wait time.Duration) {
	s.mu.Lock()
	letters := s.waiting
	s.waiting = nil
	s.busy--
	s.mu.Unlock()
	for _, l := range letters {
		l.reply(reply{fate: held, wait: wait})
	}
}

// take removes the letters of the next request, oldest event first; nil ends the serving. Without
// pace there is none: the letters that still wait are withdrawn by their own patience.
func (s *sender) take(paced bool) []*letter {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting) == 0 || !paced {
		s.busy--
		return nil
	}
	var letters, rest []*letter
	group, bytes := s.waiting[0].encoded.Group, 0
	for i, l := range s.waiting {
		if len(letters) == s.most {
			rest = append(rest, s.waiting[i:]...)
			break
		}
		size := len(l.encoded.Body) + 1
		fits := len(letters) == 0 || s.limits.Bytes == 0 || bytes+size <= s.limits.Bytes
		if l.encoded.Group != group || !fits {
			rest = append(rest, l)
			continue
		}
		letters, bytes = append(letters, l), bytes+size
	}
	s.waiting = rest
	slices.SortStableFunc(letters, func(a, b *letter) int { return a.event.OccurredAt.Compare(b.event.OccurredAt) })
	return letters
}

// carry makes one request with the letters. It ends with the last of their jobs: a stop of kvit or an
// operator who cancels one job must not break off the others' request.
func (s *sender) carry(letters []*letter) {
	ctx, cancel := together(letters)
	defer cancel()
	defer func() {
		if recover() == nil {
			return
		}
		s.logger.Error("destination panicked", "stack", string(debug.Stack()))
		for _, l := range letters {
			select {
			case l.answer <- reply{err: group.ErrPanic}:
			default: // it has its answer
			}
		}
	}()
	s.request(ctx, letters)
}

// together is a context that ends when all of the letters' contexts have ended.
func together(letters []*letter) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	var left atomic.Int64
	left.Store(int64(len(letters)))
	stops := make([]func() bool, len(letters))
	for i, l := range letters {
		stops[i] = context.AfterFunc(l.ctx, func() {
			if left.Add(-1) == 0 {
				cancel()
			}
		})
	}
	return ctx, func() {
		for _, stop := range stops {
			stop()
		}
		cancel()
	}
}
