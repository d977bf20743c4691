package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Catalog lists the columns of every table, view and partitioned table but kvit's and Postgres' own, in their order, by
// "schema.table". kvit's role needs no right on them.
func Catalog(ctx context.Context, db DB) (map[string][]string, error) {
	rows, _ := db.Query(ctx, `
		select format('%s.%s', n.nspname, c.relname), array_agg(a.attname::text order by a.attnum)
		from pg_class c
		join pg_namespace n on n.oid = c.relnamespace
		join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
		where c.relkind in ('r', 'p', 'v') and not c.relispartition
		  and n.nspname not in ('kvit', 'pg_catalog', 'information_schema') and n.nspname !~ '^pg_toast|^pg_temp'
		group by 1`) // ForEachRow reports its error
	catalog := map[string][]string{}
	var table string
	var columns []string
	_, err := pgx.ForEachRow(rows, []any{&table, &columns}, func() error {
		catalog[table] = columns
		columns = nil
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read catalog: %w", err)
	}
	return catalog, nil
}
