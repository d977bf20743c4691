package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"kvit/config"
	"kvit/destination"
	"kvit/destination/ga4/ga4test"
	"kvit/destination/klaviyo/klaviyotest"
	"kvit/destination/spread/spreadtest"
	"kvit/destination/webhook/webhooktest"
	"kvit/store"
	"kvit/store/storetest"
)

// The person's address and id; both hold the marker's letters, so that the search for it finds them.
const (
	personsEmail = "Qmarker.Doe@Example.com"
	personsID    = "qmarker-4711"
)

const subjectYAML = `
database: {url: "${DATABASE_URL}"}
log: {level: debug}
ops: {listen: "%ADDRESS%"}
shop:
  orders: {table: orders, ref: number, placed_at: created_at, imported_at: imported_at, erp_number: erp_number, erased_at: erased_at, email: email, customer_id: customer}
%DESTINATIONS%
retention:
  tables:
    abandoned: {table: carts, since: updated_at, erase_after: 7d}
  policy:
    - table: orders
      columns: {email: null, customer: null, customer_name: null}
    - table: order_lines
      match: {number: number}
      rows: delete
    - table: newsletter
      match: {email: email}
      columns: {id: keep, email: {text: erased}, topic: keep}
`

// askedShop is an installation whose shop knows the person, with these destinations.
func askedShop(t *testing.T, destinations string) (*kvit, *pgxpool.Pool) {
	t.Helper()
	if destinations != "" {
		destinations = "destinations:\n" + destinations
	}
	k := install(t, storetest.URL(t), strings.ReplaceAll(subjectYAML, "%DESTINATIONS%", destinations))
	pool := k.pool()
	_, err := pool.Exec(t.Context(), `
		create table orders (number text primary key, created_at timestamptz not null default now(), imported_at timestamptz,
			erp_number text, erased_at timestamptz, email text, customer text, customer_name text);
		create table order_lines (number text, text text);
		create table carts (id bigint primary key, updated_at timestamptz);
		create table newsletter (id bigint primary key, email text, topic text)`)
	require.NoError(t, err)
	k.mustCall("migrate", "up")
	_, err = pool.Exec(t.Context(), `
		insert into orders (number, imported_at, email, customer, customer_name)
		select 'E' || i, case when i < 3 then now() end, $1::text, $2, 'Qmarker' from generate_series(1, 3) i`, personsEmail, personsID)
	require.NoError(t, err)
	_, err = pool.Exec(t.Context(), `
		insert into orders (number, imported_at, email, customer_name) values ('E9', now(), 'other@example.com', 'Somebody');
		insert into order_lines (number, text) select number, 'Qmarker' from orders where number <> 'E9';
		insert into newsletter (id, email, topic) values (1, 'qmarker.doe@example.com', 'shoes'), (2, 'other@example.com', 'hats')`)
	require.NoError(t, err)
	return k, pool
}

// happened stores an event of each order and one without, as delivered to these destinations.
func happened(t *testing.T, pool *pgxpool.Pool, destinations ...string) {
	t.Helper()
	_, err := pool.Exec(t.Context(), `
		insert into kvit.tracking_event (event_key, name, order_ref, payload)
		select 'order_paid:' || number, 'order_paid', number, jsonb_build_object('customer', jsonb_build_object('email', email))
		from orders`)
	require.NoError(t, err)
	_, err = pool.Exec(t.Context(), `
		insert into kvit.tracking_event (event_key, name, payload)
		values ('page_viewed:1', 'page_viewed', jsonb_build_object('customer', jsonb_build_object('email', $1::text, 'id', $2::text), 'client', '{"ga_client_id": "1.2"}'::jsonb))`,
		strings.ToUpper(personsEmail), personsID)
	require.NoError(t, err)
	_, err = pool.Exec(t.Context(), `
		insert into kvit.delivery (event_id, destination, outcome, attempts, response_code)
		select e.id, d, 'delivered', 1, 204 from kvit.event e, unnest($1::text[]) d`, destinations)
	require.NoError(t, err)
}

// export is what `kvit subject export` writes.
type export struct {
	About  map[string]string
	Orders []struct {
		OrderRef string         `json:"order_ref"`
		Row      map[string]any `json:"row"`
	}
	Tables map[string][]map[string]any
	Events []struct {
		EventKey   string `json:"event_key"`
		Payload    map[string]any
		Deliveries []map[string]any
	}
	Notes []string

	NotSearched []struct{ Table, Reason string } `json:"not_searched"`
}

