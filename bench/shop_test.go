package bench

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"kvit/store"
	"kvit/store/localpg"
)

// month is how long after their import the orders are due.
const month = 30 * 24 * time.Hour

// shopOrders is the orders table of the shop below, as kvit knows it.
var shopOrders = store.Orders{
	Table: "public.orders", Ref: "number", PlacedAt: "placed_at", ImportedAt: "erp_imported_at",
	ERPNumber: "erp_order_number", ErasedAt: "personal_data_erased_at", AwaitingImport: "status = 'paid'", EraseAfter: month,
}

// imported is the clock that the orders go by.
var imported = shopOrders.AllClocks()[0]

// shopTables are five tables, with an index on each column that leads to the order.
const shopTables = `
create table public.orders (
    id                      bigint        not null generated always as identity primary key,
    number                  text          not null unique,
    status                  text          not null,
    placed_at               timestamptz   not null,
    currency                text          not null,
    total                   numeric(12,2) not null,
    customer_name           text,
    email                   text          not null,
    phone                   text,
    preferred_delivery      date,
    customer_note           text,
    ip                      inet,
    checkout                jsonb,
    erp_imported_at         timestamptz,
    erp_order_number        text,
    personal_data_erased_at timestamptz
);
create index on public.orders (placed_at);
create index on public.orders (email);

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

create table public.deliveries (
    id          bigint not null generated always as identity primary key,
    order_id    bigint not null references public.orders,
    carrier     text   not null,
    recipient   text   not null,
    street      text,
    postal_code text,
    city        text,
    country     text   not null,
    phone       text
);
create index on public.deliveries (order_id);

create table public.payments (
    id             bigint        not null generated always as identity primary key,
    order_id       bigint        not null references public.orders,
    provider       text          not null,
    transaction_id text          not null unique,
    amount         numeric(12,2) not null,
    payer_name     text,
    payer_email    text
);
create index on public.payments (order_id);

create table public.order_notes (
    id       bigint      not null generated always as identity primary key,
    order_id bigint      not null references public.orders,
    noted_at timestamptz not null,
    note     text        not null
);
create index on public.order_notes (order_id);
`

// shopConfig is the part of kvit's configuration that says what becomes of them.
const shopConfig = `
shop:
  orders:
    table: public.orders
    ref: number
    placed_at: placed_at
    imported_at: erp_imported_at
    erp_number: erp_order_number
    erased_at: personal_data_erased_at
    awaiting_import: "status = 'paid'"
retention:
  erase_after_import: 30d
  residue: {orders: 0}
  policy:
    - table: public.orders
      columns:
        id: keep
        status: keep
        currency: keep
        total: keep
        customer_name: null
        email: {text: erased}
        phone: null
        preferred_delivery: null
        customer_note: null
        ip: null
        checkout:
          json:
            device: keep
            coupons[].code: keep
            company: {text: erased}
    - table: public.order_lines
      match: {order_id: id}
      rows: delete
    - table: public.deliveries
      match: {order_id: id}
      columns:
        id: keep
        order_id: keep
        carrier: keep
        recipient: {text: erased}
        street: null
        postal_code: null
        city: null
        country: keep
        phone: null
    - table: public.payments
      match: {order_id: id}
      columns:
        id: keep
        order_id: keep
        provider: keep
        transaction_id: keep
        amount: keep
        payer_name: null
        payer_email: null
    - table: public.order_notes
      match: {order_id: id}
      rows: delete
`

