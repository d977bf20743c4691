package policy

import (
	"maps"
	"reflect"
	"slices"

	"kvit/store"
)

// maxLinks bounds how many tables lie between a row and its order, the orders table included. Medusa's
// refunds are five away: refund, payment, payment collection, its link, order.
const maxLinks = 8

// The policy comes down to these, which the store carries out.
type (
	// TableErasure is what has to be done to the rows of one table that one path leads to.
	TableErasure = store.TableErasure
	// Link is a step from a row to its order.
	Link = store.Link
	// Write is what a column is set to.
	Write = store.Write
)

// Erasures lists what has to be done, in order: a table before its parent and before those that it
// refers to, the orders table last, since the others find their order through it. Rows that are
// kept whole are left out.
func (p Policy) Erasures(database Database) []TableErasure {
	var list []TableErasure
	leading := p.leading(database)
	for _, t := range p.inOrder(database.ForeignKeys) {
		writes := t.writes(database)
		if t.Name == p.Orders.Name {
			list = append(list, TableErasure{Table: t.Name, Writes: writes, When: t.When})
			continue
		}
		if len(writes) == 0 && !t.DeleteRows {
			continue
		}
		for _, path := range p.paths(t) {
			e := TableErasure{
				Table: t.Name, Path: typed(database, path), Guards: p.guards(leading, t.Name, path),
				Cut: p.isCut(t), DeleteRows: t.DeleteRows, Writes: writes, Primary: primaryKey(database, t),
			}
			if t.DeleteRows {
				e.Holders = p.holders(database, leading, t.Name)
			}
			e.Earlier = earlier(list, e)
			list = append(list, e)
		}
	}
	return list
}

// rememberedTypes are those of keys by which kvit remembers a row: numbers and references. Anything else, such as
// an e-mail address, may be personal.
var rememberedTypes = []string{"smallint", "integer", "bigint", "uuid", "text", "character varying"}

// primaryKey is what a way's rows can be remembered by; nil if the table has no such key, or the way overwrites it.
func primaryKey(database Database, t Table) []store.KeyColumn {
	i := slices.IndexFunc(database.UniqueIndexes, func(i UniqueIndex) bool { return i.Primary && i.Table == t.Name })
	if i < 0 {
		return nil
	}
	var key []store.KeyColumn
	for _, name := range database.UniqueIndexes[i].Columns {
		column, ok := database.column(t.Name, name)
		if !ok || !slices.Contains(rememberedTypes, column.Base) || t.strategyOf(name) != Keep {
			return nil
		}
		key = append(key, store.KeyColumn{Name: name, Type: column.Base})
	}
	return key
}

// earlier are the paths of those before that do the same to the same table.
func earlier(before []TableErasure, e TableErasure) [][]Link {
	var paths [][]Link
	for _, b := range before {
		if b.Table == e.Table && b.DeleteRows == e.DeleteRows && reflect.DeepEqual(b.Writes, e.Writes) {
			paths = append(paths, b.Path)
		}
	}
	return paths
}

func typed(database Database, path []Link) []Link {
	path = slices.Clone(path)
	for i, l := range path {
		column, _ := database.column(l.Table, l.Key)
		path[i].Type = column.Base
	}
	return path
}

// folds tells whether a match with this column takes capital letters for small ones.
func (p Policy) folds(parent, column string) bool {
	return parent == p.Orders.Name && p.Orders.Email != "" && column == p.Orders.Email
}

// paths lead from a way's rows to the orders table; there are several if its parent has, and none if it does
// not arrive there.
func (p Policy) paths(t Table) [][]Link { return p.pathsPast(t, nil) }

