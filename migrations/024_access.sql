-- Who is logged in to the pages, what was done there, and what their overview looks for.

-- One row a login. The token itself is in the browser alone. A session that was ended stays until it would have expired, so that
-- a request that was under way cannot write it back.
create table kvit.session (
    token_hash text        not null primary key,
    data       bytea       not null,
    expires_at timestamptz not null,
    ended_at   timestamptz
);

comment on table kvit.session is 'Sessions of the pages, by the hash of their token.';

create index session_expiry on kvit.session (expires_at);

create table kvit.audit (
    id      bigint      generated always as identity primary key,
    at      timestamptz not null default now(),
    who     text        not null, -- a user of the configuration; empty: nobody who is known
    action  text        not null,
    subject text        not null, -- a destination, a reference; empty: none
    reason  text        not null, -- empty: none was asked for
    detail  jsonb
);

comment on table kvit.audit is 'What was done on the pages, and by whom.';

create index audit_at on kvit.audit (at);

grant select on kvit.audit to kvit_ops;

-- What has expired within a day, for the overview: events of any age, and few.
create index delivery_expired on kvit.delivery (destination, finished_at) where outcome = 'expired';
