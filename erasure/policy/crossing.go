package policy

import (
	"regexp"
	"slices"
	"strings"
)

// crossing finds ways of one table of which one erases what another finds its rows by, so that a row of both would
// keep what the other alone erases.
func (c *checker) crossing() {
	for _, a := range c.policy.Tables {
		for _, column := range a.Columns {
			if column.Strategy == Keep {
				continue
			}
			for _, b := range c.policy.ways(a.Name) {
				if b.finds(column.Name) && b.erasesBeside(a) {
					c.add(a.Name, column.Name, "is erased by one way of the table, and another, which erases something else, finds its rows by it: keep it, or let both ways erase the same")
				}
			}
		}
	}
}

// finds tells whether a way's match or condition reads a column. It is strict: a condition that has the column's name
// in it reads it.
func (t Table) finds(column string) bool {
	if t.isMatchedBy(column) {
		return true
	}
	if t.When == "" { // as with most: an expression a column costs more than the rest of the check
		return false
	}
	word := regexp.MustCompile(`(^|[^\pL\pN_])` + regexp.QuoteMeta(strings.ToLower(column)) + `($|[^\pL\pN_])`)
	return word.MatchString(strings.ToLower(t.When))
}

// erasesBeside tells whether a way that overwrites does more to a row than another. Rows are deleted before any is
// overwritten.
func (t Table) erasesBeside(other Table) bool {
	return slices.ContainsFunc(t.Columns, func(c Column) bool {
		return c.Strategy != Keep && other.strategyOf(c.Name) != c.Strategy
	})
}
