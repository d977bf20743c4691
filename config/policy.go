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

// TablePolicy says how one table loses the personal data of an order, for the rows that one way leads to. A
// table with several ways is several of these, one after the other.
type TablePolicy struct {
	Line       int
	Table      string  // schema.table
	Match      []Match // none for the orders table, and perhaps for one that is kept whole; all must be equal
	Parent     string  // schema.table of the policy whose rows its rows belong to; empty: the orders table
	When       string  // SQL condition over the row; empty: all rows that the match leads to, and of the orders table all
	DeleteRows bool    // the order's rows are deleted; Columns is empty then
	KeepRows   bool    // the rows are kept whole; Columns is empty then
	Columns    []ColumnPolicy
	IgnoreKeys []string // columns of the table with a foreign key that no way needs
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

func (c ColumnPolicy) erases() bool { return c.Strategy != StrategyKeep }

func readPolicy(retention *Section, shop *Shop) []TablePolicy {
	items := retention.list("policy")
	if len(items) == 0 {
		return nil
	}
	if shop == nil {
		if !retention.reader.faulty("shop") && !retention.reader.faulty("shop.orders") {
			retention.Problem("policy", "needs shop.orders, which says what an order is")
		}
		shop = &Shop{}
	}
	var policy []TablePolicy
	first := map[string]int{}
	parents := map[string]string{} // what the policy must name, by key
	for i, item := range items {
		s := retention.reader.open(fmt.Sprintf("%s[%d]", retention.path("policy"), i), item)
		ways := readTable(s, shop.Orders, parents)
		if line, twice := first[ways[0].Table]; twice && ways[0].Table != "" {
			s.Problem("table", fmt.Sprintf("names a table that line %d has already", line))
		} else {
			first[ways[0].Table] = s.line
		}
		policy = append(policy, ways...)
	}
	if _, ok := first[shop.Orders.Table]; !ok && shop.Orders.Table != "" {
		retention.Problem("policy", "does not name the table of shop.orders")
	}
	for key, parent := range parents {
		if _, ok := first[parent]; !ok {
			retention.reader.problem(retention.reader.lines[key], key, "names a table that the policy does not")
		}
	}
	return append(policy, readKept(retention, first)...)
}

// readKept reads the tables that are kept whole and need no more said.
func readKept(retention *Section, named map[string]int) []TablePolicy {
	var kept []TablePolicy
	for _, name := range retention.Texts("keep", tableName) {
		table := qualified(name)
		if line, twice := named[table]; twice {
			retention.Problem("keep", fmt.Sprintf("names %s, which the policy has on line %d", printable(table), line))
			continue
		}
		kept = append(kept, TablePolicy{Line: retention.entries["keep"].line, Table: table, KeepRows: true})
	}
	return kept
}

// readTable reads a table with its ways; there is one at least.
func readTable(s *Section, orders Orders, parents map[string]string) []TablePolicy {
	t := TablePolicy{Line: s.line, Table: qualified(s.RequiredText("table", tableName))}
	t.IgnoreKeys = s.Texts("ignore_keys", identifier)
	isOrders := t.Table != "" && t.Table == orders.Table
	if !s.Has("ways") {
		readFate(s, &t, orders, isOrders)
		readWay(s, &t, orders, isOrders, parents)
		s.Finish()
		return []TablePolicy{t}
	}
	if s.Has("rows") || s.Has("columns") {
		readFate(s, &t, orders, isOrders)
	}
	items := s.list("ways")
	if isOrders {
		s.Problem("ways", "has no use on the table of shop.orders")
	}
	s.Finish()
	var ways []TablePolicy
	for i, item := range items {
		w := s.reader.open(fmt.Sprintf("%s[%d]", s.path("ways"), i), item)
		way := t
		way.Line = w.line
		if w.Has("rows") || w.Has("columns") || !s.Has("rows") && !s.Has("columns") {
			way.DeleteRows, way.KeepRows, way.Columns = false, false, nil
			readFate(w, &way, orders, isOrders)
		}
		readWay(w, &way, orders, isOrders, parents)
		w.Finish()
		ways = append(ways, way)
	}
	if len(ways) == 0 {
		return []TablePolicy{t}
	}
	return ways
}

// readFate reads what becomes of rows.
func readFate(s *Section, t *TablePolicy, orders Orders, isOrders bool) {
	rows := s.Text("rows", "", reviewed("delete or keep its rows, or name its columns"), oneOf("delete", "keep"))
	t.DeleteRows, t.KeepRows = rows == "delete", rows == "keep"
	columns := s.Section("columns")
	t.Columns = append(t.Columns, readColumns(columns)...)
	switch {
	case s.broken:
	case rows != "" && columns.present:
		s.Problem("columns", "has no use beside rows: "+rows)
	case rows != "" && isOrders && (rows == "delete" || orders.ErasedAt != ""):
		s.Problem("rows", "cannot "+rows+" orders: name their columns instead")
	case !columns.present && !s.Has("rows"):
		s.Problem("columns", "is missing: name every column, or write rows: delete")
	case columns.present && !columns.broken && len(columns.names) == 0 && len(columns.entries) == 0:
		s.Problem("columns", "names no column")
	}
	if isOrders {
		checkOwnColumns(columns, t.Columns, orders)
	}
}

func readColumns(s *Section) []ColumnPolicy {
	var columns []ColumnPolicy
	for _, name := range s.names {
		if c, ok := readColumn(s, name); ok {
			columns = append(columns, c)
		}
	}
	return columns
}

// readWay reads how rows are found.
func readWay(s *Section, t *TablePolicy, orders Orders, isOrders bool, parents map[string]string) {
	t.Match = readMatch(s, orders, isOrders, t.KeepRows)
	t.Parent = readParent(s, *t, orders, isOrders)
	t.When = s.Text("when", "")
	if t.Parent != "" {
		parents[s.path("parent")] = t.Parent
	}
}

// readParent leaves the orders table out: it is the parent of every table that names none.
func readParent(s *Section, t TablePolicy, orders Orders, isOrders bool) string {
	parent := qualified(s.Text("parent", "", tableName))
	switch {
	case parent == "" || parent == orders.Table && !isOrders:
		return ""
	case isOrders:
		s.Problem("parent", "has no use on the table of shop.orders")
	case parent == t.Table:
		s.Problem("parent", "is the table itself")
	default:
		return parent
	}
	return ""
}

// readMatch needs none of a table that is kept whole.
func readMatch(s *Section, orders Orders, isOrders, kept bool) []Match {
	if text, _ := plainText(s.entries["match"].value); text == reviewWord {
		s.take("match")
		s.Problem("match", reviewed("write {column of this table: column of the orders table}")(text))
		return nil
	}
	m := s.Section("match")
	switch {
	case isOrders && m.present:
		s.Problem("match", "has no use on the table of shop.orders")
	case isOrders || m.broken || s.broken || !m.present && (kept || orders.Table == ""):
	case !m.present:
		s.Problem("match", "is missing: write {column of this table: column of the orders table}")
	case len(m.names) == 0:
		s.Problem("match", "must be a pair {column of this table: column of the orders table}")
	default:
		return readMatchPairs(m)
	}
	return nil
}

// requiredMatch reads the key match of a table that belongs to orders: at least one pair.
func requiredMatch(s *Section) []Match {
	const form = "write {column of this table: column of the orders table}"
	switch m := s.Section("match"); {
	case m.broken || s.broken:
	case !m.present:
		s.Problem("match", "is missing: "+form)
	case len(m.names) == 0:
		s.Problem("match", "must be a pair: "+form)
	default:
		return readMatchPairs(m)
	}
	return nil
}

// readMatchPairs reads pairs that must all be equal.
func readMatchPairs(m *Section) []Match {
	var pairs []Match
	for _, column := range m.names {
		if pair := readMatchPair(m, column); pair != nil {
			pairs = append(pairs, *pair)
		}
	}
	return pairs
}

func readMatchPair(m *Section, column string) *Match {
	if problem := identifier(column); problem != "" {
		m.Problem(column, problem)
	}
	orderColumn, ok := m.reader.text(m.path(column), m.entries[column], identifier)
	if !ok {
		return nil
	}
	return &Match{Column: column, OrderColumn: orderColumn}
}

// reviewWord is what kvit policy draft writes where it cannot tell.
const reviewWord = "review"

func reviewed(decide string) Check {
	return func(text string) string {
		if text == reviewWord {
			return "is review: somebody has to decide, " + decide
		}
		return ""
	}
}

var reviewedColumn = reviewed("keep it or say how it is erased")

const strategyProblem = "must be keep, null, hash, truncate_date, generalise, {text: ...} or {json: {path: ...}}"

func readColumn(columns *Section, name string) (ColumnPolicy, bool) {
	e := columns.entries[name]
	c := ColumnPolicy{Line: e.line, Name: name}
	if problem := identifier(name); problem != "" {
		columns.Problem(name, problem)
		return c, false
	}
	return c, readStrategy(columns, name, &c)
}

// readStrategy reads what follows on a column's name, or on a path's.
func readStrategy(columns *Section, name string, c *ColumnPolicy) bool {
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
	columns.Problem(name, problem)
	return false
}

// readRule reads a strategy with a value of its own. Of an unknown one it misses the text.
func readRule(s *Section, c *ColumnPolicy) {
	defer s.Finish()
	switch {
	case s.Has(StrategyTruncateDate):
		c.Strategy, c.Unit = StrategyTruncateDate, s.Choice(StrategyTruncateDate, "month", "month", "year")
	case s.Has(StrategyGeneralise):
		c.Strategy, c.Length = StrategyGeneralise, s.Integer(StrategyGeneralise, 2, 1, 100)
	case s.Has(StrategyJSON):
		c.Strategy, c.Paths = StrategyJSON, readPaths(s.Section(StrategyJSON))
	default:
		c.Strategy, c.Text = StrategyText, readFixedText(s)
	}
}

var jsonPath = Matches(`(?:(?:\[\])+|[^.\[\]\x00]{1,100}(?:\[\])*)(?:\.[^.\[\]\x00]{1,100}(?:\[\])*)*`,
	"is not a path as in customer.email or items[].sku")

// readPaths reads the paths of a JSON document, none of which holds a document again.
func readPaths(s *Section) []ColumnPolicy {
	var paths []ColumnPolicy
	for _, name := range s.names {
		c := ColumnPolicy{Line: s.entries[name].line, Name: name}
		if problem := jsonPath(name); problem != "" {
			s.Problem(name, problem)
			continue
		}
		if !readStrategy(s, name, &c) {
			continue
		}
		if c.Strategy == StrategyJSON {
			s.Problem(name, "cannot be json again: write the whole path")
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
func readFixedText(s *Section) string {
	if !s.Require("text") {
		return ""
	}
	text, ok := plainText(s.entries["text"].value)
	switch {
	case !ok:
		s.Problem("text", unexpected(s.entries["text"].value, "must be text (put numbers and true/false in quotes)"))
	case strings.ContainsRune(text, 0):
		s.Problem("text", "contains a NUL character")
	}
	return text
}

// checkOwnColumns keeps erasure away from the columns that tell kvit where an order stands.
func checkOwnColumns(columns *Section, policies []ColumnPolicy, orders Orders) {
	own := map[string]string{}
	for _, c := range orders.columns() {
		own[c.name] = c.key
	}
	for _, p := range policies {
		if key := own[p.Name]; key != "" && p.Strategy != StrategyKeep {
			columns.Problem(p.Name, "is shop.orders."+key+", which kvit needs: it can only be keep")
		}
	}
}
