package jobs

import (
	"bytes"
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertest"
	"github.com/riverqueue/river/rivertype"
	"github.com/robfig/cron/v3"
	"github.com/stretchr/testify/require"

	"kvit/erasure"
	"kvit/erasure/policy"
	"kvit/store"
	"kvit/store/storetest"
)

const day = 24 * time.Hour

// eraseShop is a small shop's database with an eraser.
type eraseShop struct {
	t  *testing.T
	db *pgxpool.Pool
	*erasure.Eraser
}

func newEraseShop(t *testing.T) *eraseShop {
	t.Helper()
	s := &eraseShop{t: t, db: storetest.DB(t)}
	s.exec(`
		create table public.orders (
		    order_number text primary key, customer_name text, created_at timestamptz not null default now(),
		    erp_imported_at timestamptz, erp_order_number text, personal_data_erased_at timestamptz);
		create table public.order_lines (order_number text not null references public.orders, sku text);
		create table public.payments (order_number text not null references public.orders, holder text)`)
	match := &policy.Match{Column: "order_number", OrderColumn: "order_number"}
	s.Eraser = &erasure.Eraser{
		DB: s.db, EventsAfter: 30 * day, ReceiptsAfter: 400 * day, BatchOrders: 3, Logger: slog.New(slog.DiscardHandler),
		Orders: &store.Orders{
			Table: "public.orders", Ref: "order_number", PlacedAt: "created_at", ImportedAt: "erp_imported_at",
			ERPNumber: "erp_order_number", ErasedAt: "personal_data_erased_at", AwaitingImport: "true", EraseAfter: 30 * day,
		},
		Policy: policy.Policy{Tables: []policy.Table{
			{Name: "public.orders", Columns: []policy.Column{{Name: "customer_name", Strategy: policy.Null}}},
			{Name: "public.order_lines", Match: match, DeleteRows: true},
			{Name: "public.payments", Match: match, Columns: []policy.Column{
				{Name: "order_number", Strategy: policy.Keep}, {Name: "holder", Strategy: policy.Null},
			}},
		}},
	}
	return s
}

func (s *eraseShop) exec(sql string, args ...any) {
	s.t.Helper()
	_, err := s.db.Exec(s.t.Context(), sql, args...)
	require.NoError(s.t, err)
}

// order places an order with a line and a payment, which the ERP got so long ago.
func (s *eraseShop) order(ref string, importedAgo time.Duration) {
	s.t.Helper()
	s.exec(`insert into public.orders (order_number, customer_name, erp_imported_at) values ($1, 'Jane Example', $2)`, ref, time.Now().Add(-importedAgo))
	s.exec(`insert into public.order_lines (order_number, sku) values ($1, 'A1')`, ref)
	s.exec(`insert into public.payments (order_number, holder) values ($1, 'Jane Example')`, ref)
}

func (s *eraseShop) erased(ref string) bool {
	s.t.Helper()
	return scan[bool](s.t, s.db, `select personal_data_erased_at is not null from public.orders where order_number = $1`, ref)
}

// work runs the job as River would.
func (s *eraseShop) work(args EraseArgs) (*rivertest.WorkResult, error) {
	s.t.Helper()
	tx, err := s.db.Begin(s.t.Context())
	require.NoError(s.t, err)
	defer func() { _ = tx.Rollback(s.t.Context()) }()
	worker := newEraseWorker(s.Eraser, s.Logger)
	return rivertest.NewWorker(s.t, riverpgxv5.New(nil), &river.Config{Schema: Schema}, worker).
		Work(s.t.Context(), s.t, tx, args, nil)
}

func TestWorkerErases(t *testing.T) {
	t.Parallel()
	s := newEraseShop(t)
	s.order("E1", 31*day)
	result, err := s.work(EraseArgs{})
	require.NoError(t, err)
	require.Equal(t, rivertype.JobStateCompleted, result.Job.State)
	require.True(t, s.erased("E1"))
}

