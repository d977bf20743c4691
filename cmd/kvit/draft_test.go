package main

import (
	"context"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/store/storetest"
)

// realShop has what two webshops have that nobody here wrote: two keys to one table, a history of orders and of customers,
// parcels behind a join table, documents in texts, logins, staff, and job records that no key leads to.
const realShop = `
	create table public.user (id bigint primary key, identifier text not null, role text);
	create table public.customer (id bigint primary key, "firstName" text not null, "userId" bigint references public.user);
	create table public.authentication_method (id bigint primary key, "userId" bigint references public.user, "passwordHash" text);
	create table public.administrator (id bigint primary key, email text, "userId" bigint references public.user);
	create table public.address (id bigint primary key, "customerId" bigint references public.customer, street text not null);
	create table public.order_address (id bigint primary key, city text, phone text);
	create table public.currency (id bigint primary key, label text);
	create table public.orders (
		id bigint primary key, order_number text not null unique, created_at timestamptz not null,
		erp_imported_at timestamptz, erp_order_number text, personal_data_erased_at timestamptz,
		"customerId" bigint references public.customer, currency_id bigint references public.currency,
		shipping_id bigint references public.order_address, billing_id bigint references public.order_address,
		"shippingAddress" text not null, labels text not null, reference_2 text not null
	);
	create table public.history_entry (id bigint primary key, "orderId" bigint references public.orders, "customerId" bigint references public.customer,
		"administratorId" bigint references public.administrator, data text not null);
	create table public.payment (id bigint primary key, order_id bigint not null references public.orders, metadata text not null);
	create table public.refund (id bigint primary key, payment_id bigint references public.payment, note text);
	create table public.parcel (id bigint primary key, tracking_code text);
	create table public.order_parcels (order_id bigint references public.orders, parcel_id bigint references public.parcel, primary key (order_id, parcel_id));
	create table public.job_record (id bigint primary key, data text);
	create table public.wish (id bigint primary key, customer_id bigint, wish text);
	insert into public.user values (1, 'jane@example.com');
	insert into public.customer values (1, 'Joe', null), (2, 'Jane', 1);
	insert into public.order_address values (1, 'Aarhus'), (2, 'Odense');
	insert into public.orders (id, order_number, created_at, "customerId", shipping_id, billing_id, "shippingAddress", labels, reference_2)
		select n, 'E' || n, now(), 1, 1, 2, '{"city": "Aarhus"}', '["gift"]', case when n < 5 then 'joe' || n || '@example.com' else 'none' end
		from generate_series(1, 10) n;
	insert into public.history_entry (id, "orderId", data) values (1, 1, '{"note": "call joe@example.com"}');
	insert into public.payment values (1, 1, '{}');
	insert into public.job_record values (1, '{"recipient": "joe@example.com"}')`

// part is what the draft says of a table.
func part(t *testing.T, draft, table string) string {
	t.Helper()
	_, after, found := strings.Cut(draft, "    - table: public."+table+"\n")
	require.True(t, found, "%s is not in the draft:\n%s", table, draft)
	after, _, _ = strings.Cut(after, "    - table: ")
	after, _, _ = strings.Cut(after, "  # Nothing in these")
	return after
}

