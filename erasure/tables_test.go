package erasure

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"kvit/erasure/policy"
	"kvit/erasure/proof"
	"kvit/store"
)

const cartSchema = `
create table public.carts (
    id         bigint primary key,
    email      text,
    updated_at timestamptz,
    ordered_at timestamptz
);
create table public.cart_items (
    id      bigint generated always as identity primary key,
    cart_id bigint not null references public.carts (id),
    sku     text
);`

// newCarts is a shop with a table of carts and a rule for it.
func newCarts(t testing.TB) *shop {
	t.Helper()
	s := newShop(t)
	s.exec(cartSchema)
	s.Tables = []policy.TableRule{{
		Name: "abandoned", Table: "public.carts", When: "ordered_at is null", Since: "updated_at", EraseAfter: 14 * day,
		Children: []policy.TableChild{{Table: "public.cart_items", Column: "cart_id", ParentColumn: "id"}},
	}}
	return s
}

// cart fills a cart with two items, and leaves it for so long.
func (s *shop) cart(id int, ago time.Duration) {
	s.t.Helper()
	s.exec(`insert into public.carts values ($1, $2, now() - $3::interval)`, id, marker, ago)
	s.exec(`insert into public.cart_items (cart_id, sku) select $1, $2 from generate_series(1, 2)`, id, marker)
}

// carts are those that are there, each with the number of its items.
func (s *shop) carts() map[int]int {
	s.t.Helper()
	rows, err := s.db.Query(s.t.Context(), `
		select id, (select count(*) from public.cart_items i where i.cart_id = c.id) from public.carts c`)
	require.NoError(s.t, err)
	found := map[int]int{}
	var id, items int
	_, err = pgx.ForEachRow(rows, []any{&id, &items}, func() error {
		found[id] = items
		return nil
	})
	require.NoError(s.t, err)
	return found
}

func TestAbandonedCartsGo(t *testing.T) {
	t.Parallel()
	s := newCarts(t)
	s.order("E1", 31*day)
	for id := 1; id <= 5; id++ {
		s.cart(id, 15*day)
	}
	s.cart(6, 13*day)
	s.cart(7, 15*day)
	s.exec(`update public.carts set ordered_at = now() where id = 7`)
	s.cart(8, 15*day)
	s.exec(`update public.carts set updated_at = null where id = 8`)

	dry, err := s.DryRun(t.Context())
	require.NoError(t, err)
	require.Len(t, s.carts(), 8)
	s.requireChain(0)
	report := s.run()

	require.Equal(t, map[int]int{6: 2, 7: 2, 8: 2}, s.carts())
	require.Equal(t, map[string]int{"abandoned": 5}, report.Tables)
	require.Equal(t, []int64{5, 10}, []int64{report.Rows["public.carts"], report.Rows["public.cart_items"]})
	require.Equal(t, 1, report.Orders)
	require.Zero(t, report.Skipped)
	dry.DryRun, dry.Columns = false, nil
	require.Equal(t, report, dry)

	s.requireChain(3)
	type proof struct {
		Clock, PolicyHash string
		Carts, Items      int
		Left              *int
		Imported          *time.Time
	}
	rows, err := s.db.Query(t.Context(), `
		select clock, policy_hash, (row_counts ->> 'public.carts')::int, (row_counts ->> 'public.cart_items')::int,
		       (verification ->> 'left')::int, erp_imported_at
		from kvit.erasure_certificate where order_ref = 'table:abandoned' order by number`)
	require.NoError(t, err)
	proofs, err := pgx.CollectRows(rows, pgx.RowToStructByPos[proof])
	require.NoError(t, err)
	hash := s.Tables[0].Hash()
	require.Equal(t, []proof{{"abandoned", hash, 3, 6, new(0), nil}, {"abandoned", hash, 2, 4, new(0), nil}}, proofs, "one a batch")

	require.Equal(t, map[string]int{"abandoned": 0}, s.run().Tables)
	s.requireChain(3)
}

func TestCartsWithoutOrders(t *testing.T) {
	t.Parallel()
	s := newCarts(t)
	s.Orders, s.Policy = nil, policy.Policy{}
	s.Tables = append(s.Tables, policy.TableRule{Name: "ordered", Table: "public.carts", Since: "ordered_at", EraseAfter: day, Children: s.Tables[0].Children})
	s.cart(1, 15*day)
	s.cart(2, 15*day)
	s.exec(`update public.carts set ordered_at = now() - interval '2 days' where id = 2`)
	require.Equal(t, map[string]int{"abandoned": 1, "ordered": 1}, s.run().Tables)
	require.Empty(t, s.carts())
	s.requireChain(2)
}

