package main

import (
	"io"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"kvit/destination/webhook/webhooktest"
	"kvit/store/storetest"
)

// Each command acts or reads. A new one is a decision: what acts is audited, and among those that the test below runs.
var (
	commandsThatAct = []string{
		"kvit backfill", "kvit cancel", "kvit check --send-test", "kvit erase", "kvit history", "kvit hold add", "kvit hold release", "kvit pause",
		"kvit policy scan --cleared", "kvit replay", "kvit resume", "kvit subject close", "kvit subject erase", "kvit subject export",
	}
	// It keeps kvit.order_confirmation, and has a test of its own.
	commandsTestedElsewhere = []string{"kvit orders confirm"}
	// migrate up has a table of its own; notify test reaches those alone who look after kvit; run is told by the audit of whoever asked for its work.
	commandsThatRead = []string{
		"kvit check", "kvit demo", "kvit erp list", "kvit erp lookup", "kvit erp probe", "kvit health", "kvit hold list", "kvit init", "kvit migrate status",
		"kvit migrate up", "kvit notify test", "kvit orders", "kvit password", "kvit policy draft", "kvit policy grants", "kvit policy scan", "kvit run", "kvit status",
		"kvit subject tasks", "kvit verify", "kvit version",
	}
)

func TestEveryCommandActsOrReads(t *testing.T) {
	t.Parallel()
	known := slices.Concat(commandsThatAct, commandsThatRead, commandsTestedElsewhere)
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			walk(sub)
		}
		if !c.HasSubCommands() {
			require.Contains(t, known, c.CommandPath(), "does it act? Then it is audited")
		}
	}
	walk(newApp(func(string) string { return "" }, io.Discard, io.Discard).root())
}

// auditedYAML has what every command needs that acts.
const auditedYAML = `
database: {url: "${DATABASE_URL}"}
ops: {listen: "off"}
shop:
  country: DK
  orders: {table: orders, ref: number, placed_at: created_at, imported_at: imported_at, erp_number: erp_number, erased_at: erased_at, email: customer_name}
destinations:
  crm: {kind: webhook, url: "RECEIVER", secret: "${CRM_SECRET}", deduplicates: true, allow_private: true}
  spread: {kind: spread, public_key: "${SPREAD_KEY}", private_key: "${CRM_SECRET}", max_age: 400d}
retention:
  policy:
    - table: orders
      columns: {customer_name: null}
`

