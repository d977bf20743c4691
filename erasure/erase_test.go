package erasure

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"kvit/erasure/policy"
	"kvit/erasure/proof"
	"kvit/store"
	"kvit/store/storetest"
)

const day = 24 * time.Hour

// marker is in every personal value that the shop below stores.
const marker = "Mxrkxr"

const shopSchema = `
create table public.customers (id bigint primary key, name text);
create table public.orders (
    id                      bigint generated always as identity primary key,
    order_number            text not null unique,
    customer_id             bigint,
    customer_name           text,
    email                   text not null,
    street                  varchar(12),
    status                  text not null default 'paid',
    shop_name               text generated always as (status || '!') stored,
    created_at              timestamptz not null default now(),
    erp_imported_at         timestamptz,
    erp_order_number        text,
    personal_data_erased_at timestamptz
);
create table public.order_lines (
    id       bigint generated always as identity primary key,
    order_id bigint not null references public.orders (id),
    sku      text not null,
    engraved text
);
create table public.payments (
    id           bigint generated always as identity primary key,
    order_number varchar(40) not null,
    amount       numeric not null default 1,
    holder       text
);`

func shopPolicy() policy.Policy {
	return policy.Policy{Tables: []policy.Table{
		{Name: "public.orders", Columns: []policy.Column{
			{Name: "id", Strategy: policy.Keep},
			{Name: "customer_id", Strategy: policy.Keep},
			{Name: "customer_name", Strategy: policy.Null},
			{Name: "email", Strategy: policy.Text, Text: "erased"},
			{Name: "street", Strategy: policy.Text, Text: "erased"},
			{Name: "status", Strategy: policy.Keep},
			{Name: "shop_name", Strategy: policy.Keep},
		}},
		{Name: "public.order_lines", Match: &policy.Match{Column: "order_id", OrderColumn: "id"}, DeleteRows: true},
		{Name: "public.payments", Match: &policy.Match{Column: "order_number", OrderColumn: "order_number"}, Columns: []policy.Column{
			{Name: "id", Strategy: policy.Keep},
			{Name: "order_number", Strategy: policy.Keep},
			{Name: "amount", Strategy: policy.Keep},
			{Name: "holder", Strategy: policy.Null},
		}},
		{Name: "public.customers", Match: &policy.Match{Column: "id", OrderColumn: "customer_id"}, Columns: []policy.Column{
			{Name: "id", Strategy: policy.Keep},
			{Name: "name", Strategy: policy.Text, Text: "erased"},
		}},
	}}
}

// shop is a shop's database with kvit beside it.
type shop struct {
	t  testing.TB
	db *pgxpool.Pool
	*Eraser
}

func newShop(t testing.TB) *shop {
	t.Helper()
	s := &shop{t: t, db: storetest.DB(t)}
	s.exec(shopSchema)
	s.Eraser = &Eraser{
		DB: s.db,
		Orders: &store.Orders{
			Table: "public.orders", Ref: "order_number", PlacedAt: "created_at", ImportedAt: "erp_imported_at",
			ERPNumber: "erp_order_number", ErasedAt: "personal_data_erased_at", AwaitingImport: "true", EraseAfter: 30 * day,
		},
		Policy: shopPolicy(), EventsAfter: 30 * day, ReceiptsAfter: 400 * day, BatchOrders: 3,
		Logger: slog.New(slog.DiscardHandler),
	}
	return s
}

func (s *shop) exec(sql string, args ...any) {
	s.t.Helper()
	_, err := s.db.Exec(s.t.Context(), sql, args...)
	require.NoError(s.t, err)
}

func value[T any](s *shop, sql string, args ...any) T {
	s.t.Helper()
	rows, err := s.db.Query(s.t.Context(), sql, args...)
	require.NoError(s.t, err)
	v, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[T])
	require.NoError(s.t, err)
	return v
}

// order sells an order with two lines, a payment and an event, imported this long ago.
func (s *shop) order(ref string, importedAgo time.Duration) {
	s.t.Helper()
	s.unimported(ref)
	s.imported(importedAgo, `order_number::text = $2`, ref)
}

