package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/erasure"
	"kvit/store/storetest"
)

const clocksYAML = `
database: {url: "${DATABASE_URL}"}
ops: {listen: "off"}
shop:
  orders: {table: orders, ref: number, placed_at: created_at, imported_at: imported_at, erp_number: erp_number, erased_at: erased_at}
retention:
  erase_never_imported_after: 365d
  clocks:
    cancelled: {when: "%WHEN%", erase_after: 14d}
  brake: {max_orders: 2}
  residue: {orders: 0}                # its words would be certificates, too
  anchor: %ANCHOR%
  policy:
    - table: orders
      columns: {customer_name: null}
`

// clocked is a shop with clocks, a brake and an anchor.
func clocked(t *testing.T, when string) (k *kvit, anchor string) {
	t.Helper()
	anchor = filepath.Join(t.TempDir(), "anchor.json")
	k = install(t, storetest.URL(t), strings.NewReplacer("%WHEN%", when, "%ANCHOR%", anchor).Replace(clocksYAML))
	_, err := k.pool().Exec(t.Context(), shopTable)
	require.NoError(t, err)
	return k, anchor
}

func TestCheckNamesTheClockThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	k, _ := clocked(t, "stautus = 'cancelled'")
	code, stdout, _ := k.call("check")
	require.Equal(t, 1, code)
	require.Contains(t, stdout, "problem: line 9: retention.clocks.cancelled: cannot be used, are when and since right? database error 42703")
}

func TestEraseAsksBeforeItErasesALot(t *testing.T) {
	t.Parallel()
	k, _ := clocked(t, "customer_name = 'cancelled'")
	_, err := k.pool().Exec(t.Context(), `
		insert into orders (number, created_at, imported_at, customer_name) values
		    ('E1', now(), now() - interval '31 days', 'Jane Example'), ('E2', now() - interval '400 days', null, 'Jane Example'),
		    ('E3', now() - interval '15 days', null, 'cancelled'), ('E4', now(), now() - interval '31 days', 'Jane Example'), ('E5', now(), now(), 'Jane Example')`)
	require.NoError(t, err)
	k.mustCall("hold", "add", "E4", "--reason", "court case 7", "--by", "legal")

	stdout := k.mustCall("erase", "--dry-run")
	for _, part := range []string{
		"orders erased     3\n", "held              1\n", "the brake would stop this: 3 orders are due, more than retention.brake.max_orders (2)\n",
		"values of public.orders.customer_name: 3\n", "for example: E1, E2, E3\n", "on hold until it is released: order E4: court case 7\n",
	} {
		require.Contains(t, stdout, part)
	}
	code, stdout, stderr := k.call("erase")
	require.Equal(t, 1, code)
	require.Contains(t, stdout, "orders erased     0\n")
	require.Contains(t, stderr, "the brake stopped the erasure before the first row: 3 orders are due")
	require.Contains(t, k.mustCall("status"), "BRAKED")

	code, _, _ = k.call("erase", "--dry-run", "--confirm")
	require.Equal(t, 2, code)
	var report erasure.Report
	require.NoError(t, json.Unmarshal([]byte(k.mustCall("erase", "--confirm", "--json")), &report))
	require.Equal(t, 3, report.Orders)
	require.Equal(t, "E4", report.Holds[0].OrderRef)
	require.NotContains(t, k.mustCall("status"), "BRAKED")
	k.mustCall("verify")
}

