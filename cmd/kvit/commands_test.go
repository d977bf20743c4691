package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"kvit/config"
	"kvit/destination"
	"kvit/status"
	"kvit/store/storetest"
)

const shopYAML = `
database: {url: "${DATABASE_URL}"}
ops: {listen: "%ADDRESS%"}
shop:
  orders: {table: orders, ref: number, placed_at: created_at, imported_at: imported_at, erp_number: erp_number, erased_at: erased_at}
destinations:
  crm: {kind: webhook, url: "https://hooks.example/kvit", secret: "${CRM_SECRET}", deduplicates: true}
retention:
  policy:
    - table: orders
      columns: {customer_name: null}
`

const shopTable = `
	create table orders (number text primary key, created_at timestamptz not null default now(), imported_at timestamptz,
		erp_number text, erased_at timestamptz, customer_name text)`

// Both know the events' names, and neither may import the other.
func TestConfigurationKnowsTheNames(t *testing.T) {
	t.Parallel()
	require.Equal(t, destination.Names, config.EventNames)
}

func TestEveryCommandHelpsWithAnExample(t *testing.T) {
	t.Parallel()
	var visit func(*cobra.Command)
	visit = func(cmd *cobra.Command) {
		for _, child := range cmd.Commands() {
			if child.Name() == "help" || child.Name() == "completion" {
				continue
			}
			require.NotEmpty(t, child.Short, child.CommandPath())
			require.Contains(t, child.Example, child.CommandPath())
			visit(child)
		}
	}
	visit((&app{}).root())
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	k := install(t, storetest.URL(t), shopYAML)
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"version"}, 0, "kvit "},
		{[]string{"--help"}, 0, "kvit [command]"},
		{[]string{"nonsense"}, 2, `unknown command "nonsense"`},
		{[]string{"migrate"}, 2, "a subcommand is missing"},
		{[]string{"migrate", "down"}, 2, `unknown subcommand "down"`},
		{[]string{"status", "--loud"}, 2, "unknown flag: --loud"},
		{[]string{"run", "now"}, 2, `unknown command "now"`},
		{[]string{"hold", "add"}, 2, "accepts 1 arg"},
		{[]string{"hold", "add", "E1"}, 2, "--reason and --by must be given"},
		{[]string{"hold", "add", "E1", "--reason", "r", "--by", "b", "--until", "soon"}, 2, "--until must be a day"},
		{[]string{"status", "--config", "nowhere.yaml"}, 1, "nowhere.yaml"},
		{[]string{"verify", "--file", "nowhere.jsonl"}, 1, "nowhere.jsonl"},
		{[]string{"resume", "nowhere"}, 2, `no destination is called "nowhere"`},
	} {
		code, stdout, stderr := k.call(c.args...)
		require.Equal(t, c.code, code, "kvit %v: %s%s", c.args, stdout, stderr)
		require.Contains(t, stdout+stderr, c.says)
	}
}

// All mistakes of a configuration at once, each with line and key, and exit 1 everywhere.
func TestMistakesOfTheConfiguration(t *testing.T) {
	t.Parallel()
	k := install(t, "postgres://nobody@127.0.0.1:1/none", `
databse: {}
destinations:
  crm:
    kind: webhook
    url: ftp://hooks.example
    secret: whsec_in_the_open
    timeout: fast
`)
	for _, args := range [][]string{{"run"}, {"check"}, {"migrate", "up"}} {
		code, stdout, stderr := k.call(args...)
		require.Equal(t, 1, code)
		for _, part := range []string{"2", "databse", "destinations.crm.url", "destinations.crm.secret", "destinations.crm.timeout", "destinations.crm.deduplicates", "at least once"} {
			require.Contains(t, stdout+stderr, part)
		}
		require.NotContains(t, stdout+stderr, "in_the_open")
	}
}

func TestCheckListsEveryProblem(t *testing.T) {
	t.Parallel()
	k := install(t, storetest.URL(t), shopYAML)
	pool := k.pool()
	code, stdout, _ := k.call("check", "--offline")
	require.Equal(t, 1, code)
	require.Contains(t, stdout, "table public.orders does not exist")

	_, err := pool.Exec(t.Context(), shopTable+`; alter table orders add column nickname text, drop column customer_name`)
	require.NoError(t, err)
	code, stdout, _ = k.call("check", "--offline", "--json")
	require.Equal(t, 1, code)
	var report struct {
		OK       bool
		Findings []finding
	}
	require.NoError(t, json.Unmarshal([]byte(stdout), &report))
	require.False(t, report.OK)
	require.Contains(t, stdout, "nickname")
	require.Contains(t, stdout, "customer_name")

	_, err = pool.Exec(t.Context(), `alter table orders rename column nickname to customer_name`)
	require.NoError(t, err)
	code, stdout, _ = k.call("check", "--offline")
	require.Zero(t, code, stdout)
	require.Contains(t, stdout, "create index concurrently", "advice does not fail the check")
}

func TestRunRefusesAnOldSchemaAndNamesTheCure(t *testing.T) {
	t.Parallel()
	pool := storetest.Empty(t)
	k := install(t, pool.Config().ConnString(), "database: {url: \"${DATABASE_URL}\"}\nops: {listen: \"%ADDRESS%\"}\n")
	code, _, stderr := k.call("run")
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "kvit migrate up")
	require.Contains(t, k.mustCall("migrate", "up"), "applied 001_schema")
	require.Contains(t, k.mustCall("migrate", "up"), "nothing to do")
	require.NotContains(t, k.mustCall("migrate", "status"), "kvit migrate up")
}

