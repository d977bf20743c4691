package store

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"
)

// ServerVersion is the server's version as a number, 150018 for 15.18.
func ServerVersion(ctx context.Context, db DB) (int, error) {
	var version int
	err := db.QueryRow(ctx, `select current_setting('server_version_num')::integer`).Scan(&version)
	if err != nil {
		return 0, fmt.Errorf("read server version: %w", err)
	}
	return version, nil
}

// ShopMisfits tells where the shop's orders table and the configuration do not fit, so that kvit can neither
// mark nor erase: what LackingRights finds, and predicates that the database does not take. It holds no values.
func ShopMisfits(ctx context.Context, db DB, o Orders) ([]string, error) {
	misfits, err := LackingRights(ctx, db, o)
	if err != nil || len(misfits) > 0 {
		return misfits, err
	}
	tries := map[string]func(tx pgx.Tx) error{
		"shop.orders.awaiting_import": func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, o.sql(`select from {orders} o where {awaiting_import} limit 0`))
			return err
		},
	}
	for _, c := range o.AllClocks() {
		tries["clock "+c.Name] = func(tx pgx.Tx) error { return TryClock(ctx, tx, o, c) }
	}
	for _, what := range slices.Sorted(maps.Keys(tries)) {
		err := pgx.BeginFunc(ctx, db, tries[what]) // an error ends no more than this
		if IsConnection(err) {
			return nil, err
		}
		if err != nil {
			misfits = append(misfits, what+" cannot be used: "+Describe(err))
		}
	}
	return misfits, nil
}

// ReferencesTwice counts references that more than one row has. Where a unique index forbids that it need not look.
func ReferencesTwice(ctx context.Context, db DB, o Orders) (int, error) {
	shape, err := o.shape(ctx, db)
	if err != nil || shape.unique {
		return 0, err
	}
	var n int
	err = db.QueryRow(ctx, o.sql(`
		select count(*) from (select from {orders} o where o.{ref} is not null group by o.{ref} having count(*) > 1) t`)).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count references that two orders have: %w", err)
	}
	return n, nil
}

// ReferencesWithBlanks counts the orders, CountedUpTo at most, whose own reference has blanks around it. Events and evidence
// are stored without them (kvit.order_ref): they would never meet their order.
func ReferencesWithBlanks(ctx context.Context, db DB, o Orders) (int, error) {
	var n int
	err := db.QueryRow(ctx, o.sql(`
		select count(*)
		from (select from {orders} o where o.{ref}::text <> coalesce(kvit.order_ref(o.{ref}::text), '') limit $1) t`), CountedUpTo).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("look for references with blanks around them: %w", err)
	}
	return n, nil
}

// LackingRights tells what is missing for kvit to work with the shop's orders table: the table, a
// column, a right, or a type that fits.
func LackingRights(ctx context.Context, db DB, o Orders) ([]string, error) {
	var exists, canSelect, isView bool
	err := db.QueryRow(ctx, `
		select c.oid is not null, coalesce(has_table_privilege(c.oid, 'select'), false),
		       exists (select from pg_class v where v.oid = c.oid and v.relkind = 'v')
		from (select to_regclass($1) as oid) c`, QuoteTable(o.Table)).Scan(&exists, &canSelect, &isView)
	if err != nil {
		return nil, fmt.Errorf("read rights on %s: %w", o.Table, err)
	}
	if !exists {
		return []string{fmt.Sprintf("table %s does not exist", o.Table)}, nil
	}
	var lacks []string
	if isView && !o.OwnMarks() {
		lacks = append(lacks, fmt.Sprintf("%s is a view: leave imported_at, erp_number and erased_at out, and kvit keeps these marks itself", o.Table))
	}
	if !canSelect {
		lacks = append(lacks, fmt.Sprintf("select on %s is not granted to this role", o.Table))
	}
	for _, column := range []struct {
		name    string
		written bool
	}{{o.Ref, false}, {o.PlacedAt, false}, {o.ImportedAt, true}, {o.ERPNumber, true}, {o.ErasedAt, true}, {o.Email, false}, {o.CustomerID, false}} {
		if column.name == "" {
			continue
		}
		lack, err := lackingColumn(ctx, db, o.Table, column.name, column.written)
		if err != nil {
			return nil, err
		}
		if lack != "" {
			lacks = append(lacks, lack)
		}
	}
	if len(lacks) == 0 {
		if _, err := o.refType(ctx, db); err != nil {
			lacks = append(lacks, err.Error())
		}
	}
	return lacks, nil
}

func lackingColumn(ctx context.Context, db DB, table, column string, written bool) (string, error) {
	var exists, canUpdate bool
	err := db.QueryRow(ctx, `
		select a.attnum is not null, coalesce(has_column_privilege(c.oid, a.attnum, 'update'), false)
		from (select to_regclass($1) as oid) c
		left join pg_attribute a on a.attrelid = c.oid and a.attname = $2 and a.attnum > 0 and not a.attisdropped`,
		QuoteTable(table), column).Scan(&exists, &canUpdate)
	switch {
	case err != nil:
		return "", fmt.Errorf("read rights on %s.%s: %w", table, column, err)
	case !exists:
		return fmt.Sprintf("column %s.%s does not exist", table, column), nil
	case written && !canUpdate:
		return fmt.Sprintf("update of %s.%s is not granted to this role", table, column), nil
	default:
		return "", nil
	}
}
