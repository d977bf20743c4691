-- Less work for each event, in the shop's transaction and in kvit's.

-- Indexes by which nothing of kvit's, nor what River does at work, looks for jobs: args and metadata, each of which was
-- written three times for an event, and the kind, of which there are four. River makes them when it makes its table.
drop index if exists kvit.river_job_args_index, kvit.river_job_metadata_index, kvit.river_job_kind;
