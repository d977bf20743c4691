package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"kvit/destination/spread/spreadtest"
	"kvit/store/storetest"
)

// The marker stands in for everything personal: it is in names, addresses, e-mails, carts.
const (
	marker        = "Mxrkxr"
	markedPayload = `{
		"customer": {"id": "Mxrkxr-1", "email": "Mxrkxr@example.com", "phone": "+4555550123", "first_name": "Mxrkxr", "last_name": "Mxrkxr",
		             "address": {"lines": ["Mxrkxr 1"], "postal_code": "Mxrkxr", "city": "Mxrkxr", "country": "DK"}},
		"order": {"ref": "%[1]s", "number": "%[1]s", "currency": "DKK", "total": "749.00", "delivery_method": "Mxrkxr",
		          "items": [{"sku": "Mxrkxr", "name": "Mxrkxr", "quantity": 1, "unit_price": "749.00"}]},
		"client": {"ip": "192.0.2.1", "user_agent": "Mxrkxr"}, "custom": {"Mxrkxr": "Mxrkxr"}}`
)

// echo answers with what it was sent, in body, header and, for a redirect, in the address.
func echo(status int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Location", "/"+marker)
		w.Header().Set("X-Echo", marker)
		w.WriteHeader(status)
		_, _ = w.Write(body)
	})
}

func serve(t *testing.T, handler http.Handler) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

// No personal data in job rows, logs and metrics, whatever providers answer; after erasure none in
// the whole database.
func TestPersonalDataStaysWhereItBelongs(t *testing.T) {
	t.Parallel()
	spread := serve(t, spreadtest.New("public", secret, nil))
	refusing := serve(t, spreadtest.New("public", secret, func(int) spreadtest.Failure { return spreadtest.Failure{Status: 422, Echo: true} }))
	failing := serve(t, spreadtest.New("public", secret, func(int) spreadtest.Failure { return spreadtest.Failure{Status: 500, Echo: true} }))
	var destinations strings.Builder
	for name, url := range map[string]string{"good": spread, "refusing": refusing, "failing": failing} {
		fmt.Fprintf(&destinations, "  spread_%s: {kind: spread, public_key: \"${SPREAD_KEY}\", private_key: \"${CRM_SECRET}\", base_url: %q}\n", name, url)
	}
	statuses := map[string]int{"ok": 200, "bad_request": 400, "too_many": 429, "broken": 500, "redirect": 302, "forbidden": 403, "gone": 410}
	for name, status := range statuses {
		fmt.Fprintf(&destinations, "  hook_%s: {kind: webhook, url: %q, secret: \"${CRM_SECRET}\", deduplicates: true, allow_private: true}\n", name, serve(t, echo(status)))
	}
	fmt.Fprintf(&destinations, "  hook_unreachable: {kind: webhook, url: %q, secret: \"${CRM_SECRET}\", deduplicates: true, allow_private: true}\n", "http://127.0.0.1:1/")
	fmt.Fprintf(&destinations, "  hook_private: {kind: webhook, url: %q, secret: \"${CRM_SECRET}\", deduplicates: true}\n", "https://127.0.0.1:1/")

	url := storetest.URL(t)
	k := install(t, url, `
database: {url: "${DATABASE_URL}"}
log: {level: debug}
ops: {listen: "%ADDRESS%"}
shop:
  orders: {table: orders, ref: number, placed_at: created_at, imported_at: imported_at, erp_number: erp_number, erased_at: erased_at}
destinations:
`+destinations.String()+`
retention:
  erase_after_import: 1s
  events_after: 1s
  schedule: "0 3 1 1 *"
  policy:
    - table: orders
      columns: {id: keep, customer_name: null, address: {text: erased}, payment_type: null, delivery_type: null, delivery_date: null, cart: null}
    - table: order_lines
      match: {order_id: id}
      rows: delete
`)
	pool := k.pool()
	_, err := pool.Exec(t.Context(), `
		create table orders (id bigint generated always as identity primary key, number text unique not null,
			created_at timestamptz not null default now(), imported_at timestamptz, erp_number text, erased_at timestamptz,
			customer_name text, address text not null, payment_type text, delivery_type text, delivery_date date, cart jsonb);
		create table order_lines (id bigint generated always as identity primary key, order_id bigint references orders (id), text text)`)
	require.NoError(t, err)
	k.mustCall("migrate", "up")
	k.mustCall("check")
	process := k.start()
	k.waitReady()
	const orders = 5
	for i := range orders {
		sell(t, pool, fmt.Sprintf("E%d", i))
	}
	_, err = pool.Exec(t.Context(), `
		insert into kvit.tracking_event (event_key, name, payload, consent)
		values ('account_created:1', 'account_created', '{"customer": {"email": "Mxrkxr at example"}}', '{"marketing": true}'),
		       ('cart_updated:1', 'cart_updated', '"Mxrkxr"', '{"marketing": true, "note": "Mxrkxr"}'),
		       ('account_created:2', 'account_created', '{"customer": {"Mxrkxr": 1, "birthday": "Mxrkxr"}}', '{}')`)
	require.NoError(t, err)

	waitAttempted(t, pool)
	_, metrics := k.get("/metrics")
	require.Contains(t, metrics, `kvit_deliveries_total{destination="spread_good",outcome="delivered"}`)
	require.Contains(t, metrics, `kvit_destination_disabled{destination="hook_gone"} 1`)
	requireNoMarker(t, "metrics", metrics)
	requireNoMarker(t, "log", k.log.String())
	require.Contains(t, k.log.String(), "DESTINATION DISABLED")
	for _, table := range []string{"kvit.river_job", "kvit.delivery", "kvit.delivery_status", "kvit.destination", "kvit.erp_receipt", "kvit.order_status", "kvit.river_queue"} {
		requireNoMarker(t, table, rowsAsText(t, pool, table))
	}
	requireNoMarker(t, "status", k.mustCall("status")+k.mustCall("status", "--json"))

	_, err = pool.Exec(t.Context(), `
		insert into kvit.erp_receipt (order_ref, erp_order_number, source) select number, 'SO-' || id, 'test' from orders`)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		return count(t, pool, `select count(*) from kvit.order_status where erase_due_at <= now()`) == orders
	}, waitFor, tick)
	require.Contains(t, k.mustCall("erase", "--dry-run"), "orders erased     5")
	require.Contains(t, dump(t, url), marker, "a dry run changes nothing, and the search below would find it")
	k.mustCall("erase")
	k.stop(process)
	requireNoMarker(t, "pg_dump", dump(t, url))
	require.Contains(t, k.mustCall("verify"), "5 certificates")
	requireNoMarker(t, "log", k.log.String())
	require.Zero(t, count(t, pool, `select count(*) from kvit.delivery_status where state in ('pending', 'retrying')`), "pending deliveries end as erased")
}

