package jobs

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"

	"kvit/delivery"
	"kvit/destination"
	"kvit/store"
	"kvit/store/storetest"
)

// startClient runs a client with one destination, crm, that answers as send says.
func startClient(t *testing.T, pool *pgxpool.Pool, orders *store.Orders, send func(context.Context, destination.Event) (int, error)) *river.Client[pgx.Tx] {
	t.Helper()
	return startClientWith(t, pool, Options{Orders: orders}, send)
}

func startClientWith(t *testing.T, pool *pgxpool.Pool, o Options, send func(context.Context, destination.Event) (int, error)) *river.Client[pgx.Tx] {
	t.Helper()
	syncCRM(t, pool)
	client, err := NewClient(Options{
		Pool: pool, Timeout: 10 * time.Second, Notify: true, Orders: o.Orders, Keep: o.Keep,
		Lanes: []delivery.Settings{{
			Name: "crm", Concurrency: 4, RetryFor: time.Hour,
			Destination: &provider{send: send},
		}},
		Metrics: delivery.NewMetrics(prometheus.NewRegistry()), Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	require.NoError(t, client.Start(t.Context()))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), waitFor)
		defer cancel()
		require.NoError(t, client.StopAndCancel(ctx))
	})
	return client
}

func syncCRM(t *testing.T, db store.DB) {
	t.Helper()
	require.NoError(t, store.SyncDestinations(t.Context(), db, []store.Destination{{Name: "crm", Kind: "webhook", Enabled: true, EventNames: destination.Names}}, true))
}

func insertEvent(t *testing.T, db store.DB, key string) {
	t.Helper()
	_, err := db.Exec(t.Context(), `insert into kvit.tracking_event (event_key, name) values ($1, 'order_paid')`, key)
	require.NoError(t, err)
}

func scan[T any](t *testing.T, db store.DB, query string, args ...any) (value T) {
	t.Helper()
	require.NoError(t, db.QueryRow(t.Context(), query, args...).Scan(&value))
	return value
}

func TestRetryAfterIsHonouredWithoutUsingAnAttempt(t *testing.T) {
	t.Parallel()
	pool := storetest.DB(t)
	var first atomic.Int64
	var second atomic.Int64
	startClient(t, pool, nil, func(context.Context, destination.Event) (int, error) {
		if first.CompareAndSwap(0, time.Now().UnixNano()) {
			return 429, &destination.Error{Kind: destination.Throttled, Code: 429, Reason: "too many", RetryAfter: time.Second}
		}
		second.Store(time.Now().UnixNano())
		return 200, nil
	})
	insertEvent(t, pool, "order_paid:E1")
	require.Eventually(t, func() bool { return scan[int](t, pool, `select count(*) from kvit.delivery`) == 1 }, waitFor, tick)
	require.GreaterOrEqual(t, time.Duration(second.Load()-first.Load()), time.Second)
	require.Equal(t, 1, scan[int](t, pool, `select attempts from kvit.delivery`))
}

// Whoever wants to see jobs whose deliveries have ended keeps them; River then completes them.
func TestJobsStayWhereTheyAreKept(t *testing.T) {
	t.Parallel()
	for keep, left := range map[time.Duration]int{0: 0, time.Hour: 1} {
		t.Run(keep.String(), func(t *testing.T) {
			t.Parallel()
			pool := storetest.DB(t)
			startClientWith(t, pool, Options{Keep: keep}, func(context.Context, destination.Event) (int, error) { return 200, nil })
			insertEvent(t, pool, "order_paid:E1")
			require.Eventually(t, func() bool {
				return scan[int](t, pool, `select count(*) from kvit.delivery`) == 1 &&
					scan[int](t, pool, `select count(*) from kvit.river_job where kind = 'deliver_event' and finalized_at is null`) == 0
			}, waitFor, tick)
			require.Equal(t, left, scan[int](t, pool, `select count(*) from kvit.river_job where kind = 'deliver_event' and state = 'completed'`))
		})
	}
}

