package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// The strategies of a column.
const (
	StrategyKeep         = "keep"          // it stays as it is
	StrategyNull         = "null"          // it becomes null
	StrategyText         = "text"          // it becomes ColumnPolicy.Text
	StrategyHash         = "hash"          // it becomes a hash with Retention.HashKey
	StrategyTruncateDate = "truncate_date" // it becomes the first day of its ColumnPolicy.Unit
	StrategyGeneralise   = "generalise"    // it becomes its first ColumnPolicy.Length characters
	StrategyJSON         = "json"          // it becomes what ColumnPolicy.Paths leave of it
)

// TablePolicy says how one table loses the personal data of an order.
type TablePolicy struct {
	Line       int
	Table      string // schema.table
	Match      *Match // nil for the orders table, and perhaps for one that is kept whole
	Parent     string // schema.table of the policy whose rows its rows belong to; empty: the orders table
	DeleteRows bool   // the order's rows are deleted; Columns is empty then
	KeepRows   bool   // the table is kept whole; Columns is empty then
	Columns    []ColumnPolicy
}

// Match ties the rows of a table to their order: Column of the table holds OrderColumn of the orders table,
// or of the parent.
type Match struct {
	Column      string
	OrderColumn string
}

// ColumnPolicy says what erasure does to one column.
type ColumnPolicy struct {
	Line     int
	Name     string
	Strategy string         // one of those above
	Text     string         // for StrategyText
	Unit     string         // for StrategyTruncateDate: month or year
	Length   int            // for StrategyGeneralise
	Paths    []ColumnPolicy // for StrategyJSON: Name is a path as in items[].sku
}

// Hashes tells whether the policy needs a key.
func (c ColumnPolicy) Hashes() bool {
	return c.Strategy == StrategyHash || slices.ContainsFunc(c.Paths, ColumnPolicy.Hashes)
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
	for i, t := range policy {
		if _, ok := first[t.Parent]; !ok && t.Parent != "" {
			key := fmt.Sprintf("%s[%d].parent", retention.path("policy"), i)
			retention.reader.problem(retention.reader.lines[key], key, "names a table that the policy does not")
		}
	}
	return policy
}

func readTable(s *section, orders Orders) TablePolicy {
	t := TablePolicy{Line: s.line, Table: qualified(s.requiredText("table", tableName))}
	isOrders := t.Table != "" && t.Table == orders.Table
	rows := s.text("rows", "", reviewed("delete or keep its rows, or name its columns"), oneOf("delete", "keep"))
	t.DeleteRows, t.KeepRows = rows == "delete", rows == "keep"
	t.Match = readMatch(s, orders, isOrders, t.KeepRows)
	t.Parent = readParent(s, t, orders, isOrders)
	columns := s.section("columns")
	for _, name := range columns.names {
		if c, ok := readColumn(columns, name); ok {
			t.Columns = append(t.Columns, c)
		}
	}
	s.finish()
	switch {
	case s.broken:
	case rows != "" && columns.present:
		s.problem("columns", "has no use beside rows: "+rows)
	case rows != "" && isOrders && (rows == "delete" || orders.ErasedAt != ""):
		s.problem("rows", "cannot "+rows+" orders: name their columns instead")
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

// readParent leaves the orders table out: it is the parent of every table that names none.
func readParent(s *section, t TablePolicy, orders Orders, isOrders bool) string {
	parent := qualified(s.text("parent", "", tableName))
	switch {
	case parent == "" || parent == orders.Table && !isOrders:
		return ""
	case isOrders:
		s.problem("parent", "has no use on the table of shop.orders")
	case parent == t.Table:
		s.problem("parent", "is the table itself")
	default:
		return parent
	}
	return ""
}

// readMatch needs none of a table that is kept whole.
func readMatch(s *section, orders Orders, isOrders, kept bool) *Match {
	if text, _ := plainText(s.entries["match"].value); text == reviewWord {
		s.take("match")
		s.problem("match", reviewed("write {column of this table: column of the orders table}")(text))
		return nil
	}
	m := s.section("match")
	switch {
	case isOrders && m.present:
		s.problem("match", "has no use on the table of shop.orders")
	case isOrders || m.broken || s.broken || !m.present && (kept || orders.Table == ""):
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

// reviewWord is what kvit policy draft writes where it cannot tell.
const reviewWord = "review"

func reviewed(decide string) check {
	return func(text string) string {
		if text == reviewWord {
			return "is review: somebody has to decide, " + decide
		}
		return ""
	}
}

var reviewedColumn = reviewed("keep it or say how it is erased")

const strategyProblem = "must be keep, null, hash, truncate_date, generalise, {text: ...} or {json: {path: ...}}"

func readColumn(columns *section, name string) (ColumnPolicy, bool) {
	e := columns.entries[name]
	c := ColumnPolicy{Line: e.line, Name: name}
	if problem := identifier(name); problem != "" {
		columns.problem(name, problem)
		return c, false
	}
	return c, readStrategy(columns, name, &c)
}

// readStrategy reads what follows on a column's name, or on a path's.
func readStrategy(columns *section, name string, c *ColumnPolicy) bool {
	e := columns.entries[name]
	if _, ok := e.value.(ast.MapNode); ok {
		readRule(columns.reader.open(columns.path(name), e), c)
		return true
	}
	c.Unit, c.Length = "", 0
	switch c.Strategy = strategyWord(e.value); c.Strategy {
	case StrategyKeep, StrategyNull, StrategyHash:
		return true
	case StrategyTruncateDate:
		c.Unit = "month"
		return true
	case StrategyGeneralise:
		c.Length = 2
		return true
	}
	problem := reviewedColumn(c.Strategy)
	if problem == "" {
		problem = unexpected(e.value, strategyProblem)
	}
	columns.problem(name, problem)
	return false
}

// readRule reads a strategy with a value of its own. Of an unknown one it misses the text.
func readRule(s *section, c *ColumnPolicy) {
	defer s.finish()
	switch {
	case s.has(StrategyTruncateDate):
		c.Strategy, c.Unit = StrategyTruncateDate, s.choice(StrategyTruncateDate, "month", "month", "year")
	case s.has(StrategyGeneralise):
		c.Strategy, c.Length = StrategyGeneralise, s.integer(StrategyGeneralise, 2, 1, 100)
	case s.has(StrategyJSON):
		c.Strategy, c.Paths = StrategyJSON, readPaths(s.section(StrategyJSON))
	default:
		c.Strategy, c.Text = StrategyText, readFixedText(s)
	}
}

var jsonPath = matches(`(?:(?:\[\])+|[^.\[\]\x00]{1,100}(?:\[\])*)(?:\.[^.\[\]\x00]{1,100}(?:\[\])*)*`,
	"is not a path as in customer.email or items[].sku")

// readPaths reads the paths of a JSON document, none of which holds a document again.
func readPaths(s *section) []ColumnPolicy {
	var paths []ColumnPolicy
	for _, name := range s.names {
		c := ColumnPolicy{Line: s.entries[name].line, Name: name}
		if problem := jsonPath(name); problem != "" {
			s.problem(name, problem)
			continue
		}
		if !readStrategy(s, name, &c) {
			continue
		}
		if c.Strategy == StrategyJSON {
			s.problem(name, "cannot be json again: write the whole path")
			continue
		}
		paths = append(paths, c)
	}
	if len(s.names) == 0 && !s.broken {
		s.reader.problem(s.line, s.key, "names no path: what no path names is removed")
	}
	return paths
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
