-- The schema that holds everything kvit owns, and the list of its own migrations.
-- River's tables come next, through River's own migrations, into the same schema.
create schema if not exists kvit;

create table if not exists kvit.migration (
    version    integer     not null primary key,
    name       text        not null,
    applied_at timestamptz not null default now()
);
