package bench

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	"kvit/config"
	"kvit/store"
	"kvit/store/localpg"
	"kvit/web"
	"kvit/web/access"
	"kvit/web/pages"
)

// BenchmarkStatus asks what operators and Prometheus ask, among 3,000,000 receipts and 1,000,000 deliveries that
// wait: the newest deliveries and those of one order in kvit.delivery_status, `kvit status` as a whole, with the start of
// the process, the gauges of /metrics, and the overview of the pages. Of nine of each the median counts, and for delivery_status the worst one.
// The rows are written with fsync off and indexes of the jobs' args left out, which none of this reads.
func BenchmarkStatus(b *testing.B) {
	server, err := localpg.Start(b.Context(), localpg.Options{Settings: map[string]string{"fsync": "off", "max_wal_size": "8GB"}})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, server.Stop(context.Background())) })
	binary, url := build(b), database(b, server, "status")
	pool := open(b, url)
	command := kvitCommand(b, binary, url, `destinations:
  crm: {kind: webhook, url: "http://127.0.0.1:9/", secret: "${CRM_SECRET}", deduplicates: true, allow_private: true}
`)
	require.NoError(b, command("migrate", "up").Run())
	fillStatus(b, pool)
	newest := func() { readAll(b, pool, `select * from kvit.delivery_status order by event_id desc limit 5`) }
	ofOrder := func() { readAll(b, pool, `select * from kvit.delivery_status where order_ref = 'E1999999'`) }
	troubles := func() {
		readAll(b, pool, `select * from kvit.delivery_status where state in ('rejected', 'failed') order by finished_at desc limit 50`)
	}
	status := func() {
		cmd := command("status")
		cmd.Stdout = io.Discard
		var alarmed *exec.ExitError // what has waited for long is an alarm
		if err := cmd.Run(); !errors.As(err, &alarmed) || alarmed.ExitCode() != 1 {
			require.NoError(b, err)
		}
	}
	metrics := func() {
		registry := prometheus.NewRegistry()
		registry.MustRegister(web.NewGauges(pool, nil, func(time.Time) time.Duration { return time.Hour }, slog.New(slog.DiscardHandler)))
		_, err := registry.Gather()
		require.NoError(b, err)
	}
	overview := overviewOf(b, pool)
	for b.Loop() {
		_, worst := times(newest)
		b.ReportMetric(worst, "newest_ms")
		_, worst = times(ofOrder)
		b.ReportMetric(worst, "of_order_ms")
		_, worst = times(troubles)
		b.ReportMetric(worst, "rejected_ms")
		median, _ := times(status)
		b.ReportMetric(median, "status_ms")
		median, _ = times(metrics)
		b.ReportMetric(median, "metrics_ms")
		median, _ = times(overview)
		b.ReportMetric(median, "overview_ms")
		_, worst = times(func() { // with as many receipts as it reads at most
			activity, err := store.ReadActivity(b.Context(), pool, time.Now().AddDate(0, 0, -23))
			require.NoError(b, err)
			require.False(b, activity.Whole)
		})
		b.ReportMetric(worst, "activity_ms")
		median, _ = times(func() {
			_, err := store.FindLost(b.Context(), pool)
			require.NoError(b, err)
		})
		b.ReportMetric(median, "find_lost_ms")
	}
	b.ReportMetric(0, "ns/op")
}

// overviewOf reads the first page as a browser does that has logged in; nothing is kept from one time to the next.
func overviewOf(b *testing.B, pool *pgxpool.Pool) func() {
	hash, err := bcrypt.GenerateFromPassword([]byte("a password"), bcrypt.MinCost)
	require.NoError(b, err)
	logger := slog.New(slog.DiscardHandler)
	guard, err := access.New(access.Options{DB: pool, Logger: logger, KeepAudit: time.Hour, Users: []access.Account{
		{User: access.User{Name: "anna", Role: access.Read}, PasswordHash: string(hash)},
	}})
	require.NoError(b, err)
	ask := func(r *http.Request) *httptest.ResponseRecorder {
		site, err := pages.New(pages.Options{
			Pool: pool, Guard: guard, Logger: logger, Grace: func(time.Time) time.Duration { return time.Hour },
			Config: config.Config{Retention: config.Retention{Schedule: "30 3 * * *", TimeZone: "UTC"}},
		})
		require.NoError(b, err)
		answer := httptest.NewRecorder()
		site.Handler().ServeHTTP(answer, r)
		return answer
	}
	login := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/login", strings.NewReader("name=anna&password=a+password"))
	login.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	cookies := ask(login).Result().Cookies()
	require.Len(b, cookies, 1)
	return func() {
		r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/", nil)
		r.AddCookie(cookies[0])
		require.Equal(b, http.StatusOK, ask(r).Code)
	}
}

// times gives the median and the longest of nine, in ms.
func times(do func()) (median, worst float64) {
	var took []float64
	for range 9 {
		start := time.Now()
		do()
		took = append(took, milliseconds(time.Since(start)))
	}
	slices.Sort(took)
	return took[4], took[8]
}

func readAll(b *testing.B, pool *pgxpool.Pool, sql string) {
	b.Helper()
	rows, err := pool.Query(b.Context(), sql)
	require.NoError(b, err)
	n := 0
	for rows.Next() {
		n++
	}
	require.NoError(b, rows.Err())
	require.Positive(b, n)
}

// fillStatus writes 2,000,000 events: two destinations have receipts of the first 1,500,000 and wait for the others.
func fillStatus(b *testing.B, pool *pgxpool.Pool) {
	b.Helper()
	for _, statement := range []string{
		`drop index if exists kvit.river_job_args_index, kvit.river_job_metadata_index`,
		`insert into kvit.destination (name, kind, enabled, event_names) values ('crm', 'webhook', true, '{order_paid}'), ('ga4', 'ga4', true, '{order_paid}')
		 on conflict (name) do nothing`, // migrate up has written those of the configuration
		`insert into kvit.event (event_key, name, occurred_at, order_ref, payload, consent, received_at, stream, destinations)
		 select 'order_paid:E' || i, 'order_paid', at, 'E' || i, '{}', '{"marketing": true}', at, 'order:E' || i, '{crm,ga4}'
		 from generate_series(1, 2000000) i cross join lateral (select now() - (2000300 - i) * interval '1 second') t (at)`,
		`insert into kvit.delivery (event_id, destination, outcome, reason, attempts)
		 select i, d, case when i % 1000 = 0 then 'rejected' when i % 10 = 0 then 'withheld' else 'delivered' end,
		        case when i % 10 = 0 then 'no consent for marketing' end, 1
		 from generate_series(1, 1500000) i, unnest('{crm,ga4}'::text[]) d`,
		`insert into kvit.river_job (kind, args, queue, max_attempts, state, attempt, errors, created_at)
		 select 'deliver_event', jsonb_build_object('event_id', i, 'destination', d), 'deliver_' || d, 10000,
		        case when i % 5 = 0 then 'retryable' else 'available' end::kvit.river_job_state, i % 5,
		        case when i % 5 = 0 then array['{"error": "HTTP 500"}'::jsonb] end, now() - (2000300 - i) * interval '1 second'
		 from generate_series(1500001, 2000000) i, unnest('{crm,ga4}'::text[]) d`,
		`vacuum analyze kvit.event, kvit.delivery, kvit.river_job`,
	} {
		_, err := pool.Exec(b.Context(), statement)
		require.NoError(b, err)
	}
}
