package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// AwaitingOrder is an order that the ERP does not have yet.
type AwaitingOrder struct {
	Ref      string     `json:"order_ref"`
	PlacedAt *time.Time `json:"placed_at"`
	Late     bool       `json:"late"` // waits for longer than the orders' AlarmAfter
}

// AwaitingOrders lists orders that wait for the ERP, those that wait longest first.
func AwaitingOrders(ctx context.Context, db DB, o Orders, limit int) ([]AwaitingOrder, error) {
	refType, err := o.refType(ctx, db)
	if err != nil {
		return nil, err
	}
	rows, _ := db.Query(ctx, o.sql(`
		select o.{ref}::text as ref,
		       case when isfinite(o.{placed_at}) then o.{placed_at}::timestamptz end as placed_at,
		       coalesce($1 > 0 and o.{placed_at} < now() - make_interval(secs => $1), false) as late
		from `+o.waiting(refType)+`
		order by o.{placed_at}, o.{ref}
		limit $2`), o.AlarmAfter.Seconds(), limit) // Collect reports its error
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[AwaitingOrder])
	if err != nil {
		return nil, fmt.Errorf("list orders that wait for the ERP: %w", err)
	}
	return list, nil
}

// ConflictingReceipt is evidence that contradicts what an order is marked with.
type ConflictingReceipt struct {
	OrderRef       string    `json:"order_ref"`
	ERPOrderNumber *string   `json:"erp_order_number"`
	FirstNumber    *string   `json:"first_number"` // that the same source told first
	Source         string    `json:"source"`
	SeenAt         time.Time `json:"seen_at"`
}

// ConflictingReceipts lists conflicts, the newest first.
func ConflictingReceipts(ctx context.Context, db DB, limit int) ([]ConflictingReceipt, error) {
	rows, _ := db.Query(ctx, `
		select r.order_ref, r.erp_order_number,
		       (select f.erp_order_number
		        from kvit.erp_receipt f
		        where f.order_ref = r.order_ref and f.source = r.source and f.document_kind = r.document_kind
		          and f.erp_order_number is not null and f.status in ('marked', 'already_marked')
		        order by f.id
		        limit 1) as first_number,
		       r.source, r.seen_at
		from kvit.erp_receipt r
		where r.status = 'conflict'
		order by r.id desc
		limit $1`, limit) // Collect reports its error
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[ConflictingReceipt])
	if err != nil {
		return nil, fmt.Errorf("list conflicts: %w", err)
	}
	return list, nil
}

// LongestOpenRef is how many characters the longest reference has of the orders that wait for the ERP; 0: none waits.
func LongestOpenRef(ctx context.Context, db DB, o Orders) (int, error) {
	refType, err := o.refType(ctx, db)
	if err != nil {
		return 0, err
	}
	var n int
	err = db.QueryRow(ctx, o.sql(`select coalesce(max(char_length(o.{ref}::text)), 0) from `+o.waiting(refType))).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("measure references of orders: %w", err)
	}
	return n, nil
}