func (s *shop) unimported(ref string) {
	s.t.Helper()
	s.exec(`insert into public.orders (order_number, customer_name, email, street) values ($1, $2::text, $2::text, $2::text)`, ref, marker)
	s.exec(`
		insert into public.order_lines (order_id, sku, engraved)
		select id, sku, $2 from public.orders, unnest(array['a', 'b']) sku where order_number = $1`, ref, marker)
	s.exec(`insert into public.payments (order_number, holder) values ($1, $2)`, ref, marker)
	s.event("order_placed:"+ref, ref)
}

func (s *shop) event(key string, ref any) {
	s.t.Helper()
	name, _, _ := strings.Cut(key, ":")
	s.exec(`
		insert into kvit.tracking_event (event_key, name, order_ref, payload, consent)
		values ($1, $2, $3, jsonb_build_object('customer', jsonb_build_object('email', $4::text)), jsonb_build_object('marketing', true, 'note', $4::text))`,
		key, name, ref, marker)
}

func (s *shop) erased(ref string) bool {
	s.t.Helper()
	return value[bool](s, `
		select `+s.mark("erased_at")+` is not null and customer_name is null and email = 'erased' and street = 'erased'
		from public.orders o where order_number = $1`, ref)
}

func (s *shop) untouched(ref string) bool {
	s.t.Helper()
	return value[bool](s, `
		select `+s.mark("erased_at")+` is null and customer_name = $2 and email = $2 and street = $2
		   and (select count(*) from public.order_lines l where l.order_id = o.id and l.engraved = $2) = 2
		   and (select count(*) from public.payments p where p.order_number = $1 and p.holder = $2) = 1
		   and (select count(*) from kvit.event e where e.order_ref = $1 and e.payload is not null) = 1
		from public.orders o where order_number = $1`, ref, marker)
}

func (s *shop) run() Report {
	s.t.Helper()
	report, err := s.Run(s.t.Context())
	require.NoError(s.t, err)
	return report
}

// dump is the text of every row of every table.
func (s *shop) dump() string {
	s.t.Helper()
	rows, _ := s.db.Query(s.t.Context(), `
		select format('%I.%I', schemaname, tablename) from pg_tables
		where schemaname not in ('pg_catalog', 'information_schema') order by 1`) // Collect reports its error
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(s.t, err)
	require.Contains(s.t, tables, "kvit.event")
	var all strings.Builder
	for _, table := range tables {
		all.WriteString(table + "\n" + value[string](s, `select coalesce(string_agg(t::text, e'\n' order by t::text), '') from `+table+` t`) + "\n")
	}
	return all.String()
}

func (s *shop) requireChain(certificates int64) {
	s.t.Helper()
	chain := s.chain(s.t.Context())
	require.NoError(s.t, chain.err)
	require.Equal(s.t, certificates, chain.Number)
}

type verified struct {
	proof.Chain
	err error
}

func (s *shop) chain(ctx context.Context) (v verified) {
	v.err = store.EachCertificate(ctx, s.db, func(c store.Certificate) error {
		return v.Verify(proof.Certificate(c))
	})
	return v
}

func TestErasesWhatIsDueAlone(t *testing.T) {
	eachMarks(t, plainShop, func(t *testing.T, s *shop) {
		s.order("due", 30*day+time.Second)
		s.order("long-due", 900*day)
		s.order("not-yet", 30*day-time.Hour)
		s.unimported("never-imported")
		s.order("held", 40*day)
		s.order("hold-expired", 40*day)
		s.exec(`insert into kvit.legal_hold (order_ref, reason, placed_by, expires_at)
		values ('held', 'audit', 'ops', now() + interval '1 hour'), ('hold-expired', 'audit', 'ops', now() - interval '1 hour')`)

		report := s.run()

		for _, ref := range []string{"due", "long-due", "hold-expired"} {
			require.True(t, s.erased(ref), ref)
			require.Zero(t, value[int](s, `select count(*) from public.order_lines l join public.orders o on o.id = l.order_id where order_number = $1`, ref))
			require.Zero(t, value[int](s, `select count(*) from public.payments where order_number = $1 and holder is not null`, ref))
			require.Zero(t, value[int](s, `
			select count(*) from kvit.event
			where order_ref = $1 and (payload is not null or consent <> '{}' or stream is not null or erased_at is null)`, ref))
		}
		for _, ref := range []string{"not-yet", "never-imported", "held"} {
			require.True(t, s.untouched(ref), ref)
		}
		require.Equal(t, Report{
			Orders: 3, Events: 3, Held: 1, Problems: []OrderProblem{}, Blocked: []policy.Blocked{}, Tables: map[string]int{}, TableProblems: []TableProblem{},
			Rows:    map[string]int64{"public.orders": 3, "public.order_lines": 6, "public.payments": 3, "public.customers": 0, "kvit.event": 3},
			Samples: []string{"long-due", "hold-expired", "due"},
			Holds: []store.HeldOrder{{
				OrderRef: "held", Reason: "audit", ExpiresAt: new(value[time.Time](s, `select expires_at from kvit.legal_hold where order_ref = 'held'`)),
			}},
		}, report)
		s.requireChain(3)
	})
}

