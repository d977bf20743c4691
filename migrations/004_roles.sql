-- Groups that the operator grants to login roles. Roles belong to the whole server, so another
-- database may have made them already, perhaps at this very moment.
do $$
declare
    role_name text;
begin
    foreach role_name in array array['kvit_shop', 'kvit_erp', 'kvit_ops'] loop
        begin
            if not exists (select from pg_roles where rolname = role_name) then
                execute format('create role %I nologin', role_name);
            end if;
        exception when duplicate_object or unique_violation then
            null;
        end;
    end loop;
end
$$;

grant usage on schema kvit to kvit_shop, kvit_erp, kvit_ops;

grant insert (event_key, name, occurred_at, order_ref, payload, consent) on kvit.tracking_event to kvit_shop;

grant insert (order_ref, erp_order_number, document_kind, imported_at, source) on kvit.erp_receipt to kvit_erp;

grant select (id, event_key, name, occurred_at, order_ref, consent, received_at, erased_at) on kvit.tracking_event to kvit_ops;
grant select on kvit.destination, kvit.delivery, kvit.delivery_status, kvit.erp_receipt, kvit.legal_hold,
    kvit.erasure_certificate, kvit.erasure_run, kvit.migration to kvit_ops;
grant select on kvit.river_job, kvit.river_queue to kvit_ops;

-- Functions are executable by everybody unless said otherwise; triggers need no such right.
revoke execute on function kvit.insert_tracking_event(), kvit.store_event(kvit.tracking_event, text),
    kvit.insert_erp_receipt(), kvit.enqueue_erp_receipt(), kvit.refuse_certificate_change() from public;
