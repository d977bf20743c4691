-- What kvit knows of the ERPs that it asks by itself.

-- One row a source of the configuration. The upper half is the configuration's, the lower one is written by whoever
-- polls; nothing in it is personal.
create table kvit.erp_source (
    name               text        not null primary key,
    kind               text        not null,
    enabled            boolean     not null,
    poll_seconds       integer     not null,
    fingerprint        text        not null,           -- of the settings: another company has watermarks of its own
    removed_at         timestamptz,                    -- the configuration no longer names it
    added_at           timestamptz not null default now(),

    lease              text,                           -- of the run under way
    lease_until        timestamptz,
    probed_at          timestamptz,                    -- when credentials and company were last proved
    proved             text,
    credentials_expire timestamptz,
    not_before         timestamptz,                    -- it is left alone until then
    last_run_at        timestamptz,
    last_success_at    timestamptz,
    last_error         text,
    last_error_at      timestamptz,
    failures           integer     not null default 0, -- in a row
    warning            text,                           -- of the last run
    calls              integer     not null default 0, -- on the day
    calls_on           date,                           -- by UTC
    documents          bigint      not null default 0, -- that were read, ever
    evidence           bigint      not null default 0, -- that was written, ever
    looked_up_at       timestamptz,                    -- all orders that were open then have been asked for
    lookup_began_at    timestamptz,                    -- of the lookup of all open orders that is under way
    lookup_after       text                            -- and how far it has come
);

comment on table kvit.erp_source is 'ERPs that kvit asks: progress, last success, last error.';

-- How far the changes of a source have been read, by the ERP's clock.
create table kvit.erp_watermark (
    source     text        not null references kvit.erp_source (name) on delete cascade,
    stream     text        not null,
    changed_at timestamptz not null,
    primary key (source, stream)
);

comment on table kvit.erp_watermark is 'The last change that was seen of each ERP; reading begins an overlap before it.';

grant select on kvit.erp_source, kvit.erp_watermark to kvit_ops;

-- kvit orders --conflict.
create index erp_receipt_conflict on kvit.erp_receipt (id) where status = 'conflict';
