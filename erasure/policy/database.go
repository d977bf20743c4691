package policy

import "slices"

// Database is what the policy is checked against.
type Database struct {
	Columns       []DatabaseColumn // of the policy's tables
	ForeignKeys   []ForeignKey     // from and to these tables, and on to the tables that refer to those
	UniqueIndexes []UniqueIndex    // of the policy's tables
}

// DatabaseColumn is a column as the database has it.
type DatabaseColumn struct {
	Table     string // as the policy names it
	Name      string
	Type      string // as Postgres names it, "character varying(40)"
	Base      string // the same without length, and of a domain what it is made of: "character varying"
	Family    string // Postgres' category of types that compare with each other: "S" strings, "N" numbers, "D" times, ...
	NotNull   bool
	Generated bool // Postgres alone writes it: a generated or "always" identity column
	Unique    bool // no two rows have the same value in it
	Checked   bool // a CHECK constraint looks at it, the table's or its domain's
	MaxLength int  // in characters; 0: no limit
	View      bool // of a view

	// UniqueInParts is Unique as far as it goes in a partitioned table: within each partition, or beside
	// the columns by which it is partitioned.
	UniqueInParts bool

	// What kvit's database role may not do.
	NoSelect   bool // read the table
	NoUpdate   bool // write the column
	NoDelete   bool // delete rows of the table
	HiddenRows bool // row security applies to the role: it may not see every row
}

// ForeignKey says that Columns of Table refer to Keys of the table References.
type ForeignKey struct {
	Name       string
	Table      string // "schema.table"
	Columns    []string
	References string // "schema.table"
	Keys       []string
	OnDelete   string // pg_constraint.confdeltype: "a" no action, "r" restrict, "c" cascade, "n" set null, "d" set default
}

// UniqueIndex is a unique index over one column or several, whole or partial.
type UniqueIndex struct {
	Name       string
	Table      string   // "schema.table"
	Columns    []string // for an index on an expression, those that it reads
	Primary    bool     // the primary key's
	NullsEqual bool     // two nulls count as equal (NULLS NOT DISTINCT)
}

func (d Database) column(table, name string) (DatabaseColumn, bool) {
	i := slices.IndexFunc(d.Columns, func(c DatabaseColumn) bool { return c.Table == table && c.Name == name })
	if i < 0 {
		return DatabaseColumn{}, false
	}
	return d.Columns[i], true
}
