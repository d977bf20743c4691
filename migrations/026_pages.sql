-- What the pages about orders look for, and the links that are given to integrators.

-- The newest events of orders, however many views of pages came in between.
create index event_of_order on kvit.event (id) where order_ref is not null;

-- Orders by their number in the ERP.
create index erp_receipt_told on kvit.erp_receipt (erp_order_number) where erp_order_number is not null;

-- What became of one event before it was sent again.
create index replayed_delivery_event on kvit.replayed_delivery (event_id);

-- One row a link. Whoever has the link sees what one destination was sent, without login; the link itself is nowhere in the database.
create table kvit.share (
    id          bigint      not null generated always as identity primary key,
    destination text        not null,
    token_hash  bytea       not null unique, -- SHA-256 of the token in the link
    note        text        not null,        -- for whom: read by operators
    created_by  text        not null,
    created_at  timestamptz not null default now(),
    expires_at  timestamptz not null,
    revoked_at  timestamptz,
    revoked_by  text,
    used_at     timestamptz,                 -- about when it was last opened
    check ((revoked_at is null) = (revoked_by is null))
);

comment on table kvit.share is 'Links by which somebody without login sees what one destination was sent.';

create index share_destination on kvit.share (destination);
