package policy

import (
	"slices"

	"kvit/store"
)

// Database is what the policy is checked against.
type Database struct {
	Columns       []DatabaseColumn // of the policy's tables
	ForeignKeys   []ForeignKey     // of the whole database
	UniqueIndexes []UniqueIndex    // of the policy's tables
}

// What the catalog says, as the store reads it.
type (
	// DatabaseColumn is a column of a table.
	DatabaseColumn = store.TableColumn
	// ForeignKey says that Columns of Table refer to Keys of the table References.
	ForeignKey = store.Reference
	// UniqueIndex is a unique index over one column or several, whole or partial.
	UniqueIndex = store.UniqueIndex
)

func (d Database) column(table, name string) (DatabaseColumn, bool) {
	i := slices.IndexFunc(d.Columns, func(c DatabaseColumn) bool { return c.Table == table && c.Name == name })
	if i < 0 {
		return DatabaseColumn{}, false
	}
	return d.Columns[i], true
}
