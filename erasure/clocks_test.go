package erasure

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/erasure/policy"
	"kvit/store"
)

// clock is what the certificate of an order says; empty: it has none.
func (s *shop) clock(ref string) string {
	s.t.Helper()
	return value[string](s, `select coalesce((select clock from kvit.erasure_certificate where order_ref = $1), '')`, ref)
}

// placed sells an order that the ERP never gets.
func (s *shop) placed(ref string, ago time.Duration) {
	s.t.Helper()
	s.unimported(ref)
	s.exec(`update public.orders set created_at = now() - $2::interval where order_number = $1`, ref, ago)
}

func TestOrdersThatTheERPNeverGotStayUnlessTold(t *testing.T) {
	eachMarks(t, plainShop, func(t *testing.T, s *shop) {
		s.placed("old", 4000*day)
		s.run()
		require.True(t, s.untouched("old"))

		s.Orders.EraseUnimportedAfter = 365 * day
		s.placed("young", 364*day)
		s.order("imported", 29*day)
		s.exec(`update public.orders set created_at = now() - interval '400 days' where order_number = 'imported'`)
		s.exec(`insert into kvit.legal_hold (order_ref, reason, placed_by) values ('held', 'audit', 'ops')`)
		s.placed("held", 400*day)

		report := s.run()

		require.Equal(t, 1, report.Orders)
		require.Equal(t, "never_imported", s.clock("old"))
		require.True(t, s.erased("old"))
		require.Nil(t, value[*time.Time](s, `select erp_imported_at from kvit.erasure_certificate`))
		for _, ref := range []string{"young", "imported", "held"} {
			require.True(t, s.untouched(ref), ref)
		}
		require.Equal(t, []string{"held"}, []string{report.Holds[0].OrderRef})
		s.requireChain(1)
	})
}

func TestClocksOfTheShop(t *testing.T) {
	eachMarks(t, plainShop, func(t *testing.T, s *shop) {
		s.exec(`alter table public.orders add column changed_at timestamptz`)
		s.name("public.orders", "changed_at", "keep")
		s.Orders.Clocks = []store.Clock{
			{Name: "cancelled", When: "status = 'cancelled' or status = '{ref}'", Since: "changed_at", After: 14 * day},
			{Name: "abandoned_cart", When: "status = 'cart'", Since: "created_at", After: 7 * day},
		}
		for ref, o := range map[string]struct {
			status  string
			placed  time.Duration
			changed any
		}{
			"cancelled":      {"cancelled", 20 * day, 15 * day},
			"just cancelled": {"cancelled", 40 * day, 13 * day},
			"cancelled once": {"cancelled", 40 * day, nil}, // nobody wrote when: its clock has not begun
			"cart":           {"cart", 8 * day, nil},
			"new cart":       {"cart", 6 * day, 60 * day},
			"paid":           {"paid", 90 * day, 90 * day},
		} {
			s.placed(ref, o.placed)
			s.exec(`update public.orders set status = $2, changed_at = now() - $3::interval where order_number = $1`, ref, o.status, o.changed)
		}
		s.order("imported and cancelled", 31*day)
		s.exec(`update public.orders set status = 'cancelled', changed_at = now() - interval '15 days' where order_number like 'imported%'`)

		due := map[string]bool{}
		for _, ref := range []string{"cancelled", "cart", "imported and cancelled"} {
			due[ref] = true
		}
		require.NoError(t, store.SyncOrderStatus(t.Context(), s.db, *s.Orders))
		s.notice()
		rows, err := s.db.Query(t.Context(), `select order_ref, coalesce(erase_due_at <= now(), false) from kvit.order_status`)
		require.NoError(t, err)
		for rows.Next() {
			var ref string
			var isDue bool
			require.NoError(t, rows.Scan(&ref, &isDue))
			require.Equal(t, due[ref], isDue, ref)
		}
		require.NoError(t, rows.Err())
		status, err := store.ReadOrdersStatus(t.Context(), s.db, *s.Orders, 36*time.Hour)
		require.NoError(t, err)
		require.Equal(t, []int64{3, 0}, []int64{status.ErasuresDue, status.ErasuresOverdue})
		status, err = store.ReadOrdersStatus(t.Context(), s.db, *s.Orders, 12*time.Hour)
		require.NoError(t, err)
		require.EqualValues(t, 3, status.ErasuresOverdue)

		report := s.run()

		require.Equal(t, 3, report.Orders)
		require.Zero(t, report.Skipped)
		for ref, clock := range map[string]string{
			"cancelled": "cancelled", "cart": "abandoned_cart", "imported and cancelled": "imported",
			"just cancelled": "", "cancelled once": "", "new cart": "", "paid": "",
		} {
			require.Equal(t, clock, s.clock(ref), ref)
			require.Equal(t, clock == "", s.untouched(ref), ref)
		}
	})
}