// cartsLine is what a person's export and erasure say of tables that nothing ties to them.
const cartsLine = "not searched: table public.carts: nothing ties it to a person; its rows go by retention.tables.abandoned\n"

func parseExport(t *testing.T, text string) export {
	t.Helper()
	var e export
	require.NoError(t, json.Unmarshal([]byte(text), &e), text)
	return e
}

func TestSubjectExport(t *testing.T) {
	t.Parallel()
	k, pool := askedShop(t, "")
	happened(t, pool, "crm")
	code, stdout, stderr := k.call("subject", "export", "--email", strings.ToLower(personsEmail))
	require.Zero(t, code, stderr)
	require.Equal(t, "3 orders, 4 rows of other tables, 4 events\n"+cartsLine, stderr)
	e := parseExport(t, stdout)
	require.Equal(t, map[string]string{"email": strings.ToLower(personsEmail)}, e.About)
	require.Equal(t, "E1", e.Orders[0].OrderRef)
	require.Equal(t, "Qmarker", e.Orders[0].Row["customer_name"])
	require.Len(t, e.Tables["public.order_lines"], 3)
	require.Equal(t, []map[string]any{{"id": 1.0, "email": "qmarker.doe@example.com", "topic": "shoes"}}, e.Tables["public.newsletter"])
	require.Equal(t, "page_viewed:1", e.Events[3].EventKey)
	require.Equal(t, "crm", e.Events[3].Deliveries[0]["destination"])
	require.Contains(t, strings.Join(e.Notes, "\n"), "3 of the orders have a customer id")
	require.Equal(t, "public.carts", e.NotSearched[0].Table)
	require.NotContains(t, stdout, "other@example.com")
	require.NotContains(t, stdout, "Somebody")

	file := filepath.Join(t.TempDir(), "person.json")
	code, stdout, stderr = k.call("subject", "export", "--customer-id", personsID, "--out", file)
	require.Zero(t, code, stderr)
	require.Equal(t, "3 orders, 4 rows of other tables, 4 events\n"+cartsLine+
		"not searched: table public.newsletter: rows without an order are found by --email alone, which was not given\n", stdout)
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.EqualValues(t, 0o600, info.Mode().Perm())
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Len(t, parseExport(t, string(text)).Orders, 3)
	code, _, stderr = k.call("subject", "export", "--customer-id", "1", "--out", file)
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "--force")

	code, stdout, stderr = k.call("subject", "export", "--email", "nobody@example.com")
	require.Zero(t, code)
	require.Equal(t, "nothing found\n"+cartsLine, stderr)
	require.Empty(t, parseExport(t, stdout).Orders)

	code, stdout, _ = k.call("subject", "export", "--customer-id", personsID, "--out", "-")
	require.Zero(t, code)
	require.Len(t, parseExport(t, stdout).Orders, 3)
	require.NoFileExists(t, "-")

	// A table that does not fit is missing, and nothing else.
	_, err = pool.Exec(t.Context(), `alter table newsletter rename column email to mail`)
	require.NoError(t, err)
	code, stdout, stderr = k.call("subject", "export", "--email", personsEmail)
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "3 orders, 3 rows of other tables, 4 events\n")
	require.Contains(t, stderr, "not searched: table public.newsletter: cannot be searched: database error 42703: column")
	require.Len(t, parseExport(t, stdout).Tables["public.order_lines"], 3)
}

// A person with many orders and events is written as it is read.
func TestSubjectExportOfMany(t *testing.T) {
	t.Parallel()
	k, pool := askedShop(t, "")
	const many = 20_000
	_, err := pool.Exec(t.Context(), `
		insert into orders (number, email, customer_name) select 'M' || i, $1, repeat('x', 500) from generate_series(1, $2::integer) i`, personsEmail, many)
	require.NoError(t, err)
	code, stdout, stderr := k.call("subject", "export", "--email", personsEmail)
	require.Zero(t, code, stderr)
	require.Len(t, parseExport(t, stdout).Orders, many+3)
}