func TestCertificateTellsWhatWasErased(t *testing.T) {
	eachMarks(t, plainShop, func(t *testing.T, s *shop) {
		s.order("E1", 31*day)
		s.run()
		var c store.Certificate
		require.NoError(t, store.EachCertificate(t.Context(), s.db, func(found store.Certificate) error {
			c = found
			return nil
		}))
		require.Equal(t, int64(1), c.Number)
		require.Equal(t, "E1", c.OrderRef)
		require.Equal(t, "SO-E1", *c.ERPOrderNumber)
		require.Equal(t, s.policy().Hash(), c.PolicyHash)
		require.Equal(t, map[string]int64{"public.orders": 1, "public.order_lines": 2, "public.payments": 1, "public.customers": 0, "kvit.event": 1}, c.RowCounts)
		require.True(t, c.ErasedAt.Equal(value[time.Time](s, `select `+s.mark("erased_at")+` from public.orders o`)))
		require.True(t, c.ERPImportedAt.Equal(value[time.Time](s, `select `+s.mark("imported_at")+` from public.orders o`)))
	})
}

func TestNoMarkerIsLeftAnywhere(t *testing.T) {
	eachMarks(t, plainShop, func(t *testing.T, s *shop) {
		require.NoError(t, store.SyncDestinations(t.Context(), s.db, []store.Destination{
			{Name: "crm", Kind: "webhook", Enabled: true, EventNames: []string{"order_placed", "newsletter_optin"}},
		}, false))
		s.exec(`insert into public.customers values (7, $1)`, marker)
		for i := range 10 {
			s.order(fmt.Sprintf("E%d", i), 31*day)
		}
		s.exec(`update public.orders set customer_id = 7`)
		s.event("newsletter_optin:1", nil)
		s.exec(`update kvit.event set received_at = now() - interval '31 days'`)
		require.Contains(t, s.dump(), marker)
		s.run()
		require.NotContains(t, s.dump(), marker)
	})
}

func TestSecondRunFindsNothing(t *testing.T) {
	eachMarks(t, plainShop, func(t *testing.T, s *shop) {
		s.order("E1", 31*day)
		s.run()
		require.Zero(t, s.run().Orders)
		s.requireChain(1)
	})
}

// A column that is added while a run is about to begin is seen: the run waits for the change of the
// table and reads the columns after it.
func TestColumnAddedAtTheSameMomentStopsTheOrders(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.order("E1", 31*day)
	tx, err := s.db.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `alter table public.payments add column iban text`)
	require.NoError(t, err)

	ended := make(chan error, 1)
	go func() {
		_, err := s.Run(t.Context())
		ended <- err
	}()
	s.awaitLockWait()
	require.NoError(t, tx.Commit(t.Context()))

	require.ErrorContains(t, <-ended, "iban")
	require.False(t, s.erased("E1"))
	require.Equal(t, marker, value[string](s, `select holder from public.payments`))
}

// awaitLockWait returns when somebody in this database waits for a lock.
func (s *shop) awaitLockWait() {
	s.t.Helper()
	require.Eventually(s.t, func() bool {
		return value[int](s, `select count(*) from pg_locks l join pg_stat_activity a using (pid) where not l.granted and a.datname = current_database()`) > 0
	}, 10*time.Second, 5*time.Millisecond)
}

