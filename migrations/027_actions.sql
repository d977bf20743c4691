-- What operators do on the pages and with commands: a pause that says who and why, and work that takes longer than a request.

-- Whoever pauses a destination is kept beside River's own pause of its queue, which forgets queues that nobody works on for a day.
alter table kvit.destination
    add column paused_at     timestamptz,
    add column paused_by     text,
    add column paused_reason text,
    add constraint destination_paused check ((paused_at is null) = (paused_by is null) and (paused_at is null) = (paused_reason is null));

alter table kvit.delivery_action drop constraint delivery_action_action_check;
alter table kvit.delivery_action add constraint delivery_action_action_check
    check (action in ('replay', 'backfill', 'cancel', 'send_now'));

-- One row is something that was asked for on a page and takes its time: its job reads here what to do, and the page how far it is.
create table kvit.operation (
    id           bigint      not null generated always as identity primary key,
    kind         text        not null,
    subject      text        not null, -- a destination, an ERP; empty: none
    request      jsonb       not null, -- what the kind needs to know
    requested_by text        not null,
    reason       text        not null,
    requested_at timestamptz not null default now(),
    started_at   timestamptz,
    finished_at  timestamptz,
    action_id    bigint      references kvit.delivery_action (id) on delete set null, -- counts its events
    planned      bigint,               -- events that were agreed to; null: not counted
    report       jsonb,                -- what came of it; no personal data
    problem      text                  -- why it did not go through; null: it did, or is under way
);

comment on table kvit.operation is 'Work that somebody asked for on a page, and what came of it.';

create index operation_requested on kvit.operation (requested_at);

grant select on kvit.operation to kvit_ops;
