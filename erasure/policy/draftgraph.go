package policy

import (
	"slices"
	"strings"

	"kvit/store"
)

type drafter struct {
	DraftSource
	tables map[string]*draftTable
	placed map[string]*place
	keys   []draftKey
}

// draftTable is a table with what the catalog says of it.
type draftTable struct {
	name    string
	columns []draftColumn
	keys    []ForeignKey // that it has, not those that lead to it
}

// short is the name without the schema.
func (t *draftTable) short() string { return t.name[strings.LastIndexByte(t.name, '.')+1:] }

type draftColumn struct {
	DatabaseColumn
	primaryKey bool // part of it
	inUnique   bool // a unique index depends on it: alone, beside others, or in an expression as lower(email)
	referenced bool // a foreign key leads to it

	form store.ColumnForm // of no rows, if nobody looked
}

func (c draftColumn) isText() bool { return c.Family == "S" || isDocument(c) }

// draftKey is a foreign key, or what looks like one by its name alone.
type draftKey struct {
	ForeignKey
	guess bool
}

// place is how a table belongs to the orders.
type place struct {
	depth   int
	ways    []DraftWay
	steps   []draftStep // of ways, where keys make them
	why     string
	person  bool // its rows are about a person, who may be there for more than the orders
	account bool // it is a table of persons by its name, or found through one
	guess   bool // names alone tie it to the orders
	asked   bool // somebody named it
	kept    bool // nothing in it is personal
	apart   bool // its rows are not told apart by order
}

func newDrafter(source DraftSource) *drafter {
	d := &drafter{DraftSource: source, tables: map[string]*draftTable{}, placed: map[string]*place{source.Orders.Name: {}}}
	for _, name := range d.Tables {
		d.tables[name] = &draftTable{name: name}
	}
	for _, c := range d.Database.Columns {
		if t := d.tables[c.Table]; t != nil {
			t.columns = append(t.columns, d.readColumn(c))
		}
	}
	for _, k := range d.Database.ForeignKeys {
		t := d.tables[k.Table]
		if t == nil {
			continue
		}
		t.keys = append(t.keys, k)
		if d.tables[k.References] != nil && k.References != k.Table {
			d.keys = append(d.keys, draftKey{ForeignKey: k})
		}
	}
	d.keys = append(d.keys, d.guessKeys()...)
	return d
}

func (d *drafter) readColumn(c DatabaseColumn) draftColumn {
	column := draftColumn{DatabaseColumn: c}
	for _, index := range d.Database.UniqueIndexes {
		if index.Table == c.Table && slices.Contains(index.Columns, c.Name) {
			column.inUnique = true
			column.primaryKey = column.primaryKey || index.Primary
		}
	}
	column.referenced = slices.ContainsFunc(d.Database.ForeignKeys, func(k ForeignKey) bool {
		return k.References == c.Table && slices.Contains(k.Keys, c.Name)
	})
	for _, form := range d.Forms[c.Table] {
		if form.Column == c.Name {
			column.form = form
		}
	}
	return column
}

// guessKeys are columns without a foreign key that are called as one would be: order_id, where a table order has a
// primary key of that type.
func (d *drafter) guessKeys() []draftKey {
	named := map[string][]*draftTable{}
	for _, name := range d.Tables {
		t := d.tables[name]
		squashed := strings.Join(wordsOf(t.short()), "")
		for _, n := range []string{squashed, strings.TrimSuffix(squashed, "s")} {
			if !slices.Contains(named[n], t) {
				named[n] = append(named[n], t)
			}
		}
	}
	var keys []draftKey
	for _, name := range d.Tables {
		t := d.tables[name]
		for _, c := range t.columns {
			words := wordsOf(c.Name)
			if len(words) < 2 || words[len(words)-1] != "id" {
				continue
			}
			if _, isKey := keyOf(t, c.Name); isKey {
				continue
			}
			others := named[strings.Join(words[:len(words)-1], "")]
			if len(others) != 1 || others[0] == t {
				continue
			}
			if id, ok := others[0].soleKey(); ok && comparableTypes(id.DatabaseColumn, c.DatabaseColumn) {
				keys = append(keys, draftKey{guess: true, ForeignKey: ForeignKey{
					Table: name, Columns: []string{c.Name}, References: others[0].name, Keys: []string{id.Name},
				}})
			}
		}
	}
	return keys
}

