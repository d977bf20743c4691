package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// Lines is the table with the lines of orders.
type Lines struct {
	Table string // "schema.table"
	Match []Pair // Column of it equals Key of the orders table; one at least
	Where string // SQL predicate over its columns: lines that the ERP has, too
}

// count is a subquery that counts the lines of the order behind an alias of the orders table. Two rows of it must not have one
// name, so the predicate sees the columns of the lines first.
func (l *Lines) count(alias string) string {
	if l == nil {
		return "null::integer"
	}
	conditions := make([]string, 0, len(l.Match)+1)
	for _, p := range l.Match {
		conditions = append(conditions, "kvit_line."+QuoteColumn(p.Column)+" = "+alias+"."+QuoteColumn(p.Key))
	}
	conditions = append(conditions, "("+l.Where+")")
	return "(select count(*)::integer from " + QuoteTable(l.Table) + " kvit_line where " + strings.Join(conditions, " and ") + ")"
}

// total is the order's total as a decimal text; null where it is none that anybody pays.
func (o Orders) total(alias string) string {
	if o.Total == "" {
		return "null::text"
	}
	column := alias + "." + QuoteColumn(o.Total)
	return "(case when abs(" + column + "::numeric) < 1e15 then round(" + column + "::numeric, 6)::text end)"
}

// OrderSize is what evidence of an order is compared with.
type OrderSize struct {
	Ref         string
	Lines       *int    // nil: not known
	Total       *string // a decimal; nil: not known
	Confirmed   int64   // the newest evidence that a person has confirmed; 0: none
	ConfirmedAt *time.Time
}

func (o Orders) sizes(refType string) string {
	return o.sql(`
		select o.{ref}::text as ref, ` + o.Lines.count("o") + ` as lines, ` + o.total("o") + ` as total,
		       coalesce(confirmed.receipt_id, 0) as confirmed, confirmed.confirmed_at
		from {orders} o
		left join lateral (
		    select c.receipt_id, c.confirmed_at
		    from kvit.order_confirmation c
		    where c.order_ref = kvit.order_ref(o.{ref}::text)
		    order by c.receipt_id desc
		    limit 1
		) confirmed on true
		where o.{ref} = any ($1::text[]::` + refType + `[])`)
}

// OrderSizes reads how many lines orders have and what they cost, as far as the configuration says where that is.
func OrderSizes(ctx context.Context, db DB, o Orders, refs []string) ([]OrderSize, error) {
	shape, err := o.shape(ctx, db)
	if err != nil {
		return nil, err
	}
	rows, _ := db.Query(ctx, o.sizes(shape.refType), shape.fitting(refs)) // Collect reports its error
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[OrderSize])
	if err != nil {
		return nil, fmt.Errorf("read lines and totals of orders: %w", err)
	}
	return list, nil
}

// CheckOrderSizes tells whether OrderSizes can be asked: tables and columns are there, and readable.
func CheckOrderSizes(ctx context.Context, db DB, o Orders) error {
	_, err := OrderSizes(ctx, db, o, nil)
	return err
}

// PutIncompleteAside ends the wait of evidence whose orders other evidence has marked.
func PutIncompleteAside(ctx context.Context, tx pgx.Tx, refs []string) error {
	_, err := tx.Exec(ctx, `
		update kvit.erp_receipt
		set status = 'ignored', total = null, detail = left('when it was seen, ' || coalesce(detail, 'it was incomplete') || '; other evidence has marked the order', 1000)
		where order_ref = any ($1) and status = 'incomplete'`, refs)
	if err != nil {
		return fmt.Errorf("put incomplete evidence aside: %w", err)
	}
	return nil
}

// incompleteOrders are evidence that waits for the rest or for a person, the newest of each order, as items for FROM and the
// conditions: orders that are marked or erased by now wait for nothing.
func (o Orders) incompleteOrders(refType string) string {
	return o.sql(`
		(select distinct on (order_ref) order_ref, id, erp_order_number, document_kind, source, seen_at, detail, line_count, total
		 from kvit.erp_receipt
		 where status = 'incomplete'
		 order by order_ref, id desc) r
		join {orders} o on o.{ref} = ` + refOf("r.order_ref", refType) + `
		where {o.imported_at} is null and {o.erased_at} is null`)
}

// IncompleteOrder is an order of which the ERP does not show the whole.
type IncompleteOrder struct {
	OrderRef       string    `json:"order_ref"`
	ERPOrderNumber *string   `json:"erp_order_number"`
	DocumentKind   string    `json:"document_kind"`
	Source         string    `json:"source"`
	SeenAt         time.Time `json:"seen_at"`
	Problem        *string   `json:"problem"`
	ERPLines       *int      `json:"erp_lines"` // null: not told, or not compared
	Lines          *int      `json:"lines"`
	ERPTotal       *string   `json:"erp_total"` // likewise
	Total          *string   `json:"total"`
}

