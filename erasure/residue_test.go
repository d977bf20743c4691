package erasure

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"kvit/store"
)

// theodora is somebody whose values are nobody else's.
var theodora = struct{ name, email, street, phone string }{
	"Theodora Abelsgård", "Theodora@Abelsgaard.example", `Ny "Allé" 17/3`, "+45 22 33 44 55",
}

// buy sells an order to the person, and some to others.
func (s *shop) buy(ref string, importedAgo time.Duration) {
	s.t.Helper()
	s.order(ref, importedAgo)
	s.exec(`alter table public.orders alter column street type text`)
	s.exec(`update public.orders set customer_name = $2, email = $3, street = $4 where order_number = $1`, ref, theodora.name, theodora.email, theodora.street)
	s.exec(`update public.payments set holder = $2 where order_number = $1`, ref, theodora.name)
	s.exec(`insert into kvit.tracking_event (event_key, name, occurred_at, order_ref, payload)
		values ('order_paid:' || $1::text, 'order_paid', now(), $1, jsonb_build_object('customer', jsonb_build_object('phone', $2::text)))`, ref, theodora.phone)
	s.order("other-"+ref, 0)
}

// scan returns where copies are, as table.column, and the report.
func (s *shop) scan(budget time.Duration) ([]string, ResidueReport) {
	s.t.Helper()
	r, err := s.Scan(s.t.Context(), ScanOptions{Orders: 1, Time: budget})
	require.NoError(s.t, err)
	return placesOf(r.Found), r
}

func placesOf(copies []Copy) []string {
	list := []string{}
	for _, c := range copies {
		list = append(list, c.Table+"."+c.Column)
	}
	return list
}

func TestScanFindsNothingWhereNothingIsLeft(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.buy("E1", 40*day)
	found, r := s.scan(time.Minute)
	require.Empty(t, found)
	require.Equal(t, 1, r.Orders)
	require.GreaterOrEqual(t, r.Values, 4)
	require.Empty(t, r.Unsearched)
	require.Greater(t, r.Searched, 10)
	require.Equal(t, theodora.name, value[string](s, `select customer_name from public.orders where order_number = 'E1'`), "it is rolled back")
}

