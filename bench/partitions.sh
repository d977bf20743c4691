#!/bin/sh
# Whether partitions pay for kvit.event and kvit.delivery: docs/scale.md has the numbers.
#
#     EVENTS=10000000 sh bench/partitions.sh postgres:///bench?host=/run/postgresql ./kvit
#
# The database has to be empty; everything stays in it. It takes some 2 kB of disk and 0.1 ms an event. The same emptied events
# and receipts of 400 days are stored twice: in kvit's own tables, and in the schema parted, where both tables are cut into
# 14 partitions by the event's id. By the id and not by the time, since a primary key has to hold what the table is cut by, and
# ids rise with time. A key that must never come twice cannot be unique over partitions unless the table is cut by it, so that
# parted.event_key holds the keys, in one piece.
set -eu
url=$1 kvit=$2 events=${EVENTS:-10000000}
config=$(mktemp)
trap 'rm -f "$config"' EXIT
printf 'database: {url: "${DATABASE_URL}"}\nops: {listen: "off"}\n' >"$config"
DATABASE_URL=$url "$kvit" --config "$config" migrate up >/dev/null

run() { psql -X -q -v ON_ERROR_STOP=1 -v events="$events" "$@" "$url"; }

# timed prints how long statements from standard input took, and how much they wrote to the log, in one session.
timed() {
    { echo "select pg_current_wal_lsn() as lsn, clock_timestamp() as at \gset"; cat; echo "
        select format('%-52s %10s ms %10s MB of log', '$1', round(extract(epoch from clock_timestamp() - :'at') * 1000, 1),
                      round((pg_current_wal_lsn() - :'lsn'::pg_lsn) / 1048576.0, 1));"; } | run -A -t
}

run <<'SQL'
create schema parted;
create table parted.event (like kvit.event including defaults including storage including compression, primary key (id)) partition by range (id);
create sequence parted.event_id owned by parted.event.id;
create table parted.event_key (event_key text primary key, id bigint not null);
create table parted.delivery (like kvit.delivery including defaults including storage including constraints,
    primary key (event_id, destination)) partition by range (event_id);
-- The indexes of the real tables, but for the unique key and the primary keys.
select format('create index on parted.%s %s', c.relname, substring(pg_get_indexdef(i.indexrelid) from 'USING.*'))
from pg_index i
join pg_class c on c.oid = i.indrelid
where i.indrelid in ('kvit.event'::regclass, 'kvit.delivery'::regclass) and not i.indisunique
\gexec
select format('create table parted.%1$s_%2$s partition of parted.%1$s for values from (%3$s) to (%4$s)', t, n,
              n * :events / 13 + 1, (n + 1) * :events / 13 + 1)
from unnest(array['event', 'delivery']) t, generate_series(0, 13) n
\gexec
SQL

# Emptied events of 400 days, as purging finds them.
columns="event_key, name, occurred_at, order_ref, consent, received_at, erased_at"
values="'order_paid-E' || n, 'order_paid', t, 'E' || n, '{}', t, t + interval '30 days'"
series="(select n, now() - interval '400 days' * (1 - n / :events::float8) as t from generate_series(1, :events) n) s"
echo "filling $events events and receipts, once each way"
timed "fill kvit.event" <<SQL
insert into kvit.event ($columns) select $values from $series;
SQL
timed "fill kvit.delivery" <<SQL
insert into kvit.delivery (event_id, destination, outcome, attempts, first_attempt_at, finished_at)
select n, 'crm', 'delivered', 1, t, t from $series;
SQL
timed "fill parted.event" <<SQL
insert into parted.event (id, $columns) select n, $values from $series;
SQL
timed "fill parted.event_key" <<SQL
insert into parted.event_key select 'order_paid-E' || n, n from $series;
SQL
timed "fill parted.delivery" <<SQL
insert into parted.delivery (event_id, destination, outcome, attempts, first_attempt_at, finished_at)
select n, 'crm', 'delivered', 1, t, t from $series;
SQL
run <<'SQL'
select setval(pg_get_serial_sequence('kvit.event', 'id'), :events), setval('parted.event_id', :events) \g /dev/null
vacuum analyze;
checkpoint;
SQL
run -A -t <<'SQL'
select 'whole' as way, pg_size_pretty(pg_total_relation_size('kvit.event') + pg_total_relation_size('kvit.delivery')) as size
union all
select 'parted', pg_size_pretty((select sum(pg_total_relation_size(relid)) from pg_partition_tree('parted.event'))
    + (select sum(pg_total_relation_size(relid)) from pg_partition_tree('parted.delivery')) + pg_total_relation_size('parted.event_key'));
SQL

# One event a transaction, from four clients, as shops insert them: kvit's trigger does more, the same in both ways.
cat >/tmp/kvit-partitions-whole.sql <<'SQL'
\set n random(1, 2000000000)
with e as (
    insert into kvit.event (event_key, name, occurred_at, order_ref, payload, consent)
    values ('order_paid-N' || :n::text, 'order_paid', now(), 'N' || :n::text, '{"order": {}}', '{}') on conflict (event_key) do nothing returning id)
insert into kvit.delivery (event_id, destination, outcome, attempts) select id, 'crm', 'delivered', 1 from e;
SQL
cat >/tmp/kvit-partitions-parted.sql <<'SQL'
\set n random(1, 2000000000)
with k as (
    insert into parted.event_key values ('order_paid-N' || :n::text, nextval('parted.event_id')) on conflict (event_key) do nothing returning event_key, id
), e as (
    insert into parted.event (id, event_key, name, occurred_at, order_ref, payload, consent)
    select id, event_key, 'order_paid', now(), 'N' || :n::text, '{"order": {}}', '{}' from k returning id)
insert into parted.delivery (event_id, destination, outcome, attempts) select id, 'crm', 'delivered', 1 from e;
SQL
for round in 1 2 3; do
    for way in whole parted; do
        printf 'insert, %s, round %s: ' "$way" "$round"
        pgbench -n -M prepared -c 4 -j 1 -T "${SECONDS_EACH:-10}" -f /tmp/kvit-partitions-$way.sql "$url" | grep '^tps'
    done
done

# What kvit asks for by what it has: an id, a key, an order, a page of the newest.
for way in whole parted; do
    schema=kvit keys="kvit.event k"
    [ $way = whole ] || schema=parted keys="parted.event_key k"
    for question in \
        "by id|select * from $schema.event where id = :n::bigint" \
        "by key|select e.* from $keys join $schema.event e on e.id = k.id where k.event_key = 'order_paid-E' || :n::text" \
        "by order|select * from $schema.event where order_ref = 'E' || :n::text" \
        "receipt of an event|select * from $schema.delivery where event_id = :n::bigint and destination = 'crm'" \
        "newest 200 with receipts|select e.id, d.outcome from $schema.event e left join $schema.delivery d on d.event_id = e.id order by e.id desc limit 200"; do
        printf '\\set n random(1, :events)\n%s;\n' "${question#*|}" >/tmp/kvit-partitions-ask.sql
        printf '%-52s' "${question%%|*}, $way"
        pgbench -n -M extended -c 1 -T 4 -D events="$events" -f /tmp/kvit-partitions-ask.sql "$url" | grep '^latency average'
    done
done
rm -f /tmp/kvit-partitions-*.sql

# The oldest of 13 parts goes. kvit deletes 1000 events a transaction, by the statement of store.PurgeEvents without its jobs.
timed "delete the oldest 13th, by 1000" <<'SQL'
create procedure parted.purge(upto bigint) language plpgsql as $$
declare
    before timestamptz := (select max(received_at) from kvit.event where id <= upto);
    gone bigint;
begin
    loop
        with old as materialized (
            select e.id from kvit.event e
            where e.erased_at is not null and e.received_at <= before
              and not exists (select from kvit.delivery d where d.event_id = e.id and d.finished_at > before)
            order by e.received_at limit 1000 for update skip locked
        ), receipts as (
            delete from kvit.delivery d using old where d.event_id = old.id
        )
        delete from kvit.event e using old where e.id = old.id;
        get diagnostics gone = row_count;
        commit;
        exit when gone = 0;
    end loop;
end
$$;
call parted.purge(:events / 13);
SQL
timed "vacuum after it" <<'SQL'
vacuum kvit.event;
vacuum kvit.delivery;
SQL
timed "drop the oldest partitions" <<'SQL'
drop table parted.event_0, parted.delivery_0;
SQL
timed "delete its keys" <<'SQL'
delete from parted.event_key where id <= :events / 13;
SQL
timed "vacuum the keys" <<'SQL'
vacuum parted.event_key;
SQL
# What partitions cannot hold back: one event of a hundred thousand that is not due (a hold, an order not imported).
run <<'SQL'
update parted.event set erased_at = null where id % 100000 = 0;
select count(*) as partitions, count(*) filter (where kept) as with_an_event_that_is_not_due
from (select tableoid, bool_or(erased_at is null) as kept from parted.event where id <= :events group by tableoid) p;
SQL
