package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"kvit/destination"
	"kvit/destination/destinationtest"
	"kvit/store/storetest"
)

// The marker stands in for everything personal: it is in names, addresses, e-mails, carts.
const marker = destinationtest.Marker

// personal is what nobody but the shop and the providers may have, in small letters: the marker, what
// cannot hold it, and what the customer's e-mail address becomes at most providers.
var personal = []string{
	strings.ToLower(marker), "2025550123", "1990-05-17", "2001:db8::1",
	fmt.Sprintf("%x", sha256.Sum256([]byte(strings.ToLower(marker)+".doe@example.com"))),
}

// markedPayload lacks nothing that any provider wants.
func markedPayload(t *testing.T, ref string) string {
	t.Helper()
	return strings.ReplaceAll(string(destinationtest.Event(t, "order_paid").Raw), "E100042", ref)
}

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

// tear answers with what it was sent, in a form that no provider has.
func tear(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	_, _ = fmt.Fprintf(w, "<html>%s", body)
}

// accuse answers with the marker wherever providers say what is wrong.
func accuse(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusUnprocessableEntity)
	_, _ = io.WriteString(w, strings.ReplaceAll(`{
		"code": 1, "message": "MARKER", "status": "error", "result": "error", "request_id": "MARKER", "traceId": "MARKER",
		"error": {"message": "MARKER", "type": "MARKER", "code": 100, "error_subcode": 1, "error_user_msg": "MARKER", "fbtrace_id": "MARKER",
		          "details": [{"index": 0, "propertyName": "MARKER", "attemptedValue": "MARKER", "errorMessage": "MARKER"}]},
		"errors": [{"id": "MARKER", "status": 422, "code": "MARKER", "title": "MARKER", "detail": "MARKER", "source": {"pointer": "MARKER"}}],
		"details": {"num_events_received": 1, "num_events_processed": 0, "events": [{"status": "failed", "error_message": "MARKER"}]},
		"tracked": 0, "invalid": 1, "invalid_indices": [0], "validationMessages": [{"description": "MARKER", "validationCode": "MARKER"}]}`, "MARKER", marker))
}

func serve(t *testing.T, handler http.Handler) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

