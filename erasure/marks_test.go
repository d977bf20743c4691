package erasure

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/erasure/policy"
	"kvit/store"
)

// eachMarks runs a test in a shop that has columns for kvit's marks, and in one where kvit keeps them itself.
func eachMarks(t *testing.T, newShop func(*testing.T) *shop, test func(t *testing.T, s *shop)) {
	t.Helper()
	t.Parallel()
	t.Run("Columns", func(t *testing.T) {
		t.Parallel()
		test(t, newShop(t))
	})
	t.Run("OwnMarks", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		s.keepOwnMarks()
		test(t, s)
	})
}

func plainShop(t *testing.T) *shop { return newShop(t) }

// keepOwnMarks takes the columns for them from the shop, before its first order.
func (s *shop) keepOwnMarks() {
	s.t.Helper()
	s.exec(`alter table public.orders drop column erp_imported_at, drop column erp_order_number, drop column personal_data_erased_at`)
	s.Orders.ImportedAt, s.Orders.ERPNumber, s.Orders.ErasedAt = "", "", ""
}

// imported marks orders, told by a condition, as imported this long ago.
func (s *shop) imported(ago time.Duration, condition string, args ...any) {
	s.t.Helper()
	args = append([]any{ago}, args...)
	if !s.Orders.OwnMarks() {
		s.exec(`update public.orders set erp_imported_at = now() - $1::interval, erp_order_number = 'SO-' || order_number where `+condition, args...)
		return
	}
	s.exec(`
		insert into kvit.order_mark (order_ref, imported_at, erp_number)
		select order_number::text, now() - $1::interval, 'SO-' || order_number from public.orders where `+condition+`
		on conflict (order_ref) do update set imported_at = excluded.imported_at, erp_number = excluded.erp_number`, args...)
}

// notImported takes the marks back.
func (s *shop) notImported(condition string) {
	s.t.Helper()
	if !s.Orders.OwnMarks() {
		s.exec(`update public.orders set erp_imported_at = null, erp_order_number = null where ` + condition)
		return
	}
	s.exec(`update kvit.order_mark set imported_at = null, erp_number = null where order_ref in (select order_number from public.orders where ` + condition + `)`)
}

// mark is an SQL expression for a mark of the order "o".
func (s *shop) mark(name string) string {
	if s.Orders.OwnMarks() {
		return `(select m.` + name + ` from kvit.order_mark m where m.order_ref = o.order_number::text)`
	}
	return map[string]string{"imported_at": "o.erp_imported_at", "erp_number": "o.erp_order_number", "erased_at": "o.personal_data_erased_at"}[name]
}

// notice lets kvit know the orders, as a run does before anything else.
func (s *shop) notice() {
	s.t.Helper()
	require.NoError(s.t, store.NoticeAllOrders(s.t.Context(), s.db, *s.Orders, time.Time{}))
}

// sellingShop keeps its orders in a table of another name and shape, behind a view.
func sellingShop(t *testing.T, view string) *shop {
	t.Helper()
	s := newShop(t)
	s.exec(`
		drop table public.orders cascade;
		create table public.sales (id bigint primary key, number text not null unique, created_at timestamptz not null default now(), email text);
		create table public.old_sales (id bigint primary key, number text not null unique, created_at timestamptz not null default now(), email text);
		insert into public.sales select i, 'E' || i, now() - interval '40 days', 'Mxrkxr' from generate_series(1, 3) i;
		insert into public.payments (order_number, holder) select number, 'Mxrkxr' from public.sales;` + view)
	s.Orders.ImportedAt, s.Orders.ERPNumber, s.Orders.ErasedAt = "", "", ""
	s.Policy.Tables = []policy.Table{shopPolicy().Tables[2]}
	s.exec(`insert into kvit.order_mark (order_ref, imported_at) values ('E1', now() - interval '31 days'), ('E2', now() - interval '31 days'), ('E3', now())`)
	s.exec(`insert into kvit.legal_hold (order_ref, reason, placed_by) values ('E2', 'audit', 'ops')`)
	return s
}

