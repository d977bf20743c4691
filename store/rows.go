package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// TableRule says which rows of a table of the shop's are due, and what becomes of them and of what belongs to them.
type TableRule struct {
	Table     string // "schema.table"; it has a primary key
	When      string // SQL predicate over the table; empty: all of its rows
	Since     string // column of the table, a time; null there: the row is not due
	TimeZone  string // of Since, if it holds times without one; else empty
	After     time.Duration
	Overwrite bool         // the rows stay, and lose what Writes say; else they are deleted
	Writes    []Write      // none of the primary key
	Key       *HashKey     // for Writes that hash
	Children  []TableChild // in the order in which their rows go, all before the rows of Table
}

// TableChild is a table whose rows belong to those of the rule's: its Column equals ParentColumn of that.
type TableChild struct {
	Table        string // "schema.table"
	Column       string
	ParentColumn string
}

// statement builds the rule's statements; the table is "t". What looks like a hash in a row is one: the row may
// have been erased before, and written to since.
func (r TableRule) statement() *eraseStatement {
	return &eraseStatement{
		erasure: TableErasure{Table: r.Table, DeleteRows: !r.Overwrite, Writes: r.Writes, Key: r.Key}, again: "true",
	}
}

// due says that a row is: it is old enough, and has something to lose.
func (r TableRule) due(s *eraseStatement, now time.Time) (string, error) {
	where := r.when() + " and " + r.before(now.Add(-r.After), s.args.add)
	if !r.Overwrite {
		return where, nil
	}
	holds, err := s.remaining()
	if err != nil {
		return "", err
	}
	either := []string{holds}
	for _, c := range r.Children {
		either = append(either, `exists (select from `+QuoteTable(c.Table)+` c where c.`+QuoteColumn(c.Column)+` = t.`+QuoteColumn(c.ParentColumn)+`)`)
	}
	return where + " and " + anyOf(either), nil
}

// from is the table "t" and, beside it, what the predicate says of its row. In it the row has the table's name, so that a
// query within it can say whose column it means; its line ends, since it may end with a comment. Postgres takes such a
// subquery apart, so that an index whose own predicate is this one can be used.
func (r TableRule) from() string {
	table := QuoteTable(r.Table) + ` t`
	if r.When == "" {
		return table
	}
	name := r.Table[strings.LastIndexByte(r.Table, '.')+1:]
	return table + ` cross join lateral (select (` + r.When + `
		) as kvit_is from (select t.*) ` + QuoteColumn(name) + `) kvit_when`
}

// when is true of a row of from for which the predicate is.
func (r TableRule) when() string {
	if r.When == "" {
		return "true"
	}
	return "kvit_when.kvit_is"
}

// before says that a row's time is not after a moment. The column stands alone, so that its index can be used.
func (r TableRule) before(moment time.Time, arg func(any) string) string {
	at := arg(moment) + "::timestamptz"
	if r.TimeZone != "" {
		at = "(" + at + " at time zone " + arg(r.TimeZone) + "::text)"
	}
	return "t." + QuoteColumn(r.Since) + " <= " + at
}

// TryTable returns the error that the database has with the rule's predicate or columns.
func TryTable(ctx context.Context, db DB, r TableRule) error {
	s := r.statement()
	where, err := r.due(s, time.Now())
	if err == nil {
		_, err = db.Exec(ctx, `select from `+r.from()+` where `+where+` limit 0`, s.args...)
	}
	if err != nil {
		return fmt.Errorf("try rule for %s: %w", r.Table, err)
	}
	return nil
}

// CountDueRows tells how many rows are due, and how many of them have been for longer than grace.
func CountDueRows(ctx context.Context, db DB, r TableRule, now time.Time, grace time.Duration) (due, overdue int, err error) {
	s := r.statement()
	where, err := r.due(s, now)
	if err == nil {
		late := r.before(now.Add(-r.After-grace), s.args.add)
		err = db.QueryRow(ctx, `
			select count(*), count(*) filter (where `+late+`)
			from `+r.from()+`
			where `+where, s.args...).Scan(&due, &overdue)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("count due rows of %s: %w", r.Table, err)
	}
	return due, overdue, nil
}

