package docs_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"kvit/store/storetest"
)

// TestRightsOfGroups compares the groups with what docs/security.md says of them.
func TestRightsOfGroups(t *testing.T) {
	t.Parallel()
	tx := storetest.Tx(t)
	list := func(sql string) []string {
		rows, err := tx.Query(t.Context(), sql)
		require.NoError(t, err)
		found, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		return found
	}
	const rights = `select distinct c.relname || ' ' || lower(p) from pg_class c, unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE']) p
		where c.relnamespace = 'kvit'::regnamespace and c.relkind in ('r', 'v') and `
	const columns = `(case p when 'DELETE' then false else has_any_column_privilege(%, c.oid, p) end or has_table_privilege(%, c.oid, p))`
	of := func(role string) []string {
		return list(rights + strings.ReplaceAll(columns, "%", "'"+role+"'") + ` order by 1`)
	}
	require.Equal(t, []string{"tracking_event insert", "tracking_event select"}, of("kvit_shop"))
	require.Equal(t, []string{"tracking_event.id"}, list(`select c.relname || '.' || a.attname from pg_attribute a join pg_class c on c.oid = a.attrelid
		where c.relnamespace = 'kvit'::regnamespace and c.relkind in ('r', 'v') and a.attnum > 0 and not a.attisdropped
		and has_column_privilege('kvit_shop', c.oid, a.attnum, 'SELECT')`), "insert … returning id")
	require.Equal(t, []string{"erp_receipt insert"}, of("kvit_erp"))
	for _, right := range of("kvit_ops") {
		require.Contains(t, right, " select")
	}
	require.Empty(t, list(`select c.relname || '.' || a.attname from pg_attribute a join pg_class c on c.oid = a.attrelid
		where c.relnamespace = 'kvit'::regnamespace and a.attname in ('payload', 'payload_raw') and a.attnum > 0
		and (has_column_privilege('kvit_ops', c.oid, a.attnum, 'SELECT') or has_column_privilege('kvit_shop', c.oid, a.attnum, 'SELECT'))`))
	require.Empty(t, list(`select 'status' where has_column_privilege('kvit_erp', 'kvit.erp_receipt', 'status', 'INSERT')`))
	require.Empty(t, list(`select 'public' where has_schema_privilege('public', 'kvit', 'USAGE') or has_schema_privilege('kvit_shop', 'kvit', 'CREATE')`))
}

// TestTriggersRunAsKvit is why owners of the shop's tables are trusted like kvit.
func TestTriggersRunAsKvit(t *testing.T) {
	t.Parallel()
	tx := storetest.Tx(t)
	_, err := tx.Exec(t.Context(), `
		create role the_shop; create role the_worker;
		create schema shop authorization the_shop; grant usage on schema shop to the_worker;
		set local role the_shop;
		create table shop.orders (email text); insert into shop.orders values ('a@example.com');
		create table shop.seen (who text); grant insert on shop.seen to the_worker;
		create function shop.look() returns trigger language plpgsql as 'begin insert into shop.seen values (current_user); return new; end';
		create trigger look after update on shop.orders for each row execute function shop.look();
		grant select, update on shop.orders to the_worker;
		set local role the_worker;
		update shop.orders set email = 'erased';
		reset role`)
	require.NoError(t, err)
	var who string
	require.NoError(t, tx.QueryRow(t.Context(), `select who from shop.seen`).Scan(&who))
	require.Equal(t, "the_worker", who)
}
