package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"kvit/erasure/proof"
	"kvit/store"
)

// TableRule is a clock over a table of the shop's: when it is up for a row, the row is deleted or overwritten, and
// what belongs to it is deleted.
type TableRule struct {
	Name       string // stands in certificates
	Table      string // "schema.table"
	When       string // SQL predicate over the table; empty: all of its rows
	Since      string // column of the table, a time
	TimeZone   string // of Since, if it holds times without one; else empty
	EraseAfter time.Duration
	Columns    []Column     // what becomes of each column; empty: the rows are deleted
	Children   []TableChild // in the order in which their rows go, all before the rows of Table
}

// TableChild is a table whose rows belong to those of the rule's: its Column equals ParentColumn of that. Hashes in
// certificates are of its JSON, whose names never change.
type TableChild struct {
	Table        string `json:"table"` // "schema.table"
	Column       string `json:"column"`
	ParentColumn string `json:"cart_column"`
}

// TableNames are the rule's own table and those of its children.
func (r TableRule) TableNames() []string {
	names := []string{r.Table}
	for _, child := range r.Children {
		names = append(names, child.Table)
	}
	return names
}

// Hash names the rule in a certificate: the SHA-256, in hex, of its canonical form, of which new members are left
// out where they are empty.
func (r TableRule) Hash() string {
	sum := sha256.Sum256(proof.CanonicalJSON(struct {
		Version    int          `json:"version"`
		Name       string       `json:"name"`
		Table      string       `json:"table"`
		When       string       `json:"when"`
		Since      string       `json:"since"`
		EraseAfter int64        `json:"erase_after"` // seconds
		Children   []TableChild `json:"children"`
		TimeZone   string       `json:"time_zone,omitempty"`
		Columns    []Column     `json:"columns,omitempty"`
	}{
		1, r.Name, r.Table, r.When, r.Since, int64(r.EraseAfter / time.Second), append([]TableChild{}, r.Children...),
		r.TimeZone, sorted(r.Columns),
	}))
	return hex.EncodeToString(sum[:])
}

// own is the policy of the rule's own table.
func (r TableRule) own() Table {
	return Table{Name: r.Table, DeleteRows: len(r.Columns) == 0, Columns: r.Columns}
}

// Rows is the rule as the store takes it. Of the database it needs the columns of the rule's table.
func (r TableRule) Rows(database Database) store.TableRule {
	own := r.own()
	rule := store.TableRule{
		Table: r.Table, When: r.When, Since: r.Since, TimeZone: r.TimeZone, After: r.EraseAfter,
		Overwrite: !own.DeleteRows, Writes: own.writes(database),
	}
	for _, child := range r.Children {
		rule.Children = append(rule.Children, store.TableChild(child))
	}
	return rule
}

// Check tells where the rule and the database do not fit, which stops the rule, and what works but should be
// known. Whether the predicate is right shows only when it is tried.
func (r TableRule) Check(database Database) (problems, advice []Problem) {
	k := ruleChecker{rule: r, checker: newChecker(Policy{}, database)}
	k.own()
	for _, child := range r.Children {
		k.child(child)
	}
	for _, key := range database.ForeignKeys {
		if slices.Contains(r.TableNames(), key.References) {
			k.foreignKey(key)
		}
	}
	return k.problems, k.advice
}

type ruleChecker struct {
	*checker
	rule   TableRule
	advice []Problem
}

func (k *ruleChecker) advise(table, format string, args ...any) {
	k.advice = append(k.advice, Problem{Table: table, Problem: fmt.Sprintf(format, args...)})
}

// found are the columns of a table whose rows kvit is to erase.
func (k *ruleChecker) found(t Table) map[string]DatabaseColumn {
	columns, ok := k.tables[t.Name]
	if !ok || isView(columns) {
		k.add(t.Name, "", "does not exist, or is no table")
		return nil
	}
	k.rights(t, columns)
	return columns
}

func (k *ruleChecker) own() {
	t := k.rule.own()
	columns := k.found(t)
	if columns == nil {
		return
	}
	locked := false
	for _, column := range columns {
		locked = locked || !column.NoUpdate
	}
	if !locked {
		k.add(t.Name, "", "cannot be locked row by row by kvit's database role: grant update on it, or on one of its columns")
	}
	k.since(columns)
	i := slices.IndexFunc(k.database.UniqueIndexes, func(i UniqueIndex) bool { return i.Table == t.Name && i.Primary })
	if i < 0 {
		k.add(t.Name, "", "has no primary key: its rows could not be told apart")
	}
	if !t.DeleteRows {
		k.overwritten(t, columns, i)
	}
}

