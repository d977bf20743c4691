package config

import (
	"slices"
	"time"
)

// ownClocks are the words by which certificates tell kvit's own reasons to erase an order.
var ownClocks = []string{"imported", "never_imported", "request", "replay", "residue", "shared", "policy"}

func readClocks(retention *Section, shop *Shop) []Clock {
	s := retention.Section("clocks")
	var orders Orders
	if shop != nil {
		orders = shop.Orders
	} else if len(s.names) > 0 && !s.reader.faulty("shop") && !s.reader.faulty("shop.orders") {
		retention.Problem("clocks", "needs shop.orders, which says what an order is")
	}
	var clocks []Clock
	for _, name := range s.names {
		if problem := firstProblem(name, []Check{clockName, notOwnClock}); problem != "" {
			s.Problem(name, problem)
			continue
		}
		clocks = append(clocks, readClock(s.Section(name), name, orders))
	}
	return clocks
}

func readClock(s *Section, name string, orders Orders) Clock {
	defer s.Finish()
	c := Clock{Line: s.line, Name: name, When: s.RequiredText("when"), Since: s.Text("since", orders.PlacedAt, identifier)}
	if c.Since != "" && c.Since == orders.ErasedAt {
		s.Problem("since", "is shop.orders.erased_at, which is empty until an order is erased")
	}
	if s.Require("erase_after") {
		c.EraseAfter = s.Duration("erase_after", 0, time.Second, aCentury)
	}
	return c
}

var clockName = Matches(`[a-z][a-z0-9_]{0,39}`,
	"is not the name of a clock (lower-case letters, digits and _, at most 40, beginning with a letter)")

func notOwnClock(name string) string {
	if slices.Contains(ownClocks, name) {
		return "is the name of a clock of kvit's own: choose another"
	}
	return ""
}
