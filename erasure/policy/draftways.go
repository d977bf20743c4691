package policy

import (
	"cmp"
	"slices"
	"strings"

	"kvit/store"
)

// step is a key by which rows of a table are found, seen from them.
type draftStep struct {
	key     draftKey
	other   string // the table that it leads to
	forward bool   // the table has the key itself
}

// findWays gives a table a way for each key that leads nearer to the orders.
func (d *drafter) findWays(name string) {
	p := d.placed[name]
	if p == nil || p.kept || p.apart || name == d.Orders.Name || len(p.ways) > 0 {
		return
	}
	steps := d.stepsOf(name)
	condition := d.accountCondition(d.tables[name])
	var first []draftStep
	var without []string // columns that are empty in rows without a way so far
	for _, s := range steps {
		isFirst := len(first) == 0 || d.rank(first[0]) == d.rank(s)
		if isFirst {
			first = append(first, s)
		} else if !d.isNeeded(name, s, first) {
			continue
		}
		w := d.way(s)
		if !isFirst && len(without) > 0 {
			w.When = strings.Join(without, " and ")
		}
		if p.person && condition != "" && w.When == "" {
			w.When, w.Why = condition, joinWhy(w.Why, "guests alone, by that column: rows of accounts stay")
		}
		p.ways = append(p.ways, w)
		if s.forward {
			for _, column := range s.key.Columns {
				if isNull := store.QuoteColumn(column) + " is null"; isFirst && !slices.Contains(without, isNull) {
					without = append(without, isNull)
				}
			}
		}
	}
	if len(p.ways) == 0 {
		p.why = unreachedWhy
	}
}

const unreachedWhy = "no foreign key, e-mail address or customer number ties it to the orders: write {column of it: column of the orders table}"

// isNeeded tells whether a further way finds rows that the nearest ones do not. Persons are found by the nearest
// alone: who is but mentioned somewhere is no order's customer.
func (d *drafter) isNeeded(name string, s draftStep, first []draftStep) bool {
	if !s.forward {
		return !d.placed[name].person && !s.key.guess
	}
	return !s.key.guess && !slices.ContainsFunc(first, func(f draftStep) bool {
		return f.forward && !slices.ContainsFunc(f.key.Columns, func(c string) bool { return !d.isNotNull(name, c) })
	})
}

func (d *drafter) isNotNull(table, column string) bool {
	c, ok := d.Database.column(table, column)
	return ok && c.NotNull
}

// rank orders tables: those of orders before those of persons, near before far.
func (d *drafter) rank(s draftStep) int { return d.rankOf(s.other)*2 + 1 - order(s.forward) }

func (d *drafter) rankOf(table string) int {
	p := d.placed[table]
	return p.depth + 1000*order(p.person) + 2000*order(p.guess)
}

// stepsOf are the keys that lead to tables nearer to the orders, the nearest first. Of two tables equally near the one that
// has the key comes after the other, unless that has one, too.
func (d *drafter) stepsOf(name string) []draftStep {
	var steps []draftStep
	rank := d.rankOf(name)
	leads := func(other string, equally bool) bool {
		p := d.placed[other]
		return p != nil && !p.kept && !p.apart && (d.rankOf(other) < rank || equally && d.rankOf(other) == rank && !d.hasKey(other, name))
	}
	for _, key := range d.keys {
		switch {
		case key.Table == name && leads(key.References, true):
			steps = append(steps, draftStep{key: key, other: key.References, forward: true})
		case key.References == name && leads(key.Table, false):
			steps = append(steps, draftStep{key: key, other: key.Table})
		}
	}
	slices.SortStableFunc(steps, func(a, b draftStep) int { return cmp.Compare(d.rank(a), d.rank(b)) })
	return steps
}

func (d *drafter) hasKey(table, references string) bool {
	return slices.ContainsFunc(d.keys, func(k draftKey) bool { return k.Table == table && k.References == references })
}

