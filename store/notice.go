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
	// NoticeAllEvery is how often every order should be looked at, for those that NoticeNewOrders cannot see: carts
	// that got their reference later, and orders that were placed in the past.
	NoticeAllEvery = 24 * time.Hour
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
	err = tx.QueryRow(ctx, `select placed_upto from kvit.order_lookout for update skip locked`).Scan(&from)
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
	// A time in the future would pass over all orders until then.
	upto := args.add(time.Now())
	var seen int
	var last *time.Time
	err = tx.QueryRow(ctx, o.sql(`
		with seen as materialized (
		    select o.{ref}::text as ref, o.{placed_at}::timestamptz as placed_at
		    from {orders} o
		    where `+where+` and o.{placed_at} <= `+upto+`::timestamptz and isfinite(o.{placed_at}) and o.{ref} is not null
		    order by o.{placed_at}
		    limit $1
		), noticed as (
		    insert into kvit.order_mark (order_ref)
		    select s.ref from seen s
		    where not exists (select from kvit.order_mark m where m.order_ref = s.ref)
		    order by 1
		    on conflict (order_ref) do nothing
		)
		select count(*), max(placed_at) from seen`), args...).Scan(&seen, &last)
	if err != nil || last == nil {
		return false, err
	}
	// More orders of one moment than a chunk holds are left to NoticeAllOrders.
	more = seen == noticeChunk && (from == nil || last.After(*from))
	next := *last
	if !more {
		next = next.Add(-noticeOverlap)
	}
	_, err = tx.Exec(ctx, `update kvit.order_lookout set placed_upto = $1`, next)
	return more, err
}

// AllNoticedAt is when NoticeAllOrders last came to its end; nil: it never has.
func AllNoticedAt(ctx context.Context, db DB) (*time.Time, error) {
	var at *time.Time
	if err := db.QueryRow(ctx, `select all_seen_at from kvit.order_lookout`).Scan(&at); err != nil {
		return nil, fmt.Errorf("read when all orders were noticed: %w", err)
	}
	return at, nil
}

// NoticeAllOrders makes kvit know every order of the shop, in the order of their references. It ends when it has
// seen them all, or at the given time (zero: none), and goes on from there when it is called again.
func NoticeAllOrders(ctx context.Context, db DB, o Orders, until time.Time) error {
	refType, err := o.refType(ctx, db)
	if err != nil {
		return err
	}
	for more := true; more; more = more && (until.IsZero() || time.Now().Before(until)) {
		err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) (err error) {
			more, err = o.noticeNext(ctx, tx, refType)
			return err
		})
		if err != nil {
			return fmt.Errorf("notice orders: %w", err)
		}
	}
	return nil
}

// noticeNext looks at the next orders by reference; more is false when these were the last.
func (o Orders) noticeNext(ctx context.Context, tx pgx.Tx, refType string) (more bool, err error) {
	var after *string
	if err := tx.QueryRow(ctx, `select after_ref from kvit.order_lookout for update`).Scan(&after); err != nil {
		return false, err
	}
	args := arguments{noticeChunk}
	where := "o.{ref} is not null"
	if after != nil && fitsType(*after, refType) { // else the type has changed: from the start
		where = "o.{ref} > " + args.add(*after) + "::text::" + refType
	}
	var seen int
	var last *string
	err = tx.QueryRow(ctx, o.sql(`
		with seen as materialized (
		    select o.{ref} as ref from {orders} o where `+where+` order by o.{ref} limit $1
		), noticed as (
		    insert into kvit.order_mark (order_ref)
		    select s.ref::text from seen s
		    where not exists (select from kvit.order_mark m where m.order_ref = s.ref::text)
		    order by 1
		    on conflict (order_ref) do nothing
		)
		select count(*), (array_agg(ref::text order by ref desc))[1] from seen`), args...).Scan(&seen, &last)
	if err != nil {
		return false, err
	}
	if more = seen == noticeChunk; more {
		_, err = tx.Exec(ctx, `update kvit.order_lookout set after_ref = $1`, last)
	} else {
		_, err = tx.Exec(ctx, `update kvit.order_lookout set after_ref = null, all_seen_at = now()`)
	}
	return more, err
}