// No personal data in job rows, logs, metrics, traces, and on any page, whatever providers answer; after erasure none in the whole
// database.
func TestPersonalDataStaysWhereItBelongs(t *testing.T) {
	t.Parallel()
	good, heard := goodProviders(t)
	destinations := good + badProviders(t)

	alarms := newAlarmDesk(t, http.StatusOK)
	url := storetest.URL(t)
	k := install(t, url, `
database: {url: "${DATABASE_URL}"}
log: {level: debug}
ops: {listen: "%ADDRESS%"}
notify:
  `+channelYAML("hook", alarms.URL)+`
shop:
  orders: {table: orders, ref: number, placed_at: created_at, imported_at: imported_at, erp_number: erp_number, erased_at: erased_at}
destinations:
`+destinations+`
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
	k.mustCall("check", "--offline")
	spans := &spans{}
	k.env = []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + serve(t, spans), "OTEL_BSP_SCHEDULE_DELAY=50"}
	process := k.start()
	k.waitReady()
	const orders = 5
	for i := range orders {
		sell(t, pool, fmt.Sprintf("E%d", i))
	}
	sayEverything(t, pool)
	_, err = pool.Exec(t.Context(), `
		insert into kvit.tracking_event (event_key, name, payload, consent)
		values ('account_created:1', 'account_created', '{"customer": {"email": "Qmarker at example"}}', '{"marketing": true}'),
		       ('cart_updated:1', 'cart_updated', '"Qmarker"', '{"marketing": true, "note": "Qmarker"}'),
		       ('account_created:2', 'account_created', '{"customer": {"Qmarker": 1, "birthday": "Qmarker"}}', '{}')`)
	require.NoError(t, err)

	waitAttempted(t, pool)
	_, metrics := k.get("/metrics")
	heard(metrics)
	require.Zero(t, count(t, pool, `
		select count(*) from kvit.delivery_status
		where destination like 'good%' and state = 'rejected' and event_key not in ('account_created:1', 'cart_updated:1')`))
	require.Contains(t, metrics, `kvit_destination_disabled{destination="hook_gone"} 1`)
	requireNoMarker(t, "metrics", metrics)
	requireNoMarker(t, "log", k.log.String())
	require.Contains(t, k.log.String(), "DESTINATION DISABLED")
	_, err = pool.Exec(t.Context(), `update kvit.destination set held_since = held_since - interval '1 hour' where held_since is not null`)
	require.NoError(t, err)
	lookForAlarms(t, pool)
	lookForAlarms(t, pool)
	for _, told := range []string{"KvitDestinationDisabled hook_gone", "KvitProviderHeld webhook_forbidden", "KvitEventsFail"} {
		require.Contains(t, strings.Join(alarms.heard(t), "\n"), "alarm.opened "+told)
	}
	requireNoMarker(t, "messages of alarms", alarms.text())
	for _, table := range []string{"kvit.notification", "kvit.notification_message", "kvit.river_job", "kvit.delivery", "kvit.delivery_status", "kvit.destination", "kvit.erp_receipt", "kvit.order_status", "kvit.river_queue", "kvit.delivery_attempt", "kvit.operation", "kvit.audit"} {
		requireNoMarker(t, table, rowsAsText(t, pool, table))
	}
	requireNoMarker(t, "status", k.mustCall("status")+k.mustCall("status", "--json"))
	k.mustCall("hold", "add", "E4", "--reason", "case 7", "--by", "legal")
	pages := pagesOf(t, k)
	requireNoMarkerOnPages(t, pages, "before the erasure")
	k.mustCall("hold", "release", "E4")

	_, err = pool.Exec(t.Context(), `
		insert into kvit.erp_receipt (order_ref, erp_order_number, source) select number, 'SO-' || id, 'test' from orders`)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		return count(t, pool, `select count(*) from kvit.order_status where erase_due_at <= now()`) == orders
	}, waitFor, tick)
	require.Contains(t, k.mustCall("erase", "--dry-run"), "orders erased     5")
	require.Contains(t, dump(t, url), marker, "a dry run changes nothing, and the search below would find it")
	k.mustCall("erase")
	requireNoMarkerOnPages(t, pages, "after the erasure")
	k.stop(process)
	spans.mu.Lock()
	defer spans.mu.Unlock()
	require.Contains(t, spans.text.String(), "kvit.receipt")
	requireNoMarker(t, "traces", spans.text.String())
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
				values ($1, 'Qmarker', 'Qmarker 1', 'Qmarker', 'Qmarker', '2026-12-24', '{"items": ["Qmarker"]}') returning id)
			insert into order_lines (order_id, text) select id, 'Qmarker' from o`, ref)
		if err != nil {
			return err
		}
		_, err = tx.Exec(t.Context(), `
			insert into kvit.tracking_event (event_key, name, order_ref, payload, consent)
			select name || ':' || $1::text, name, $1, $2, '{"marketing": true, "analytics": true}'
			from unnest(array['order_placed', 'order_paid', 'order_shipped']) as name`, ref, markedPayload(t, ref))
		return err
	})
	require.NoError(t, err)
}

// sayEverything writes an event of each name that needs no order.
func sayEverything(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	names := append(slices.Clone(destination.Names), "custom:engraving_chosen")
	names = slices.DeleteFunc(names, func(name string) bool { return strings.HasPrefix(name, "order_") })
	_, err := pool.Exec(t.Context(), `
		insert into kvit.tracking_event (event_key, name, payload, consent)
		select name || ':full', name, $2, '{"marketing": true, "analytics": true}' from unnest($1::text[]) as name`, names, markedPayload(t, "E0"))
	require.NoError(t, err)
}