// soleKey is the column that is the primary key by itself.
func (t *draftTable) soleKey() (draftColumn, bool) {
	var found []draftColumn
	for _, c := range t.columns {
		if c.primaryKey {
			found = append(found, c)
		}
	}
	if len(found) != 1 {
		return draftColumn{}, false
	}
	return found[0], true
}

// walk goes from the orders over foreign keys in both directions, nearest tables first, and those of persons last.
// What only a name ties to the orders is looked at when no key leads further.
func (d *drafter) walk() {
	d.spread([]string{d.Orders.Name}, false)
	for _, name := range d.Asked {
		if p := d.placed[name]; p != nil && !p.kept {
			p.asked = true
			continue
		}
		p := d.samePerson(d.tables[name])
		p.person = p.person || d.hasKey(d.Orders.Name, name) // somebody says that it is about the same people
		d.placed[name] = &p
		d.spread([]string{name}, false)
	}
	d.spread(d.governed(), true)
	for _, name := range d.Tables {
		if d.placed[name] == nil {
			d.setApart(d.tables[name])
		}
	}
}

func (d *drafter) governed() []string {
	var names []string
	for _, name := range d.Tables {
		if p := d.placed[name]; p != nil && !p.kept && !p.apart {
			names = append(names, name)
		}
	}
	slices.SortStableFunc(names, func(a, b string) int { return d.placed[a].depth - d.placed[b].depth })
	return names
}

// spread places what keys lead to. Tables of orders go before those of persons, so that a table of both is
// the orders' first.
func (d *drafter) spread(open []string, guesses bool) {
	for len(open) > 0 {
		i := max(slices.IndexFunc(open, func(name string) bool { return !d.placed[name].account }), 0)
		name := open[i]
		open = slices.Delete(open, i, i+1)
		for _, key := range d.keys {
			if key.guess && !guesses {
				continue
			}
			switch {
			case key.References == name && d.placed[key.Table] == nil:
				d.placeChild(name, key)
				open = d.goOn(open, key.Table)
			case key.Table == name && d.placed[key.References] == nil:
				d.placeReferred(name, key)
				open = d.goOn(open, key.References)
			}
		}
	}
}

func (d *drafter) goOn(open []string, name string) []string {
	if p := d.placed[name]; p != nil && !p.kept && !p.apart {
		return append(open, name)
	}
	return open
}

func (d *drafter) placeChild(parent string, key draftKey) {
	t, above := d.tables[key.Table], d.placed[parent]
	p := &place{depth: above.depth + 1, person: above.person, account: above.account, guess: above.guess || key.guess}
	switch {
	case isStaff(t.short()):
		p.apart, p.why = true, staffWhy
	case d.isPlain(t) && !d.leadsOn(t, p.guess):
		if p.guess {
			return // nothing asks for it
		}
		p.kept, p.why = true, "refers to "+plain(parent)+", and holds but keys, numbers, times and yes or no"
	}
	d.placed[t.name] = p
}

func (d *drafter) placeReferred(from string, key draftKey) {
	t, above := d.tables[key.References], d.placed[from]
	p := &place{depth: above.depth + 1, person: d.isOfPerson(t), account: above.account || isAccount(t.short()), guess: above.guess || key.guess}
	switch {
	case isStaff(t.short()):
		p.apart, p.why = true, staffWhy
	case d.isPersonal(t):
	case d.isJoin(d.tables[from]) && d.leadsBack(t, from, p.guess, 1):
	default:
		return // complete keeps it, if it is not found in another way
	}
	if p.guess && p.apart {
		return
	}
	d.placed[t.name] = p
}

const staffWhy = "people of the shop, by its name: keep, or say by match which orders its rows belong to"

// leadsOn tells whether a table without anything personal leads to one that has: the link between an order and its parcels.
func (d *drafter) leadsOn(t *draftTable, guesses bool) bool {
	return slices.ContainsFunc(d.keys, func(k draftKey) bool {
		if k.guess && !guesses {
			return false
		}
		other := d.tables[k.Table]
		if k.Table == t.name {
			other = d.tables[k.References]
		} else if k.References != t.name {
			return false
		}
		p := d.placed[other.name]
		return p == nil && (d.isPersonal(other) || k.Table == t.name && d.isJoin(t) && d.leadsBack(other, t.name, guesses, 1)) && !isStaff(other.short())
	})
}