func TestSubjectUsage(t *testing.T) {
	t.Parallel()
	k := install(t, storetest.URL(t), shopYAML)
	_, err := k.pool().Exec(t.Context(), shopTable)
	require.NoError(t, err)
	k.mustCall("migrate", "up")
	erase := []string{"subject", "erase", "--email", personsEmail}
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"subject"}, 2, "a subcommand is missing"},
		{[]string{"subject", "export"}, 2, "--email or --customer-id must be given"},
		{[]string{"subject", "export", "--email", "qmarker"}, 2, "--email is no e-mail address"},
		{[]string{"subject", "export", "--email", personsEmail}, 1, "shop.orders.email is not set"},
		{[]string{"subject", "export", "--customer-id", personsID}, 1, "shop.orders.customer_id is not set"},
		{append(slices.Clone(erase), "--reference", "T-1", "--by", "anna"), 1, "shop.orders.email is not set"},
		{append(slices.Clone(erase), "--by", "anna"), 2, "--reference and --by must be given"},
		{append(slices.Clone(erase), "--reference", "T-1"), 2, "--reference and --by must be given"},
		{append(slices.Clone(erase), "--reference", "for "+strings.ToUpper(personsEmail), "--by", "anna"), 2, "names the person"},
		{append(slices.Clone(erase), "--reference", "a\nb", "--by", "anna"), 2, "one line"},
		{[]string{"subject", "erase", "--customer-id", personsID, "--reference", "T-" + personsID, "--by", "anna"}, 2, "names the person"},
		{[]string{"subject", "close", "one", "--by", "anna"}, 2, "a task is a number"},
		{[]string{"subject", "close", "1"}, 2, "--by must be given"},
		{[]string{"subject", "close", "1", "--by", "anna"}, 1, "there is no task 1"},
	} {
		code, stdout, stderr := k.call(c.args...)
		require.Equal(t, c.code, code, "kvit %v: %s%s", c.args, stdout, stderr)
		require.Contains(t, stderr, c.says)
		require.NotContains(t, strings.ToLower(stdout+stderr), "qmarker")
	}
}

func TestSubjectFromStandardInput(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		in, email, id string
		want          store.Subject
		problem       bool
	}{
		"Email":     {in: "jane@example.com\n", email: "-", want: store.Subject{Email: "jane@example.com"}},
		"NoNewline": {in: " jane@example.com ", email: "-", want: store.Subject{Email: "jane@example.com"}},
		"Both":      {in: "jane@example.com\n4711\n", email: "-", id: "-", want: store.Subject{Email: "jane@example.com", CustomerID: "4711"}},
		"One":       {in: "4711\n", email: "jane@example.com", id: "-", want: store.Subject{Email: "jane@example.com", CustomerID: "4711"}},
		"Flags":     {email: " jane@example.com", want: store.Subject{Email: "jane@example.com"}},
		"Empty":     {email: "-", problem: true},
		"Blank":     {in: "\n4711\n", email: "-", problem: true},
		"Missing":   {in: "jane@example.com\n", email: "-", id: "-", problem: true},
		"Long":      {in: strings.Repeat("x", 5000) + "@example.com", email: "-", problem: true},
		"Zero":      {id: "a\x00b", problem: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := store.Subject{Email: c.email, CustomerID: c.id}
			err := readSubject(strings.NewReader(c.in), &s)
			if c.problem {
				require.ErrorIs(t, err, errUsage)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, s)
		})
	}
}

// recipientsOf are a webhook receiver that kvit tells, Klaviyo that fails twice, and SPREAD for which
// somebody has to.
func recipientsOf(t *testing.T) (yaml string, hook *webhooktest.Receiver, mail *klaviyotest.Server) {
	t.Helper()
	hook, err := webhooktest.New(nil, secret)
	require.NoError(t, err)
	mail = klaviyotest.New(secret, nil)
	var asked atomic.Int64
	failing := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) <= 2 {
			echo(http.StatusServiceUnavailable).ServeHTTP(w, r)
			return
		}
		mail.ServeHTTP(w, r)
	})
	return fmt.Sprintf(`
  hook: {kind: webhook, url: %q, secret: "${CRM_SECRET}", deduplicates: true, allow_private: true}
  mail: {kind: klaviyo, api_key: "${CRM_SECRET}", base_url: %q}
  spread: {kind: spread, public_key: "${SPREAD_KEY}", private_key: "${CRM_SECRET}", base_url: %q}
  idle: {kind: webhook, url: "https://hooks.example/kvit", secret: "${CRM_SECRET}", deduplicates: true}
`, serve(t, hook), serve(t, failing), serve(t, spreadtest.New("public", secret, nil))), hook, mail
}

