package policy

import (
	"slices"
	"strings"
)

// coverage finds tables that the policy does not name, though they may hold something of an order: those
// that refer to a table of the policy, over any number of tables, and those that a table of the policy
// refers to, as the customer of an order. It does not look behind a table that is kept whole.
func (c *checker) coverage() {
	covered := map[string]bool{}
	var open []string
	cover := func(table string) {
		if !covered[table] {
			covered[table] = true
			open = append(open, table)
		}
	}
	cover(c.policy.Orders.Name)
	for _, t := range c.policy.Tables {
		if c.policy.governs(t.Name) {
			cover(t.Name)
		}
	}
	for len(open) > 0 {
		table := open[0]
		open = open[1:]
		for _, key := range c.database.ForeignKeys {
			columns := strings.Join(key.Columns, ", ")
			switch {
			case key.References == table && !covered[key.Table]:
				cover(key.Table)
				c.unnamed(key.Table, "its column %s references %s", columns, table)
			case key.Table == table && c.policy.governs(table) && !covered[key.References]:
				covered[key.References] = true
				c.unnamed(key.References, "%s.%s references it", table, columns)
			}
		}
	}
}

func (c *checker) unnamed(table, because string, args ...any) {
	if c.policy.names(table) || slices.Contains(c.policy.Elsewhere, table) {
		return
	}
	c.add(table, "", "is not named by the policy, but "+because+": name it, or keep it whole", args...)
}

// keyOf finds the foreign key of one column that a column has.
func (c *checker) keyOf(table, column string) (references, key string, ok bool) {
	for _, k := range c.database.ForeignKeys {
		if k.Table == table && len(k.Columns) == 1 && k.Columns[0] == column {
			return k.References, k.Keys[0], true
		}
	}
	return "", "", false
}

// root follows foreign keys to what a column's values name in the end; isKey tells whether there was one.
func (c *checker) root(table, column string) (rootTable, rootColumn string, isKey bool) {
	for range maxLinks {
		references, key, ok := c.keyOf(table, column)
		if !ok || references == table {
			break
		}
		table, column, isKey = references, key, true
	}
	return table, column, isKey
}

// sameKey refuses a match of two columns that name different things, however alike their names are: the
// number of a user is not that of a customer.
func (c *checker) sameKey(table, parent string, m Match) {
	ownTable, ownColumn, ownKey := c.root(table, m.Column)
	otherTable, otherColumn, otherKey := c.root(parent, m.OrderColumn)
	if !ownKey && !otherKey || ownTable == otherTable && ownColumn == otherColumn {
		return
	}
	ownKey = ownKey || c.isPrimary(ownTable, ownColumn)
	otherKey = otherKey || c.isPrimary(otherTable, otherColumn)
	if ownKey && otherKey {
		c.lose(table, m.Column, "is a key to %s, and is matched with %s.%s, which is one to %s: they name different things",
			ownTable, parent, m.OrderColumn, otherTable)
	}
}

// isPrimary tells whether the column alone is its table's primary key.
func (c *checker) isPrimary(table, column string) bool {
	return slices.ContainsFunc(c.database.UniqueIndexes, func(i UniqueIndex) bool {
		return i.Primary && i.Table == table && slices.Equal(i.Columns, []string{column})
	})
}

// unusedKeys finds foreign keys between tables of the policy by which rows belong to an order that no way of
// the policy finds: the second address of an order, or the customer's entries in a table that is matched by
// order.
func (c *checker) unusedKeys() {
	for _, key := range c.database.ForeignKeys {
		from, to, columns := key.Table, key.References, strings.Join(key.Columns, ", ")
		const what = "no way of the policy goes by that key: add one, or name it in ignore_keys of %s"
		switch c.lacksWay(key) {
		case from:
			c.add(from, columns, "refers to %s (%s), and "+what, to, key.Name, from)
		case to:
			c.add(to, "", "has rows to which %s.%s refers (%s), and "+what, from, columns, key.Name, from)
		}
	}
}

// lacksWay is the table, one of the two of a foreign key, whose rows may belong to an order by that key without
// a way that finds them; empty if there is none.
func (c *checker) lacksWay(key ForeignKey) string {
	from, to := key.Table, key.References
	switch {
	case from == to || !c.policy.governs(from) || !c.policy.governs(to) || c.usesKey(key) || c.ignores(key):
	case from != c.policy.Orders.Name && !c.alwaysNamesOrder(from) && !c.matches(key):
		return from
	case to != c.policy.Orders.Name && !c.namesOrder(to):
		return to
	}
	return ""
}

// matches tells whether a way goes by the key's columns, though to something else: rows without that key have no
// such way either.
func (c *checker) matches(key ForeignKey) bool {
	return slices.ContainsFunc(c.policy.ways(key.Table), func(t Table) bool {
		return slices.ContainsFunc(key.Columns, t.isMatchedBy)
	})
}

// usesKey tells whether a way goes by a foreign key, in either direction.
func (c *checker) usesKey(key ForeignKey) bool {
	return slices.ContainsFunc(c.policy.Tables, func(t Table) bool {
		if t.Match == nil {
			return false
		}
		parent := c.policy.parent(t)
		return slices.ContainsFunc(t.Match.pairs(), func(m Match) bool {
			forwards := t.Name == key.Table && parent == key.References && pairs(key.Columns, key.Keys, m.Column, m.OrderColumn)
			backwards := t.Name == key.References && parent == key.Table && pairs(key.Keys, key.Columns, m.Column, m.OrderColumn)
			return forwards || backwards
		})
	})
}

func pairs(columns, others []string, column, other string) bool {
	i := slices.Index(columns, column)
	return i >= 0 && others[i] == other
}

func (c *checker) ignores(key ForeignKey) bool {
	return slices.ContainsFunc(c.policy.ways(key.Table), func(t Table) bool {
		return slices.ContainsFunc(key.Columns, func(column string) bool { return slices.Contains(t.IgnoreKeys, column) })
	})
}

// namesOrder tells whether the rows of a table say themselves to which order they belong, instead of being
// what others refer to: one of its ways has no condition, and goes by a column that is not the row's own key.
func (c *checker) namesOrder(table string) bool {
	return c.hasWayBy(table, func(column DatabaseColumn) bool { return !column.Unique })
}

// alwaysNamesOrder tells whether one of the table's ways finds every row, since its column is never null.
func (c *checker) alwaysNamesOrder(table string) bool {
	return c.hasWayBy(table, func(column DatabaseColumn) bool { return column.NotNull })
}

func (c *checker) hasWayBy(table string, is func(DatabaseColumn) bool) bool {
	return slices.ContainsFunc(c.policy.ways(table), func(t Table) bool {
		return t.Match != nil && t.When == "" && is(c.tables[table][t.Match.Column])
	})
}