func TestScanNamesCopies(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		schema string
		found  []string
		kept   []string
	}{
		"SecondAddress": {schema: `
			create table public.addresses (id bigint primary key, order_id bigint, line1 text, city text);
			insert into public.addresses select id, id, street, 'Odense' from public.orders`, found: []string{"public.addresses.line1"}},
		"AuditTrigger": {schema: `
			create table public.audit (id uuid primary key default gen_random_uuid(), old_row jsonb);
			create function public.keep() returns trigger language plpgsql as $$ begin
			    insert into public.audit (old_row) values (to_jsonb(old)); return null; end $$;
			create trigger keep after update on public.orders for each row execute function public.keep()`, found: []string{"public.audit.old_row"}},
		"DeferredTrigger": {schema: `
			create table public.audit (old_row text);
			create function public.keep() returns trigger language plpgsql as $$ begin
			    insert into public.audit values (old::text); return null; end $$;
			create constraint trigger keep after update on public.orders deferrable initially deferred for each row execute function public.keep()`,
			found: []string{"public.audit.old_row"}},
		"MaterializedView": {schema: `create materialized view public.report as select order_number, email from public.orders`, found: []string{"public.report.email"}},
		"LogWithoutAKey":   {schema: `create table public.log (line text); insert into public.log values ('mail to <theodora@abelsgaard.EXAMPLE> sent')`, found: []string{"public.log.line"}},
		"JSONText":         {schema: `create table public.jobs (args text); insert into public.jobs values ('{"who": "Theodora Abelsg\u00e5rd"}')`, found: []string{"public.jobs.args"}},
		"JSON":             {schema: `create table public.jobs (args json); insert into public.jobs values ('{"street": "Ny \"All\u00E9\" 17\/3"}')`, found: []string{"public.jobs.args"}},
		"Array":            {schema: `create table public.tags (list text[]); insert into public.tags values (array['a', 'Ny "Allé" 17/3'])`, found: []string{"public.tags.list"}},
		"Composite": {schema: `create type public.place as (street text, city text); create table public.stops (at public.place);
			insert into public.stops values (row('Ny "Allé" 17/3', 'Odense'))`, found: []string{"public.stops.at"}},
		"Domain":          {schema: `create domain public.mail as varchar(80); create table public.letters (rcpt public.mail); insert into public.letters select email from public.orders`, found: []string{"public.letters.rcpt"}},
		"Bytes":           {schema: `create table public.files (body bytea); insert into public.files select convert_to('x' || email, 'UTF8') from public.orders`, found: []string{"public.files.body"}},
		"XML":             {schema: `create table public.files (body xml); insert into public.files select xmlelement(name a, email) from public.orders`, found: []string{"public.files.body"}},
		"PhoneAsDigits":   {schema: `create table public.sms (rcpt text); insert into public.sms values ('4522334455')`, found: []string{"public.sms.rcpt"}},
		"AddressOfAPage":  {schema: `create table public.hits (page text); insert into public.hits values ('/?mail=theodora%40abelsgaard.example')`, found: []string{"public.hits.page"}},
		"Partitions":      {schema: `create table public.logs (at date, line text) partition by range (at); create table public.logs_1 partition of public.logs for values from ('2020-01-01') to ('2030-01-01'); insert into public.logs select '2026-01-01', email from public.orders`, found: []string{"public.logs.line"}},
		"EventKey":        {schema: `insert into kvit.tracking_event (event_key, name, occurred_at, order_ref) values ('seen:theodora@abelsgaard.example', 'custom:seen', now(), 'E1')`, found: []string{"kvit.event.event_key"}},
		"JobRecord":       {schema: `insert into kvit.river_job (kind, args, queue, max_attempts) values ('other', '{"to": "theodora@abelsgaard.example"}', 'none', 1)`, found: []string{"kvit.river_job.args"}},
		"EventByItself":   {schema: `insert into kvit.tracking_event (event_key, name, occurred_at, payload) values ('optin:1', 'newsletter_optin', now(), '{"customer": {"email": "theodora@abelsgaard.example"}}')`, kept: []string{"kvit.event.payload"}},
		"NewerOrder":      {schema: `insert into public.orders (order_number, customer_name, email) select 'new', customer_name, upper(email) from public.orders where order_number = 'E1'`, kept: []string{"public.orders.customer_name", "public.orders.email"}},
		"UnmatchedRow":    {schema: `insert into public.payments (order_number, holder) select 'draft of E1', customer_name from public.orders where order_number = 'E1'`, found: []string{"public.payments.holder"}},
		"AnothersSurname": {schema: `create table public.staff (last_name text); insert into public.staff values ('Abelsgård')`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			s.buy("E1", 40*day)
			s.exec(test.schema)
			found, r := s.scan(time.Minute)
			require.ElementsMatch(t, test.found, found)
			require.ElementsMatch(t, test.kept, placesOf(r.Kept))
			require.Empty(t, r.Unsearched)
		})
	}
}

func TestScanSaysWhatItMayNotRead(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.buy("E1", 40*day)
	s.exec(`create schema closed; create table closed.notes (note text); create table public.secret (note text); create table public.half (id int, note text, other text);
		insert into public.half select 1, email, email from public.orders; create table public.rows (note text);
		alter table public.rows enable row level security; alter table public.rows force row level security`)
	s.as("revoke all on public.secret, public.half from %[1]s; grant select (other) on public.half to %[1]s")
	found, r := s.scan(time.Minute)
	require.Equal(t, []string{"public.half.other"}, found)
	require.ElementsMatch(t, []store.Unsearched{
		{Table: "closed.notes", Reason: store.NoRight}, {Table: "public.secret", Reason: store.NoRight},
		{Table: "public.half", Columns: []string{"note"}, Reason: store.NoRight}, {Table: "public.rows", Reason: store.HiddenRows},
	}, r.Unsearched)
}

// as has the eraser work as a role that may use all of the schemas public and kvit, but for what rights takes.
func (s *shop) as(rights string) {
	s.t.Helper()
	role := "kvit_test_" + strings.ToLower(rand.Text())
	s.exec("create role " + role)
	s.exec(fmt.Sprintf(`grant usage on schema public, kvit to %[1]s; grant all on all tables in schema public to %[1]s;
		grant all on all tables in schema kvit to %[1]s; grant all on all sequences in schema kvit to %[1]s;
		grant execute on all functions in schema kvit to %[1]s; `+rights, role))
	config := s.db.Config()
	config.ConnConfig.RuntimeParams["role"] = role
	pool, err := pgxpool.NewWithConfig(s.t.Context(), config)
	require.NoError(s.t, err)
	s.t.Cleanup(func() {
		pool.Close()
		_, _ = s.db.Exec(context.Background(), "drop owned by "+role+"; drop role "+role)
	})
	s.DB = pool
}
