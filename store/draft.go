package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
)

// ShopTables names the tables of the database, "schema.table", by name: all but kvit's own, Postgres' own
// and those of extensions. A partitioned table stands for its partitions. None of their rows is read, and kvit's role needs no
// right on them. A table of wanted that is not among them is an error.
func ShopTables(ctx context.Context, db DB, wanted ...string) ([]string, error) {
	rows, _ := db.Query(ctx, `
		select n.nspname || '.' || c.relname
		from pg_class c
		join pg_namespace n on n.oid = c.relnamespace
		where c.relkind in ('r', 'p') and not c.relispartition and c.relpersistence <> 't'
		  and n.nspname <> all (array['kvit', 'pg_catalog', 'information_schema'])
		  and not exists (
		      select from pg_depend d
		      where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
		order by 1`) // Collect reports its error
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("list tables: %w", err)
	}
	for _, name := range wanted {
		if !slices.Contains(names, name) {
			return nil, fmt.Errorf("table %s does not exist, or is no table", name)
		}
	}
	return names, nil
}
