package policy

import (
	"cmp"
	"slices"
	"strings"

	"kvit/store"
)

// draftStep is a key by which rows of a table are found, seen from them.
type draftStep struct {
	key     draftKey
	other   string // the table that it leads to
	forward bool   // the table has the key itself
}

// findWays gives each table a way for each key that leads nearer to the orders, and then those for rows that
// have no such way.
func (d *drafter) findWays() {
	for _, name := range d.governed() {
		d.findNearest(name)
	}
	for d.dropLost() {
	}
	for _, name := range d.governed() {
		d.findFurther(name)
	}
	for _, name := range d.governed() {
		d.addCondition(name)
	}
}

// dropLost sets a table apart to which no way leads, and with it the ways through it; false if there is none.
func (d *drafter) dropLost() bool {
	for _, name := range d.governed() {
		p := d.placed[name]
		if len(p.ways) > 0 || p.asked || name == d.Orders.Name {
			continue
		}
		p.apart, p.why = true, "keys lead to it in a circle: keep, or say by match which orders its rows belong to"
		for _, other := range d.placed {
			for i := len(other.steps) - 1; i >= 0; i-- {
				if other.steps[i].other == name {
					other.steps, other.ways = slices.Delete(other.steps, i, i+1), slices.Delete(other.ways, i, i+1)
				}
			}
		}
		return true
	}
	return false
}

// findNearest gives a table the ways by keys to the nearest tables.
func (d *drafter) findNearest(name string) {
	p := d.placed[name]
	if name == d.Orders.Name || len(p.ways) > 0 {
		return
	}
	p.why = unreachedWhy
	for i, s := range d.stepsOf(name) {
		if i > 0 && d.rank(p, s) != d.rank(p, p.steps[0]) {
			return
		}
		p.add(s, d.way(s))
	}
}

// findFurther adds ways for rows whose nearest keys are empty, as the entries of a history that belong to a customer
// instead of an order.
func (d *drafter) findFurther(name string) {
	p := d.placed[name]
	var without []string
	for _, s := range p.steps {
		if !s.forward || d.isNotNull(name, s.key.Columns[0]) {
			return
		}
		without = append(without, store.QuoteColumn(s.key.Columns[0])+" is null")
	}
	if len(without) == 0 {
		return
	}
	for _, key := range d.keys {
		s := draftStep{key: key, other: key.References, forward: true}
		if key.Table != name || key.guess || !d.isGoverned(s.other) || d.isUsed(key) || d.isFoundThrough(s.other, name) {
			continue
		}
		w := d.way(s)
		w.When = strings.Join(without, " and ")
		p.add(s, w)
	}
}

func (p *place) add(s draftStep, w DraftWay) {
	p.steps, p.ways = append(p.steps, s), append(p.ways, w)
}

// isUsed tells whether a way goes by a key, in either direction.
func (d *drafter) isUsed(key draftKey) bool {
	used := func(table string) bool {
		return slices.ContainsFunc(d.placed[table].steps, func(s draftStep) bool {
			return s.key.Table == key.Table && s.key.References == key.References && slices.Equal(s.key.Columns, key.Columns)
		})
	}
	return used(key.Table) || used(key.References)
}

// isFoundThrough tells whether rows of a table are found through another, directly or not.
func (d *drafter) isFoundThrough(table, other string) bool {
	return slices.ContainsFunc(d.placed[table].steps, func(s draftStep) bool {
		return s.other == other || d.isFoundThrough(s.other, other)
	})
}

// addCondition leaves accounts out, where a column tells them from guests.
func (d *drafter) addCondition(name string) {
	p := d.placed[name]
	condition := d.accountCondition(d.tables[name], p)
	if !p.person || condition == "" {
		return
	}
	for i := range p.ways {
		if p.ways[i].When == "" {
			p.ways[i].When = condition
			p.ways[i].Why = joinWhy(p.ways[i].Why, "guests alone, as far as the condition tells: rows of accounts stay")
		}
	}
}

const unreachedWhy = "no foreign key, e-mail address or customer number ties it to the orders: write {column of it: column of the orders table}"

func (d *drafter) isNotNull(table, column string) bool {
	c, ok := d.Database.column(table, column)
	return ok && c.NotNull
}

// rank orders steps: first to tables of orders, then to those of accounts, near before far. An account is found by
// the orders or another table of the person, and not by what happens to mention it.
func (d *drafter) rank(p *place, s draftStep) int {
	rank := d.rankOf(s.other)
	if p.account && !s.forward && s.other != d.Orders.Name && !d.placed[s.other].account {
		rank += 5000
	}
	return rank
}

func (d *drafter) rankOf(table string) int {
	p := d.placed[table]
	return p.depth + 1000*order(p.account) + 2000*order(p.guess)
}

func (d *drafter) isGoverned(name string) bool {
	p := d.placed[name]
	return p != nil && !p.kept && !p.apart
}

// stepsOf are the keys that lead to tables nearer to the orders, the nearest first. Of two tables equally near, the
// one that has the key comes after the other, unless that has one, too.
func (d *drafter) stepsOf(name string) []draftStep {
	var steps []draftStep
	p, rank := d.placed[name], d.rankOf(name)
	for _, key := range d.keys {
		forward := key.Table == name
		other := key.References
		if !forward {
			other = key.Table
		}
		if !forward && key.References != name || !d.isGoverned(other) {
			continue
		}
		if d.rankOf(other) < rank || forward && d.rankOf(other) == rank && !d.hasKey(other, name) {
			steps = append(steps, draftStep{key: key, other: other, forward: forward})
		}
	}
	slices.SortStableFunc(steps, func(a, b draftStep) int {
		return cmp.Or(cmp.Compare(d.rank(p, a), d.rank(p, b)), cmp.Compare(order(b.forward), order(a.forward)))
	})
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
func (d *drafter) accountCondition(t *draftTable, p *place) string {
	for _, c := range t.columns {
		name := strings.Join(wordsOf(c.Name), "")
		switch {
		case c.Family == "B" && slices.Contains(accountFlags, name):
			return store.QuoteColumn(c.Name) + " is not true"
		case c.Family == "B" && slices.Contains(guestFlags, name):
			return store.QuoteColumn(c.Name)
		case !c.NotNull && d.isAccountKey(t, c) && !slices.ContainsFunc(p.steps, func(s draftStep) bool { return s.forward && s.key.Columns[0] == c.Name }):
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

const byName = ", by its name, no foreign key says so"

// samePerson ties a table that somebody named to the orders of the person that its rows are about, unless the
// catalog says that the two columns name different things.
func (d *drafter) samePerson(t *draftTable) place {
	orders := d.tables[d.Orders.Name]
	c := newChecker(Policy{Orders: d.Orders}, d.Database)
	for _, same := range []struct {
		names []string
		known string
		why   string
	}{{customerNames, d.CustomerID, "the same customer" + byName}, {emailNames, d.Orders.Email, sameEmail(d.Orders)}} {
		here, there := t.likely(same.names, ""), orders.likely(same.names, same.known)
		if len(here) != 1 || len(there) != 1 || here[0].Family != there[0].Family || !c.mayMatch(t.name, here[0].Name, there[0].Name) {
			continue
		}
		return place{depth: 1, person: true, account: true, asked: true, ways: []DraftWay{{
			Match: &DraftMatch{Column: here[0].Name, OtherColumn: there[0].Name}, Why: same.why,
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
	const same = "the same e-mail address" + byName
	if o.Email == "" {
		return same + "; small and capital letters differ, unless shop.orders.email names the column"
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
