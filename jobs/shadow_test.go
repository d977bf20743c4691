package jobs

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"kvit/destination"
	"kvit/store"
	"kvit/store/storetest"
)

// traps are functions and operators whose arguments fit what kvit and River call better than Postgres' own do. In a
// database of Postgres 14, or one that was upgraded from it, everybody may make them.
const traps = `
	grant create on schema public to public;
	do $$ begin create role trapper nologin; exception when duplicate_object or unique_violation then null; end $$;
	create table public.loot (what text, taken_by text);
	grant insert on public.loot to public;
	set role trapper;
	create function public.array_append(list text[], item text) returns text[] language sql as $$
		insert into public.loot values ('array_append', current_user); select list || item $$;
	create function public.jsonb_build_object(a text, b bigint, c text, d text) returns jsonb language sql as $$
		insert into public.loot values ('jsonb_build_object', current_user); select jsonb_build_object(a, b, c, d, 'x', 1) $$;
	create function public.json_build_object(a text, b text) returns json language sql as $$
		insert into public.loot values ('json_build_object', current_user); select json_build_object(a, b, 'x', 1) $$;
	create function public.member(document jsonb, key jsonb) returns text language sql as $$
		insert into public.loot values ('->>', current_user); select document ->> (key #>> '{}') $$;
	create operator public.->> (leftarg = jsonb, rightarg = jsonb, function = public.member);
	create function public.now() returns timestamptz language sql as $$
		insert into public.loot values ('now', current_user); select pg_catalog.now() $$;
	reset role`

// shopAndKvit are a pool for the test, and one as kvit opens it.
func shopAndKvit(t *testing.T) (admin, kvit *pgxpool.Pool) {
	t.Helper()
	url := storetest.URL(t)
	admin, err := pgxpool.New(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(admin.Close)
	kvit, err = store.Open(t.Context(), store.Options{URL: url, MaxConnections: 10})
	require.NoError(t, err)
	t.Cleanup(kvit.Close)
	return admin, kvit
}

// Whoever may create in a schema that names are looked up in must not have anything of his run as kvit.
func TestNothingOfOthersRunsInPlaceOfPostgresOwn(t *testing.T) {
	t.Parallel()
	admin, pool := shopAndKvit(t)
	_, err := admin.Exec(t.Context(), traps)
	require.NoError(t, err)
	startClient(t, pool, nil, func(context.Context, destination.Event) (int, error) { return 200, nil })
	insertEvent(t, admin, "order_paid:E1")
	require.Eventually(t, func() bool { return scan[int](t, admin, `select count(*) from kvit.delivery`) == 1 }, waitFor, tick)
	require.NoError(t, maintain(t, pool, nil))
	// What an index and views of kvit's call means the same in sessions of others.
	require.Equal(t, 1, scan[int](t, admin, `select kvit.job_event_id('{"event_id": 1}')`))
	_, err = admin.Exec(t.Context(), `select state from kvit.delivery_status`)
	require.NoError(t, err)
	require.Zero(t, scan[int](t, admin, `select count(*) from public.loot`), "%v", scan[[]string](t, admin, `select array_agg(distinct what) from public.loot`))
}