// goodProviders are a stand-in of every kind that takes everything. The function that comes with
// them looks at what they heard.
func goodProviders(t *testing.T) (yaml string, heard func(metrics string)) {
	t.Helper()
	var text strings.Builder
	var checks []func(metrics string)
	for _, p := range providers {
		fake := p.fake()
		var readable atomic.Int64
		text.WriteString(p.yaml("good_"+p.kind, serve(t, listener{fake, func(request string) {
			request = strings.ToLower(request)
			if slices.ContainsFunc([]string{".doe@example", ".doe%40example", "2025550123"}, func(s string) bool { return strings.Contains(request, s) }) {
				readable.Add(1)
			}
		}})))
		checks = append(checks, func(metrics string) {
			require.Contains(t, metrics, fmt.Sprintf("kvit_deliveries_total{destination=%q,outcome=\"delivered\"}", "good_"+p.kind))
			counted, refused := fake.seen()
			require.Positive(t, counted, p.kind)
			require.Zero(t, refused, p.kind)
			require.Equal(t, p.hashes, readable.Load() == 0, "%s: %d requests with an address or a phone number as they are", p.kind, readable.Load())
		})
	}
	return text.String(), func(metrics string) {
		for _, check := range checks {
			check(metrics)
		}
	}
}

// badProviders say back what they hear, in all ways that kvit tells apart.
func badProviders(t *testing.T) string {
	t.Helper()
	var text strings.Builder
	for _, p := range providers {
		for name, status := range map[string]int{"bad_request": 400, "broken": 500, "garbage": 200} {
			text.WriteString(p.yaml(p.kind+"_"+name, serve(t, echo(status))))
		}
		text.WriteString(p.yaml(p.kind+"_torn", serve(t, http.HandlerFunc(tear))))
		text.WriteString(p.yaml(p.kind+"_accused", serve(t, http.HandlerFunc(accuse))))
		if p.kind != "webhook" && p.kind != "spread" {
			continue
		}
		for name, status := range map[string]int{"too_many": 429, "redirect": 302, "forbidden": 403, "unfit": 422} {
			text.WriteString(p.yaml(p.kind+"_"+name, serve(t, echo(status))))
		}
		text.WriteString(p.yaml(p.kind+"_unreachable", "http://127.0.0.1:1"))
	}
	fmt.Fprintf(&text, "  hook_gone: {kind: webhook, url: %q, secret: \"${CRM_SECRET}\", deduplicates: true, allow_private: true}\n", serve(t, echo(http.StatusGone)))
	fmt.Fprintf(&text, "  hook_unknown: {kind: webhook, url: %q, secret: \"${CRM_SECRET}\", deduplicates: true}\n", "https://hook.invalid/")
	return text.String()
}

// waitAttempted waits until each delivery has ended or has been tried, but for those to the
// destination that is paused and to those that are left alone for a while.
func waitAttempted(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	require.Eventually(t, func() bool {
		return count(t, pool, `
			select count(*)
			from kvit.river_job j
			join kvit.destination d on d.name = j.args ->> 'destination'
			where j.kind = 'deliver_event' and j.finalized_at is null and j.errors is null
			  and coalesce(j.metadata ->> 'snoozes', '0') = '0'
			  and d.disabled_at is null and d.held_since is null`) == 0 &&
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
	program := storetest.Program(t, "pg_dump")
	text, err := exec.CommandContext(context.WithoutCancel(t.Context()), program, "--dbname", url).Output()
	require.NoError(t, err)
	require.Greater(t, len(text), 10_000)
	return string(text)
}

func requireNoMarker(t *testing.T, where, text string) {
	t.Helper()
	for line := range strings.Lines(text) {
		for _, trace := range personal {
			if strings.Contains(strings.ToLower(line), trace) {
				t.Fatalf("personal data in %s: %.300s", where, line)
			}
		}
	}
}