func TestWorkerGivesUpWhereAPersonMustAct(t *testing.T) {
	t.Parallel()
	s := newEraseShop(t)
	s.exec(`alter table public.orders add column phone text`)
	result, err := s.work(EraseArgs{})
	require.NoError(t, err)
	require.Equal(t, rivertype.JobStateCancelled, result.Job.State)
	require.Contains(t, result.Job.Errors[0].Error, "column public.orders.phone is not named")
}

// What the brake stops waits for a person, not for the next attempt.
func TestWorkerLeavesTheBrakeToAPerson(t *testing.T) {
	t.Parallel()
	s := newEraseShop(t)
	s.Brake = erasure.Brake{MaxOrders: 1}
	s.order("E1", 31*day)
	s.order("E2", 31*day)
	worker := newEraseWorker(s.Eraser, s.Logger)
	err := worker.Work(t.Context(), &river.Job[EraseArgs]{JobRow: &rivertype.JobRow{}})
	require.ErrorIs(t, err, erasure.ErrBraked)
	var cancelled *rivertype.JobCancelError
	require.ErrorAs(t, err, &cancelled)
	require.False(t, s.erased("E1"))
}

func TestWorkerComesBackToLockedOrders(t *testing.T) {
	t.Parallel()
	s := newEraseShop(t)
	s.order("E1", 31*day)
	tx, err := s.db.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(t.Context()) }()
	_, err = tx.Exec(t.Context(), `select from public.orders for update`)
	require.NoError(t, err)
	result, err := s.work(EraseArgs{})
	require.NoError(t, err)
	require.Equal(t, river.EventKindJobSnoozed, result.EventKind)
}

func TestWorkerWithoutEraserOrWithForeignArgs(t *testing.T) {
	t.Parallel()
	worker := newEraseWorker(nil, slog.New(slog.DiscardHandler))
	require.Error(t, worker.Work(t.Context(), &river.Job[EraseArgs]{JobRow: &rivertype.JobRow{}}))
	var args EraseArgs
	require.NoError(t, args.UnmarshalJSON([]byte(`{"catch_up": "yes"}`)))
	require.True(t, args.unfit)
}

func TestCatchUp(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		lastRun string // "" none
		erases  bool
	}{
		"FirstStartWaitsForItsTime": {"", false},
		"MissedWhileDown":           {"2026-03-01 02:30:00+00", true},
		"NothingMissed":             {"2026-03-02 02:30:00+00", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newEraseShop(t)
			schedule, err := cron.ParseStandard("CRON_TZ=Europe/Copenhagen 30 3 * * *")
			require.NoError(t, err)
			s.Schedule = schedule
			s.Now = func() time.Time { return time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC) }
			s.order("E1", time.Since(time.Date(2026, 1, 15, 0, 0, 0, 0, time.UTC)))
			if c.lastRun != "" {
				s.exec(`insert into kvit.erasure_run (started_at, finished_at, known_migration) values ($1::timestamptz, $1::timestamptz, 16)`, c.lastRun)
			}
			_, err = s.work(EraseArgs{CatchUp: true})
			require.NoError(t, err)
			require.Equal(t, c.erases, s.erased("E1"))
		})
	}
}

// The whole of it: a River client finds at its start that a run was missed, and erases.
func TestClientCatchesUpAtStart(t *testing.T) {
	t.Parallel()
	s := newEraseShop(t)
	schedule, err := cron.ParseStandard("30 3 * * *")
	require.NoError(t, err)
	s.Schedule = schedule
	s.order("E1", 31*day)
	s.exec(`insert into kvit.erasure_run (started_at, finished_at, known_migration) values (now() - interval '3 days', now() - interval '3 days', 16)`)
	done := make(chan struct{})
	s.RunSucceeded = func(time.Time) { close(done) }
	workers := river.NewWorkers()
	river.AddWorker(workers, newEraseWorker(s.Eraser, s.Logger))
	client, err := river.NewClient(riverpgxv5.New(s.db), &river.Config{
		Schema: Schema, Workers: workers, PeriodicJobs: erasePeriodic(s.Eraser), Logger: s.Logger,
		Queues: map[string]river.QueueConfig{maintenanceQueue: {MaxWorkers: 1}}, FetchPollInterval: 100 * time.Millisecond,
	})
	require.NoError(t, err)
	require.NoError(t, client.Start(t.Context()))
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		require.NoError(t, client.Stop(ctx))
	}()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Fatal("the missed run did not take place")
	}
	require.True(t, s.erased("E1"))
}

