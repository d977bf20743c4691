-- Which kvit may erase, while processes of several versions are at work.

-- One row a kind of work that not every version may do: the newest migration that a process must at least know of. A
-- migration raises it where what older processes do would be wrong from then on, and only there.
create table kvit.requirement (
    work      text    not null primary key check (work in ('erase')),
    migration integer not null
);

comment on table kvit.requirement is 'What a kvit must be new enough for: the number of a migration that it must know.';

insert into kvit.requirement (work, migration) values ('erase', 16);

grant select on kvit.requirement to kvit_ops;

-- The newest migration that the process of a run knew. It has no default, so that a process from before this, which
-- does not ask, cannot begin a run.
alter table kvit.erasure_run add column known_migration integer not null default 0;
alter table kvit.erasure_run alter column known_migration drop default;
