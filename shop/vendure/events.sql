-- Tracking events of a Vendure 3 shop, without a line of code in the shop: triggers on its tables insert them in the
-- transaction of the order. Run it as the owner of the shop's tables; it may run again, for instance after an upgrade.
-- To take it all away: drop schema kvit_events cascade.
--
-- Nothing here makes a checkout fail: an event that cannot be made is left out with a warning in the server's log, and
-- `kvit history` inserts it later. A serialization failure is raised, for the shop has to repeat its transaction then.

-- All or nothing, and without keeping the shop waiting: to make a trigger Postgres locks its table, and checkouts wait behind
-- that. If a transaction of the shop's holds one for longer than two seconds, nothing has changed: run it again.
begin;
set local lock_timeout = '2s';
set local search_path = pg_catalog, pg_temp;

create schema if not exists kvit_events;

-- What the visitor has accepted: {"marketing": true, "analytics": true}. Vendure keeps no consent of its own, so that
-- nothing is sent to a destination that needs one until this function reads it from where your shop does: a custom
-- field of the order, for instance.
create or replace function kvit_events.consent(order_id integer) returns jsonb
language sql stable
as $$ select '{}'::jsonb $$;

-- The zone of the times that the shop's process writes (its TZ), which stand in columns without a zone.
create or replace function kvit_events.zone() returns text
language sql immutable
as $$ select 'UTC' $$;

-- Money in minor units as kvit wants it: 74900 is 749.00. Currencies without or with three decimals (ISO 4217).
create or replace function kvit_events.money(minor bigint, currency text) returns text
language sql immutable
as $$
    select round(minor / power(10::numeric, d.digits), d.digits)::text
    from (select case
        when currency in ('BIF', 'CLP', 'DJF', 'GNF', 'ISK', 'JPY', 'KMF', 'KRW', 'PYG', 'RWF', 'UGX', 'VND', 'VUV', 'XAF', 'XOF', 'XPF') then 0
        when currency in ('BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND') then 3
        else 2
    end) d (digits)
$$;

create or replace function kvit_events.customer(customer_id integer, address jsonb) returns jsonb
language sql stable
as $$
    select jsonb_strip_nulls(jsonb_build_object(
        'id', c.id::text, 'email', nullif(c."emailAddress", ''), 'first_name', nullif(c."firstName", ''), 'last_name', nullif(c."lastName", ''),
        'phone', case when phone.digits ~ '^\+[1-9][0-9]{6,14}$' then phone.digits end,
        'company', nullif(address ->> 'company', ''),
        'address', jsonb_build_object(
            'lines', (select jsonb_agg(l.line order by l.place)
                      from unnest(array[address ->> 'streetLine1', address ->> 'streetLine2']) with ordinality l (line, place) where l.line <> ''),
            'postal_code', nullif(address ->> 'postalCode', ''), 'city', nullif(address ->> 'city', ''),
            'region', nullif(address ->> 'province', ''), 'country', nullif(upper(address ->> 'countryCode'), ''))))
    from public.customer c
    cross join lateral (select regexp_replace(coalesce(nullif(address ->> 'phoneNumber', ''), c."phoneNumber", ''), '[^+0-9]', '', 'g')) phone (digits)
    where c.id = customer_id
$$;