func TestCheckFindsWhatWouldFail(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	problems, err := s.Check(t.Context())
	require.NoError(t, err)
	require.Empty(t, problems)

	p := shopPolicy()
	p.Tables[0].Columns[3] = policy.Column{Name: "email", Strategy: policy.Null}
	p.Tables[0].Columns[4] = policy.Column{Name: "street", Strategy: policy.Text, Text: "erased for good"}
	p.Tables[0].Columns[6] = policy.Column{Name: "shop_name", Strategy: policy.Null}
	p.Tables[2].Columns[2] = policy.Column{Name: "amount", Strategy: policy.Text, Text: "none"}
	p.Tables[3].Match.OrderColumn = "email"
	p.Tables = append(p.Tables, policy.Table{Name: "public.gone", Match: p.Tables[1].Match, DeleteRows: true})
	s.Policy = p
	problems, err = s.Check(t.Context())
	require.NoError(t, err)
	require.Equal(t, []policy.Problem{
		{Table: "public.customers", Column: "id", Problem: "is bigint and cannot be compared with public.orders.email, which is text", Unreachable: true},
		{Table: "public.gone", Problem: "does not exist, or is no table", Unreachable: true},
		{Table: "public.orders", Column: "email", Problem: "is NOT NULL and cannot be set to null: use a text"},
		{Table: "public.orders", Column: "shop_name", Problem: "is generated by the database: erase the columns it is made from and keep this one"},
		{Table: "public.orders", Column: "street", Problem: "holds 12 characters at most, and the text has 15"},
		{Table: "public.payments", Column: "amount", Problem: "is numeric and cannot hold a text"},
	}, problems)
}

func TestOneRefusedOrderDoesNotStopTheOthers(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for i := range 7 {
		s.order(fmt.Sprintf("E%d", i), time.Duration(40-i)*day)
	}
	s.exec(`alter table public.orders add constraint stays check (order_number <> 'E1' or customer_name is not null)`)

	report, err := s.Run(t.Context())

	require.ErrorIs(t, err, ErrNotErased)
	require.Equal(t, []OrderProblem{{
		OrderRef: "E1",
		Problem:  "database error 23514 constraint stays schema public table orders",
	}}, report.Problems)
	require.Equal(t, 6, report.Orders)
	require.Equal(t, 1, report.Failed)
	require.Zero(t, report.Skipped)
	require.True(t, s.untouched("E1"))
	for _, ref := range []string{"E0", "E2", "E3", "E4", "E5", "E6"} {
		require.True(t, s.erased(ref), ref)
	}
	s.requireChain(6)
	require.Equal(t, "1 orders could not be erased", value[string](s, `select problem from kvit.erasure_run`))
}

// A trigger of the shop may put the row into its message.
func TestErrorsHoldNoValues(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.order("E1", 31*day)
	s.exec(`
		create function public.refuse() returns trigger language plpgsql as $$
		begin raise exception 'do not change %', old.customer_name; end $$;
		create trigger refuse before update on public.orders for each row execute function public.refuse()`)
	var log strings.Builder
	s.Logger = slog.New(slog.NewTextHandler(&log, nil))
	report, err := s.Run(t.Context())
	require.ErrorIs(t, err, ErrNotErased)
	require.Equal(t, "database error P0001, in function refuse()", report.Problems[0].Problem)
	require.NotContains(t, fmt.Sprint(err, report, log.String()), marker)
}

func TestOrdersLockedByTheShopAreSkipped(t *testing.T) {
	eachMarks(t, plainShop, func(t *testing.T, s *shop) {
		for _, ref := range []string{"E1", "E2", "E3"} {
			s.order(ref, 31*day)
		}
		tx, err := s.db.Begin(t.Context())
		require.NoError(t, err)
		_, err = tx.Exec(t.Context(), `select from public.orders where order_number = 'E1' for update`)
		require.NoError(t, err)
		_, err = tx.Exec(t.Context(), `select from public.payments where order_number = 'E2' for update`)
		require.NoError(t, err)

		report := s.run()

		require.Equal(t, 1, report.Orders)
		require.Equal(t, 2, report.Skipped)
		require.NoError(t, tx.Rollback(t.Context()))
		require.Equal(t, 2, s.run().Orders)
	})
}

