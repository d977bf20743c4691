package demo

import (
	"maps"
	"sync"
)

// ledger is the shop's own memory of what it committed: the truth that kvit is measured against.
type ledger struct {
	mu     sync.Mutex
	events map[string]event
	undone map[string]bool  // keys of events in transactions that were rolled back
	orders map[string]order // by reference
	begun  int              // orders, also those under way and rolled back
}

// event is one that the shop committed.
type event struct {
	name, orderRef string
	consent        consent
	broken         bool // no destination can use it
	emptied        bool // the cart has nothing in it
}

// order is where the shop has an order.
type order struct {
	person  int
	total   string
	state   string // name of the last event
	consent consent
}

func newLedger() *ledger {
	return &ledger{events: map[string]event{}, undone: map[string]bool{}, orders: map[string]order{}}
}

func (l *ledger) begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.begun++
}

// commit notes the events of a transaction, and an order's state if one of them is about it.
func (l *ledger) commit(v visitor, list []written) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range list {
		l.events[w.key] = event{name: w.name, orderRef: w.orderRef, consent: v.consent, broken: w.broken, emptied: w.emptied}
		if w.state {
			l.orders[v.ref] = order{person: v.number, total: money(v.total), state: w.name, consent: v.consent}
		}
	}
}

func (l *ledger) undo(list []written) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range list {
		l.undone[w.key] = true
	}
}

func (l *ledger) ordersBegun() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.begun
}

func (l *ledger) allEvents() map[string]event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.events)
}

func (l *ledger) allOrders() map[string]order {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.orders)
}

func (l *ledger) allUndone() map[string]bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.undone)
}
