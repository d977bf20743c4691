// Package policy holds the rules of erasure: which columns of the shop's tables are kept and how the
// others are erased, what has to be done to each table for that, and where rules and database do not
// fit. It runs no SQL and reads no clock.
package policy

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"kvit/erasure/proof"
	"kvit/store"
)

// Strategy is what becomes of a column when its order is erased.
type Strategy = string

// The strategies, a closed list.
const (
	Keep         Strategy = "keep"          // holds no personal data, or must be kept by law
	Null         Strategy = "null"          // set to null
	Text         Strategy = "text"          // set to a fixed text
	Hash         Strategy = "hash"          // set to a keyed hash: equal values stay equal
	TruncateDate Strategy = "truncate_date" // set to the first day of its month or year
	Generalise   Strategy = "generalise"    // cut to its first characters
	JSON         Strategy = "json"          // cut down to what its paths name
)

// The units of TruncateDate.
const (
	Month = "month"
	Year  = "year"
)

// Policy says, column by column, what becomes of the shop's tables when an order is erased.
type Policy struct {
	Orders OrdersTable
	Tables []Table

	Elsewhere []string // "schema.table": tables that are erased in another way, so that it is no mistake not to name them
}

// OrdersTable names the shop's orders table and the columns of it that kvit reads and writes. Those
// but Email are kept: they say that the order is erased.
type OrdersTable struct {
	Name       string `json:"name"` // "schema.table"; empty: no shop is configured
	Ref        string `json:"ref"`
	PlacedAt   string `json:"placed_at"`
	ImportedAt string `json:"imported_at"` // empty, as the next two: kvit keeps these marks itself
	ERPNumber  string `json:"erp_number"`
	ErasedAt   string `json:"erased_at"`
	Email      string `json:"email,omitempty"` // a match with it makes no difference between small and capital letters

	TimeZone string   `json:"-"` // of times without one; empty: there must be none
	Since    []string `json:"-"` // columns by which orders are due
}

// Table is one way from the rows of a table to their orders, and what becomes of these rows. A table whose
// rows belong to orders in several ways, as an address that is one order's for billing and another's for
// shipping, is in the policy several times.
type Table struct {
	Name       string // "schema.table"
	Match      *Match // nil for the orders table, and for tables kept whole
	Parent     string // "schema.table" of the policy whose rows these belong to; empty: the orders table
	When       string // SQL condition over the table's row; empty: all rows that the match leads to. Other orders keep what they have
	DeleteRows bool   // the rows go; Columns must be empty
	KeepRows   bool   // the rows are kept whole; Columns must be empty
	Columns    []Column

	// IgnoreKeys are columns of the table with a foreign key that no way uses, and need not: what they lead
	// to is found in another way.
	IgnoreKeys []string
}

// Match ties a table's rows to their order, or to a row of the table's Parent: the table's Column
// equals OrderColumn of the orders table, or of the parent.
type Match struct {
	Column      string  `json:"column"`
	OrderColumn string  `json:"order_column"`
	And         []Match `json:"and,omitempty"` // further pairs that must be equal, too; these have none
}

// pairs are all that must be equal.
func (m Match) pairs() []Match {
	return append([]Match{{Column: m.Column, OrderColumn: m.OrderColumn}}, m.And...)
}

// Column is the policy of one column.
type Column struct {
	Name     string   `json:"name"`
	Strategy Strategy `json:"strategy"`
	Text     string   `json:"text,omitempty"`   // of Text
	Unit     string   `json:"unit,omitempty"`   // of TruncateDate: Month or Year
	Length   int      `json:"length,omitempty"` // of Generalise: the number of characters that stay
	Paths    []Column `json:"paths,omitempty"`  // of JSON: each Name is a path as in "items[].sku"
}

// TableNames lists the tables that the policy is about, each once, the orders table included.
func (p Policy) TableNames() []string {
	var names []string
	for _, t := range p.Tables {
		if !slices.Contains(names, t.Name) {
			names = append(names, t.Name)
		}
	}
	if p.Orders.Name != "" && !slices.Contains(names, p.Orders.Name) {
		names = append(names, p.Orders.Name)
	}
	return names
}

// and are the further pairs, as the store has them.
func (m Match) and() []store.Pair {
	var list []store.Pair
	for _, pair := range m.And {
		list = append(list, store.Pair{Column: pair.Column, Key: pair.OrderColumn})
	}
	return list
}

// ways lists what the policy says of a table; none if it does not name it.
func (p Policy) ways(name string) []Table {
	var list []Table
	for _, t := range p.Tables {
		if t.Name == name {
			list = append(list, t)
		}
	}
	return list
}

// names tells whether the policy names a table.
func (p Policy) names(table string) bool { return len(p.ways(table)) > 0 }

// deletes tells whether rows of a table go.
func (p Policy) deletes(table string) bool {
	return slices.ContainsFunc(p.ways(table), func(t Table) bool { return t.DeleteRows })
}

// governs tells whether rows of a table belong to orders by the policy, so that it says what becomes of
// them. A table that is kept whole and matched with nothing may be anything, such as the products.
func (p Policy) governs(table string) bool {
	return table == p.Orders.Name || slices.ContainsFunc(p.ways(table), func(t Table) bool { return !t.KeepRows || t.Match != nil })
}

// Hash names the policy in a certificate: the SHA-256, in hex, of its canonical form. The order of
// columns does not change it; the order of tables does. A key of Hash columns is no part of it.
func (p Policy) Hash() string {
	form := canonicalPolicy{Version: 1, Orders: p.Orders, Tables: []canonicalTable{}}
	for _, t := range p.Tables {
		form.Tables = append(form.Tables, canonicalTable{
			Name: t.Name, Match: t.Match, DeleteRows: t.DeleteRows, Columns: sorted(t.Columns),
			Parent: t.Parent, When: t.When, KeepRows: t.KeepRows,
		})
	}
	sum := sha256.Sum256(proof.CanonicalJSON(form))
	return hex.EncodeToString(sum[:])
}

func sorted(columns []Column) []Column {
	list := slices.SortedFunc(slices.Values(columns), func(a, b Column) int { return cmp.Compare(a.Name, b.Name) })
	for i := range list {
		list[i].Paths = sorted(list[i].Paths)
	}
	return list
}

// canonicalPolicy is the form that is hashed: its field names and their order never change, and what is
// new is left out where it is empty.
type canonicalPolicy struct {
	Version int              `json:"version"`
	Orders  OrdersTable      `json:"orders"`
	Tables  []canonicalTable `json:"tables"`
}

type canonicalTable struct {
	Name       string   `json:"name"`
	Match      *Match   `json:"match"`
	DeleteRows bool     `json:"delete_rows"`
	Columns    []Column `json:"columns"`
	Parent     string   `json:"parent,omitempty"`
	When       string   `json:"when,omitempty"`
	KeepRows   bool     `json:"keep_rows,omitempty"`
}

// Erased lists the tables of which the policy deletes or overwrites something, each once.
func (p Policy) Erased() []string {
	var names []string
	for _, t := range p.Tables {
		if !t.KeepRows && !slices.Contains(names, t.Name) {
			names = append(names, t.Name)
		}
	}
	return names
}