// requireE1Alone erases, and looks what is left.
func (s *shop) requireE1Alone(emails string) {
	s.t.Helper()
	problems, err := s.Check(s.t.Context())
	require.NoError(s.t, err)
	require.Empty(s.t, problems)
	trial, err := s.Trial(s.t.Context())
	require.NoError(s.t, err)
	require.Equal(s.t, Trial{}, trial)
	report := s.run()
	require.Equal(s.t, 1, report.Orders)
	require.Equal(s.t, 1, report.Held)
	require.Equal(s.t, emails, value[string](s, `select string_agg(email, ' ' order by id) from public.sales`))
	require.Equal(s.t, "- Mxrkxr Mxrkxr", value[string](s, `select string_agg(coalesce(holder, '-'), ' ' order by order_number) from public.payments`))
	require.Equal(s.t, "E1", value[string](s, `select order_ref from kvit.order_mark where erased_at is not null`))
	require.Zero(s.t, s.run().Orders)
	s.requireChain(1)
}

func TestOrdersThatAreAView(t *testing.T) {
	t.Parallel()
	sales := policy.Table{Name: "public.sales", Match: &policy.Match{Column: "id", OrderColumn: "id"}, Columns: []policy.Column{
		{Name: "id", Strategy: policy.Keep}, {Name: "number", Strategy: policy.Keep}, {Name: "created_at", Strategy: policy.Keep},
		{Name: "email", Strategy: policy.Text, Text: "erased"},
	}}
	t.Run("Kept", func(t *testing.T) {
		t.Parallel()
		s := sellingShop(t, `create view public.orders as
			select id, number as order_number, created_at from public.sales union all select id, number, created_at from public.old_sales`)
		s.Policy.Tables = append(s.Policy.Tables, sales, policy.Table{Name: "public.orders", KeepRows: true})
		s.requireE1Alone("erased Mxrkxr Mxrkxr")
	})
	t.Run("Updatable", func(t *testing.T) {
		t.Parallel()
		s := sellingShop(t, `create view public.orders as select id, number as order_number, created_at, email, now() as read_at from public.sales`)
		orders := policy.Table{Name: "public.orders", Columns: []policy.Column{
			{Name: "id", Strategy: policy.Keep}, {Name: "email", Strategy: policy.Text, Text: "erased"}, {Name: "read_at", Strategy: policy.Keep},
		}}
		s.Policy.Tables = append(s.Policy.Tables, orders)
		s.requireE1Alone("erased Mxrkxr Mxrkxr")
	})
	t.Run("NotUpdatable", func(t *testing.T) {
		t.Parallel()
		s := sellingShop(t, `create view public.orders as select id, number as order_number, created_at, min(email) as email from public.sales group by 1, 2, 3`)
		s.Policy.Tables = append(s.Policy.Tables, policy.Table{Name: "public.orders", Columns: []policy.Column{
			{Name: "id", Strategy: policy.Keep}, {Name: "email", Strategy: policy.Null},
		}})
		problems, err := s.Check(t.Context())
		require.NoError(t, err)
		require.Equal(t, []policy.Problem{{Table: "public.orders", Column: "email",
			Problem: "is a column of a view that cannot be updated through it, by kvit's database role: keep it, and erase the table behind"}}, problems)
		_, err = s.Run(t.Context())
		require.True(t, IsMisfit(err), "%v", err)
		require.Zero(t, value[int](s, `select count(*) from kvit.erasure_certificate`))
	})
	t.Run("WithColumns", func(t *testing.T) {
		t.Parallel()
		s := sellingShop(t, `alter table public.sales add imported timestamptz, add erp text, add erased timestamptz;
			create view public.orders as select id, number as order_number, created_at, imported, erp, erased from public.sales`)
		s.Orders.ImportedAt, s.Orders.ERPNumber, s.Orders.ErasedAt = "imported", "erp", "erased"
		s.Policy.Tables = append(s.Policy.Tables, policy.Table{Name: "public.orders", Columns: []policy.Column{{Name: "id", Strategy: policy.Keep}}})
		problems, err := s.Check(t.Context())
		require.NoError(t, err)
		require.Contains(t, problems[0].Problem, "and kvit keeps these marks itself")
	})
}

