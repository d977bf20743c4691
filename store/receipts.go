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
	Source         string
	ImportedAt     *time.Time
	SeenAt         time.Time
	FirstNumber    *string // that the same source has told before in this kind of document; nil: none
	LineCount      *int    // of the document; nil: not known
	Total          *string // of the document, a decimal; nil: not known
}

// mostReceipts are read at a time, each of less than 4 kB. Those that are left come in the next round.
const mostReceipts = 5000

// LockReceipts reads and locks those of the given receipts that have not been judged yet, oldest
// first, together with new ones of the same orders that came before: jobs run in any order, and of two numbers the first
// counts.
func LockReceipts(ctx context.Context, tx pgx.Tx, ids []int64) ([]Receipt, error) {
	rows, _ := tx.Query(ctx, `
		select r.id, r.order_ref, r.erp_order_number, r.document_kind, r.source, r.imported_at, r.seen_at,
		       r.line_count, case when abs(r.total) < 1e15 then round(r.total, 6)::text end as total,
		       (select f.erp_order_number
		        from kvit.erp_receipt f
		        where f.order_ref = r.order_ref and f.source = r.source and f.document_kind = r.document_kind
		          and f.erp_order_number is not null and f.status in ('marked', 'already_marked')
		        order by f.id
		        limit 1) as first_number
		from kvit.erp_receipt r
		where r.order_ref in (select order_ref from kvit.erp_receipt where id = any ($1))
		  and (r.status = 'new' and r.id <= (select max(id) from unnest($1) i (id)) or r.status in ('unknown_order', 'incomplete') and r.id = any ($1))
		order by r.id
		limit $2
		for update of r`, ids, mostReceipts) // Collect reports its error
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
		set status = v.status, detail = nullif(v.detail, ''),
		    total = case when v.status in ('incomplete', 'unknown_order') then r.total end
		from unnest($1::bigint[], $2::text[], $3::text[]) as v (id, status, detail)
		where r.id = v.id and (r.status, r.detail) is distinct from (v.status, nullif(v.detail, ''))`, ids, statuses, details)
	if err != nil {
		return fmt.Errorf("settle ERP receipts: %w", err)
	}
	return nil
}

// NumbersTold finds out which of the numbers, each on the order of the same place, evidence has told in another
// kind of document or from another source than an order's: it returns the orders' references.
func NumbersTold(ctx context.Context, tx pgx.Tx, refs, numbers []string) (map[string]bool, error) {
	rows, _ := tx.Query(ctx, `
		select t.ref
		from unnest($1::text[], $2::text[]) t (ref, number)
		where t.number <> '' and exists (
		    select from kvit.erp_receipt r
		    where r.order_ref = t.ref and r.erp_order_number = t.number and r.status in ('marked', 'already_marked'))`,
		refs, numbers) // Collect reports its error
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("find numbers of orders: %w", err)
	}
	told := make(map[string]bool, len(list))
	for _, ref := range list {
		told[ref] = true
	}
	return told, nil
}

// OpenReceipts lists evidence of the last day whose order has not appeared yet, new evidence
// whose job was lost, and the last word of each source on an order where that is incomplete (the order or the configuration may have
// changed), newest first, from before the one with this id; 0: from the newest. The ERP may tell of an order
// before the shop's row is committed; without a second look that order would never be erased.
func OpenReceipts(ctx context.Context, db DB, before int64, limit int) ([]int64, error) {
	rows, _ := db.Query(ctx, `
		select id
		from kvit.erp_receipt r
		where status in ('new', 'unknown_order', 'incomplete') and ($1 = 0 or id < $1)
		  and (status = 'unknown_order' and seen_at > now() - interval '1 day'
		       or status = 'incomplete' and not exists (
		           select from kvit.erp_receipt n
		           where n.order_ref = r.order_ref and n.source = r.source and n.id > r.id)
		       or status = 'new' and seen_at < now() - interval '1 minute')
		order by id desc
		limit $2`, before, limit) // Collect reports its error
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, fmt.Errorf("list open ERP receipts: %w", err)
	}
	return ids, nil
}