// pathsPast leaves out what goes through a table twice: ways in a circle would have no end.
func (p Policy) pathsPast(t Table, seen []string) [][]Link {
	if t.Match == nil || t.Name == p.Orders.Name || slices.Contains(seen, t.Name) || len(seen) == maxLinks {
		return nil
	}
	parent := p.parent(t)
	link := Link{
		Column: t.Match.Column, Table: parent, Key: t.Match.OrderColumn, And: t.Match.and(), When: t.When,
		Fold: p.folds(parent, t.Match.OrderColumn),
	}
	if parent == p.Orders.Name {
		return [][]Link{{link}}
	}
	seen = append(slices.Clone(seen), t.Name)
	var list [][]Link
	for _, above := range p.ways(parent) {
		for _, rest := range p.pathsPast(above, seen) {
			list = append(list, append([]Link{link}, rest...))
		}
	}
	return list
}

// parent is the table that t is matched with.
func (p Policy) parent(t Table) string {
	if t.Parent == "" {
		return p.Orders.Name
	}
	return t.Parent
}

// guards are the paths by which another order than the one at the end of path may have the same row: that
// path itself, if it is not unique, the table's other ways, and the foreign keys that lead to the table.
func (p Policy) guards(database Database, table string, path []Link) [][]Link {
	var list [][]Link
	add := func(other []Link) {
		known := func(l []Link) bool { return slices.EqualFunc(l, other, Link.Equal) }
		if !slices.ContainsFunc(list, known) && !(known(path) && isUnique(database, path)) {
			list = append(list, other)
		}
	}
	for _, other := range p.holds(database, table, nil) {
		add(other)
	}
	return list
}

// leading leaves out the foreign keys of tables from which nothing leads to an order. A shop may have hundreds of them, and holds
// would follow every path through them to its end.
func (p Policy) leading(database Database) Database {
	leads := map[string]bool{p.Orders.Name: true}
	for _, t := range p.Tables {
		if len(p.paths(t)) > 0 {
			leads[t.Name] = true
		}
	}
	for before := 0; before < len(leads); {
		before = len(leads)
		for _, key := range database.ForeignKeys {
			if leads[key.Table] {
				leads[key.References] = true
			}
		}
	}
	database.ForeignKeys = slices.DeleteFunc(slices.Clone(database.ForeignKeys), func(k ForeignKey) bool { return !leads[k.Table] })
	return database
}

// holds are all paths that lead from a row of a table to orders: its ways, and foreign keys that lead to the row
// from those that orders have. If the row went, their key would be cut, or they would go with it.
func (p Policy) holds(database Database, table string, seen []string) [][]Link {
	var list [][]Link
	for _, way := range p.ways(table) {
		list = append(list, p.paths(way)...)
	}
	if len(seen) == maxLinks {
		return list
	}
	seen = append(slices.Clone(seen), table)
	for _, key := range database.ForeignKeys {
		if key.References == table && (key.Table == table || !slices.Contains(seen, key.Table)) {
			list = append(list, p.pathsOfKey(database, key, seen)...)
		}
	}
	return list
}

// pathsOfKey lead from a row that a foreign key refers to, to the orders of the rows that refer to it.
func (p Policy) pathsOfKey(database Database, key ForeignKey, seen []string) [][]Link {
	link := Link{Column: key.Keys[0], Table: key.Table, Key: key.Columns[0]}
	for i := range key.Keys[1:] {
		link.And = append(link.And, store.Pair{Column: key.Keys[i+1], Key: key.Columns[i+1]})
	}
	if key.Table == p.Orders.Name {
		return [][]Link{{link}}
	}
	var rests [][]Link
	if key.Table == key.References {
		for _, way := range p.ways(key.Table) {
			rests = append(rests, p.paths(way)...)
		}
	} else {
		rests = p.holds(database, key.Table, seen)
	}
	var list [][]Link
	for _, rest := range rests {
		if !leadsBack(link, rest[0], key.References) {
			list = append(list, append([]Link{link}, rest...))
		}
	}
	return list
}

// leadsBack tells whether a step goes by the key that another has come by: the rows after it are those before.
func leadsBack(link, next Link, table string) bool {
	return next.Table == table && next.Column == link.Key && next.Key == link.Column && len(link.And) == 0
}