func TestRowOfSeveralOrdersGoesWithTheLast(t *testing.T) {
	eachMarks(t, plainShop, func(t *testing.T, s *shop) {
		s.exec(`insert into public.customers values (1, $1), (2, $1)`, marker)
		s.order("E1", 31*day)
		s.order("E2", 31*day)
		s.order("E3", 31*day)
		s.order("E4", day)
		s.exec(`update public.orders set customer_id = case when order_number in ('E1', 'E4') then 1 else 2 end`)
		report := s.run()
		require.Equal(t, int64(1), report.Rows["public.customers"])
		require.Equal(t, marker, value[string](s, `select name from public.customers where id = 1`), "E4 still needs it")
		require.Equal(t, "erased", value[string](s, `select name from public.customers where id = 2`))
		s.imported(31*day, `order_number = 'E4'`)
		s.run()
		require.Equal(t, "erased", value[string](s, `select name from public.customers where id = 1`))
	})
}

func TestPendingDeliveriesEndAsErased(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	require.NoError(t, store.SyncDestinations(t.Context(), s.db, []store.Destination{
		{Name: "crm", Kind: "webhook", Enabled: true, EventNames: []string{"order_placed", "newsletter_optin"}},
		{Name: "spread", Kind: "spread", Enabled: true, EventNames: []string{"order_placed"}},
	}, false))
	s.order("E1", 31*day)
	s.event("newsletter_optin:1", nil)
	s.exec(`update kvit.event set received_at = now() - interval '31 days' where order_ref is null`)
	s.exec(`
		insert into kvit.delivery (event_id, destination, outcome, attempts)
		select id, 'spread', 'delivered', 1 from kvit.event where order_ref = 'E1'`)
	s.run()
	rows, _ := s.db.Query(t.Context(), `
		select e.event_key || ' ' || d.destination || ' ' || d.outcome
		from kvit.delivery d join kvit.event e on e.id = d.event_id order by 1`)
	got, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Equal(t, []string{
		"newsletter_optin:1 crm erased", "order_placed:E1 crm erased", "order_placed:E1 spread delivered",
	}, got)
}

func TestTamperedCertificateIsNamed(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for i := range 5 {
		s.order(fmt.Sprintf("E%d", i), time.Duration(40-i)*day)
	}
	s.run()
	s.requireChain(5)
	_, err := s.db.Exec(t.Context(), `update kvit.erasure_certificate set order_ref = 'X' where number = 3`)
	require.Error(t, err, "the table is append only")
	s.exec(`alter table kvit.erasure_certificate disable trigger refuse_certificate_change`)
	s.exec(`update kvit.erasure_certificate set erased_at = erased_at + interval '1 microsecond' where number = 3`)
	var broken *proof.BrokenError
	require.ErrorAs(t, s.chain(t.Context()).err, &broken)
	require.Equal(t, proof.BrokenError{Number: 3, Reason: "was changed"}, *broken)
	s.exec(`delete from kvit.erasure_certificate where number = 3`)
	require.ErrorAs(t, s.chain(t.Context()).err, &broken)
	require.Equal(t, proof.BrokenError{Number: 3, Reason: "is missing or out of order"}, *broken)
}

func TestDryRunChangesNothingAndCountsTheSame(t *testing.T) {
	eachMarks(t, plainShop, func(t *testing.T, s *shop) {
		s.exec(`insert into public.customers values (1, $1)`, marker)
		for i := range 8 {
			s.order(fmt.Sprintf("E%d", i), time.Duration(28+i)*day)
		}
		s.exec(`update public.orders o set customer_id = 1 where ` + s.mark("imported_at") + ` < now() - interval '30 days'`)
		s.exec(`insert into kvit.legal_hold (order_ref, reason, placed_by) values ('E5', 'audit', 'ops')`)
		s.exec(`alter table public.orders add constraint stays check (order_number <> 'E6' or customer_name is not null)`)
		s.event("newsletter_optin:1", nil)
		s.event("newsletter_optin:2", nil)
		s.exec(`update kvit.event set received_at = now() - interval '31 days' where order_ref is null`)
		s.exec(`update kvit.event set received_at = now() - interval '500 days', payload = null, erased_at = now() where event_key = 'newsletter_optin:2'`)
		s.notice()
		before := s.dump()

		dry, dryErr := s.DryRun(t.Context())
		require.ErrorIs(t, dryErr, ErrNotErased)
		require.Equal(t, before, s.dump())

		wet, wetErr := s.Run(t.Context())
		require.Equal(t, dryErr, wetErr)
		require.True(t, dry.DryRun)
		require.Equal(t, map[string]map[string]int64{
			"public.orders":    {"customer_name": 4, "email": 4, "street": 4},
			"public.payments":  {"holder": 4},
			"public.customers": {"name": 0},
		}, dry.Columns)
		dry.DryRun, dry.Columns = false, nil
		require.Equal(t, wet, dry)
		require.Equal(t, 4, wet.Orders)
		require.Equal(t, 1, wet.Purged)
	})
}

