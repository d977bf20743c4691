package store_test

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/store"
	"kvit/store/storetest"
)

// filled is what a shop and its ERP have written, and kvit after them.
const filled = `
	insert into kvit.destination (name, kind, enabled, event_names) values ('crm', 'webhook', true, '{order_paid}');
	insert into kvit.tracking_event (event_key, name, order_ref, payload) values ('order_paid:S1', 'order_paid', 'S1', '{}');
	insert into kvit.erp_receipt (order_ref, erp_order_number) values ('S1', '7001'), ('S2', '7002'), ('S3', null);
	update kvit.erp_receipt set status = 'marked', detail = 'marked in time', seen_at = '2026-01-02 03:04:05+00' where order_ref = 'S1';
	update kvit.erp_receipt set status = 'ignored', seen_at = '2026-01-02 03:04:05+00' where order_ref = 'S2';
	delete from kvit.river_job where kind = 'mark_order' and args ->> 'receipt_id' <> '3';
	insert into kvit.legal_hold (order_ref, reason, placed_by) values ('S9', 'court', 'operator');
	insert into kvit.order_mark (order_ref, imported_at, erp_number) values ('S1', '2026-01-02 03:04:05+00', '7001');
	insert into kvit.erasure_certificate (number, order_ref, erased_at, erp_imported_at, policy_hash, row_counts, previous_hash, hash)
		values (1, 'S0', '2026-01-02 03:04:05+00', '2025-12-02 03:04:05+00', 'p', '{}', '', 'h')`

// A restore of data alone, with the triggers on as pg_restore leaves them, brings back just what was there: what
// was settled stays settled, and nothing is queued twice.
func TestRestoreOfDataAlone(t *testing.T) {
	t.Parallel()
	from, to := storetest.DB(t), storetest.DB(t)
	mustExec(t, from, filled)
	// What migrations write is there already.
	mustExec(t, to, `truncate kvit.migration, kvit.river_migration, kvit.order_lookout, kvit.delivery_lookout, kvit.requirement`)
	file := filepath.Join(t.TempDir(), "kvit.dump")
	program(t, "pg_dump", "--data-only", "--schema=kvit", "--format=custom", "--file="+file, "--dbname="+from.Config().ConnString())
	program(t, "pg_restore", "--data-only", "--exit-on-error", "--dbname="+to.Config().ConnString(), file)

	tables := texts(t, from, `select c.oid::regclass::text from pg_class c where c.relnamespace = 'kvit'::regnamespace and c.relkind = 'r' order by 1`)
	require.Greater(t, len(tables), 15)
	for _, table := range tables {
		require.Equal(t, contents(t, from, table), contents(t, to, table), table)
	}
	mustExec(t, to, `insert into kvit.erp_receipt (order_ref) values ('S4')`)
	require.Equal(t, []string{"3", "4"}, texts(t, to, `select args ->> 'receipt_id' from kvit.river_job where kind = 'mark_order' order by 1`))
}

// Whoever inserts evidence does not judge it, not even a role that was granted the whole table.
func TestOthersDoNotSettleReceipts(t *testing.T) {
	t.Parallel()
	tx := storetest.Tx(t)
	mustExec(t, tx, `grant insert on kvit.erp_receipt to kvit_erp; set local role kvit_erp`)
	mustExec(t, tx, `insert into kvit.erp_receipt (order_ref, status, detail) values (' S1 ', 'marked', 'mine')`)
	mustExec(t, tx, `reset role`)
	require.Equal(t, []string{"(S1,new,)"}, texts(t, tx, `select (order_ref, status, detail)::text from kvit.erp_receipt`))
	require.Len(t, texts(t, tx, `select id::text from kvit.river_job where kind = 'mark_order'`), 1)
}

func contents(t *testing.T, db store.DB, table string) []string {
	t.Helper()
	return texts(t, db, `select r::text from `+table+` r order by 1`)
}

func program(t *testing.T, name string, args ...string) {
	t.Helper()
	output, err := exec.CommandContext(t.Context(), storetest.Program(t, name), args...).CombinedOutput()
	require.NoError(t, err, "%s", output)
}