func TestGonePausesTheDestinationUntilItIsResumed(t *testing.T) {
	t.Parallel()
	pool := storetest.DB(t)
	var gone atomic.Bool
	var requests atomic.Int64
	gone.Store(true)
	startClient(t, pool, nil, func(context.Context, destination.Event) (int, error) {
		requests.Add(1)
		if gone.Load() {
			return 410, &destination.Error{Kind: destination.Gone, Code: 410, Reason: "gone"}
		}
		return 200, nil
	})
	insertEvent(t, pool, "order_paid:E1")
	require.Eventually(t, func() bool {
		return scan[bool](t, pool, `select exists (select from kvit.river_queue where name = 'deliver_crm' and paused_at is not null)`)
	}, waitFor, tick)
	require.Equal(t, "gone (HTTP 410)", scan[string](t, pool, `select disabled_reason from kvit.destination`))
	gone.Store(false)
	for i := range 10 {
		insertEvent(t, pool, fmt.Sprintf("order_paid:F%d", i))
	}
	require.NoError(t, store.ResumeDestination(t.Context(), pool, store.Pause{Destination: "crm", Reason: "mended"}))
	require.Eventually(t, func() bool {
		// The one that met the 410 waits a minute; make that now.
		_, err := pool.Exec(t.Context(), `update kvit.river_job set state = 'available', scheduled_at = now() where state = 'scheduled'`)
		require.NoError(t, err)
		return scan[int](t, pool, `select count(*) from kvit.delivery where outcome = 'delivered'`) == 11
	}, waitFor, tick, "nothing is lost")
	require.Nil(t, scan[*string](t, pool, `select disabled_reason from kvit.destination`))
	require.ErrorIs(t, store.ResumeDestination(t.Context(), pool, store.Pause{Destination: "nowhere"}), store.ErrNotFound)
}

func TestForeignJobsFailClearlyAndHarmNoOther(t *testing.T) {
	t.Parallel()
	pool := storetest.DB(t)
	_, err := pool.Exec(t.Context(), `
		insert into kvit.river_job (kind, args, queue)
		values ('deliver_event', '{"foo": "bar"}', 'deliver_crm'), ('deliver_event', '[7]', 'deliver_crm'),
		       ('deliver_event', '{"event_id": 99, "destination": "crm"}', 'deliver_crm'),
		       ('deliver_event', '{"event_id": 99, "destination": "nowhere"}', 'deliver_crm'),
		       ('no_such_kind', '{}', 'deliver_crm'), ('mark_order', '{"receipt_id": "x"}', 'erp'), ('erase_due', '{"when": "now"}', 'maintenance')`)
	require.NoError(t, err)
	startClient(t, pool, nil, func(context.Context, destination.Event) (int, error) { return 200, nil })
	insertEvent(t, pool, "order_paid:E1")
	require.Eventually(t, func() bool {
		return scan[int](t, pool, `select count(*) from kvit.delivery`) == 1 &&
			scan[int](t, pool, `select count(*) from kvit.river_job where state = 'cancelled'`) == 7
	}, waitFor, tick)
	require.Zero(t, scan[int](t, pool, `select count(*) from kvit.river_job where state = 'cancelled' and errors[1] ->> 'error' = ''`))
}

func TestCancelledJobLeavesAFailedReceipt(t *testing.T) {
	t.Parallel()
	tx := storetest.Tx(t)
	require.NoError(t, store.SyncDestinations(t.Context(), tx, []store.Destination{{Name: "crm", Kind: "webhook", Enabled: true, EventNames: destination.Names}}, true))
	insertEvent(t, tx, "order_paid:E1")
	_, err := tx.Exec(t.Context(), `update kvit.river_job set state = 'cancelled', finalized_at = now()`)
	require.NoError(t, err)
	require.NoError(t, maintain(t, tx, nil))
	require.Equal(t, "failed: the job was cancelled before it could end", scan[string](t, tx, `select outcome || ': ' || reason from kvit.delivery`))
}

func maintain(t *testing.T, db store.DB, orders *store.Orders) error {
	w := &maintainWorker{db: db, orders: orders, logger: slog.New(slog.DiscardHandler)}
	return w.Work(t.Context(), &river.Job[MaintainArgs]{JobRow: &rivertype.JobRow{}})
}

// A job that somebody deletes is told of within a minute, once an hour.
func TestLostDeliveriesAreAlarmed(t *testing.T) {
	t.Parallel()
	tx := storetest.Tx(t)
	require.NoError(t, store.SyncDestinations(t.Context(), tx, []store.Destination{{Name: "crm", Kind: "webhook", Enabled: true, EventNames: destination.Names}}, true))
	insertEvent(t, tx, "order_paid:E1")
	_, err := tx.Exec(t.Context(), `delete from kvit.river_job where kind = 'deliver_event'`)
	require.NoError(t, err)
	var log bytes.Buffer
	w := &maintainWorker{db: tx, logger: slog.New(slog.NewTextHandler(&log, nil))}
	for range 2 {
		require.NoError(t, w.Work(t.Context(), &river.Job[MaintainArgs]{JobRow: &rivertype.JobRow{}}))
	}
	require.Equal(t, 1, strings.Count(log.String(), "DELIVERIES ARE LOST"), log.String())
	require.Contains(t, log.String(), "destination=crm deliveries=1")
}