// The whole way back from a backup: kvit refuses the database, the export mends it, kvit is content.
func TestReplayAfterARestore(t *testing.T) {
	t.Parallel()
	k, anchor := clocked(t, "false")
	pool := k.pool()
	export := filepath.Join(t.TempDir(), "certificates.jsonl")
	order := func(ref string) {
		_, err := pool.Exec(t.Context(), `insert into orders (number, imported_at, customer_name) values ($1, now() - interval '31 days', 'Jane Example')`, ref)
		require.NoError(t, err)
	}
	name := func(ref string) *string {
		var name *string
		require.NoError(t, pool.QueryRow(t.Context(), `select customer_name from orders where number = $1`, ref).Scan(&name))
		return name
	}
	restore := func() {
		_, err := pool.Exec(t.Context(), `
			set session_replication_role = replica;
			delete from kvit.erasure_certificate where number > 1;
			update orders set customer_name = 'Jane Example', erased_at = null where number <> 'E1';
			reset session_replication_role`)
		require.NoError(t, err)
	}
	order("E1")
	k.mustCall("erase")
	order("E2")
	k.mustCall("erase")
	k.mustCall("verify", "--export", export)
	restore()

	for _, args := range [][]string{{"run"}, {"erase"}} {
		code, _, stderr := k.call(args...)
		require.Equal(t, 1, code)
		require.Contains(t, stderr, "its last certificate is number 1, and was number 2")
		require.Contains(t, stderr, "kvit erase --replay FILE")
	}
	require.NotNil(t, name("E2"))

	before, err := os.ReadFile(anchor)
	require.NoError(t, err)
	stdout := k.mustCall("erase", "--replay", export, "--dry-run")
	require.Contains(t, stdout, "certificates      2 in the export, 1 given back to the database\n")
	require.NotNil(t, name("E2"))
	k.mustCall("erase", "--replay", export)
	require.Nil(t, name("E2"))
	after, err := os.ReadFile(anchor)
	require.NoError(t, err)
	require.NotEqual(t, before, after)
	require.Contains(t, k.mustCall("erase", "--replay", export), "orders erased     0\n") // which the anchor has moved on from
	k.mustCall("erase")
	require.Contains(t, k.mustCall("verify"), "3 certificates, the chain holds")

	// An export from before the last erasures leaves the anchor as it is, and says so.
	order("E3")
	k.mustCall("erase")
	restore()
	code, _, stderr := k.call("erase", "--replay", export)
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "the export ends at certificate 2, and "+anchor+" knows of number 4")
	code, _, _ = k.call("run")
	require.Equal(t, 1, code)
}

func TestReplayNeedsAnExportThatHolds(t *testing.T) {
	t.Parallel()
	k, _ := clocked(t, "false")
	file := filepath.Join(t.TempDir(), "certificates.jsonl")
	code, _, stderr := k.call("erase", "--replay", file)
	require.Equal(t, 1, code)
	require.Contains(t, stderr, file)
	require.NoError(t, os.WriteFile(file, []byte(`{"number": 1, "order_ref": "E1"}`), 0o600))
	code, _, stderr = k.call("erase", "--replay", file)
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "certificate 1 was changed")
	code, _, _ = k.call("erase", "--replay", file, "--confirm")
	require.Equal(t, 2, code)
}

func TestCheckAdvisesIndexes(t *testing.T) {
	t.Parallel()
	k := install(t, storetest.URL(t), shopYAML+"    - {table: notes, match: {order_number: number}, rows: delete}\n")
	_, err := k.pool().Exec(t.Context(), shopTable+`;
		create table notes (order_number text, note text);
		insert into notes select 'E' || i from generate_series(1, 11000) i;
		analyze notes`)
	require.NoError(t, err)
	stdout := k.mustCall("check", "--offline")
	require.Contains(t, stdout, `advice: retention.policy: each batch of an erasure reads the whole table; this helps: create index concurrently on "public"."notes" ("order_number")`)
	require.Contains(t, stdout, `advice: shop.orders: finding due orders reads the whole table; this helps: create index concurrently on "public"."orders" ("imported_at") where "erased_at" is null`)
}

func TestCheckFindsColumnsOfPersons(t *testing.T) {
	t.Parallel()
	k := install(t, storetest.URL(t), strings.Replace(shopYAML, "ref: number", "ref: number, email: mail, customer_id: customer", 1))
	_, err := k.pool().Exec(t.Context(), shopTable)
	require.NoError(t, err)
	code, stdout, _ := k.call("check", "--offline")
	require.Equal(t, 1, code)
	require.Contains(t, stdout, "problem: shop.orders: column public.orders.mail does not exist")
	require.Contains(t, stdout, "problem: shop.orders: column public.orders.customer does not exist")
}