// RowBatch is rows that a transaction has locked: what tells them and their children apart, as it was then.
type RowBatch struct {
	columns []rowColumn
	rows    [][]*string // a text for each of columns
}

// rowColumn is a column of the rule's table by which rows are found.
type rowColumn struct {
	Name  string
	Type  string
	IsKey bool // of the primary key
}

// Len is the number of rows.
func (b RowBatch) Len() int { return len(b.rows) }

// One is the batch's row of this place alone.
func (b RowBatch) One(i int) RowBatch {
	return RowBatch{columns: b.columns, rows: b.rows[i : i+1]}
}

// First is the batch's first n rows alone.
func (b RowBatch) First(n int) RowBatch {
	return RowBatch{columns: b.columns, rows: b.rows[:n]}
}

// DueRows says which due rows are looked at.
type DueRows struct {
	Now   time.Time
	After RowBatch // go on after the last of these; empty: from the start
	Only  RowBatch // these alone; empty: all
	Limit int
}

// LockDueRows finds rows that are due, those first that have been for longest, and locks them. Rows that
// another transaction has locked are left out.
func LockDueRows(ctx context.Context, tx pgx.Tx, r TableRule, d DueRows) (RowBatch, error) {
	columns, err := r.columns(ctx, tx)
	if err != nil {
		return RowBatch{}, err
	}
	s := r.statement()
	where, err := r.due(s, d.Now)
	if err != nil {
		return RowBatch{}, fmt.Errorf("find due rows of %s: %w", r.Table, err)
	}
	if d.After.Len() > 0 {
		where += " and " + d.After.after(r.Since, s.args.add)
	}
	if d.Only.Len() > 0 {
		list, _, keys := d.Only.among(keyColumns, s.args.add)
		where += " and (" + strings.Join(keys, ", ") + ") in (select * from " + list + ")"
	}
	texts := make([]string, len(columns))
	order := []string{"t." + QuoteColumn(r.Since)}
	for i, column := range columns {
		texts[i] = "t." + QuoteColumn(column.Name) + "::text"
		if column.IsKey {
			order = append(order, "t."+QuoteColumn(column.Name))
		}
	}
	rows, _ := tx.Query(ctx, `
		select array[`+strings.Join(texts, ", ")+`]
		from `+r.from()+`
		where `+where+`
		order by `+strings.Join(order, ", ")+`
		limit `+s.args.add(d.Limit)+`
		for update of t skip locked`, s.args...) // Collect reports its error
	found, err := pgx.CollectRows(rows, pgx.RowTo[[]*string])
	if err != nil {
		return RowBatch{}, fmt.Errorf("find due rows of %s: %w", r.Table, err)
	}
	return RowBatch{columns: columns, rows: found}, nil
}

var errNoPrimaryKey = errors.New("the table has no primary key")

// columns are those of the primary key, that in Since, and those that the children hold.
func (r TableRule) columns(ctx context.Context, tx pgx.Tx) ([]rowColumn, error) {
	names := []string{r.Since}
	for _, child := range r.Children {
		names = append(names, child.ParentColumn)
	}
	rows, _ := tx.Query(ctx, `
		select a.attname::text as name, format_type(a.atttypid, null) as type, coalesce(a.attnum = any (i.indkey), false) as is_key
		from pg_attribute a
		left join pg_index i on i.indrelid = a.attrelid and i.indisprimary
		where a.attrelid = to_regclass($1) and a.attnum > 0 and not a.attisdropped
		  and (a.attname = any ($2) or a.attnum = any (i.indkey))
		order by a.attnum`, QuoteTable(r.Table), names) // Collect reports its error
	columns, err := pgx.CollectRows(rows, pgx.RowToStructByName[rowColumn])
	if err != nil {
		return nil, fmt.Errorf("read columns of %s: %w", r.Table, err)
	}
	hasKey := false
	for i, column := range columns {
		hasKey = hasKey || column.IsKey
		if column.Type == "character" {
			columns[i].Type = "bpchar" // to Postgres, "character" alone means character(1)
		}
	}
	if !hasKey {
		return nil, fmt.Errorf("read columns of %s: %w", r.Table, errNoPrimaryKey)
	}
	return columns, nil
}