// A run that is out of time goes on at once, whatever the policy.
func TestWorkerGoesOnWithWhatThePolicyFits(t *testing.T) {
	t.Parallel()
	s := newEraseShop(t)
	s.order("E1", 31*day)
	s.exec(`alter table public.payments add column iban text`)
	result, err := s.work(EraseArgs{})
	require.NoError(t, err)
	require.Equal(t, rivertype.JobStateCancelled, result.Job.State)
	require.Equal(t, river.EventKindJobCancelled, result.EventKind)
	require.Zero(t, scan[int](t, s.db, `select count(*) from public.order_lines`))
}

// The clock that an order has begun to go by is not set back by a second piece of evidence.
func TestSecondEvidenceKeepsTheFirstClock(t *testing.T) {
	t.Parallel()
	s := newEraseShop(t)
	s.exec(`insert into public.orders (order_number) values ('E1')`)
	s.exec(`update public.orders set created_at = now() - interval '60 days'`)
	evidence := func(number string, ago time.Duration) {
		id := scan[int64](t, s.db, `
			insert into kvit.erp_receipt (order_ref, erp_order_number, imported_at, source)
			values ('E1', $1, now() - $2::interval, 'test') returning id`, number, ago)
		require.NoError(t, markOrders(t.Context(), s.db, s.Orders, []int64{id}))
	}
	evidence("SO-1", 31*day)
	first := scan[time.Time](t, s.db, `select erp_imported_at from public.orders`)
	evidence("SO-1", day)
	evidence("SO-2", 45*day)
	require.Equal(t, first, scan[time.Time](t, s.db, `select erp_imported_at from public.orders`))
	report, err := s.Run(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, report.Orders)
	require.Equal(t, "imported", scan[string](t, s.db, `select clock from kvit.erasure_certificate where order_ref = 'E1'`))
}

// placed places an order that the ERP does not have.
func (s *eraseShop) placed(ref string, ago time.Duration) {
	s.t.Helper()
	s.exec(`insert into public.orders (order_number, created_at) values ($1, $2)`, ref, time.Now().Add(-ago))
}

func TestLateImportsAreAnError(t *testing.T) {
	t.Parallel()
	s := newEraseShop(t)
	s.Orders.AlarmAfter = 4 * time.Hour
	var log bytes.Buffer
	w := &maintainWorker{db: s.db, orders: s.Orders, logger: slog.New(slog.NewTextHandler(&log, nil))}
	job := &river.Job[MaintainArgs]{JobRow: &rivertype.JobRow{}}
	s.placed("E1", 3*time.Hour)
	s.placed("E2", 5*time.Hour)
	s.exec(`update public.orders set erp_imported_at = now() where order_number = 'E2'`)
	require.NoError(t, w.Work(t.Context(), job))
	require.Empty(t, log.String())

	s.placed("E3", 5*time.Hour)
	for range 3 { // every minute
		require.NoError(t, w.Work(t.Context(), job))
	}
	require.Equal(t, 1, bytes.Count(log.Bytes(), []byte("level=ERROR")), log.String())
	require.Contains(t, log.String(), "orders=1")
	status, err := store.ReadOrdersStatus(t.Context(), s.db, *s.Orders, 0)
	require.NoError(t, err)
	require.EqualValues(t, 1, status.ImportsLate)
}
