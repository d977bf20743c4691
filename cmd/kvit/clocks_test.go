package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/migrations"
	"kvit/store/storetest"
)

// runAsChild is main, but its clock is ahead by what the file in $KVIT_TEST_CLOCK says at the moment.
func runAsChild() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	a := newApp(os.Getenv, os.Stdout, os.Stderr)
	if file := os.Getenv("KVIT_TEST_CLOCK"); file != "" {
		a.now = func() time.Time {
			text, _ := os.ReadFile(file) // none: it is right
			ahead, _ := time.ParseDuration(strings.TrimSpace(string(text)))
			return time.Now().Add(ahead)
		}
	}
	code := a.run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

const clockYAML = `
database: {url: "${DATABASE_URL}"}
ops: {listen: "%ADDRESS%"}
shop:
  orders: {table: public.orders, ref: number, placed_at: placed, awaiting_import: "true"}
retention:
  erase_after_import: 30d
  schedule: "30 2 * * *"
  brake: {max_orders: 0, max_share: 0, max_event_share: 0}
  policy:
    - {table: public.orders, columns: {number: keep, placed: keep, email: {text: erased}}}
`

const clockTable = `create table if not exists public.orders (number text primary key, placed timestamptz not null default now(), email text not null)`

// imported are orders that the ERP got some time ago by the database's clock, and a payload of that age.
func (k *kvit) imported(orders int, ago string) {
	k.t.Helper()
	pool := k.pool()
	_, err := pool.Exec(k.t.Context(), clockTable)
	require.NoError(k.t, err)
	_, err = pool.Exec(k.t.Context(), `
		with placed as (
		    insert into public.orders (number, email) select 'E' || i, 'somebody' from generate_series(1, $1) i returning number
		)
		insert into kvit.order_mark (order_ref, imported_at) select number, now() - $2::interval from placed`, orders, ago)
	require.NoError(k.t, err)
	_, err = pool.Exec(k.t.Context(), `
		insert into kvit.tracking_event (event_key, name, payload) values ('search:1', 'search', '{}')`)
	require.NoError(k.t, err)
}

func (k *kvit) untouched() int {
	k.t.Helper()
	return count(k.t, k.pool(), `select count(*) from public.orders where email = 'somebody'`)
}

// A machine that is 30 days ahead: nothing that arrived yesterday is erased, by no command, and the daemon says why.
func TestAClockThatIsAheadErasesNothing(t *testing.T) {
	t.Parallel()
	k := install(t, storetest.URL(t), clockYAML)
	k.mustCall("migrate", "up")
	k.start()
	k.waitReady() // it makes kvit.order_status
	storetest.ShiftClock(t, k.pool(), -30*24*time.Hour)
	k.imported(50, "1 day")

	require.Eventually(t, func() bool {
		status, body := k.get("/readyz")
		return status == 503 && strings.Contains(body, "clocks are apart")
	}, waitFor, tick)
	_, metrics := k.get("/metrics")
	require.Regexp(t, `kvit_clock_ahead_seconds 2\.59\d+e\+06`, metrics)

	code, _, stderr := install(t, k.url, clockYAML).call("run") // at another address
	require.Equal(t, exitFailed, code)
	require.Contains(t, stderr, "refused to start: the clocks are apart: this machine says "+time.Now().UTC().Format("2006-01-02T"))
	require.Contains(t, stderr, "the database "+time.Now().UTC().AddDate(0, 0, -30).Format("2006-01-02T"))
	code, _, stderr = k.call("erase", "--confirm")
	require.Equal(t, exitFailed, code)
	require.Contains(t, stderr, "the clocks are apart")
	require.Contains(t, k.mustCall("status"), "DOES NOT ERASE")
	require.Equal(t, 50, k.untouched())
	require.Equal(t, 1, count(t, k.pool(), `select count(*) from kvit.event where payload is not null`))
}

// A few seconds are no reason to stop, and what is due is due by the database's clock.
func TestTheDatabasesClockDecides(t *testing.T) {
	t.Parallel()
	k := install(t, storetest.URL(t), clockYAML)
	k.mustCall("migrate", "up")
	storetest.ShiftClock(t, k.pool(), -20*time.Second)
	k.imported(1, "29 days 23:59:50")
	require.Contains(t, k.mustCall("erase"), "orders erased     0")
	require.Contains(t, k.mustCall("status"), "this machine's clock is 20s ahead of the database's")
	_, err := k.pool().Exec(t.Context(), `update kvit.order_mark set imported_at = now() - interval '30 days 1 second'`)
	require.NoError(t, err)
	require.Contains(t, k.mustCall("erase"), "orders erased     1")
}

