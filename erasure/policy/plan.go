package policy

import (
	"maps"
	"slices"
)

// maxLinks bounds how many tables lie between a row and its order, the orders table included.
const maxLinks = 3

// TableErasure is what has to be done to one table. Every column that is not named stays.
type TableErasure struct {
	Table      string
	Path       []Link // how its rows find their order; empty for the orders table itself
	Shared     bool   // several orders may have one row; it goes when the last of them does
	Cut        bool   // erasing this table, or those after it, takes away what its rows are found by
	DeleteRows bool
	Writes     []Write
}

// Link is a step from a row to its order: the row's Column equals Key of a row of Table. The last
// one's Table is the orders table.
type Link struct {
	Column string
	Table  string
	Key    string
	Type   string // of Key, as Postgres names it without a length
	Fold   bool   // capital letters equal small ones
}

// Write is what a column is set to.
type Write struct {
	Column   string
	Type     string // the column's base type as Postgres names it
	Strategy Strategy
	Text     string // of Text
	Unit     string // of TruncateDate
	Length   int    // of Generalise
	Plan     []byte // of JSON: its paths as a tree, as the database function kvit.erase_json reads it
}

// Erasures lists what has to be done, in order: a table before its parent and before those that it
// refers to, the orders table last, since the others find their order through it. Tables that are
// kept whole are left out.
func (p Policy) Erasures(database Database) []TableErasure {
	var list []TableErasure
	for _, t := range p.inOrder(database.ForeignKeys) {
		writes := t.writes(database)
		isOrders := t.Name == p.Orders.Name
		path := p.path(t)
		for i, l := range path {
			column, _ := database.column(l.Table, l.Key)
			path[i].Type = column.Base
		}
		if !isOrders && (path == nil || len(writes) == 0 && !t.DeleteRows) {
			continue
		}
		list = append(list, TableErasure{
			Table: t.Name, Path: path, Shared: isShared(database, path), Cut: p.isCut(t),
			DeleteRows: t.DeleteRows && !isOrders, Writes: writes,
		})
	}
	return list
}

// path leads from a table to the orders table; nil if it does not arrive there.
func (p Policy) path(t Table) []Link {
	var path []Link
	for range maxLinks {
		if t.Match == nil || t.Name == p.Orders.Name {
			return nil
		}
		parent := p.parent(t)
		path = append(path, Link{
			Column: t.Match.Column, Table: parent, Key: t.Match.OrderColumn,
			Fold: parent == p.Orders.Name && p.Orders.Email != "" && t.Match.OrderColumn == p.Orders.Email,
		})
		if parent == p.Orders.Name {
			return path
		}
		next, ok := p.table(parent)
		if !ok {
			return nil
		}
		t = next
	}
	return nil
}

// parent is the table that t is matched with.
func (p Policy) parent(t Table) string {
	if t.Parent == "" {
		return p.Orders.Name
	}
	return t.Parent
}

func isShared(database Database, path []Link) bool {
	return slices.ContainsFunc(path, func(l Link) bool {
		column, ok := database.column(l.Table, l.Key)
		return !ok || !column.Unique || l.Fold
	})
}

// inOrder sorts the tables for erasure and otherwise leaves them as they stand. Parents are never put
// before their children; where foreign keys go round in a circle, the first of the circle goes first.
func (p Policy) inOrder(keys []ForeignKey) []Table {
	left := slices.Clone(p.Tables)
	if _, ok := p.table(p.Orders.Name); !ok {
		left = append(left, Table{Name: p.Orders.Name})
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
		below := t // its match leads to the next ancestor
		for _, ancestor := range b.policy.ancestors(t) {
			if b.lost[ancestor.Name] {
				b.lost[t.Name] = true
				b.wait(t.Name, "is found through "+ancestor.Name+", which has a problem")
			}
			if b.reasons[t.Name] != nil && ancestor.cuts(below.Match.OrderColumn, b.policy) {
				b.wait(ancestor.Name, "waits for "+t.Name+", whose rows are found through it")
			}
			below = ancestor
		}
	}
	for _, key := range keys {
		target, ok := b.policy.table(key.References)
		if ok && target.DeleteRows && b.reasons[key.Table] != nil && key.Table != key.References {
			b.wait(target.Name, "waits for "+key.Table+", which refers to its rows")
		}
	}
}

// ancestors are the tables between t and its order, the orders table last, as far as there are any.
func (p Policy) ancestors(t Table) []Table {
	var list []Table
	for t.Match != nil && len(list) < len(p.Tables) {
		parent, ok := p.table(p.parent(t))
		if !ok {
			break
		}
		list = append(list, parent)
		t = parent
	}
	return list
}

// isCut tells whether a table's rows cannot be found any more when the policy is done.
func (p Policy) isCut(t Table) bool {
	if t.Name == p.Orders.Name || t.Match == nil {
		return false
	}
	if t.strategyOf(t.Match.Column) != Keep {
		return true
	}
	below := t
	return slices.ContainsFunc(p.ancestors(t), func(ancestor Table) bool {
		cut := ancestor.cuts(below.Match.OrderColumn, p)
		below = ancestor
		return cut
	})
}

// cuts tells whether the table's erasure takes away what a child finds it by, or what leads from it to
// the order.
func (t Table) cuts(column string, p Policy) bool {
	if t.DeleteRows {
		return true
	}
	return slices.ContainsFunc(t.Columns, func(c Column) bool {
		return c.Strategy != Keep && (c.Name == column || t.Match != nil && c.Name == t.Match.Column && t.Name != p.Orders.Name)
	})
}
