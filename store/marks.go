package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// OwnMarks tells whether kvit keeps the marks of orders in kvit.order_mark, because the shop's table has
// no columns for them.
func (o Orders) OwnMarks() bool { return o.ImportedAt == "" }

// mark is the value of a mark of the order behind an alias of the orders table: imported_at, erp_number or
// erased_at. As a subquery it fits wherever a column does, and brings no name that a predicate of the
// shop's could mean.
func (o Orders) mark(alias, name string) string {
	if o.OwnMarks() {
		return "(select m." + name + " from kvit.order_mark m where m.order_ref = " + alias + "." + QuoteColumn(o.Ref) + "::text)"
	}
	column := map[string]string{"imported_at": o.ImportedAt, "erp_number": o.ERPNumber, "erased_at": o.ErasedAt}[name]
	return alias + "." + QuoteColumn(column)
}

// refOf is the reference that a text holds, in the type of the orders table's column, so that the
// column's index can be used; null if that type cannot hold it. It never fails.
func refOf(text, refType string) string {
	switch refType {
	case "smallint", "integer", "bigint":
		bits := map[string]int{"smallint": 16, "integer": 32, "bigint": 64}[refType]
		least := strconv.FormatInt(-1<<(bits-1), 10)
		most := strconv.FormatInt(1<<(bits-1)-1, 10)
		return "case when " + text + " ~ '^(0|-?[1-9][0-9]{0,18})$' then case when " + text + "::numeric between " + least + " and " + most +
			" then " + text + "::" + refType + " end end"
	case "uuid":
		return "case when " + text + " ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then " + text + "::uuid end"
	default:
		return text + "::" + refType
	}
}

// living are the orders that are not erased, as an item for FROM: the orders table is "o". With marks of
// kvit's own it is driven from these, so that its cost grows with what is left to do and not with the table.
// marked is a condition over kvit.order_mark that is true of all that are wanted; empty: none. The names
// that it brings are none that a shop has. The condition is there twice, so that the join can go either way by an index.
func (o Orders) living(refType, marked string) string {
	if !o.OwnMarks() {
		return QuoteTable(o.Table) + " o"
	}
	if marked != "" {
		marked = " and " + marked
	}
	return `(select order_ref as kvit_mark_ref, imported_at as kvit_mark_imported_at, ` + refOf("order_ref", refType) + ` as kvit_mark_key
		from kvit.order_mark where erased_at is null and gone_at is null` + marked + `) mark
		join ` + QuoteTable(o.Table) + ` o on o.` + QuoteColumn(o.Ref) + ` = mark.kvit_mark_key and mark.kvit_mark_ref = o.` + QuoteColumn(o.Ref) + `::text`
}

// livingBy are those that a clock may let go, by their marks.
func (o Orders) livingBy(refType string, c Clock, now time.Time, arg func(any) string) string {
	switch {
	case !o.OwnMarks():
		return o.living(refType, "")
	case c.Name == ClockImported:
		return o.living(refType, "imported_at <= "+arg(now.Add(-c.After))+"::timestamptz")
	case c.Name == ClockNeverImported:
		return o.living(refType, "imported_at is null")
	default:
		return o.living(refType, "")
	}
}

// waiting are the orders that the ERP should get, as items for FROM and the conditions, with placeholders.
func (o Orders) waiting(refType string) string {
	if !o.OwnMarks() {
		return `{orders} o where {o.imported_at} is null and {o.erased_at} is null and {awaiting_import}`
	}
	return o.living(refType, "imported_at is null") + ` where {awaiting_import}`
}

// dueOrders selects columns of the orders that are due by any clock, each once. With marks of kvit's own it is
// one look for each clock, so that each can use its own index.
func (o Orders) dueOrders(refType, columns string, now time.Time, arg func(any) string) string {
	clocks := o.AllClocks()
	columns = o.sql(columns)
	if !o.OwnMarks() {
		return `select ` + columns + ` from ` + o.living(refType, "") + ` where ` + o.sql(alive) + ` and ` + o.isUp(clocks, now, arg)
	}
	looks := make([]string, len(clocks))
	for i, c := range clocks {
		looks[i] = `select ` + columns + ` from ` + o.livingBy(refType, c, now, arg) + ` where ` + o.up(c, now, arg)
	}
	return strings.Join(looks, " union ")
}

