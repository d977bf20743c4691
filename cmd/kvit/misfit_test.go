package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/store/storetest"
)

// The shop's migrations run while kvit does, and while it does not: kvit says what does not fit, delivers on, and
// starts all the same.
func TestTheShopMigratesWhileKvitRuns(t *testing.T) {
	t.Parallel()
	const columns = ", imported_at: imported_at, erp_number: erp_number, erased_at: erased_at"
	for name, c := range map[string]struct{ marks, migration, misfit, cure string }{
		"DropMark":  {columns, `alter table orders drop column erased_at`, "column public.orders.erased_at does not exist", `alter table orders add column erased_at timestamptz`},
		"Rename":    {"", `alter table orders rename column created_at to placed`, "column public.orders.created_at does not exist", `alter table orders rename column placed to created_at`},
		"DropTable": {"", `drop table orders`, "table public.orders does not exist", shopTable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var received atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { received.Add(1) }))
			t.Cleanup(server.Close)
			k := install(t, storetest.URL(t), webhookYAML(server)+`
shop:
  orders: {table: orders, ref: number, placed_at: created_at`+c.marks+`}
retention:
  policy:
    - table: orders
      columns: {customer_name: null, imported_at: keep, erp_number: keep, erased_at: keep}
`)
			pool := k.pool()
			exec := func(sql string) {
				_, err := pool.Exec(t.Context(), sql)
				require.NoError(t, err)
			}
			exec(shopTable)
			k.mustCall("migrate", "up")
			running := k.start()
			k.waitReady()
			exec(`alter table orders alter column number type varchar(60), alter column customer_name type varchar(90)`)
			exec(c.migration)

			told := func() {
				require.Contains(t, k.mustCall("status"), "SHOP DOES NOT FIT  "+c.misfit)
				code, stdout, _ := k.call("check", "--offline")
				require.Equal(t, 1, code)
				require.Contains(t, stdout, c.misfit)
				code, _, _ = k.call("erase")
				require.Equal(t, 1, code)
			}
			delivered := func(key string, n int32) {
				exec(`insert into kvit.tracking_event (event_key, name, order_ref, payload, consent)
					values ('` + key + `', 'order_placed', 'E1', '{"order": {"ref": "E1"}}', '{"marketing": true, "analytics": true}')`)
				require.Eventually(t, func() bool { return received.Load() == n }, waitFor, tick)
			}
			told()
			delivered("order_placed:1", 1)
			k.stop(running)
			k.mustCall("migrate", "up")
			running = k.start()
			k.waitReady()
			require.Eventually(t, func() bool { return strings.Contains(k.log.String(), "does not fit shop.orders") }, waitFor, tick)
			delivered("order_placed:2", 2)
			_, metrics := k.get("/metrics")
			require.Contains(t, metrics, "\nkvit_shop_misfit 1\n")
			require.NoError(t, running.Process.Signal(syscall.Signal(0)), "it still runs")

			exec(c.cure)
			require.NotContains(t, k.mustCall("status"), "DOES NOT FIT")
			k.stop(running)
		})
	}
}
