-- Tracking events of a Medusa 2 shop, without a line of code in the shop: triggers on its tables insert them in the
-- transaction of what happened. Run it as the owner of the shop's tables; it may run again, for instance after an upgrade.
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

-- What the visitor has accepted: {"marketing": true, "analytics": true}. Medusa keeps no consent of its own, so that
-- nothing is sent to a destination that needs one until this function reads it from where your shop does: the metadata
-- of the order, for instance.
create or replace function kvit_events.consent(order_id text) returns jsonb
language sql stable
as $$ select '{}'::jsonb $$;

-- Money as kvit wants it. Medusa does not round: 593.4375 is 593.44. Currencies without or with three decimals (ISO 4217).
create or replace function kvit_events.money(amount numeric, currency text) returns text
language sql immutable
as $$
    select round(amount, case
        when upper(currency) in ('BIF', 'CLP', 'DJF', 'GNF', 'ISK', 'JPY', 'KMF', 'KRW', 'PYG', 'RWF', 'UGX', 'VND', 'VUV', 'XAF', 'XOF', 'XPF') then 0
        when upper(currency) in ('BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND') then 3
        else 2
    end)::text
$$;

create or replace function kvit_events.phone(written text) returns text
language sql immutable
as $$
    select case when p.digits ~ '^\+[1-9][0-9]{6,14}$' then p.digits end
    from (select regexp_replace(written, '[^+0-9]', '', 'g')) p (digits)
$$;

create or replace function kvit_events.account(customer_id text) returns jsonb
language sql stable
as $$
    select jsonb_strip_nulls(jsonb_build_object(
        'id', c.id, 'email', nullif(c.email, ''), 'first_name', nullif(c.first_name, ''), 'last_name', nullif(c.last_name, ''),
        'phone', kvit_events.phone(c.phone), 'company', nullif(c.company_name, '')))
    from public.customer c
    where c.id = customer_id
$$;

-- Who ordered: a guest's names are in the address alone.
create or replace function kvit_events.customer(order_id text) returns jsonb
language sql stable
as $$
    select coalesce(kvit_events.account(o.customer_id), '{}') || jsonb_strip_nulls(jsonb_build_object(
        'email', nullif(o.email, ''), 'first_name', nullif(a.first_name, ''), 'last_name', nullif(a.last_name, ''),
        'phone', kvit_events.phone(a.phone), 'company', nullif(a.company, ''),
        'address', jsonb_build_object(
            'lines', (select jsonb_agg(l.line order by l.place)
                      from unnest(array[a.address_1, a.address_2]) with ordinality l (line, place) where l.line <> ''),
            'postal_code', nullif(a.postal_code, ''), 'city', nullif(a.city, ''),
            'region', nullif(a.province, ''), 'country', nullif(upper(a.country_code), ''))))
    from public."order" o
    left join public.order_address a on a.id = coalesce(o.shipping_address_id, o.billing_address_id)
    where o.id = order_id
$$;

