package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"kvit/erasure/proof"
)

// Carts is a rule by which carts that have a table of their own are deleted: they have no value for the
// books, so that nothing of them is kept.
type Carts struct {
	Name       string // stands in certificates
	Table      string // "schema.table"
	When       string // SQL predicate over the table; empty: all of its rows
	Since      string // column of the table, a time
	EraseAfter time.Duration
	Children   []CartChild // in the order in which their rows go, all before the carts
}

// CartChild is a table whose rows belong to carts: its Column equals CartColumn of the table of carts.
type CartChild struct {
	Table      string `json:"table"` // "schema.table"
	Column     string `json:"column"`
	CartColumn string `json:"cart_column"`
}

// TableNames are the table of carts and those that belong to it.
func (c Carts) TableNames() []string {
	names := []string{c.Table}
	for _, child := range c.Children {
		names = append(names, child.Table)
	}
	return names
}

// Hash names the rule in a certificate: the SHA-256, in hex, of its canonical form.
func (c Carts) Hash() string {
	sum := sha256.Sum256(proof.CanonicalJSON(struct {
		Version    int         `json:"version"`
		Name       string      `json:"name"`
		Table      string      `json:"table"`
		When       string      `json:"when"`
		Since      string      `json:"since"`
		EraseAfter int64       `json:"erase_after"` // seconds
		Children   []CartChild `json:"children"`
	}{1, c.Name, c.Table, c.When, c.Since, int64(c.EraseAfter / time.Second), append([]CartChild{}, c.Children...)}))
	return hex.EncodeToString(sum[:])
}

// Check tells where the rule and the database do not fit, which stops the rule, and what works but should be
// known. Whether the predicate is right shows only when it is tried.
func (c Carts) Check(database Database) (problems, advice []Problem) {
	k := cartChecker{rule: c}
	k.database, k.tables = database, map[string]map[string]DatabaseColumn{}
	for _, column := range database.Columns {
		if k.tables[column.Table] == nil {
			k.tables[column.Table] = map[string]DatabaseColumn{}
		}
		k.tables[column.Table][column.Name] = column
	}
	k.carts()
	for _, child := range c.Children {
		k.child(child)
	}
	for _, key := range database.ForeignKeys {
		if slices.Contains(c.TableNames(), key.References) {
			k.foreignKey(key)
		}
	}
	return k.problems, k.advice
}

type cartChecker struct {
	checker
	rule   Carts
	advice []Problem
}

func (k *cartChecker) advise(table, format string, args ...any) {
	k.advice = append(k.advice, Problem{Table: table, Problem: fmt.Sprintf(format, args...)})
}

// found are the columns of a table from which kvit is to delete rows.
func (k *cartChecker) found(table string) map[string]DatabaseColumn {
	columns, ok := k.tables[table]
	if !ok {
		k.add(table, "", "does not exist, or is no table")
		return nil
	}
	k.rights(Table{Name: table, DeleteRows: true}, columns)
	return columns
}

func (k *cartChecker) carts() {
	table := k.rule.Table
	columns := k.found(table)
	if columns == nil {
		return
	}
	locked := false
	for _, column := range columns {
		locked = locked || !column.NoUpdate
	}
	if !locked {
		k.add(table, "", "cannot be locked row by row by kvit's database role: grant update on it, or on one of its columns")
	}
	since, ok := columns[k.rule.Since]
	switch {
	case !ok:
		k.add(table, k.rule.Since, "does not exist")
	case !slices.Contains(dateTypes, since.Base):
		k.add(table, k.rule.Since, "is %s and tells no time: use date, timestamp or timestamptz", since.Type)
	}
	isPrimary := func(i UniqueIndex) bool { return i.Table == table && i.Primary }
	if !slices.ContainsFunc(k.database.UniqueIndexes, isPrimary) {
		k.add(table, "", "has no primary key: its rows could not be told apart")
	}
}

func (k *cartChecker) child(child CartChild) {
	columns := k.found(child.Table)
	if columns == nil {
		return
	}
	own, ok := columns[child.Column]
	if !ok {
		k.add(child.Table, child.Column, "does not exist, but is matched with the cart")
	}
	carts, known := k.tables[k.rule.Table]
	if !known {
		return // the problem of that table
	}
	key, keyOK := carts[child.CartColumn]
	switch {
	case !keyOK:
		k.add(child.Table, child.Column, "is matched with %s.%s, which does not exist", k.rule.Table, child.CartColumn)
	case !key.Unique:
		k.add(child.Table, child.Column, "is matched with %s.%s, which has no unique index: its rows could belong to several carts",
			k.rule.Table, child.CartColumn)
	case ok && !comparableTypes(own, key):
		k.add(child.Table, child.Column, "is %s and cannot be compared with %s.%s, which is %s",
			own.Type, k.rule.Table, child.CartColumn, key.Type)
	}
	if ok && keyOK && !k.refers(child) {
		k.advise(child.Table, "has no foreign key to %s: a row that the shop adds to a cart while it is being deleted stays behind", k.rule.Table)
	}
}

// refers tells whether the database keeps the child's rows from having no cart.
func (k *cartChecker) refers(child CartChild) bool {
	return slices.ContainsFunc(k.database.ForeignKeys, func(key ForeignKey) bool {
		return key.Table == child.Table && key.References == k.rule.Table &&
			slices.Equal(key.Columns, []string{child.Column}) && slices.Equal(key.Keys, []string{child.CartColumn})
	})
}

// What becomes of a row when the row that it refers to is deleted, as ForeignKey.OnDelete has it.
const (
	onDeleteNothing  = "a" // the deletion is refused
	onDeleteRestrict = "r" // likewise
	onDeleteCascade  = "c"
)

// place is where among the children the table is; -1: it is none.
func (k *cartChecker) place(table string) int {
	return slices.IndexFunc(k.rule.Children, func(child CartChild) bool { return child.Table == table })
}

// foreignKey judges what the deletion does to rows that refer to the rule's tables.
func (k *cartChecker) foreignKey(key ForeignKey) {
	from, to := k.place(key.Table), k.place(key.References)
	switch {
	case from >= 0 && from == to, from >= 0 && to < 0:
		return // rows of one cart refer to each other, or go before it
	case from >= 0 && from < to:
		return
	case from >= 0 && (key.OnDelete == onDeleteNothing || key.OnDelete == onDeleteRestrict || key.OnDelete == onDeleteCascade):
		k.add(key.References, "", "loses its rows before %s, which refers to it by %s: name %s first", key.Table, key.Name, key.Table)
	case from < 0:
		k.outside(key)
	}
}

// outside judges a key of a table whose rows the rule does not delete.
func (k *cartChecker) outside(key ForeignKey) {
	columns := key.Table + "." + strings.Join(key.Columns, ", ")
	switch key.OnDelete {
	case onDeleteCascade:
		k.add(key.References, "", "loses its rows, and with them go rows of %s, unseen (%s is ON DELETE CASCADE): name that table among the children, or change the key",
			key.Table, key.Name)
	case onDeleteNothing, onDeleteRestrict:
		k.advise(key.References, "keeps the rows to which %s refers (by %s): such carts cannot be deleted", columns, key.Name)
	default:
		k.advise(key.References, "loses its rows, and %s no longer refers to them (by %s)", columns, key.Name)
	}
}
