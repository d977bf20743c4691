-- Tracking events, where they go, and the receipts of their delivery.

create table kvit.destination (
    name            text        not null primary key,
    kind            text        not null,
    enabled         boolean     not null,
    event_names     text[]      not null,               -- 'custom:*' stands for every custom event
    notify          boolean     not null default true,  -- false: database.notify is off, River polls
    disabled_at     timestamptz,                        -- set when the receiver answered 410 Gone
    disabled_reason text,
    updated_at      timestamptz not null default now()
);

comment on table kvit.destination is 'Configured destinations; kept equal to the configuration when kvit starts.';

-- The shop writes to the view kvit.tracking_event; this table is behind it. A view, because only
-- its trigger can insert with "on conflict do nothing": a repeated event_key must be no error for
-- the shop, also when two connections insert it at the same moment, and an advisory lock per event
-- instead would exhaust the lock table in a bulk insert.
create table kvit.event (
    id          bigint      not null generated always as identity primary key,
    event_key   text        not null unique,
    name        text        not null,
    occurred_at timestamptz not null,
    order_ref   text,
    payload     jsonb,
    consent     jsonb       not null,
    received_at timestamptz not null default now(),
    erased_at   timestamptz,
    -- Events of one stream are states of one thing (an order, a cart, an opt-in): a newer one makes
    -- an older one superfluous. Holds no readable personal data and is cleared by erasure.
    stream      text,
    -- Why no destination can use this event, when the shop wrote something that would otherwise
    -- have been an error in its transaction. Names the column, never the value.
    defect      text
);

create index event_order_ref on kvit.event (order_ref) where order_ref is not null;
create index event_stream on kvit.event (stream) where stream is not null;
create index event_unerased on kvit.event (received_at) where erased_at is null;
create index event_erased on kvit.event (received_at) where erased_at is not null;

create table kvit.delivery (
    event_id         bigint      not null,
    destination      text        not null,
    outcome          text        not null check (outcome in
        ('delivered', 'withheld', 'rejected', 'expired', 'superseded', 'failed', 'erased')),
    reason           text,
    attempts         integer     not null,
    first_attempt_at timestamptz,
    finished_at      timestamptz not null default now(),
    response_code    integer,
    -- No foreign key to kvit.event: it would lock the event's row once per receipt.
    primary key (event_id, destination)
);

comment on table kvit.delivery is 'Receipts: one row for each event and destination whose delivery has ended.';

-- Which events are states of the same thing. Opt-ins and accounts hash their identity, so that the
-- column is no copy of an e-mail address. In plpgsql, which keeps its plan: as an SQL function it
-- was planned anew for each event and took three quarters of the insert's time.
create function kvit.event_stream(name text, order_ref text, payload jsonb) returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
    identity text;
