package erasure

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/erasure/policy"
)

// A row that stays because a live order has it, or because the policy means it to, is no copy, however the order
// reaches it; a row beside it that nothing excuses is.
func TestScanOfSharedRows(t *testing.T) {
	t.Parallel()
	people := func(ways ...policy.Table) func(*shop) {
		return func(s *shop) {
			s.exec(`create table public.people (id bigint primary key, name text, mail text, has_account boolean not null default false, boss bigint);
				insert into public.people (id, name, mail) select 7, customer_name, email from public.orders where order_number = 'E1'`)
			s.exec(`update public.orders set customer_id = 7 where order_number in ('E1', 'E2')`)
			for _, way := range ways {
				way.Name = "public.people"
				s.Policy.Tables = append(s.Policy.Tables, way)
			}
		}
	}
	byID := policy.Table{Match: &policy.Match{Column: "id", OrderColumn: "customer_id"}, DeleteRows: true}
	guests := byID
	guests.When = "not has_account"
	byMail := policy.Table{Match: &policy.Match{Column: "mail", OrderColumn: "email"}, KeepRows: true}
	alone := `update public.orders set customer_id = null where order_number = 'E2'`
	for name, c := range map[string]struct {
		shop   func(*shop)
		schema string
		refs   []string // none: E1 alone
		found  []string
	}{
		"WithALiveOrder":             {shop: people(byID)},
		"WithALiveOrderBothLookedAt": {shop: people(byID), refs: []string{"E1", "E2"}},
		"ByEMail": {shop: people(policy.Table{Match: byMail.Match, DeleteRows: true}),
			schema: `update public.orders set email = (select upper(mail) from public.people) where order_number = 'E2'`},
		"OfAnAccount": {shop: people(guests), schema: alone + `; update public.people set has_account = true`},
		"OfAnAccountWhoseKeyGoes": {shop: func(s *shop) { people(guests)(s); s.writes("customer_id", policy.Null) },
			schema: alone + `; update public.people set has_account = true`},
		"KeptByOneWayOfTwo": {shop: people(byMail, byID),
			schema: `update public.orders set customer_id = null`},
		"BesideIt": {shop: people(guests), found: []string{"public.people.mail", "public.people.name"},
			schema: alone + `; update public.people set has_account = true; insert into public.people select 8, name, mail from public.people`},
		"ChainOfParents": {shop: func(s *shop) {
			people(byID)(s)
			s.exec(`create table public.places (id bigint primary key, person bigint, street text); insert into public.places select 1, 7, street from public.orders where order_number = 'E1'`)
			s.Policy.Tables = append(s.Policy.Tables, policy.Table{Name: "public.places", Parent: "public.people", Match: &policy.Match{Column: "person", OrderColumn: "id"}, DeleteRows: true})
		}},
		"ChainOfAnAccountThroughRowsThatGo": {shop: func(s *shop) {
			people()(s)
			s.exec(`create table public.links (order_id bigint, person bigint); insert into public.links select id, 7 from public.orders where order_number = 'E1'`)
			guest := policy.Table{Name: "public.people", Parent: "public.links", Match: &policy.Match{Column: "id", OrderColumn: "person"}, When: "not has_account", DeleteRows: true}
			s.Policy.Tables = append(s.Policy.Tables, guest,
				policy.Table{Name: "public.links", Match: &policy.Match{Column: "order_id", OrderColumn: "id"}, DeleteRows: true})
		}, schema: `update public.people set has_account = true`},
		"ByAKeyThatNoWayUses": {shop: func(s *shop) {
			people(byID)(s)
			s.exec(`alter table public.orders add column payer bigint references public.people (id) on delete set null`)
			s.writes("payer", policy.Keep)
			s.Policy.Tables[0].IgnoreKeys = []string{"payer"}
		}, refs: []string{"E1", "E2"}, schema: `update public.orders set customer_id = null, payer = 7 where order_number = 'E2'`},
		"OfAnOrderThatIsRefused": {shop: func(s *shop) {
			people(byID)(s)
			s.exec(`create function public.refuse() returns trigger language plpgsql as $$ begin
				if old.order_number = 'E2' then raise exception 'not this one'; end if; return new; end $$;
				create trigger refuse before update on public.orders for each row execute function public.refuse()`)
		}, refs: []string{"E1", "E2"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			s.Policy.Tables = s.Policy.Tables[:3] // customers are another test's
			s.buy("E1", 40*day)
			s.order("E2", day)
			c.shop(s)
			if c.schema != "" {
				s.exec(c.schema)
			}
			if c.refs == nil {
				c.refs = []string{"E1"}
			}
			report, err := s.scanFor(t.Context(), ScanOptions{Time: 20 * time.Second}, func(*trial) ([]string, error) { return c.refs, nil })
			require.NoError(t, err)
			require.ElementsMatch(t, c.found, placesOf(report.Found))
			require.Positive(t, report.Values)
		})
	}
}

// writes says what becomes of a column of the orders table.
func (s *shop) writes(column string, strategy policy.Strategy) {
	for i, c := range s.Policy.Tables[0].Columns {
		if c.Name == column {
			s.Policy.Tables[0].Columns[i].Strategy = strategy
			return
		}
	}
	s.Policy.Tables[0].Columns = append(s.Policy.Tables[0].Columns, policy.Column{Name: column, Strategy: strategy})
}

// A scan whose orders are all refused has looked for nothing, and claims nothing.
func TestAScanForNothingSearchesNothing(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.buy("E1", 40*day)
	s.exec(`create function public.refuse() returns trigger language plpgsql as $$ begin raise exception 'none'; end $$;
		create trigger refuse before update on public.orders for each row execute function public.refuse()`)
	report, err := s.Scan(t.Context(), ScanOptions{Orders: 3, Time: time.Minute})
	require.NoError(t, err)
	require.Zero(t, report.Values)
	require.Zero(t, report.Searched)
	require.NotEmpty(t, report.Unsearched)
}