func TestSubjectErase(t *testing.T) {
	t.Parallel()
	yaml, hook, mail := recipientsOf(t)
	k, pool := askedShop(t, yaml)
	happened(t, pool, "hook", "mail", "spread", "removed")
	erase := []string{"subject", "erase", "--email", strings.ToUpper(personsEmail), "--reference", "TICKET-17", "--by", "anna"}

	code, stdout, stderr := k.call(append(slices.Clone(erase), "--dry-run")...)
	require.Equal(t, 1, code, stderr)
	require.Contains(t, stdout, "dry run")
	require.Contains(t, stdout, "destination hook: would be told")
	require.Zero(t, hook.Counts().Requests)
	require.Contains(t, dump(t, k.url), "Qmarker")

	code, stdout, stderr = k.call(erase...)
	require.Equal(t, 1, code, "one order is refused: %s", stderr)
	for _, line := range []string{
		"order E1: erased\n", "order E2: erased\n", "order E3: not erased: the ERP does not have it yet; 30d after it has",
		"rows of public.newsletter that stay with orders that are not erased: 1\n", "rows of kvit.event: 3\n", "events that stay with order E3, which is not erased: 1\n",
		"destination hook: told\n", "destination mail: not told: task ", "(HTTP 503)", "destination removed: not told: task ", "does not name it any more", "destination spread: not told: task ",
		cartsLine,
	} {
		require.Contains(t, stdout, line)
	}
	require.NotContains(t, stdout, "idle")
	requireNoMarker(t, "output", stdout+stderr)
	require.Equal(t, 1, count(t, pool, `select count(*) from orders where email = 'other@example.com' and customer_name = 'Somebody'`))
	require.Equal(t, 1, hook.Counts().Redacted)
	for _, said := range hook.Redactions() {
		require.Equal(t, strings.ToUpper(personsEmail), said.Customer.Email)
		require.Equal(t, []string{"E1", "E2", "E3"}, said.OrderRefs)
		require.Equal(t, []string{"1.2"}, said.ClientIDs)
	}

	// The rest, by the same request: what is told is not told again.
	_, err := pool.Exec(t.Context(), `update orders set imported_at = now() where number = 'E3'`)
	require.NoError(t, err)
	code, stdout, stderr = k.call(erase...)
	require.Equal(t, 1, code, "one provider could not be told: %s", stderr)
	require.Contains(t, stdout, "order E3: erased\n")
	require.NotContains(t, stdout, "not erased")
	code, stdout, stderr = k.call(append(slices.Clone(erase), "--json")...)
	require.Zero(t, code, stdout+stderr)
	var result struct {
		Erased []store.ErasedOrder
		Tasks  []struct {
			Destination string
			Told        bool
		}
	}
	require.NoError(t, json.Unmarshal([]byte(stdout), &result))
	require.Empty(t, result.Erased, "there was nothing left to do")
	require.Equal(t, 1, hook.Counts().Redacted)
	require.Equal(t, 1, mail.Counts().Deletions)
	told := map[string]bool{}
	for _, task := range result.Tasks {
		told[task.Destination] = task.Told
	}
	require.Equal(t, map[string]bool{"mail": true, "spread": false, "removed": false}, told)
	requireNoMarker(t, "pg_dump", dump(t, k.url))
	require.Contains(t, k.mustCall("verify"), "9 certificates") // four, and what the search for copies says of each: of the request twice

	// Somebody tells the others.
	require.Contains(t, k.mustCall("status"), "open tasks")
	list := k.mustCall("subject", "tasks")
	require.Contains(t, list, "TICKET-17")
	require.NotContains(t, list, "mail")
	var open []store.Task
	require.NoError(t, json.Unmarshal([]byte(k.mustCall("subject", "tasks", "--json")), &open))
	require.Len(t, open, 2)
	require.Zero(t, open[0].Attempts)
	id := fmt.Sprint(open[0].ID)
	require.Equal(t, "task "+id+" is closed\n", k.mustCall("subject", "close", id, "--by", "anna", "--note", "asked by their form"))
	code, _, stderr = k.call("subject", "close", id, "--by", "anna")
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "closed already")
	require.Contains(t, k.mustCall("subject", "tasks", "--all"), "asked by their form")
	require.Len(t, strings.Split(strings.TrimSpace(k.mustCall("subject", "tasks")), "\n"), 2, "a heading and one task")

	require.Contains(t, k.mustCall("subject", "erase", "--email", "nobody@example.com", "--reference", "TICKET-18", "--by", "anna"), "nothing found")
}