-- The goods of an order and its shipping, as they were placed or last edited: net, discount and tax of each, not rounded.
-- A refund and a cancellation leave them as they are, while Medusa's own total falls.
create or replace function kvit_events.lines(order_id text)
returns table (shipping boolean, id text, sku text, name text, quantity numeric, gross_price numeric, gross numeric, tax numeric, discount numeric, code text)
language sql stable
as $$
    select l.shipping, l.id, l.sku, l.name, l.quantity, n.price * (1 + l.rate), n.total * (1 + l.rate), n.total * l.rate, n.discount * (1 + l.rate), l.code
    from (
        select false, i.id, coalesce(i.variant_sku, i.variant_id, i.product_id, i.id), coalesce(i.product_title, i.title), x.quantity,
               coalesce(x.unit_price, i.unit_price), i.is_tax_inclusive,
               coalesce((select sum(t.rate) from public.order_line_item_tax_line t where t.item_id = i.id and t.deleted_at is null), 0) / 100,
               a.exclusive, a.inclusive, a.code
        from public."order" o
        join public.order_item x on x.order_id = o.id and x.version = o.version and x.deleted_at is null and x.quantity > 0
        join public.order_line_item i on i.id = x.item_id and i.deleted_at is null
        cross join lateral (
            select coalesce(sum(d.amount) filter (where not d.is_tax_inclusive), 0), coalesce(sum(d.amount) filter (where d.is_tax_inclusive), 0), min(d.code)
            from public.order_line_item_adjustment d
            where d.item_id = i.id and d.deleted_at is null
                and d.version = (select max(v.version) from public.order_line_item_adjustment v where v.item_id = i.id and v.deleted_at is null)
        ) a (exclusive, inclusive, code)
        where o.id = lines.order_id
        union all
        select true, m.id, null, m.name, 1, m.amount, m.is_tax_inclusive,
               coalesce((select sum(t.rate) from public.order_shipping_method_tax_line t where t.shipping_method_id = m.id and t.deleted_at is null), 0) / 100,
               a.exclusive, 0, a.code
        from public."order" o
        join public.order_shipping s on s.order_id = o.id and s.version = o.version and s.deleted_at is null
        join public.order_shipping_method m on m.id = s.shipping_method_id and m.deleted_at is null
        cross join lateral (
            select coalesce(sum(d.amount), 0), min(d.code)
            from public.order_shipping_method_adjustment d
            where d.shipping_method_id = m.id and d.deleted_at is null
                and d.version = (select max(v.version) from public.order_shipping_method_adjustment v where v.shipping_method_id = m.id and v.deleted_at is null)
        ) a (exclusive, code)
        where o.id = lines.order_id and s.return_id is null
    ) l (shipping, id, sku, name, quantity, price, is_tax_inclusive, rate, exclusive, inclusive, code)
    cross join lateral (
        select case when l.is_tax_inclusive then l.price / (1 + l.rate) else l.price end, l.exclusive + l.inclusive / (1 + l.rate)
    ) p (price, discount)
    cross join lateral (select p.price, p.discount, p.price * l.quantity - p.discount) n (price, discount, total)
$$;

create or replace function kvit_events.payload(order_id text) returns jsonb
language sql stable
as $$
    select jsonb_build_object(
        'customer', kvit_events.customer(o.id),
        'order', jsonb_strip_nulls(jsonb_build_object(
            'ref', o.id, 'number', coalesce(o.custom_display_id, o.display_id::text), 'currency', upper(o.currency_code),
            'total', kvit_events.money(coalesce(placed.total, l.gross, 0), o.currency_code),
            'tax', kvit_events.money(l.tax, o.currency_code),
            'shipping', kvit_events.money(l.shipping, o.currency_code),
            'discount', kvit_events.money(nullif(l.discount, 0), o.currency_code),
            'coupon', l.code, 'payment_method', paid.method, 'transaction_id', paid.transaction, 'delivery_method', l.delivery,
            'items', coalesce(l.items, '[]'))))
    from public."order" o
    left join lateral (
        select (s.totals ->> 'original_order_total')::numeric
        from public.order_summary s
        where s.order_id = o.id and s.version = 1 and o.version = 1 and s.deleted_at is null
        limit 1
    ) placed (total) on true
    left join lateral (
        select p.provider_id, coalesce(p.data ->> 'id', p.id)
        from public.order_payment_collection c join public.payment p on p.payment_collection_id = c.payment_collection_id
        where c.order_id = o.id and c.deleted_at is null and p.deleted_at is null
        order by p.created_at, p.id limit 1
    ) paid (method, transaction) on true
    cross join lateral (
        select sum(x.gross), sum(x.tax), coalesce(sum(x.gross) filter (where x.shipping), 0), sum(x.discount), min(x.code),
               min(x.name) filter (where x.shipping),
               jsonb_agg(jsonb_strip_nulls(jsonb_build_object('sku', x.sku, 'name', x.name, 'quantity', trim_scale(x.quantity),
                   'unit_price', kvit_events.money(x.gross_price, o.currency_code))) order by x.id) filter (where not x.shipping)
        from kvit_events.lines(o.id) x
    ) l (gross, tax, shipping, discount, code, delivery, items)
    where o.id = order_id
