package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// Carts says which rows of a table of carts are due to be deleted, and what belongs to them.
type Carts struct {
	Table    string // "schema.table"; it has a primary key
	When     string // SQL predicate over the table; empty: all of its rows
	Since    string // column of the table, a time; null there: the row is not due
	After    time.Duration
	Children []CartChild // in the order in which their rows go, all before the carts
}

// CartChild is a table whose rows belong to carts: its Column equals CartColumn of the table of carts.
type CartChild struct {
	Table      string // "schema.table"
	Column     string
	CartColumn string
}

// up says that a cart is due; the table of carts is "t".
func (c Carts) up(now time.Time, arg func(any) string) string {
	when := "true"
	if c.When != "" {
		when = "(" + c.When + ")"
	}
	return when + " and t." + QuoteColumn(c.Since) + " <= " + arg(now.Add(-c.After)) + "::timestamptz"
}

// TryCarts returns the error that the database has with the rule's predicate or column.
func TryCarts(ctx context.Context, db DB, c Carts) error {
	var args arguments
	where := c.up(time.Now(), args.add)
	if _, err := db.Exec(ctx, `select from `+QuoteTable(c.Table)+` t where `+where+` limit 0`, args...); err != nil {
		return fmt.Errorf("try carts: %w", err)
	}
	return nil
}

// CountDueCarts tells how many carts are due, and how many of them have been for longer than grace.
func CountDueCarts(ctx context.Context, db DB, c Carts, now time.Time, grace time.Duration) (due, overdue int, err error) {
	var args arguments
	where := c.up(now, args.add)
	late := "t." + QuoteColumn(c.Since) + " <= " + args.add(now.Add(-c.After-grace)) + "::timestamptz"
	err = db.QueryRow(ctx, `
		select count(*), count(*) filter (where `+late+`)
		from `+QuoteTable(c.Table)+` t
		where `+where, args...).Scan(&due, &overdue)
	if err != nil {
		return 0, 0, fmt.Errorf("count due carts: %w", err)
	}
	return due, overdue, nil
}

// CartBatch is carts that a transaction has locked: what tells them and their rows apart, as it was then.
type CartBatch struct {
	columns []cartColumn
	carts   [][]*string // a text for each of columns
}

// cartColumn is a column of the table of carts by which rows are found.
type cartColumn struct {
	Name  string
	Type  string
	IsKey bool // of the primary key
}

// Len is the number of carts.
func (b CartBatch) Len() int { return len(b.carts) }

// One is the batch's cart of this place alone.
func (b CartBatch) One(i int) CartBatch {
	return CartBatch{columns: b.columns, carts: b.carts[i : i+1]}
}

// DueCarts says which due carts are looked at.
type DueCarts struct {
	Now   time.Time
	After CartBatch // go on after the last of these; empty: from the start
	Only  CartBatch // these alone; empty: all
	Limit int
}

// LockDueCarts finds carts that are due, those first that have been for longest, and locks them. Carts that
// another transaction has locked are left out.
func LockDueCarts(ctx context.Context, tx pgx.Tx, c Carts, d DueCarts) (CartBatch, error) {
	columns, err := c.columns(ctx, tx)
	if err != nil {
		return CartBatch{}, err
	}
	var args arguments
	where := c.up(d.Now, args.add)
	if d.After.Len() > 0 {
		where += " and " + d.After.after(c.Since, args.add)
	}
	if d.Only.Len() > 0 {
		list, _, keys := d.Only.among(keyColumns, args.add)
		where += " and (" + strings.Join(keys, ", ") + ") in (select * from " + list + ")"
	}
	texts := make([]string, len(columns))
	order := []string{"t." + QuoteColumn(c.Since)}
	for i, column := range columns {
		texts[i] = "t." + QuoteColumn(column.Name) + "::text"
		if column.IsKey {
			order = append(order, "t."+QuoteColumn(column.Name))
		}
	}
	rows, _ := tx.Query(ctx, `
		select array[`+strings.Join(texts, ", ")+`]
		from `+QuoteTable(c.Table)+` t
		where `+where+`
		order by `+strings.Join(order, ", ")+`
		limit `+args.add(d.Limit)+`
		for update of t skip locked`, args...) // Collect reports its error
	carts, err := pgx.CollectRows(rows, pgx.RowTo[[]*string])
	if err != nil {
		return CartBatch{}, fmt.Errorf("find due carts: %w", err)
	}
	return CartBatch{columns: columns, carts: carts}, nil
}

var errNoPrimaryKey = errors.New("the table has no primary key")

