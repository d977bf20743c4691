package erasure

import (
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/erasure/policy"
	"kvit/store"
)

// remembered is a shop whose row 1 stayed with the live order E2 when E1 was erased.
func remembered(t *testing.T, when string) *shop {
	t.Helper()
	s := newShop(t)
	s.exec(`
		create table public.people (id bigint primary key, name text, phone text, account boolean not null default false, made timestamptz not null default now());
		create table public.places (id bigint primary key, person bigint, street text);
		insert into public.people (id, name, phone, made) values (1, 'Anna Sharedby', '12345678', '2020-01-01'), (2, 'Bo Other', '87654321', '2021-01-01');
		insert into public.places values (1, 1, 'Sharedstreet 1')`)
	way := policy.Table{Name: "public.people", Match: &policy.Match{Column: "id", OrderColumn: "customer_id"}, When: when, DeleteRows: true}
	s.Policy.Tables = append(s.Policy.Tables[:3], policy.Table{
		Name: "public.places", Parent: "public.people", Match: &policy.Match{Column: "person", OrderColumn: "id"}, DeleteRows: true,
	}, way)
	s.order("E1", 31*day)
	s.unimported("E2")
	s.exec(`delete from public.payments; delete from public.order_lines; update public.orders set customer_id = 1`)
	require.Equal(t, 1, s.run().Orders)
	require.Equal(t, 2, value[int](s, `select count(*) from kvit.erasure_left`))
	return s
}

// A row with the key of one that kvit remembers is erased only if it is that row, and if it still is what the policy
// erases.
func TestAMemoryIsOfOneRow(t *testing.T) {
	t.Parallel()
	const gone = `delete from public.orders where order_number = 'E2';`
	for name, c := range map[string]struct {
		when   string
		since  string
		people int
		places int
	}{
		"TheSame":           {"", gone, 1, 0},
		"Changed":           {"", gone + `update public.people set name = 'Anna Married', phone = '555555' where id = 1; update public.places set street = 'Newstreet 2'`, 1, 0},
		"FilledAgain":       {"", gone + `truncate public.people, public.places; insert into public.people (id, name, phone) values (1, 'Carl Newcomer', '999'), (2, 'Dora', '1'); insert into public.places values (1, 2, 'Elsewhere')`, 2, 1},
		"AnAccountByNow":    {"not account", gone + `update public.people set account = true where id = 1`, 2, 1},
		"AnAccountAndALive": {"not account", `update public.people set account = true where id = 1`, 2, 1},
		"StillAGuest":       {"not account", gone, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := remembered(t, c.when)
			s.exec(c.since)
			s.run()
			require.Equal(t, c.people, value[int](s, `select count(*) from public.people`))
			require.Equal(t, c.places, value[int](s, `select count(*) from public.places`))
			require.Zero(t, value[int](s, `select count(*) from kvit.erasure_left`), "the memory is of no use any more")
		})
	}
}

// What is remembered gives no value away.
func TestAMemoryHoldsNoValue(t *testing.T) {
	t.Parallel()
	s := remembered(t, "")
	require.NotContains(t, value[string](s, `select string_agg(l::text, '') from kvit.erasure_left l`), "Shared")
	require.Regexp(t, `^[0-9a-f]{6}$`, value[string](s, `select marks ->> 'name' from kvit.erasure_left where table_name = 'public.people'`))
	require.Nil(t, value[*string](s, `select marks ->> 'account' from kvit.erasure_left where table_name = 'public.people'`), "others have it, too")
}

// The mark of an order that the shop has deleted does not stay among what is due, and is there when the order comes back.
func TestMarksOfDeletedOrders(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.keepOwnMarks()
	s.order("E1", 31*day)
	s.order("E2", day)
	s.notice()
	s.imported(day, "true")
	s.exec(`create table public.kept as select * from public.orders; delete from public.payments; delete from public.order_lines; delete from public.orders`)
	s.run()
	require.Equal(t, 2, value[int](s, `select count(*) from kvit.order_mark where gone_at is not null and imported_at is not null and erased_at is null`))
	plan := value[string](s, `select pg_get_expr(indpred, indrelid) from pg_index where indexrelid = 'kvit.order_mark_due'::regclass`)
	require.Contains(t, plan, "gone_at IS NULL")

	s.exec(`insert into public.orders (order_number, email, created_at) select order_number, email, created_at from public.kept`)
	now, err := store.Now(t.Context(), s.db)
	require.NoError(t, err)
	require.NoError(t, store.NoticeAllOrders(t.Context(), s.db, *s.Orders, now.Add(day)))
	require.Zero(t, value[int](s, `select count(*) from kvit.order_mark where gone_at is not null`))
	s.imported(31*day, "true")
	require.Equal(t, 2, s.run().Orders)
}