// since judges the time by which rows are due.
func (k *ruleChecker) since(columns map[string]DatabaseColumn) {
	since, ok := columns[k.rule.Since]
	zoneless := slices.Contains(zonelessTypes, since.Base)
	setting := "retention.tables." + k.rule.Name + ".time_zone"
	switch {
	case !ok:
		k.add(k.rule.Table, k.rule.Since, "does not exist")
	case !slices.Contains(dateTypes, since.Base):
		k.add(k.rule.Table, k.rule.Since, "is %s and tells no time: use date, timestamp or timestamptz", since.Type)
	case zoneless && k.rule.TimeZone == "":
		k.add(k.rule.Table, k.rule.Since, "is %s, a time without a time zone: name the zone as %s, such as Europe/Copenhagen or UTC", since.Base, setting)
	case !zoneless && k.rule.TimeZone != "":
		k.add(k.rule.Table, k.rule.Since, "is %s, a time with a time zone of its own: leave %s out", since.Base, setting)
	}
}

// overwritten judges columns as the policy's are. A row must be told afterwards by the primary key that it had.
func (k *ruleChecker) overwritten(t Table, columns map[string]DatabaseColumn, primary int) {
	k.columns(t, columns, false)
	k.uniqueIndexes(t)
	k.foreignKeys(t)
	if primary < 0 {
		return
	}
	for _, name := range k.database.UniqueIndexes[primary].Columns {
		if t.strategyOf(name) != Keep {
			k.add(t.Name, name, "is of the primary key, which tells the rows apart: it can only be keep")
		}
	}
}

func (k *ruleChecker) child(child TableChild) {
	columns := k.found(Table{Name: child.Table, DeleteRows: true})
	if columns == nil {
		return
	}
	own, ok := columns[child.Column]
	if !ok {
		k.add(child.Table, child.Column, "does not exist, but is matched with %s", k.rule.Table)
	}
	parent, known := k.tables[k.rule.Table]
	if !known {
		return // the problem of that table
	}
	key, keyOK := parent[child.ParentColumn]
	switch {
	case !keyOK:
		k.add(child.Table, child.Column, "is matched with %s.%s, which does not exist", k.rule.Table, child.ParentColumn)
	case !key.Unique:
		k.add(child.Table, child.Column, "is matched with %s.%s, which has no unique index: its rows could belong to several rows there",
			k.rule.Table, child.ParentColumn)
	case ok && !comparableTypes(own, key):
		k.add(child.Table, child.Column, "is %s and cannot be compared with %s.%s, which is %s",
			own.Type, k.rule.Table, child.ParentColumn, key.Type)
	}
	if ok && keyOK && !k.refers(child) {
		k.advise(child.Table, "has no foreign key to %s: a row that the shop adds while that one is being erased stays behind", k.rule.Table)
	}
}

// refers tells whether the database keeps the child's rows from having no parent.
func (k *ruleChecker) refers(child TableChild) bool {
	return slices.ContainsFunc(k.database.ForeignKeys, func(key ForeignKey) bool {
		return key.Table == child.Table && key.References == k.rule.Table &&
			slices.Equal(key.Columns, []string{child.Column}) && slices.Equal(key.Keys, []string{child.ParentColumn})
	})
}

// What becomes of a row when the row that it refers to is deleted, as ForeignKey.OnDelete has it.
const (
	onDeleteNothing  = "a" // the deletion is refused
	onDeleteRestrict = "r" // likewise
	onDeleteCascade  = "c"
)

// place is where among the children the table is; -1: it is none.
func (k *ruleChecker) place(table string) int {
	return slices.IndexFunc(k.rule.Children, func(child TableChild) bool { return child.Table == table })
}

// foreignKey judges what the deletion does to rows that refer to the rule's tables.
func (k *ruleChecker) foreignKey(key ForeignKey) {
	from, to := k.place(key.Table), k.place(key.References)
	switch {
	case to < 0 && !k.rule.own().DeleteRows:
		return // its rows stay
	case from >= 0 && from == to, from >= 0 && to < 0:
		return // rows that go together, or before the row
	case from >= 0 && from < to:
		return
	case from >= 0 && (key.OnDelete == onDeleteNothing || key.OnDelete == onDeleteRestrict || key.OnDelete == onDeleteCascade):
		k.add(key.References, "", "loses its rows before %s, which refers to it by %s: name %s first", key.Table, key.Name, key.Table)
	case from < 0:
		k.outside(key)
	}
}

// outside judges a key of a table whose rows the rule does not delete.
func (k *ruleChecker) outside(key ForeignKey) {
	columns := key.Table + "." + strings.Join(key.Columns, ", ")
	switch key.OnDelete {
	case onDeleteCascade:
		k.add(key.References, "", "loses its rows, and with them go rows of %s, unseen (%s is ON DELETE CASCADE): name that table among the children, or change the key",
			key.Table, key.Name)
	case onDeleteNothing, onDeleteRestrict:
		k.advise(key.References, "keeps the rows to which %s refers (by %s): such rows cannot be deleted", columns, key.Name)
	default:
		k.advise(key.References, "loses its rows, and %s no longer refers to them (by %s)", columns, key.Name)
	}
}