func TestOrdersInPartitions(t *testing.T) {
	t.Parallel()
	s := sellingShop(t, `
		create table public.orders (id bigint, order_number text not null, created_at timestamptz not null, email text, unique (order_number, created_at)) partition by range (created_at);
		create table public.orders_old partition of public.orders for values from (minvalue) to ('2020-01-01');
		create table public.orders_new partition of public.orders default;
		insert into public.orders select id, number, created_at, email from public.sales;
		update public.orders set created_at = '2019-01-01' where id in (1, 3)`)
	s.Policy.Tables = append(s.Policy.Tables, policy.Table{Name: "public.orders", Columns: []policy.Column{
		{Name: "id", Strategy: policy.Keep}, {Name: "email", Strategy: policy.Text, Text: "erased"},
	}})
	s.requireE1Alone("Mxrkxr Mxrkxr Mxrkxr")
	require.Equal(t, "erased Mxrkxr Mxrkxr", value[string](s, `select string_agg(email, ' ' order by id) from public.orders`))
}

// Nobody can say when a time without a zone is: nothing is erased by it until its zone is named. Then it is that
// zone's, to the hour.
func TestTimesWithoutAZone(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.keepOwnMarks()
	s.exec(`alter table public.orders alter created_at type timestamp, add changed_on date`)
	s.name("public.orders", "changed_on", "keep")
	s.Orders.EraseUnimportedAfter = day
	s.Orders.Clocks = []store.Clock{{Name: "changed", When: "true", Since: "changed_on", After: 400 * day}}
	s.order("imported", 31*day)
	s.event("search:1", nil)
	s.exec(`update kvit.event set received_at = now() - interval '31 days'`)
	const problem = ", a time without a time zone: name the zone as shop.orders.time_zone, such as Europe/Copenhagen or UTC"

	problems, err := s.Check(t.Context())
	require.NoError(t, err)
	require.Equal(t, []policy.Problem{
		{Table: "public.orders", Column: "changed_on", Problem: "is date" + problem, Unreachable: true},
		{Table: "public.orders", Column: "created_at", Problem: "is timestamp without time zone" + problem, Unreachable: true},
	}, problems)
	_, err = s.Run(t.Context())
	require.True(t, IsMisfit(err), "%v", err)
	_, err = s.DryRun(t.Context())
	require.True(t, IsMisfit(err), "%v", err)
	_, err = s.EraseSubject(t.Context(), SubjectRequest{Subject: store.Subject{Email: marker}, Reference: "T-1", By: "anna"})
	require.True(t, IsMisfit(err), "%v", err)
	require.True(t, s.untouched("imported"))

	s.Orders.TimeZone = "America/New_York"
	pool, err := store.Open(t.Context(), store.Options{URL: s.db.Config().ConnString(), MaxConnections: 4, TimeZone: s.Orders.TimeZone})
	require.NoError(t, err)
	defer pool.Close()
	s.Eraser.DB = pool
	s.unimported("just due")
	s.unimported("not due")
	s.exec(`update public.orders set created_at = (now() at time zone 'America/New_York') - interval '1 day' - interval '1 minute' where order_number = 'just due'`)
	s.exec(`update public.orders set created_at = (now() at time zone 'America/New_York') - interval '1 day' + interval '1 minute' where order_number = 'not due'`)
	require.NoError(t, store.SyncOrderStatus(t.Context(), pool, *s.Orders))
	report := s.run()
	require.Equal(t, 2, report.Orders)
	require.True(t, s.erased("just due"))
	require.True(t, s.untouched("not due"))
	// The reader's own zone makes no difference.
	require.True(t, value[bool](s, `
		select erase_due_at between now() + interval '30 seconds' and now() + interval '61 seconds' from kvit.order_status where order_ref = 'not due'`))
}