-- The order as it was placed: a cancellation sets its quantities and totals to 0.
create or replace function kvit_events.payload(order_id integer) returns jsonb
language sql stable
as $$
    select jsonb_build_object(
        'customer', kvit_events.customer(o."customerId", coalesce(nullif(o."shippingAddress", '')::jsonb, '{}')),
        'order', jsonb_strip_nulls(jsonb_build_object(
            'ref', o.code, 'number', o.code, 'currency', o."currencyCode",
            'total', kvit_events.money(coalesce(nullif(o."subTotalWithTax" + o."shippingWithTax", 0), paid.amount, 0), o."currencyCode"),
            'tax', kvit_events.money(o."subTotalWithTax" + o."shippingWithTax" - o."subTotal" - o.shipping, o."currencyCode"),
            'shipping', kvit_events.money(o."shippingWithTax", o."currencyCode"),
            'coupon', nullif(split_part(o."couponCodes", ',', 1), ''),
            'payment_method', paid.method, 'transaction_id', paid.transaction, 'delivery_method', delivery.code,
            'items', coalesce(lines.items, '[]'))))
    from public."order" o
    left join lateral (
        select sum(p.amount)::bigint, min(p.method), min(p."transactionId")
        from public.payment p
        where p."orderId" = o.id and p.state in ('Authorized', 'Settled')
    ) paid (amount, method, transaction) on true
    left join lateral (
        select m.code from public.shipping_line s join public.shipping_method m on m.id = s."shippingMethodId"
        where s."orderId" = o.id order by s.id limit 1
    ) delivery on true
    left join lateral (
        select jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
            'sku', v.sku, 'name', t.name, 'quantity', q.quantity,
            'unit_price', kvit_events.money(case when l."listPriceIncludesTax" then l."listPrice"
                else round(l."listPrice" * (1 + coalesce((select sum((x ->> 'taxRate')::numeric) from jsonb_array_elements(l."taxLines"::jsonb) x), 0) / 100))::bigint end,
                o."currencyCode"))) order by l.id)
        from public.order_line l
        cross join lateral (select case when l."orderPlacedQuantity" > 0 then l."orderPlacedQuantity" else l.quantity end) q (quantity)
        join public.product_variant v on v.id = l."productVariantId"
        left join lateral (select name from public.product_variant_translation n where n."baseId" = v.id order by n.id limit 1) t on true
        where l."orderId" = o.id and q.quantity > 0
    ) lines (items) on true
    where o.id = order_id
$$;

-- Inserts an event of an order. What is wrong with one is no reason to refuse the order.
create or replace function kvit_events.insert_event(name text, order_id integer, suffix text, more jsonb) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into kvit.tracking_event (event_key, name, order_ref, payload, consent)
    select insert_event.name || ':' || o.code || suffix, insert_event.name, o.code,
           jsonb_set(p.payload, '{order}', (p.payload -> 'order') || more), kvit_events.consent(o.id)
    from public."order" o
    cross join lateral (select kvit_events.payload(o.id)) p (payload)
    where o.id = order_id;
exception
    when serialization_failure or deadlock_detected then
        raise;
    when others then
        raise warning 'kvit: event % was not made: SQLSTATE %', insert_event.name, sqlstate;
end
$$;

create or replace function kvit_events.order_changed() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    settled constant text[] := array['PaymentSettled', 'PartiallyShipped', 'Shipped', 'PartiallyDelivered', 'Delivered'];
begin
    if new."orderPlacedAt" is null then
        return null; -- a cart
    end if;
    if old."orderPlacedAt" is null then
        perform kvit_events.insert_event('order_placed', new.id, '', '{}');
    end if;
    -- The state may come before the time at which the order was placed, and comes again after a change by the staff:
    -- kvit knows the key then.
    if new.state = any (settled) and (old."orderPlacedAt" is null or old.state <> all (settled)) then
        perform kvit_events.insert_event('order_paid', new.id, '', '{}');
    end if;
    if new.state in ('Shipped', 'Delivered') and old.state not in ('Shipped', 'Delivered') then
        perform kvit_events.insert_event('order_shipped', new.id, '', '{}');
    end if;
    if new.state = 'Cancelled' and old.state <> 'Cancelled' then
        perform kvit_events.insert_event('order_cancelled', new.id, '', '{}');
    end if;
    return null;
end
$$;

create or replace function kvit_events.refund_changed() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    refunded record;
begin
    if new.state <> 'Settled' or tg_op = 'UPDATE' and old.state = 'Settled' then
        return null;
    end if;
    select o.id, o."currencyCode" as currency into refunded
    from public.payment p join public."order" o on o.id = p."orderId"
    where p.id = new."paymentId";
    if found then
        perform kvit_events.insert_event('order_refunded', refunded.id, ':' || new.id,
            jsonb_build_object('total', kvit_events.money(new.total, refunded.currency), 'items', '[]'::jsonb));
    end if;
    return null;
