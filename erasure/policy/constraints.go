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
		referring, named := c.policy.table(key.Table)
		if !named || referring.DeleteRows {
			continue // coverage tells the one, and the other goes first
		}
		columns := key.Table + "." + strings.Join(key.Columns, ", ")
		cleared := slices.ContainsFunc(key.Columns, func(name string) bool { return referring.strategyOf(name) == Null })
		switch {
		case key.OnDelete == "c":
			c.add(t.Name, "", "loses its rows, and with them go rows of %s, which the policy keeps (%s is ON DELETE CASCADE)", key.Table, key.Name)
		case (key.OnDelete == "a" || key.OnDelete == "r") && !cleared:
			c.add(t.Name, "", "loses its rows, but %s refers to them by %s: delete those rows too, or set the column to null", columns, key.Name)
		}
	}
}

// coverage finds tables that the policy does not name, though they hold something of an order: those
// that refer to a table of the policy, and those that refer to such a table in turn.
func (c *checker) coverage() {
	covered := map[string]bool{c.policy.Orders.Name: true}
	open := []string{c.policy.Orders.Name}
	for _, t := range c.policy.Tables {
		// A table that is kept whole may be anything, such as the products: it counts if it leads to an order.
		if (!t.KeepRows || t.Match != nil) && !covered[t.Name] {
			covered[t.Name] = true
			open = append(open, t.Name)
		}
	}
	for len(open) > 0 {
		table := open[0]
		open = open[1:]
		for _, key := range c.database.ForeignKeys {
			if key.References != table || covered[key.Table] {
				continue
			}
			covered[key.Table] = true
			open = append(open, key.Table)
			if _, named := c.policy.table(key.Table); !named && !slices.Contains(c.policy.Elsewhere, key.Table) {
				c.add(key.Table, "", "is not named by the policy, but its column %s references %s: name it, or keep it whole",
					strings.Join(key.Columns, ", "), table)
			}
		}
	}
}
