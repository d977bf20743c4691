-- An ERP may have an order, and not all of it. Where the configuration wants it, evidence counts only if the lines or the total of
-- the ERP's document are the order's; else it is 'incomplete', until the ERP has all of it or a person confirms.

alter table kvit.erp_receipt
    add column line_count integer,  -- of the ERP's document; null: it does not tell, or nobody compares it
    add column total      numeric,  -- with tax; forgotten once the evidence has been judged for good
    drop constraint erp_receipt_status_check,
    add constraint erp_receipt_status_check check (status in
        ('new', 'marked', 'already_marked', 'unknown_order', 'conflict', 'ignored', 'incomplete'));

-- Until when an ERP says by itself that something has changed; null: it does not, or is asked to anew.
alter table kvit.erp_source add column subscribed_until timestamptz;

grant insert (line_count, total) on kvit.erp_receipt to kvit_erp;

create index erp_receipt_incomplete on kvit.erp_receipt (order_ref, id) where status = 'incomplete';

-- What every round looks at once more.
drop index kvit.erp_receipt_open;
create index erp_receipt_open on kvit.erp_receipt (id) where status in ('new', 'unknown_order', 'incomplete');

-- Who has said that an order is in the ERP although its evidence is incomplete. Rows are never changed.
create table kvit.order_confirmation (
    id           bigint      not null generated always as identity primary key,
    order_ref    text        not null,
    receipt_id   bigint      not null,               -- evidence up to this one is confirmed
    reason       text        not null check (reason <> ''),
    confirmed_by text        not null check (confirmed_by <> ''),
    confirmed_at timestamptz not null default now()
);

create index order_confirmation_order_ref on kvit.order_confirmation (order_ref);

comment on table kvit.order_confirmation is 'Orders whose incomplete evidence a person has confirmed. The reason is read by operators: keep personal data out of it.';

grant select on kvit.order_confirmation to kvit_ops;
