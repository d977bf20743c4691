package store

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// mostSpared bounds how many rows of a table are remembered as meant to stay.
const mostSpared = 10_000

// SparedRows tells which rows of a table are found for orders by one of the paths in meant and by none of those by
// which it is erased: a text for each that SearchScope takes. Call it before the orders are erased, since that may
// cut the paths. Of a table without a primary key nothing can be told.
func SparedRows(ctx context.Context, tx pgx.Tx, o Orders, table string, meant, erased [][]Link, refs []string) ([]string, error) {
	primary, err := primaryNames(ctx, tx, table)
	if err != nil || len(primary) == 0 || len(meant) == 0 {
		return nil, err
	}
	refType, err := o.refType(ctx, tx)
	if err != nil {
		return nil, err
	}
	s := eraseStatement{orders: o, erasure: TableErasure{Table: table}, refType: refType, args: arguments{refs}}
	where := s.otherOrder(meant, "other."+s.refs())
	if len(erased) > 0 {
		where += " and not " + s.otherOrder(erased, "other."+s.refs())
	}
	rows, _ := tx.Query(ctx, o.sql(fmt.Sprintf(`select %s from %s t where %s limit %d`,
		identity(primary), QuoteTable(table), where, mostSpared)), s.args...) // Collect reports its error
	spared, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("find rows of %s that stay: %w", table, err)
	}
	return spared, nil
}

// identity is a text by which the row "t" is known.
func identity(primary []string) string {
	columns := make([]string, len(primary))
	for i, name := range primary {
		columns[i] = "t." + QuoteColumn(name)
	}
	return "row(" + strings.Join(columns, ", ") + ")::text"
}

// primaryNames are the columns of a table's primary key, in the order of the table; nil if it has none.
func primaryNames(ctx context.Context, db DB, table string) ([]string, error) {
	var names []string
	err := db.QueryRow(ctx, `
		select array_agg(a.attname::text order by a.attnum)
		from pg_index i
		join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey)
		where i.indrelid = to_regclass($1) and i.indisprimary`, QuoteTable(table)).Scan(&names)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return nil, fmt.Errorf("read primary key of %s: %w", table, err)
	}
	return names, nil
}