func TestOneRunAtATime(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for i := range 20 {
		s.order(fmt.Sprintf("E%d", i), 31*day)
	}
	within, err := s.db.Begin(t.Context())
	require.NoError(t, err)
	require.NoError(t, store.LockErasureRun(t.Context(), within))
	for _, run := range []func(context.Context) (Report, error){s.Run, s.RunConfirmed, s.DryRun} {
		_, err := run(t.Context())
		require.ErrorIs(t, err, store.ErrRunning)
	}
	require.True(t, s.untouched("E1"))
	require.Zero(t, value[int](s, `select count(*) from kvit.erasure_run`))
	require.NoError(t, within.Rollback(t.Context()))

	var wg sync.WaitGroup
	reports, errs := make([]Report, 3), make([]error, 3)
	for i := range reports {
		wg.Go(func() { reports[i], errs[i] = s.Run(t.Context()) })
	}
	wg.Wait()
	total := 0
	for i, r := range reports {
		if !errors.Is(errs[i], store.ErrRunning) {
			require.NoError(t, errs[i])
		}
		total += r.Orders
	}
	require.Equal(t, 20, total)
	s.requireChain(20)
}

func TestInterruptedRunIsConsistentAndIsCaughtUpWith(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for i := range 10 {
		s.order(fmt.Sprintf("E%d", i), 31*day)
	}
	ctx, cancel := context.WithCancel(t.Context())
	s.OrdersErased = func(int) { cancel() }
	report, err := s.Run(ctx)
	require.Error(t, err)
	require.Equal(t, 3, report.Orders)
	for i := range 10 {
		ref := fmt.Sprintf("E%d", i)
		require.True(t, s.erased(ref) != s.untouched(ref), ref)
	}
	s.requireChain(3)
	_, err = store.LastErasureRun(t.Context(), s.db)
	require.ErrorIs(t, err, store.ErrNotFound, "an interrupted run has not finished")

	s.OrdersErased = nil
	require.Equal(t, 7, s.run().Orders)
	s.requireChain(10)
}

// A server process that is killed in the middle of a batch undoes the batch.
func TestLostConnectionUndoesTheBatch(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.order("E1", 31*day)
	s.exec(`
		create function public.die() returns trigger language plpgsql as $$
		begin perform pg_terminate_backend(pg_backend_pid()); return new; end $$;
		create trigger die before update on public.orders for each row execute function public.die()`)
	report, err := s.Run(t.Context())
	require.Error(t, err)
	require.NotErrorIs(t, err, ErrNotErased)
	require.Empty(t, report.Problems)
	require.True(t, s.untouched("E1"))
	s.exec(`drop trigger die on public.orders`)
	require.Equal(t, 1, s.run().Orders)
}

func TestEventsWithoutAnOrder(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.unimported("living")
	s.order("gone", 31*day)
	s.run()
	s.event("order_refunded:gone", "gone")
	s.event("order_placed:unknown", "unknown")
	s.event("order_placed:held", "held")
	s.event("page_viewed:old", nil)
	s.event("page_viewed:new", nil)
	s.exec(`insert into kvit.legal_hold (order_ref, reason, placed_by) values ('held', 'audit', 'ops')`)
	s.exec(`update kvit.event set received_at = now() - interval '30 days 1 second' where event_key <> 'page_viewed:new'`)

	s.run()

	rows, _ := s.db.Query(t.Context(), `select event_key from kvit.event where payload is not null order by 1`)
	left, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Equal(t, []string{"order_placed:held", "order_placed:living", "page_viewed:new"}, left)
}

func TestWithoutAShopAllEventsAreLoose(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.unimported("living")
	s.exec(`update kvit.event set received_at = now() - interval '31 days'`)
	s.Orders = nil
	require.Equal(t, 1, s.run().Events)
}

