package erasure

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/erasure/policy"
	"kvit/store"
)

// misfit runs an erasure that leaves tables alone.
func (s *shop) misfit() (Report, string) {
	s.t.Helper()
	report, err := s.Run(s.t.Context())
	var misfit *policy.MisfitError
	require.ErrorAs(s.t, err, &misfit)
	return report, err.Error()
}

func (s *shop) name(table, column string, strategy policy.Strategy) {
	for i := range s.Policy.Tables {
		if t := &s.Policy.Tables[i]; t.Name == table {
			t.Columns = append(t.Columns, policy.Column{Name: column, Strategy: strategy})
		}
	}
}

func (s *shop) certificate(ref string) store.Certificate {
	s.t.Helper()
	var found store.Certificate
	require.NoError(s.t, store.EachCertificate(s.t.Context(), s.db, func(c store.Certificate) error {
		if c.OrderRef == ref {
			found = c
		}
		return nil
	}))
	require.Equal(s.t, ref, found.OrderRef)
	return found
}

// A column that nobody has named stops its table; the others are erased, and the order is certified when
// all of it is done.
func TestUnnamedColumnStopsItsTable(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.order("E1", 31*day)
	s.event("newsletter_optin:1", nil)
	s.exec(`update kvit.event set received_at = now() - interval '31 days' where order_ref is null`)
	s.exec(`alter table public.payments add column iban text`)
	s.exec(`update public.payments set iban = $1`, marker)

	report, problem := s.misfit()

	require.Contains(t, problem, "column public.payments.iban is not named by the policy")
	require.Equal(t, []policy.Blocked{{Table: "public.payments", Problems: []string{
		"column public.payments.iban is not named by the policy: keep it, or say how it is erased",
	}}}, report.Blocked)
	require.Equal(t, []int{0, 1, 0, 2}, []int{report.Orders, report.Waiting, report.Skipped, report.Events})
	require.Equal(t, marker, value[string](s, `select holder from public.payments`))
	require.Zero(t, value[int](s, `select count(*) from public.order_lines`))
	require.Zero(t, value[int](s, `select count(*) from kvit.event where payload is not null`))
	require.False(t, s.erased("E1"), "the orders table waits for the others")
	require.Zero(t, value[int](s, `select count(*) from public.orders where personal_data_erased_at is not null`))
	s.requireChain(0)
	require.Contains(t, value[string](s, `select problem from kvit.erasure_run`), "iban")

	again, _ := s.misfit()
	require.Equal(t, []int{1, 0}, []int{again.Waiting, again.Events})
	require.Equal(t, map[string]int64{"kvit.event": 0}, again.Rows, "what is done is not done again while a table waits")

	s.name("public.payments", "iban", policy.Null)
	require.Equal(t, 1, s.run().Orders)
	require.True(t, s.erased("E1"))
	require.NotContains(t, s.dump(), marker)
	require.Equal(t, map[string]int64{
		"public.orders": 1, "public.order_lines": 2, "public.payments": 1, "public.customers": 0, "kvit.event": 1,
	}, s.certificate("E1").RowCounts)
	s.requireChain(1)
	require.Zero(t, value[int](s, `select count(*) from kvit.erasure_progress`))
}

// What came, and what the policy learned, while an order waited is erased with the rest.
func TestNothingEscapesWhileAnOrderWaits(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.order("E1", 31*day)
	s.exec(`alter table public.customers add column phone text`)
	s.misfit()
	require.Zero(t, value[int](s, `select count(*) from public.payments where holder is not null`))
	s.exec(`insert into public.payments (order_number, holder) values ('E1', $1)`, marker)
	s.exec(`insert into public.order_lines (order_id, sku, engraved) select id, 'c', $1 from public.orders`, marker)
	s.exec(`alter table public.payments add column iban text`)
	s.exec(`update public.payments set iban = $1`, marker)
	s.name("public.payments", "iban", policy.Null)
	s.name("public.customers", "phone", policy.Null)
	s.run()
	require.NotContains(t, s.dump(), marker)
	rows := s.certificate("E1").RowCounts
	require.Equal(t, []int64{2, 3}, []int64{rows["public.payments"], rows["public.order_lines"]})
}

