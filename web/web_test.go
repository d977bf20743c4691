package web_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"kvit/store"
	"kvit/store/storetest"
	"kvit/web"
)

func TestMain(m *testing.M) { storetest.Run(m) }

var quiet = slog.New(slog.DiscardHandler)

func get(t *testing.T, handler http.Handler, method, path string) (status int, body string) {
	t.Helper()
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), method, path, nil))
	text, err := io.ReadAll(recorder.Body)
	require.NoError(t, err)
	return recorder.Code, string(text)
}

func TestHealthReadyAndNothingElse(t *testing.T) {
	t.Parallel()
	var problem error
	handler := web.Handler(web.Options{
		Ready: func(context.Context) error { return problem }, Metrics: prometheus.NewRegistry(), Logger: quiet,
	})
	for _, c := range []struct {
		method, path string
		problem      error
		status       int
		body         string
	}{
		{"GET", "/healthz", nil, 200, "ok\n"},
		{"GET", "/readyz", nil, 200, "ready\n"},
		{"GET", "/readyz", errors.New("database cannot be reached"), 503, "database cannot be reached\n"},
		{"GET", "/healthz", errors.New("database cannot be reached"), 200, "ok\n"},
		{"GET", "/metrics", nil, 200, ""},
		{"POST", "/healthz", nil, 405, "Method Not Allowed\n"},
		{"POST", "/erp/receipts", nil, 404, "404 page not found\n"},
		{"GET", "/debug/pprof/", nil, 404, "404 page not found\n"},
	} {
		problem = c.problem
		status, body := get(t, handler, c.method, c.path)
		require.Equal(t, c.status, status, c.path)
		require.Equal(t, c.body, body, c.path)
	}
}

func TestListenSaysThatTheAddressIsTaken(t *testing.T) {
	t.Parallel()
	o := web.Options{Listen: "127.0.0.1:0", Metrics: prometheus.NewRegistry(), Logger: quiet}
	first, err := web.Listen(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, first.Close()) })
	o.Listen = first.Addr()
	_, err = web.Listen(t.Context(), o)
	require.ErrorContains(t, err, "ops.listen")
}

func TestGaugesTellWhereEverythingStands(t *testing.T) {
	t.Parallel()
	ctx, tx := t.Context(), storetest.Tx(t)
	orders := &store.Orders{
		Table: "public.orders", Ref: "number", PlacedAt: "placed", ImportedAt: "imported", ERPNumber: "erp",
		ErasedAt: "erased", AwaitingImport: "status = 'paid'", EraseAfter: 30 * 24 * time.Hour,
	}
	exec(t, tx, `
		create table public.orders (number text primary key, status text, placed timestamptz, imported timestamptz, erp text, erased timestamptz);
		insert into public.orders (number, status, placed, imported, erased) values
			('waits', 'paid', now() - interval '100 s', null, null), ('cart', 'open', now() - interval '900 s', null, null),
			('due', 'paid', now(), now() - interval '30 days 1 minute', null), ('overdue', 'paid', now(), now() - interval '40 days', null),
			('held', 'paid', now(), now() - interval '40 days', null), ('gone', 'paid', now(), now() - interval '40 days', now());
		insert into kvit.legal_hold (order_ref, reason, placed_by) values ('held', 'a case', 'legal');
		insert into kvit.erasure_task (reference, destination, order_refs, created_by, created_at, closed_at, closed_by) values
			('T-1', 'crm', '{}', 'anna', now() - interval '70 s', null, null), ('T-2', 'crm', '{}', 'anna', now() - interval '999 s', now(), 'anna');
		insert into kvit.erasure_run (finished_at, problem, known_migration) values ('2026-01-02 00:00Z', null, 16), ('2026-01-03 00:00Z', 'stopped', 16)`)
	require.NoError(t, store.SyncDestinations(ctx, tx, []store.Destination{{Name: "crm", Kind: "webhook", Enabled: true, EventNames: []string{"search"}}}, true))
	exec(t, tx, `
		insert into kvit.tracking_event (event_key, name) values ('search:1', 'search'), ('search:2', 'search');
		insert into kvit.tracking_event (event_key, name) values ('search:3', 'search'), ('search:4', 'search');
		insert into kvit.delivery (event_id, destination, outcome, reason, attempts)
		select id, 'crm', 'withheld', 'consent is not understood: it is no object of purposes', 1 from kvit.event where event_key = 'search:4';
		delete from kvit.river_job j using kvit.event e where kvit.job_event_id(j.args) = e.id and e.event_key in ('search:3', 'search:4');
		update kvit.river_job set created_at = now() - interval '50 s'`)

	registry := prometheus.NewRegistry()
	registry.MustRegister(web.NewGauges(tx, orders, func(time.Time) time.Duration { return 26 * time.Hour }, quiet))
	_, metrics := get(t, web.Handler(web.Options{Metrics: registry, Logger: quiet}), "GET", "/metrics")
	for _, line := range []string{
		`kvit_pending{destination="crm"} 2`, `kvit_destination_disabled{destination="crm"} 0`,
		`kvit_deliveries_lost{destination="crm"} 1`, `kvit_consent_not_understood{destination="crm"} 1`,
		`kvit_orders_awaiting_import 1`, `kvit_erasures_due 2`, `kvit_erasures_overdue 1`,
		`kvit_erasure_last_success_timestamp 1.767312e+09`, `kvit_erasure_tasks_open 1`,
	} {
		require.Contains(t, metrics, line)
	}
	require.Regexp(t, `kvit_oldest_pending_seconds\{destination="crm"\} 5\d\.`, metrics)
	require.Regexp(t, `kvit_oldest_erasure_task_seconds 7\d\.`, metrics)
	require.Regexp(t, `kvit_oldest_unimported_order_seconds 1\d\d\.`, metrics)
}

func exec(t *testing.T, tx pgx.Tx, sql string) {
	t.Helper()
	_, err := tx.Exec(t.Context(), sql)
	require.NoError(t, err)
}

// Without a database the counters still count: a scrape is no error.
func TestGaugesWithoutADatabase(t *testing.T) {
	t.Parallel()
	pool, err := store.Open(t.Context(), store.Options{URL: "postgres://nobody@127.0.0.1:1/none", MaxConnections: 4})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	registry := prometheus.NewRegistry()
	counter := prometheus.NewCounter(prometheus.CounterOpts{Name: "counts"})
	registry.MustRegister(web.NewGauges(pool, nil, nil, quiet), counter)
	status, metrics := get(t, web.Handler(web.Options{Metrics: registry, Logger: quiet}), "GET", "/metrics")
	require.Equal(t, 200, status)
	require.Contains(t, metrics, "counts 0")
	require.NotContains(t, metrics, "kvit_")
}

func TestPolicyGauge(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		problems int
		err      error
		want     string
	}{
		"Problems":   {2, nil, "kvit_policy_problems 2\n"},
		"None":       {0, nil, "kvit_policy_problems 0\n"},
		"NoDatabase": {0, errors.New("away"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked := 0
			gauge := web.NewPolicyGauge(func(context.Context) (int, error) { asked++; return c.problems, c.err }, quiet)
			registry := prometheus.NewRegistry()
			registry.MustRegister(gauge)
			for range 2 {
				families, err := registry.Gather()
				require.NoError(t, err)
				var got string
				for _, f := range families {
					got += fmt.Sprintf("%s %v\n", f.GetName(), f.GetMetric()[0].GetGauge().GetValue())
				}
				require.Equal(t, c.want, got)
			}
			require.Equal(t, 1, asked, "two scrapers ask once")
		})
	}
}
