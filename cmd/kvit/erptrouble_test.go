package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"kvit/store/storetest"
)

// troubledYAML is a shop whose orders are late, one ERP that is down with credentials that end, and the door for receipts.
const troubledYAML = `
database: {url: "${DATABASE_URL}"}
log: {level: info, format: json}
ops: {listen: "%%ADDRESS%%", erp_receipts_token: "${CRM_SECRET}"}
shop:
  orders: {table: public.orders, ref: number, placed_at: placed, imported_at: imported, erp_number: erp, erased_at: erased, awaiting_import: "status = 'paid'"}
retention: {alarm_unimported_after: 4h}
erp:
  bc: {kind: business_central, base_url: %q, allow_private: true, token_url: %q, company: %s, company_name: CRONUS, client_id: kvit, client_secret: "${CRM_SECRET}", poll: 1h, credentials_expire: %q}
`

// push sends receipts to POST /erp/receipts, and returns what became of each.
func (k *kvit) push(body string) (statuses []string) {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(k.t.Context(), 30*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+k.address+"/erp/receipts", strings.NewReader(body))
	require.NoError(k.t, err)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+secret)
	response, err := http.DefaultClient.Do(request)
	require.NoError(k.t, err)
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	require.NoError(k.t, err)
	require.Equal(k.t, http.StatusOK, response.StatusCode, "%s", text)
	var answer struct {
		Results []struct{ Status string } `json:"results"`
	}
	require.NoError(k.t, json.Unmarshal(text, &answer))
	for _, r := range answer.Results {
		statuses = append(statuses, r.Status)
	}
	return statuses
}

// An ERP that is down, credentials that end, orders that are late and an order with two numbers: status, metrics, the log and the
// shop's own view tell of each. Receipts that are sent have results line by line, and what one of them marks is green.
func TestERPTrouble(t *testing.T) {
	t.Parallel()
	down := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }))
	k := install(t, storetest.URL(t), fmt.Sprintf(troubledYAML, down, down+"/token", erpCompany, time.Now().AddDate(0, 0, 10).UTC().Format(time.DateOnly)))
	k.execute(`create table public.orders (number text primary key, status text not null default 'paid', placed timestamptz not null default now() - interval '5 hours', imported timestamptz, erp text, erased timestamptz)`)
	k.mustCall("migrate", "up")
	k.execute(`insert into public.orders (number, status, placed) values ('E1', 'paid', now() - interval '5 hours'), ('E2', 'paid', now() - interval '5 hours'),
		('E3', 'paid', now()), ('E4', 'cancelled', now() - interval '5 hours'), ('E5', 'paid', now())`)
	pool := k.pool()
	run := k.start()
	require.Eventually(t, func() bool {
		return count(t, pool, `select count(*) from kvit.erp_source where name = 'bc' and failures > 0 and lease is null`) == 1
	}, waitFor, tick)
	k.stop(run)
	k.execute(`update kvit.erp_source set added_at = now() - interval '4 hours'`) // three polls, and a minute
	k.start()
	k.waitReady()

	require.Equal(t, []string{"marked", "marked", "unknown_order", "ignored", "recorded_failure", "refused"}, k.push(`{"receipts":[
		{"web_order":"E2","erp_order_number":"SO-2"}, {"web_order":"E5","erp_order_number":"SO-5"}, {"web_order":"E99","erp_order_number":"SO-99"},
		{"web_order":"E3","erp_order_number":"Q-3","kind":"quote"}, {"web_order":"E1","result":"failed","message":"unknown item"}, {"web_order":""}]}`))
	require.Equal(t, []string{"already_marked", "conflict"}, k.push(`{"receipts":[
		{"web_order":"E2","erp_order_number":"SO-2"}, {"web_order":"E5","erp_order_number":"SO-6"}]}`))

	rows, err := pool.Query(t.Context(), `select order_ref || ' ' || light || coalesce(' ' || erp_order_number, '') || coalesce(': ' || reason, '') from kvit.order_light order by 1`)
	require.NoError(t, err)
	lights, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Equal(t, []string{"E1 red: the ERP should have it by now", "E2 green SO-2", "E3 blue", "E5 red SO-5: the ERP has told two numbers"}, lights)

	code, out, _ := k.call("status")
	require.Equal(t, exitFailed, code, "an alarm is on")
	for _, alarm := range []string{"ERP SILENT", "ERP CREDENTIALS END", "IMPORTS LATE", "TWO ERP NUMBERS"} {
		require.Contains(t, out, alarm)
	}
	require.Contains(t, k.mustCall("erp", "list"), "FAILS")
	require.Contains(t, k.mustCall("orders", "--conflict"), "SO-6")
	require.Contains(t, k.mustCall("orders", "--awaiting"), "LATE")
	require.Eventually(t, func() bool {
		_, body := k.get("/metrics")
		return strings.Contains(body, `kvit_erp_silent{source="bc"} 1`) && strings.Contains(body, `kvit_orders_import_late 1`) &&
			strings.Contains(body, `kvit_erp_credentials_expire_timestamp{source="bc"}`)
	}, waitFor, tick)
	require.Eventually(t, func() bool {
		return strings.Contains(k.log.String(), "an ERP was not asked with success for three polls") && strings.Contains(k.log.String(), "the credentials of an ERP end soon")
	}, waitFor, tick)
	require.NotContains(t, k.log.String(), "unknown item")
}
