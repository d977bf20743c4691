package store_test

import (
	"errors"
	"net/url"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"kvit/store"
	"kvit/store/storetest"
)

// marker is what no message may repeat.
const marker = "mxrkxr"

// errorOf is what the database says to a statement that must fail.
func errorOf(t *testing.T, prepare, sql string, args ...any) error {
	t.Helper()
	tx := storetest.Tx(t)
	mustExec(t, tx, `
		create table public.people (id integer primary key, name text not null, age integer, check (age < 200));
		insert into public.people values (1, 'mxrkxr', 3)`)
	mustExec(t, tx, prepare)
	_, err := tx.Exec(t.Context(), sql, args...)
	require.Error(t, err)
	return err
}

// trigger runs body for each row that is updated.
func trigger(body string) string {
	return `create function public.audit() returns trigger language plpgsql as $$ begin ` + body + ` return new; end $$;
		create trigger audit after update on public.people for each row execute function public.audit()`
}

const touch = `update public.people set age = age + 1`

func TestDescribe(t *testing.T) {
	t.Parallel()
	const poor = `set local role pg_monitor`
	for name, c := range map[string]struct {
		prepare, sql string
		args         []any
		want         string
	}{
		"NoRightOnTable": {poor, `select name from public.people`, nil, "database error 42501: permission denied for table people"},
		"NoRightOnSchema": {`revoke usage on schema kvit from public; ` + poor, `select event_key from kvit.event`, nil,
			"database error 42501: permission denied for schema kvit"},
		"NotTheOwner":      {poor, `alter table public.people add column x text`, nil, "database error 42501: must be owner of table people"},
		"NoTable":          {"", `select 1 from public.peple where name = $1`, []any{marker}, `database error 42P01: relation "public.peple" does not exist`},
		"NoColumn":         {"", `select nme from public.people where name = $1`, []any{marker}, `database error 42703: column "nme" does not exist`},
		"NoFunction":       {"", `select public.f(name) from public.people`, nil, "database error 42883: function public.f(text) does not exist"},
		"NoOperator":       {"", `select from public.people where id = name`, nil, "database error 42883: operator does not exist: integer = text"},
		"NoSchema":         {"", `select 1::nowhere.t`, nil, `database error 3F000: schema "nowhere" does not exist`},
		"NoType":           {"", `select 1::nosuch`, nil, `database error 42704: type "nosuch" does not exist`},
		"Syntax":           {"", `select frm people`, nil, `database error 42703: column "frm" does not exist`},
		"SyntaxOfKvits":    {"", `select 1 where )`, nil, `database error 42601: syntax error at or near ")"`},
		"ThereAlready":     {"", `create table public.people ()`, nil, `database error 42P07: relation "people" already exists`},
		"ReadOnly":         {`set transaction read only`, touch, nil, "database error 25006: cannot execute UPDATE in a read-only transaction"},
		"NotYetFilled":     {`create materialized view public.m as select name from public.people with no data`, `select name from public.m`, nil, `database error 55000: materialized view "m" has not been populated`},
		"ViewNotUpdatable": {`create view public.v as select distinct age from public.people`, `update public.v set age = 1`, nil, `database error 55000: cannot update view "v"`},
		"UsedByAView":      {`create view public.v as select age from public.people`, `alter table public.people alter column age type text`, nil, "database error 0A000: cannot alter type of a column used by a view or rule"},
		"DependedOn":       {`create view public.v as select age from public.people`, `drop table public.people`, nil, "database error 2BP01: cannot drop table people because other objects depend on it"},
		"TooSlow":          {`set local statement_timeout = '20ms'`, `select pg_sleep(10)`, nil, "database error 57014: canceling statement due to statement timeout"},
		"TwoRows":          {`insert into public.people values (2, 'mxrkxr')`, `select (select name from public.people)`, nil, "database error 21000: more than one row returned by a subquery used as an expression"},
		"TriggersOwnRight": {trigger(`insert into kvit.event (event_key) values (new.name);`) + `; grant update, select on public.people to pg_monitor; grant usage on schema kvit to pg_monitor; ` + poor, touch, nil,
			"database error 42501: permission denied for table event, in function audit()"},

		// Values are in these messages, details or contexts.
		"NotUnique":        {"", `insert into public.people values (1, $1)`, []any{marker}, "database error 23505 constraint people_pkey schema public table people"},
		"Null":             {"", `update public.people set name = null`, nil, "database error 23502 schema public table people column name"},
		"Check":            {"", `update public.people set age = 300`, nil, "database error 23514 constraint people_age_check schema public table people"},
		"NotANumber":       {"", `select name::integer from public.people`, nil, "database error 22P02"},
		"NotADate":         {"", `select name::date from public.people`, nil, "database error 22007"},
		"NotJSON":          {"", `select name::json from public.people`, nil, "database error 22P02"},
		"NoTimeZone":       {"", `select now() at time zone name from public.people`, nil, "database error 22023"},
		"NameOfAValue":     {"", `select name::regclass from public.people`, nil, "database error 42P01"},
		"TypeOfAValue":     {"", `select name::regtype from public.people`, nil, "database error 42704"},
		"SchemaOfAValue":   {"", `select (name || '.x')::regclass from public.people`, nil, "database error 3F000"},
		"PartOfAValue":     {"", `select date_part(name, now()) from public.people`, nil, "database error 22023"},
		"Raised":           {trigger(`raise exception 'sorry, %', new.name;`), touch, nil, "database error P0001, in function audit()"},
		"RaisedAsARight":   {trigger(`raise insufficient_privilege using message = new.name;`), touch, nil, "database error 42501, in function audit()"},
		"RaisedAsATimeout": {trigger(`raise query_canceled using message = new.name;`), touch, nil, "database error 57014, in function audit()"},
		"Dynamic":          {trigger(`execute 'select ' || new.name;`), touch, nil, "database error 42703, in function audit()"},
		"DynamicLines":     {trigger(`execute 'select 1 /' || '* ' || E'\nPL/pgSQL function ' || new.name || E' line 3 at RAISE\n' || '*' || '/ + x';`), touch, nil, "database error 42703, in function audit()"},
		"TooLongAWord":     {"", `select repeat(name, 1000)::tsquery from public.people`, nil, "database error 54000"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := store.Describe(errorOf(t, c.prepare, c.sql, c.args...))
			require.Equal(t, c.want, got)
			require.NotContains(t, got, marker)
		})
	}
}

// What has no name in the database is said in kvit's words; a server that refuses says why.
func TestDescribeOfAConnection(t *testing.T) {
	t.Parallel()
	u, err := url.Parse(storetest.URL(t))
	require.NoError(t, err)
	u.Path = "/nosuch"
	_, err = pgx.Connect(t.Context(), u.String())
	require.Equal(t, `database error 3D000: database "nosuch" does not exist`, store.Describe(err))
	u.User = url.UserPassword("nobody", marker)
	_, err = pgx.Connect(t.Context(), u.String())
	require.Contains(t, store.Describe(err), "database error 28")
	require.Contains(t, store.Describe(err), `"nobody"`)
	require.NotContains(t, store.Describe(err), marker)
	u.Host = "127.0.0.1:1"
	_, err = pgx.Connect(t.Context(), u.String())
	require.Equal(t, "database cannot be reached", store.Describe(err))
	require.Equal(t, "database connection broke", store.Describe(errors.New(marker)))
}
