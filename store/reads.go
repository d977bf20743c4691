package store

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"
)

// Condition is an SQL condition of the configuration, by the words of its key.
type Condition struct {
	Name  string
	query string // reads rows for which the condition is true
}

// Conditions are those over the orders table, each as its statements have it.
func (o Orders) Conditions() []Condition {
	list := []Condition{{Name: "shop.orders.awaiting_import", query: o.sql(`select 1 as one from {orders} o where {awaiting_import}`)}}
	for _, c := range o.Clocks {
		list = append(list, Condition{Name: "retention.clocks." + c.Name, query: o.sql(`select 1 as one from {orders} o where `) + c.when()})
	}
	return list
}

// ConditionOf is the condition of a way of a table's rows to their orders.
func ConditionOf(table, when string) Condition {
	return Condition{Name: "retention.policy, table " + table, query: `select 1 as one from ` + QuoteTable(table) + ` t where ` + Link{When: when}.when("t")}
}

// Condition is the rule's; name is that of its key.
func (r TableRule) Condition(name string) Condition {
	return Condition{Name: name, query: `select 1 as one from ` + r.from() + ` where ` + r.when()}
}

// Read is what conditions read: what their names mean in this database.
type Read struct {
	Tables    []string          // "schema.table"; views, too
	Functions []string          // with types of arguments, as grants take them: those that not everybody may execute
	Unknown   map[string]string // conditions of which it cannot be told, and why
}

// ReadsOf tells what conditions read. Postgres tells: each becomes a view for a moment, which takes no right on what it
// reads, and the catalog lists what the view depends on.
func ReadsOf(ctx context.Context, db DB, conditions []Condition) (Read, error) {
	read := Read{Unknown: map[string]string{}}
	tables, functions := map[string]bool{}, map[string]bool{}
	for _, c := range conditions {
		err := c.reads(ctx, db, tables, functions)
		if IsConnection(err) || ctx.Err() != nil {
			return read, fmt.Errorf("look at what %s reads: %w", c.Name, err)
		}
		if err != nil {
			read.Unknown[c.Name] = Describe(err)
		}
	}
	read.Tables, read.Functions = slices.Sorted(maps.Keys(tables)), slices.Sorted(maps.Keys(functions))
	return read, nil
}

func (c Condition) reads(ctx context.Context, db DB, tables, functions map[string]bool) error {
	tx, err := db.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // nothing of it shall stay
	if _, err := tx.Exec(ctx, `create temporary view kvit_condition as `+c.query); err != nil {
		return err
	}
	rows, _ := tx.Query(ctx, `
		with used as (
		    select d.refclassid, d.refobjid
		    from pg_rewrite w
		    join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = w.oid
		    where w.ev_class = 'pg_temp.kvit_condition'::regclass
		)
		select true, format('%s.%s', n.nspname, c.relname)
		from used u
		join pg_class c on u.refclassid = 'pg_class'::regclass and c.oid = u.refobjid and c.oid <> 'pg_temp.kvit_condition'::regclass
		join pg_namespace n on n.oid = c.relnamespace and n.nspname not in ('pg_catalog', 'information_schema')
		union
		select false, format('%I.%I(%s)', n.nspname, f.proname, pg_get_function_identity_arguments(f.oid))
		from used u
		join pg_proc f on u.refclassid = 'pg_proc'::regclass and f.oid = u.refobjid and not has_function_privilege('public', f.oid, 'execute')
		join pg_namespace n on n.oid = f.pronamespace`) // ForEachRow reports its error
	var isTable bool
	var name string
	_, err = pgx.ForEachRow(rows, []any{&isTable, &name}, func() error {
		if isTable {
			tables[name] = true
		} else {
			functions[name] = true
		}
		return nil
	})
	return err
}
