package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// ColumnForm counts what the values of a text or JSON column look like, in rows that were looked at. The
// database counts: no value leaves it.
type ColumnForm struct {
	Column   string
	Rows     int // looked at
	Filled   int // neither null nor empty
	Values   int // different ones among the filled
	Objects  int // JSON objects
	Arrays   int // JSON arrays
	Emails   int // that are an e-mail address and nothing else
	Phones   int // that look like a telephone number
	Dates    int // that begin with a date, 2026-03-31
	Mentions int // with an e-mail address somewhere in them
}

// formsTime bounds how long the database counts in one table.
const formsTime = 3 * time.Second

// manyRows is from where on the rows are taken from all over the table instead of from its start.
const manyRows = 50_000

// ColumnForms looks at so many rows of a table. A table that is locked, or takes too long, is an error of its
// own; the transaction goes on.
func ColumnForms(ctx context.Context, tx pgx.Tx, table string, columns []string, rows int) ([]ColumnForm, error) {
	if len(columns) == 0 {
		return nil, nil
	}
	var forms []ColumnForm
	err := pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error {
		source, err := sampleOf(ctx, tx, table)
		if err != nil {
			return err
		}
		limit := fmt.Sprintf(`set local statement_timeout = %d`, formsTime.Milliseconds())
		if _, err := tx.Exec(ctx, limit+`; set local lock_timeout = 1000`); err != nil {
			return err
		}
		found, _ := tx.Query(ctx, formsQuery(source, columns, isParseable(ctx, tx)), rows, columns) // Collect reports its error
		forms, err = pgx.CollectRows(found, pgx.RowToStructByName[ColumnForm])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("count forms in %s: %w", table, err)
	}
	return forms, nil
}

// sampleOf is the table, or some of its pages if it is large.
func sampleOf(ctx context.Context, tx pgx.Tx, table string) (string, error) {
	var rows float64
	err := tx.QueryRow(ctx, `select greatest(reltuples, 0) from pg_class where oid = to_regclass($1)`, QuoteTable(table)).Scan(&rows)
	if err != nil || rows < manyRows {
		return QuoteTable(table), err
	}
	return fmt.Sprintf("%s tablesample system (%f)", QuoteTable(table), max(100*2000/rows, 0.001)), nil
}

// isParseable tells whether kvit's function is there: a draft may be wanted before its tables are.
func isParseable(ctx context.Context, tx pgx.Tx) bool {
	var found bool
	err := tx.QueryRow(ctx, `select coalesce(has_function_privilege(to_regprocedure('kvit.parse_json(text)'), 'execute'), false)`).Scan(&found)
	return err == nil && found
}

// Patterns of Postgres' regular expressions.
const (
	emailPattern = `[[:alnum:]._%+-]+@[[:alnum:].-]+\.[[:alpha:]]{2,}`
	phonePattern = `^(\+|00)[1-9][0-9 ()./-]{6,18}$|^\(?[0-9]{2,5}\)?[ /-][0-9][0-9 -]{4,12}$`
	datePattern  = `^[0-9]{4}-[0-9]{2}-[0-9]{2}`
	// inspected is how much of a long value is searched for an e-mail address.
	inspected = 20_000
)

func formsQuery(source string, columns []string, parse bool) string {
	var parts, names []string
	for i, column := range columns {
		names = append(names, fmt.Sprintf("%s::text as c%d", QuoteColumn(column), i))
		parts = append(parts, fmt.Sprintf("(($2::text[])[%d], c%d)", i+1, i))
	}
	isJSON := "kvit.parse_json(v.value) is not null"
	if !parse {
		isJSON = `right(rtrim(v.value), 1) in ('}', ']')`
	}
	// The case keeps the parser away from what is no document at first sight.
	begins := func(bracket string) string {
		return `count(*) filter (where case when left(ltrim(v.value), 1) = '` + bracket + `' then ` + isJSON + ` else false end)`
	}
	return `
		with sample as materialized (select ` + strings.Join(names, ", ") + ` from ` + source + ` limit $1)
		select v.name as column, count(*) as rows, count(nullif(v.value, '')) as filled, count(distinct nullif(v.value, '')) as values,
		       ` + begins("{") + ` as objects, ` + begins("[") + ` as arrays,
		       count(*) filter (where v.value ~ '^\s*` + emailPattern + `\s*$') as emails,
		       count(*) filter (where v.value ~ '` + phonePattern + `' and v.value !~ '` + datePattern + `') as phones,
		       count(*) filter (where v.value ~ '` + datePattern + `') as dates,
		       count(*) filter (where left(v.value, ` + fmt.Sprint(inspected) + `) ~ '` + emailPattern + `') as mentions
		from sample, lateral (values ` + strings.Join(parts, ", ") + `) v (name, value)
		group by v.name`
}

// HasForm tells whether ColumnForms can say something of the column: a text or a document that
// kvit's role may read.
func (c TableColumn) HasForm() bool {
	return !c.NoSelect && !c.HiddenRows && (c.Family == "S" || c.Base == "json" || c.Base == "jsonb")
}
