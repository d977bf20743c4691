-- Less work for each event, in the shop's transaction and in kvit's.

-- Indexes by which nothing of kvit's, nor what River does at work, looks for jobs: args and metadata, each of which was
-- written three times for an event, and the kind, of which there are four. River makes them when it makes its table.
drop index if exists kvit.river_job_args_index, kvit.river_job_metadata_index, kvit.river_job_kind;

-- A job that is deleted in the statement that writes its receipt is not lost. That statement marks itself with its own
-- time, so that the mark holds for no other one; whoever may delete jobs could forge it, and kvit.delivery_lookout finds
-- what was lost all the same. Asking for the receipt here instead cost as much as River's whole completion.
drop trigger keep_lost_delivery on kvit.river_job;
create trigger keep_lost_delivery after delete on kvit.river_job
    for each row
    when (old.kind = 'deliver_event' and (old.finalized_at is null or old.state in ('cancelled', 'discarded'))
          and current_setting('kvit.settling', true) is distinct from statement_timestamp()::text)
    execute function kvit.keep_lost_delivery();

-- Until when workers look for jobs without being woken: milliseconds since 1970 by this server's clock. Every commit that
-- notifies waits for every other one that does, for a whole write to disk each. A sequence, because it has no old
-- versions: those of a row that is written each second would be read by each insert where nothing can be vacuumed. It is
-- seen at once, also by transactions that began before. Workers renew it every second while events come fast, so that
-- what lies further ahead was written by a clock that has been set back since, and counts for nothing.
create sequence kvit.awake_until minvalue 0 start with 0;

comment on sequence kvit.awake_until is 'Until when workers need no notification: milliseconds since 1970.';

do $$
declare
    before text := pg_get_functiondef('kvit.insert_tracking_event()'::regprocedure);
    after  text := replace(before, $loop$
    foreach target in array coalesce(notified, '{}') loop$loop$, $loop$
    if notified is not null then
        perform from kvit.awake_until a
        where a.last_value - (extract(epoch from clock_timestamp()) * 1000)::bigint between 0 and 10000;
        if found then
            return new;
        end if;
    end if;
    foreach target in array coalesce(notified, '{}') loop$loop$);
begin
    if after = before then
        raise exception 'kvit.insert_tracking_event notifies in a way that this migration does not know';
    end if;
    execute after;
end
$$;
