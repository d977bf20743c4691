-- A partial refund is a state of its order, too: where providers are told what is left of a sale, the last one has to come last.
create or replace function kvit.event_stream(name text, order_ref text, payload json) returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
    identity text;
begin
    if name in ('order_placed', 'order_paid', 'order_shipped', 'order_partly_refunded', 'order_cancelled', 'order_refunded') then
        return 'order:' || order_ref;
    end if;
    if name not in ('cart_updated', 'newsletter_optin', 'newsletter_optout', 'sms_optin', 'sms_optout', 'account_created', 'account_updated')
       or payload is null or octet_length(payload::text) > 262144 then
        return null;
    end if;
    if name = 'cart_updated' then
        identity := kvit.payload_text(payload, 'cart', 'id');
    else
        identity := coalesce(kvit.email_address(kvit.payload_text(payload, 'customer', 'email')), lower(kvit.payload_text(payload, 'customer', 'id')));
    end if;
    return split_part(name, '_', 1) || ':' || kvit.fingerprint(identity);
end
$$;

create or replace function kvit.event_rank(name text) returns integer
language sql immutable
return case name
    when 'order_placed' then 10
    when 'order_paid' then 20
    when 'order_shipped' then 50
    when 'order_partly_refunded' then 80
    when 'order_cancelled' then 90
    when 'order_refunded' then 95
    else 0
end;

update kvit.event set stream = kvit.event_stream(name, order_ref, payload) where name = 'order_partly_refunded' and stream is null;
