package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/erp/odata/odatatest"
	"kvit/store/storetest"
)

// notifiedInstall is a kvit that looks once an hour, beside a Business Central that notifies it at the path.
func notifiedInstall(t *testing.T, bc *odatatest.Server, path string, refs ...string) *kvit {
	t.Helper()
	address := serve(t, bc)
	k := install(t, storetest.URL(t), fmt.Sprintf(`
database: {url: "${DATABASE_URL}"}
log: {level: info, format: json}
ops: {listen: "%%ADDRESS%%"}
shop:
  orders: {table: public.orders, ref: number, placed_at: placed, imported_at: imported, erp_number: erp, erased_at: erased, awaiting_import: "status = 'paid'"}
erp:
  bc: {kind: business_central, base_url: %q, allow_private: true, token_url: %q, company: %s, company_name: CRONUS, client_id: kvit, client_secret: "${CRM_SECRET}", poll: 1h,
    notifications: {url: "http://%%ADDRESS%%%s", state: "${CRM_SECRET}"}}
`, address, address+"/token", erpCompany, path))
	k.execute(`create table public.orders (number text primary key, status text not null default 'paid', placed timestamptz not null default now() - interval '5 hours', imported timestamptz, erp text, erased timestamptz)`)
	k.mustCall("migrate", "up")
	k.execute(`insert into public.orders (number) select unnest($1::text[])`, refs)
	return k
}

// notify sends what Business Central sends.
func (k *kvit) notify(path, state string) int {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(k.t.Context(), 10*time.Second)
	defer cancel()
	body := fmt.Sprintf(`{"value":[{"subscriptionId":"s1","clientState":%q,"changeType":"updated","resource":"api/v2.0/companies(%s)/salesOrders(1)"}]}`, state, erpCompany)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+k.address+path, strings.NewReader(body))
	require.NoError(k.t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(k.t, err)
	require.NoError(k.t, response.Body.Close())
	return response.StatusCode
}

// Business Central is subscribed to when kvit starts, shakes hands, and notifies: whoever knows the state makes kvit look at once, and
// nobody else does. Subscriptions are renewed a day before they end, not made a second time, and made anew where they are gone.
func TestBusinessCentralNotifies(t *testing.T) {
	t.Parallel()
	const path = "/erp/notifications/bc"
	bc := newBusinessCentral()
	k := notifiedInstall(t, bc, path, "E1", "E2")
	pool := k.pool()
	marked := func(ref string) func() bool {
		return func() bool {
			return count(t, pool, `select count(*) from public.orders where number = $1 and imported is not null and erp = '10100' || right(number, 1)`, ref) == 1
		}
	}
	polled := func() int { return count(t, pool, `select count(*) from kvit.river_job where kind = 'poll_erp'`) }
	atRest := func() bool {
		return count(t, pool, `select count(*) from kvit.erp_source where last_success_at is not null and lease is null`) == 1 &&
			count(t, pool, `select count(*) from kvit.river_job where kind = 'poll_erp' and state <> 'completed'`) == 0
	}
	k.start()
	require.Eventually(t, func() bool { return len(bc.Subscriptions()) == 2 }, waitFor, tick)
	require.Equal(t, []string{"api/v2.0/companies(" + erpCompany + ")/salesInvoices", "api/v2.0/companies(" + erpCompany + ")/salesOrders"}, bc.Subscriptions())
	require.Eventually(t, atRest, waitFor, tick)
	require.Positive(t, count(t, pool, `select count(*) from kvit.erp_source where subscribed_until > now() + interval '71 hours' and warning is null`))

	bc.Put("salesOrders", bcRow("WEB-E1", "101001", ""))
	before, asked := polled(), bc.Requests()
	require.Equal(t, http.StatusForbidden, k.notify(path, "a state that somebody has guessed, 42 chars"))
	require.Equal(t, http.StatusNotFound, k.notify("/erp/notifications/other", secret))
	require.Equal(t, before, polled(), "no poll was asked for")
	require.Equal(t, asked, bc.Requests())

	require.Equal(t, http.StatusOK, k.notify(path, secret))
	require.Eventually(t, marked("E1"), waitFor, tick)

	bc.EndSubscriptions(24 * time.Hour)
	k.execute(`update kvit.erp_source set subscribed_until = now() + interval '24 hours'`)
	require.Eventually(t, func() bool { // one notification in ten seconds is followed
		return k.notify(path, secret) == http.StatusOK && bc.SubscribedFor() > 71*time.Hour
	}, waitFor, 500*time.Millisecond)
	require.Len(t, bc.Subscriptions(), 2)

	require.Eventually(t, atRest, waitFor, tick)
	bc.LoseSubscriptions()
	k.execute(`update kvit.erp_source set subscribed_until = now() + interval '24 hours'`)
	bc.Put("salesOrders", bcRow("WEB-E2", "101002", ""))
	require.Eventually(t, func() bool { return k.notify(path, secret) == http.StatusOK && marked("E2")() }, waitFor, 500*time.Millisecond)
	require.Len(t, bc.Subscriptions(), 2)
}

// A Business Central that does not reach kvit refuses the subscription: orders are marked by polls all the same, and people are told.
func TestBusinessCentralCannotNotify(t *testing.T) {
	t.Parallel()
	bc := newBusinessCentral()
	bc.Put("salesOrders", bcRow("WEB-E1", "101001", ""))
	k := notifiedInstall(t, bc, "/elsewhere", "E1")
	pool := k.pool()
	k.start()
	require.Eventually(t, func() bool {
		return count(t, pool, `select count(*) from public.orders where erp = '101001'`) == 1
	}, waitFor, tick)
	require.Eventually(t, func() bool {
		return strings.Contains(k.mustCall("erp", "list"), "warning: the ERP does not take the subscription to its notifications")
	}, waitFor, tick)
	require.Empty(t, bc.Subscriptions())
}