func TestPolicyDraftOfARealShop(t *testing.T) {
	t.Parallel()
	got := draft(t, realShop)
	for table, says := range map[string][]string{
		"orders": {
			`        shippingAddress: {text: "{}"} # an address; NOT NULL; all of 10 values are JSON` + "\n",
			`        labels: review # 10 of 10 values are JSON: {text: "[]"} empties it, {json: {path: keep}} leaves what a path names` + "\n",
			"        reference_2: {text: erased} # 4 of 10 values look like e-mail addresses; NOT NULL\n",
		},
		"customer": {
			"      match: {id: customerId} # the orders refer to it; guests alone, as far as the condition tells: rows of accounts stay\n      when: '\"userId\" is null'\n      rows: review",
		},
		"order_address": {
			"      ways:\n        - match: {id: billing_id} # the orders refer to it\n        - match: {id: shipping_id} # the orders refer to it\n      columns:\n",
		},
		"history_entry": {
			"        - match: {orderId: id}\n        - match: {customerId: id}\n          parent: public.customer\n          when: '\"orderId\" is null'\n",
			`data: {text: "{}"} # e-mail addresses stand in 1 of 1 documents; NOT NULL; all of 1 values are JSON`,
		},
		"address":               {"match: {customerId: id}\n      parent: public.customer\n      rows: review"},
		"user":                  {"match: {id: userId} # public.customer refers to it\n      parent: public.customer\n      rows: review"},
		"authentication_method": {"match: {userId: id}\n      parent: public.user\n      rows: review"},
		"administrator":         {"      rows: review # people of the shop, by its name"},
		"refund":                {"match: {payment_id: id}\n      parent: public.payment\n      columns:\n"},
		"order_parcels":         {"match: {order_id: id}\n      rows: keep #"},
		"parcel":                {"match: {id: parcel_id} # public.order_parcels refers to it\n      parent: public.order_parcels\n      columns:\n"},
		"job_record":            {"      rows: review # no key ties it to the orders, and these look personal: data;"},
		"wish":                  {"match: {customer_id: id} # by its name, no foreign key says so\n      parent: public.customer\n      rows: review # by its name, no foreign key says so"},
	} {
		for _, line := range says {
			require.Contains(t, part(t, got, table), line, table)
		}
	}
	require.Contains(t, got, "  keep:\n    - public.currency # public.orders.currency_id references it\n")
	require.NotContains(t, got, "joe")
}

// Once somebody has decided, the draft fits, whether whole rows are kept or their columns count.
func TestPolicyDraftOfARealShopPassesTheCheck(t *testing.T) {
	t.Parallel()
	k := install(t, storetest.URL(t), exampleYAML)
	_, err := k.pool().Exec(t.Context(), realShop)
	require.NoError(t, err)
	drafted := k.mustCall("policy", "draft")
	for _, decided := range []string{drafted, byColumns(drafted)} {
		k.write(exampleYAML + reviews.ReplaceAllString(decided, "${1}keep"))
		require.Contains(t, k.mustCall("check", "--offline"), "\nok\n")
	}
}

// The number of a user is not that of a customer, however alike their columns are called.
func TestPolicyDraftJoinsNothingAgainstTheCatalog(t *testing.T) {
	t.Parallel()
	const table = `; alter table public.orders drop constraint "orders_customerId_fkey", add foreign key ("customerId") references public.customer;
		create table public.passkey (id bigint primary key, "userId" bigint references public.user, secret text)`
	k := install(t, storetest.URL(t), strings.Replace(exampleYAML, "orders: {", "orders: {customer_id: customerId, ", 1))
	_, err := k.pool().Exec(t.Context(), realShop+table)
	require.NoError(t, err)
	got := part(t, k.mustCall("policy", "draft", "--table", "public.passkey"), "passkey")
	require.NotContains(t, got, "userId: customerId")
	require.Contains(t, got, "match: {userId: id}\n      parent: public.user\n")
}

// Before kvit has any right on the tables, the draft goes by the catalog, and says so.
func TestPolicyDraftWithoutRights(t *testing.T) {
	t.Parallel()
	k := install(t, storetest.URL(t), exampleYAML)
	_, err := k.pool().Exec(t.Context(), realShop)
	require.NoError(t, err)
	loginAs(t, k)
	got := k.mustCall("policy", "draft")
	require.Contains(t, got, "# Not looked into, since kvit may not read them, or they are slow or locked: ")
	require.Contains(t, got, `shippingAddress: review # an address; NOT NULL; no value to look at: {text: erased}, or {text: "{}"} if it holds JSON`)
}

