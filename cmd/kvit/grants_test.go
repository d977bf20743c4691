package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/store/storetest"
)

// conditionedShop reads other tables in each of its conditions, and has its customers beside its orders.
const conditionedShop = `
	create schema crm; create schema audit;
	create function crm.is_guest(id bigint) returns boolean language sql stable as 'select $1 > 0';
	revoke execute on function crm.is_guest(bigint) from public;
	create table public.buyer (id bigint primary key, mail text, name text);
	create table public.orders (id bigint primary key, order_number text not null unique, created_at timestamptz not null, status text, buyer_id bigint references public.buyer (id), customer_name text);
	create table public.address (id bigint primary key, order_id bigint references public.orders (id), street text);
	create table public.carts (id bigint primary key, touched timestamptz);
	create table public.payment (order_id bigint); create table crm.closed (order_id bigint); create table crm.account (buyer_id bigint); create table audit.pinned (cart_id bigint);
	create view crm.frozen as select order_id from crm.closed where false;
	insert into public.buyer values (1, 'theodora@abelsgaard.example', 'Theodora Abelsgård');
	insert into public.orders values (1, 'E1', now() - interval '40 days', 'paid', 1, 'Theodora Abelsgård');
	insert into public.address values (1, 1, 'Nygade 17');
	insert into public.payment values (1);
	insert into public.carts values (1, now() - interval '40 days')`

const conditionedYAML = `
database: {url: "${DATABASE_URL}"}
ops: {listen: "off"}
shop:
  orders:
    table: public.orders
    ref: order_number
    placed_at: created_at
    awaiting_import: "id in (select order_id from public.payment)"
    customer: {table: public.buyer, match: {id: buyer_id}, email: mail, id: id}
retention:
  erase_never_imported_after: 30d
  brake: {max_orders: 0, max_share: 0}
  clocks:
    closed: {when: "id in (select order_id from crm.closed)", since: created_at, erase_after: 1d}
  tables:
    carts: {table: public.carts, since: touched, erase_after: 14d, when: "not exists (select from audit.pinned p where p.cart_id = carts.id)"}
  policy:
    - table: public.orders
      columns: {id: keep, status: keep, buyer_id: keep, customer_name: null}
    - table: public.address
      match: {order_id: id}
      when: "crm.is_guest(id) and order_id not in (select f.order_id from crm.frozen f)"
      columns: {id: keep, order_id: keep, street: null}
    - table: public.buyer
      match: {id: buyer_id}
      when: "id not in (select buyer_id from crm.account)"
      columns: {id: keep, mail: null, name: null}
`

// With what policy grants prints, and nothing more, the check is content and a whole run erases all: what conditions
// read of other tables and schemas is among it.
func TestGrantsAreEnough(t *testing.T) {
	t.Parallel()
	k := install(t, storetest.URL(t), conditionedYAML)
	admin := k.pool()
	_, err := admin.Exec(t.Context(), conditionedShop)
	require.NoError(t, err)
	asOwner := k.mustCall("policy", "grants", "--role", "other")
	for _, table := range []string{`"public"."payment"`, `"crm"."closed"`, `"crm"."account"`, `"crm"."frozen"`, `"audit"."pinned"`} {
		require.Contains(t, asOwner, "grant select on "+table+" to")
	}
	require.Contains(t, asOwner, "grant execute on function crm.is_guest(id bigint) to")
	require.NotContains(t, asOwner, "--")

	role := loginAs(t, k)
	require.Contains(t, k.mustCall("policy", "grants"), "-- retention.clocks.closed: what it reads cannot be told (database error 42501: permission denied for schema crm)")
	_, err = admin.Exec(t.Context(), strings.ReplaceAll(asOwner, `"other"`, `"`+role+`"`))
	require.NoError(t, err)
	require.Contains(t, k.mustCall("check", "--offline"), "\nok\n")
	require.Regexp(t, `orders erased +1\n`, k.mustCall("erase", "--confirm"))
	require.Zero(t, count(t, admin, `select count(*) from public.carts`))
	require.Zero(t, count(t, admin, `select count(*) from public.address where street is not null`))
	require.Zero(t, count(t, admin, `select count(*) from public.buyer where name is not null`))
}
