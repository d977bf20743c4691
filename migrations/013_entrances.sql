-- What comes in: whatever is JSON is taken, references are written one way, and what is lost is noticed.

-- How kvit writes an order's reference, wherever one comes in: without blanks around it. store.OrderRef is the
-- same in Go. Its names are looked up once, here, and Postgres can inline it.
create function kvit.order_ref(value text) returns text
language sql immutable
return nullif(btrim(value, E' \t\n\r\f\x0b'), '');

-- The hash of a text of any length. In the database's own encoding: another one may not know the text.
create function kvit.fingerprint(value text) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select encode(sha256(convert_to(value, getdatabaseencoding())), 'hex')
$$;

-- A document that is JSON by syntax, with a question mark in place of what no text of Postgres can hold: \u0000 and
-- halves of surrogate pairs. What was an escaped backslash is written as \u005c first, so that each backslash
-- which is left begins an escape.
create function kvit.mend_json(document text) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select regexp_replace(regexp_replace(regexp_replace(replace(document,
        '\\', '\u005c'),
        '\\u0000', '?', 'g'),
        '\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])', '?', 'g'),
        '(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2}', '?', 'g')
$$;

-- A member of a document as a text, read as generously as the daemon reads payloads: objects that stand as JSON in
-- a string, and lists of a single entry. It raises what Postgres has against the document.
create function kvit.json_text(document json, path text[]) returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
    node json := document;
    step text;
