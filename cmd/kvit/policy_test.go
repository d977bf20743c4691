package main

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/config"
	"kvit/store/storetest"
)

// exampleYAML is the README's shop without a policy.
const exampleYAML = `
database: {url: "${DATABASE_URL}"}
ops: {listen: "off"}
shop:
  orders: {table: public.orders, ref: order_number, placed_at: created_at, imported_at: erp_imported_at, erp_number: erp_order_number, erased_at: personal_data_erased_at}
`

// messyShop has what grows in ten years: old spellings, three languages, keys in odd places.
const messyShop = `
	create schema crm;
	create table public.customers (id bigint primary key, "eMail" text not null unique, "Fornavn" text, efternavn varchar(4) not null, birth_date date);
	create table public.orders (
		id bigint primary key,
		order_number text not null unique, created_at timestamptz not null,
		erp_imported_at timestamptz, erp_order_number text, personal_data_erased_at timestamptz,
		customer_id bigint references public.customers,
		"leveringsAdresse" jsonb not null, betalingsmetode text not null, ønsket text,
		ip inet, status text, contact_email text, updated timestamptz, gift boolean, "null" text
	);
	create table public.order_rader (id bigint primary key, order_number text not null references public.orders (order_number), varenavn text);
	create table public.rad_comments (id bigint primary key, rad_id bigint references public.order_rader, comment text not null);
	create table public.parcels (number text primary key, order_id bigint references public.orders (id), postnr varchar(10) not null);
	create table public.swaps (old_id bigint references public.orders (id), new_id bigint references public.orders (id), note text);
	create table public.addresses (customer_id bigint references public.customers, street text);
	create table crm.newsletter (email text primary key, name text, token uuid not null);
	create table crm.stock (sku text);
	insert into public.customers values (1, 'jane@example.com', 'Jane', 'Doe', '1980-01-02')`

func draft(t *testing.T, schema string, args ...string) string {
	t.Helper()
	k := install(t, storetest.URL(t), exampleYAML)
	_, err := k.pool().Exec(t.Context(), schema)
	require.NoError(t, err)
	return k.mustCall(append([]string{"policy", "draft"}, args...)...)
}

func exampleShop(t *testing.T) string {
	t.Helper()
	schema, err := os.ReadFile("../../deploy/compose/shop.sql")
	require.NoError(t, err)
	return string(schema)
}

func TestPolicyDraftOfTheExampleShop(t *testing.T) {
	t.Parallel()
	require.Equal(t, `# A first column policy, made of names, types, keys and the form of values: read every line of it.
# `+"`kvit check`"+` refuses it as long as the word review stands anywhere: a person has to decide.
retention:
  policy:
    - table: public.orders
      columns:
        id: keep # primary key
        status: review
        currency: review
        total: keep # an amount, by name and type
        customer_name: null # a name of a person or company
        email: {text: erased} # an e-mail address; NOT NULL
        phone: null # a telephone number
        shipping_address: null # an address
        customer_note: null # what the customer wrote
    - table: public.order_lines
      match: {order_id: id}
      rows: review # cart content, by its name: write delete or keep, or the columns below instead
      # columns:
      #   id: keep # primary key
      #   order_id: keep # refers to public.orders
      #   sku: review
      #   quantity: keep # an amount, by name and type
      #   unit_price: keep # an amount, by name and type
      #   engraving: null # what the customer wrote
`, draft(t, exampleShop(t)))
}

// Rows without a foreign key are tied to the orders by what both say of a person.
func TestPolicyDraftOfANewsletter(t *testing.T) {
	t.Parallel()
	const newsletter = `
		create table public.newsletter (email text primary key, name text, opted_in_at timestamptz not null);
		create table public.club (id bigint primary key, user_id bigint not null, level text, email text not null)`
	k := install(t, storetest.URL(t), strings.Replace(exampleYAML, "orders: {", "orders: {email: email, customer_id: buyer, ", 1))
	_, err := k.pool().Exec(t.Context(), exampleShop(t)+newsletter+`; alter table public.orders add column buyer bigint`)
	require.NoError(t, err)
	got := k.mustCall("policy", "draft", "--table", "public.newsletter", "--table", "public.club")
	require.Contains(t, got, "        buyer: null # the customer's id\n")
	_, tables, found := strings.Cut(got, "    - table: public.club\n")
	require.True(t, found)
	tables, _, _ = strings.Cut(tables, "    - table: public.order_lines\n")
	require.Equal(t, `      match: {user_id: buyer} # the same customer, by its name, no foreign key says so
      rows: review # a person may be in it for more than orders: write delete or keep, or the columns below instead
      # columns:
      #   id: keep # primary key
      #   user_id: review
      #   level: review
      #   email: {text: erased} # an e-mail address; NOT NULL
    - table: public.newsletter
      match: {email: email} # the same e-mail address, by its name, no foreign key says so
      rows: review # a person may be in it for more than orders: write delete or keep, or the columns below instead
      # columns:
      #   email: review # an e-mail address, and part of a key
      #   name: null # a name
      #   opted_in_at: review
`, tables)
}