// What somebody has done at a terminal is in the audit as what was done on a page is, once, with a name and a reason; what only
// shows what would be done is not.
func TestCommandsAreAudited(t *testing.T) {
	t.Parallel()
	receiver, err := webhooktest.New(nil, secret)
	require.NoError(t, err)
	server := httptest.NewServer(receiver)
	t.Cleanup(server.Close)
	k := install(t, storetest.URL(t), strings.Replace(auditedYAML, "RECEIVER", server.URL, 1))
	k.env = []string{"SUDO_USER=", "USER=shell"}
	pool := k.pool()
	_, err = pool.Exec(t.Context(), shopTable+`;
		insert into orders (number, customer_name, imported_at) values ('E1', 'a@example.com', now() - interval '40 days'), ('E2', 'b@example.com', now());
		create schema kvit_events;
		create function kvit_events.past(since timestamptz, until timestamptz)
		returns table (event_key text, name text, order_ref text, occurred_at timestamptz, payload jsonb, consent jsonb) language sql stable as $$
			select 'order_paid:E2', 'order_paid', 'E2', now() - interval '1 day', '{}'::jsonb, '{"marketing": true}'::jsonb
			where now() - interval '1 day' >= since and now() - interval '1 day' < until $$`)
	require.NoError(t, err)
	k.mustCall("migrate", "up")
	viewed(t, pool, 1, 3)
	_, err = pool.Exec(t.Context(), `
		insert into kvit.event (event_key, name, occurred_at, received_at, consent, destinations) values ('page_viewed:old', 'page_viewed', now() - interval '1 hour', now() - interval '1 hour', '{"marketing": true}', '{}');
		delete from kvit.river_job j using kvit.event e where kvit.job_event_id(j.args) = e.id and e.event_key = 'page_viewed:3';
		insert into kvit.erasure_task (id, reference, destination, order_refs, created_by) overriding system value values (7, 'T-7', 'spread', '{}', 'anna');
		insert into kvit.erasure_run (id, known_migration) overriding system value values (1, 16);
		insert into kvit.erasure_residue (table_name, column_name, rows, order_refs, row_keys, certificates, run_id, found_at, last_seen_at) values ('public.log', 'line', 1, '{E9}', '{}', '{}', 1, now(), now())`)
	require.NoError(t, err)

	entries := func() []string {
		rows, _ := pool.Query(t.Context(), `select concat_ws('|', action, subject, who, reason) from kvit.audit order by id`)
		list, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		return list
	}
	ran := map[string]bool{}
	for _, c := range []struct {
		command string
		args    []string
		entry   []string
	}{
		{"kvit pause", []string{"crm", "--reason", "moves", "--operator", "anna"}, []string{"pause|crm|anna|moves"}},
		{"kvit resume", []string{"crm", "--reason", "moved"}, []string{"resume|crm|shell|moved"}},
		{"kvit cancel", []string{"--destination", "crm", "--reason", "not wanted", "--dry-run"}, nil},
		{"kvit cancel", []string{"--destination", "crm", "--reason", "not wanted"}, []string{"cancel|crm|shell|not wanted"}},
		{"kvit replay", []string{"--destination", "crm", "--outcome", "lost", "--reason", "wanted", "--operator", "jon"}, []string{"replay|crm|jon|wanted"}},
		{"kvit backfill", []string{"--destination", "crm", "--from", "3d", "--reason", "new"}, []string{"backfill|crm|shell|new"}},
		{"kvit check --send-test", []string{"crm"}, []string{"test_event|crm|shell|"}},
		{"kvit hold add", []string{"E2", "--reason", "case 7", "--by", "legal"}, []string{"hold|E2|legal|case 7"}},
		{"kvit hold release", []string{"E2", "--reason", "closed"}, []string{"release hold|E2|shell|closed"}},
		{"kvit subject close", []string{"7", "--by", "anna", "--note", "by their form"}, []string{"close task|7|anna|by their form"}},
		{"kvit policy scan --cleared", []string{"public.log.line"}, []string{"clear residue|public.log.line|*|"}},
		{"kvit subject export", []string{"--email", "b@example.com", "--out", filepath.Join(t.TempDir(), "person.json")}, []string{"subject export||shell|"}},
		{"kvit erase", []string{"--dry-run"}, nil},
		{"kvit erase", nil, []string{"erase||shell|"}},
		{"kvit erase", []string{"--confirm"}, []string{"erase_agreed||shell|"}},
		{"kvit erase", []string{"--again"}, []string{"erase_again||shell|"}},
		{"kvit history", []string{"--destination", "spread", "--from", "3d", "--csv", filepath.Join(t.TempDir(), "past.csv"), "--reason", "import"}, []string{"history to file|spread|shell|import"}},
		{"kvit history", []string{"--destination", "spread", "--from", "3d", "--reason", "new tracker", "--dry-run"}, nil},
		{"kvit history", []string{"--destination", "spread", "--from", "3d", "--reason", "new tracker"}, []string{"history|spread|shell|new tracker", "backfill|spread|shell|new tracker"}},
		{"kvit subject erase", []string{"--email", "b@example.com", "--reference", "T-9", "--by", "anna", "--dry-run"}, nil},
		{"kvit subject erase", []string{"--email", "b@example.com", "--reference", "T-9", "--by", "anna"}, []string{"subject erase|T-9|anna|"}},
	} {
		before := len(entries())
		words := append(strings.Fields(strings.TrimPrefix(c.command, "kvit ")), c.args...)
		code, stdout, stderr := k.call(words...)
		require.NotEqual(t, exitUsage, code, "%v: %s%s", words, stdout, stderr)
		got := entries()[before:]
		require.Len(t, got, len(c.entry), "%v: %s%s", words, stdout, stderr)
		for i, want := range c.entry {
			if strings.Contains(want, "|*|") {
				fields := strings.Split(got[i], "|")
				require.NotEmpty(t, fields[2])
				fields[2] = "*"
				got[i] = strings.Join(fields, "|")
			}
			require.Equal(t, want, got[i], "%v", words)
		}
		ran[c.command] = true
	}
	export := filepath.Join(t.TempDir(), "certificates.jsonl")
	k.mustCall("verify", "--export", export)
	k.mustCall("erase", "--replay", export)
	require.Equal(t, "erase_replay||shell|", entries()[len(entries())-1])
	for _, command := range commandsThatAct {
		require.True(t, ran[command], command)
	}
}
