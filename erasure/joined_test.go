package erasure

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/erasure/policy"
	"kvit/store"
)

// newJoinedShop keeps names and addresses of customers beside the orders, as real shops do: jane has ordered
// as a guest, which makes a row of its own each time, and has an account with the same address.
func newJoinedShop(t *testing.T) *shop {
	t.Helper()
	s := newShop(t)
	s.exec(`
		create table public.buyer (id integer primary key, mail text not null, name text not null, account boolean not null default false);
		create table public.purchase (code text primary key, at timestamptz not null default now(), imported timestamptz, number text, erased timestamptz,
			buyer_id integer references public.buyer (id));
		create table public.address (buyer_id integer references public.buyer (id), street text)`)
	s.exec(`
		insert into public.buyer (id, mail, name, account) values
		    (1, $1, 'mxrkxr 1', false), (2, lower($1), 'mxrkxr 2', false), (3, $1, 'account', true), (4, 'other@example.com', 'other', false)`, jane)
	s.exec(`
		insert into public.purchase (code, imported, buyer_id) values ('E1', now(), 1), ('E3', now(), 3), ('E4', now(), 4);
		insert into public.address select id, name from public.buyer`)
	s.Orders = &store.Orders{
		Table: "public.purchase", Ref: "code", PlacedAt: "at", ImportedAt: "imported", ERPNumber: "number", ErasedAt: "erased",
		AwaitingImport: "true", EraseAfter: 30 * day,
		Customer: &store.Customer{Table: "public.buyer", Match: []store.Pair{{Column: "id", Key: "buyer_id"}}, Email: "mail", ID: "id"},
	}
	keep := func(names ...string) (list []policy.Column) {
		for _, name := range names {
			list = append(list, policy.Column{Name: name, Strategy: policy.Keep})
		}
		return list
	}
	s.Policy = policy.Policy{Tables: []policy.Table{
		{Name: "public.purchase", Columns: keep("buyer_id")},
		{Name: "public.address", Parent: "public.buyer", Match: &policy.Match{Column: "buyer_id", OrderColumn: "id"}, DeleteRows: true},
		{Name: "public.buyer", Match: &policy.Match{Column: "id", OrderColumn: "buyer_id"}, When: "not account", Columns: append(keep("id", "account"),
			policy.Column{Name: "mail", Strategy: policy.Text}, policy.Column{Name: "name", Strategy: policy.Text})},
	}}
	return s
}

// Guests are found by their address in another table, with an order or without, and nobody else is touched.
func TestAPersonOfAnotherTableIsForgotten(t *testing.T) {
	t.Parallel()
	s := newJoinedShop(t)
	export, err := s.ExportSubject(t.Context(), forget().Subject, s.Orders)
	require.NoError(t, err)
	var text bytes.Buffer
	found, err := export.Write(t.Context(), s.db, &text)
	require.NoError(t, err)
	require.Equal(t, "2 orders, 4 rows of other tables, 0 events", found.String(), "the policy's way to accounts is closed")
	require.NotContains(t, text.String(), "other")

	report, err := s.EraseSubject(t.Context(), forget())
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"E1", "E3"}, erasedRefs(report))
	require.Equal(t, map[string]int64{"public.purchase": 2, "public.buyer": 2, "public.address": 2}, report.Rows)
	require.Zero(t, s.personsIn("public.address"))
	require.Equal(t, int64(1), s.personsIn("public.buyer"), "the account")
	require.Equal(t, []string{"account", "other"}, value[[]string](s, `select array_agg(name order by name) from public.buyer where name <> ''`))
	require.Equal(t, []string{"account", "other"}, value[[]string](s, `select array_agg(street order by street) from public.address`))
	s.requireChain(int64(len(s.certificates())))

	again, err := s.EraseSubject(t.Context(), forget())
	require.NoError(t, err)
	require.Empty(t, again.Rows)
}

// A guest's row that an order needs which the ERP does not have stays with it.
func TestAPersonOfAnotherTableWithALiveOrder(t *testing.T) {
	t.Parallel()
	s := newJoinedShop(t)
	s.exec(`insert into public.purchase (code, buyer_id) values ('E2', 2)`)
	report, err := s.EraseSubject(t.Context(), SubjectRequest{Subject: store.Subject{CustomerID: "2"}, Reference: "T-1", By: "anna"})
	require.ErrorIs(t, err, ErrRefused)
	require.Equal(t, "E2", report.Refused[0].OrderRef)
	require.Equal(t, "mxrkxr 2", value[string](s, `select name from public.buyer where id = 2`))
	require.Equal(t, map[string]int64{"public.buyer": 1, "public.address": 1}, report.Shared)

	s.exec(`update public.purchase set imported = $1 where code = 'E2'`, time.Now())
	_, err = s.EraseSubject(t.Context(), SubjectRequest{Subject: store.Subject{CustomerID: "2"}, Reference: "T-1", By: "anna"})
	require.NoError(t, err)
	require.Empty(t, value[string](s, `select name from public.buyer where id = 2`))
}