// A column that nobody has named is told by every command, and its table waits.
func TestForgottenColumn(t *testing.T) {
	t.Parallel()
	k := install(t, storetest.URL(t), shopYAML)
	pool := k.pool()
	_, err := pool.Exec(t.Context(), shopTable+`;
		insert into orders (number, imported_at, customer_name) values ('E1', now() - interval '31 days', 'Jane');
		create unique index on orders (imported_at) where erased_at is null`)
	require.NoError(t, err)
	k.mustCall("migrate", "up")
	require.Contains(t, k.mustCall("status"), "policy problems   0")
	_, err = pool.Exec(t.Context(), `alter table orders add column phone text; alter table orders add check (customer_name is not null)`)
	require.NoError(t, err)
	const forgotten = "column public.orders.phone is not named by the policy"
	require.Contains(t, k.mustCall("status"), forgotten)
	require.Contains(t, k.mustCall("status", "--json"), `"policy_problems": [`)
	for _, args := range [][]string{{"check"}, {"check", "--json"}, {"erase"}, {"erase", "--json"}, {"erase", "--dry-run"}} {
		code, stdout, stderr := k.call(args...)
		require.Equal(t, 1, code, args)
		require.Contains(t, stdout, forgotten, "%v %s", args, stderr)
	}
	_, err = pool.Exec(t.Context(), `alter table orders drop column phone`)
	require.NoError(t, err)
	code, stdout, _ := k.call("check", "--offline")
	require.Equal(t, 1, code)
	require.Contains(t, stdout, "line 10: retention.policy: table public.orders was tried on an order, and cannot be erased as the policy says: "+
		"database error 23514 constraint orders_customer_name_check schema public table orders")
	require.NotContains(t, stdout, "Jane")
}

// An order on hold is not erased; the certificates of the others verify in the database and, by
// what psql writes of them, without it.
func TestHoldEraseVerify(t *testing.T) {
	t.Parallel()
	k := install(t, storetest.URL(t), shopYAML)
	pool := k.pool()
	_, err := pool.Exec(t.Context(), shopTable+`;
		insert into orders (number, imported_at, erp_number, customer_name, created_at)
		select 'E' || i, now() - interval '31 days', 'SO-' || i, 'Jane', now() - interval '32 days' from generate_series(1, 3) i`)
	require.NoError(t, err)
	k.mustCall("migrate", "up")
	k.mustCall("hold", "add", "E2", "--reason", "court case", "--by", "legal")
	require.Contains(t, k.mustCall("hold", "list"), "court case")

	require.Contains(t, k.mustCall("status"), "held              1")
	require.Contains(t, k.mustCall("erase"), "orders erased     2")
	require.Equal(t, 1, count(t, pool, `select count(*) from orders where customer_name = 'Jane' and number = 'E2' and erased_at is null`))
	code, _, stderr := k.call("hold", "add", "E1", "--reason", "too late", "--by", "legal")
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "already erased")

	k.mustCall("hold", "release", "E2")
	require.Contains(t, k.mustCall("erase", "--json"), `"orders": 1`)
	inDatabase := k.mustCall("verify")
	require.Contains(t, inDatabase, "3 certificates, the chain holds; last hash ")

	file := filepath.Join(t.TempDir(), "certificates.jsonl")
	var lines string
	require.NoError(t, pool.QueryRow(t.Context(), `select string_agg(row_to_json(c)::text, e'\n' order by number) from kvit.erasure_certificate c`).Scan(&lines))
	require.NoError(t, os.WriteFile(file, []byte(lines), 0o600))
	require.Equal(t, inDatabase, k.mustCall("verify", "--file", file))
	require.NoError(t, os.WriteFile(file, []byte(strings.Replace(lines, `"E1"`, `"E9"`, 1)), 0o600))
	code, _, stderr = k.call("verify", "--file", file)
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "certificate ")
}

func TestStatusForMachines(t *testing.T) {
	t.Parallel()
	k := install(t, storetest.URL(t), shopYAML)
	_, err := k.pool().Exec(t.Context(), shopTable+`; insert into orders (number) values ('E1')`)
	require.NoError(t, err)
	k.mustCall("migrate", "up")
	var s status.Status
	require.NoError(t, json.Unmarshal([]byte(k.mustCall("status", "--json")), &s))
	require.EqualValues(t, 1, s.Orders.AwaitingImport)
	require.Equal(t, "crm", s.Destinations[0].Name)
	require.Nil(t, s.LastErasure)
}

func TestHealth(t *testing.T) {
	t.Parallel()
	k := install(t, storetest.URL(t), "database: {url: \"${DATABASE_URL}\"}\nops: {listen: \"%ADDRESS%\"}\n")
	code, _, _ := k.call("health")
	require.Equal(t, 1, code)
	process := k.start()
	k.waitReady()
	k.mustCall("health")
	for path, want := range map[string]int{"/": 404, "/river/": 404, "/metrics": 200} {
		status, _ := k.get(path)
		require.Equal(t, want, status, path)
	}
	k.stop(process)
}
