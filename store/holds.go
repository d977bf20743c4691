package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// ErrErased says that an order's data is gone already.
var ErrErased = errors.New("the order is already erased")

// Hold keeps an order from being erased.
type Hold struct {
	OrderRef  string     `json:"order_ref"`
	Reason    string     `json:"reason"` // read by operators: no personal data
	PlacedBy  string     `json:"placed_by"`
	PlacedAt  time.Time  `json:"placed_at"`
	ExpiresAt *time.Time `json:"expires_at"` // nil: until it is released
}

// AddHold places a hold, or replaces the one that the order has; PlacedAt is set by the database. It
// waits for a batch of erasures that is under way, so that a hold is never placed in vain: it returns
// ErrErased if the order is already erased. known is false if the shop has no such order (yet), which
// may be a slip of the pen; the hold is placed all the same. o is nil if no shop is configured.
func AddHold(ctx context.Context, db DB, o *Orders, h Hold) (known bool, err error) {
	h.OrderRef = OrderRef(h.OrderRef)
	if h.OrderRef == "" {
		return false, errors.New("hold order: the reference is empty")
	}
	err = pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		if err := LockErasure(ctx, tx); err != nil {
			return err
		}
		if known, err = holdable(ctx, tx, o, h.OrderRef); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `
			insert into kvit.legal_hold (order_ref, reason, placed_by, expires_at)
			values ($1, $2, $3, $4)
			on conflict (order_ref) do update
			set reason = excluded.reason, placed_by = excluded.placed_by, placed_at = now(), expires_at = excluded.expires_at`,
			h.OrderRef, h.Reason, h.PlacedBy, h.ExpiresAt)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("hold order %s: %w", h.OrderRef, err)
	}
	return known, nil
}

func holdable(ctx context.Context, tx pgx.Tx, o *Orders, ref string) (known bool, err error) {
	if o == nil {
		return false, nil
	}
	refs, cast, err := o.castRefs(ctx, tx, []string{ref})
	if err != nil || len(refs) == 0 {
		return false, err
	}
	var erased bool
	err = tx.QueryRow(ctx, o.sql(`
		select {o.erased_at} is not null from {orders} o where o.{ref} = any ($1::text[]::`+cast+`) limit 1`), refs).Scan(&erased)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if erased {
		return true, ErrErased
	}
	return true, err
}

// ReleaseHold lets an order be erased when it is due. It returns ErrNotFound if the order has no hold.
func ReleaseHold(ctx context.Context, db DB, orderRef string) error {
	tag, err := db.Exec(ctx, `delete from kvit.legal_hold where order_ref = $1`, OrderRef(orderRef))
	if err != nil {
		return fmt.Errorf("release order %s: %w", orderRef, err)
	}
	if tag.RowsAffected() == 0 {
		return fmt.Errorf("release order %s: %w", orderRef, ErrNotFound)
	}
	return nil
}

// ActiveHolds lists the holds on orders that have not expired, in the order of their references.
func ActiveHolds(ctx context.Context, db DB, refs []string, now time.Time) ([]HeldOrder, error) {
	rows, _ := db.Query(ctx, `
		select h.order_ref, h.reason, h.expires_at
		from kvit.legal_hold h
		where h.order_ref in (select kvit.order_ref(o.ref) from unnest($1::text[]) o (ref)) and (h.expires_at is null or h.expires_at > $2)
		order by h.order_ref`, refs, now) // Collect reports its error
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[HeldOrder])
	if err != nil {
		return nil, fmt.Errorf("find holds of orders: %w", err)
	}
	return list, nil
}

// Holds lists all holds, expired ones included, oldest first.
func Holds(ctx context.Context, db DB) ([]Hold, error) {
	rows, _ := db.Query(ctx, `
		select order_ref, reason, placed_by, placed_at, expires_at
		from kvit.legal_hold
		order by placed_at, order_ref`) // Collect reports its error
	holds, err := pgx.CollectRows(rows, pgx.RowToStructByName[Hold])
	if err != nil {
		return nil, fmt.Errorf("list holds: %w", err)
	}
	return holds, nil
}
