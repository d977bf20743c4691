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
	Base      string // the same without length, and of a domain what it is made of: "character varying"
	Family    string // pg_type.typcategory: "S" strings, "N" numbers, "D" times, ...
	NotNull   bool
	Generated bool // Postgres alone writes it: a generated or "always" identity column
	Unique    bool // a unique index holds this column alone
	Checked   bool // a CHECK constraint looks at it, the table's or its domain's
	MaxLength int  // in characters; 0: no limit
	View      bool // of a view
	OwnEqual  bool // its type has an = of its own, as citext has: not one of Postgres', which are all that kvit's statements find

	// UniqueInParts is Unique as far as it goes in a partitioned table: within each partition, or beside
	// the columns by which it is partitioned.
	UniqueInParts bool

	// What kvit's database role may not do.
	NoSelect   bool // read the table
	NoUpdate   bool // write the column
	NoDelete   bool // delete rows of the table
	HiddenRows bool // row security applies to the role: it may not see every row
}

// TableColumns lists the columns of tables and views, each named "schema.table". One that does not exist
// has none.
func TableColumns(ctx context.Context, db DB, tables []string) ([]TableColumn, error) {
	rows, _ := db.Query(ctx, `
		select n.name as table, a.attname::text as name, format_type(a.atttypid, a.atttypmod) as type,
		       format_type(base.oid, null) as base, t.typcategory::text as family, a.attnotnull or t.typnotnull as not_null,
		       a.attgenerated <> '' or a.attidentity = 'a' as generated,
		       exists (
		           select from pg_index i
		           where i.indrelid = c.oid and i.indisunique and i.indisvalid and i.indpred is null
		             and i.indnkeyatts = 1 and i.indkey[0] = a.attnum
		       ) as unique,
		       exists (
		           select from pg_constraint k
		           where k.contype = 'c' and (k.conrelid = c.oid and a.attnum = any (k.conkey) or k.contypid = t.oid)
		       ) as checked,
		       case
		           when base.oid = 'name'::regtype then 63
		           when base.oid in ('varchar'::regtype, 'bpchar'::regtype) and m.typmod > 4 then m.typmod - 4
		           else 0
		       end as max_length,
		       not (has_table_privilege(c.oid, 'select') and has_schema_privilege(c.relnamespace, 'usage')) as no_select,
		       not has_column_privilege(c.oid, a.attnum, 'update')
		       or c.relkind = 'v' and not pg_column_is_updatable(c.oid, a.attnum, false) as no_update,
		       not has_table_privilege(c.oid, 'delete') as no_delete,
		       row_security_active(c.oid) as hidden_rows, c.relkind = 'v' as view,
		       exists (
		           select from pg_opclass k join pg_namespace kn on kn.oid = k.opcnamespace
		           where k.opcintype = base.oid and k.opcdefault and kn.nspname <> 'pg_catalog'
		       ) as own_equal,
		       coalesce((
		           select bool_or(a.attnum = any (k.cols) and k.cols <@ (array[a.attnum] || string_to_array(part.partattrs::text, ' ')::smallint[]))
		           from pg_partitioned_table part
		           join pg_index i on i.indrelid = part.partrelid and i.indisunique and i.indisvalid and i.indpred is null
		           cross join lateral (select (string_to_array(i.indkey::text, ' ')::smallint[])[1:i.indnkeyatts] as cols) k
		           where part.partrelid = c.oid), false) as unique_in_parts
		from unnest($1::text[], $2::text[]) as n (name, quoted)
		join pg_class c on c.oid = `+classOf("n.quoted")+` and c.relkind in ('r', 'p', 'v')
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

// Reference is a foreign key: Columns of Table refer to Keys of the table References.
type Reference struct {
	Name       string
	Table      string // "schema.table"
	Columns    []string
	References string // "schema.table"
	Keys       []string
	OnDelete   string // pg_constraint.confdeltype: "a" no action, "r" restrict, "c" cascade, "n" set null, "d" set default
}

// References lists the foreign keys of the whole database but for kvit's own: whatever a policy names,
// its reach goes on over tables that it does not. Those of partitions are the partitioned table's.
func References(ctx context.Context, db DB) ([]Reference, error) {
	rows, _ := db.Query(ctx, `
		select k.conname::text as name, format('%s.%s', cn.nspname, c.relname) as table, own.names as columns,
		       format('%s.%s', fn.nspname, f.relname) as references, theirs.names as keys, k.confdeltype::text as on_delete
		from pg_constraint k
		join pg_class c on c.oid = k.conrelid and not c.relispartition
		join pg_namespace cn on cn.oid = c.relnamespace
		join pg_class f on f.oid = k.confrelid
		join pg_namespace fn on fn.oid = f.relnamespace
		cross join lateral (
		    select array_agg(a.attname::text order by u.place) as names
		    from unnest(k.conkey) with ordinality u (attnum, place)
		    join pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.attnum
		) own
		cross join lateral (
		    select array_agg(a.attname::text order by u.place) as names
		    from unnest(k.confkey) with ordinality u (attnum, place)
		    join pg_attribute a on a.attrelid = k.confrelid and a.attnum = u.attnum
		) theirs
		where k.contype = 'f' and k.conparentid = 0 and cn.nspname <> 'kvit'
		order by 2, 1`) // Collect reports its error
	keys, err := pgx.CollectRows(rows, pgx.RowToStructByName[Reference])
	if err != nil {
		return nil, fmt.Errorf("read foreign keys: %w", err)
	}
	return keys, nil
}

// UniqueIndex is a unique index over one column or several, whole or partial.
type UniqueIndex struct {
	Name       string
	Table      string   // as it was asked for, "schema.table"
	Columns    []string // for an index on an expression, those that it reads
	Primary    bool     // the primary key's
	NullsEqual bool     // two nulls count as equal (NULLS NOT DISTINCT)
}

// UniqueIndexes lists the unique indexes of tables, each named "schema.table".
func UniqueIndexes(ctx context.Context, db DB, tables []string) ([]UniqueIndex, error) {
	// Postgres 14 has no column indnullsnotdistinct: as JSON, one can ask for it all the same. An
	// expression is 0 in indkey; what it reads is among the index's dependencies.
	rows, _ := db.Query(ctx, `
		select x.relname::text as name, n.name as table, array_agg(a.attname::text order by a.attnum) as columns,
		       bool_or(i.indisprimary) as primary,
		       bool_or(coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false)) as nulls_equal
		from unnest($1::text[], $2::text[]) as n (name, quoted)
		join pg_index i on i.indrelid = `+classOf("n.quoted")+` and i.indisunique
		join pg_class x on x.oid = i.indexrelid
		join pg_attribute a on a.attrelid = i.indrelid and a.attnum > 0 and (
		    a.attnum = any ((string_to_array(i.indkey::text, ' ')::smallint[])[1:i.indnkeyatts])
		    or 0 = any (i.indkey) and exists (
		        select from pg_depend d
		        where d.classid = 'pg_class'::regclass and d.objid = i.indexrelid
		          and d.refclassid = 'pg_class'::regclass and d.refobjid = i.indrelid and d.refobjsubid = a.attnum))
		group by x.relname, n.name
		order by 2, 1`, tables, quoteTables(tables)) // Collect reports its error
	indexes, err := pgx.CollectRows(rows, pgx.RowToStructByName[UniqueIndex])
	if err != nil {
		return nil, fmt.Errorf("read unique indexes: %w", err)
	}
	return indexes, nil
}

// LockTables keeps the tables' columns as they are until the transaction ends: what TableColumns
// tells afterwards stays true. It hinders no reader or writer. Tables that do not exist,
// or that kvit's role may not read, are left out: TableColumns tells of them.
func LockTables(ctx context.Context, tx pgx.Tx, tables []string) error {
	rows, _ := tx.Query(ctx, `
		select n.quoted
		from unnest($1::text[]) as n (quoted)
		join pg_class c on c.oid = `+classOf("n.quoted")+` and c.relkind in ('r', 'p', 'v')
		where has_table_privilege(c.oid, 'select') and has_schema_privilege(c.relnamespace, 'usage')`, quoteTables(tables)) // Collect reports its error
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

// classOf is the oid of the table whose quoted name, with its schema, the SQL expression holds; null if there is none.
// Unlike to_regclass it is no error that kvit's role may not use the schema: one such table is not the others' problem.
func classOf(quoted string) string {
	return `(select k.oid from pg_class k join pg_namespace s on s.oid = k.relnamespace
		     where s.nspname = (parse_ident(` + quoted + `))[1] and k.relname = (parse_ident(` + quoted + `))[2])`
}

func quoteTables(tables []string) []string {
	quoted := make([]string, len(tables))
	for i, t := range tables {
		quoted[i] = QuoteTable(t)
	}
	return quoted
}