const erpShop = `
	create table public.web_orders (
		"No" bigint primary key, placed timestamp not null default now(), imported timestamptz, erp text, erased timestamptz)`

func erpOrders() *store.Orders {
	return &store.Orders{
		Table: "public.web_orders", Ref: "No", PlacedAt: "placed", ImportedAt: "imported", ERPNumber: "erp",
		ErasedAt: "erased", AwaitingImport: "true", EraseAfter: 30 * day,
	}
}

func statuses(t *testing.T, db store.DB) string {
	t.Helper()
	return scan[string](t, db, `select string_agg(order_ref || ' ' || status, ', ' order by id) from kvit.erp_receipt`)
}

func TestReceiptsMarkOrdersOnce(t *testing.T) {
	t.Parallel()
	ctx, tx := t.Context(), storetest.Tx(t)
	_, err := tx.Exec(ctx, erpShop+`; insert into public.web_orders ("No", placed) select i, now() - interval '1 hour' from generate_series(1, 3) i`)
	require.NoError(t, err)
	receive := func(values string) {
		_, err := tx.Exec(ctx, `insert into kvit.erp_receipt (order_ref, erp_order_number, document_kind, imported_at) values `+values)
		require.NoError(t, err)
		rows, _ := tx.Query(ctx, `select id from kvit.erp_receipt where status = 'new'`)
		ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		require.NoError(t, err)
		require.NoError(t, markOrders(ctx, tx, erpOrders(), ids))
	}
	receive(`('1', 'SO-1', 'order', now() - interval '10 minutes'), (' 1 ', 'SO-1', 'order', now()), ('1', 'SO-9', 'order', now()),
		('2', 'Q-1', 'quote', null), ('02', 'SO-2', 'order', null), ('E1', 'SO-3', 'order', null), ('99999999999999999999', 'SO-4', 'order', null),
		('2', null, 'invoice', now() - interval '2 days')`)
	require.Equal(t, "1 marked, 1 already_marked, 1 conflict, 2 ignored, 02 unknown_order, E1 unknown_order, 99999999999999999999 unknown_order, 2 marked", statuses(t, tx))
	require.Equal(t, "SO-1", scan[string](t, tx, `select erp from public.web_orders where "No" = 1`))
	require.Equal(t, 600, scan[int](t, tx, `select extract(epoch from now() - imported)::integer from public.web_orders where "No" = 1`))
	require.Equal(t, 0, scan[int](t, tx, `select extract(epoch from now() - imported)::integer from public.web_orders where "No" = 2`), "imported before it was placed is not believed")
	require.True(t, scan[bool](t, tx, `select imported is null from public.web_orders where "No" = 3`))

	before := scan[time.Time](t, tx, `select imported from public.web_orders where "No" = 1`)
	receive(`('1', 'SO-8', 'order', now() - interval '50 minutes')`)
	require.Equal(t, before, scan[time.Time](t, tx, `select imported from public.web_orders where "No" = 1`), "a mark never moves")
}

// Of a number that the shop's column cannot hold, the others are not to suffer.
func TestMarkThatTheShopRefusesHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	ctx, tx := t.Context(), storetest.Tx(t)
	_, err := tx.Exec(ctx, erpShop+`;
		alter table public.web_orders alter column erp type varchar(5);
		insert into public.web_orders ("No") values (1), (2), (3);
		insert into kvit.erp_receipt (order_ref, erp_order_number) values ('1', 'SO-1'), ('2', 'SO-1000000'), ('3', 'SO-3')`)
	require.NoError(t, err)
	rows, _ := tx.Query(ctx, `select id from kvit.erp_receipt`)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	require.NoError(t, err)
	require.ErrorContains(t, markOrders(ctx, tx, erpOrders(), ids), "22001")
	require.Equal(t, "1 marked, 2 new, 3 marked", statuses(t, tx))
}

