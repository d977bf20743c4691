package store

import (
	"context"
	"fmt"
)

// Lookup is a column by which rows are looked for.
type Lookup struct {
	Table  string // "schema.table"
	Column string
	Fold   bool // capital letters equal small ones
}

// fewRows is the size of a table that may as well be read whole.
const fewRows = 10_000

// LacksIndex tells whether a lookup reads a whole table, and one of more than 10,000 rows.
func LacksIndex(ctx context.Context, db DB, k Lookup) (bool, error) {
	var lacks bool
	err := db.QueryRow(ctx, `
		select coalesce((
		    select c.reltuples > $4 and not exists (
		        select from pg_index i
		        where i.indrelid = c.oid and i.indisvalid and i.indpred is null
		          and case when $3
		              then pg_get_indexdef(i.indexrelid, 1, false) ~ ('^lower\(\(?"?' || $2 || '"?\)?(::text)?\)$')
		              else exists (select from pg_attribute a where a.attrelid = c.oid and a.attnum = i.indkey[0] and a.attname = $2)
		          end)
		    from pg_class c
		    where c.oid = `+classOf("$1")+`), false)`, QuoteTable(k.Table), k.Column, k.Fold, fewRows).Scan(&lacks)
	if err != nil {
		return false, fmt.Errorf("look for an index on %s.%s: %w", k.Table, k.Column, err)
	}
	return lacks, nil
}

// Index is the statement that makes the index. kvit does not run it: the table is the shop's.
func (k Lookup) Index() string {
	column := QuoteColumn(k.Column)
	if k.Fold {
		column = "lower(" + column + "::text)"
	}
	return "create index concurrently on " + QuoteTable(k.Table) + " (" + column + ")"
}
