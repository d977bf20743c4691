package config

import (
	"fmt"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// The strategies of a column.
const (
	StrategyKeep = "keep" // it stays as it is
	StrategyNull = "null" // it becomes null
	StrategyText = "text" // it becomes ColumnPolicy.Text
)

// TablePolicy says how one table loses the personal data of an order.
type TablePolicy struct {
	Line       int
	Table      string // schema.table
	Match      *Match // nil for the orders table alone
	DeleteRows bool   // the order's rows are deleted; Columns is empty then
	Columns    []ColumnPolicy
}

// Match ties the rows of a table to their order: Column of the table holds OrderColumn of the orders table.
type Match struct {
	Column      string
	OrderColumn string
}

// ColumnPolicy says what erasure does to one column.
type ColumnPolicy struct {
	Line     int
	Name     string
	Strategy string // StrategyKeep, StrategyNull or StrategyText
	Text     string // for StrategyText
}

func readPolicy(retention *section, shop *Shop) []TablePolicy {
	items := retention.list("policy")
	if len(items) == 0 {
		return nil
	}
	if shop == nil {
		if !retention.reader.faulty("shop") && !retention.reader.faulty("shop.orders") {
			retention.problem("policy", "needs shop.orders, which says what an order is")
		}
		shop = &Shop{}
	}
	var policy []TablePolicy
	first := map[string]int{}
	for i, item := range items {
		s := retention.reader.open(fmt.Sprintf("%s[%d]", retention.path("policy"), i), item)
		t := readTable(s, shop.Orders)
		if line, twice := first[t.Table]; twice && t.Table != "" {
			s.problem("table", fmt.Sprintf("names a table that line %d has already", line))
		} else {
			first[t.Table] = s.line
		}
		policy = append(policy, t)
	}
	if _, ok := first[shop.Orders.Table]; !ok && shop.Orders.Table != "" {
		retention.problem("policy", "does not name the table of shop.orders")
	}
	return policy
}

func readTable(s *section, orders Orders) TablePolicy {
	t := TablePolicy{Line: s.line, Table: qualified(s.requiredText("table", tableName))}
	isOrders := t.Table != "" && t.Table == orders.Table
	t.Match = readMatch(s, orders, isOrders)
	t.DeleteRows = s.choice("rows", "", "delete") != ""
	columns := s.section("columns")
	for _, name := range columns.names {
		if c, ok := readColumn(columns, name); ok {
			t.Columns = append(t.Columns, c)
		}
	}
	s.finish()
	switch {
	case s.broken:
	case t.DeleteRows && columns.present:
		s.problem("columns", "has no use beside rows: delete")
	case t.DeleteRows && isOrders:
		s.problem("rows", "cannot delete orders: name their columns instead")
	case !columns.present && !s.has("rows"):
		s.problem("columns", "is missing: name every column, or write rows: delete")
	case columns.present && !columns.broken && len(columns.names) == 0 && len(columns.entries) == 0:
		s.problem("columns", "names no column")
	}
	if isOrders {
		checkOwnColumns(columns, t.Columns, orders)
	}
	return t
}

func (s *section) has(name string) bool {
	_, ok := s.entries[name]
	return ok
}

func readMatch(s *section, orders Orders, isOrders bool) *Match {
	m := s.section("match")
	switch {
	case isOrders && m.present:
		s.problem("match", "has no use on the table of shop.orders")
	case isOrders || m.broken || s.broken || !m.present && orders.Table == "":
	case !m.present:
		s.problem("match", "is missing: write {column of this table: column of the orders table}")
	case len(m.names) != 1:
		s.problem("match", "must be one pair {column of this table: column of the orders table}")
	default:
		return readMatchPair(m, m.names[0])
	}
	return nil
}

func readMatchPair(m *section, column string) *Match {
	if problem := identifier(column); problem != "" {
		m.problem(column, problem)
	}
	orderColumn, ok := m.reader.text(m.path(column), m.entries[column], identifier)
	if !ok {
		return nil
	}
	return &Match{Column: column, OrderColumn: orderColumn}
}

const strategyProblem = "must be keep, null or {text: ...}"

func readColumn(columns *section, name string) (ColumnPolicy, bool) {
	e := columns.entries[name]
	c := ColumnPolicy{Line: e.line, Name: name}
	if problem := identifier(name); problem != "" {
		columns.problem(name, problem)
		return c, false
	}
	if _, ok := e.value.(ast.MapNode); ok {
		c.Strategy, c.Text = StrategyText, readFixedText(columns.reader.open(columns.path(name), e))
		return c, true
	}
	switch word := strategyWord(e.value); word {
	case StrategyKeep, StrategyNull:
		c.Strategy = word
		return c, true
	}
	columns.problem(name, unexpected(e.value, strategyProblem))
	return c, false
}

// strategyWord takes null only where it is written out: a value forgotten, or the easily overlooked ~,
// must not empty a column.
func strategyWord(n ast.Node) string {
	switch n := n.(type) {
	case *ast.NullNode:
		if unexpected(n, "") == "" {
			return strings.ToLower(n.Token.Value)
		}
	case *ast.StringNode:
		return n.Value
	}
	return ""
}

// readFixedText allows the empty text, in quotes.
func readFixedText(s *section) string {
	defer s.finish()
	if !s.require("text") {
		return ""
	}
	text, ok := plainText(s.entries["text"].value)
	switch {
	case !ok:
		s.problem("text", unexpected(s.entries["text"].value, "must be text (put numbers and true/false in quotes)"))
	case strings.ContainsRune(text, 0):
		s.problem("text", "contains a NUL character")
	}
	return text
}

// checkOwnColumns keeps erasure away from the columns that tell kvit where an order stands.
func checkOwnColumns(columns *section, policies []ColumnPolicy, orders Orders) {
	own := map[string]string{}
	for _, c := range orders.columns() {
		own[c.name] = c.key
	}
	for _, p := range policies {
		if key := own[p.Name]; key != "" && p.Strategy != StrategyKeep {
			columns.problem(p.Name, "is shop.orders."+key+", which kvit needs: it can only be keep")
		}
	}
}
