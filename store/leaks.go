package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// The kinds of Leak.
const (
	LeakTrigger      = "trigger"           // fires when kvit erases, and may write elsewhere; Detail is its function
	LeakRule         = "rule"              // rewrites kvit's statements
	LeakMaterialized = "materialized view" // keeps copies until it is refreshed
	LeakPublication  = "publication"       // sends copies to subscribers
	LeakSlot         = "slot"              // sends changes of all tables elsewhere; Table is empty, Detail its plugin
	LeakForeign      = "foreign table"     // holds some of the table's rows in another database
	LeakChild        = "child"             // inherits from the table, and has columns of its own; Detail lists them
	LeakParent       = "parent"            // the table is a part of it
)

// Leak is something by which copies of a table's rows may be, or come, where an erasure does not look.
type Leak struct {
	Table  string // as it was asked for, "schema.table"
	Kind   string // one of those above
	Name   string // of the trigger, view, ...
	Detail string
}

// Leaks lists what may copy rows of tables, each named "schema.table", or hold copies of them. Triggers of kvit's own
// are left out, and so are those whose code, in PL/pgSQL, does nothing but look at the row and change it, and those that
// do nothing but insert tracking events.
func Leaks(ctx context.Context, db DB, tables []string) ([]Leak, error) {
	if len(tables) == 0 {
		return nil, nil
	}
	rows, _ := db.Query(ctx, `
		with recursive named (name, oid) as (
		    select n.name, `+classOf("n.quoted")+`
		    from unnest($1::text[], $2::text[]) as n (name, quoted)
		), parts (name, oid) as (
		    select name, oid from named
		    union
		    select p.name, i.inhrelid from parts p join pg_inherits i on i.inhparent = p.oid
		), readers (name, oid) as (
		    select name, oid from parts
		    union
		    select r.name, w.ev_class
		    from readers r
		    join pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = r.oid and d.classid = 'pg_rewrite'::regclass
		    join pg_rewrite w on w.oid = d.objid and w.ev_class <> r.oid and w.rulename = '_RETURN'
		), relation (oid, name, kind, part) as (
		    select c.oid, format('%s.%s', n.nspname, c.relname), c.relkind, c.relispartition
		    from pg_class c join pg_namespace n on n.oid = c.relnamespace
		)
		select p.name as table, '`+LeakTrigger+`' as kind, t.tgname::text as name, format('%s.%s', n.nspname, f.proname) as detail
		from parts p
		join pg_trigger t on t.tgrelid = p.oid and not t.tgisinternal and t.tgenabled in ('O', 'A') and t.tgparentid = 0
		    and t.tgtype & 24 <> 0 -- before or after delete or update
		join pg_proc f on f.oid = t.tgfoid
		join pg_language l on l.oid = f.prolang
		join pg_namespace n on n.oid = f.pronamespace and n.nspname <> 'kvit'
		where l.lanname <> 'plpgsql'
		    or regexp_replace(f.prosrc, '''[^'']*''', '', 'g') ~* '\m(insert|update|delete|merge|copy|perform|execute|call|select|notify)\M'
		union
		select p.name, '`+LeakRule+`', w.rulename::text, ''
		from parts p join pg_rewrite w on w.ev_class = p.oid and w.ev_type in ('2', '4') and w.rulename <> '_RETURN'
		union
		select r.name, '`+LeakMaterialized+`', v.name, ''
		from readers r join relation v on v.oid = r.oid and v.kind = 'm'
		union
		select p.name, '`+LeakPublication+`', t.pubname::text, ''
		from parts p
		join relation c on c.oid = p.oid
		join pg_publication_tables t on format('%s.%s', t.schemaname, t.tablename) = c.name
		union
		select '', '`+LeakSlot+`', s.slot_name::text, coalesce(s.plugin::text, '')
		from pg_replication_slots s where s.slot_type = 'logical' and s.database = current_database()
		union
		select p.name, '`+LeakForeign+`', c.name, ''
		from parts p join relation c on c.oid = p.oid and c.kind = 'f'
		union
		select p.name, '`+LeakChild+`', c.name, string_agg(a.attname, ', ' order by a.attnum)
		from parts p
		join relation c on c.oid = p.oid and not c.part
		join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attinhcount = 0
		where not exists (select from named n where n.oid = p.oid)
		group by p.name, c.name
		union
		select n.name, '`+LeakParent+`', c.name, ''
		from named n join pg_inherits i on i.inhrelid = n.oid join relation c on c.oid = i.inhparent
		order by 1, 2, 3`, tables, quoteTables(tables)) // Collect reports its error
	leaks, err := pgx.CollectRows(rows, pgx.RowToStructByName[Leak])
	if err != nil {
		return nil, fmt.Errorf("look for copies of tables: %w", err)
	}
	return withoutTrackers(ctx, db, leaks)
}
