package erasure

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/store"
)

const orderIndexes = `
	create index on public.orders (created_at);
	create index on public.orders (erp_imported_at) where personal_data_erased_at is null`

// Each finding names the key that has to change, and for the policy also what part of it.
func TestOrderFindings(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(s *shop, shop *store.Orders)
		want  Finding // without the problem's text
		says  string
		alone bool // nothing else is asked
	}{
		"Rights": {func(s *shop, _ *store.Orders) { s.exec(`drop table public.orders cascade`) },
			Finding{Key: "shop.orders"}, "table public.orders does not exist", true},
		"Twice": {func(s *shop, _ *store.Orders) {
			s.order("E1", day)
			s.exec(`
				alter table public.orders drop constraint orders_order_number_key;
				insert into public.orders (order_number, email) select order_number, email from public.orders`)
		}, Finding{Key: "shop.orders.ref"}, "1 references have more than one row each", true},
		"Blanks": {func(s *shop, _ *store.Orders) { s.order("E1 ", day) },
			Finding{Key: "shop.orders.ref"}, "1 orders have blanks around their reference", true},
		"Clock": {func(_ *shop, shop *store.Orders) {
			shop.Clocks = []store.Clock{{Name: "cancelled", When: "stautus = 'cancelled'", Since: "created_at", After: day}}
		}, Finding{Key: "retention.clocks.cancelled"}, "are when and since right? database error 42703", true},
		"Awaiting": {func(_ *shop, shop *store.Orders) { shop.AwaitingImport = "stautus = 'paid'" },
			Finding{Key: "shop.orders"}, "is awaiting_import right? database error 42703", false},
		"NoPolicy": {func(s *shop, _ *store.Orders) { s.Orders = nil },
			Finding{Key: "retention.policy"}, "is empty: no order is ever erased", true},
		"Column": {func(s *shop, _ *store.Orders) { s.exec(`alter table public.payments add column iban text`) },
			Finding{Key: "retention.policy", Table: "public.payments", Column: "iban"}, "iban", true},
		"Trigger": {func(s *shop, _ *store.Orders) {
			s.order("E1", day)
			s.exec(`
				create function keep() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$;
				create trigger keep before delete on public.order_lines for each row execute function keep();
				insert into public.order_lines (order_id, sku) select id, 'ring' from public.orders`)
		}, Finding{Key: "retention.policy", Table: "public.order_lines"}, "database error P0001", true},
		"Haste": {func(_ *shop, shop *store.Orders) { shop.EraseAfter = time.Hour },
			Finding{Key: "retention.erase_after_import", Advice: true}, "is less than a day", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			s.exec(orderIndexes)
			orders := *s.Orders
			c.spoil(s, &orders)
			found := s.OrderFindings(t.Context(), orders)
			require.NotEmpty(t, found)
			require.Contains(t, found[0].Problem, c.says)
			if c.alone {
				require.Len(t, found, 1)
			}
			found[0].Problem = ""
			require.Equal(t, c.want, found[0])
		})
	}
}

func TestNothingToFind(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.order("E1", day)
	found := s.OrderFindings(t.Context(), *s.Orders)
	require.Len(t, found, 2)
	require.True(t, found[0].Advice && found[1].Advice)
	require.Contains(t, found[0].Problem, "to find orders that are new; this helps: create index concurrently")
	require.Contains(t, found[1].Problem, "finding due orders reads the whole table; this helps: create index concurrently")
	s.exec(orderIndexes)
	require.Empty(t, s.OrderFindings(t.Context(), *s.Orders))
	require.Empty(t, s.TableFindings(t.Context()))
}