// A crash after some batches leaves progress of whole batches, and the next run goes on.
func TestCrashWhileATableWaits(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for _, ref := range []string{"E1", "E2", "E3", "E4", "E5"} {
		s.order(ref, 31*day)
	}
	s.exec(`alter table public.customers add column phone text`)
	s.exec(`
		create function public.die() returns trigger language plpgsql as $$
		begin if old.order_number = 'E4' then perform pg_terminate_backend(pg_backend_pid()); end if; return new; end $$;
		create trigger die before update on public.payments for each row execute function public.die()`)
	_, err := s.Run(t.Context())
	require.Error(t, err)
	require.Equal(t, 3, value[int](s, `select count(*) from kvit.erasure_progress`))
	require.Equal(t, 2, value[int](s, `select count(*) from public.payments where holder is not null`))
	s.exec(`drop trigger die on public.payments`)
	report, _ := s.misfit()
	require.Equal(t, 5, report.Waiting)
	require.Equal(t, int64(2), report.Rows["public.payments"])

	s.name("public.customers", "phone", policy.Null)
	ctx, cancel := context.WithCancel(t.Context())
	s.OrdersErased = func(int) { cancel() }
	_, err = s.Run(ctx)
	require.Error(t, err)
	s.requireChain(3)
	s.OrdersErased = nil
	require.Equal(t, 2, s.run().Orders)
	s.requireChain(5)
	require.NotContains(t, s.dump(), marker)
	for _, ref := range []string{"E1", "E2", "E3", "E4", "E5"} {
		require.Equal(t, map[string]int64{
			"public.orders": 1, "public.order_lines": 2, "public.payments": 1, "public.customers": 0, "kvit.event": 1,
		}, s.certificate(ref).RowCounts, ref)
	}
}

// A row of two orders of different batches is erased with the second, even while both wait.
func TestSharedRowWhileATableWaits(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.BatchOrders = 1
	s.exec(`insert into public.customers values (1, $1)`, marker)
	s.order("E1", 32*day)
	s.order("E2", 31*day)
	s.exec(`update public.orders set customer_id = 1`)
	s.exec(`alter table public.payments add column iban text`)
	s.misfit()
	require.Equal(t, "erased", value[string](s, `select name from public.customers`))
	s.name("public.payments", "iban", policy.Null)
	require.Equal(t, 2, s.run().Orders)
	require.NotContains(t, s.dump(), marker)
}

func TestTableThatRefersToAnOrderStopsTheCertificate(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.order("E1", 31*day)
	s.exec(`
		create table public.parcels (id bigint generated always as identity primary key, line_id bigint references public.order_lines (id), name text);
		create table public.labels (parcel_id bigint references public.parcels (id), name text);
		insert into public.parcels (line_id, name) select min(id), $mark$` + marker + `$mark$ from public.order_lines;
		insert into public.labels select id, name from public.parcels`)
	report, problem := s.misfit()
	require.Contains(t, problem, "table public.parcels is not named by the policy, but its column line_id references public.order_lines")
	require.Contains(t, problem, "table public.labels is not named by the policy, but its column parcel_id references public.parcels")
	require.Equal(t, 1, report.Waiting)
	require.Equal(t, int64(1), report.Rows["public.payments"])
	require.Equal(t, 2, value[int](s, `select count(*) from public.order_lines`), "the rows that it refers to wait")

	s.Policy.Tables = append(s.Policy.Tables,
		policy.Table{Name: "public.parcels", Parent: "public.order_lines", Match: &policy.Match{Column: "line_id", OrderColumn: "id"}, DeleteRows: true},
		policy.Table{Name: "public.labels", Parent: "public.parcels", Match: &policy.Match{Column: "parcel_id", OrderColumn: "id"}, DeleteRows: true})
	s.run()
	require.NotContains(t, s.dump(), marker)
	rows := s.certificate("E1").RowCounts
	require.Equal(t, []int64{1, 1, 2}, []int64{rows["public.labels"], rows["public.parcels"], rows["public.order_lines"]})
}

func TestTableKeptWholeIsKnown(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.order("E1", 31*day)
	s.exec(`create table public.statistics (order_id bigint references public.orders (id), total numeric);
		insert into public.statistics select id, 5 from public.orders`)
	s.misfit()
	s.Policy.Tables = append(s.Policy.Tables, policy.Table{Name: "public.statistics", KeepRows: true})
	s.run()
	require.True(t, s.erased("E1"))
	require.Equal(t, 1, value[int](s, `select count(*) from public.statistics where total = 5`))
}

