-- Which alarms somebody has been told of (notify in kvit.yaml), so that each message is sent once, whichever process sends it and
-- however often they are restarted.

-- One row is an alarm from when it is first seen until it is resolved; one that comes back later is another row.
create table kvit.notification (
    id            bigint      not null generated always as identity primary key,
    alarm         text        not null, -- a kind of the one list of alarms, such as KvitEventsWait
    subject       text        not null, -- a destination, an ERP, a column; empty: kvit as a whole
    severity      text        not null,
    detail        text        not null, -- as last seen; no personal data
    seen_at       timestamptz not null default now(), -- when a look first saw it
    last_seen_at  timestamptz not null default now(),
    last_seen_by  text        not null,               -- the machine that looked
    missing_since timestamptz,                        -- when a look first did not see it any more; null: it is on
    opened_at     timestamptz,                        -- when two looks in a row had seen it; null: nobody is told
    resolved_at   timestamptz                         -- when two looks in a row had not
);

comment on table kvit.notification is 'Alarms, and from when to when they were on.';

create unique index notification_on on kvit.notification (alarm, subject) where resolved_at is null;
create index notification_resolved on kvit.notification (resolved_at) where resolved_at is not null;

-- One row is what one channel was told of one alarm. A time is that of the message's having been taken.
create table kvit.notification_message (
    notification_id bigint      not null references kvit.notification (id) on delete cascade,
    channel         text        not null,
    sent_at         timestamptz, -- that it is on
    reminded_at     timestamptz, -- that it still is: the last time
    resolved_at     timestamptz, -- that it is over
    failures        integer     not null default 0,     -- in a row
    failing_since   timestamptz,
    problem         text,                               -- of the last attempt, without values; null: it went well
    next_at         timestamptz not null default now(), -- no process tries before; set ahead while one is trying
    primary key (notification_id, channel)
);

comment on table kvit.notification_message is 'What each channel of notify was told of an alarm.';

grant select on kvit.notification, kvit.notification_message to kvit_ops;
