package store

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// TableColumn is a column of a shop's table.
type TableColumn struct {
	Table     string // as it was asked for, "schema.table"
	Name      string
	Type      string // as Postgres names it, "character varying(40)"
	Family    string // pg_type.typcategory: "S" strings, "N" numbers, "D" times, ...
	NotNull   bool
	Generated bool // Postgres alone writes it: a generated or "always" identity column
	Unique    bool // a unique index holds this column alone
	MaxLength int  // in characters; 0: no limit

	// What kvit's database role may not do.
	NoSelect   bool // read the table
	NoUpdate   bool // write the column
	NoDelete   bool // delete rows of the table
	HiddenRows bool // row security applies to the role: it may not see every row
}

// TableColumns lists the columns of tables, each named "schema.table". A table that does not exist,
// or is a view, has none.
func TableColumns(ctx context.Context, db DB, tables []string) ([]TableColumn, error) {
	rows, _ := db.Query(ctx, `
		select n.name as table, a.attname::text as name, format_type(a.atttypid, a.atttypmod) as type,
		       t.typcategory::text as family, a.attnotnull or t.typnotnull as not_null,
		       a.attgenerated <> '' or a.attidentity = 'a' as generated,
		       exists (
		           select from pg_index i
		           where i.indrelid = c.oid and i.indisunique and i.indisvalid and i.indpred is null
		             and i.indnkeyatts = 1 and i.indkey[0] = a.attnum
		       ) as unique,
		       case
		           when base.oid = 'name'::regtype then 63
		           when base.oid in ('varchar'::regtype, 'bpchar'::regtype) and m.typmod > 4 then m.typmod - 4
		           else 0
		       end as max_length,
		       not has_table_privilege(c.oid, 'select') as no_select,
		       not has_column_privilege(c.oid, a.attnum, 'update') as no_update,
		       not has_table_privilege(c.oid, 'delete') as no_delete,
		       row_security_active(c.oid) as hidden_rows
		from unnest($1::text[], $2::text[]) as n (name, quoted)
		join pg_class c on c.oid = to_regclass(n.quoted) and c.relkind in ('r', 'p')
		join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
		join pg_type t on t.oid = a.atttypid
		join pg_type base on base.oid = coalesce(nullif(t.typbasetype, 0), t.oid)
		cross join lateral (select case when t.typtype = 'd' then t.typtypmod else a.atttypmod end as typmod) m
		order by n.name, a.attnum`, tables, quoteTables(tables)) // Collect reports its error
	columns, err := pgx.CollectRows(rows, pgx.RowToStructByName[TableColumn])
	if err != nil {
		return nil, fmt.Errorf("read columns: %w", err)
	}
	return columns, nil
}

// LockTables keeps the tables' columns as they are until the transaction ends: what TableColumns
// tells afterwards stays true. It hinders no reader or writer. Tables that do not exist,
// or that kvit's role may not read, are left out: TableColumns tells of them.
func LockTables(ctx context.Context, tx pgx.Tx, tables []string) error {
	rows, _ := tx.Query(ctx, `
		select n.quoted
		from unnest($1::text[]) as n (quoted)
		join pg_class c on c.oid = to_regclass(n.quoted) and c.relkind in ('r', 'p')
		where has_table_privilege(c.oid, 'select')`, quoteTables(tables)) // Collect reports its error
	quoted, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("find tables: %w", err)
	}
	if len(quoted) == 0 {
		return nil
	}
	slices.Sort(quoted) // every process locks in the same order
	if _, err := tx.Exec(ctx, `lock table `+strings.Join(quoted, ", ")+` in access share mode`); err != nil {
		return fmt.Errorf("lock tables: %w", err)
	}
	return nil
}

func quoteTables(tables []string) []string {
	quoted := make([]string, len(tables))
	for i, t := range tables {
		quoted[i] = QuoteTable(t)
	}
	return quoted
}

// HasDueIndex tells whether the shop's orders table has an index that leads to the orders that are
// due without reading the whole table: one that begins with the imported_at column.
func HasDueIndex(ctx context.Context, db DB, o Orders) (bool, error) {
	var found bool
	err := db.QueryRow(ctx, `
		select exists (
		    select from pg_index i
		    join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
		    where i.indrelid = to_regclass($1) and i.indisvalid and a.attname = $2
		      and (i.indpred is null
		           or pg_get_expr(i.indpred, i.indrelid) in (format('(%I IS NULL)', $3::text), format('(%I IS NOT NULL)', $2::text)))
		)`, QuoteTable(o.Table), o.ImportedAt, o.ErasedAt).Scan(&found)
	if err != nil {
		return false, fmt.Errorf("look for an index on %s.%s: %w", o.Table, o.ImportedAt, err)
	}
	return found, nil
}

// DueIndex is the statement that makes the index HasDueIndex looks for. kvit does not run it: the
// table is the shop's. Only orders that are not yet erased are in it, so it stays small.
func (o Orders) DueIndex() string {
	return o.sql(`create index concurrently on {orders} ({imported_at}) where {erased_at} is null`)
}
