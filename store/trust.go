package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Maker is a role other than kvit's that may make objects in a schema.
type Maker struct {
	Schema string
	Role   string // "everybody" for PUBLIC
}

// Makers lists who may create in the schemas that the session looks names up in, but for superusers, who may do everything
// anyway, and those of Postgres itself.
func Makers(ctx context.Context, db DB) ([]Maker, error) {
	rows, _ := db.Query(ctx, `
		select n.nspname::text as schema, coalesce(r.rolname::text, 'everybody') as role
		from unnest(current_schemas(true)) with ordinality s (name, place)
		join pg_namespace n on n.nspname = s.name and n.nspname <> 'pg_catalog' and n.oid <> pg_my_temp_schema()
		cross join lateral aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a
		left join pg_roles r on r.oid = a.grantee
		where a.privilege_type = 'CREATE' and coalesce(not r.rolsuper and r.rolname <> current_user, true)
		order by s.place, a.grantee`) // Collect reports its error
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[Maker])
	if err != nil {
		return nil, fmt.Errorf("read who may create in schemas: %w", err)
	}
	return list, nil
}

// Might is what kvit's role may do beyond what kvit needs.
type Might struct {
	Role      string
	Superuser bool
	Owned     []string // tables and views outside of the schema kvit that belong to it, or to a role that it is a member of
}

// RoleMight reads it. A superuser owns nothing but what is its own.
func RoleMight(ctx context.Context, db DB) (Might, error) {
	rows, _ := db.Query(ctx, `
		select r.rolname::text as role, r.rolsuper as superuser, (select array(
		           select format('%s.%s', n.nspname, c.relname)
		           from pg_class c
		           join pg_namespace n on n.oid = c.relnamespace
		           where c.relkind in ('r', 'p', 'v', 'm') and n.nspname not in ('kvit', 'pg_catalog', 'information_schema')
		             and n.nspname !~ '^pg_(toast|temp)'
		             and (c.relowner = r.oid or not r.rolsuper and pg_has_role(c.relowner, 'usage'))
		           order by 1)) as owned
		from pg_roles r
		where r.rolname = current_user`) // Collect reports its error
	might, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Might])
	if err != nil {
		return Might{}, fmt.Errorf("read what kvit's role may do: %w", err)
	}
	return might, nil
}

// ForeignTrigger is a trigger of the shop's whose function runs with kvit's rights when kvit erases.
type ForeignTrigger struct {
	Table    string // as it was asked for, "schema.table"
	Name     string
	Function string // "schema.function"
	Owner    string // of the function: who says what it does
}

// ForeignTriggers lists those that fire when rows of the tables, each named "schema.table", or of their partitions are
// updated or deleted. Functions that run with their owner's rights (security definer) are left out, and those that belong to kvit's
// role.
func ForeignTriggers(ctx context.Context, db DB, tables []string) ([]ForeignTrigger, error) {
	rows, _ := db.Query(ctx, `
		with recursive parts (name, oid) as (
		    select n.name, `+classOf("n.quoted")+`
		    from unnest($1::text[], $2::text[]) as n (name, quoted)
		    union
		    select p.name, i.inhrelid from parts p join pg_inherits i on i.inhparent = p.oid
		)
		select distinct p.name as table, t.tgname::text as name, format('%s.%s', n.nspname, f.proname) as function,
		       pg_get_userbyid(f.proowner)::text as owner
		from parts p
		join pg_trigger t on t.tgrelid = p.oid and not t.tgisinternal and t.tgenabled in ('O', 'A') and t.tgparentid = 0
		    and t.tgtype & 24 <> 0 -- before or after delete or update
		join pg_proc f on f.oid = t.tgfoid and not f.prosecdef and f.proowner <> (select oid from pg_roles where rolname = current_user)
		join pg_namespace n on n.oid = f.pronamespace
		order by 1, 2`, tables, quoteTables(tables)) // Collect reports its error
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[ForeignTrigger])
	if err != nil {
		return nil, fmt.Errorf("read triggers: %w", err)
	}
	return list, nil
}