func TestProgressOfOrdersThatAreGoneIsForgotten(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for _, ref := range []string{"deleted", "renamed", "waits"} {
		s.order(ref, 31*day)
	}
	s.exec(`alter table public.payments add column iban text`)
	s.misfit()
	require.Equal(t, 3, value[int](s, `select count(*) from kvit.erasure_progress`))
	s.exec(`delete from public.orders where order_number = 'deleted'`)
	s.exec(`update public.orders set order_number = 'another' where order_number = 'renamed'`)
	s.exec(`update kvit.erasure_progress set updated_at = now() - interval '25 hours'`)
	s.misfit()
	require.Equal(t, "another waits", value[string](s, `select string_agg(order_ref, ' ' order by order_ref) from kvit.erasure_progress`))
}

// Without the column that says what is erased, nothing can be told apart: no table is touched.
func TestOrdersThatCannotBeToldStopEverything(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.order("E1", 31*day)
	s.exec(`alter table public.orders drop constraint orders_order_number_key`)
	report, problem := s.misfit()
	require.Contains(t, problem, "has no unique index")
	require.True(t, s.untouched("E1"))
	require.Zero(t, report.Waiting)
}

func TestHeldOrderIsNotErasedAheadEither(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.order("E1", 31*day)
	s.exec(`insert into kvit.legal_hold (order_ref, reason, placed_by) values ('E1', 'audit', 'ops')`)
	s.exec(`alter table public.customers add column phone text`)
	report, _ := s.misfit()
	require.Equal(t, []int{0, 1}, []int{report.Waiting, report.Held})
	require.True(t, s.untouched("E1"))
}

func TestDryRunTellsWhatWaits(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.order("E1", 31*day)
	s.exec(`alter table public.payments add column iban text`)
	before := s.dump()
	dry, dryErr := s.DryRun(t.Context())
	require.Equal(t, before, s.dump())
	wet, wetErr := s.Run(t.Context())
	require.Equal(t, wetErr, dryErr)
	dry.DryRun, dry.Columns = false, nil
	require.Equal(t, wet, dry)
}

func TestWaitingIsLoggedAsAnError(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.order("E1", 31*day)
	s.order("E2", 31*day)
	s.exec(`alter table public.payments add column iban text`)
	var log strings.Builder
	s.Logger = slog.New(slog.NewTextHandler(&log, nil))
	s.misfit()
	require.Equal(t, 1, strings.Count(log.String(), "level=ERROR"))
	require.Contains(t, log.String(), "waiting=2")
	require.Contains(t, log.String(), "public.payments.iban")
}

func TestTrialFindsWhatTheCatalogDoesNotTell(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sql  string
		want policy.Problem
	}{
		"Check": {`alter table public.payments add constraint has_holder check (holder is not null)`,
			policy.Problem{Table: "public.payments", Problem: "was tried on an order, and cannot be erased as the policy says: database error 23514 constraint has_holder schema public table payments"}},
		"Trigger": {`
			create function public.refuse() returns trigger language plpgsql as $$ begin raise exception 'do not change %', old.customer_name; end $$;
			create trigger refuse before update on public.orders for each row execute function public.refuse()`,
			policy.Problem{Table: "public.orders", Problem: "was tried on an order, and cannot be erased as the policy says: database error P0001, in function refuse()"}},
		"DeferredTrigger": {`
			create function public.refuse() returns trigger language plpgsql as $$ begin raise check_violation using constraint = 'late'; end $$;
			create constraint trigger refuse after delete on public.order_lines deferrable initially deferred for each row execute function public.refuse()`,
			policy.Problem{Table: "public.orders", Problem: "was tried on an order, and cannot be erased as the policy says: database error 23514 constraint late, in function refuse()"}},
		"Domain": {`create domain public.address as text check (value <> 'erased'); alter table public.orders alter column email type public.address`,
			policy.Problem{Table: "public.orders", Problem: "was tried on an order, and cannot be erased as the policy says: database error 23514 constraint address_check schema public"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			s.unimported("E1")
			trial, err := s.Trial(t.Context())
			require.NoError(t, err)
			require.Empty(t, trial)
			s.exec(c.sql)
			problems, err := s.Check(t.Context())
			require.NoError(t, err)
			require.Empty(t, problems)
			before := s.dump()
			trial, err = s.Trial(t.Context())
			require.NoError(t, err)
			require.Equal(t, Trial{Refused: []policy.Problem{c.want}}, trial)
			require.Equal(t, before, s.dump())
		})
	}
}

func TestTrialOfALockedRow(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.unimported("E1")
	tx, err := s.db.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(t.Context()) }()
	_, err = tx.Exec(t.Context(), `select from public.payments for update`)
	require.NoError(t, err)
	trial, err := s.Trial(t.Context())
	require.NoError(t, err)
	require.Empty(t, trial.Refused)
	require.Equal(t, "public.payments", trial.Untried[0].Table)
}
