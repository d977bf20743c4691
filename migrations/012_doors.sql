-- Locks that nobody can take without a right, and expressions that mean the same whoever looks.

-- Processes of kvit take turns by locks on these. Advisory locks belong to everybody who may connect: any role could
-- hold one and so keep kvit from erasing. Of these kvit's role alone can take more than readers have. They are views,
-- since a VACUUM of the whole database would wait for a lock on a table; and no rows, since a transaction that has locked
-- a row keeps all tables from being vacuumed, which a long run of the erasure must not.
create view kvit.lock_erasure as select 1 as one;
create view kvit.lock_erasure_run as select 1 as one;
create view kvit.lock_order_status as select 1 as one;
create view kvit.lock_actions as select 1 as one;

comment on view kvit.lock_erasure is 'Lock: one transaction at a time erases or places holds.';
comment on view kvit.lock_erasure_run is 'Lock: one run of the erasure at a time.';
comment on view kvit.lock_order_status is 'Lock: one process at a time replaces kvit.order_status.';
comment on view kvit.lock_actions is 'Lock: one replay, backfill or cancel at a time looks for events.';

-- Takes one of them until the transaction ends, and waits for it so many milliseconds; 0: not at all. If it is not to be had,
-- the error is KV001, with the server process that has it as its detail. What other transactions lock limits nobody after it.
create function kvit.take_lock(name text, patience integer) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    lock regclass := format('kvit.%I', 'lock_' || name);
    before text := current_setting('lock_timeout');
    holder integer;
begin
    begin
        perform set_config('lock_timeout', patience::text, true);
        execute format('lock table %s in exclusive mode', lock) || case patience when 0 then ' nowait' else '' end;
        perform set_config('lock_timeout', before, true);
        return;
    exception when lock_not_available then
        null;
    end;
    select l.pid into holder
    from pg_locks l
    where l.locktype = 'relation' and l.relation = lock and l.granted and l.mode = 'ExclusiveLock'
      and l.database = (select d.oid from pg_database d where d.datname = current_database())
    limit 1;
    raise exception 'lock % is held by another process', name using errcode = 'KV001', detail = coalesce(holder::text, '');
end
$$;

revoke execute on function kvit.take_lock(text, integer) from public;

-- The bodies of these two stood as text and were read anew wherever they were called, with the search path of that
-- session: an operator ->> (jsonb, jsonb) in one of its schemas took the place of Postgres' own. Now they are read once, here.
create or replace function kvit.event_rank(name text) returns integer
language sql immutable
return case name
    when 'order_placed' then 10
    when 'order_paid' then 20
    when 'order_shipped' then 50
    when 'order_cancelled' then 90
    when 'order_refunded' then 95
    else 0
end;

create or replace function kvit.job_event_id(args jsonb) returns bigint
language sql immutable
return case when args ->> 'event_id' ~ '^[0-9]{1,18}$' then (args ->> 'event_id')::bigint end;