// What somebody is at work on stays for another time, and holds nobody up.
func TestCartsInUseAreSkipped(t *testing.T) {
	t.Parallel()
	s := newCarts(t)
	for id := 1; id <= 4; id++ {
		s.cart(id, 15*day)
	}
	tx, err := s.db.Begin(t.Context())
	require.NoError(t, err)
	for _, sql := range []string{
		`select from public.carts where id = 1 for update`,
		`update public.cart_items set sku = 'new' where cart_id = 2`,
		`insert into public.cart_items (cart_id, sku) values (3, 'new')`,
	} {
		_, err = tx.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	require.Equal(t, 3, s.run().Skipped, "the job comes back to them")
	require.Equal(t, map[int]int{1: 2, 2: 2, 3: 2}, s.carts())
	require.Equal(t, 3, s.run().Skipped)
	require.NoError(t, tx.Commit(t.Context()))

	report := s.run()
	require.Equal(t, 3, report.Tables["abandoned"])
	require.Equal(t, int64(7), report.Rows["public.cart_items"], "with the item that was added meanwhile")
	require.Empty(t, s.carts())
	require.Zero(t, report.Skipped)
}

// A cart that the shop changed while it was being found is not due any more.
func TestCartsThatLiveAgainStay(t *testing.T) {
	t.Parallel()
	s := newCarts(t)
	s.cart(1, 15*day)
	tx, err := s.db.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `update public.carts set updated_at = now()`)
	require.NoError(t, err)
	require.Equal(t, 1, s.run().Skipped)
	require.NoError(t, tx.Commit(t.Context()))
	require.Zero(t, s.run().Tables["abandoned"])
	require.Equal(t, map[int]int{1: 2}, s.carts())
}

func TestCartsThatTheDatabaseRefusesStay(t *testing.T) {
	t.Parallel()
	const keep = `
		create function keep() returns trigger language plpgsql as $$ begin return null; end $$;
		create trigger keep before delete on public.%s for each row when (old.%s) execute function keep();`
	for name, c := range map[string]struct{ sql, problem string }{
		"ForeignKey": {`
			alter table public.orders add column cart_id bigint constraint orders_cart references public.carts;
			update public.orders set cart_id = case when order_number = 'E1' then 2 else 4 end`,
			"database error 23503 constraint orders_cart schema public table orders"},
		"Deferred": {`
			alter table public.orders add column cart_id bigint constraint orders_cart references public.carts deferrable initially deferred;
			update public.orders set cart_id = case when order_number = 'E1' then 2 else 4 end`,
			"database error 23503 constraint orders_cart schema public table orders"},
		"KeptCart": {fmt.Sprintf(keep, "carts", "id in (2, 4)"),
			"1 rows of public.carts still hold what was to be erased: a trigger or a rule may keep it"},
		"KeptItems": {fmt.Sprintf(keep, "cart_items", "cart_id in (2, 4)") + `alter table public.cart_items drop constraint cart_items_cart_id_fkey`,
			"2 rows of public.cart_items still hold what was to be erased: a trigger or a rule may keep it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newCarts(t)
			s.order("E1", day)
			s.order("E2", day)
			for id := 1; id <= 7; id++ {
				s.cart(id, 15*day)
			}
			if strings.Contains(c.sql, "orders_cart") {
				s.name("public.orders", "cart_id", "keep")
			}
			s.exec(c.sql)
			dry, dryErr := s.DryRun(t.Context())
			require.Len(t, s.carts(), 7)
			report, err := s.Run(t.Context())
			for _, err := range []error{dryErr, err} {
				require.ErrorIs(t, err, ErrNotErased)
				require.EqualError(t, err, "2 rows could not be erased")
			}
			require.Equal(t, map[int]int{2: 2, 4: 2}, s.carts())
			require.Equal(t, []TableProblem{{Rule: "abandoned", Rows: 2, Problem: c.problem}}, report.TableProblems)
			require.Equal(t, 5, report.Tables["abandoned"])
			require.Equal(t, int64(10), report.Rows["public.cart_items"])
			require.Zero(t, report.Skipped)
			dry.DryRun, dry.Columns = false, nil
			require.Equal(t, report, dry)
			require.Equal(t, int64(5), value[int64](s, `select sum((row_counts ->> 'public.carts')::int) from kvit.erasure_certificate`))
			require.Equal(t, "2 rows could not be erased", value[string](s, `select problem from kvit.erasure_run`))
		})
	}
}

