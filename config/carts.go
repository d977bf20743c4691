package config

import (
	"fmt"
	"slices"
	"time"
)

// Carts is a rule by which rows of a table of carts are deleted, with the rows that belong to them (one key
// under "retention.carts").
type Carts struct {
	Line       int
	Name       string // lower case, at most 40 characters; certificates hold it
	Table      string // schema.table
	When       string // SQL predicate over the table: which carts it counts for; empty: all
	Since      string // column of the table, a time
	EraseAfter time.Duration
	Children   []CartChild // in the order in which they are deleted, all before the carts
}

// CartChild is a table whose rows belong to carts: its Column holds CartColumn of the table of carts.
type CartChild struct {
	Line       int
	Table      string // schema.table
	Column     string
	CartColumn string
}

func readCarts(retention *Section, shop *Shop, policy []TablePolicy) []Carts {
	s := retention.Section("carts")
	taken := map[string]string{}
	for _, t := range policy {
		taken[t.Table] = "is a table of retention.policy: only one of them can say what becomes of its rows"
	}
	if shop != nil {
		taken[shop.Orders.Table] = "is the table of shop.orders: carts in it go by retention.clocks"
	}
	var rules []Carts
	for _, name := range s.names {
		if problem := firstProblem(name, []Check{cartsName, notOwnClock}); problem != "" {
			s.Problem(name, problem)
			continue
		}
		rules = append(rules, readCartsRule(s.Section(name), name, taken))
	}
	return rules
}

func readCartsRule(s *Section, name string, taken map[string]string) Carts {
	defer s.Finish()
	c := Carts{
		Line: s.line, Name: name, Table: qualified(s.RequiredText("table", tableName)),
		When: s.Text("when", ""), Since: s.RequiredText("since", identifier),
	}
	if s.Require("erase_after") {
		c.EraseAfter = s.Duration("erase_after", 0, time.Second, aCentury)
	}
	if problem := taken[c.Table]; c.Table != "" && problem != "" {
		s.Problem("table", problem)
	}
	c.Children = readCartChildren(s.Section("children"), c.Table, taken)
	return c
}

func readCartChildren(s *Section, carts string, taken map[string]string) []CartChild {
	var children []CartChild
	for _, name := range s.names {
		if problem := tableName(name); problem != "" {
			s.Problem(name, problem)
			continue
		}
		child := CartChild{Line: s.entries[name].line, Table: qualified(name)}
		first := slices.IndexFunc(children, func(other CartChild) bool { return other.Table == child.Table })
		switch {
		case child.Table == carts:
			s.Problem(name, "is the table of carts itself")
		case taken[child.Table] != "":
			s.Problem(name, taken[child.Table])
		case first >= 0:
			s.Problem(name, fmt.Sprintf("names a table that line %d has already", children[first].Line))
		}
		if pair := readCartMatch(s.Section(name)); pair != nil {
			child.Column, child.CartColumn = pair.Column, pair.OrderColumn
		}
		children = append(children, child)
	}
	return children
}

func readCartMatch(m *Section) *Match {
	if m.broken {
		return nil
	}
	if len(m.names) != 1 {
		m.reader.problem(m.line, m.key, "must be one pair {column of this table: column of the table of carts}")
		return nil
	}
	return readMatchPair(m, m.names[0])
}

var cartsName = Matches(`[a-z][a-z0-9_]{0,39}`,
	"is not the name of a rule (lower-case letters, digits and _, at most 40, beginning with a letter)")