// holders are the foreign keys by which rows may refer to rows of a table although no order has them: those of an
// open cart, or of what goes by a clock of its own.
func (p Policy) holders(database, leading Database, table string) []store.Holder {
	var list []store.Holder
	for _, key := range database.ForeignKeys {
		if key.References != table || key.Table == p.Orders.Name {
			continue
		}
		holder := store.Holder{Table: key.Table}
		for i := range key.Keys {
			holder.Pairs = append(holder.Pairs, store.Pair{Column: key.Columns[i], Key: key.Keys[i]})
		}
		if p.names(key.Table) || !slices.Contains(p.Elsewhere, key.Table) {
			holder.Paths = p.holds(leading, key.Table, nil)
		}
		if !slices.ContainsFunc(p.ways(key.Table), func(way Table) bool { return p.belongs(way, key) }) {
			list = append(list, holder)
		}
	}
	return list
}

// belongs tells whether a way finds all rows that have a key through the row that it refers to: whoever has that one
// has them.
func (p Policy) belongs(way Table, key ForeignKey) bool {
	return way.Match != nil && way.When == "" && len(way.Match.And) == 0 && p.parent(way) == key.References &&
		len(key.Columns) == 1 && way.Match.Column == key.Columns[0] && way.Match.OrderColumn == key.Keys[0]
}

// isUnique tells whether a row has one order at most by a path.
func isUnique(database Database, path []Link) bool {
	return !slices.ContainsFunc(path, func(l Link) bool {
		return l.Fold || !slices.ContainsFunc(l.Pairs(), func(p store.Pair) bool {
			column, ok := database.column(l.Table, p.Key)
			return ok && column.Unique
		})
	})
}

// inOrder sorts the ways for erasure and otherwise leaves them as they stand. Parents are never put
// before their children; where foreign keys go round in a circle, the first of the circle goes first.
func (p Policy) inOrder(keys []ForeignKey) []Table {
	var left []Table
	for _, name := range p.TableNames() {
		ways := p.ways(name)
		if len(ways) == 0 {
			ways = []Table{{Name: name}} // the orders table
		}
		// What goes need not be overwritten.
		slices.SortStableFunc(ways, func(a, b Table) int { return order(b.DeleteRows) - order(a.DeleteRows) })
		left = append(left, ways...)
	}
	var list []Table
	for len(left) > 0 {
		i := slices.IndexFunc(left, func(t Table) bool {
			return !p.waits(t, left) && !slices.ContainsFunc(keys, func(k ForeignKey) bool {
				return k.References == t.Name && k.Table != t.Name && isNamed(left, k.Table) && k.Table != p.Orders.Name
			})
		})
		if i < 0 {
			i = slices.IndexFunc(left, func(t Table) bool { return !p.waits(t, left) })
		}
		i = max(i, 0) // parents in a circle are a problem that Check tells
		list = append(list, left[i])
		left = slices.Delete(left, i, i+1)
	}
	return list
}

func order(b bool) int {
	if b {
		return 1
	}
	return 0
}

// waits tells whether a table that is left finds its order through t.
func (p Policy) waits(t Table, left []Table) bool {
	if t.Name == p.Orders.Name {
		return len(left) > 1
	}
	return slices.ContainsFunc(left, func(child Table) bool { return child.Match != nil && child.Parent == t.Name })
}

func isNamed(tables []Table, name string) bool {
	return slices.ContainsFunc(tables, func(t Table) bool { return t.Name == name })
}

func (t Table) writes(database Database) []Write {
	var list []Write
	for _, c := range t.Columns {
		if c.Strategy == Keep {
			continue
		}
		column, _ := database.column(t.Name, c.Name)
		write := Write{Column: c.Name, Type: column.Base, Strategy: c.Strategy, Text: c.Text, Unit: c.Unit, Length: c.Length}
		if c.Strategy == JSON {
			write.Plan = jsonPlan(c.Paths)
		}
		list = append(list, write)
	}
	return list
}

// Blocked is a table that is not erased for now.
type Blocked struct {
	Table    string   `json:"table"`
	Problems []string `json:"problems"` // each in one line
}

