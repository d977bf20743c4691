-- What kvit remembers of the shop's rows outlives them: by these it tells that they are not the same any more.

-- A table that was emptied and filled again has rows with the same keys. Digests of what a row held, 24 bits each, so
-- that they give no value away; the empty name is the whole row's. They go with the row.
alter table kvit.erasure_left
    add column salt  uuid not null default gen_random_uuid(),
    add column marks jsonb;                            -- {"created_at": "a1b2c3", "": "d4e5f6"}; null: noted before there were any

-- An order that the shop has deleted is not due any more. Its mark stays, for it may come back from a backup.
alter table kvit.order_mark add column gone_at timestamptz; -- since when kvit does not find it

drop index kvit.order_mark_due;
drop index kvit.order_mark_living;
create index order_mark_due on kvit.order_mark (imported_at, order_ref) where erased_at is null and gone_at is null and imported_at is not null;
create index order_mark_living on kvit.order_mark (order_ref) where erased_at is null and gone_at is null;
