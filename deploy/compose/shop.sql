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
    customer_note            text
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

-- kvit looks every minute for orders that are new.
create index on public.orders (created_at);