// noticeNamed makes room for the marks of orders that the shop has, so that their rows can be locked. It does
// nothing where the marks stand on the shop's table.
func (o Orders) noticeNamed(ctx context.Context, tx pgx.Tx, refs []string, refType string) error {
	if !o.OwnMarks() {
		return nil
	}
	_, err := tx.Exec(ctx, o.sql(`
		insert into kvit.order_mark (order_ref)
		select o.{ref}::text
		from {orders} o
		where o.{ref} = any ($1::text[]::`+refType+`[])
		  and not exists (select from kvit.order_mark m where m.order_ref = o.{ref}::text and m.gone_at is null)
		order by 1
		on conflict (order_ref) do update set gone_at = null`), refs)
	if err != nil {
		return fmt.Errorf("notice orders: %w", err)
	}
	return nil
}

// ownMark is a row of kvit.order_mark.
type ownMark struct {
	OrderRef   string
	ImportedAt *time.Time
	ERPNumber  *string
}

// lockLivingMarks locks the marks of orders that are not erased, and reads them by reference. Those that another
// transaction has locked are left out.
func lockLivingMarks(ctx context.Context, tx pgx.Tx, refs []string) (map[string]ownMark, error) {
	rows, _ := tx.Query(ctx, `
		select order_ref,
		       case when imported_at is not null then
		           least(greatest(imported_at, '1970-01-01 00:00:00+00'), '9999-12-31 00:00:00+00') end as imported_at, erp_number
		from kvit.order_mark
		where order_ref = any ($1) and erased_at is null and gone_at is null
		order by order_ref
		for update skip locked`, refs) // Collect reports its error
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[ownMark])
	if err != nil {
		return nil, fmt.Errorf("lock marks of orders: %w", err)
	}
	marks := make(map[string]ownMark, len(list))
	for _, m := range list {
		marks[m.OrderRef] = m
	}
	return marks, nil
}

// queueErasedMarks notes that orders are erased.
func (o Orders) queueErasedMarks(q *Queue, refs []string, now time.Time) {
	q.add("mark orders as erased", `
		insert into kvit.order_mark (order_ref, erased_at)
		select ref, $2 from unnest($1::text[]) as e (ref) order by ref
		on conflict (order_ref) do update set erased_at = excluded.erased_at`, []any{refs, now}, func(rows pgx.Rows) error {
		rows.Close()
		return rows.Err()
	})
}

// lockMarks locks the marks of orders, erased or not. It does nothing where they stand on the shop's table.
func (o Orders) lockMarks(ctx context.Context, tx pgx.Tx, refs []string) error {
	if !o.OwnMarks() {
		return nil
	}
	if _, err := tx.Exec(ctx, `select from kvit.order_mark where order_ref = any ($1) order by order_ref for update`, refs); err != nil {
		return fmt.Errorf("lock marks of orders: %w", err)
	}
	return nil
}

func markOwn(ctx context.Context, tx pgx.Tx, refs []string, times []*time.Time, numbers []string) error {
	_, err := tx.Exec(ctx, `
		insert into kvit.order_mark (order_ref, imported_at, erp_number)
		select ref, imported_at, nullif(erp_number, '')
		from unnest($1::text[], $2::timestamptz[], $3::text[]) as m (ref, imported_at, erp_number)
		order by ref
		on conflict (order_ref) do update
		set imported_at = coalesce(order_mark.imported_at, excluded.imported_at), erp_number = coalesce(order_mark.erp_number, excluded.erp_number)
		where order_mark.imported_at is null and excluded.imported_at is not null
		   or order_mark.erp_number is null and excluded.erp_number is not null`, refs, times, numbers)
	if err != nil {
		return fmt.Errorf("mark orders: %w", err)
	}
	return nil
}

// UnmarkErased takes back that orders are erased, because what they had is there again. It does nothing where the
// marks stand on the shop's table, with which they come back themselves.
func UnmarkErased(ctx context.Context, tx pgx.Tx, o Orders, refs []string) error {
	if !o.OwnMarks() || len(refs) == 0 {
		return nil
	}
	if _, err := tx.Exec(ctx, `update kvit.order_mark set erased_at = null, gone_at = null where order_ref = any ($1)`, refs); err != nil {
		return fmt.Errorf("take back marks of orders: %w", err)
	}
	return nil
}