func TestLooseEventsInManyBatches(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.unimported("living")
	s.exec(`
		insert into kvit.event (event_key, name, occurred_at, order_ref, payload, consent, received_at)
		select 'page_viewed:' || i, 'page_viewed', now(), case when i % 3 = 0 then 'living' end, '{}', '{}',
		       now() - interval '31 days' - (i / 700) * interval '1 second'
		from generate_series(1, 2500) i`)
	require.Equal(t, 1667, s.run().Events)
	require.Equal(t, 1667, value[int](s, `select count(*) from kvit.event where erased_at is not null`))
	require.Zero(t, value[int](s, `select count(*) from kvit.event where erased_at is not null and order_ref is not null`))
}

func TestReferencesOfOtherTypes(t *testing.T) {
	t.Parallel()
	for _, sqlType := range []string{"integer", "bigint", "uuid", "character(40)"} {
		t.Run(sqlType, func(t *testing.T) {
			eachMarks(t, plainShop, func(t *testing.T, s *shop) {
				refs := map[bool][2]string{
					false: {"42", "43"},
					true:  {"0198c1f0-0000-7000-8000-000000000001", "0198c1f0-0000-7000-8000-000000000002"},
				}[sqlType == "uuid"]
				s.Policy.Tables = append(s.Policy.Tables[:2:2], s.Policy.Tables[3:]...) // payments has a text reference
				s.order(refs[0], 31*day)
				s.unimported(refs[1])
				s.event("order_placed:x", "no "+sqlType)
				s.exec(`update kvit.event set received_at = now() - interval '31 days'`)
				s.exec(`alter table public.orders alter column order_number type ` + sqlType + ` using order_number::` + sqlType)

				report := s.run()

				require.Equal(t, 1, report.Orders)
				require.Equal(t, 2, report.Events)
				require.Equal(t, refs[0], value[string](s, `select order_ref from kvit.erasure_certificate`))
				require.Equal(t, refs[1], value[string](s, `select order_ref from kvit.event where payload is not null`))
			})
		})
	}
}

func TestPurge(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.exec(`
		insert into kvit.event (event_key, name, occurred_at, payload, consent, received_at, erased_at)
		select 'page_viewed:' || i, 'page_viewed', now(), null, '{}', now() - interval '401 days', now() - interval '370 days'
		from generate_series(1, 2100) i`)
	s.exec(`
		insert into kvit.delivery (event_id, destination, outcome, attempts, finished_at)
		select id, 'crm', 'delivered', 1, now() - interval '401 days' from kvit.event`)
	s.exec(`update kvit.event set received_at = now() - interval '399 days' where event_key = 'page_viewed:1'`)
	s.exec(`update kvit.delivery set finished_at = now() where event_id = (select id from kvit.event where event_key = 'page_viewed:2')`)
	s.unimported("living")
	s.exec(`update kvit.event set received_at = now() - interval '500 days' where order_ref = 'living'`)

	report := s.run()

	require.Equal(t, 2098, report.Purged)
	rows, _ := s.db.Query(t.Context(), `select event_key from kvit.event order by 1`)
	left, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Equal(t, []string{"order_placed:living", "page_viewed:1", "page_viewed:2"}, left)
	require.Equal(t, 2, value[int](s, `select count(*) from kvit.delivery`))
}

func TestDeferredConstraintIsFoundByBoth(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.order("E1", 31*day)
	s.order("E2", 31*day)
	s.exec(`
		create function public.refuse() returns trigger language plpgsql as $$
		begin if new.order_number = 'E1' then raise check_violation using constraint = 'stays'; end if; return null; end $$;
		create constraint trigger refuse after update on public.orders deferrable initially deferred
		    for each row execute function public.refuse()`)
	dry, err := s.DryRun(t.Context())
	require.ErrorIs(t, err, ErrNotErased)
	report, err := s.Run(t.Context())
	require.ErrorIs(t, err, ErrNotErased)
	require.Equal(t, report.Problems, dry.Problems)
	require.Equal(t, "E1", report.Problems[0].OrderRef)
	require.True(t, s.untouched("E1"))
	require.True(t, s.erased("E2"))
}