// loginAs makes kvit log in as a role that has no right on the shop's tables.
func loginAs(t *testing.T, k *kvit) (role string) {
	t.Helper()
	admin := k.pool()
	role = fmt.Sprintf("kvit_test_%d", count(t, admin, `select oid::bigint from pg_database where datname = current_database()`))
	for _, statement := range []string{
		`create role ` + role + ` login password 'kvit-test' in role pg_read_all_stats`,
		`grant usage on schema kvit to ` + role,
		`grant all on all tables in schema kvit to ` + role,
		`grant all on all sequences in schema kvit to ` + role,
		`grant execute on all functions in schema kvit to ` + role,
		`grant create on schema kvit to ` + role,
	} {
		_, err := admin.Exec(t.Context(), statement)
		require.NoError(t, err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_, err := admin.Exec(ctx, `drop owned by `+role+`; drop role `+role)
		require.NoError(t, err)
	})
	u, err := url.Parse(k.url)
	require.NoError(t, err)
	u.User = url.UserPassword(role, "kvit-test")
	k.url = u.String()
	return role
}

// What the grants give is what the check asks for, and no more.
func TestPolicyGrants(t *testing.T) {
	t.Parallel()
	const tables = `
retention:
  tables:
    abandoned: {table: public.cart, since: touched, erase_after: 14d, children: {public.cart_item: {cart_id: id}}}
    unused: {table: public.login, since: used, erase_after: 730d, columns: {id: keep, name: null, used: keep}}`
	k := install(t, storetest.URL(t), exampleYAML)
	admin := k.pool()
	_, err := admin.Exec(t.Context(), realShop+`;
		create table public.cart (id bigint primary key, touched timestamptz);
		create table public.cart_item (id bigint primary key, cart_id bigint references public.cart);
		create table public.login (id bigint primary key, name text, used timestamptz)`)
	require.NoError(t, err)
	decided := reviews.ReplaceAllString(byColumns(k.mustCall("policy", "draft")), "${1}keep")
	decided = strings.Replace(decided, "\nretention:", tables, 1)
	k.write(exampleYAML + decided)
	require.Contains(t, k.mustCall("check", "--offline"), "\nok\n")
	role := loginAs(t, k)
	code, _, _ := k.call("check", "--offline")
	require.Equal(t, 1, code, "it has no right")

	granted := k.mustCall("policy", "grants")
	require.Contains(t, granted, `grant usage on schema "public" to "`+role+`";`)
	require.Contains(t, granted, `grant select, update ("city", "phone") on "public"."order_address" to "`+role+`";`)
	require.Contains(t, granted, `grant select on "public"."order_parcels" to "`+role+`";`)
	require.Contains(t, granted, `grant select, update ("touched"), delete on "public"."cart" to "`+role+`";`)
	require.Contains(t, granted, `grant select, delete on "public"."cart_item" to "`+role+`";`)
	require.Contains(t, granted, `grant select, update ("name") on "public"."login" to "`+role+`";`)
	require.NotContains(t, granted, "currency")
	_, err = admin.Exec(t.Context(), granted)
	require.NoError(t, err)
	require.Contains(t, k.mustCall("check", "--offline"), "\nok\n")
	require.Equal(t, strings.ReplaceAll(granted, role, "other"), k.mustCall("policy", "grants", "--role", "other"))
}

// What copies rows is advice: it may be meant.
func TestCheckAdvisesOnCopies(t *testing.T) {
	t.Parallel()
	yaml := strings.Replace(exampleYAML, ", imported_at: erp_imported_at, erp_number: erp_order_number, erased_at: personal_data_erased_at", "", 1)
	k := install(t, storetest.URL(t), yaml)
	_, err := k.pool().Exec(t.Context(), exampleShop(t)+`;
		create materialized view public.addresses as select email from public.orders;
		create function public.copy() returns trigger language plpgsql as $$ begin perform pg_notify('orders', old.email); return null; end $$;
		create trigger audit after update on public.orders for each row execute function public.copy();
		create publication warehouse for table public.orders`)
	require.NoError(t, err)
	k.write(yaml + reviews.ReplaceAllString(byColumns(k.mustCall("policy", "draft")), "${1}keep"))
	stdout := k.mustCall("check", "--offline")
	for _, advice := range []string{
		"table public.orders has the trigger audit (function public.copy), which runs when kvit erases",
		"table public.orders is read by the materialized view public.addresses, which keeps copies until it is refreshed: refresh it after each erasure",
		"table public.orders is in the publication warehouse: subscribers have copies",
	} {
		require.Regexp(t, "advice: line [0-9]+: retention.policy: "+regexp.QuoteMeta(advice), stdout)
	}
}