func TestPolicyDraftOfAMessyShop(t *testing.T) {
	t.Parallel()
	got := draft(t, messyShop, "--table", "customers", "--table", "crm.newsletter", "--table", "crm.stock", "--table", "public.orders")
	require.Equal(t, `# A first column policy, made of names, types, keys and the form of values: read every line of it.
# `+"`kvit check`"+` refuses it as long as the word review stands anywhere: a person has to decide.
retention:
  # hash needs a secret of its own: hash_key
  policy:
    - table: public.orders
      columns:
        id: keep # primary key
        customer_id: keep # refers to public.customers
        leveringsAdresse: review # an address; NOT NULL; a document: {json: {path: keep}} leaves what a path names and takes the rest out
        betalingsmetode: {text: erased} # how it is paid; NOT NULL
        "ønsket": review # kvit takes names of letters, digits, _ and $ alone: rename it, or decide on whole rows
        ip: null # an IP address
        status: review
        contact_email: null # an e-mail address
        updated: keep # when the row was made or changed
        gift: keep # true or false
        "null": review
    - table: crm.newsletter
      match: {email: contact_email} # the same e-mail address, by its name, no foreign key says so; small and capital letters differ, unless shop.orders.email names the column
      rows: review # a person may be in it for more than orders: write delete or keep, or the columns below instead
      # columns:
      #   email: review # an e-mail address, and part of a key
      #   name: null # a name
      #   token: review
    - table: crm.stock
      match: review # no foreign key, e-mail address or customer number ties it to the orders: write {column of it: column of the orders table}
      columns:
        sku: review
    - table: public.customers
      match: {id: customer_id} # the orders refer to it
      rows: review # a person may be in it for more than orders: write delete or keep, or the columns below instead
      # columns:
      #   id: keep # primary key
      #   eMail: hash # an e-mail address; unique
      #   Fornavn: null # a name of a person or company
      #   efternavn: {text: x} # a name of a person or company; NOT NULL
      #   birth_date: {truncate_date: year} # a date of birth
    - table: public.order_rader
      match: {order_number: order_number}
      rows: review # cart content, by its name; nothing in it looks personal: keep, unless there is something in varenavn
    - table: public.parcels
      match: {order_id: id}
      columns:
        number: keep # primary key
        order_id: keep # refers to public.orders
        postnr: generalise # a postal code
    - table: public.swaps
      ways:
        - match: {new_id: id}
        - match: {old_id: id}
      columns:
        old_id: keep # refers to public.orders
        new_id: keep # refers to public.orders
        note: null # what the customer wrote
    - table: public.addresses
      match: {customer_id: id}
      parent: public.customers
      rows: review # a person may be in it for more than orders: write delete or keep, or the columns below instead
      # columns:
      #   customer_id: keep # refers to public.customers
      #   street: null # an address
    - table: public.rad_comments
      match: {rad_id: id}
      parent: public.order_rader
      columns:
        id: keep # primary key
        rad_id: keep # refers to public.order_rader
        comment: {text: erased} # what the customer wrote; NOT NULL
`, got)
}

var reviews = regexp.MustCompile(`(?m)^( +[A-Za-z_"]+: )review\b`)

// byColumns takes the columns that a draft proposes where it leaves whole rows to review.
func byColumns(draft string) string {
	draft = regexp.MustCompile(`(?m)^      rows: review.*\n(      # columns:)`).ReplaceAllString(draft, "$1")
	return regexp.MustCompile(`(?m)^      # (columns:|  \S)`).ReplaceAllString(draft, "      $1")
}

// What is left to decide is refused by line; once it is decided, the configuration loads.
func TestPolicyDraftLoads(t *testing.T) {
	t.Parallel()
	yaml := exampleYAML + draft(t, exampleShop(t))
	getenv := func(string) string { return "postgres://kvit@127.0.0.1/shop" }
	_, err := config.Parse("kvit.yaml", []byte(yaml), getenv, kinds)
	for _, key := range []string{"policy[0].columns.status", "policy[0].columns.currency", "policy[1].rows"} {
		require.ErrorContains(t, err, key)
	}
	decided := reviews.ReplaceAllString(yaml, "${1}keep")
	cfg, err := config.Parse("kvit.yaml", []byte(decided), getenv, kinds)
	require.NoError(t, err)
	require.Len(t, cfg.Retention.Policy, 2)
	require.Len(t, cfg.Retention.Policy[0].Columns, 9)

	cfg, err = config.Parse("kvit.yaml", []byte(reviews.ReplaceAllString(byColumns(yaml), "${1}keep")), getenv, kinds)
	require.NoError(t, err, "the columns of order lines load too")
	require.Len(t, cfg.Retention.Policy[1].Columns, 6)
}

