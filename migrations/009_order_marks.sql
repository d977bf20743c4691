-- Marks of orders that kvit keeps itself, so that the shop's own tables stay as they are.

-- One row an order that kvit knows of. Unless the shop names columns of its own for them, the marks stand here.
create table kvit.order_mark (
    order_ref   text        not null primary key,
    imported_at timestamptz,                          -- the order is in the ERP; set once and never moved
    erp_number  text,                                 -- its number there
    erased_at   timestamptz,                          -- its personal data is gone
    noticed_at  timestamptz not null default now()    -- when kvit saw the order for the first time
);

comment on table kvit.order_mark is 'Orders that kvit knows of: which of them the ERP has, and which are erased.';

-- Both leave out what is erased, so that they stay as small as what is left to do.
create index order_mark_due on kvit.order_mark (imported_at, order_ref) where erased_at is null and imported_at is not null;
create index order_mark_living on kvit.order_mark (order_ref) where erased_at is null;

grant select on kvit.order_mark to kvit_ops;

-- How far kvit has looked for orders that it does not know of yet: one row.
create table kvit.order_lookout (
    only_row    boolean     not null primary key default true check (only_row),
    placed_upto timestamptz,                          -- orders placed before are known, but for those that came late
    after_ref   text,                                 -- the look at all orders is under way, and has come so far
    all_seen_at timestamptz                           -- when it last came to its end
);

insert into kvit.order_lookout default values;

grant select on kvit.order_lookout to kvit_ops;

-- This view was on the shop's table, which kept the shop from altering it. A new one, on kvit's own
-- tables alone, is made when kvit starts.
drop view if exists kvit.order_status;