// What the database says of the person goes nowhere, also when it fails.
func TestSubjectFailuresSayNothing(t *testing.T) {
	t.Parallel()
	k, pool := askedShop(t, "")
	_, err := pool.Exec(t.Context(), `
		create function keep() returns trigger language plpgsql as $$ begin raise exception 'no % for you', old.email; end $$;
		create trigger keep before update on newsletter for each row execute function keep();
		update orders set imported_at = now()`)
	require.NoError(t, err)
	code, stdout, stderr := k.call("subject", "erase", "--email", personsEmail, "--reference", "T-1", "--by", "anna")
	require.Equal(t, 1, code)
	require.Contains(t, stdout, ": not erased: database error P0001")
	requireNoMarker(t, "output", stdout+stderr)
	_, err = pool.Exec(t.Context(), `delete from orders`)
	require.NoError(t, err)
	code, stdout, stderr = k.call("subject", "erase", "--email", personsEmail, "--reference", "T-1", "--by", "anna")
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "database error P0001")
	requireNoMarker(t, "output", stdout+stderr)
	_, err = pool.Exec(t.Context(), `insert into orders (number, email) values ('E1', $1)`, personsEmail)
	require.NoError(t, err)
	yaml, err := os.ReadFile(k.config)
	require.NoError(t, err)
	k.write(strings.Replace(string(yaml), "retention:\n", "retention:\n  clocks: {odd: {when: \"email::integer > 0\", erase_after: 7d}}\n", 1))
	for _, args := range [][]string{{"subject", "export"}, {"subject", "erase", "--reference", "T-1", "--by", "anna"}} {
		code, _, stderr = k.call(append(args, "--email", personsEmail)...)
		require.Equal(t, 1, code, args)
		require.Contains(t, stderr, "database error 22P02", "whose text has the value")
		requireNoMarker(t, "errors", stderr)
	}
	_, err = pool.Exec(t.Context(), `alter table orders drop column email`)
	require.NoError(t, err)
	for _, args := range [][]string{{"subject", "export"}, {"subject", "erase", "--reference", "T-1", "--by", "anna"}} {
		code, stdout, stderr = k.call(append(args, "--email", personsEmail)...)
		require.Equal(t, 1, code, args)
		requireNoMarker(t, "errors", stderr)
		if args[1] == "export" { // writes what is there all the same, and for whom
			require.Contains(t, stderr, "not searched: table public.orders: cannot be searched: database error 42703: column")
			continue
		}
		requireNoMarker(t, "output", stdout)
	}
}

// Client ids alone let GA4 find a person: it must be known of it, and of no other.
func TestRecipientsOfTheConfiguration(t *testing.T) {
	t.Parallel()
	values := map[string]string{
		"DATABASE_URL": "postgres://nobody@127.0.0.1:1/none", "CRM_SECRET": secret, "ACCOUNT": ga4test.Credentials("http://127.0.0.1:1"),
	}
	cfg, err := config.Parse("kvit.yaml", []byte(`
database: {url: "${DATABASE_URL}"}
destinations:
  browsers:
    kind: ga4
    measurement_id: G-ABC1234567
    api_secret: ${CRM_SECRET}
    deletion: {property_id: "123456", credentials: "${ACCOUNT}"}
  crm: {kind: webhook, url: "https://hooks.example/kvit", secret: "${CRM_SECRET}", deduplicates: true}
`), func(name string) string { return values[name] }, kinds)
	require.NoError(t, err)
	found := map[string]bool{}
	for _, r := range recipientsIn(cfg.Destinations, slog.New(slog.DiscardHandler)) {
		adapter, err := r.Adapter()
		require.NoError(t, err)
		_, tellable := destination.RedactorOf(adapter)
		require.True(t, tellable, r.Name)
		found[r.Name] = adapter.Traits().FindsByClientID
	}
	require.Equal(t, map[string]bool{"browsers": true, "crm": false}, found)
}
