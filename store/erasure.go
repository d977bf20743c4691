package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// Due says which orders are due: those that go by Clock at Now, are not erased, and are under no hold.
type Due struct {
	Now   time.Time
	Clock Clock
	After DueOrder // go on after this one; the zero value: from the start
	Refs  []string // nil: all; needed by clocks without Since
	Limit int
}

// DueOrder is an order that has to be erased, and the ERP's evidence for it.
type DueOrder struct {
	Ref        string
	Since      pgtype.Timestamptz // when the clock began, which may be -infinity; null for clocks without Since
	ImportedAt *time.Time         // 1970 for anything earlier, 9999 for infinity; nil: the ERP does not have it
	ERPNumber  *string
}

// An order without a reference is none yet.
const alive = `{o.erased_at} is null and o.{ref} is not null`

// held takes now as its parameter. What stands in kvit's tables is written by kvit.order_ref; the shop's own reference may
// have a blank too many.
func held(now string) string {
	return `exists (select from kvit.legal_hold h
	        where h.order_ref = kvit.order_ref(o.{ref}::text) and (h.expires_at is null or h.expires_at > ` + now + `))`
}

// LockDueOrders reads orders that are due, those whose clock began first, and locks them. Orders that
// another transaction has locked are left out.
func LockDueOrders(ctx context.Context, tx pgx.Tx, o Orders, d Due) ([]DueOrder, error) {
	shape, err := o.shape(ctx, tx)
	if err != nil {
		return nil, err
	}
	if o.OwnMarks() {
		return o.lockDueByOwnMarks(ctx, tx, shape, d)
	}
	var args arguments
	since := "null::timestamptz" // a null without a type cannot be sorted by
	if d.Clock.Since != "" {
		since = "o." + QuoteColumn(d.Clock.Since)
	}
	where := o.sql(alive+` and not `+held(args.add(d.Now))+` and `+shape.alone()) + ` and ` + o.goesBy(d.Clock, d.Now, args.add)
	switch {
	case d.Refs != nil:
		where += o.sql(` and o.{ref} = any (` + args.add(d.Refs) + `::text[]::` + shape.refType + `[])`)
	case d.After.Ref != "":
		where += d.after(since, o.sql("o.{ref}"), shape.refType, args.add)
	}
	rows, _ := tx.Query(ctx, o.sql(`
		select o.{ref}::text as ref, {o.erp_number}::text as erp_number,
		       case when {o.imported_at} is not null then
		           least(greatest({o.imported_at}::timestamptz, '1970-01-01 00:00:00+00'), '9999-12-31 00:00:00+00') end as imported_at,
		       `+since+`::timestamptz as since
		from {orders} o
		where `)+where+o.sql(`
		order by `+since+`, o.{ref}
		limit `+args.add(d.Limit)+`
		`+shape.lock("skip locked")), args...) // Collect reports its error
	orders, err := pgx.CollectRows(rows, pgx.RowToStructByName[DueOrder])
	if err != nil {
		return nil, fmt.Errorf("find due orders: %w", err)
	}
	return orders, nil
}

// after goes on after Due.After, in the order of time and reference.
func (d Due) after(since, ref, refType string, arg func(any) string) string {
	at, last := arg(d.After.Since)+"::timestamptz", arg(d.After.Ref)+"::text::"+refType
	// The first condition is for the index, the second passes over orders of the same time.
	return ` and ` + since + ` >= ` + at + ` and (` + since + `::timestamptz, ` + ref + `) > (` + at + `, ` + last + `)`
}

