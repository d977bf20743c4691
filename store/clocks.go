package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Clock is a reason to erase an order: once After has passed since the time in Since.
type Clock struct {
	Name  string        // stands in the certificate
	When  string        // SQL predicate over the orders table: orders that the clock is for; empty: all
	Since string        // column of the orders table; null there: the clock has not begun. Empty: kvit's own mark of the import
	After time.Duration // to the second
}

// Clocks that kvit has of its own. The last two take what they are told to, whatever its age.
const (
	ClockImported      = "imported"       // the ERP has the order
	ClockNeverImported = "never_imported" // it never got it
	ClockRequest       = "request"        // somebody asked for it, and the ERP has the order or another clock is up
	ClockReplay        = "replay"         // it was erased before, and a backup brought it back
)

// AllClocks are those that erase by themselves. An order goes by the first of them that is up.
func (o Orders) AllClocks() []Clock {
	clocks := []Clock{{Name: ClockImported, Since: o.ImportedAt, After: o.EraseAfter}}
	if o.EraseUnimportedAfter > 0 {
		clocks = append(clocks, Clock{
			Name: ClockNeverImported, When: o.mark("o", "imported_at") + " is null", Since: o.PlacedAt, After: o.EraseUnimportedAfter,
		})
	}
	return append(clocks, o.Clocks...)
}

// SinceColumns are the columns of the orders table that clocks begin by.
func (o Orders) SinceColumns() []string {
	var columns []string
	for _, c := range o.AllClocks() {
		if c.Since != "" && !slices.Contains(columns, c.Since) {
			columns = append(columns, c.Since)
		}
	}
	return columns
}

// when is the predicate for any context.
func (c Clock) when() string {
	if c.When == "" {
		return "true"
	}
	return "(" + c.When + ")"
}

// since is when the clock began; the orders table is "o".
func (o Orders) since(c Clock) string {
	if c.Since == "" {
		return o.mark("o", "imported_at")
	}
	return "o." + QuoteColumn(c.Since)
}

// up says that the clock has run off; the orders table is "o".
func (o Orders) up(c Clock, now time.Time, arg func(any) string) string {
	return c.when() + " and " + o.since(c) + " <= " + arg(now.Add(-c.After)) + "::timestamptz"
}

// isUp says that any of the clocks has.
func (o Orders) isUp(clocks []Clock, now time.Time, arg func(any) string) string {
	conditions := make([]string, len(clocks))
	for i, c := range clocks {
		conditions[i] = "(" + o.up(c, now, arg) + ")"
	}
	return "(" + strings.Join(conditions, " or ") + ")"
}

// goesBy says that an order goes by this clock, and by none before it.
func (o Orders) goesBy(c Clock, now time.Time, arg func(any) string) string {
	all := o.AllClocks()
	switch c.Name {
	case ClockReplay:
		return "true"
	case ClockRequest:
		return "(" + o.mark("o", "imported_at") + " is not null or " + o.isUp(all, now, arg) + ")"
	}
	condition := o.up(c, now, arg)
	before := all[:max(slices.IndexFunc(all, func(other Clock) bool { return other.Name == c.Name }), 0)]
	if len(before) > 0 {
		condition += " and not coalesce(" + o.isUp(before, now, arg) + ", false)"
	}
	return condition
}

// dueAt is when the first of an order's clocks is up; null: none has begun. The orders table is "o".
func (o Orders) dueAt() string {
	var times []string
	for _, c := range o.AllClocks() {
		times = append(times, fmt.Sprintf("case when %s then %s::timestamptz + interval '%d seconds' end",
			c.when(), o.since(c), int64(c.After/time.Second)))
	}
	return "least(" + strings.Join(times, ", ") + ")"
}

// TryClock returns the error that the database has with a clock's predicate or column.
func TryClock(ctx context.Context, db DB, o Orders, c Clock) error {
	var args arguments
	where := o.up(c, time.Now(), args.add)
	if _, err := db.Exec(ctx, o.sql(`select from {orders} o where `)+where+` limit 0`, args...); err != nil {
		return fmt.Errorf("try clock %s: %w", c.Name, err)
	}
	return nil
}

// arguments collects a statement's parameters.
type arguments []any

// add returns the parameter's placeholder.
func (a *arguments) add(value any) string {
	*a = append(*a, value)
	return fmt.Sprintf("$%d", len(*a))
}

// HasDueIndex tells whether the shop's orders table has an index that leads to the orders whose clock is
// up without reading the whole table: one that begins with the column in Since.
func HasDueIndex(ctx context.Context, db DB, o Orders, c Clock) (bool, error) {
	if c.Since == "" {
		return true, nil // kvit.order_mark has its own
	}
	var found bool
	err := db.QueryRow(ctx, `
		select exists (
		    select from pg_index i
		    join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
		    where i.indrelid = to_regclass($1) and i.indisvalid and a.attname = $2
		      and (i.indpred is null
		           or pg_get_expr(i.indpred, i.indrelid) in (format('(%I IS NULL)', $3::text), format('(%I IS NOT NULL)', $2::text)))
		)`, QuoteTable(o.Table), c.Since, o.ErasedAt).Scan(&found)
	if err != nil {
		return false, fmt.Errorf("look for an index on %s.%s: %w", o.Table, c.Since, err)
	}
	return found, nil
}

// DueIndex is the statement that makes the index HasDueIndex looks for. kvit does not run it: the
// table is the shop's. Where that says which orders are erased, only the others are in it, so it stays small.
func (o Orders) DueIndex(c Clock) string {
	if o.OwnMarks() {
		return o.sql(`create index concurrently on {orders} (` + QuoteColumn(c.Since) + `)`)
	}
	return o.sql(`create index concurrently on {orders} (` + QuoteColumn(c.Since) + `) where {erased_at} is null`)
}
