-- Whom else to tell, when a person has asked to be forgotten.

-- One row a destination that may have the person's data. What identifies the person is not stored: kvit
-- tells those providers that can be told while it runs, and the rest is for an operator to do and close.
create table kvit.erasure_task (
    id          bigint      not null generated always as identity primary key,
    reference   text        not null,               -- the operator's name of the request, such as a ticket's number
    destination text        not null,
    order_refs  text[]      not null,               -- of the events that may have reached the destination
    client_ids  integer     not null default 0,     -- how many browsers were known by their client id when it was made
    created_at  timestamptz not null default now(),
    created_by  text        not null,
    asked_at    timestamptz not null default now(), -- it is about what reached the destination before
    attempts    integer     not null default 0,     -- to tell the provider
    problem     text,                               -- why the last one did not tell, in kvit's own words
    closed_at   timestamptz,
    closed_by   text,
    note        text,
    check ((closed_at is null) = (closed_by is null))
);

-- A request that is made again goes on with the tasks it has.
create unique index erasure_task_open on kvit.erasure_task (reference, destination) where closed_at is null;
create index erasure_task_reference on kvit.erasure_task (reference);

comment on table kvit.erasure_task is 'Destinations to be told that a person''s data has to go. Holds nothing personal: keep it out of reference and note.';

grant select on kvit.erasure_task to kvit_ops;
