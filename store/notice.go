package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// noticeChunk is how many orders one statement looks at.
	noticeChunk = 10_000
	// noticeOverlap is how long before the last one that it saw NoticeNewOrders begins: orders become visible
	// when their transactions end, and not in the order in which they were placed.
	noticeOverlap = time.Hour
	// noticeAllEvery is how often every order is looked at, for those that NoticeNewOrders cannot see: carts that got
	// their reference later, and orders that were placed in the past.
	noticeAllEvery = 24 * time.Hour
)

// NoticeNewOrders makes kvit know orders that the shop has placed since it looked last. It ends when it has seen
// them all, or at the given time, and goes on from there when it is called again.
func NoticeNewOrders(ctx context.Context, db DB, o Orders, until time.Time) error {
	for more := true; more; more = more && time.Now().Before(until) {
		err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) (err error) {
			more, err = o.noticeNew(ctx, tx)
			return err
		})
		if err != nil {
			return fmt.Errorf("notice new orders: %w", err)
		}
	}
	return nil
}

// noticeNew looks at the next orders by the time when they were placed; more is false when these were the last.
func (o Orders) noticeNew(ctx context.Context, tx pgx.Tx) (more bool, err error) {
	var from *time.Time
	err = tx.QueryRow(ctx, `
		select case when placed_upto > now() then now() - make_interval(secs => $1) else placed_upto end
		from kvit.order_lookout
		for update skip locked`, noticeOverlap.Seconds()).Scan(&from)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil // another process is at it
	}
	if err != nil {
		return false, err
	}
	args := arguments{noticeChunk}
	where := "true"
	if from != nil {
		where = "o.{placed_at} >= " + args.add(*from) + "::timestamptz"
	}
	// A time in the future would pass over all orders until then, and one that was looked at while the clock was ahead
	// still does.
	var seen int
	var last *time.Time
	err = tx.QueryRow(ctx, o.sql(`
		with seen as materialized (
		    select o.{ref}::text as ref, o.{placed_at}::timestamptz as placed_at
		    from {orders} o
		    where `+where+` and o.{placed_at} <= now() and isfinite(o.{placed_at}) and o.{ref} is not null
		    order by o.{placed_at}
		    limit $1
		), noticed as (
		    insert into kvit.order_mark (order_ref)
		    select s.ref from seen s
		    where not exists (select from kvit.order_mark m where m.order_ref = s.ref and m.gone_at is null)
		    order by 1
		    on conflict (order_ref) do update set gone_at = null
		)
		select count(*), max(placed_at) from seen`), args...).Scan(&seen, &last)
	if err != nil || last == nil {
		return false, err
	}
	// More orders of one moment than a chunk holds are left to NoticeOldOrders.
	more = seen == noticeChunk && (from == nil || last.After(*from))
	next := *last
	if !more {
		next = next.Add(-noticeOverlap)
	}
	_, err = tx.Exec(ctx, `update kvit.order_lookout set placed_upto = $1`, next)
	return more, err
}

// NoticeAllOrders makes kvit know every order of the shop. It goes through them by their references, and ends
// when it has seen them all, or at the given time (zero: none).
func NoticeAllOrders(ctx context.Context, db DB, o Orders, until time.Time) error {
	refType, err := o.refType(ctx, db)
	if err != nil {
		return err
	}
	var after *string
	for first := true; first || after != nil && (until.IsZero() || time.Now().Before(until)); first = false {
		err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) (err error) {
			after, err = o.noticeAfter(ctx, tx, refType, after)
			return err
		})
		if err != nil {
			return fmt.Errorf("notice orders: %w", err)
		}
	}
	return nil
}

// NoticeOldOrders is NoticeAllOrders for as long as there is time, and goes on where it was when it was called
// last. When it has seen all orders it begins anew a day later.
func NoticeOldOrders(ctx context.Context, db DB, o Orders, until time.Time) error {
	refType, err := o.refType(ctx, db)
	if err != nil {
		return err
	}
	for more := true; more; more = more && time.Now().Before(until) {
		err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) (err error) {
			more, err = o.noticeOld(ctx, tx, refType)
			return err
		})
		if err != nil {
			return fmt.Errorf("notice old orders: %w", err)
		}
	}
	return nil
}

// noticeOld looks at the next orders; more is false when these were the last, or it is not yet time.
func (o Orders) noticeOld(ctx context.Context, tx pgx.Tx, refType string) (more bool, err error) {
	var after *string
	err = tx.QueryRow(ctx, `
		select after_ref from kvit.order_lookout
		where after_ref is not null or all_seen_at is null or all_seen_at < now() - make_interval(secs => $1)
		for update skip locked`, noticeAllEvery.Seconds()).Scan(&after)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if after != nil && !fitsType(*after, refType) {
		after = nil // the column's type has changed: from the start
	}
	next, err := o.noticeAfter(ctx, tx, refType, after)
	if err != nil {
		return false, err
	}
	_, err = tx.Exec(ctx, `
		update kvit.order_lookout
		set after_ref = $1, all_seen_at = case when $1::text is null then now() else all_seen_at end`, next)
	return next != nil, err
}

// noticeAfter looks at the next orders by reference, from the first if after is nil. next is where to go on; it
// is nil at the end.
func (o Orders) noticeAfter(ctx context.Context, tx pgx.Tx, refType string, after *string) (next *string, err error) {
	args := arguments{noticeChunk}
	where := "o.{ref} is not null"
	if after != nil {
		where = "o.{ref} > " + args.add(*after) + "::text::" + refType
	}
	var seen int
	err = tx.QueryRow(ctx, o.sql(`
		with seen as materialized (
		    select o.{ref} as ref from {orders} o where `+where+` order by o.{ref} limit $1
		), noticed as (
		    insert into kvit.order_mark (order_ref)
		    select s.ref::text from seen s
		    where not exists (select from kvit.order_mark m where m.order_ref = s.ref::text and m.gone_at is null)
		    order by 1
		    on conflict (order_ref) do update set gone_at = null
		)
		select count(*), (array_agg(ref::text order by ref desc))[1] from seen`), args...).Scan(&seen, &next)
	if err != nil || seen < noticeChunk {
		return nil, err
	}
	return next, nil
}

// NoticeGone goes through marks of orders that are not erased, limit of them after the reference after, and puts those
// aside that the shop has no more: they would stay among what is due for ever. It returns where to go on; empty at the end. Where
// the marks stand on the shop's table it does nothing.
func NoticeGone(ctx context.Context, tx pgx.Tx, o Orders, after string, limit int) (next string, err error) {
	if !o.OwnMarks() {
		return "", nil
	}
	refType, err := o.refType(ctx, tx)
	if err != nil {
		return "", err
	}
	var seen int
	var last *string
	err = tx.QueryRow(ctx, o.sql(`
		with seen as materialized (
		    select order_ref from kvit.order_mark
		    where erased_at is null and gone_at is null and order_ref > $1
		    order by order_ref
		    limit $2
		), gone as (
		    update kvit.order_mark m set gone_at = now()
		    from seen s
		    where m.order_ref = s.order_ref
		      and not exists (select from {orders} o where o.{ref} = `+refOf("s.order_ref", refType)+` and o.{ref}::text = s.order_ref)
		)
		select count(*), max(order_ref) from seen`), after, limit).Scan(&seen, &last)
	if err != nil {
		return "", fmt.Errorf("notice orders that are gone: %w", err)
	}
	if seen < limit || last == nil {
		return "", nil
	}
	return *last, nil
}
