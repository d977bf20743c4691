package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Receipt is one piece of evidence that an order is in the ERP.
type Receipt struct {
	ID             int64
	OrderRef       string
	ERPOrderNumber *string
	DocumentKind   string
	ImportedAt     *time.Time
	SeenAt         time.Time
}

// LockReceipts reads and locks those of the given receipts that have not been judged yet, oldest
// first, together with other new ones of the same orders: jobs run in any order, and a later number
// must not win over the first.
func LockReceipts(ctx context.Context, tx pgx.Tx, ids []int64) ([]Receipt, error) {
	rows, _ := tx.Query(ctx, `
		select id, order_ref, erp_order_number, document_kind, imported_at, seen_at
		from kvit.erp_receipt
		where order_ref in (select order_ref from kvit.erp_receipt where id = any ($1))
		  and (status = 'new' or status = 'unknown_order' and id = any ($1))
		order by id
		for update`, ids) // Collect reports its error
	receipts, err := pgx.CollectRows(rows, pgx.RowToStructByName[Receipt])
	if err != nil {
		return nil, fmt.Errorf("lock ERP receipts: %w", err)
	}
	return receipts, nil
}

// Verdict is what became of a receipt.
type Verdict struct {
	ReceiptID int64
	Status    string
	Detail    string // empty: none
}

// SettleReceipts writes what became of receipts.
func SettleReceipts(ctx context.Context, tx pgx.Tx, verdicts []Verdict) error {
	ids := make([]int64, len(verdicts))
	statuses := make([]string, len(verdicts))
	details := make([]string, len(verdicts))
	for i, v := range verdicts {
		ids[i], statuses[i], details[i] = v.ReceiptID, v.Status, v.Detail
	}
	_, err := tx.Exec(ctx, `
		update kvit.erp_receipt r
		set status = v.status, detail = nullif(v.detail, '')
		from unnest($1::bigint[], $2::text[], $3::text[]) as v (id, status, detail)
		where r.id = v.id`, ids, statuses, details)
	if err != nil {
		return fmt.Errorf("settle ERP receipts: %w", err)
	}
	return nil
}

// OpenReceipts lists evidence of the last day whose order has not appeared yet, and new evidence
// whose job was lost, newest first. The ERP may tell of an order before the shop's row is
// committed; without a second look that order would never be erased.
func OpenReceipts(ctx context.Context, db DB, limit int) ([]int64, error) {
	rows, _ := db.Query(ctx, `
		select id
		from kvit.erp_receipt
		where status = 'unknown_order' and seen_at > now() - interval '1 day'
		   or status = 'new' and seen_at < now() - interval '1 minute'
		order by id desc
		limit $1`, limit) // Collect reports its error
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, fmt.Errorf("list open ERP receipts: %w", err)
	}
	return ids, nil
}