func TestBrakeStopsCarts(t *testing.T) {
	t.Parallel()
	s := newCarts(t)
	s.Brake = Brake{MaxOrders: 2}
	s.order("E1", 31*day)
	for id := 1; id <= 3; id++ {
		s.cart(id, 15*day)
	}
	const reason = "3 rows are due by retention.tables.abandoned, more than retention.brake.max_orders (2)"
	dry, err := s.DryRun(t.Context())
	require.NoError(t, err)
	require.Equal(t, &Braking{Due: 3, Reason: reason}, dry.Brake)
	require.Equal(t, 3, dry.Tables["abandoned"])

	_, err = s.Run(t.Context())
	require.ErrorIs(t, err, ErrBraked)
	require.ErrorContains(t, err, reason)
	require.True(t, s.untouched("E1"), "before the first row")
	require.Len(t, s.carts(), 3)
	braked, err := store.Braked(t.Context(), s.db)
	require.NoError(t, err)
	require.Equal(t, 3, braked)

	report, err := s.RunConfirmed(t.Context())
	require.NoError(t, err)
	require.Equal(t, []int{3, 1}, []int{report.Tables["abandoned"], report.Orders})
	s.cart(4, 15*day)
	s.cart(5, 15*day)
	require.Equal(t, 2, s.run().Tables["abandoned"])
}

// A rule that does not fit erases nothing, and everything else goes on.
func TestCartsWhoseRuleDoesNotFit(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sql     string
		rule    func(*policy.TableRule)
		problem string
	}{
		"Cascade": {
			`create table public.wishes (cart_id bigint references public.carts on delete cascade)`, nil,
			"table public.carts loses its rows, and with them go rows of public.wishes, unseen (wishes_cart_id_fkey is ON DELETE CASCADE)",
		},
		"NoTable":   {`drop table public.cart_items, public.carts`, nil, "table public.carts does not exist, or is no table"},
		"Predicate": {"", func(r *policy.TableRule) { r.When = "orderd_at is null" }, "retention.tables.abandoned says, are when and since right? database error 42703"},
		"FailsOnARow": {
			"", func(r *policy.TableRule) { r.When = "1 / (id - id) = 1" }, "retention.tables.abandoned says, are when and since right? database error 22012",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newCarts(t)
			s.Brake = Brake{MaxOrders: 10}
			s.order("E1", 31*day)
			s.event("search:1", nil)
			s.exec(`update kvit.event set received_at = now() - interval '31 days' where order_ref is null`)
			s.cart(1, 15*day)
			broken := s.Tables[0]
			s.Tables = append(s.Tables, policy.TableRule{Name: "other", Table: "public.old_carts", Since: "seen", EraseAfter: day})
			s.exec(`create table public.old_carts (id int primary key, seen timestamptz); insert into public.old_carts values (1, now() - interval '2 days')`)
			if c.rule != nil {
				c.rule(&broken)
				s.Tables[0] = broken
			}
			if c.sql != "" {
				s.exec(c.sql)
			}
			problems, err := s.Problems(t.Context())
			require.NoError(t, err)
			if name != "FailsOnARow" { // a check reads none
				require.NotEmpty(t, problems)
				require.Contains(t, problems[0].String(), c.problem)
			}
			for _, run := range []func() (Report, error){
				func() (Report, error) { return s.DryRun(t.Context()) }, func() (Report, error) { return s.Run(t.Context()) },
			} {
				report, err := run()
				require.True(t, IsMisfit(err), "%v", err)
				require.ErrorContains(t, err, c.problem)
				require.Equal(t, map[string]int{"abandoned": 0, "other": 1}, report.Tables)
				require.Equal(t, []int{1, 2}, []int{report.Orders, report.Events})
			}
			require.True(t, s.erased("E1"))
			status, err := s.TablesStatus(t.Context(), 0)
			require.NoError(t, err)
			require.Equal(t, TableStatus{Rule: "other"}, status[len(status)-1])
		})
	}
}

