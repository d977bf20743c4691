package erasure

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/erasure/policy"
	"kvit/store"
)

// twoAddresses is a shop whose orders refer twice to a table of addresses, as Medusa's do.
func twoAddresses(t *testing.T, onDelete string, both bool) *shop {
	t.Helper()
	s := newShop(t)
	s.exec(`
		create table public.addresses (id bigint primary key, street text);
		alter table public.orders add column billing_id bigint references public.addresses ` + onDelete + `,
			add column shipping_id bigint references public.addresses ` + onDelete)
	s.Policy.Tables[0].Columns = append(s.Policy.Tables[0].Columns,
		policy.Column{Name: "billing_id", Strategy: policy.Keep}, policy.Column{Name: "shipping_id", Strategy: policy.Keep})
	way := func(key string) policy.Table {
		return policy.Table{Name: "public.addresses", Match: &policy.Match{Column: "id", OrderColumn: key}, DeleteRows: true}
	}
	s.Policy.Tables = append(s.Policy.Tables, way("billing_id"))
	if both {
		s.Policy.Tables = append(s.Policy.Tables, way("shipping_id"))
	} else {
		s.Policy.Tables[0].IgnoreKeys = []string{"shipping_id"}
	}
	return s
}

func (s *shop) addresses() map[int64]string {
	return collect[int64, string](s, `select id, street from public.addresses`)
}

func TestBothAddressesOfAnOrderGo(t *testing.T) {
	t.Parallel()
	s := twoAddresses(t, "on delete set null", true)
	s.order("E1", 31*day)
	s.order("E2", 31*day)
	s.exec(`insert into public.addresses values (1, 'Billing Road'), (2, 'Shipping Road'), (3, 'Only Road')`)
	s.exec(`update public.orders set billing_id = 1, shipping_id = 2 where order_number = 'E1'`)
	s.exec(`update public.orders set billing_id = 3, shipping_id = 3 where order_number = 'E2'`)
	report := s.run()
	require.Equal(t, 2, report.Orders)
	require.Empty(t, s.addresses())
	require.Equal(t, int64(3), report.Rows["public.addresses"], "each row once")
}

// The billing address of a due order is the shipping address of one that is an hour old.
func TestAnAddressOfALiveOrderStays(t *testing.T) {
	t.Parallel()
	for name, both := range map[string]bool{"ByTheOtherWay": true, "ByAKeyThatThePolicyIgnores": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := twoAddresses(t, "on delete set null", both)
			s.order("E1", 31*day)
			s.order("E2", day)
			s.exec(`insert into public.addresses values (1, 'Shared Road')`)
			s.exec(`update public.orders set billing_id = 1 where order_number = 'E1'`)
			s.exec(`update public.orders set shipping_id = 1 where order_number = 'E2'`)
			require.Equal(t, 1, s.run().Orders)
			require.Equal(t, map[int64]string{1: "Shared Road"}, s.addresses())
			require.Equal(t, int64(1), value[int64](s, `select shipping_id from public.orders where order_number = 'E2'`))
			require.Equal(t, int64(1), s.certificate("E1").Verification["shared"])

			s.exec(`update public.orders set erp_imported_at = now() - interval '31 days' where order_number = 'E2'`)
			require.Equal(t, 1, s.run().Orders)
			if both {
				require.Empty(t, s.addresses(), "the last holder takes it along")
			}
		})
	}
}

