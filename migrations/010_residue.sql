-- Copies of what was erased, in places that no erasure reaches.

-- What a search after an erasure has found: where, and nothing of what.
create table kvit.erasure_residue (
    id           bigint      not null generated always as identity primary key,
    table_name   text        not null,               -- "schema.table"
    column_name  text        not null,
    rows         bigint      not null,               -- when they were seen last
    order_refs   text[]      not null,               -- sampled orders whose values stood there
    row_keys     text[],                             -- of the rows; null: the table has no key of one number or UUID
    certificates bigint[]    not null,               -- numbers of the supplements that say so
    run_id       bigint,                             -- the run that found it first
    found_at     timestamptz not null,
    last_seen_at timestamptz not null,
    gone_at      timestamptz,                        -- null: the alarm is on
    gone_by      text                                -- who says so; null: kvit has looked
);

create unique index erasure_residue_open on kvit.erasure_residue (table_name, column_name) where gone_at is null;

comment on table kvit.erasure_residue is 'Columns in which values of erased orders were found. Holds no values.';

grant select on kvit.erasure_residue to kvit_ops;

-- Of supplements: certificates with the clock "residue", about an order that has one already.
alter table kvit.erasure_certificate
    add column searched   jsonb,                     -- {"places": 93, "values": 5}: tables and views that were searched as a whole, for so many values
    add column found      jsonb,                     -- {"public.audit.old_row": 2}: rows that hold values; 0: they are gone
    add column unsearched jsonb;                     -- {"public.archive": "time over"}: of these nothing is known
