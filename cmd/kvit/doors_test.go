package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"kvit/store/storetest"
)

// ownRole is a role that kvit logs in as, as the README makes it, in a database of the test's own.
func ownRole(t *testing.T) (admin func(sql string), database string) {
	t.Helper()
	u, err := url.Parse(storetest.URL(t))
	require.NoError(t, err)
	conn, err := pgx.Connect(t.Context(), u.String())
	require.NoError(t, err)
	admin = func(sql string) {
		t.Helper()
		_, err := conn.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	name := strings.TrimPrefix(u.Path, "/")
	role := "role_of_" + name
	admin(`drop schema kvit cascade`)
	admin(`create role ` + role + ` login password 'change-me'`)
	admin(`grant create on database ` + name + ` to ` + role)
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	u.User = url.UserPassword(role, "change-me")
	return admin, u.String()
}

func TestCheckTellsWhatRunsWithKvitsRights(t *testing.T) {
	t.Parallel()
	admin, database := ownRole(t)
	admin(shopTable + `;
		do $$ begin create role trigger_owner nologin; exception when duplicate_object then null; end $$;
		grant usage, create on schema public to trigger_owner;
		create function public.keep() returns trigger language plpgsql as $$ begin return new; end $$;
		alter function public.keep() owner to trigger_owner;
		create function public.harmless() returns trigger language plpgsql security definer as $$ begin return new; end $$;
		create trigger keep before update on public.orders for each row execute function public.keep();
		create trigger harmless before update on public.orders for each row execute function public.harmless();
		grant select, update on public.orders to public`)
	k := install(t, database, shopYAML)
	k.mustCall("migrate", "up")
	stdout := k.mustCall("check", "--offline")
	require.Contains(t, stdout, "advice: retention.policy: these triggers run with kvit's rights when it erases, and their owners decide what they do: "+
		"keep on public.orders (function public.keep, owner trigger_owner)\n")
	require.NotContains(t, stdout, "superuser")
	require.NotContains(t, stdout, "pooler")

	admin(`alter table public.orders owner to ` + roleIn(t, database))
	require.Contains(t, k.mustCall("check", "--offline"), " owns public.orders: kvit needs to own nothing but its schema")
	k.url = storetest.URL(t)
	_, stdout, _ = k.call("check", "--offline")
	require.Contains(t, stdout, "is a superuser: whatever runs with kvit's rights, such as triggers of the shop's, may do everything")
}

// SQL of the configuration's finds by kvit's search path what it names with a schema, and nothing else.
func TestSQLThatMeansSomethingElseToKvit(t *testing.T) {
	t.Parallel()
	k := install(t, storetest.URL(t), strings.ReplaceAll(shopYAML, "erased_at: erased_at}",
		`erased_at: erased_at, awaiting_import: "exists (select from payments p where p.number = orders_number(o.number))"}`)+`
  clocks:
    cancelled: {when: "exists (select from public.payments p where p.number = o.number)", erase_after: 1d}
    folded: {when: "number === 'a'", erase_after: 1d}
    plain: {when: "number = 'a'", erase_after: 1d}
`)
	_, err := k.pool().Exec(t.Context(), shopTable+`; create table payments (number text);
		create function orders_number(text) returns text language sql as $$ select $1 $$;
		create function same(text, text) returns boolean language sql as $$ select lower($1) = lower($2) $$;
		create operator === (leftarg = text, rightarg = text, function = same)`)
	require.NoError(t, err)
	_, stdout, _ := k.call("check", "--offline")
	require.Contains(t, stdout, "problem: shop.orders.awaiting_import: names something of the shop's without its schema, where kvit does not find it. Write, if that is what you mean: "+
		"(EXISTS ( SELECT FROM public.payments p WHERE (p.number = public.orders_number(o.number))))")
	require.Contains(t, stdout, "problem: retention.clocks.folded.when: names something of the shop's without its schema, where kvit does not find it. Write, if that is what you mean: "+
		"(o.number OPERATOR(public.===) 'a'::text)")
	require.NotContains(t, stdout, "retention.clocks.cancelled.when")
	require.NotContains(t, stdout, "retention.clocks.plain.when")
}

func roleIn(t *testing.T, database string) string {
	t.Helper()
	u, err := url.Parse(database)
	require.NoError(t, err)
	return u.User.Username()
}

// Against the real thing: PgBouncer in transaction mode hands out what one session has set to others.
func TestBehindAPooler(t *testing.T) {
	t.Parallel()
	admin, direct := ownRole(t)
	role := roleIn(t, direct)
	admin(`grant create on schema public to public`)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
	t.Cleanup(server.Close)
	yaml := webhookYAML(server)
	k := install(t, storetest.PgBouncer(t, direct), yaml)
	require.Contains(t, k.mustCall("migrate", "up"), "applied 001_schema")
	require.Contains(t, k.mustCall("migrate", "up"), "nothing to do")

	code, stdout, _ := k.call("check", "--offline")
	require.Equal(t, 1, code, stdout)
	require.Contains(t, stdout, `problem: database: the search_path of kvit's sessions is "$user", public, so that functions run with kvit's rights which these may make: `)
	require.Contains(t, stdout, "everybody in public")
	require.Contains(t, stdout, `alter role "`+role+`" set search_path = pg_catalog, pg_temp`)
	require.Contains(t, stdout, "problem: database.notify: a pooler stands between kvit and Postgres and hands connections out by the transaction")

	admin(`alter role ` + role + ` set search_path = pg_catalog, pg_temp`)
	_, stdout, _ = k.call("check", "--offline")
	require.Contains(t, stdout, `the search_path of kvit's sessions is "$user", public`, "the pooler still has sessions from before")

	k.url = storetest.PgBouncer(t, direct)
	k.write(strings.ReplaceAll(yaml, `"${DATABASE_URL}"`, `"${DATABASE_URL}", notify: false`))
	stdout = k.mustCall("check", "--offline")
	require.NotContains(t, stdout, "problem:")
	require.Contains(t, stdout, "advice: database.url: leads to a pooler")

	k.start()
	k.waitReady()
	k.url = direct
	admin(`insert into kvit.tracking_event (event_key, name) values ('order_paid:E1', 'order_paid')`)
	pool := k.pool()
	require.Eventually(t, func() bool {
		n, err := tryCount(t.Context(), pool, `select count(*) from kvit.delivery`)
		return err == nil && n == 1
	}, waitFor, tick)
}

var triggerOf = regexp.MustCompile(`(?s)create (?:constraint )?trigger \w+ after ([^;]*?) on (public\.\S+)`)

// stubs are tables that a shop's triggers can stand on.
func stubs(events string) string {
	columns := map[string][]string{}
	for _, m := range triggerOf.FindAllStringSubmatch(events, -1) {
		_, of, _ := strings.Cut(m[1], " of ")
		for _, column := range strings.Split(of, ",") {
			if column = strings.TrimSpace(column); column != "" && !slices.Contains(columns[m[2]], column) {
				columns[m[2]] = append(columns[m[2]], column)
			}
		}
		columns[m[2]] = append(columns[m[2]], "")
	}
	var list []string
	for table, names := range columns {
		names = slices.DeleteFunc(names, func(name string) bool { return name == "" })
		for i := range names {
			names[i] += " text"
		}
		list = append(list, "create table "+table+" ("+strings.Join(names, ", ")+");")
	}
	return strings.Join(list, "\n")
}

// Making triggers locks the shop's tables: behind a transaction of the shop's that stays open, checkouts would wait for both.
func TestTriggersOfAShopAreMadeAtOnceOrNotAtAll(t *testing.T) {
	t.Parallel()
	for _, shop := range shops {
		t.Run(shop.Name, func(t *testing.T) {
			t.Parallel()
			connect := func(database string) *pgx.Conn {
				conn, err := pgx.Connect(t.Context(), database)
				require.NoError(t, err)
				t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
				return conn
			}
			database := storetest.URL(t)
			owner, busy := connect(database), connect(database)
			exec := func(conn *pgx.Conn, sql string) error {
				_, err := conn.Exec(t.Context(), sql)
				return err
			}
			require.NoError(t, exec(owner, stubs(shop.Events)+`set check_function_bodies = off`))
			require.NoError(t, exec(busy, `begin; lock table public."order" in row exclusive mode`))
			require.ErrorContains(t, exec(owner, shop.Events), "55P03")
			require.NoError(t, exec(owner, `rollback`))
			var made bool
			require.NoError(t, owner.QueryRow(t.Context(), `select to_regnamespace('kvit_events') is not null`).Scan(&made))
			require.False(t, made)
			require.NoError(t, exec(busy, `commit`))
			require.NoError(t, exec(owner, shop.Events))
			require.NoError(t, exec(owner, shop.Events), "it may run again")
			var path string
			require.NoError(t, owner.QueryRow(t.Context(), `select current_setting('search_path')`).Scan(&path))
			require.Equal(t, `"$user", public`, path)
		})
	}
}
