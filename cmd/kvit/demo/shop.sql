-- The tables of the demo's shop, as its own role makes them. kvit knows them by kvit.yaml alone.
create table public.orders (
    id                      bigint        not null generated always as identity primary key,
    order_number            text          not null unique,
    status                  text          not null check (status in ('registered', 'paid', 'shipped', 'cancelled')),
    created_at              timestamptz   not null default now(),
    currency                text          not null,
    total                   numeric(12,2) not null,
    shipping_fee            numeric(12,2) not null,
    customer_name           text,
    email                   text          not null,
    phone                   text,
    billing_address         text,
    shipping_address        text,
    country                 text          not null,
    delivery_type           text          not null,
    payment_type            text          not null,
    preferred_delivery_date date,
    cart                    jsonb,
    customer_note           text,
    ip_address              inet
);

create index on public.orders (created_at);

create table public.order_lines (
    id         bigint        not null generated always as identity primary key,
    order_id   bigint        not null references public.orders,
    sku        text          not null,
    name       text          not null,
    quantity   integer       not null,
    unit_price numeric(12,2) not null,
    engraving  text
);

create index on public.order_lines (order_id);

create table public.payments (
    id             bigint        not null generated always as identity primary key,
    order_id       bigint        not null references public.orders,
    provider       text          not null,
    transaction_id text          not null,
    amount         numeric(12,2) not null,
    paid_at        timestamptz   not null default now(),
    payer_name     text,
    payer_email    text
);

create index on public.payments (order_id);

create table public.accounts (
    email      text        not null primary key,
    name       text        not null,
    created_at timestamptz not null default now()
);

create table public.subscribers (
    contact    text        not null primary key, -- an e-mail address or a phone number
    created_at timestamptz not null default now()
);

-- What kvit needs of the shop: to read and mark orders, and to erase what the policy names.
grant select, update on public.orders, public.payments to kvit;
grant select, delete on public.order_lines to kvit;

-- What the ERP needs.
grant select (id, order_number, status) on public.orders to erp;
grant select (order_id, paid_at) on public.payments to erp;