// Blocked lists the tables that the problems stop: those that have one, and those that must not go
// before them. all says that no table can be erased, because the orders themselves cannot be told.
//
// While a table waits, so must those between it and its order if erasing them cuts the way, and a table
// that loses rows to which it refers.
func (p Policy) Blocked(database Database, problems []Problem) (list []Blocked, all bool) {
	b := blocking{policy: p, reasons: map[string][]string{}, lost: map[string]bool{}}
	for _, problem := range problems {
		b.stop(problem.Table, problem.String())
		b.lost[problem.Table] = b.lost[problem.Table] || problem.Unreachable
	}
	for before := -1; before < len(b.reasons); {
		before = len(b.reasons)
		b.spread(database.ForeignKeys)
	}
	for _, table := range slices.Sorted(maps.Keys(b.reasons)) {
		list = append(list, Blocked{Table: table, Problems: b.reasons[table]})
	}
	return list, b.lost[p.Orders.Name]
}

type blocking struct {
	policy  Policy
	reasons map[string][]string
	lost    map[string]bool // tables whose rows cannot be told, nor those that are found through them
}

func (b *blocking) stop(table, reason string) {
	b.reasons[table] = append(b.reasons[table], reason)
}

// wait stops a table that has no reason of its own.
func (b *blocking) wait(table, format string) {
	if b.reasons[table] == nil && table != b.policy.Orders.Name {
		b.stop(table, "table "+table+" "+format)
	}
}

func (b *blocking) spread(keys []ForeignKey) {
	for _, t := range b.policy.Tables {
		for _, step := range b.policy.steps(t) {
			above := step.above.Name
			if b.lost[above] {
				b.lost[t.Name] = true
				b.wait(t.Name, "is found through "+above+", which has a problem")
			}
			if b.reasons[t.Name] != nil && step.isCut(b.policy) {
				b.wait(above, "waits for "+t.Name+", whose rows are found through it")
			}
		}
	}
	for _, key := range keys {
		if b.policy.deletes(key.References) && b.reasons[key.Table] != nil && key.Table != key.References {
			b.wait(key.References, "waits for "+key.Table+", which refers to its rows")
		}
	}
}

// step is a table between a row and its order, or the orders table.
type step struct {
	above Table
	keys  []string // columns of it by which the rows below are found
}

// steps are those from t to its orders, over all of its ways, as far as there are any.
func (p Policy) steps(t Table) []step {
	var list []step
	var climb func(t Table, seen []string)
	climb = func(t Table, seen []string) {
		if t.Match == nil || slices.Contains(seen, t.Name) {
			return
		}
		var keys []string
		for _, pair := range t.Match.pairs() {
			keys = append(keys, pair.OrderColumn)
		}
		for _, above := range p.ways(p.parent(t)) {
			list = append(list, step{above: above, keys: keys})
			climb(above, append(slices.Clone(seen), t.Name))
		}
	}
	climb(t, nil)
	return list
}

// isCut tells whether a way's rows cannot be found any more when the policy is done.
func (p Policy) isCut(t Table) bool {
	if t.Name == p.Orders.Name || t.Match == nil {
		return false
	}
	// What the condition reads is known to the database alone: it may be among what is erased.
	if t.When != "" || slices.ContainsFunc(t.Match.pairs(), func(m Match) bool { return t.strategyOf(m.Column) != Keep }) {
		return true
	}
	return slices.ContainsFunc(p.steps(t), func(s step) bool { return s.isCut(p) })
}

// isCut tells whether the erasure of the table above takes away what the rows below are found by, or what leads
// from it to the order.
func (s step) isCut(p Policy) bool {
	if s.above.DeleteRows {
		return true
	}
	return slices.ContainsFunc(s.above.Columns, func(c Column) bool {
		return c.Strategy != Keep && (slices.Contains(s.keys, c.Name) || s.above.isMatchedBy(c.Name) && s.above.Name != p.Orders.Name)
	}) || s.above.When != ""
}

func (t Table) isMatchedBy(column string) bool {
	return t.Match != nil && slices.ContainsFunc(t.Match.pairs(), func(m Match) bool { return m.Column == column })
}
