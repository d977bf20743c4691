package demo

import (
	"context"
	"fmt"
	"strings"
)

// auditProviders compares each provider's own count with what kvit's receipts call delivered. Where
// the provider knows repeats both are the same. Where it does not, it has also counted what it took
// without being able to say so: these are events that kvit did not send again.
func (d *demo) auditProviders(ctx context.Context, sum *Summary) error {
	if len(d.receivers.more) == 0 {
		return nil
	}
	states, err := d.receipts(ctx)
	if err != nil {
		return err
	}
	for i, p := range d.receivers.more {
		delivered, stops := d.said(p.Kind, states)
		promise, twice := p.compare(p.count(), delivered, stops)
		sum.Figures.More[i].Twice = twice // in the same order
		sum.Promises = append(sum.Promises, promise)
	}
	return nil
}

// said is what kvit's receipts say of a destination: what was delivered, and how many were stopped.
func (d *demo) said(destination string, states map[[2]string]string) (delivered tally, stops int) {
	for key, event := range d.ledger.allEvents() {
		state := states[[2]string{key, destination}]
		if state == stopped {
			stops++
		}
		if state != "delivered" {
			continue
		}
		switch termsOf[destination].repeated(event.name) {
		case known:
			delivered.once++
		case overwritten:
			delivered.states++
		case countedAgain:
			delivered.again++
		}
	}
	return delivered, stops
}

func (p *provider) compare(counted, delivered tally, stops int) (promise Promise, twice int) {
	promise.Text = p.Kind + " has all"
	unsaid := p.http.trouble.countedUnsaid()
	twice = max(0, counted.once-delivered.once) + max(0, counted.again-delivered.again-min(unsaid, stops))
	if counted.once != delivered.once {
		promise.problem("it has counted %d of those whose repeats it knows, %d are delivered", counted.once, delivered.once)
	}
	if counted.again != delivered.again+unsaid {
		promise.problem("it has counted %d of those whose repeats it counts, %d are delivered and %d it counted without saying so", counted.again, delivered.again, unsaid)
	}
	if counted.states < delivered.states {
		promise.problem("it was told %d states, %d are delivered", counted.states, delivered.states)
	}
	if unsaid > stops {
		promise.problem("it has counted %d without saying so, and only %d were stopped: the others were sent again", unsaid, stops)
	}
	if counted.refused > 0 {
		promise.problem("it has refused %d: %s", counted.refused, strings.Join(counted.refusals, ", "))
	}
	promise.Found = fmt.Sprintf("%d events, %d repeats, %d counted twice",
		delivered.once+delivered.again+delivered.states, counted.repeats, twice)
	if stops > 0 {
		promise.Found += fmt.Sprintf("; %d not sent again, since it would count them again: it has %d of them", stops, unsaid)
	}
	return promise, twice
}