begin
    if name in ('order_placed', 'order_paid', 'order_shipped', 'order_cancelled', 'order_refunded') then
        return 'order:' || order_ref;
    end if;
    if name = 'cart_updated' then
        identity := payload #>> '{cart,id}';
    elsif name in ('newsletter_optin', 'newsletter_optout', 'sms_optin', 'sms_optout', 'account_created', 'account_updated') then
        identity := lower(coalesce(payload #>> '{customer,email}', payload #>> '{customer,id}'));
    end if;
    return split_part(name, '_', 1) || ':' || encode(sha256(convert_to(identity, 'UTF8')), 'hex');
end
$$;

-- How far an order has come: a state never goes back to a lower one, whatever the clocks say.
-- This and the next function have no search_path of their own, so that Postgres can inline them;
-- they use nothing but pg_catalog's operators.
create function kvit.event_rank(name text) returns integer
language sql immutable
as $$
    select case name
        when 'order_placed' then 10
        when 'order_paid' then 20
        when 'order_shipped' then 50
        when 'order_cancelled' then 90
        when 'order_refunded' then 95
        else 0
    end
$$;

-- The event of a delivery job. Null for a job whose args somebody wrote by hand.
create function kvit.job_event_id(args jsonb) returns bigint
language sql immutable
as $$
    select case when args ->> 'event_id' ~ '^[0-9]{1,18}$' then (args ->> 'event_id')::bigint end
$$;

create index river_job_pending_event on kvit.river_job (kvit.job_event_id(args))
    where kind = 'deliver_event' and finalized_at is null;

create view kvit.tracking_event as
select id, event_key, name, occurred_at, order_ref, payload, consent, received_at, erased_at
from kvit.event;

alter view kvit.tracking_event alter column occurred_at set default now();
alter view kvit.tracking_event alter column consent set default '{}';

comment on view kvit.tracking_event is 'The shop inserts tracking events here, in the transaction of the order.';

-- Stores an event unless its key is known; of a repeat, id stays null.
create function kvit.store_event(e kvit.tracking_event, problem text, out id bigint, out received_at timestamptz)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into kvit.event as stored (event_key, name, occurred_at, order_ref, payload, consent, stream, defect)
    values (e.event_key, e.name, e.occurred_at, e.order_ref, e.payload, e.consent,
            kvit.event_stream(e.name, e.order_ref, e.payload), problem)
    on conflict (event_key) do nothing
    returning stored.id, stored.received_at into id, received_at;
end
$$;

-- Stores the event and makes one slim job for each destination that wants it. It must never raise
-- because of what the shop wrote: what would break a constraint is mended and noted as a defect,
-- and the event ends as "rejected" at every destination, where operators see it.
create function kvit.insert_tracking_event() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    problem text;
    target  record;
    known   constant text[] := array[
        'order_placed', 'order_paid', 'order_shipped', 'order_cancelled', 'order_refunded',
        'account_created', 'account_updated', 'newsletter_optin', 'newsletter_optout',
        'sms_optin', 'sms_optout', 'cart_updated', 'checkout_started', 'product_viewed',
        'search', 'page_viewed'];
begin
    new.consent := coalesce(new.consent, '{}');
    new.order_ref := nullif(new.order_ref, '');
    if coalesce(new.event_key, '') = '' then
        problem := 'event_key: is missing';
        new.event_key := 'missing:' || gen_random_uuid();
    elsif char_length(new.event_key) > 200 then
        problem := 'event_key: is longer than 200 characters';
        new.event_key := left(new.event_key, 100) || ':' || encode(sha256(convert_to(new.event_key, 'UTF8')), 'hex');
    end if;
    if new.name is null or char_length(new.name) > 200
       or not (new.name = any (known) or new.name like 'custom:_%') then
        problem := coalesce(problem, 'name: is not a known event name');
        new.name := left(coalesce(new.name, ''), 200);
    end if;
    if char_length(new.order_ref) > 200 then
        problem := coalesce(problem, 'order_ref: is longer than 200 characters');
        new.order_ref := left(new.order_ref, 100) || ':' || encode(sha256(convert_to(new.order_ref, 'UTF8')), 'hex');
    end if;
    if new.occurred_at is null then
        new.occurred_at := now();
    elsif not (new.occurred_at >= '1970-01-01 00:00:00+00' and new.occurred_at < '9999-01-01 00:00:00+00') then
        problem := coalesce(problem, 'occurred_at: is not a believable time');
        new.occurred_at := now();
    end if;

    if current_setting('transaction_isolation') in ('repeatable read', 'serializable') then
        begin
            select s.id, s.received_at into new.id, new.received_at from kvit.store_event(new, problem) s;
        exception when serialization_failure then
            -- At these levels a concurrent transaction's row of the same key shows up as this
            -- instead of as a conflict. It is a repeat all the same.
            return null;
        end;
    else
        select s.id, s.received_at into new.id, new.received_at from kvit.store_event(new, problem) s;
    end if;
    if new.id is null then
        return null;
    end if;

    for target in
        select d.name, d.notify
        from kvit.destination d
        where d.enabled
          and (problem is not null
               or new.name = any (d.event_names)
               or (new.name like 'custom:%' and 'custom:*' = any (d.event_names)))
    loop
        insert into kvit.river_job (kind, args, queue, max_attempts)
        values ('deliver_event', jsonb_build_object('event_id', new.id, 'destination', target.name),
                'deliver_' || target.name, 10000);
        if target.notify then
            perform pg_notify('kvit.river_insert', json_build_object('queue', 'deliver_' || target.name)::text);
        end if;
    end loop;
    return new;
end
$$;

create trigger insert_tracking_event instead of insert on kvit.tracking_event
    for each row execute function kvit.insert_tracking_event();

create view kvit.delivery_status as
select e.id as event_id, e.event_key, e.name, e.order_ref, r.destination,
       r.outcome as state, r.attempts, r.reason as last_error, e.occurred_at, r.finished_at
from kvit.delivery r
join kvit.event e on e.id = r.event_id
union all
select e.id, e.event_key, e.name, e.order_ref, j.args ->> 'destination',
       case when cardinality(j.errors) > 0 then 'retrying' else 'pending' end,
       j.attempt, j.errors[array_upper(j.errors, 1)] ->> 'error', e.occurred_at, null
from kvit.river_job j
join kvit.event e on e.id = kvit.job_event_id(j.args)
where j.kind = 'deliver_event'
  and j.finalized_at is null
  and not exists (
      select from kvit.delivery r
      where r.event_id = e.id and r.destination = j.args ->> 'destination');

comment on view kvit.delivery_status is 'Where each event stands at each destination: an outcome, pending or retrying.';