func sell(t *testing.T, pool *pgxpool.Pool, ref string) {
	t.Helper()
	err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), `
			with o as (
				insert into orders (number, customer_name, address, payment_type, delivery_type, delivery_date, cart)
				values ($1, 'Mxrkxr', 'Mxrkxr 1', 'Mxrkxr', 'Mxrkxr', '2026-12-24', '{"items": ["Mxrkxr"]}') returning id)
			insert into order_lines (order_id, text) select id, 'Mxrkxr' from o`, ref)
		if err != nil {
			return err
		}
		_, err = tx.Exec(t.Context(), `
			insert into kvit.tracking_event (event_key, name, order_ref, payload, consent)
			values ('order_placed:' || $1::text, 'order_placed', $1, $2, '{"marketing": true}')`, ref, fmt.Sprintf(markedPayload, ref))
		return err
	})
	require.NoError(t, err)
}

// waitAttempted waits until each delivery has ended or has been tried, but for those to the
// destination that is paused.
func waitAttempted(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	require.Eventually(t, func() bool {
		return count(t, pool, `
			select count(*) from kvit.river_job
			where kind = 'deliver_event' and finalized_at is null and errors is null
			  and coalesce(metadata ->> 'snoozes', '0') = '0'
			  and queue <> 'deliver_hook_gone'`) == 0 &&
			count(t, pool, `select count(*) from kvit.destination where disabled_at is not null`) == 1
	}, waitFor, tick)
}

func rowsAsText(t *testing.T, pool *pgxpool.Pool, table string) string {
	t.Helper()
	rows, _ := pool.Query(t.Context(), `select r::text from `+table+` r`)
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return strings.Join(lines, "\n")
}

func dump(t *testing.T, url string) string {
	t.Helper()
	program := filepath.Join(storetest.Server(t).BinDir(), "pg_dump")
	text, err := exec.CommandContext(context.WithoutCancel(t.Context()), program, "--dbname", url).Output()
	require.NoError(t, err)
	require.Greater(t, len(text), 10_000)
	return string(text)
}

func requireNoMarker(t *testing.T, where, text string) {
	t.Helper()
	for _, line := range strings.Split(text, "\n") {
		if strings.Contains(strings.ToLower(line), strings.ToLower(marker)) {
			t.Fatalf("personal data in %s: %.300s", where, line)
		}
	}
}
