package store_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"kvit/store"
	"kvit/store/storetest"
)

// joinedShop has orders without an address: E1 and E2 are jane's, by customers that are two rows of one address.
func joinedShop(t *testing.T) (pgx.Tx, store.Orders) {
	t.Helper()
	tx := storetest.Tx(t)
	mustExec(t, tx, `
		create table public.customer (id integer primary key, mail text, "userId" integer);
		create table public.address ("customerId" integer, street text);
		create table public.wish ("customerId" bigint, sku text);
		create table public.orders (ref text unique, placed timestamptz not null default now(), imported timestamptz, number text, erased timestamptz, "customerId" bigint);
		insert into public.customer values (1, 'Jane@Example.com', null), (2, 'jane@example.com', 9), (3, 'other@example.com', null), (4, 'Jane@example.com', null);
		insert into public.orders (ref, placed, "customerId") values ('E1', '2026-01-01Z', 1), ('E2', '2026-01-02Z', 2), ('E3', '2026-01-03Z', 3), ('E4', '2026-01-04Z', null);
		insert into public.address select id, 'street ' || id from public.customer;
		insert into public.wish select id, 'sku ' || id from public.customer`)
	return tx, store.Orders{
		Table: "public.orders", Ref: "ref", PlacedAt: "placed", ImportedAt: "imported", ERPNumber: "number", ErasedAt: "erased",
		AwaitingImport: "true", EraseAfter: 24 * time.Hour,
		Customer: &store.Customer{Table: "public.customer", Match: []store.Pair{{Column: "id", Key: "customerId"}}, Email: "mail", ID: "id"},
	}
}

func TestOrdersOfACustomerInAnotherTable(t *testing.T) {
	t.Parallel()
	tx, o := joinedShop(t)
	for _, c := range []struct {
		subject store.Subject
		want    []string
	}{
		{store.Subject{Email: "JANE@example.com"}, []string{"E1", "E2"}},
		{store.Subject{CustomerID: "3"}, []string{"E3"}},
		{store.Subject{CustomerID: "no number"}, []string{}},
		{store.Subject{Email: "jane@example.com", CustomerID: "3"}, []string{"E1", "E2", "E3"}},
		{store.Subject{Email: "nobody@example.com"}, []string{}},
	} {
		require.NoError(t, c.subject.Searchable(o))
		require.Equal(t, c.want, subjectRefs(t, tx, o, c.subject), c.subject)
	}
	// By two columns, and by an id that is not the key.
	mustExec(t, tx, `
		alter table public.orders add column tenant integer default 1;
		alter table public.customer add column tenant integer default 1, add column code text;
		update public.customer set tenant = 2 where id = 2;
		update public.customer set code = 'C' || id`)
	o.Customer.ID = "code"
	require.Equal(t, []string{"E3"}, subjectRefs(t, tx, o, store.Subject{CustomerID: "C3"}))
	o.Customer.Match = append(o.Customer.Match, store.Pair{Column: "tenant", Key: "tenant"})
	require.Equal(t, []string{"E1", "E3"}, subjectRefs(t, tx, o, store.Subject{Email: "jane@example.com", CustomerID: "C3"}))

	o.Customer.Email, o.Customer.ID = "", ""
	require.ErrorIs(t, store.Subject{Email: "a@b"}.Searchable(o), store.ErrNotSearchable)
	require.ErrorIs(t, store.Subject{CustomerID: "1"}.Searchable(o), store.ErrNotSearchable)
}

// Rows without an order are the person's, too: jane's fourth row has none.
func TestRowsOfACustomerInAnotherTable(t *testing.T) {
	t.Parallel()
	tx, o := joinedShop(t)
	toOrders := store.Link{Column: "id", Table: "public.orders", Key: "customerId", When: `"userId" is null`}
	for _, r := range []store.Reached{
		{Table: "public.customer", Paths: [][]store.Link{{toOrders}}},
		{Table: "public.address", Paths: [][]store.Link{{{Column: "customerId", Table: "public.customer", Key: "id"}, toOrders}}},
		{Table: "public.wish", Paths: [][]store.Link{{{Column: "customerId", Table: "public.orders", Key: "customerId", When: "sku <> 'sku 2'"}}}},
	} {
		for _, s := range []store.Subject{{Email: "jane@example.com"}, {Email: "jane@example.com", CustomerID: "1"}} {
			var got []string
			require.NoError(t, store.EachSubjectRow(t.Context(), tx, o, s, r, func(object []byte) error {
				got = append(got, string(object))
				return nil
			}), r.Table)
			require.Len(t, got, 2, "1 and 4 of %s: 2 has an account", r.Table)
			require.NotContains(t, strings.Join(got, ""), "2")
		}
		var got []string
		require.NoError(t, store.EachSubjectRow(t.Context(), tx, o, store.Subject{CustomerID: "4"}, r, func(object []byte) error {
			got = append(got, string(object))
			return nil
		}))
		require.Len(t, got, 1, r.Table)
	}
}

// Among many orders, indexes lead from the address to the orders, also when an id is asked for at once.
func TestJoinedCustomersAreFoundByIndex(t *testing.T) {
	t.Parallel()
	tx, o := joinedShop(t)
	mustExec(t, tx, `
		insert into public.customer select i, 'c' || i || '@example.com' from generate_series(10, 5000) i;
		insert into public.orders (ref, "customerId") select 'M' || i, 10 + i % 4000 from generate_series(1, 20000) i;
		create index on public.customer (lower(mail));
		create index on public.orders ("customerId");
		analyze public.customer; analyze public.orders`)
	for _, condition := range []string{store.OrdersCondition(o, "c77@example.com", ""), store.OrdersCondition(o, "c77@example.com", "3")} {
		rows, _ := tx.Query(t.Context(), "explain select from public.orders o where "+condition)
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		require.NotContains(t, strings.Join(lines, "\n"), "Seq Scan", condition)
	}
}

func TestLackingCustomers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ change, want string }{
		"Table":  {`drop table public.customer`, "table public.customer does not exist"},
		"Column": {`alter table public.customer drop column mail`, "column public.customer.mail does not exist"},
		"Key":    {`alter table public.orders drop column "customerId"`, "column public.orders.customerId does not exist"},
		"Type": {`alter table public.orders alter column "customerId" type text`,
			"public.customer.id is integer and cannot be compared with public.orders.customerId, which is text"},
		"Right": {`grant all on public.orders to pg_monitor; set local role pg_monitor`, "select on public.customer is not granted to this role"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tx, o := joinedShop(t)
			lacks, err := store.LackingCustomers(t.Context(), tx, o)
			require.NoError(t, err)
			require.Empty(t, lacks)
			mustExec(t, tx, c.change)
			lacks, err = store.LackingCustomers(t.Context(), tx, o)
			require.NoError(t, err)
			require.Contains(t, lacks, c.want, fmt.Sprint(lacks))
		})
	}
}