func keyColumns(c rowColumn) bool { return c.IsKey }

// after is the condition that a row comes after the last of the batch.
func (b RowBatch) after(since string, arg func(any) string) string {
	var columns, values []string
	add := func(i int) {
		columns = append(columns, "t."+QuoteColumn(b.columns[i].Name))
		values = append(values, arg(b.rows[len(b.rows)-1][i])+"::text::"+b.columns[i].Type)
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
// in the rule's table.
func (b RowBatch) among(which func(rowColumn) bool, arg func(any) string) (list string, there, inTable []string) {
	var arrays, aliases []string
	for i, column := range b.columns {
		if !which(column) {
			continue
		}
		texts := make([]*string, len(b.rows))
		for n, row := range b.rows {
			texts[n] = row[i]
		}
		alias := fmt.Sprintf("c%d", i)
		arrays = append(arrays, arg(texts)+"::text[]::"+column.Type+"[]")
		aliases, there = append(aliases, alias), append(there, "k."+alias)
		inTable = append(inTable, "t."+QuoteColumn(column.Name))
	}
	return "unnest(" + strings.Join(arrays, ", ") + ") as k (" + strings.Join(aliases, ", ") + ")", there, inTable
}

// reach is what leads to the batch's rows of a table, which is "t": an item for FROM, and the condition.
// Child is nil for the rule's own table.
func (b RowBatch) reach(child *TableChild, arg func(any) string) (from, where string) {
	which := keyColumns
	if child != nil {
		which = func(c rowColumn) bool { return c.Name == child.ParentColumn }
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

// each calls do for every table of the rule, the rule's own last.
func (r TableRule) each(do func(table string, child *TableChild) error) error {
	for i := range r.Children {
		if err := do(r.Children[i].Table, &r.Children[i]); err != nil {
			return err
		}
	}
	return do(r.Table, nil)
}

// EraseRows erases the batch's rows and deletes what belongs to them. It returns the number of rows by table.
func EraseRows(ctx context.Context, tx pgx.Tx, r TableRule, b RowBatch) (map[string]int64, error) {
	counts := map[string]int64{}
	err := r.each(func(table string, child *TableChild) error {
		s := r.statement()
		from, where := b.reach(child, s.args.add)
		text := `delete from ` + QuoteTable(table) + ` t using ` + from + ` where ` + where
		if child == nil && r.Overwrite {
			set, err := s.assignments()
			if err != nil {
				return fmt.Errorf("erase %s: %w", table, err)
			}
			text = `update ` + QuoteTable(table) + ` t set ` + strings.Join(set, ", ") + ` from ` + from + ` where ` + where
		}
		tag, err := tx.Exec(ctx, text, s.args...)
		if err != nil {
			return fmt.Errorf("erase %s: %w", table, err)
		}
		counts[table] = tag.RowsAffected()
		return nil
	})
	return counts, err
}

// RowsLeft looks for what EraseRows should have erased, and returns the number of rows by table.
func RowsLeft(ctx context.Context, tx pgx.Tx, r TableRule, b RowBatch) (map[string]int64, error) {
	left := map[string]int64{}
	err := r.each(func(table string, child *TableChild) error {
		s := r.statement()
		from, where := b.reach(child, s.args.add)
		if child == nil {
			holds, err := s.remaining()
			if err != nil {
				return fmt.Errorf("verify %s: %w", table, err)
			}
			where += " and (" + holds + ")"
		}
		var n int64
		if err := tx.QueryRow(ctx, `select count(*) from `+QuoteTable(table)+` t, `+from+` where `+where, s.args...).Scan(&n); err != nil {
			return fmt.Errorf("verify %s: %w", table, err)
		}
		left[table] = n
		return nil
	})
	return left, err
}

// CountRowValues counts what EraseRows is going to overwrite: the values that are not null, by column; nil if it
// deletes.
func CountRowValues(ctx context.Context, tx pgx.Tx, r TableRule, b RowBatch) (map[string]int64, error) {
	if !r.Overwrite {
		return nil, nil
	}
	s := r.statement()
	from, where := b.reach(nil, s.args.add)
	return s.countValues(ctx, tx, `from `+QuoteTable(r.Table)+` t, `+from+` where `+where)
}