exception
    when serialization_failure or deadlock_detected then
        raise;
    when others then
        raise warning 'kvit: event order_refunded was not made: SQLSTATE %', sqlstate;
        return null;
end
$$;

create or replace function kvit_events.customer_changed() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if new."userId" is null or tg_op = 'UPDATE' and old."userId" is not null then
        return null;
    end if;
    insert into kvit.tracking_event (event_key, name, payload, consent)
    values ('account_created:' || new.id, 'account_created', jsonb_build_object('customer', kvit_events.customer(new.id, '{}')), '{}');
    return null;
exception
    when serialization_failure or deadlock_detected then
        raise;
    when others then
        raise warning 'kvit: event account_created was not made: SQLSTATE %', sqlstate;
        return null;
end
$$;

drop trigger if exists kvit_order_changed on public."order";
create trigger kvit_order_changed after update of state, "orderPlacedAt" on public."order"
    for each row execute function kvit_events.order_changed();

drop trigger if exists kvit_refund_changed on public.refund;
create trigger kvit_refund_changed after insert or update of state on public.refund
    for each row execute function kvit_events.refund_changed();

drop trigger if exists kvit_customer_changed on public.customer;
create trigger kvit_customer_changed after insert or update of "userId" on public.customer
    for each row execute function kvit_events.customer_changed();

-- What the shop did before the triggers were there, as `kvit history` inserts it: the same events with the same keys, so
-- that neither a second run nor a trigger's event is a repeat.
create or replace function kvit_events.past(since timestamptz, until timestamptz)
returns table (event_key text, name text, order_ref text, occurred_at timestamptz, payload jsonb, consent jsonb)
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
    with placed as (
        select o.id, o.code, o."orderPlacedAt" at time zone kvit_events.zone() as placed_at,
               (select min(p."createdAt") from public.payment p where p."orderId" = o.id and p.state = 'Settled') at time zone kvit_events.zone() as paid_at
        from public."order" o
        where o."orderPlacedAt" is not null
    )
    select e.name || ':' || o.code, e.name, o.code, e.at, kvit_events.payload(o.id), kvit_events.consent(o.id)
    from placed o
    cross join lateral (values ('order_placed', o.placed_at), ('order_paid', greatest(o.paid_at, o.placed_at))) e (name, at)
    where e.at >= since and e.at < until
    union all
    select 'order_refunded:' || o.code || ':' || r.id, 'order_refunded', o.code, r.at,
           jsonb_set(p.payload, '{order}', (p.payload -> 'order') || jsonb_build_object('total', kvit_events.money(r.total, r.currency), 'items', '[]'::jsonb)),
           kvit_events.consent(o.id)
    from placed o
    join lateral (
        select r.id, r.total, b."currencyCode", r."createdAt" at time zone kvit_events.zone()
        from public.payment p join public.refund r on r."paymentId" = p.id join public."order" b on b.id = p."orderId"
        where p."orderId" = o.id and r.state = 'Settled'
    ) r (id, total, currency, at) on true
    cross join lateral (select kvit_events.payload(o.id)) p (payload)
    where r.at >= since and r.at < until
    union all
    select 'account_created:' || c.id, 'account_created', null, c."createdAt" at time zone kvit_events.zone(),
           jsonb_build_object('customer', kvit_events.customer(c.id, '{}')), '{}'
    from public.customer c
    where c."userId" is not null and c."createdAt" at time zone kvit_events.zone() >= since and c."createdAt" at time zone kvit_events.zone() < until
$$;

revoke execute on all functions in schema kvit_events from public;

-- kvit itself, whose role owns the schema kvit, may read the past.
do $$
declare
    kvit regrole := (select nspowner::regrole from pg_catalog.pg_namespace where nspname = 'kvit');
begin
    if kvit is null then
        raise exception 'the schema kvit is missing: run kvit migrate up first';
    end if;
    execute format('grant usage on schema kvit_events to %s', kvit);
    execute format('grant execute on function kvit_events.past(timestamptz, timestamptz) to %s', kvit);
end
$$;

commit;
