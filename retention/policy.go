// Package retention holds the rules of erasure: which columns of the shop's tables are kept and how
// the others are erased, and the chain of certificates that proves it. It runs no SQL and reads no
// clock.
package retention

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
)

// Strategy is what becomes of a column when its order is erased.
type Strategy string

// The strategies, a closed list.
const (
	Keep Strategy = "keep" // holds no personal data, or must be kept by law
	Null Strategy = "null" // set to null
	Text Strategy = "text" // set to a fixed text
)

// Policy says, column by column, what becomes of the shop's tables when an order is erased.
type Policy struct {
	Orders OrdersTable
	Tables []Table // erased in this order, the orders table last
}

// OrdersTable names the shop's orders table and the columns of it that kvit reads and writes. Those
// are kept: they say that the order is erased.
type OrdersTable struct {
	Name       string `json:"name"` // "schema.table"; empty: no shop is configured
	Ref        string `json:"ref"`
	PlacedAt   string `json:"placed_at"`
	ImportedAt string `json:"imported_at"`
	ERPNumber  string `json:"erp_number"`
	ErasedAt   string `json:"erased_at"`
}

// Table is the policy of one table.
type Table struct {
	Name       string // "schema.table"
	Match      *Match // nil for the orders table alone
	DeleteRows bool   // the rows go; Columns must be empty
	Columns    []Column
}

// Match ties a table's rows to their order: the table's Column equals the orders table's OrderColumn.
type Match struct {
	Column      string `json:"column"`
	OrderColumn string `json:"order_column"`
}

// Column is the policy of one column.
type Column struct {
	Name     string   `json:"name"`
	Strategy Strategy `json:"strategy"`
	Text     string   `json:"text,omitempty"` // of strategy Text
}

// TableErasure is what has to be done to one table. Every column that is not named stays.
type TableErasure struct {
	Table       string
	Column      string // rows whose Column equals the order's OrderColumn; both are empty for the orders table itself
	OrderColumn string
	Shared      bool // several orders may have one row; it goes when the last of them does
	DeleteRows  bool
	Columns     []string  // to set ...
	Values      []*string // ... to these; nil is null
}

// TableNames lists the tables that the policy is about, the orders table included.
func (p Policy) TableNames() []string {
	var names []string
	for _, t := range p.Tables {
		names = append(names, t.Name)
	}
	if p.Orders.Name != "" && !slices.Contains(names, p.Orders.Name) {
		names = append(names, p.Orders.Name)
	}
	return names
}

// Erasures lists what has to be done, in order: the policy's tables as they stand there, the orders
// table last, since the others find their order through it. Tables that are kept whole are left out.
func (p Policy) Erasures(database []DatabaseColumn) []TableErasure {
	orders := TableErasure{Table: p.Orders.Name}
	var list []TableErasure
	for _, t := range p.Tables {
		columns, values := t.writes()
		if t.Name == p.Orders.Name {
			orders.Columns, orders.Values = columns, values
			continue
		}
		if t.Match == nil || len(columns) == 0 && !t.DeleteRows {
			continue
		}
		list = append(list, TableErasure{
			Table: t.Name, Column: t.Match.Column, OrderColumn: t.Match.OrderColumn,
			Shared:     !isUnique(database, p.Orders.Name, t.Match.OrderColumn),
			DeleteRows: t.DeleteRows, Columns: columns, Values: values,
		})
	}
	return append(list, orders)
}

func (t Table) writes() (columns []string, values []*string) {
	for _, c := range t.Columns {
		switch c.Strategy {
		case Null:
			columns, values = append(columns, c.Name), append(values, nil)
		case Text:
			text := c.Text
			columns, values = append(columns, c.Name), append(values, &text)
		}
	}
	return columns, values
}

func isUnique(database []DatabaseColumn, table, column string) bool {
	return slices.ContainsFunc(database, func(c DatabaseColumn) bool {
		return c.Table == table && c.Name == column && c.Unique
	})
}

// Hash names the policy in a certificate: the SHA-256, in hex, of its canonical form. The order of
// columns does not change it; the order of tables does, because they are erased in it.
func (p Policy) Hash() string {
	form := canonicalPolicy{Version: 1, Orders: p.Orders, Tables: []canonicalTable{}}
	for _, t := range p.Tables {
		columns := slices.SortedFunc(slices.Values(t.Columns), func(a, b Column) int { return cmp.Compare(a.Name, b.Name) })
		form.Tables = append(form.Tables, canonicalTable{Name: t.Name, Match: t.Match, DeleteRows: t.DeleteRows, Columns: columns})
	}
	sum := sha256.Sum256(canonicalJSON(form))
	return hex.EncodeToString(sum[:])
}

// canonicalPolicy is the form that is hashed: its field names and their order never change.
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
}