// columns are those of the primary key, that in Since, and those that the children hold.
func (c Carts) columns(ctx context.Context, tx pgx.Tx) ([]cartColumn, error) {
	names := []string{c.Since}
	for _, child := range c.Children {
		names = append(names, child.CartColumn)
	}
	rows, _ := tx.Query(ctx, `
		select a.attname::text as name, format_type(a.atttypid, null) as type, coalesce(a.attnum = any (i.indkey), false) as is_key
		from pg_attribute a
		left join pg_index i on i.indrelid = a.attrelid and i.indisprimary
		where a.attrelid = to_regclass($1) and a.attnum > 0 and not a.attisdropped
		  and (a.attname = any ($2) or a.attnum = any (i.indkey))
		order by a.attnum`, QuoteTable(c.Table), names) // Collect reports its error
	columns, err := pgx.CollectRows(rows, pgx.RowToStructByName[cartColumn])
	if err != nil {
		return nil, fmt.Errorf("read columns of %s: %w", c.Table, err)
	}
	hasKey := false
	for i, column := range columns {
		hasKey = hasKey || column.IsKey
		if column.Type == "character" {
			columns[i].Type = "bpchar" // to Postgres, "character" alone means character(1)
		}
	}
	if !hasKey {
		return nil, fmt.Errorf("read columns of %s: %w", c.Table, errNoPrimaryKey)
	}
	return columns, nil
}

func keyColumns(c cartColumn) bool { return c.IsKey }

// after is the condition that a cart comes after the last of the batch.
func (b CartBatch) after(since string, arg func(any) string) string {
	var columns, values []string
	add := func(i int) {
		columns = append(columns, "t."+QuoteColumn(b.columns[i].Name))
		values = append(values, arg(b.carts[len(b.carts)-1][i])+"::text::"+b.columns[i].Type)
	}
	for i, column := range b.columns {
		if column.Name == since {
			add(i)
		}
	}
	for i, column := range b.columns {
		if column.IsKey {
			add(i)
		}
	}
	return "(" + strings.Join(columns, ", ") + ") > (" + strings.Join(values, ", ") + ")"
}

// among is the batch's values of some columns as an item for FROM, and what its columns are called there and
// in the table of carts.
func (b CartBatch) among(which func(cartColumn) bool, arg func(any) string) (list string, there, inTable []string) {
	var arrays, aliases []string
	for i, column := range b.columns {
		if !which(column) {
			continue
		}
		texts := make([]*string, len(b.carts))
		for n, cart := range b.carts {
			texts[n] = cart[i]
		}
		alias := fmt.Sprintf("c%d", i)
		arrays = append(arrays, arg(texts)+"::text[]::"+column.Type+"[]")
		aliases, there = append(aliases, alias), append(there, "k."+alias)
		inTable = append(inTable, "t."+QuoteColumn(column.Name))
	}
	return "unnest(" + strings.Join(arrays, ", ") + ") as k (" + strings.Join(aliases, ", ") + ")", there, inTable
}

// reach is what leads to the batch's rows of a table, which is "t": an item for FROM, and the condition.
// Child is nil for the carts themselves.
func (b CartBatch) reach(child *CartChild, arg func(any) string) (from, where string) {
	which := keyColumns
	if child != nil {
		which = func(c cartColumn) bool { return c.Name == child.CartColumn }
	}
	from, there, inTable := b.among(which, arg)
	if child != nil {
		inTable = []string{"t." + QuoteColumn(child.Column)}
	}
	conditions := make([]string, len(there))
	for i := range there {
		conditions[i] = inTable[i] + " = " + there[i]
	}
	return from, strings.Join(conditions, " and ")
}

// each calls do for every table of the rule, the carts last.
func (c Carts) each(do func(table string, child *CartChild) error) error {
	for i := range c.Children {
		if err := do(c.Children[i].Table, &c.Children[i]); err != nil {
			return err
		}
	}
	return do(c.Table, nil)
}

// EraseCarts deletes the batch's carts with their rows, and returns the number of rows by table.
func EraseCarts(ctx context.Context, tx pgx.Tx, c Carts, b CartBatch) (map[string]int64, error) {
	counts := map[string]int64{}
	err := c.each(func(table string, child *CartChild) error {
		var args arguments
		from, where := b.reach(child, args.add)
		tag, err := tx.Exec(ctx, `delete from `+QuoteTable(table)+` t using `+from+` where `+where, args...)
		if err != nil {
			return fmt.Errorf("delete from %s: %w", table, err)
		}
		counts[table] = tag.RowsAffected()
		return nil
	})
	return counts, err
}

// CartsLeft looks for rows that EraseCarts should have deleted, and returns their number by table.
func CartsLeft(ctx context.Context, tx pgx.Tx, c Carts, b CartBatch) (map[string]int64, error) {
	left := map[string]int64{}
	err := c.each(func(table string, child *CartChild) error {
		var args arguments
		from, where := b.reach(child, args.add)
		var n int64
		if err := tx.QueryRow(ctx, `select count(*) from `+QuoteTable(table)+` t, `+from+` where `+where, args...).Scan(&n); err != nil {
			return fmt.Errorf("verify %s: %w", table, err)
		}
		left[table] = n
		return nil
	})
	return left, err
}