// What waits for a table, or fails, is counted once, though more than one clock is up.
func TestAnOrderGoesByOneClock(t *testing.T) {
	eachMarks(t, plainShop, func(t *testing.T, s *shop) {
		s.Orders.EraseUnimportedAfter = day
		s.Orders.Clocks = []store.Clock{{Name: "cancelled", When: "true", Since: "created_at", After: day}}
		s.order("E1", 31*day)
		s.placed("E2", 31*day)
		s.exec(`update public.orders set created_at = now() - interval '40 days'`)
		s.exec(`alter table public.orders add constraint stays check (customer_name is not null)`)
		report, err := s.Run(t.Context())
		require.ErrorIs(t, err, ErrNotErased)
		require.Equal(t, 2, report.Failed)
		require.Zero(t, report.Skipped)
		s.exec(`alter table public.payments add column iban text`)
		report, err = s.Run(t.Context())
		require.True(t, IsMisfit(err), "%v", err)
		require.Equal(t, 2, report.Waiting)
	})
}

func TestBrakeStopsBeforeTheFirstRow(t *testing.T) {
	eachMarks(t, plainShop, func(t *testing.T, s *shop) {
		for i := range 4 {
			s.order(fmt.Sprintf("E%d", i), 31*day)
		}
		s.event("newsletter_optin:1", nil)
		s.exec(`update kvit.event set received_at = now() - interval '31 days'`)
		s.Brake = Brake{MaxOrders: 3}
		s.notice()
		before := s.dump()

		dry, err := s.DryRun(t.Context())
		require.NoError(t, err)
		require.Equal(t, 4, dry.Orders)
		require.Equal(t, Braking{Due: 4, Reason: "4 orders are due, more than retention.brake.max_orders (3)"}, *dry.Brake)
		require.Equal(t, before, s.dump())

		for range 2 { // it stays braked until somebody confirms
			report, err := s.Run(t.Context())
			require.ErrorIs(t, err, ErrBraked)
			require.ErrorContains(t, err, "kvit erase --confirm")
			require.Equal(t, 4, report.Brake.Due)
			require.Zero(t, report.Events)
		}
		for i := range 4 {
			require.True(t, s.untouched(fmt.Sprintf("E%d", i)))
		}
		require.Equal(t, 2, value[int](s, `select count(*) from kvit.erasure_run where braked_at = 4 and finished_at is not null`))
		stopped, err := store.Braked(t.Context(), s.db)
		require.NoError(t, err)
		require.Equal(t, 4, stopped)
		last, err := store.LastErasureSuccess(t.Context(), s.db)
		require.NoError(t, err)
		require.Nil(t, last)

		report, err := s.RunConfirmed(t.Context())
		require.NoError(t, err)
		require.Equal(t, 4, report.Orders)
		stopped, err = store.Braked(t.Context(), s.db)
		require.NoError(t, err)
		require.Zero(t, stopped)
	})
}

// A held order is not due, and so does not brake.
func TestBrakeOfAShare(t *testing.T) {
	eachMarks(t, plainShop, func(t *testing.T, s *shop) {
		s.BatchOrders = 1000
		orders := func(from, n int, ago time.Duration) {
			s.exec(`
			insert into public.orders (order_number, email)
			select 'E' || i, 'x' from generate_series($1::int, $1::int + $2::int - 1) i`, from, n)
			s.imported(ago, `substr(order_number, 2)::int between $2 and $3`, from, from+n-1)
		}
		s.Brake = Brake{MaxShare: 0.25}
		orders(0, 99, 31*day)
		require.Equal(t, 99, s.run().Orders, "too few to judge by their share")
		orders(100, 100, 31*day)
		orders(300, 101, day)
		_, err := s.Run(t.Context())
		require.ErrorContains(t, err, "100 of 300 orders are due, more than retention.brake.max_share (0.25)")
		orders(1000, 100, day)
		require.Equal(t, 100, s.run().Orders)
	})
}

