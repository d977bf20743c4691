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
