package policy

import (
	"slices"

	"kvit/store"
)

// Reached is a table whose rows are found through orders.
type Reached = store.Reached

// Reach lists the tables of the policy that hold rows of orders, whatever becomes of them, in the order
// of the policy and without the orders table. apart are those that nothing ties to an order.
func (p Policy) Reach() (reached []Reached, apart []string) {
	for _, name := range p.TableNames() {
		if name == p.Orders.Name {
			continue
		}
		var paths [][]Link
		for _, way := range p.ways(name) {
			paths = append(paths, p.paths(way)...)
		}
		if len(paths) > 0 {
			reached = append(reached, Reached{Table: name, Paths: paths})
		} else {
			apart = append(apart, name)
		}
	}
	return reached, apart
}

// Keeps tells whether a table's rows stay as they are, whatever leads to them.
func (p Policy) Keeps(table string) bool {
	return p.names(table) && !slices.ContainsFunc(p.ways(table), func(t Table) bool { return !t.KeepRows })
}