// A leader whose clock jumps lets go, and another process takes its place.
func TestALeaderWhoseClockJumpsLetsGo(t *testing.T) {
	t.Parallel()
	url := storetest.URL(t)
	k := install(t, url, clockYAML)
	k.mustCall("migrate", "up")
	_, err := k.pool().Exec(t.Context(), clockTable)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "clock")
	wrong := k.command("run")
	wrong.Env = append(wrong.Env, "KVIT_TEST_CLOCK="+file)
	wrong.Stdout, wrong.Stderr = k.log, k.log
	require.NoError(t, wrong.Start())
	t.Cleanup(func() { _ = wrong.Process.Kill(); _ = wrong.Wait() })
	k.waitReady()
	leader := func() (id string) {
		_ = k.pool().QueryRow(t.Context(), `select coalesce(max(leader_id), '') from kvit.river_leader where expires_at > now()`).Scan(&id)
		return id
	}
	require.Eventually(t, func() bool { return leader() != "" }, waitFor, tick)
	first := leader()

	other := install(t, url, clockYAML)
	other.start()
	other.waitReady()
	require.NoError(t, os.WriteFile(file, []byte("300s"), 0o600))
	require.Eventually(t, func() bool { id := leader(); return id != "" && id != first }, waitFor, tick, "the other one leads")
	status, body := k.get("/readyz")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Contains(t, body, "the clocks are apart")
	status, _ = other.get("/readyz")
	require.Equal(t, http.StatusOK, status)
}

// While a newer kvit has migrated, the process that knows less neither erases by schedule nor by hand, and says so.
func TestAnOldKvitErasesNothing(t *testing.T) {
	t.Parallel()
	k := install(t, storetest.URL(t), clockYAML)
	k.mustCall("migrate", "up")
	k.start()
	k.waitReady()
	k.imported(5, "31 days")
	pool := k.pool()
	_, err := pool.Exec(t.Context(), `
		update kvit.requirement set migration = 999;
		insert into kvit.river_job (kind, args, queue, max_attempts) values ('erase_due', '{"catch_up": false}', 'maintenance', 10)`)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		return count(t, pool, `select count(*) from kvit.river_job where kind = 'erase_due' and args = '{"catch_up": false}' and metadata ? 'snoozes'`) == 1
	}, waitFor, tick, "the job waits for a newer kvit")
	_, metrics := k.get("/metrics")
	require.Contains(t, metrics, "kvit_too_old_to_erase 1")
	code, _, stderr := k.call("erase")
	require.Equal(t, exitFailed, code)
	require.Contains(t, stderr, fmt.Sprintf("too old to erase: it knows migration %d, and the schema asks for 999", migrations.Newest()))
	require.Contains(t, k.mustCall("status"), "DOES NOT ERASE")
	require.Equal(t, 5, k.untouched())

	_, err = pool.Exec(t.Context(), `update kvit.requirement set migration = 16`)
	require.NoError(t, err)
	require.Contains(t, k.mustCall("erase"), "orders erased     5")
}

// What a clock that was ahead has left behind is an alarm, and not the last good news.
func TestTheFutureIsAnAlarm(t *testing.T) {
	t.Parallel()
	k := install(t, storetest.URL(t), clockYAML)
	k.mustCall("migrate", "up")
	k.imported(1, "1 day")
	_, err := k.pool().Exec(t.Context(), `
		insert into kvit.erasure_run (started_at, finished_at, known_migration) values (now() + interval '719 hours', now() + interval '719 hours', 16)`)
	require.NoError(t, err)
	text := k.mustCall("status")
	require.Contains(t, text, "IN THE FUTURE  an erasure at ")
	require.Regexp(t, `last erasure +IN THE FUTURE`, text)
	k.start()
	k.waitReady()
	require.Eventually(t, func() bool {
		_, metrics := k.get("/metrics")
		return strings.Contains(metrics, "kvit_records_in_future 1")
	}, waitFor, tick)
	require.Contains(t, k.log.String(), "lies in the future")
}