// leadsBack tells whether tables that refer to t, over two more at most, or one that it refers to hold something personal that
// nobody has found in another way.
func (d *drafter) leadsBack(t *draftTable, from string, guesses bool, depth int) bool {
	return slices.ContainsFunc(d.keys, func(k draftKey) bool {
		other := k.Table
		if k.Table == t.name && depth == 1 {
			other = k.References
		} else if k.References != t.name {
			return false
		}
		if other == from || d.placed[other] != nil || k.guess && !guesses || isStaff(d.tables[other].short()) {
			return false
		}
		return d.isPersonal(d.tables[other]) || k.References == t.name && depth < 3 && d.leadsBack(d.tables[other], t.name, guesses, depth+1)
	})
}

// isJoin tells whether a table does nothing but tie rows of two others.
func (d *drafter) isJoin(t *draftTable) bool {
	count := 0
	for _, k := range d.keys {
		if k.Table == t.name {
			count++
		}
	}
	return count == 2 && d.isPlain(t)
}

// setApart is for tables that no key ties to the orders, yet look as if they held something personal.
func (d *drafter) setApart(t *draftTable) {
	found := d.personalColumns(t)
	switch {
	case isStaff(t.short()):
	case len(found) > 0:
		d.placed[t.name] = &place{apart: true, why: "no key ties it to the orders, and these look personal: " + strings.Join(found, ", ") +
			"; keep, or erase it by match, or by a rule of its own"}
	case keepsCopies(t.short()) && slices.ContainsFunc(t.columns, draftColumn.isText):
		d.placed[t.name] = &place{apart: true, why: "no key ties it to the orders; by its name it may keep copies; keep, or erase it by a rule of its own"}
	}
}

// setAside is for tables that the check asks for.
func (d *drafter) setAside(t *draftTable, because string) {
	found := d.personalColumns(t)
	switch {
	case isStaff(t.short()):
		d.placed[t.name] = &place{apart: true, why: staffWhy}
	case len(found) > 0:
		d.placed[t.name] = &place{apart: true, why: because + "; these look personal: " + strings.Join(found, ", ") + "; keep, or erase it by match"}
	default:
		d.placed[t.name] = &place{kept: true, why: because}
	}
}

// isPlain tells whether a table holds but keys, numbers, times and yes or no.
func (d *drafter) isPlain(t *draftTable) bool {
	return len(t.columns) > 0 && !slices.ContainsFunc(t.columns, func(c draftColumn) bool {
		_, personal := d.meaning(c)
		return !d.isKey(t, c) && c.Name != "id" && (personal || !c.primaryKey && !strings.Contains("NBDT", c.Family))
	})
}

// isKey tells whether a column refers to another table, by a foreign key or by its name.
func (d *drafter) isKey(t *draftTable, c draftColumn) bool {
	_, isKey := keyOf(t, c.Name)
	return isKey || slices.ContainsFunc(d.keys, func(k draftKey) bool { return k.guess && k.Table == t.name && k.Columns[0] == c.Name })
}

// isPersonal tells whether a table has a column that looks personal, or is one of accounts.
func (d *drafter) isPersonal(t *draftTable) bool {
	return isAccount(t.short()) || len(d.personalColumns(t)) > 0
}

// personalColumns are those that look personal. A name may be that of a product.
func (d *drafter) personalColumns(t *draftTable) []string {
	var names []string
	for _, c := range t.columns {
		if m, ok := d.meaning(c); ok && !m.vague && !d.isKey(t, c) {
			names = append(names, plain(c.Name))
		}
	}
	return names
}

// isOfPerson tells whether a table's rows are about persons, or belong to those of such a table.
func (d *drafter) isOfPerson(t *draftTable) bool {
	if isAccount(t.short()) {
		return true
	}
	for _, c := range t.columns {
		if m, ok := d.meaning(c); ok && (m.is == anEmail || m.is == aSecret) {
			return true
		}
	}
	return slices.ContainsFunc(t.keys, func(k ForeignKey) bool {
		other := d.tables[k.References]
		return other != nil && isAccount(other.short())
	})
}