// Every strategy that a draft may hold is one that the configuration knows.
func TestPolicyDraftOfAMessyShopLoads(t *testing.T) {
	t.Parallel()
	drafted := draft(t, messyShop, "--table", "customers", "--table", "crm.newsletter", "--table", "crm.stock")
	getenv := func(name string) string {
		return map[string]string{"DATABASE_URL": "postgres://kvit@127.0.0.1/shop", "HASH_KEY": strings.Repeat("k", 32)}[name]
	}
	parse := func(policy string) (config.Config, error) {
		policy = strings.Replace(policy, "retention:\n", "retention:\n  hash_key: ${HASH_KEY}\n", 1)
		return config.Parse("kvit.yaml", []byte(exampleYAML+policy), getenv, kinds)
	}
	_, err := parse(drafted)
	for _, key := range []string{"policy[2].match", "policy[4].rows", "columns.sku"} {
		require.ErrorContains(t, err, key)
	}
	decided := regexp.MustCompile(`match: review\b`).ReplaceAllString(byColumns(drafted), "match: {decided: id}")
	decided = regexp.MustCompile(`(?m)^.*ønsket.*\n`).ReplaceAllString(reviews.ReplaceAllString(decided, "${1}keep"), "")
	cfg, err := parse(decided)
	require.NoError(t, err)
	require.Len(t, cfg.Retention.Policy, 10, "swaps have two ways")
}

// A draft that is decided fits the database that it was made from, as far as anybody can tell.
func TestPolicyDraftPassesTheCheck(t *testing.T) {
	t.Parallel()
	k := install(t, storetest.URL(t), exampleYAML)
	_, err := k.pool().Exec(t.Context(), messyShop+`; alter table public.orders drop column ønsket`)
	require.NoError(t, err)
	drafted := k.mustCall("policy", "draft", "--table", "customers", "--table", "crm.newsletter")
	require.NotContains(t, drafted, "match: review", "both keys of a swap are ways")
	decided := reviews.ReplaceAllString(byColumns(drafted), "${1}keep")
	k.write(exampleYAML + strings.Replace(decided, "retention:\n", "retention:\n  hash_key: ${CRM_SECRET}\n", 1))
	require.Contains(t, k.mustCall("check", "--offline"), "ok")
}

// A second draft, for a table that was added, can be had while the first is not decided.
func TestPolicyDraftBesideAnUnfinishedPolicy(t *testing.T) {
	t.Parallel()
	k := install(t, storetest.URL(t), exampleYAML)
	_, err := k.pool().Exec(t.Context(), messyShop)
	require.NoError(t, err)
	drafted := k.mustCall("policy", "draft", "--table", "public.customers", "--table", "crm.stock")
	unfinished := strings.Replace(drafted, "ip: null", "ip: hash", 1)
	k.write(exampleYAML + "destinations: {crm: {kind: webhook, secret: \"${NOT_SET_YET}\"}}\n" + unfinished)
	code, stdout, _ := k.call("check", "--offline")
	require.Equal(t, 1, code)
	for _, problem := range []string{
		"retention.hash_key: is missing, and the policy has a column that becomes a hash",
		"retention.policy[0].columns.status: is review: somebody has to decide, keep it or say how it is erased",
		"retention.policy[3].rows: is review: somebody has to decide, delete or keep its rows, or name its columns",
		"retention.policy[1].match: is review: somebody has to decide, write {column of this table: column of the orders table}",
	} {
		require.Contains(t, stdout, problem)
	}
	require.Equal(t, drafted, k.mustCall("policy", "draft", "--table", "public.customers", "--table", "crm.stock"))
}

func TestPolicyDraftForMachines(t *testing.T) {
	t.Parallel()
	var got struct {
		Policy []struct {
			Table   string
			Match   any
			Parent  string
			Rows    string
			Columns []struct {
				Name     string
				Strategy any
			}
		}
	}
	require.NoError(t, json.Unmarshal([]byte(draft(t, messyShop, "--json", "--table", "public.customers")), &got))
	require.Equal(t, "public.orders", got.Policy[0].Table)
	require.Nil(t, got.Policy[0].Match)
	require.Equal(t, map[string]any{"text": "erased"}, got.Policy[0].Columns[3].Strategy)
	require.Equal(t, map[string]any{"id": "customer_id"}, got.Policy[1].Match)
	require.Equal(t, "review", got.Policy[2].Rows)
	require.Equal(t, map[string]any{"order_number": "order_number"}, got.Policy[2].Match)
	last := len(got.Policy) - 1
	require.Equal(t, "public.order_rader", got.Policy[last-1].Parent)
	require.Equal(t, []string{"crm.newsletter", "review"}, []string{got.Policy[last].Table, got.Policy[last].Rows}, "no key leads there")
}

func TestPolicyDraftRefuses(t *testing.T) {
	t.Parallel()
	k := install(t, storetest.URL(t), exampleYAML)
	noShop := install(t, k.url, `database: {url: "${DATABASE_URL}"}`)
	for _, c := range []struct {
		k    *kvit
		args []string
		code int
		says string
	}{
		{k, nil, 1, "table public.orders does not exist"},
		{k, []string{"--table", "kvit.event"}, 2, "kvit.event is kvit's own"},
		{k, []string{"public.orders"}, 2, "unknown command"},
		{noShop, nil, 1, "shop.orders is missing"},
	} {
		code, _, stderr := c.k.call(append([]string{"policy", "draft"}, c.args...)...)
		require.Equal(t, c.code, code, stderr)
		require.Contains(t, stderr, c.says)
	}
}
