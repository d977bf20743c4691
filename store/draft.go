package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
)

// RelatedTables names the orders table, those that lead to it by at most depth foreign keys, the tables of
// more, and those that lead to these by one key less: the orders table first, then by distance and name. A
// table that does not exist, or is a view, is an error. None of their rows is read, and kvit's role needs no
// right on them.
func RelatedTables(ctx context.Context, db DB, orders string, more []string, depth int) ([]string, error) {
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
	return names, nil
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
