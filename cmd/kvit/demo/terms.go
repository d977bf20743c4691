package demo

import "slices"

// terms are what the demo knows of a destination: from what its provider documents, not from kvit.
type terms struct {
	purpose    string   // what the visitor must have agreed to
	needsItems bool     // an empty cart says nothing to it
	onceOnly   []string // the events of which it knows a repeat; nil: all
	states     []string // the events by which a repeat overwrites the same
}

// treatment is what becomes of a repeat of an event at a destination.
type treatment int

const (
	known treatment = iota
	overwritten
	countedAgain
)

func (t terms) repeated(name string) treatment {
	switch {
	case slices.Contains(t.states, name):
		return overwritten
	case t.onceOnly == nil || slices.Contains(t.onceOnly, name):
		return known
	default:
		return countedAgain
	}
}

// expected is how the event has to end at a destination, by what the shop knows.
func (e event) expected(destination string) string {
	t := termsOf[destination]
	agreed := map[string]bool{"marketing": e.consent.marketing, "analytics": e.consent.analytics}[t.purpose]
	switch {
	case !agreed:
		return "withheld"
	case e.broken, e.emptied && t.needsItems:
		return "rejected"
	default:
		return "delivered"
	}
}

// mayEnd tells whether a state is one in which the event may have ended at a destination.
func (e event) mayEnd(destination, state string) bool {
	switch expected := e.expected(destination); state {
	case expected:
		return true
	case "superseded":
		return expected == "delivered"
	case stopped:
		return expected == "delivered" && termsOf[destination].repeated(e.name) == countedAgain
	default:
		return false
	}
}