// An invoice that comes first brings no number for the order; the order's own does, whenever it comes.
func TestNumberIsFilledInOnce(t *testing.T) {
	t.Parallel()
	for name, own := range map[string]bool{"ShopsColumns": false, "OwnMarks": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, tx := t.Context(), storetest.Tx(t)
			_, err := tx.Exec(ctx, erpShop+`; insert into public.web_orders ("No") values (1)`)
			require.NoError(t, err)
			orders, number := erpOrders(), `select coalesce(erp, '-') from public.web_orders`
			if own {
				orders.ImportedAt, orders.ERPNumber, orders.ErasedAt = "", "", ""
				number = `select coalesce(erp_number, '-') from kvit.order_mark`
			}
			for _, step := range []struct{ kind, source, number, status, then string }{
				{"invoice", "a", "INV-1", "marked", "-"},
				{"order", "a", "", "already_marked", "-"},
				{"order", "a", " SO-1", "already_marked", "SO-1"},
				{"order", "a", "SO-1 ", "already_marked", "SO-1"},
				{"order", "b", "4711", "already_marked", "SO-1"},
				{"order", "b", "4712", "conflict", "SO-1"},
				{"order", "a", "SO-2", "conflict", "SO-1"},
				{"invoice", "a", "INV-2", "already_marked", "SO-1"},
			} {
				id := scan[int64](t, tx, `insert into kvit.erp_receipt (order_ref, document_kind, source, erp_order_number) values ('1', $1, $2, $3) returning id`, step.kind, step.source, step.number)
				require.NoError(t, markOrders(ctx, tx, orders, []int64{id}))
				require.Equal(t, step.status, scan[string](t, tx, `select status from kvit.erp_receipt where id = $1`, id), step)
				require.Equal(t, step.then, scan[string](t, tx, number), step)
			}
		})
	}
}

// Jobs run in any order: the first number counts all the same.
func TestLaterReceiptDoesNotWinOverTheFirst(t *testing.T) {
	t.Parallel()
	ctx, tx := t.Context(), storetest.Tx(t)
	_, err := tx.Exec(ctx, erpShop+`;
		insert into public.web_orders ("No") values (1);
		insert into kvit.erp_receipt (order_ref, erp_order_number) values ('1', 'SO-1'), ('1', 'SO-2')`)
	require.NoError(t, err)
	require.NoError(t, markOrders(ctx, tx, erpOrders(), []int64{scan[int64](t, tx, `select max(id) from kvit.erp_receipt`)}))
	require.Equal(t, "1 marked, 1 conflict", statuses(t, tx))
	require.Equal(t, "SO-1", scan[string](t, tx, `select erp from public.web_orders`))
}

func TestEvidenceThatCameBeforeTheOrderIsLookedAtAgain(t *testing.T) {
	t.Parallel()
	ctx, tx := t.Context(), storetest.Tx(t)
	_, err := tx.Exec(ctx, erpShop+`; insert into kvit.erp_receipt (order_ref) values ('5')`)
	require.NoError(t, err)
	require.NoError(t, markOrders(ctx, tx, erpOrders(), []int64{scan[int64](t, tx, `select id from kvit.erp_receipt`)}))
	require.Equal(t, "5 unknown_order", statuses(t, tx))
	_, err = tx.Exec(ctx, `insert into public.web_orders ("No") values (5)`)
	require.NoError(t, err)
	require.NoError(t, maintain(t, tx, erpOrders()))
	require.Equal(t, "5 marked", statuses(t, tx))
}

// Receipts that were written while kvit was down are marked when it starts, and later ones within
// a second of their commit, all of a burst together.
func TestReceiptsAreMarkedByTheRunningClient(t *testing.T) {
	t.Parallel()
	ctx, pool := t.Context(), storetest.DB(t)
	_, err := pool.Exec(ctx, erpShop+`;
		insert into public.web_orders ("No") select i from generate_series(1, 2000) i;
		insert into kvit.erp_receipt (order_ref, erp_order_number) select i, 'SO-' || i from generate_series(1, 1000) i`)
	require.NoError(t, err)
	startClient(t, pool, erpOrders(), func(context.Context, destination.Event) (int, error) { return 200, nil })
	marked := func(n int) func() bool {
		return func() bool {
			return scan[int](t, pool, `select count(*) from public.web_orders where imported is not null`) == n
		}
	}
	require.Eventually(t, marked(1000), waitFor, tick)
	_, err = pool.Exec(ctx, `insert into kvit.erp_receipt (order_ref, erp_order_number) select i, 'SO-' || i from generate_series(1001, 2000) i`)
	require.NoError(t, err)
	require.Eventually(t, marked(2000), waitFor, tick)
	require.Equal(t, 2000, scan[int](t, pool, `select count(*) from kvit.erp_receipt where status = 'marked'`))
}