const wreckCarts = `
set local session_replication_role = replica;
delete from kvit.erasure_certificate; delete from kvit.erasure_run; delete from public.cart_items; delete from public.carts;
set local session_replication_role = origin;
insert into public.carts select i, 'Mxrkxr', now() - case when i < 6 then interval '15 days' else interval '13 days' end from generate_series(1, 6) i;
insert into public.cart_items (cart_id, sku) select id, 'Mxrkxr' from public.carts, generate_series(1, 2);`

// A crash between any two statements leaves each cart whole or gone, with what certificates say, and the next
// run goes on.
func TestCrashAmongCarts(t *testing.T) {
	t.Parallel()
	s := newCarts(t)
	s.Orders, s.Policy, s.BatchOrders = nil, policy.Policy{}, 2
	w := s.wreck()
	whole := func(c crash) (gone int64) {
		carts := s.carts()
		for id, items := range carts {
			require.Equal(t, 2, items, "cart %d, %+v", id, c)
		}
		gone = int64(6 - len(carts))
		require.Equal(t, gone, value[int64](s, `select coalesce(sum((row_counts ->> 'public.carts')::int), 0) from kvit.erasure_certificate`), "%+v", c)
		s.requireChain((gone + 1) / 2)
		return gone
	}
	s.exec(wreckCarts)
	_, err := w.run(crash{})
	require.NoError(t, err)
	statements := w.passed
	require.EqualValues(t, 5, whole(crash{}))

	seen := map[int64]bool{}
	for at := 1; at <= statements; at++ {
		c := crash{at: at, all: at%3 == 0}
		s.exec(wreckCarts)
		_, _ = w.run(c)
		require.True(t, w.struck)
		seen[whole(c)] = true
		s.run()
		require.EqualValues(t, 5, whole(c))
	}
	require.Equal(t, map[int64]bool{0: true, 2: true, 4: true, 5: true}, seen, "crashes before, between and after the batches")

	s.exec(wreckCarts)
	_, err = w.run(crash{lost: true})
	require.NoError(t, err)
	commits := w.passed
	require.Greater(t, commits, 3)
	for at := 1; at <= commits; at++ { // the answer to a commit is lost
		c := crash{at: at, lost: true}
		s.exec(wreckCarts)
		_, _ = w.run(c)
		require.True(t, w.struck)
		whole(c)
		s.run()
		require.EqualValues(t, 5, whole(c))
	}
}

// A run whose time is up begins no batch any more, and says so.
func TestCartsWaitForTheNextRunWhenTimeIsUp(t *testing.T) {
	t.Parallel()
	s := newCarts(t)
	s.cart(1, 15*day)
	report, err := s.newRun(time.Now().Add(-time.Second)).do(t.Context())
	require.NoError(t, err)
	require.True(t, report.More)
	require.Zero(t, report.Skipped, "it is due, and nobody has locked it")
	require.Len(t, s.carts(), 1)
}

func TestCheckCarts(t *testing.T) {
	t.Parallel()
	s := newCarts(t)
	s.exec(`
		alter table public.carts add column order_id bigint references public.orders (id);
		alter table public.carts add column merged_into bigint references public.carts (id) on delete set null;
		insert into public.carts (id, updated_at) select i, now() from generate_series(1, 11000) i;
		insert into public.cart_items (cart_id) select id from public.carts;
		analyze public.carts; analyze public.cart_items`)
	problems, err := s.Check(t.Context())
	require.NoError(t, err)
	require.Empty(t, problems, "the policy knows the tables of carts, though they refer to orders")

	found, err := s.CheckTables(t.Context())
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.Equal(t, "abandoned", found[0].Rule)
	require.Empty(t, found[0].Problems)
	var advice []string
	for _, p := range found[0].Advice {
		advice = append(advice, p.String())
	}
	require.Equal(t, []string{
		"table public.carts loses its rows, and public.carts.merged_into no longer refers to them (by carts_merged_into_fkey)",
		"table public.carts refers to public.orders, and the policy does not erase it: see to it that a rule takes the rows of orders, too, once they are due",
	}, advice)
	require.Equal(t, []string{
		`create index concurrently on "public"."carts" ("updated_at")`, `create index concurrently on "public"."cart_items" ("cart_id")`,
	}, found[0].Indexes)

	s.Tables = append(s.Tables, policy.TableRule{Name: "all", Table: "public.carts", Since: "updated_at", EraseAfter: 900 * day, Children: s.Tables[0].Children})
	found, err = s.CheckTables(t.Context())
	require.NoError(t, err)
	require.Len(t, found[0].Advice, 1, "one of the rules takes all")
}

