package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
)

// CatalogTable is a table of the shop as Postgres' catalog describes it: names, types and keys. None of
// its rows is read for it, and kvit's role needs no right on it.
type CatalogTable struct {
	Name    string // "schema.table"
	Columns []CatalogColumn
	Keys    []CatalogKey // that it has, not those that lead to it
}

// CatalogColumn is a column of a CatalogTable.
type CatalogColumn struct {
	Table      string // "schema.table"
	Name       string
	Type       string // as Postgres names it, "character varying(40)"
	Base       string // pg_type.typname, of the type below where Type is a domain: "varchar"
	Family     string // pg_type.typcategory: "S" strings, "N" numbers, "D" times, ...
	NotNull    bool
	Generated  bool // Postgres alone writes it: a generated or "always" identity column
	PrimaryKey bool // part of it
	Unique     bool // a unique index depends on it: alone, beside others, or in an expression as lower(email)
	Checked    bool // a CHECK constraint looks at it
	Referenced bool // a foreign key leads to it
	MaxLength  int  // in characters; 0: no limit
}

// CatalogKey ties Columns of a table to OtherColumns of Other, one to one.
type CatalogKey struct {
	Table        string // "schema.table"
	Columns      []string
	Other        string // "schema.table"
	OtherColumns []string
}

// RelatedTables describes the orders table, those that lead to it by at most depth foreign keys, the
// tables of more, and those that lead to these by one key less: the orders table first, then by distance
// and name. A table that does not exist, or is a view, is an error.
func RelatedTables(ctx context.Context, db DB, orders string, more []string, depth int) ([]CatalogTable, error) {
	roots := append([]string{orders}, more...)
	names, err := relatedNames(ctx, db, roots, depth)
	if err != nil {
		return nil, err
	}
	for _, root := range roots {
		if !slices.Contains(names, root) {
			return nil, fmt.Errorf("table %s does not exist, or is no table", root)
		}
	}
	columns, err := catalogColumns(ctx, db, names)
	if err != nil {
		return nil, err
	}
	keys, err := catalogKeys(ctx, db, names)
	if err != nil {
		return nil, err
	}
	tables := make([]CatalogTable, len(names))
	for i, name := range names {
		tables[i] = CatalogTable{Name: name, Columns: columns[name], Keys: keys[name]}
	}
	return tables, nil
}

// relatedNames walks the foreign keys backwards. Those that partitions inherit are left out: they
// have a parent constraint, and the partitioned table stands for its partitions.
func relatedNames(ctx context.Context, db DB, roots []string, depth int) ([]string, error) {
	rows, _ := db.Query(ctx, `
		with recursive related (oid, depth) as (
		    select to_regclass(n.quoted)::oid, least(n.position - 1, 1)
		    from unnest($1::text[]) with ordinality as n (quoted, position)
		    union
		    select k.conrelid, r.depth + 1
		    from related r
		    join pg_constraint k on k.confrelid = r.oid and k.contype = 'f' and k.conparentid = 0
		    where r.depth < $2
		)
		select n.nspname || '.' || c.relname
		from related r
		join pg_class c on c.oid = r.oid and c.relkind in ('r', 'p')
		join pg_namespace n on n.oid = c.relnamespace
		group by 1
		order by min(r.depth), 1`, quoteTables(roots), depth) // Collect reports its error
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("find tables that refer to the orders: %w", err)
	}
	return names, nil
}

func catalogColumns(ctx context.Context, db DB, tables []string) (map[string][]CatalogColumn, error) {
	rows, _ := db.Query(ctx, `
		select n.name as table, a.attname::text as name, format_type(a.atttypid, a.atttypmod) as type,
		       base.typname::text as base, t.typcategory::text as family,
		       a.attnotnull or t.typnotnull as not_null,
		       a.attgenerated <> '' or a.attidentity = 'a' as generated,
		       exists (
		           select from pg_index i
		           where i.indrelid = c.oid and i.indisprimary and a.attnum = any (i.indkey)
		       ) as primary_key,
		       exists (
		           select from pg_index i
		           where i.indrelid = c.oid and i.indisunique
		             and (a.attnum = any ((i.indkey::smallint[])[0:i.indnkeyatts - 1])
		                  or 0 = any (i.indkey) and exists (
		                      select from pg_depend d
		                      where d.classid = 'pg_class'::regclass and d.objid = i.indexrelid
		                        and d.refclassid = 'pg_class'::regclass and d.refobjid = c.oid and d.refobjsubid = a.attnum))
		       ) as unique,
		       exists (
		           select from pg_constraint k
		           where k.contype = 'c' and (k.conrelid = c.oid and a.attnum = any (k.conkey) or k.contypid = t.oid)
		       ) as checked,
		       exists (
		           select from pg_constraint k
		           where k.contype = 'f' and k.confrelid = c.oid and a.attnum = any (k.confkey)
		       ) as referenced,
		       case
		           when base.oid = 'name'::regtype then 63
		           when base.oid in ('varchar'::regtype, 'bpchar'::regtype) and m.typmod > 4 then m.typmod - 4
		           else 0
		       end as max_length
		from unnest($1::text[], $2::text[]) as n (name, quoted)
		join pg_class c on c.oid = to_regclass(n.quoted)
		join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
		join pg_type t on t.oid = a.atttypid
		join pg_type base on base.oid = coalesce(nullif(t.typbasetype, 0), t.oid)
		cross join lateral (select case when t.typtype = 'd' then t.typtypmod else a.atttypmod end as typmod) m
		order by n.name, a.attnum`, tables, quoteTables(tables)) // Collect reports its error
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[CatalogColumn])
	if err != nil {
		return nil, fmt.Errorf("read columns: %w", err)
	}
	columns := map[string][]CatalogColumn{}
	for _, c := range list {
		columns[c.Table] = append(columns[c.Table], c)
	}
	return columns, nil
}

func catalogKeys(ctx context.Context, db DB, tables []string) (map[string][]CatalogKey, error) {
	rows, _ := db.Query(ctx, `
		select n.name as table, here.names as columns, s.nspname || '.' || o.relname as other, there.names as other_columns
		from unnest($1::text[], $2::text[]) as n (name, quoted)
		join pg_constraint k on k.conrelid = to_regclass(n.quoted) and k.contype = 'f'
		join pg_class o on o.oid = k.confrelid
		join pg_namespace s on s.oid = o.relnamespace
		cross join lateral (
		    select array_agg(a.attname::text order by p.position) as names
		    from unnest(k.conkey) with ordinality as p (attnum, position)
		    join pg_attribute a on a.attrelid = k.conrelid and a.attnum = p.attnum
		) here
		cross join lateral (
		    select array_agg(a.attname::text order by p.position) as names
		    from unnest(k.confkey) with ordinality as p (attnum, position)
		    join pg_attribute a on a.attrelid = k.confrelid and a.attnum = p.attnum
		) there
		where k.conparentid = 0 or not exists (select from pg_constraint p where p.oid = k.conparentid and p.conrelid = k.conrelid)
		order by n.name, k.conname`, tables, quoteTables(tables)) // Collect reports its error
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[CatalogKey])
	if err != nil {
		return nil, fmt.Errorf("read foreign keys: %w", err)
	}
	keys := map[string][]CatalogKey{}
	for _, k := range list {
		keys[k.Table] = append(keys[k.Table], k)
	}
	return keys, nil
}
