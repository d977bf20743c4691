-- Evidence from the ERP, legal holds, and the proof of erasure.

create table kvit.erp_receipt (
    id               bigint      not null generated always as identity primary key,
    order_ref        text        not null,
    erp_order_number text,
    document_kind    text        not null default 'order',
    imported_at      timestamptz,                          -- as the ERP tells; not always believable
    seen_at          timestamptz not null default now(),
    source           text        not null default '',
    status           text        not null default 'new' check (status in
        ('new', 'marked', 'already_marked', 'unknown_order', 'conflict', 'ignored')),
    detail           text
);

create index erp_receipt_order_ref on kvit.erp_receipt (order_ref);
create index erp_receipt_open on kvit.erp_receipt (id) where status in ('new', 'unknown_order');

comment on table kvit.erp_receipt is 'Evidence that an order is in the ERP: one row a piece.';

-- One slim job a receipt; the worker marks all that wait in one round trip. Status and detail are
-- kvit's to write: whoever inserts evidence does not also judge it.
create function kvit.insert_erp_receipt() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    new.status := 'new';
    new.detail := null;
    new.seen_at := now();
    new.order_ref := btrim(new.order_ref);
    if not isfinite(new.imported_at) or new.imported_at >= '9999-01-01 00:00:00+00' then
        new.imported_at := null;
    end if;
    return new;
end
$$;

create trigger insert_erp_receipt before insert on kvit.erp_receipt
    for each row execute function kvit.insert_erp_receipt();

create function kvit.enqueue_erp_receipt() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into kvit.river_job (kind, args, queue, max_attempts)
    values ('mark_order', jsonb_build_object('receipt_id', new.id), 'erp', 10000);
    perform pg_notify('kvit.river_insert', '{"queue": "erp"}');
    return null;
end
$$;

create trigger enqueue_erp_receipt after insert on kvit.erp_receipt
    for each row execute function kvit.enqueue_erp_receipt();

create table kvit.legal_hold (
    order_ref  text        not null primary key,
    reason     text        not null,
    placed_by  text        not null,
    placed_at  timestamptz not null default now(),
    expires_at timestamptz
);

comment on table kvit.legal_hold is 'Orders that must not be erased. The reason is read by operators: keep personal data out of it.';

create table kvit.erasure_certificate (
    number           bigint      not null primary key,  -- 1, 2, 3, … without a gap
    order_ref        text        not null,
    erased_at        timestamptz not null,
    erp_imported_at  timestamptz not null,
    erp_order_number text,
    policy_hash      text        not null,
    row_counts       jsonb       not null,              -- {"public.orders": 1, "kvit.event": 3, …}
    previous_hash    text        not null,
    hash             text        not null unique
);

create index erasure_certificate_order_ref on kvit.erasure_certificate (order_ref);

comment on table kvit.erasure_certificate is 'Proof of erasure, append only; each row''s hash covers the row before it.';

create function kvit.refuse_certificate_change() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    raise exception 'kvit.erasure_certificate is append only';
end
$$;

create trigger refuse_certificate_change before update or delete on kvit.erasure_certificate
    for each row execute function kvit.refuse_certificate_change();

create table kvit.erasure_run (
    id          bigint      not null generated always as identity primary key,
    started_at  timestamptz not null default now(),
    finished_at timestamptz,
    orders      integer     not null default 0,
    events      integer     not null default 0,
    problem     text                                   -- why it stopped early; no personal data
);

comment on table kvit.erasure_run is 'Runs of the erasure. The last one says whether a scheduled run was missed.';