$$;

-- Inserts an event of an order. What is wrong with one is no reason to refuse the order.
create or replace function kvit_events.insert_event(name text, order_id text, suffix text, more jsonb) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into kvit.tracking_event (event_key, name, order_ref, payload, consent)
    select insert_event.name || ':' || o.id || suffix, insert_event.name, o.id,
           jsonb_set(p.payload, '{order}', (p.payload -> 'order') || more), kvit_events.consent(o.id)
    from public."order" o
    cross join lateral (select kvit_events.payload(o.id)) p (payload)
    where o.id = insert_event.order_id and not o.is_draft_order and o.deleted_at is null;
exception
    when serialization_failure or deadlock_detected then
        raise;
    when others then
        raise warning 'kvit: event % was not made: SQLSTATE %', insert_event.name, sqlstate;
end
$$;

-- An order is placed for sure when its payment is authorized: until then Medusa may take the order back.
create or replace function kvit_events.payment_changed() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    authorized constant text[] := array['authorized', 'partially_authorized', 'partially_captured', 'completed'];
begin
    if new.status = any (authorized) and old.status <> all (authorized) then
        perform kvit_events.insert_event('order_placed', c.order_id, '', '{}')
        from public.order_payment_collection c
        where c.payment_collection_id = new.id and c.deleted_at is null;
    end if;
    return null;
exception
    when serialization_failure or deadlock_detected then
        raise;
    when others then
        raise warning 'kvit: event order_placed was not made: SQLSTATE %', sqlstate;
        return null;
end
$$;

-- A payment that was authorized before there was an order.
create or replace function kvit_events.payment_linked() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform kvit_events.insert_event('order_placed', new.order_id, '', '{}')
    from public.payment_collection c
    where c.id = new.payment_collection_id and c.status in ('authorized', 'partially_authorized', 'partially_captured', 'completed');
    return null;
exception
    when serialization_failure or deadlock_detected then
        raise;
    when others then
        raise warning 'kvit: event order_placed was not made: SQLSTATE %', sqlstate;
        return null;
end
$$;

-- An order that costs nothing has no payment. Runs at the end of the transaction, when its items are there.
create or replace function kvit_events.order_made() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if exists (
        select from public.order_summary s
        where s.order_id = new.id and (s.totals ->> 'original_order_total')::numeric = 0
    ) then
        perform kvit_events.insert_event('order_placed', new.id, '', '{}');
    end if;
    return null;
exception
    when serialization_failure or deadlock_detected then
        raise;
    when others then
        raise warning 'kvit: event order_placed was not made: SQLSTATE %', sqlstate;
        return null;
end
$$;

create or replace function kvit_events.order_changed() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if old.is_draft_order and not new.is_draft_order then
        perform kvit_events.insert_event('order_placed', new.id, '', '{}');
    end if;
    if new.status = 'canceled' and old.status <> 'canceled' then
        perform kvit_events.insert_event('order_cancelled', new.id, '', '{}');
    end if;
    return null;
end
$$;

-- Each capture and each refund is a row here. kvit knows the key of a second capture.
create or replace function kvit_events.money_moved() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if new.reference = 'capture' then
        perform kvit_events.insert_event('order_paid', new.order_id, '', '{}');
    elsif new.reference = 'refund' then
        perform kvit_events.insert_event('order_refunded', new.order_id, ':' || new.id,
            jsonb_build_object('total', kvit_events.money(abs(new.amount), new.currency_code), 'items', '[]'::jsonb));
    end if;
    return null;
exception
    when serialization_failure or deadlock_detected then
        raise;
    when others then
        raise warning 'kvit: event of a capture or refund was not made: SQLSTATE %', sqlstate;
        return null;
end
$$;

create or replace function kvit_events.fulfillment_changed() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if new.shipped_at is null or old.shipped_at is not null then
        return null;
    end if;
    perform kvit_events.insert_event('order_shipped', f.order_id, '', '{}')
    from public.order_fulfillment f
    where f.fulfillment_id = new.id and f.deleted_at is null
        and not exists (select from public.return_fulfillment r where r.fulfillment_id = new.id);
    return null;
