package main

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/erasure"
	"kvit/store/storetest"
)

const tablesYAML = `
database: {url: "${DATABASE_URL}"}
ops: {listen: "off"}
retention:
  brake: {max_orders: 2}
  tables:
    abandoned:
      table: carts
      when: "ordered_at is null"
      since: updated_at
      erase_after: 14d
      children: {cart_items: {cart_id: id}}
`

func TestTables(t *testing.T) {
	t.Parallel()
	k := install(t, storetest.URL(t), tablesYAML)
	exec := func(sql string) {
		t.Helper()
		_, err := k.pool().Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	code, stdout, _ := k.call("check")
	require.Equal(t, 1, code)
	require.Contains(t, stdout, "problem: line 7: retention.tables.abandoned: table public.carts does not exist, or is no table\n")
	require.Contains(t, k.mustCall("status"), "not erased: table public.carts does not exist, or is no table\n")

	exec(`
		create table carts (id int primary key, updated_at timestamptz, ordered_at timestamptz);
		create table cart_items (cart_id int);
		insert into carts select i, now() - interval '16 days' from generate_series(1, 3) i;
		insert into cart_items select id from carts`)
	require.Contains(t, k.mustCall("check"), "advice: line 7: retention.tables.abandoned: table public.cart_items has no foreign key to public.carts: ")
	require.Regexp(t, `rows by retention\.tables\.abandoned +3 due +3 overdue\n`, k.mustCall("status"))

	stdout = k.mustCall("erase", "--dry-run")
	require.Contains(t, stdout, "the brake would stop this: 3 rows are due by retention.tables.abandoned, more than retention.brake.max_orders (2)\n")
	require.Contains(t, stdout, "rows by retention.tables.abandoned: 3\n")
	require.Contains(t, stdout, "rows of public.cart_items: 3\nrows of public.carts: 3\n")
	code, _, stderr := k.call("erase")
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "the brake stopped the erasure before the first row: 3 rows are due")
	require.Contains(t, k.mustCall("status"), "3 orders, rows or events were due")

	exec(`create table orders (cart_id int constraint orders_cart references carts); insert into orders values (2)`)
	code, stdout, _ = k.call("erase", "--confirm")
	require.Equal(t, 1, code)
	require.Contains(t, stdout, "rows by retention.tables.abandoned: 2\nrows by retention.tables.abandoned: 1 not erased: database error 23503 constraint orders_cart schema public table orders\n")
	exec(`drop table orders`)
	var report erasure.Report
	require.NoError(t, json.Unmarshal([]byte(k.mustCall("erase", "--json")), &report))
	require.Equal(t, map[string]int{"abandoned": 1}, report.Tables)
	require.Regexp(t, `rows by retention\.tables\.abandoned +0 due +0 overdue\n`, k.mustCall("status"))
	k.mustCall("verify")
}
