package policy

import (
	"slices"
	"strings"
)

// strategyOf is what the policy does to a column; Keep if it does not name it.
func (t Table) strategyOf(column string) Strategy {
	for _, c := range t.Columns {
		if c.Name == column {
			return c.Strategy
		}
	}
	return Keep
}

// merges tells whether the strategy makes different values equal.
func merges(s Strategy) bool {
	return s == Text || s == TruncateDate || s == Generalise || s == JSON
}

// uniqueIndexes finds those in which rows can become equal: every column is kept, hashed or made
// equal, one at least is made equal, and none of those that are kept tells the rows apart by itself.
func (c *checker) uniqueIndexes(t Table) {
	for _, index := range c.database.UniqueIndexes {
		if index.Table != t.Name {
			continue
		}
		i := slices.IndexFunc(index.Columns, func(name string) bool {
			s := t.strategyOf(name)
			return merges(s) || s == Null && index.NullsEqual
		})
		if i < 0 || slices.ContainsFunc(index.Columns, func(name string) bool { return c.tellsApart(t, index, name) }) {
			continue
		}
		c.add(t.Name, index.Columns[i], "is in the unique index %s: two rows could become equal in it, use null or hash", index.Name)
	}
}

// tellsApart: a null differs from everything, and so do values that were unique and stay so.
func (c *checker) tellsApart(t Table, index UniqueIndex, name string) bool {
	switch t.strategyOf(name) {
	case Null:
		return !index.NullsEqual
	case Keep, Hash:
		return c.tables[t.Name][name].Unique
	default:
		return false
	}
}

// foreignKeys finds erased columns that take part in a foreign key, on either side.
func (c *checker) foreignKeys(t Table) {
	for _, key := range c.database.ForeignKeys {
		for _, column := range key.Columns {
			if s := t.strategyOf(column); key.Table == t.Name && s != Keep && s != Null {
				c.add(t.Name, column, "refers to %s by %s: it can only be keep or null", key.References, key.Name)
			}
		}
		for _, column := range key.Keys {
			if key.References == t.Name && t.strategyOf(column) != Keep {
				c.add(t.Name, column, "is referred to by %s.%s: it can only be keep", key.Table, strings.Join(key.Columns, ", "))
			}
		}
	}
}

// referringRows finds tables that keep rows which refer to rows that are deleted.
func (c *checker) referringRows(t Table) {
	for _, key := range c.database.ForeignKeys {
		if key.References != t.Name || key.Table == t.Name {
			continue
		}
		ways := c.policy.ways(key.Table)
		// Coverage tells of a table that is not named, and one whose rows all go goes first.
		if slices.ContainsFunc(ways, func(way Table) bool { return !way.DeleteRows }) {
			c.referring(t, key, ways)
		}
	}
}

func (c *checker) referring(t Table, key ForeignKey, ways []Table) {
	columns := key.Table + "." + strings.Join(key.Columns, ", ")
	cleared := slices.ContainsFunc(key.Columns, func(name string) bool {
		return slices.ContainsFunc(ways, func(way Table) bool { return way.strategyOf(name) == Null })
	})
	switch {
	case key.OnDelete == "c":
		c.add(t.Name, "", "loses its rows, and with them go rows of %s, which the policy keeps (%s is ON DELETE CASCADE)", key.Table, key.Name)
	case (key.OnDelete == "a" || key.OnDelete == "r") && !cleared:
		c.add(t.Name, "", "loses its rows, but %s refers to them by %s: delete those rows too, or set the column to null", columns, key.Name)
	}
}
