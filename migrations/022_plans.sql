-- Plans that last. The statement that makes an event's jobs was planned anew for each event, because a plan for the array at hand
-- looks cheaper than one for any array, by less than planning costs: with one destination a fifth of what an insert took.
alter function kvit.insert_tracking_event() set plan_cache_mode = force_generic_plan;
