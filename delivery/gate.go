package delivery

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"kvit/destination"
)

// gate decides whether a provider may be asked now. It is a rate limiter and a circuit breaker: closed
// to requests for a while after failures in a row, at once when the credentials are not accepted,
// and for as long as the provider says when it asks to slow down; then one request at a time probes,
// until one is answered. Libraries of circuit breakers know one duration and one threshold; this needs
// the three causes apart, and to be told of, so that nothing is even fetched meanwhile.
type gate struct {
	limiter     *rate.Limiter // nil: no limit
	changed     func(GateState)
	first, last time.Duration // holds, from the first to the longest

	mu       sync.Mutex
	failures int // in a row
	trips    int // in a row
	until    time.Time
	reason   string // empty: requests flow
}

// GateState is what others have to know about a gate.
type GateState struct {
	Held   bool
	Until  time.Time // of the hold; then one request probes
	Reason string
	Alarm  bool // nobody but an operator can end it
}

const (
	// tripAfter failures in a row hold the destination: a provider that fails now and then still works.
	tripAfter = 5
	// FirstHold is how long a provider is left alone at first; each further hold is twice as long.
	FirstHold = 10 * time.Second
	// LongestHold bounds how long after a provider's return its events begin to flow.
	LongestHold = 5 * time.Minute
)

func newGate(perSecond float64, changed func(GateState)) *gate {
	g := &gate{changed: changed}
	if perSecond > 0 {
		// A burst of 1 spaces requests evenly, so that no second ever has more than its share.
		g.limiter = rate.NewLimiter(rate.Limit(perSecond), 1)
	}
	return g
}

// heldFor is how long no request may be made; 0: now, as a probe if probing.
func (g *gate) heldFor() (wait time.Duration, probing bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return max(time.Until(g.until), 0), g.reason != ""
}

// pace waits for the rate limit, as long as ctx allows.
func (g *gate) pace(ctx context.Context) bool {
	return g.limiter == nil || g.limiter.Wait(ctx) == nil
}

// paceWait is how long the next request has to wait for the rate limit.
func (g *gate) paceWait() time.Duration {
	if g.limiter == nil {
		return 0
	}
	missing := 1 - g.limiter.Tokens()
	return max(time.Duration(missing/float64(g.limiter.Limit())*float64(time.Second)), 0)
}

// report tells how a request went; nil is one that the provider has answered properly.
func (g *gate) report(failed *destination.Error) {
	g.mu.Lock()
	state, changed := g.judge(failed, time.Now())
	g.mu.Unlock()
	if changed {
		g.changed(state)
	}
}

func (g *gate) judge(failed *destination.Error, now time.Time) (GateState, bool) {
	if failed == nil || failed.Kind == destination.Rejected {
		return g.open(now)
	}
	switch failed.Kind {
	case destination.Throttled:
		if failed.RetryAfter > 0 {
			return g.hold(now, failed.RetryAfter, failed)
		}
		return g.trip(now, failed)
	case destination.Unauthorized, destination.Gone:
		return g.trip(now, failed)
	}
	g.failures++
	if g.failures >= tripAfter || g.reason != "" {
		return g.trip(now, failed)
	}
	return GateState{}, false
}

// open lets requests flow, unless a hold has begun since the answered request was made.
func (g *gate) open(now time.Time) (GateState, bool) {
	if now.Before(g.until) {
		return GateState{}, false
	}
	held := g.reason != ""
	g.failures, g.trips, g.until, g.reason = 0, 0, time.Time{}, ""
	return GateState{}, held
}

// trip holds, twice as long as the time before. Requests that were under way when it did so say
// nothing new.
func (g *gate) trip(now time.Time, cause *destination.Error) (GateState, bool) {
	if now.Before(g.until) {
		return GateState{}, false
	}
	wait := min(g.first<<min(g.trips, 10), g.last)
	g.trips++
	return g.hold(now, jitter(wait), cause)
}

func (g *gate) hold(now time.Time, wait time.Duration, cause *destination.Error) (GateState, bool) {
	until := now.Add(wait)
	if until.Before(g.until) {
		return GateState{}, false
	}
	g.until, g.reason = until, cause.Error()
	return GateState{Held: true, Until: until, Reason: g.reason, Alarm: cause.Kind == destination.Unauthorized}, true
}