// A trigger of the shop that keeps what was to be erased is found, whatever the statements said.
func TestWhatIsLeftIsNotCertified(t *testing.T) {
	t.Parallel()
	for name, sql := range map[string]string{
		"KeptByTheTableItself": `
			create function public.keep() returns trigger language plpgsql as $$
			begin if new.order_number = 'E1' then new.holder := old.holder; end if; return new; end $$;
			create trigger keep before update on public.payments for each row execute function public.keep()`,
		"WrittenBackByALaterTable": `
			create function public.keep() returns trigger language plpgsql as $$
			begin update public.payments set holder = old.customer_name where order_number = 'E1' and old.order_number = 'E1'; return null; end $$;
			create trigger keep after update on public.orders for each row execute function public.keep()`,
		"RowThatStays": `
			create function public.keep() returns trigger language plpgsql as $$
			begin return case when old.order_id = (select id from public.orders where order_number = 'E1') then null else old end; end $$;
			create trigger keep before delete on public.order_lines for each row execute function public.keep()`,
		"OrderThatStays": `
			create function public.keep() returns trigger language plpgsql as $$
			begin if new.order_number = 'E1' then new.street := old.street; end if; return new; end $$;
			create trigger keep before update on public.orders for each row execute function public.keep()`,
		"EventThatStays": `
			create function public.keep() returns trigger language plpgsql as $$
			begin if new.order_ref = 'E1' then new.payload := old.payload; end if; return new; end $$;
			create trigger keep before update on kvit.event for each row execute function public.keep()`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			s.order("E1", 31*day)
			s.order("E2", 31*day)
			s.exec(sql)
			report, err := s.Run(t.Context())
			require.ErrorIs(t, err, ErrNotErased)
			require.Equal(t, []string{"E1"}, []string{report.Problems[0].OrderRef})
			require.Contains(t, report.Problems[0].Problem, "still hold what was to be erased")
			require.True(t, s.untouched("E1"))
			require.True(t, s.erased("E2"))
			s.requireChain(1)
		})
	}
}

func TestCertificateTellsOfTheVerification(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.exec(`insert into public.customers values (1, $1)`, marker)
	s.order("E1", 31*day)
	s.order("E2", 31*day)
	s.order("E3", day)
	s.exec(`update public.orders set customer_id = 1 where order_number <> 'E2'`)
	s.run()
	require.Equal(t, "imported", s.clock("E1"))
	require.JSONEq(t, `{"left": 0, "shared": 1}`, value[string](s, `select verification::text from kvit.erasure_certificate where order_ref = 'E1'`))
	require.JSONEq(t, `{"left": 0, "shared": 0}`, value[string](s, `select verification::text from kvit.erasure_certificate where order_ref = 'E2'`))
}

func TestBatchesFitTheirTime(t *testing.T) {
	t.Parallel()
	size := newBatchSize(1000, 200*time.Millisecond)
	for range 20 { // an order takes 1 ms
		size.took(size.orders, time.Duration(size.orders)*time.Millisecond)
	}
	require.Equal(t, 200, size.orders)
	for range 20 { // 10 ms
		size.took(size.orders, 10*time.Duration(size.orders)*time.Millisecond)
	}
	require.Equal(t, 20, size.orders)
	size.took(20, time.Hour)
	require.Equal(t, 10, size.orders, "one slow moment says little")
	for range 20 {
		size.took(size.orders, time.Hour)
	}
	require.Equal(t, 1, size.orders)
	for range 20 {
		size.took(size.orders, time.Microsecond)
	}
	require.Equal(t, 1000, size.orders)
	size.halve()
	require.Equal(t, 500, size.orders)

	size = newBatchSize(7, 0)
	size.took(7, time.Hour)
	require.Equal(t, 7, size.orders)
}

// A shop that waits for a batch gets through, and the next batch is smaller and comes later.
func TestRunMakesRoomForWhoWaits(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.BatchOrders = 8
	for i := range 8 {
		s.order(fmt.Sprintf("E%d", i), 31*day)
	}
	// The batch holds E0 to E7 while it waits for an advisory lock, as it would in slow statements.
	s.exec(`
		create function public.slow() returns trigger language plpgsql as $$
		begin perform pg_advisory_xact_lock(4711); return null; end $$;
		create trigger slow after update on public.orders for each statement execute function public.slow()`)
	block, err := s.db.Begin(t.Context())
	require.NoError(t, err)
	_, err = block.Exec(t.Context(), `select pg_advisory_xact_lock(4711)`)
	require.NoError(t, err)

	r := s.newRun(time.Time{})
	r.now = time.Now()
	r.lookout.tx, err = s.db.Begin(t.Context())
	require.NoError(t, err)
	defer rollBack(context.WithoutCancel(t.Context()), r.lookout.tx)
	done := make(chan error, 1)
	go func() {
		_, err := batch(t.Context(), r, dueOrders{r, s.Orders.AllClocks()[0]}, wanted[orderLot]{limit: 8})
		done <- err
	}()
	waits := func(on string) func() bool {
		return func() bool {
			return value[bool](s, `select exists (select from pg_stat_activity where wait_event_type = 'Lock' and query like $1 and datname = current_database())`, on)
		}
	}
	require.Eventually(t, waits("%with gone as%"), 10*time.Second, 5*time.Millisecond)
	shop := make(chan error, 1)
	go func() {
		_, err := s.db.Exec(t.Context(), `update public.orders set status = 'asked' where order_number = 'E3'`)
		shop <- err
	}()
	require.Eventually(t, waits("%asked%"), 10*time.Second, 5*time.Millisecond)
	require.NoError(t, block.Rollback(t.Context()))
	require.NoError(t, <-done)
	require.NoError(t, <-shop)
	require.True(t, r.lookout.waited)

	started := time.Now()
	require.NoError(t, r.calm(t.Context()))
	require.Equal(t, 4, r.size.orders)
	require.GreaterOrEqual(t, time.Since(started), waiterRest)
	require.False(t, r.lookout.waited)
}