// lockDueByOwnMarks finds the orders by kvit's marks, locks them where they can be locked, and then the marks.
func (o Orders) lockDueByOwnMarks(ctx context.Context, tx pgx.Tx, shape orderShape, d Due) ([]DueOrder, error) {
	if d.Refs != nil {
		d.Refs = shape.fitting(d.Refs)
		if err := o.noticeNamed(ctx, tx, d.Refs, shape.refType); err != nil {
			return nil, err
		}
	}
	var args arguments
	since := "null::timestamptz"
	switch {
	case d.Clock.Since != "":
		since = "o." + QuoteColumn(d.Clock.Since)
	case d.Clock.Name == ClockImported:
		since = "mark.kvit_mark_imported_at"
	}
	where := o.sql(`not `+held(args.add(d.Now))+` and `+shape.alone()) + ` and ` + o.goesBy(d.Clock, d.Now, args.add)
	switch {
	case d.Refs != nil:
		where += ` and mark.kvit_mark_ref = any (` + args.add(d.Refs) + `::text[])`
	case d.After.Ref != "":
		where += d.after(since, "mark.kvit_mark_ref", "text", args.add)
	}
	rows, _ := tx.Query(ctx, `
		select mark.kvit_mark_ref as order_ref, `+since+`::timestamptz as since
		from `+o.livingBy(shape.refType, d.Clock, d.Now, args.add)+`
		where `+where+`
		order by `+since+`, mark.kvit_mark_ref
		limit `+args.add(d.Limit)+`
		`+shape.lock("skip locked"), args...) // ForEachRow reports its error
	var found []DueOrder
	var one DueOrder
	_, err := pgx.ForEachRow(rows, []any{&one.Ref, &one.Since}, func() error {
		found = append(found, one)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("find due orders: %w", err)
	}
	return withOwnMarks(ctx, tx, found)
}

// withOwnMarks locks the marks of orders and fills in what they tell.
func withOwnMarks(ctx context.Context, tx pgx.Tx, found []DueOrder) ([]DueOrder, error) {
	refs := make([]string, len(found))
	for i, order := range found {
		refs[i] = order.Ref
	}
	marks, err := lockLivingMarks(ctx, tx, refs)
	if err != nil {
		return nil, err
	}
	var orders []DueOrder
	for _, order := range found {
		mark, ok := marks[order.Ref]
		if !ok {
			continue
		}
		order.ImportedAt, order.ERPNumber = mark.ImportedAt, mark.ERPNumber
		orders = append(orders, order)
	}
	return orders, nil
}

// OrderKeys reads a column of orders as text, by reference: for TableErasure.Keys. Null is left out.
func OrderKeys(ctx context.Context, tx pgx.Tx, o Orders, column string, refs []string) (map[string]string, error) {
	refType, err := o.refType(ctx, tx)
	if err != nil {
		return nil, err
	}
	rows, _ := tx.Query(ctx, o.sql(`
		select o.{ref}::text, o.`+QuoteColumn(column)+`::text
		from {orders} o
		where o.{ref} = any ($1::text[]::`+refType+`[]) and o.`+QuoteColumn(column)+` is not null`), refs) // ForEachRow reports its error
	keys := make(map[string]string, len(refs))
	var ref, key string
	_, err = pgx.ForEachRow(rows, []any{&ref, &key}, func() error {
		keys[ref] = key
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read keys of orders: %w", err)
	}
	return keys, nil
}

// CountDueOrders tells how many orders are due, and how many would be if no hold were on them.
func CountDueOrders(ctx context.Context, db DB, o Orders, now time.Time) (dueNow, onHold int, err error) {
	refType, err := o.refType(ctx, db)
	if err != nil {
		return 0, 0, err
	}
	var args arguments
	due := o.dueOrders(refType, `o.{ref} as ref, `+held(args.add(now))+` as held`, now, args.add)
	err = db.QueryRow(ctx, `
		select count(*) filter (where not held), count(*) filter (where held)
		from (`+due+`) t`, args...).Scan(&dueNow, &onHold)
	if err != nil {
		return 0, 0, fmt.Errorf("count due orders: %w", err)
	}
	return dueNow, onHold, nil
}

// CountOrders counts the rows of the orders table.
func CountOrders(ctx context.Context, db DB, o Orders) (int, error) {
	var n int
	if err := db.QueryRow(ctx, o.sql(`select count(*) from {orders}`)).Scan(&n); err != nil {
		return 0, fmt.Errorf("count orders: %w", err)
	}
	return n, nil
}

// HeldOrder is an order that would be due, but for a hold.
type HeldOrder struct {
	OrderRef  string     `json:"order_ref"`
	Reason    string     `json:"reason"`
	ExpiresAt *time.Time `json:"expires_at"` // nil: when it is released
}

// HeldOrders lists orders that would be due, in the order of their references, limit of them at most.
func HeldOrders(ctx context.Context, db DB, o Orders, now time.Time, limit int) ([]HeldOrder, error) {
	rows, _ := db.Query(ctx, `
		select order_ref from kvit.legal_hold where expires_at is null or expires_at > $1`, now) // Collect reports its error
	refs, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("find holds: %w", err)
	}
	refs, cast, err := o.castRefs(ctx, db, refs)
	if err != nil || len(refs) == 0 {
		return nil, err
	}
	args := arguments{refs}
	due := o.isUp(o.AllClocks(), now, args.add)
	// Holds are few: the orders are found by their references.
	rows, _ = db.Query(ctx, o.sql(`
		select h.order_ref, h.reason, h.expires_at
		from (select o.{ref}::text as ref from {orders} o where o.{ref} = any ($1::text[]::`+cast+`) and `+alive)+` and `+due+`) t
		join kvit.legal_hold h on h.order_ref = t.ref
		order by h.order_ref
		limit `+args.add(limit), args...) // Collect reports its error
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[HeldOrder])
	if err != nil {
		return nil, fmt.Errorf("find held orders: %w", err)
	}
	return list, nil
}
