package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/erasure"
	"kvit/store/storetest"
)

const residueYAML = `
database: {url: "${DATABASE_URL}"}
ops: {listen: "off"}
shop:
  orders: {table: orders, ref: number, placed_at: created_at, imported_at: imported_at, erp_number: erp_number, erased_at: erased_at}
retention:
  policy:
    - table: orders
      columns: {customer_name: null}
`

// copying is a shop of which a log keeps what the policy erases.
func copying(t *testing.T) *kvit {
	t.Helper()
	k := install(t, storetest.URL(t), residueYAML)
	_, err := k.pool().Exec(t.Context(), shopTable+`;
		create table mail_log (line text);
		insert into orders (number, created_at, imported_at, customer_name) values ('E1', now(), now() - interval '31 days', 'Theodora Abelsgaard');
		insert into mail_log values ('sent to theodora abelsgaard')`)
	require.NoError(t, err)
	return k
}

func TestCheckNamesCopies(t *testing.T) {
	t.Parallel()
	k := copying(t)
	code, stdout, _ := k.call("check")
	require.Equal(t, 1, code)
	require.Contains(t, stdout, "problem: retention.policy: column public.mail_log.line keeps values of an erased order: it is a table that retention.policy does not name")
	require.NotContains(t, stdout, "bels")
}

func TestPolicyScan(t *testing.T) {
	t.Parallel()
	k := copying(t)
	code, stdout, stderr := k.call("policy", "scan", "--json")
	require.Equal(t, 1, code)
	require.Empty(t, stderr, "no progress but at a terminal")
	var report erasure.ResidueReport
	require.NoError(t, json.Unmarshal([]byte(stdout), &report))
	require.Equal(t, []any{1, 1, "public.mail_log", "line"}, []any{report.Orders, len(report.Found), report.Found[0].Table, report.Found[0].Column})
	code, stdout, _ = k.call("policy", "scan")
	require.Equal(t, 1, code)
	require.Contains(t, stdout, "COPIES LEFT        public.mail_log.line, 1 rows: a table that")

	_, err := k.pool().Exec(t.Context(), `truncate mail_log`)
	require.NoError(t, err)
	clean := k.mustCall("policy", "scan", "--orders", "5", "--time", "10s")
	require.Contains(t, clean, "looked for copies  of 1 orders")
	require.Contains(t, clean, "\nnothing found\n")
	for _, wrong := range [][]string{{"--orders", "0"}, {"--time", "1ms"}} {
		code, _, _ := k.call(append([]string{"policy", "scan"}, wrong...)...)
		require.Equal(t, 2, code)
	}
}

// A scan that could not look everywhere is no clean bill, and its exit code says so.
func TestPolicyScanThatIsNotComplete(t *testing.T) {
	t.Parallel()
	k := copying(t)
	admin := k.pool()
	_, err := admin.Exec(t.Context(), `truncate mail_log; create table secret (note text)`)
	require.NoError(t, err)
	granted := k.mustCall("policy", "grants", "--role", "other")
	role := loginAs(t, k)
	_, err = admin.Exec(t.Context(), strings.ReplaceAll(granted, "other", role)+` grant select on mail_log to `+role)
	require.NoError(t, err)
	code, stdout, stderr := k.call("policy", "scan")
	require.Equal(t, 3, code, stderr)
	require.Contains(t, stdout, "not searched       public.secret: this role may not read it\n")
	require.Contains(t, stdout, "\nnothing found in what was searched; 1 tables, or parts of them, were not searched\n")
	code, stdout, _ = k.call("policy", "scan", "--json")
	require.Equal(t, 3, code)
	require.Contains(t, stdout, `"complete": false`)
	_, err = admin.Exec(t.Context(), `delete from orders`)
	require.NoError(t, err)
	code, stdout, _ = k.call("policy", "scan")
	require.Equal(t, 3, code)
	require.Contains(t, stdout, "nothing was looked for")
}

func TestCopiesOfARunAreAnAlarm(t *testing.T) {
	t.Parallel()
	k := copying(t)
	require.Contains(t, k.mustCall("erase"), "COPIES LEFT        public.mail_log.line, 1 rows")
	require.Contains(t, k.mustCall("status"), "COPIES LEFT")
	require.Contains(t, k.mustCall("verify"), "2 certificates, the chain holds")
	code, _, stderr := k.call("policy", "scan", "--cleared", "public.mail_log.text")
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "no finding is open for public.mail_log.text")
	k.mustCall("policy", "scan", "--cleared", "public.mail_log.line")
	require.NotContains(t, k.mustCall("status"), "COPIES LEFT")
	require.Contains(t, k.mustCall("verify"), "3 certificates, the chain holds")
}

func TestCheckWarnsOfTheServersLog(t *testing.T) {
	t.Parallel()
	k := install(t, storetest.URL(t), residueYAML)
	_, err := k.pool().Exec(t.Context(), shopTable)
	require.NoError(t, err)
	var database string
	require.NoError(t, k.pool().QueryRow(t.Context(), `select current_database()`).Scan(&database))
	require.NotContains(t, k.mustCall("check"), "log_statement")
	_, err = k.pool().Exec(t.Context(), `alter database "`+database+`" set log_statement = 'all'`)
	require.NoError(t, err)
	require.Contains(t, k.mustCall("check"), "advice: database: the server writes parameters of statements into its log (log_statement = all)")
}