exception
    when serialization_failure or deadlock_detected then
        raise;
    when others then
        raise warning 'kvit: event order_shipped was not made: SQLSTATE %', sqlstate;
        return null;
end
$$;

create or replace function kvit_events.customer_changed() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if not new.has_account or tg_op = 'UPDATE' and old.has_account then
        return null;
    end if;
    insert into kvit.tracking_event (event_key, name, payload, consent)
    values ('account_created:' || new.id, 'account_created', jsonb_build_object('customer', kvit_events.account(new.id)), '{}');
    return null;
exception
    when serialization_failure or deadlock_detected then
        raise;
    when others then
        raise warning 'kvit: event account_created was not made: SQLSTATE %', sqlstate;
        return null;
end
$$;

drop trigger if exists kvit_payment_changed on public.payment_collection;
create trigger kvit_payment_changed after update of status on public.payment_collection
    for each row execute function kvit_events.payment_changed();

drop trigger if exists kvit_payment_linked on public.order_payment_collection;
create trigger kvit_payment_linked after insert on public.order_payment_collection
    for each row execute function kvit_events.payment_linked();

drop trigger if exists kvit_order_made on public."order";
create constraint trigger kvit_order_made after insert on public."order"
    deferrable initially deferred
    for each row execute function kvit_events.order_made();

drop trigger if exists kvit_order_changed on public."order";
create trigger kvit_order_changed after update of status, is_draft_order on public."order"
    for each row execute function kvit_events.order_changed();

drop trigger if exists kvit_money_moved on public.order_transaction;
create trigger kvit_money_moved after insert on public.order_transaction
    for each row execute function kvit_events.money_moved();

drop trigger if exists kvit_fulfillment_changed on public.fulfillment;
create trigger kvit_fulfillment_changed after update of shipped_at on public.fulfillment
    for each row execute function kvit_events.fulfillment_changed();

drop trigger if exists kvit_customer_changed on public.customer;
create trigger kvit_customer_changed after insert or update of has_account on public.customer
    for each row execute function kvit_events.customer_changed();

-- What the shop did before the triggers were there, as `kvit history` inserts it: the same events with the same keys, so
-- that neither a second run nor a trigger's event is a repeat.
create or replace function kvit_events.past(since timestamptz, until timestamptz)
returns table (event_key text, name text, order_ref text, occurred_at timestamptz, payload jsonb, consent jsonb)
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
    with placed as (
        select o.id, o.created_at as placed_at,
               (select min(t.created_at) from public.order_transaction t
                where t.order_id = o.id and t.reference = 'capture' and t.deleted_at is null) as paid_at
        from public."order" o
        where not o.is_draft_order and o.deleted_at is null
    )
    select e.name || ':' || o.id, e.name, o.id, e.at, kvit_events.payload(o.id), kvit_events.consent(o.id)
    from placed o
    cross join lateral (values ('order_placed', o.placed_at), ('order_paid', greatest(o.paid_at, o.placed_at))) e (name, at)
    where e.at >= since and e.at < until and (e.name <> 'order_paid' or o.paid_at is not null)
    union all
    select 'order_refunded:' || o.id || ':' || t.id, 'order_refunded', o.id, t.created_at,
           jsonb_set(p.payload, '{order}', (p.payload -> 'order')
               || jsonb_build_object('total', kvit_events.money(abs(t.amount), t.currency_code), 'items', '[]'::jsonb)),
           kvit_events.consent(o.id)
    from placed o
    join public.order_transaction t on t.order_id = o.id and t.reference = 'refund' and t.deleted_at is null
    cross join lateral (select kvit_events.payload(o.id)) p (payload)
    where t.created_at >= since and t.created_at < until
    union all
    select 'account_created:' || c.id, 'account_created', null, c.created_at, jsonb_build_object('customer', kvit_events.account(c.id)), '{}'
    from public.customer c
    where c.has_account and c.deleted_at is null and c.created_at >= since and c.created_at < until
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