// addOrders inserts $2 orders of which the last was placed $3 ago, and the others a second before each
// other; they were imported 5 minutes later. $1 begins their numbers, $4 says that they are erased.
const addOrders = `
insert into public.orders (number, status, placed_at, currency, total, customer_name, email, phone, preferred_delivery,
                           customer_note, ip, checkout, erp_imported_at, erp_order_number, personal_data_erased_at)
select $1 || i, 'shipped', placed, 'DKK', 100 + i % 900, 'First' || i || ' Last' || i, 'customer.' || i || '@example.com',
       '+45555' || lpad((i % 99999)::text, 5, '0'), placed::date + 7, 'Ring twice, floor ' || i % 9, '192.0.2.1'::inet + i % 250,
       jsonb_build_object(
           'device', 'mobile', 'company', 'Company ' || i, 'visitor', md5(i::text),
           'coupons', jsonb_build_array(jsonb_build_object('code', 'CODE' || i % 99, 'owner', 'First' || i)),
           'address', jsonb_build_object('street', 'Example Street ' || i, 'postal_code', lpad((i % 9999)::text, 4, '0'), 'city', 'City ' || i % 97)),
       placed + interval '5 minutes', 'ERP' || i, case when $4 then now() end
from generate_series(1, $2::int) i, lateral (select now() - $3::interval - make_interval(secs => $2::int - i) as placed) p`

// addRows inserts what belongs to the orders that have nothing yet: 2 lines and one row of each other table.
var addRows = []string{`
insert into public.order_lines (order_id, sku, name, quantity, unit_price, engraving)
select o.id, 'SKU-' || o.id % 5000 || '-' || line, 'Teapot ' || line || ' of series ' || o.id % 97 || ', glazed stoneware', line, 49.80, 'For ' || o.customer_name
from public.orders o, generate_series(1, 2) line
where not exists (select from public.order_lines l where l.order_id = o.id) order by o.id, line`, `
insert into public.deliveries (order_id, carrier, recipient, street, postal_code, city, country, phone)
select o.id, 'parcel shop', o.customer_name, 'Example Street ' || o.id, lpad((o.id % 9999)::text, 4, '0'), 'City ' || o.id % 97, 'DK', o.phone
from public.orders o where not exists (select from public.deliveries d where d.order_id = o.id) order by o.id`, `
insert into public.payments (order_id, provider, transaction_id, amount, payer_name, payer_email)
select o.id, 'card', 'tx-' || o.number, o.total, o.customer_name, o.email
from public.orders o where not exists (select from public.payments p where p.order_id = o.id) order by o.id`, `
insert into public.order_notes (order_id, noted_at, note)
select o.id, o.placed_at, o.customer_name || ' asked when it comes'
from public.orders o where not exists (select from public.order_notes n where n.order_id = o.id) order by o.id`,
}

// shopTemplate makes a database with kvit's schema and a shop of so many orders that are due and that
// are not, to be copied. Nobody is connected to it afterwards.
func shopTemplate(b *testing.B, server *localpg.Server, binary, name string, due, recent int) {
	b.Helper()
	ctx, url := b.Context(), database(b, server, name)
	require.NoError(b, kvitCommand(b, binary, url, "")("migrate", "up").Run())
	conn, err := pgx.Connect(ctx, url)
	require.NoError(b, err)
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	run(b, conn, shopTables)
	run(b, conn, addOrders, "D", due, month+time.Hour, false)
	run(b, conn, addOrders, "R", recent, time.Hour, false)
	for _, statement := range append(addRows, shopOrders.DueIndex(imported), `vacuum analyze`) {
		run(b, conn, statement)
	}
}

func run(b *testing.B, conn *pgx.Conn, statement string, args ...any) {
	b.Helper()
	_, err := conn.Exec(b.Context(), statement, args...)
	require.NoError(b, err, statement)
}

// copyOf copies a database. Its old copies are dropped first, to spare the disk.
func copyOf(b *testing.B, server *localpg.Server, template, name string) string {
	b.Helper()
	conn, err := pgx.Connect(b.Context(), server.URL("postgres"))
	require.NoError(b, err)
	defer func() { _ = conn.Close(context.WithoutCancel(b.Context())) }()
	run(b, conn, `drop database if exists `+name+` with (force)`)
	run(b, conn, `create database `+name+` template `+template)
	return server.URL(name)
}