// A hold placed during a run either keeps the order whole or is told that it comes too late.
func TestHoldAgainstErasure(t *testing.T) {
	eachMarks(t, plainShop, func(t *testing.T, s *shop) {
		const n = 30
		for i := range n {
			s.order(fmt.Sprintf("E%d", i), 31*day)
		}
		var wg sync.WaitGroup
		held := make([]error, n)
		wg.Go(func() {
			_, err := s.Run(t.Context())
			require.NoError(t, err)
		})
		for i := range n {
			wg.Go(func() {
				_, held[i] = store.AddHold(t.Context(), s.db, s.Orders, store.Hold{OrderRef: fmt.Sprintf("E%d", n-1-i), Reason: "audit", PlacedBy: "ops"})
			})
		}
		wg.Wait()
		for i, err := range held {
			ref := fmt.Sprintf("E%d", n-1-i)
			if err == nil {
				require.True(t, s.untouched(ref), ref)
				continue
			}
			require.ErrorIs(t, err, store.ErrErased)
			require.True(t, s.erased(ref), ref)
		}
	})
}

// A hold whose transaction has not ended when the run begins is waited for, and seen.
func TestHoldThatIsBeingPlacedIsSeen(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.order("E1", 31*day)
	tx, err := s.db.Begin(t.Context())
	require.NoError(t, err)
	_, err = store.AddHold(t.Context(), tx, s.Orders, store.Hold{OrderRef: "E1", Reason: "audit", PlacedBy: "ops"})
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() {
		_, err := s.Run(t.Context())
		ended <- err
	}()
	s.awaitLockWait()
	require.NoError(t, tx.Commit(t.Context()))
	require.NoError(t, <-ended)
	require.True(t, s.untouched("E1"))
}

func TestRandomOrders(t *testing.T) {
	eachMarks(t, plainShop, func(t *testing.T, s *shop) {
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		random := rand.New(rand.NewPCG(seed, 0))
		keep := map[string]bool{}
		for i := range 150 {
			ref := fmt.Sprintf("E%d", i)
			ago := time.Duration(random.IntN(60)) * day
			imported := random.IntN(5) > 0
			if imported {
				s.order(ref, ago)
			} else {
				s.unimported(ref)
			}
			hold := random.IntN(4)
			switch hold {
			case 0:
				s.exec(`insert into kvit.legal_hold (order_ref, reason, placed_by) values ($1, 'audit', 'ops')`, ref)
			case 1:
				s.exec(`insert into kvit.legal_hold (order_ref, reason, placed_by, expires_at) values ($1, 'audit', 'ops', now() - interval '1 minute')`, ref)
			}
			keep[ref] = !imported || ago < 30*day || hold == 0
		}
		s.BatchOrders = 1 + random.IntN(20)
		s.run()
		var erased int64
		for ref, kept := range keep {
			require.Equal(t, kept, s.untouched(ref), ref)
			require.Equal(t, !kept, s.erased(ref), ref)
			if !kept {
				erased++
			}
		}
		s.requireChain(erased)
	})
}

// Time is up at once: the run does nothing, says so, and counts as not finished.
func TestRunStopsWhenTimeIsUp(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.order("E1", 31*day)
	report, err := s.newRun(time.Now().Add(-time.Second)).do(t.Context())
	require.NoError(t, err)
	require.True(t, report.More)
	require.True(t, s.untouched("E1"))
	_, err = store.LastErasureRun(t.Context(), s.db)
	require.ErrorIs(t, err, store.ErrNotFound)
}

func TestHooks(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for i := range 5 {
		s.order(fmt.Sprintf("E%d", i), 31*day)
	}
	var erased []int
	var succeeded []time.Time
	now := time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)
	s.Now = func() time.Time { return now }
	s.OrdersErased = func(n int) { erased = append(erased, n) }
	s.RunSucceeded = func(at time.Time) { succeeded = append(succeeded, at) }
	_, err := s.DryRun(t.Context())
	require.NoError(t, err)
	require.Empty(t, erased)
	s.run()
	require.Equal(t, []int{3, 2}, erased)
	require.Equal(t, []time.Time{now}, succeeded)
	s.exec(`alter table public.orders add column phone text`)
	_, err = s.Run(t.Context())
	require.Error(t, err)
	require.Len(t, succeeded, 1)
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for code, refusal := range map[string]bool{"23503": true, "22001": true, "55P03": true, "57014": true, "57P01": false, "42501": false, "08006": false} {
		require.Equal(t, refusal, isRefusal(t.Context(), &pgconn.PgError{Code: code}), code)
	}
	require.False(t, isRefusal(t.Context(), context.DeadlineExceeded))
}
