-- A shop to try kvit on: the tables that deploy/compose/kvit.yaml and the README speak of. A real shop
-- has its own.
create table public.orders (
    id                       bigint      not null generated always as identity primary key,
    order_number             text        not null unique,
    created_at               timestamptz not null default now(),
    status                   text        not null default 'registered',
    currency                 text        not null default 'DKK',
    total                    numeric     not null,
    customer_name            text,
    email                    text        not null,
    phone                    text,
    shipping_address         text,
    customer_note            text,
    erp_imported_at          timestamptz, -- these three are written by kvit
    erp_order_number         text,
    personal_data_erased_at  timestamptz
);

create table public.order_lines (
    id         bigint  not null generated always as identity primary key,
    order_id   bigint  not null references public.orders (id),
    sku        text    not null,
    quantity   integer not null,
    unit_price numeric not null,
    engraving  text
);

create index on public.order_lines (order_id);

-- Finds what is due for erasure without reading the whole table.
create index on public.orders (erp_imported_at) where personal_data_erased_at is null;
