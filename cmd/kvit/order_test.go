package main

import (
	"fmt"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/destination/spread/spreadtest"
	"kvit/store/storetest"
)

// Two processes share the work, SPREAD fails now and then, and events of an order are inserted in
// the wrong order: still no order ever goes back to a state that it had left.
func TestStatesOfAnOrderGoForwardsWithTwoProcesses(t *testing.T) {
	t.Parallel()
	fake := spreadtest.New("public", secret, func(n int) spreadtest.Failure {
		if n%11 != 0 {
			return spreadtest.Failure{}
		}
		return spreadtest.Failure{Status: 500, After: n%22 == 0}
	})
	server := httptest.NewServer(fake)
	t.Cleanup(server.Close)
	yaml := fmt.Sprintf(`
database: {url: "${DATABASE_URL}"}
ops: {listen: "%%ADDRESS%%"}
delivery: {keep_jobs: 24h}
destinations:
  spread: {kind: spread, public_key: "${SPREAD_KEY}", private_key: "${CRM_SECRET}", base_url: %q, concurrency: 8}
`, server.URL)
	url := storetest.URL(t)
	k := install(t, url, yaml)
	k.mustCall("migrate", "up")
	for _, other := range []*kvit{k, install(t, url, yaml)} {
		other.start()
		other.waitReady()
	}

	const orders = 40
	pool := k.pool()
	for _, name := range []string{"order_shipped", "order_placed", "order_paid"} {
		_, err := pool.Exec(t.Context(), `
			insert into kvit.tracking_event (event_key, name, order_ref, occurred_at, payload, consent)
			select $1 || ':E' || i, $1, 'E' || i, now() + case $1 when 'order_paid' then interval '1 s' when 'order_shipped' then interval '2 s' else interval '0' end,
			       jsonb_build_object('customer', '{"email": "jane.doe@example.com"}'::jsonb, 'order', jsonb_build_object('ref', 'E' || i, 'total', '749.00')),
			       '{"marketing": true}'
			from generate_series(1, $2::integer) i`, name, orders)
		require.NoError(t, err)
		// Some of the orders that are shipped first are SPREAD's before their other states come.
		require.Eventually(t, func() bool { return count(t, pool, `select count(*) from kvit.delivery`) > 5 }, waitFor, tick)
	}
	require.Eventually(t, func() bool {
		require.NoError(t, hasten(t.Context(), pool))
		return count(t, pool, `select count(*) from kvit.delivery where outcome in ('delivered', 'superseded')`) == 3*orders
	}, 2*waitFor, 10*tick)
	for i := 1; i <= orders; i++ {
		order, ok := fake.Order(fmt.Sprintf("E%d", i))
		require.True(t, ok)
		require.Equal(t, "50", order.State)
	}
	require.Zero(t, fake.Counts().Lowered)
	require.Equal(t, orders, fake.Counts().Orders)
	require.Positive(t, count(t, pool, `select count(*) from kvit.delivery where outcome = 'superseded'`), "shipped was there first")
	require.Equal(t, 2, count(t, pool, `
		select count(distinct a) from kvit.river_job, unnest(attempted_by) a where kind = 'deliver_event'`), "both processes had work")
}
