package config

import (
	"fmt"
	"slices"
	"time"
)

// TableRule is a clock over a table of the shop's, whatever is in it: job records, logs, sessions, carts, accounts
// that nobody uses (one key under "retention.tables"). Its rows, and those that belong to them, go when it is up.
type TableRule struct {
	Line       int
	Name       string // lower case, at most 40 characters; certificates hold it
	Table      string // schema.table
	When       string // SQL predicate over the table: which rows it counts for; empty: all
	Since      string // column of the table, a time
	TimeZone   string // of Since, if it holds times without one; else empty
	EraseAfter time.Duration
	Columns    []ColumnPolicy // what becomes of each column of a row; empty: the row is deleted
	Children   []TableChild   // in the order in which they are deleted, all before the rows of Table
}

// TableChild is a table whose rows belong to those of the rule's table: its Column holds ParentColumn of that.
type TableChild struct {
	Line         int
	Table        string // schema.table
	Column       string
	ParentColumn string
}

func readTableRules(retention *Section, shop *Shop, policy []TablePolicy) []TableRule {
	if retention.Has("carts") {
		retention.take("carts")
		retention.Problem("carts", "is called tables now: write retention.tables")
	}
	s := retention.Section("tables")
	taken := taken{policy: map[string]bool{}}
	for _, t := range policy {
		taken.policy[t.Table] = true
	}
	if shop != nil {
		taken.orders = shop.Orders.Table
	}
	var rules []TableRule
	for _, name := range s.names {
		if problem := firstProblem(name, []Check{ruleName, notOwnClock}); problem != "" {
			s.Problem(name, problem)
			continue
		}
		rules = append(rules, readTableRule(s.Section(name), name, taken))
	}
	return rules
}

// taken tells what else says what becomes of a table's rows.
type taken struct {
	orders string
	policy map[string]bool
}

func (t taken) problem(table string) string {
	switch {
	case table == "":
		return ""
	case table == t.orders:
		return "is the table of shop.orders: rows in it go by retention.clocks"
	case t.policy[table]:
		return "is a table of retention.policy: only one of them can say what becomes of its rows"
	}
	return ""
}

func readTableRule(s *Section, name string, taken taken) TableRule {
	defer s.Finish()
	r := TableRule{
		Line: s.line, Name: name, Table: qualified(s.RequiredText("table", tableName)),
		When: s.Text("when", ""), Since: s.RequiredText("since", identifier), TimeZone: s.Text("time_zone", "", TimeZone),
	}
	if s.Require("erase_after") {
		r.EraseAfter = s.Duration("erase_after", 0, time.Second, aCentury)
	}
	switch problem := taken.problem(r.Table); {
	case problem == "":
	case r.Table == taken.orders:
		s.Problem("table", problem)
	case !s.Has("when"): // with it, the rule takes those rows of a table of the policy that no order has any more
		s.Problem("table", problem+", unless when tells which of them this one takes")
	}
	r.Columns = readRuleFate(s)
	r.Children = readTableChildren(s.Section("children"), r.Table, taken)
	return r
}

// readRuleFate reads what becomes of rows; nil: they are deleted.
func readRuleFate(s *Section) []ColumnPolicy {
	s.Text("rows", "delete", reviewed("delete its rows, or name its columns"), oneOf("delete"))
	columns := s.Section("columns")
	list := readColumns(columns)
	switch {
	case !columns.present || columns.broken:
	case s.Has("rows"):
		s.Problem("columns", "has no use beside rows: delete")
	case len(columns.entries) == 0:
		s.Problem("columns", "names no column")
	case len(list) == len(columns.entries) && !slices.ContainsFunc(list, ColumnPolicy.erases):
		s.Problem("columns", "keeps every column, so that nothing would be erased")
	}
	return list
}

func readTableChildren(s *Section, parent string, taken taken) []TableChild {
	var children []TableChild
	for _, name := range s.names {
		if problem := tableName(name); problem != "" {
			s.Problem(name, problem)
			continue
		}
		child := TableChild{Line: s.entries[name].line, Table: qualified(name)}
		first := slices.IndexFunc(children, func(other TableChild) bool { return other.Table == child.Table })
		problem := taken.problem(child.Table)
		switch {
		case child.Table == parent:
			s.Problem(name, "is the rule's own table")
		case problem != "":
			s.Problem(name, problem)
		case first >= 0:
			s.Problem(name, fmt.Sprintf("names a table that line %d has already", children[first].Line))
		}
		if pair := readChildMatch(s.Section(name)); pair != nil {
			child.Column, child.ParentColumn = pair.Column, pair.OrderColumn
		}
		children = append(children, child)
	}
	return children
}

func readChildMatch(m *Section) *Match {
	if m.broken {
		return nil
	}
	if len(m.names) != 1 {
		m.reader.problem(m.line, m.key, "must be one pair {column of this table: column of the rule's table}")
		return nil
	}
	return readMatchPair(m, m.names[0])
}

var ruleName = Matches(`[a-z][a-z0-9_]{0,39}`,
	"is not the name of a rule (lower-case letters, digits and _, at most 40, beginning with a letter)")