// Rows that stay with another order go when that one is gone, however it goes.
func TestSharedRowsGoWithTheirLastHolder(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		end  string
		goes bool
	}{
		"DeletedByTheShop":           {`delete from public.orders where order_number = 'E2'`, true},
		"NoLongerItsHolder":          {`update public.orders set shipping_id = null where order_number = 'E2'`, true},
		"StillThere":                 {`select 1`, false},
		"AnotherHolderHasCome":       {`with gone as (delete from public.orders where order_number = 'E2') insert into public.orders (order_number, email, shipping_id) values ('E3', 'e@example.com', 1)`, false},
		"TheRowItselfHasBeenDeleted": {`with cut as (update public.orders set shipping_id = null, billing_id = null) delete from public.addresses`, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := twoAddresses(t, "on delete set null", true)
			s.order("E1", 31*day)
			s.unimported("E2")
			s.exec(`delete from public.payments`)
			s.exec(`delete from public.order_lines where order_id = (select id from public.orders where order_number = 'E2')`)
			s.exec(`insert into public.addresses values (1, 'Shared Road')`)
			s.exec(`update public.orders set billing_id = 1 where order_number = 'E1'`)
			s.exec(`update public.orders set shipping_id = 1 where order_number = 'E2'`)
			s.run()
			s.run()
			require.Len(t, s.addresses(), 1)
			require.Equal(t, "E1", value[string](s, `select order_ref from kvit.erasure_left`))

			s.exec(c.end)
			there := len(s.addresses())
			s.run()
			if !c.goes {
				require.Len(t, s.addresses(), 1)
				require.Equal(t, 1, value[int](s, `select count(*) from kvit.erasure_left`))
				return
			}
			require.Empty(t, s.addresses())
			require.Zero(t, value[int](s, `select count(*) from kvit.erasure_left`))
			require.Equal(t, there, value[int](s, `select count(*) from kvit.erasure_certificate where clock = 'shared' and order_ref = 'E1'`))
			s.requireChain(value[int64](s, `select count(*) from kvit.erasure_certificate`))
		})
	}
}

// Values are overwritten once, so that a hash is not hashed again.
func TestARowOfTwoWaysIsOverwrittenOnce(t *testing.T) {
	t.Parallel()
	s := twoAddresses(t, "", true)
	for i := range s.Policy.Tables[len(s.Policy.Tables)-2:] {
		w := &s.Policy.Tables[len(s.Policy.Tables)-2+i]
		w.DeleteRows, w.Columns = false, []policy.Column{{Name: "id", Strategy: policy.Keep}, {Name: "street", Strategy: policy.Generalise, Length: 3}}
	}
	s.order("E1", 31*day)
	s.exec(`insert into public.addresses values (1, 'Long Road')`)
	s.exec(`update public.orders set billing_id = 1, shipping_id = 1`)
	report := s.run()
	require.Equal(t, map[int64]string{1: "Lon"}, s.addresses())
	require.Equal(t, int64(1), report.Rows["public.addresses"])
}

// A table about orders and about customers, with a fate for each: history entries, polymorphic rows.
func TestWaysWithConditionsAndFatesOfTheirOwn(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.exec(`
		alter table public.customers add column account boolean not null default false;
		create table public.entries (id bigint primary key, item_type text not null, item_id bigint not null, note text, status text)`)
	keep := func(names ...string) (list []policy.Column) {
		for _, name := range names {
			list = append(list, policy.Column{Name: name, Strategy: policy.Keep})
		}
		return list
	}
	customers := &s.Policy.Tables[len(s.Policy.Tables)-1]
	customers.When = "not account -- guests alone"
	customers.Columns = append(customers.Columns, keep("account")...)
	s.Policy.Tables = append(s.Policy.Tables,
		policy.Table{Name: "public.entries", Match: &policy.Match{Column: "item_id", OrderColumn: "id"}, When: "item_type = 'order'", DeleteRows: true},
		policy.Table{Name: "public.entries", Match: &policy.Match{Column: "item_id", OrderColumn: "id"}, Parent: "public.customers", When: "item_type = 'customer' and status is null",
			Columns: append(keep("id", "item_type", "item_id", "status"), policy.Column{Name: "note", Strategy: policy.Null})},
	)
	require.Empty(t, mustCheck(s))
	s.order("E1", 31*day)
	s.order("E2", 31*day)
	s.exec(`insert into public.customers (id, name, account) values (41, 'Guest', false), (42, 'Member', true)
		on conflict (id) do update set name = excluded.name, account = excluded.account`)
	s.exec(`update public.orders set customer_id = case order_number when 'E1' then 41 else 42 end`)
	s.exec(`insert into public.entries select 1, 'order', id, 'of the order', null from public.orders where order_number = 'E1'`)
	s.exec(`insert into public.entries values (2, 'customer', 41, 'of the guest', null), (3, 'customer', 42, 'of the member', null),
		(4, 'product', 41, 'of a product', null), (5, 'customer', 41, 'kept for a reason', 'disputed')`)
	require.Equal(t, 2, s.run().Orders)
	require.Equal(t, map[int64]string{41: "erased", 42: "Member"}, collect[int64, string](s, `select id, name from public.customers where id in (41, 42)`))
	require.Equal(t, map[int64]string{2: "", 3: "of the member", 4: "of a product", 5: "kept for a reason"},
		collect[int64, string](s, `select id, coalesce(note, '') from public.entries`))
}

