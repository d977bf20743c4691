package store

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// orderStatusView is on kvit's own tables alone: it lists the orders that any of them knows, and asks
// kvit.order_state about each. Marks of kvit's own come first: a query about orders that are not erased need
// not ask about the others.
func (o Orders) orderStatusView() string {
	imported, number, erased := "s.erp_imported_at", "s.erp_order_number", "s.erased_at"
	if o.OwnMarks() {
		imported, number, erased = "m.imported_at as erp_imported_at", "m.erp_number as erp_order_number", "m.erased_at"
	}
	return fmt.Sprintf(orderStatusView, imported, number, erased)
}

const orderStatusView = `
	select k.order_ref, s.placed_at, %s, %s, s.erase_due_at,
	       exists (select from kvit.legal_hold h
	               where h.order_ref = k.order_ref and (h.expires_at is null or h.expires_at > now())) as held,
	       %s
	from (
	    select order_ref from kvit.order_mark
	    union
	    select order_ref from kvit.event where order_ref is not null
	    union
	    select order_ref from kvit.erp_receipt
	    union
	    select order_ref from kvit.legal_hold
	) k
	left join kvit.order_mark m on m.order_ref = k.order_ref
	cross join lateral kvit.order_state(k.order_ref) s`

// orderState is the function that looks into the shop's table. Postgres does not look into a plpgsql body for
// what it depends on, so that nothing keeps the shop from altering or dropping the table; where the body fits
// no more, the function answers nothing.
const orderState = `
create or replace function kvit.order_state(text)
returns table (placed_at timestamptz, erp_imported_at timestamptz, erp_order_number text, erase_due_at timestamptz, erased_at timestamptz)
language plpgsql stable security definer rows 1
set search_path = %s
set timezone = %s
as %s`

// orderStateBody prefers columns of the shop's to the names of what is returned.
const orderStateBody = `
#variable_conflict use_column
begin
    return query
        %s;
exception when syntax_error_or_access_rule_violation then
    return;
end
`

// stateQuery reads one order; empty if the shop's table is not there.
func (o Orders) stateQuery(ctx context.Context, db DB) (string, error) {
	refType, err := o.refType(ctx, db)
	var misfit *MisfitError
	if errors.As(err, &misfit) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return o.sql(`select o.{placed_at}::timestamptz, {o.imported_at}::timestamptz, {o.erp_number}::text, {due_at}, {o.erased_at}::timestamptz
        from {orders} o
        where o.{ref} = ` + refOf("$1", refType) + `
        limit 1`), nil
}

// SyncOrderStatus makes the view kvit.order_status tell of the configured table. What has not changed is left
// alone, because replacing it needs an exclusive lock. A table that does not fit is no error: the view is empty.
func SyncOrderStatus(ctx context.Context, db DB, o Orders) error {
	err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		if err := takeLock(ctx, tx, orderStatusLock, lockPatience); err != nil {
			return err
		}
		function, err := o.stateFunction(ctx, tx)
		if err != nil {
			return err
		}
		awaits, err := o.awaitsFunction(ctx, tx)
		if err != nil {
			return err
		}
		view, light := o.orderStatusView(), o.lightView()
		sum, same, err := sameOrderStatus(ctx, tx, view+function+light+awaits)
		if err != nil || same {
			return err
		}
		if err := replaceOrderStatus(ctx, tx, view, function, sum); err != nil {
			return err
		}
		return replaceOrderLight(ctx, tx, light, awaits)
	})
	if err != nil {
		return fmt.Errorf("sync view kvit.order_status: %w", err)
	}
	return nil
}

// stateFunction is the statement that makes kvit.order_state.
func (o Orders) stateFunction(ctx context.Context, tx pgx.Tx) (string, error) {
	query, err := o.stateQuery(ctx, tx)
	if err != nil {
		return "", err
	}
	body := "begin\n    return;\nend\n"
	if query != "" {
		body = fmt.Sprintf(orderStateBody, query)
	}
	var zone string
	if err := tx.QueryRow(ctx, `select current_setting('timezone')`).Scan(&zone); err != nil {
		return "", err
	}
	return fmt.Sprintf(orderState, searchPath, quoteText(zone), quoteText(body)), nil
}

func quoteText(text string) string {
	quoted := "'" + strings.ReplaceAll(text, "'", "''") + "'"
	if strings.Contains(text, `\`) {
		return "E" + strings.ReplaceAll(quoted, `\`, `\\`)
	}
	return quoted
}

// sameOrderStatus tells whether view and function are those that they should be. The sum stands in the
// comment of each.
func sameOrderStatus(ctx context.Context, tx pgx.Tx, definition string) (sum string, same bool, err error) {
	err = tx.QueryRow(ctx, `
		select md5($1), coalesce(
		    obj_description(to_regclass('kvit.order_status'), 'pg_class') = md5($1)
		    and obj_description(to_regprocedure('kvit.order_state(text)'), 'pg_proc') = md5($1), false)`,
		definition).Scan(&sum, &same)
	return sum, same, err
}

// replaceOrderStatus drops whatever view is there: one of an older kvit stands on the shop's table.
func replaceOrderStatus(ctx context.Context, tx pgx.Tx, view, function, sum string) error {
	for _, statement := range []string{
		`drop view if exists kvit.order_status`,
		function,
		`revoke execute on function kvit.order_state(text) from public`,
		`grant execute on function kvit.order_state(text) to kvit_ops`,
		`comment on function kvit.order_state(text) is '` + sum + `'`,
		`create view kvit.order_status as ` + view,
		`grant select on kvit.order_status to kvit_ops`,
		`comment on view kvit.order_status is '` + sum + `'`,
	} {
		if _, err := tx.Exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}
