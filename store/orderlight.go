package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// orderAwaits is the function that looks into the shop's table for whether the ERP should get an order. It answers null where the
// table does not fit.
const orderAwaits = `
create or replace function kvit.order_awaits(text)
returns boolean
language plpgsql stable security definer
set search_path = %s
as %s`

// orderLightView stands on kvit's own tables and functions, as kvit.order_status does, and not on that view, which is dropped when
// it changes.
const orderLightView = `
	select s.order_ref, l.light, l.reason, s.placed_at, s.erp_imported_at, s.erp_order_number
	from (%s) s
	cross join lateral (
	    select exists (select from kvit.erp_receipt r where r.order_ref = s.order_ref and r.status = 'conflict') as conflict,
	           s.erp_imported_at is null and exists (
	               select from kvit.erp_receipt r where r.order_ref = s.order_ref and r.status = 'incomplete') as incomplete,
	           kvit.order_awaits(s.order_ref) as awaits,
	           %s as late
	) c
	cross join lateral (
	    select case when c.conflict or c.incomplete or s.erp_imported_at is null and c.awaits and c.late then 'red'
	                when s.erp_imported_at is not null then 'green'
	                when c.awaits then 'blue' end as light,
	           case when c.conflict then 'the ERP has told two numbers'
	                when c.incomplete then 'the ERP does not show the whole order'
	                when s.erp_imported_at is null and c.awaits and c.late then 'the ERP should have it by now' end as reason
	) l
	where s.erased_at is null and l.light is not null`

// lightView is the statement of the view.
func (o Orders) lightView() string {
	late := "false"
	if o.AlarmAfter > 0 {
		late = fmt.Sprintf("coalesce(s.placed_at < now() - interval '%d seconds', false)", int64(o.AlarmAfter.Seconds()))
	}
	return fmt.Sprintf(orderLightView, o.orderStatusView(), late)
}

// awaitsFunction is the statement that makes kvit.order_awaits.
func (o Orders) awaitsFunction(ctx context.Context, db DB) (string, error) {
	body := "begin\n    return null;\nend\n"
	refType, err := o.refType(ctx, db)
	var misfit *MisfitError
	if err != nil && !errors.As(err, &misfit) {
		return "", err
	}
	if err == nil {
		body = o.sql(`
#variable_conflict use_column
begin
    return exists (
        select from {orders} o
        where o.{ref} = ` + refOf("$1", refType) + ` and {awaiting_import});
exception when syntax_error_or_access_rule_violation then
    return null;
end
`)
	}
	return fmt.Sprintf(orderAwaits, searchPath, quoteText(body)), nil
}

// replaceOrderLight goes with replaceOrderStatus: the sum in the comments of what that makes covers both.
func replaceOrderLight(ctx context.Context, tx pgx.Tx, view, awaits string) error {
	for _, statement := range []string{
		`drop view if exists kvit.order_light`,
		awaits,
		`revoke execute on function kvit.order_awaits(text) from public`,
		`grant execute on function kvit.order_awaits(text) to kvit_ops`,
		`create view kvit.order_light as ` + view,
		`grant select on kvit.order_light to kvit_ops`,
		`comment on view kvit.order_light is 'What a backoffice shows of an order and the ERP: green (there), blue (waiting), red (a problem).'`,
	} {
		if _, err := tx.Exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}