func mustCheck(s *shop) []policy.Problem {
	s.t.Helper()
	problems, err := s.Check(s.t.Context())
	require.NoError(s.t, err)
	return problems
}

// An ORM keeps documents in columns of text, and cannot read its rows if one of them is no JSON any more.
func TestDocumentsInText(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.exec(`alter table public.payments add column metadata text not null default '{}'`)
	payments := &s.Policy.Tables[2]
	payments.Columns = append(payments.Columns, policy.Column{Name: "metadata", Strategy: policy.JSON, Paths: []policy.Column{{Name: "method", Strategy: policy.Keep}}})
	require.Empty(t, mustCheck(s))
	for i, text := range []string{`{"method": "card", "holder": "Mxrkxr"}`, `Mxrkxr`, ``, `["Mxrkxr"]`, `"Mxrkxr\u0000"`, `{}`} {
		ref := fmt.Sprintf("E%d", i)
		s.order(ref, 31*day)
		s.exec(`update public.payments set metadata = $1 where order_number = $2`, text, ref)
	}
	require.Equal(t, 6, s.run().Orders)
	require.Equal(t, map[string]string{"E0": `{"method": "card"}`, "E1": "{}", "E2": "{}", "E3": "{}", "E4": "{}", "E5": "{}"},
		collect[string, string](s, `select order_number, metadata from public.payments`))
}

// A row that a live order has, too, is no copy, whichever of the two is looked at on trial.
func TestScanKnowsSharedRows(t *testing.T) {
	t.Parallel()
	for name, orders := range map[string]int{"OneOfThem": 1, "Both": 5} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := twoAddresses(t, "on delete set null", true)
			s.order("E1", 31*day)
			s.order("E2", day)
			s.exec(`insert into public.addresses values (1, 'Sharedstreet 17'), (2, 'Ownstreet 4')`)
			s.exec(`update public.orders set billing_id = 1, shipping_id = 2, customer_name = 'Sharedstreet 17' where order_number = 'E1'`)
			s.exec(`update public.orders set shipping_id = 1, customer_name = 'Sharedstreet 17' where order_number = 'E2'`)
			report, err := s.Scan(t.Context(), ScanOptions{Orders: orders, Time: 10 * time.Second})
			require.NoError(t, err)
			require.Empty(t, report.Found)
		})
	}
}

// What one way keeps is no excuse for a copy in a row that another way should have erased.
func TestAKeptWayExcusesNothing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		ways []policy.Table
		kept bool
	}{
		"EveryWay":         {[]policy.Table{{Name: "public.a", KeepRows: true}, {Name: "public.a", Columns: []policy.Column{{Name: "x", Strategy: policy.Keep}}}}, true},
		"OneOfTwo":         {[]policy.Table{{Name: "public.a", KeepRows: true}, {Name: "public.a", DeleteRows: true}}, false},
		"TheColumnInOne":   {[]policy.Table{{Name: "public.a", Columns: []policy.Column{{Name: "x", Strategy: policy.Keep}}}, {Name: "public.a", Columns: []policy.Column{{Name: "x", Strategy: policy.Null}}}}, false},
		"TheColumnInBoth":  {[]policy.Table{{Name: "public.a", Columns: []policy.Column{{Name: "x", Strategy: policy.Keep}}}, {Name: "public.a", Columns: []policy.Column{{Name: "x", Strategy: policy.Keep}}}}, true},
		"NotOfThePolicy":   {nil, false},
		"ItBelongsToNoWay": {[]policy.Table{{Name: "public.b", KeepRows: true}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := residueJudge{policy: policy.Policy{Tables: c.ways}, erasures: []store.TableErasure{{Table: "public.a"}}}
			_, kept := j.verdict(store.SearchPlace{Table: "public.a"}, store.SearchHit{Column: "x"})
			require.Equal(t, c.kept, kept)
		})
	}
}