// IncompleteOrders lists them, those that wait longest first.
func IncompleteOrders(ctx context.Context, db DB, o Orders, limit int) ([]IncompleteOrder, error) {
	refType, err := o.refType(ctx, db)
	if err != nil {
		return nil, err
	}
	rows, _ := db.Query(ctx, `
		select r.order_ref, r.erp_order_number, r.document_kind, r.source, r.seen_at, r.detail as problem,
		       r.line_count as erp_lines, `+o.Lines.count("o")+` as lines,
		       trim_scale(r.total)::text as erp_total, trim_scale(`+o.total("o")+`::numeric)::text as total
		from `+o.incompleteOrders(refType)+`
		order by r.id
		limit $1`, limit) // Collect reports its error
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[IncompleteOrder])
	if err != nil {
		return nil, fmt.Errorf("list incomplete orders: %w", err)
	}
	return list, nil
}

// CountIncomplete counts them.
func CountIncomplete(ctx context.Context, db DB, o Orders) (n int64, err error) {
	refType, err := o.refType(ctx, db)
	if err != nil {
		return 0, err
	}
	if err := db.QueryRow(ctx, `select count(*) from `+o.incompleteOrders(refType)).Scan(&n); err != nil {
		return 0, fmt.Errorf("count incomplete orders: %w", err)
	}
	return n, nil
}

// Why an order cannot be confirmed.
var (
	ErrNoSuchOrder        = errors.New("the orders table has no such reference")
	ErrImported           = errors.New("the order is marked as imported already")
	ErrNothingToConfirm   = errors.New("there is no incomplete evidence of the order: nothing to confirm")
	errConfirmationNobody = errors.New("who confirms, and why, must be told")
)

// Confirmation says that an order is in the ERP although its evidence is incomplete.
type Confirmation struct {
	OrderRef string
	Reason   string // read by operators: no personal data
	By       string
}

// ConfirmOrder notes that a person has confirmed the evidence that there is of an order, and has it judged again: the order's time
// of import is that of the confirmation. Evidence that comes later is compared as before. The audit has it, too. It returns
// ErrNoSuchOrder, ErrErased, ErrImported or ErrNothingToConfirm where there is nothing that could be confirmed.
func ConfirmOrder(ctx context.Context, db DB, o Orders, c Confirmation) error {
	c.OrderRef = OrderRef(c.OrderRef)
	if strings.TrimSpace(c.Reason) == "" || strings.TrimSpace(c.By) == "" {
		return errConfirmationNobody
	}
	err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		if err := confirmable(ctx, tx, o, c.OrderRef); err != nil {
			return err
		}
		receipt, err := confirm(ctx, tx, c)
		if err != nil {
			return err
		}
		entry := AuditEntry{Who: c.By, Action: "confirm order", Subject: c.OrderRef, Reason: c.Reason, Detail: map[string]int64{"receipt": receipt}}
		if err := Audit(ctx, tx, entry); err != nil {
			return err
		}
		return judgeAgain(ctx, tx, receipt)
	})
	if err != nil {
		return fmt.Errorf("confirm order %s: %w", c.OrderRef, err)
	}
	return nil
}

// confirm notes the confirmation of the newest incomplete evidence, and returns its id.
func confirm(ctx context.Context, tx pgx.Tx, c Confirmation) (receipt int64, err error) {
	var newest *int64
	err = tx.QueryRow(ctx, `select max(id) from kvit.erp_receipt where order_ref = $1 and status = 'incomplete'`, c.OrderRef).Scan(&newest)
	if err != nil {
		return 0, err
	}
	if newest == nil {
		return 0, ErrNothingToConfirm
	}
	_, err = tx.Exec(ctx, `
		insert into kvit.order_confirmation (order_ref, receipt_id, reason, confirmed_by)
		values ($1, $2, $3, $4)`, c.OrderRef, *newest, c.Reason, c.By)
	return *newest, err
}

func confirmable(ctx context.Context, tx pgx.Tx, o Orders, ref string) error {
	list, err := LockOrders(ctx, tx, o, []string{ref})
	switch {
	case err != nil:
		return err
	case len(list) == 0:
		return ErrNoSuchOrder
	case list[0].ErasedAt != nil:
		return ErrErased
	case list[0].ImportedAt != nil:
		return ErrImported
	}
	return nil
}

// judgeAgain makes the job that the trigger makes of new evidence.
func judgeAgain(ctx context.Context, tx pgx.Tx, receipt int64) error {
	_, err := tx.Exec(ctx, `
		insert into kvit.river_job (kind, args, queue, max_attempts)
		values ('mark_order', jsonb_build_object('receipt_id', $1::bigint), 'erp', 10000)`, receipt)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `select pg_notify('kvit.river_insert', '{"queue": "erp"}')`)
	return err
}