func TestCartsStatus(t *testing.T) {
	t.Parallel()
	s := newCarts(t)
	s.cart(1, 15*day)
	s.cart(2, 17*day)
	s.cart(3, 13*day)
	status, err := s.TablesStatus(t.Context(), 26*time.Hour)
	require.NoError(t, err)
	require.Equal(t, []TableStatus{{Rule: "abandoned", Due: 2, Overdue: 1}}, status)
}

// An order may be called like a certificate of a rule's rows: that it is alive after a restore says nothing.
func TestReplayLeavesRulesToTheNextRun(t *testing.T) {
	t.Parallel()
	for _, prefix := range []string{"table:", "cart:"} { // the second one is what the oldest are called
		t.Run(prefix, func(t *testing.T) {
			t.Parallel()
			s := newCarts(t)
			s.cart(1, 15*day)
			s.order("E1", 31*day)
			s.run()
			var chain proof.Chain
			var list []proof.Certificate
			for _, c := range s.exported() {
				c.OrderRef = strings.Replace(c.OrderRef, "table:", prefix, 1)
				list = append(list, chain.Seal(c))
			}
			require.Equal(t, prefix+"abandoned", list[1].OrderRef)
			s.cart(1, 15*day) // as from a backup
			s.order(prefix+"abandoned", day)
			report, err := s.Replay(t.Context(), exportOf(list))
			require.NoError(t, err)
			require.Zero(t, report.Orders)
			require.True(t, s.untouched(prefix+"abandoned"))
			require.Equal(t, 1, s.run().Tables["abandoned"])
		})
	}
}

// newAccounts is a shop with accounts that lose who they are once nobody has used them for two years.
func newAccounts(t testing.TB) *shop {
	t.Helper()
	s := newShop(t)
	s.exec(`
		create table public.accounts (
		    id      bigint primary key,
		    email   text unique,
		    name    text not null,
		    born    date,
		    seen_at timestamp without time zone
		);
		create table public.account_addresses (account_id bigint not null references public.accounts (id), street text)`)
	s.HashKey = store.NewHashKey("a key of 32 characters, for tests")
	s.Tables = []policy.TableRule{{
		Name: "unused", Table: "public.accounts", Since: "seen_at", TimeZone: "Europe/Copenhagen", EraseAfter: 730 * day,
		Columns: []policy.Column{
			{Name: "id", Strategy: policy.Keep}, {Name: "email", Strategy: policy.Hash}, {Name: "name", Strategy: policy.Text, Text: "erased"},
			{Name: "born", Strategy: policy.TruncateDate, Unit: policy.Year}, {Name: "seen_at", Strategy: policy.Keep},
		},
		Children: []policy.TableChild{{Table: "public.account_addresses", Column: "account_id", ParentColumn: "id"}},
	}}
	return s
}

func (s *shop) account(id int, ago time.Duration) {
	s.t.Helper()
	s.exec(`insert into public.accounts values ($1, $2, $3, '1980-05-06', (now() - $4::interval) at time zone 'Europe/Copenhagen')`, id, fmt.Sprint(marker, id), marker, ago)
	s.exec(`insert into public.account_addresses values ($1, $2)`, id, marker)
}

func (s *shop) readAccount(id int) string {
	s.t.Helper()
	return value[string](s, `
		select concat_ws(' ', name, born, length(email), (select count(*) from public.account_addresses d where d.account_id = a.id))
		from public.accounts a where id = $1`, id)
}