begin
    foreach step in array path loop
        if json_typeof(node) = 'string' then
            node := (node #>> '{}')::json;
        end if;
        node := node -> step;
        if json_typeof(node) = 'array' and json_array_length(node) = 1 then
            node := node -> 0;
        end if;
    end loop;
    return node #>> '{}';
end
$$;

-- A member of a payload as a text; null if there is none, or none that Postgres can read.
create function kvit.payload_text(payload json, variadic path text[]) returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
    return kvit.json_text(payload, path);
exception when data_exception or statement_too_complex then
    begin
        return kvit.json_text(kvit.mend_json(payload::text)::json, path);
    exception when data_exception or statement_too_complex or program_limit_exceeded then
        return null;
    end;
end
$$;

-- An e-mail address as addresses are compared: the small letters of what stands in "Jane Doe <jane@example.com>",
-- behind "mailto:" or between blanks.
create function kvit.email_address(value text) returns text
language sql immutable
return nullif(btrim(regexp_replace(lower(regexp_replace(value, '^.*<([^<>]*)>.*$', '\1')), '^\s*mailto:', ''), E' \t\n\r\f\x0b'), '');

-- A text as a document; null if it is none that Postgres can hold. What it raises depends on the text alone: no
-- JSON, a \u0000, a number or a string beyond its limits, too many brackets in one another.
create or replace function kvit.parse_json(value text) returns jsonb
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
    return value::jsonb;
exception when data_exception or program_limit_exceeded or statement_too_complex then
    return null;
end
$$;

-- The view goes for a moment, since a column of it changes its type. Rights that operators have granted on it come back.
select set_config('kvit.grants', coalesce(string_agg(format('grant %s on kvit.tracking_event to %s%s',
    g.privilege, case g.grantee when 0 then 'public' else g.grantee::regrole::text end,
    case when g.is_grantable then ' with grant option' else '' end), '; '), ''), true)
from (
    select a.privilege_type as privilege, a.grantee, a.is_grantable, c.relowner as owner
    from pg_class c cross join lateral aclexplode(c.relacl) a
    where c.oid = 'kvit.tracking_event'::regclass
    union all
    select a.privilege_type || ' (' || quote_ident(t.attname) || ')', a.grantee, a.is_grantable, c.relowner
    from pg_class c join pg_attribute t on t.attrelid = c.oid cross join lateral aclexplode(t.attacl) a
    where c.oid = 'kvit.tracking_event'::regclass
) g
where g.grantee <> g.owner;

drop function kvit.store_event(kvit.tracking_event, text);
drop view kvit.tracking_event;
drop function kvit.event_stream(text, text, jsonb);

alter table kvit.event
    alter column payload type json using payload::json,
    -- Which destinations are to have a receipt in the end: those that wanted the event when it came, and those that
    -- were given it later. A job can be deleted; this says what it was for. Null: none.
    add column destinations text[];

-- A change of type loses what 005 has set. Servers that were built without lz4 keep what they have.
do $$
begin
    alter table kvit.event alter column payload set compression lz4;
exception when feature_not_supported then
    null;
end
$$;

-- Events of which jobs are waiting.
update kvit.event e
set destinations = j.names
from (
    select kvit.job_event_id(args) as id, array_agg(distinct args ->> 'destination') as names
    from kvit.river_job
    where kind = 'deliver_event' and finalized_at is null and args ->> 'destination' is not null
    group by 1
) j
where e.id = j.id;

-- Which events are states of the same thing. Opt-ins and accounts hash their identity, so that the
-- column is no copy of an e-mail address. A payload that is too large to be sent is not read.
create function kvit.event_stream(name text, order_ref text, payload json) returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
    identity text;
begin
    if name in ('order_placed', 'order_paid', 'order_shipped', 'order_cancelled', 'order_refunded') then
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

update kvit.event
set order_ref = kvit.order_ref(order_ref), stream = kvit.event_stream(name, kvit.order_ref(order_ref), payload)
where order_ref is distinct from kvit.order_ref(order_ref);

create view kvit.tracking_event as
select id, event_key, name, occurred_at, order_ref, payload, consent::json as consent, received_at, erased_at
from kvit.event;

alter view kvit.tracking_event alter column occurred_at set default now();
alter view kvit.tracking_event alter column consent set default '{}';

comment on view kvit.tracking_event is 'The shop inserts tracking events here, in the transaction of the order.';

do $$
declare
    statement text;
begin
    foreach statement in array string_to_array(current_setting('kvit.grants'), '; ') loop
        execute statement;
    end loop;
end
$$;

-- Stores the event and makes one slim job for each destination that wants it. It must never raise
-- because of what the shop wrote: what would break a constraint is mended and noted as a defect,
-- and the event ends as "rejected" at every destination, where operators see it.
create or replace function kvit.insert_tracking_event() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    problem  text;
    wanting  text[];
    notified text[];
    broken   text;
    target   text;
    stream   text;
    accepted jsonb;
    known    constant text[] := array[
        'order_placed', 'order_paid', 'order_shipped', 'order_cancelled', 'order_refunded',
        'account_created', 'account_updated', 'newsletter_optin', 'newsletter_optout',
        'sms_optin', 'sms_optout', 'cart_updated', 'checkout_started', 'product_viewed',
        'search', 'page_viewed'];
begin
    -- What jsonb cannot hold stays as a text: encoded twice, which is read all the same.
    if octet_length(new.consent::text) > 262144 then
        accepted := '"larger than 262144 bytes"';
    else
        accepted := coalesce(kvit.parse_json(new.consent::text), to_jsonb(new.consent::text), '{}');
        -- Of members with the same name jsonb keeps the last, so that a no before a yes would be lost. Its text then has
        -- fewer quotation marks.
        if length(replace(accepted::text, '"', '')) - length(accepted::text) <> length(replace(new.consent::text, '"', '')) - length(new.consent::text)
           or strpos(new.consent::text, '\u0022') > 0 then
            accepted := to_jsonb(new.consent::text);
        end if;
    end if;
    new.order_ref := kvit.order_ref(new.order_ref);
    if new.event_key is null or btrim(new.event_key) = '' then
        problem := 'event_key: is missing';
        new.event_key := 'missing:' || gen_random_uuid();
    elsif char_length(new.event_key) > 200 then
        problem := 'event_key: is longer than 200 characters';
        new.event_key := left(new.event_key, 100) || ':' || kvit.fingerprint(new.event_key);
    end if;
    if new.name is null or char_length(new.name) > 200
       or not (new.name = any (known) or new.name like 'custom:_%') then
        problem := coalesce(problem, 'name: is not a known event name');
        new.name := left(coalesce(new.name, ''), 200);
    end if;
    if char_length(new.order_ref) > 200 then
        problem := coalesce(problem, 'order_ref: is longer than 200 characters');
        new.order_ref := left(new.order_ref, 100) || ':' || kvit.fingerprint(new.order_ref);
    end if;
    if new.occurred_at is null then
        new.occurred_at := now();
    elsif not (new.occurred_at >= '1970-01-01 00:00:00+00' and new.occurred_at < '9999-01-01 00:00:00+00') then
        problem := coalesce(problem, 'occurred_at: is not a believable time');
        new.occurred_at := now();
    end if;
    stream := kvit.event_stream(new.name, new.order_ref, new.payload);

    select array_agg(d.name order by d.name), array_agg(d.name order by d.name) filter (where d.notify)
    into wanting, notified
    from kvit.destination d
    where d.enabled
      and (problem is not null
           or new.name = any (d.event_names)
           or (new.name like 'custom:%' and 'custom:*' = any (d.event_names)));

    if current_setting('transaction_isolation') in ('repeatable read', 'serializable') then
        -- "On conflict" would say 40001 here of a row that another transaction has committed since this one began, which
        -- is also what Postgres says of a transaction that has to be repeated. The constraint's own error is only about the key.
        begin
            insert into kvit.event as stored (event_key, name, occurred_at, order_ref, payload, consent, stream, defect, destinations)
            values (new.event_key, new.name, new.occurred_at, new.order_ref, new.payload, accepted, stream, problem, wanting)
            returning stored.id, stored.received_at into new.id, new.received_at;
        exception when unique_violation then
            get stacked diagnostics broken = constraint_name;
            if broken is distinct from 'event_event_key_key' then
                raise;
            end if;
            return null;
        end;
    else
        insert into kvit.event as stored (event_key, name, occurred_at, order_ref, payload, consent, stream, defect, destinations)
        values (new.event_key, new.name, new.occurred_at, new.order_ref, new.payload, accepted, stream, problem, wanting)
        on conflict (event_key) do nothing
        returning stored.id, stored.received_at into new.id, new.received_at;
        if not found then
            return null;
        end if;
    end if;

    insert into kvit.river_job (kind, args, queue, max_attempts)
    select 'deliver_event', jsonb_build_object('event_id', new.id, 'destination', w.name), 'deliver_' || w.name, 10000
    from unnest(wanting) w (name);
    foreach target in array coalesce(notified, '{}') loop
        perform pg_notify('kvit.river_insert', json_build_object('queue', 'deliver_' || target)::text);
    end loop;
    return new;
end
$$;

create trigger insert_tracking_event instead of insert on kvit.tracking_event
    for each row execute function kvit.insert_tracking_event();

-- A longer name than River takes for a queue would refuse the shop's insert. The configuration takes 40 characters.
alter table kvit.destination add constraint destination_name_length check (char_length(name) between 1 and 100);

-- A delivery that was wanted and has neither receipt nor job is lost. The receipt says so, so that it is shown, counted
-- and can be sent again.
alter table kvit.delivery drop constraint delivery_outcome_check;
alter table kvit.delivery add constraint delivery_outcome_check check (outcome in
    ('delivered', 'withheld', 'rejected', 'expired', 'superseded', 'failed', 'erased', 'lost'));

-- What somebody may have to look into, among millions of receipts.
create index delivery_trouble on kvit.delivery (outcome, destination, finished_at)
    where outcome in ('failed', 'rejected', 'lost');
create index delivery_unread_consent on kvit.delivery (destination, finished_at)
    where outcome = 'withheld' and reason like 'consent is not understood%';

-- How long a destination has been waiting, whatever else waits. By queue: an index on the destination in the args would also be
-- taken to look for one event's job, among half a million of them.
create index river_job_pending_queue on kvit.river_job (queue, created_at)
    where kind = 'deliver_event' and finalized_at is null;

-- A job that is deleted, in River's own pages for instance, takes no delivery with it.
create function kvit.keep_lost_delivery() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into kvit.delivery (event_id, destination, outcome, reason, attempts, first_attempt_at, unclear)
    select e.id, old.args ->> 'destination', 'lost', 'its job was deleted before it could end', old.attempt, old.attempted_at,
           old.state = 'running'
           or exists (select from unnest(old.errors) as t (error) where t.error ->> 'error' not like '%; not taken')
           or exists (select from kvit.delivery_attempt a where a.event_id = e.id and a.destination = old.args ->> 'destination')
    from kvit.event e
    where e.id = kvit.job_event_id(old.args) and old.args ->> 'destination' is not null and e.erased_at is null
      and not exists (
          select from kvit.river_job p
          where kvit.job_event_id(p.args) = e.id and p.kind = 'deliver_event' and p.finalized_at is null
            and p.args ->> 'destination' = old.args ->> 'destination')
    on conflict (event_id, destination) do nothing;
    return null;
end
$$;

-- River cleans up finished jobs by the thousand. Those that ended without a receipt of their own are the cancelled ones.
create trigger keep_lost_delivery after delete on kvit.river_job
    for each row
    when (old.kind = 'deliver_event' and (old.finalized_at is null or old.state in ('cancelled', 'discarded')))
    execute function kvit.keep_lost_delivery();

create function kvit.keep_lost_deliveries() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into kvit.delivery (event_id, destination, outcome, reason, attempts, first_attempt_at, unclear)
    select e.id, j.args ->> 'destination', 'lost', 'its job was deleted before it could end', j.attempt, j.attempted_at, j.attempt > 0
    from kvit.river_job j
    join kvit.event e on e.id = kvit.job_event_id(j.args)
    where j.kind = 'deliver_event' and j.finalized_at is null and j.args ->> 'destination' is not null and e.erased_at is null
    on conflict (event_id, destination) do nothing;
    return null;
end
$$;

create trigger keep_lost_deliveries before truncate on kvit.river_job
    for each statement execute function kvit.keep_lost_deliveries();

-- A trigger can be passed by, and so can a backup of some tables: kvit looks at the events themselves, so many each minute.
create table kvit.delivery_lookout (
    only_row     boolean     not null primary key default true check (only_row),
    new_upto     bigint      not null,                -- events up to this id have been looked at once
    all_upto     bigint      not null default 0,      -- the look at all events, over and over, has come so far
    all_seen_at  timestamptz                          -- when it last came to its end
);

comment on table kvit.delivery_lookout is 'How far kvit has looked for deliveries that have neither receipt nor job: one row.';

insert into kvit.delivery_lookout (new_upto) select coalesce(max(id), 0) from kvit.event;

grant select on kvit.delivery_lookout to kvit_ops;

-- Two tables put one after the other, and nothing that keeps Postgres from reading each by an index of its own: columns of the
-- same types, no join and no condition inside. So the newest come at once, and so do those of one event or order; with a join in
-- each half, all of both were put together and sorted.
create or replace view kvit.delivery_status as
select s.event_id, e.event_key, e.name, e.order_ref, s.destination, s.state, s.attempts, s.last_error, e.occurred_at, s.finished_at
from (
    select r.event_id, r.destination, r.outcome as state, r.attempts, r.reason as last_error, r.finished_at, true as stands
    from kvit.delivery r
    union all
    select kvit.job_event_id(j.args), j.args ->> 'destination',
           case when cardinality(j.errors) > 0 then 'retrying' else 'pending' end,
           j.attempt::integer, j.errors[array_upper(j.errors, 1)] ->> 'error', null::timestamptz,
           j.kind = 'deliver_event' and j.finalized_at is null
           and not exists (
               select from kvit.delivery r
               where r.event_id = kvit.job_event_id(j.args) and r.destination = j.args ->> 'destination' offset 0)
    from kvit.river_job j
) s
join kvit.event e on e.id = s.event_id
where s.stands;

-- Evidence: the same bounds and the same references as for events. Whoever writes it gets no error: what cannot be
-- used is cut, and ignored with a detail.
create or replace function kvit.insert_erp_receipt() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    new.status := 'new';
    new.detail := null;
    new.seen_at := now();
    new.order_ref := coalesce(kvit.order_ref(new.order_ref), '');
    new.erp_order_number := nullif(btrim(new.erp_order_number, E' \t\n\r\f\x0b'), '');
    new.document_kind := coalesce(new.document_kind, ''); -- not an order's: it may have been a quote
    new.source := coalesce(btrim(new.source, E' \t\n\r\f\x0b'), '');
    if not isfinite(new.imported_at) or new.imported_at >= '9999-01-01 00:00:00+00' then
        new.imported_at := null;
    end if;
    if char_length(new.source) > 200 then
        new.detail := 'source: is longer than 200 characters';
    end if;
    if char_length(new.document_kind) > 200 then
        new.detail := 'document_kind: is longer than 200 characters';
    end if;
    if char_length(new.erp_order_number) > 200 then
        new.detail := 'erp_order_number: is longer than 200 characters';
    end if;
    if char_length(new.order_ref) > 200 then
        new.detail := 'order_ref: is longer than 200 characters';
    elsif new.order_ref = '' then
        new.detail := 'order_ref: is missing';
    end if;
    if new.detail is not null then
        new.status := 'ignored';
        new.order_ref := left(new.order_ref, 200);
        new.erp_order_number := left(new.erp_order_number, 200);
        new.document_kind := left(new.document_kind, 200);
        new.source := left(new.source, 200);
    end if;
    return new;
end
$$;

drop trigger enqueue_erp_receipt on kvit.erp_receipt;
create trigger enqueue_erp_receipt after insert on kvit.erp_receipt
    for each row when (new.status = 'new') execute function kvit.enqueue_erp_receipt();

update kvit.erp_receipt
set order_ref = left(coalesce(kvit.order_ref(order_ref), ''), 200), erp_order_number = left(nullif(btrim(erp_order_number, E' \t\n\r\f\x0b'), ''), 200),
    document_kind = left(document_kind, 200), source = left(source, 200), detail = left(detail, 1000),
    status = case when status in ('new', 'unknown_order') and (char_length(order_ref) > 200 or kvit.order_ref(order_ref) is null
                      or char_length(erp_order_number) > 200 or char_length(document_kind) > 200 or char_length(source) > 200)
             then 'ignored' else status end
where order_ref is distinct from left(kvit.order_ref(order_ref), 200)
   or erp_order_number is distinct from left(nullif(btrim(erp_order_number, E' \t\n\r\f\x0b'), ''), 200)
   or char_length(document_kind) > 200 or char_length(source) > 200 or char_length(detail) > 1000;

-- Nobody reads more than this into memory, whoever wrote it.
alter table kvit.erp_receipt add constraint erp_receipt_bounds check (
    char_length(order_ref) <= 200 and char_length(erp_order_number) <= 200 and char_length(document_kind) <= 200
    and char_length(source) <= 200 and char_length(detail) <= 1000) not valid;

-- The number that a source has told first of an order, by kind of document.
create index erp_receipt_number on kvit.erp_receipt (order_ref, source, document_kind, id)
    where erp_order_number is not null and status in ('marked', 'already_marked');

-- A hold that is written with a blank would hold nothing.
create function kvit.write_legal_hold() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    new.order_ref := coalesce(kvit.order_ref(new.order_ref), new.order_ref);
    return new;
end
$$;

with written as (
    delete from kvit.legal_hold where order_ref <> kvit.order_ref(order_ref)
    returning kvit.order_ref(order_ref) as order_ref, reason, placed_by, placed_at, expires_at
)
insert into kvit.legal_hold as hold (order_ref, reason, placed_by, placed_at, expires_at)
select distinct on (order_ref) order_ref, reason, placed_by, placed_at, expires_at
from written
order by order_ref, expires_at desc nulls first
on conflict (order_ref) do update
set expires_at = case when hold.expires_at is not null and excluded.expires_at is not null then greatest(hold.expires_at, excluded.expires_at) end;

create trigger write_legal_hold before insert or update of order_ref on kvit.legal_hold
    for each row execute function kvit.write_legal_hold();

-- Functions are executable by everybody unless said otherwise; triggers need no such right. kvit.order_ref stays so: views use it.
revoke execute on function kvit.fingerprint(text), kvit.mend_json(text), kvit.json_text(json, text[]), kvit.payload_text(json, text[]),
    kvit.email_address(text),
    kvit.event_stream(text, text, json), kvit.insert_tracking_event(),
    kvit.keep_lost_delivery(), kvit.keep_lost_deliveries(), kvit.write_legal_hold() from public;