func (d *drafter) way(s draftStep) DraftWay {
	own, others := s.key.Keys, s.key.Columns
	if s.forward {
		own, others = others, own
	}
	match := &DraftMatch{Column: own[0], OtherColumn: others[0]}
	for i := range own[1:] {
		match.And = append(match.And, DraftMatch{Column: own[i+1], OtherColumn: others[i+1]})
	}
	w := DraftWay{Match: match}
	if s.other != d.Orders.Name {
		w.Parent = s.other
	}
	switch {
	case s.key.guess:
		w.Why = "by its name, no foreign key says so"
	case s.forward:
	case s.other == d.Orders.Name:
		w.Why = "the orders refer to it"
	default:
		w.Why = plain(s.other) + " refers to it"
	}
	return w
}

// throughPerson tells whether rows are found through those of a person, accounts included.
func (d *drafter) throughPerson(p *place) bool {
	return slices.ContainsFunc(p.ways, func(w DraftWay) bool {
		above := d.placed[w.Parent]
		return above != nil && above.person && !slices.ContainsFunc(above.ways, func(w DraftWay) bool { return w.When != "" })
	})
}

// accountCondition is true of rows of guests, if a column tells; else empty.
func (d *drafter) accountCondition(t *draftTable) string {
	for _, c := range t.columns {
		name := strings.Join(wordsOf(c.Name), "")
		switch {
		case c.Family == "B" && slices.Contains(accountFlags, name):
			return store.QuoteColumn(c.Name) + " is not true"
		case c.Family == "B" && slices.Contains(guestFlags, name):
			return store.QuoteColumn(c.Name)
		case !c.NotNull && d.isAccountKey(t, c):
			return store.QuoteColumn(c.Name) + " is null"
		}
	}
	return ""
}

func (d *drafter) isAccountKey(t *draftTable, c draftColumn) bool {
	return slices.ContainsFunc(d.keys, func(k draftKey) bool {
		other := d.tables[k.References]
		return k.Table == t.name && slices.Equal(k.Columns, []string{c.Name}) && isLogin(other.short())
	})
}

func joinWhy(a, b string) string {
	if a == "" {
		return b
	}
	return a + "; " + b
}

// samePerson ties a table that somebody named to the orders of the person that its rows are about, unless the
// catalog says that the two columns name different things.
func (d *drafter) samePerson(t *draftTable) place {
	orders := d.tables[d.Orders.Name]
	c := newChecker(Policy{Orders: d.Orders}, d.Database)
	for _, same := range []struct {
		names []string
		known string
		why   string
	}{{customerNames, d.CustomerID, "the same customer"}, {emailNames, d.Orders.Email, sameEmail(d.Orders)}} {
		here, there := t.likely(same.names, ""), orders.likely(same.names, same.known)
		if len(here) != 1 || len(there) != 1 || here[0].Family != there[0].Family || !c.mayMatch(t.name, here[0].Name, there[0].Name) {
			continue
		}
		why := same.why + ", by its name; no foreign key says so"
		return place{depth: 1, person: true, asked: true, ways: []DraftWay{{
			Match: &DraftMatch{Column: here[0].Name, OtherColumn: there[0].Name}, Why: why,
		}}}
	}
	return place{depth: 1, asked: true, why: unreachedWhy}
}

// mayMatch tells whether the catalog lets a column be matched with one of the orders table.
func (c *checker) mayMatch(table, column, orderColumn string) bool {
	c.problems = nil
	c.sameKey(table, c.policy.Orders.Name, Match{Column: column, OrderColumn: orderColumn})
	return len(c.problems) == 0
}

func sameEmail(o OrdersTable) string {
	const same = "the same e-mail address"
	if o.Email == "" {
		return same + " (small and capital letters differ, unless shop.orders.email names the column)"
	}
	return same
}

// likely finds the column that is known, or else those of such a name.
func (t *draftTable) likely(names []string, known string) []draftColumn {
	var found []draftColumn
	for _, c := range t.columns {
		if c.Name == known || known == "" && isOneOf(names, c.Name) {
			found = append(found, c)
		}
	}
	return found
}