func TestRowsAreOverwritten(t *testing.T) {
	t.Parallel()
	s := newAccounts(t)
	for id := 1; id <= 5; id++ {
		s.account(id, 731*day)
	}
	s.account(6, 730*day-time.Hour)
	young := s.readAccount(6)

	dry, err := s.DryRun(t.Context())
	require.NoError(t, err)
	require.Equal(t, map[string]int64{"email": 5, "name": 5, "born": 5}, dry.Columns["public.accounts"])
	report := s.run()
	require.Equal(t, map[string]int{"unused": 5}, report.Tables)
	require.Equal(t, []int64{5, 5}, []int64{report.Rows["public.accounts"], report.Rows["public.account_addresses"]})
	for id := 1; id <= 5; id++ {
		require.Equal(t, "erased 1980-01-01 64 0", s.readAccount(id))
	}
	require.Equal(t, young, s.readAccount(6), "an hour is left, in the zone of its times")
	require.Equal(t, "table:unused", value[string](s, `select min(order_ref) from kvit.erasure_certificate`))
	s.requireChain(2)

	require.Equal(t, map[string]int{"unused": 0}, s.run().Tables, "what is erased is not due any more")
	s.requireChain(2)
	was := value[string](s, `select email from public.accounts where id = 1`)
	s.exec(`update public.accounts set name = $1 where id = 1`, marker)
	s.exec(`insert into public.account_addresses values (2, $1)`, marker)
	require.Equal(t, map[string]int{"unused": 2}, s.run().Tables, "but for what somebody has written since")
	require.Equal(t, "erased 1980-01-01 64 0", s.readAccount(1))
	require.Equal(t, "erased 1980-01-01 64 0", s.readAccount(2))
	require.Equal(t, was, value[string](s, `select email from public.accounts where id = 1`), "a hash is not hashed again")
}

func TestRowsThatTheShopKeepsFromBeingOverwritten(t *testing.T) {
	t.Parallel()
	s := newAccounts(t)
	s.account(1, 731*day)
	s.account(2, 731*day)
	s.exec(`
		create function keep_name() returns trigger language plpgsql as $$ begin new.name := old.name; return new; end $$;
		create trigger keep_name before update on public.accounts for each row when (old.id = 2) execute function keep_name()`)
	report, err := s.Run(t.Context())
	require.ErrorIs(t, err, ErrNotErased)
	require.Equal(t, []TableProblem{{Rule: "unused", Rows: 1, Problem: "1 rows of public.accounts still hold what was to be erased: a trigger or a rule may keep it"}}, report.TableProblems)
	require.Equal(t, 1, report.Tables["unused"])
	require.Contains(t, s.readAccount(2), marker)
	s.requireChain(1)
}

// Nobody can say when a time without a zone is: erasing by it could be early.
func TestRuleWithoutAZoneErasesNothing(t *testing.T) {
	t.Parallel()
	s := newAccounts(t)
	s.Tables[0].TimeZone = ""
	s.account(1, 731*day)
	_, err := s.Run(t.Context())
	require.True(t, IsMisfit(err))
	require.ErrorContains(t, err, "column public.accounts.seen_at is timestamp without time zone, a time without a time zone: name the zone as retention.tables.unused.time_zone")
	require.Contains(t, s.readAccount(1), marker)
}

// Rows of a table of the policy that no order leads to any more have a rule that tells them from the others.
func TestRowsThatNoOrderHas(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.exec(`
		create table public.order_address (id bigint primary key, street text, created_at timestamptz not null default now() - interval '40 days');
		alter table public.orders add column shipping_id bigint references public.order_address (id)`)
	s.name("public.orders", "shipping_id", policy.Keep)
	s.Policy.Tables = append(s.Policy.Tables, policy.Table{
		Name: "public.order_address", Match: &policy.Match{Column: "id", OrderColumn: "shipping_id"},
		Columns: []policy.Column{{Name: "id", Strategy: policy.Keep}, {Name: "street", Strategy: policy.Null}, {Name: "created_at", Strategy: policy.Keep}},
	})
	s.Tables = []policy.TableRule{{
		Name: "orphans", Table: "public.order_address", Since: "created_at", EraseAfter: 30 * day,
		When: "not exists (select from public.orders o where o.shipping_id = order_address.id) -- any more",
	}}
	s.order("E1", day)
	s.exec(`insert into public.order_address values (1, $1), (2, $1)`, marker)
	s.exec(`update public.orders set shipping_id = 1`)
	problems, err := s.Problems(t.Context())
	require.NoError(t, err)
	require.Empty(t, problems)
	found, err := s.CheckTables(t.Context())
	require.NoError(t, err)
	require.Len(t, found[0].Advice, 1, "of the key, and none that a rule should take all")
	require.Equal(t, map[string]int{"orphans": 1}, s.run().Tables)
	require.Equal(t, int64(1), value[int64](s, `select min(id) from public.order_address`))
	require.Equal(t, int64(1), value[int64](s, `select count(*) from public.order_address`))
}
