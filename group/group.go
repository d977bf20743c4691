// Package group is group commit: what many jobs want of the database goes there in few round trips.
package group

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"kvit/store"
)

// Timeout bounds one round trip, together with its repeats while the database is away. It is
// shorter than a job's timeout, so that the job can still say what happened.
const Timeout = 15 * time.Second

// ErrPanic stands for a panic: value and stack may hold personal data, and River would store both.
var ErrPanic = errors.New("internal error: the attempt panicked, see the log")

// Group serves calls together: those that come while a round trip is under way go together in the next
// one. Nothing waits on a timer, so a lone call is served at once and a crowd is served together.
type Group[In, Out any] struct {
	// run serves many inputs with one round trip; its outputs are in the order of the inputs.
	run func(ctx context.Context, inputs []In) ([]Out, error)
	max int // inputs a round trip

	mu      sync.Mutex
	waiting []call[In, Out]
	busy    bool
}

type call[In, Out any] struct {
	input  In
	answer chan answer[Out]
}

type answer[Out any] struct {
	output Out
	err    error
}

// New returns a group whose round trips run makes, each with up to maxInputs inputs. It gives an output
// for each input, in their order.
func New[In, Out any](maxInputs int, run func(context.Context, []In) ([]Out, error)) *Group[In, Out] {
	return &Group[In, Out]{run: run, max: maxInputs}
}

// Do returns the output for one input. It gives up when ctx ends, though the round trip goes on.
func (g *Group[In, Out]) Do(ctx context.Context, input In) (Out, error) {
	c := call[In, Out]{input: input, answer: make(chan answer[Out], 1)}
	g.mu.Lock()
	g.waiting = append(g.waiting, c)
	start := !g.busy
	g.busy = true
	g.mu.Unlock()
	if start {
		go g.serve()
	}
	select {
	case a := <-c.answer:
		return a.output, a.err
	case <-ctx.Done():
		var none Out
		return none, ctx.Err()
	}
}

// serve makes round trips until nobody waits.
func (g *Group[In, Out]) serve() {
	for {
		g.mu.Lock()
		n := min(len(g.waiting), g.max)
		if n == 0 {
			g.busy = false
			g.waiting = nil
			g.mu.Unlock()
			return
		}
		batch := g.waiting[:n:n]
		g.waiting = g.waiting[n:]
		g.mu.Unlock()
		g.roundTrip(batch)
	}
}

// roundTrip has a context of its own: a caller that gives up must not fail the others.
func (g *Group[In, Out]) roundTrip(batch []call[In, Out]) {
	inputs := make([]In, len(batch))
	for i, c := range batch {
		inputs[i] = c.input
	}
	ctx, cancel := context.WithTimeout(context.Background(), Timeout)
	defer cancel()
	outputs, err := g.persist(ctx, inputs)
	for i, c := range batch {
		a := answer[Out]{err: err}
		if err == nil {
			a.output = outputs[i]
		}
		c.answer <- a
	}
}

// persist repeats the round trip while the database cannot be reached, a restart for instance:
// an event that has been sent must not be sent again only because its receipt came a second early.
func (g *Group[In, Out]) persist(ctx context.Context, inputs []In) ([]Out, error) {
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		outputs, err := g.protect(ctx, inputs)
		if err == nil || errors.Is(err, ErrPanic) || !store.IsConnection(err) && !store.IsDeadlock(err) {
			return outputs, err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, err
		}
	}
}

// protect turns a panic into an error: it would otherwise end the process, and all calls with it.
func (g *Group[In, Out]) protect(ctx context.Context, inputs []In) (outputs []Out, err error) {
	defer func() {
		if recover() != nil {
			err = ErrPanic
		}
	}()
	outputs, err = g.run(ctx, inputs)
	if err == nil && len(outputs) != len(inputs) {
		return nil, fmt.Errorf("%w: group of %d got %d answers", ErrPanic, len(inputs), len(outputs))
	}
	return outputs, err
}