// A newsletter's row belongs to whoever has its address, however it is written, and goes with the last order.
func TestRowsByEmail(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.Orders.Email = "email"
	s.exec(`create table public.newsletter (id bigint generated always as identity primary key, address varchar(99), name text)`)
	s.Policy.Tables = append(s.Policy.Tables, policy.Table{
		Name: "public.newsletter", Match: &policy.Match{Column: "address", OrderColumn: "email"}, DeleteRows: true,
	})
	for ref, email := range map[string]string{"E1": "jane@example.com", "E2": "JANE@Example.com", "E3": "joe@example.com"} {
		s.order(ref, 31*day)
		s.exec(`update public.orders set email = $2 where order_number = $1`, ref, email)
		s.exec(`insert into public.newsletter (address, name) values ($1, $2)`, strings.ToUpper(email[:1])+email[1:], marker)
	}
	s.exec(`update public.orders set erp_imported_at = now() where order_number = 'E2'`)
	report := s.run()
	require.EqualValues(t, 1, report.Rows["public.newsletter"], "the others are Jane's, who has an order")
	require.Equal(t, 2, value[int](s, `select count(*) from public.newsletter where lower(address) = 'jane@example.com'`))
	require.JSONEq(t, `{"left": 0, "shared": 2}`, value[string](s, `select verification::text from kvit.erasure_certificate where order_ref = 'E1'`))
	s.exec(`update public.orders set erp_imported_at = now() - interval '31 days' where order_number = 'E2'`)
	s.run()
	require.Zero(t, value[int](s, `select count(*) from public.newsletter`))
}

// The erasure of a table's own match column hides its rows from the search for what is left.
func TestWhatIsLeftOfATableThatCutsItself(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.order("E1", 31*day)
	s.exec(`create table public.newsletters (email text, name text)`)
	s.exec(`insert into public.newsletters values ($1, $1)`, marker)
	s.exec(`
		create function public.keep() returns trigger language plpgsql as $$ begin new.name := old.name; return new; end $$;
		create trigger keep before update on public.newsletters for each row execute function public.keep()`)
	s.Policy.Tables = append(s.Policy.Tables, policy.Table{
		Name: "public.newsletters", Match: &policy.Match{Column: "email", OrderColumn: "email"},
		Columns: []policy.Column{{Name: "email", Strategy: policy.Null}, {Name: "name", Strategy: policy.Null}},
	})
	trial, err := s.Trial(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"public.newsletters"}, []string{trial.Refused[0].Table})
	_, err = s.Run(t.Context())
	require.ErrorIs(t, err, ErrNotErased)
	s.requireChain(0)
	require.True(t, s.untouched("E1"))
}

func TestBatchesAreShortWhileTheShopIsAtWork(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 3, 1, 3, 30, 0, 0, time.UTC)
	var w traffic
	w.seen(5000, start)
	require.True(t, w.busy, "nothing is known yet")
	w.own = 10
	w.seen(5069, start.Add(2*time.Second))
	require.False(t, w.busy, "59 of others in 2 s")
	w.own = 10
	w.seen(5139, start.Add(4*time.Second))
	require.True(t, w.busy, "60")
	w.seen(5, start.Add(6*time.Second))
	require.False(t, w.busy, "somebody has reset the statistics")

	size := newBatchSize(1000, 200*time.Millisecond)
	size.gentle = true
	for range 20 { // an order takes 1 ms
		size.took(size.orders, time.Duration(size.orders)*time.Millisecond)
	}
	require.Equal(t, 40, size.orders)
}

// While others are at work, a run rests for longer than it works.
func TestRunSparesAShopAtWork(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	r := s.newRun(time.Time{})
	r.size = newBatchSize(100, 200*time.Millisecond)
	tx, err := s.db.Begin(t.Context())
	require.NoError(t, err)
	defer rollBack(context.WithoutCancel(t.Context()), tx)
	r.lookout.tx = tx
	r.size.last = 100 * time.Millisecond

	started := time.Now()
	require.NoError(t, r.calm(t.Context()))
	require.True(t, r.size.gentle)
	require.GreaterOrEqual(t, time.Since(started), gentleRest*100*time.Millisecond)
	require.Positive(t, r.lookout.count)

	r.lookout.at = r.lookout.at.Add(-time.Hour) // some transactions an hour are no shop
	require.NoError(t, r.calm(t.Context()))
	require.False(t, r.size.gentle)
}
