package erasure

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/erasure/policy"
	"kvit/erasure/proof"
	"kvit/store"
)

// jane's e-mail address stands in orders, in a newsletter's rows and in events, in all kinds of capitals.
const jane = "Mxrkxr.Jane@Example.com"

// newSubjectShop has tables that go by e-mail address and by customer id beside those of newShop.
func newSubjectShop(t *testing.T) *shop {
	t.Helper()
	s := newShop(t)
	s.exec(`
		create table public.newsletter (id bigint generated always as identity primary key, email text, topic text);
		create table public.newsletter_clicks (newsletter_id bigint references public.newsletter (id), url text);
		insert into kvit.destination (name, kind, enabled, event_names) values ('crm', 'webhook', true, '{order_placed,page_viewed}')`)
	s.Orders.Email, s.Orders.CustomerID = "email", "customer_id"
	s.Policy.Tables = append(s.Policy.Tables,
		policy.Table{Name: "public.newsletter", Match: &policy.Match{Column: "email", OrderColumn: "email"}, Columns: []policy.Column{
			{Name: "id", Strategy: policy.Keep}, {Name: "email", Strategy: policy.Text, Text: "erased"}, {Name: "topic", Strategy: policy.Keep},
		}},
		policy.Table{Name: "public.newsletter_clicks", Parent: "public.newsletter", Match: &policy.Match{Column: "newsletter_id", OrderColumn: "id"}, DeleteRows: true},
	)
	return s
}

// janes sells orders to jane.
func (s *shop) janes(refs ...string) {
	s.t.Helper()
	for _, ref := range refs {
		s.order(ref, time.Hour)
	}
	s.exec(`update public.orders set email = $2 where order_number = any ($1)`, refs, jane)
}

// reads subscribes jane to a newsletter, in these capitals.
func (s *shop) reads(email string) {
	s.t.Helper()
	s.exec(`
		with n as (insert into public.newsletter (email, topic) values ($1, 'shoes') returning id)
		insert into public.newsletter_clicks (newsletter_id, url) select id, $2 from n`, email, marker)
}

func (s *shop) visits(key string, ref any) {
	s.t.Helper()
	s.exec(`
		insert into kvit.tracking_event (event_key, name, order_ref, payload)
		values ($1, 'page_viewed', $2, jsonb_build_object('customer', jsonb_build_object('email', $3::text), 'client', '{"ga_client_id": "1.2"}'::jsonb))`,
		key, ref, strings.ToLower(jane))
}

func forget() SubjectRequest {
	return SubjectRequest{Subject: store.Subject{Email: strings.ToUpper(jane)}, Reference: "T-1", By: "anna"}
}

func erasedRefs(r SubjectReport) []string {
	refs := []string{}
	for _, o := range r.Erased {
		refs = append(refs, o.OrderRef)
	}
	return refs
}

func (s *shop) personsIn(table string) int64 {
	s.t.Helper()
	return value[int64](s, `select count(*) from `+table+` r where r::text ilike '%'||$1||'%'`, marker)
}

func TestAPersonIsForgotten(t *testing.T) {
	eachMarks(t, newSubjectShop, func(t *testing.T, s *shop) {
		s.janes("E1", "E2")
		s.reads(strings.ToLower(jane))
		s.visits("visit", nil)

		dry, err := s.DryEraseSubject(t.Context(), forget())
		require.NoError(t, err)
		require.True(t, dry.DryRun)
		require.Zero(t, value[int64](s, `select count(*) from kvit.erasure_certificate`))
		require.Zero(t, value[int64](s, `select count(*) from kvit.erasure_task`))

		report, err := s.EraseSubject(t.Context(), forget())
		require.NoError(t, err)
		require.Equal(t, []string{"E1", "E2"}, erasedRefs(report))
		require.Equal(t, 3, report.Events)
		require.Equal(t, map[string]int64{
			"public.orders": 2, "public.order_lines": 4, "public.payments": 2, "public.newsletter": 1, "public.newsletter_clicks": 1, "kvit.event": 3,
		}, report.Rows)
		require.Equal(t, []string{"1.2"}, report.ClientIDs)
		require.Len(t, report.EventIDs, 3)
		dry.DryRun = false
		require.Equal(t, report, dry, "a dry run is the real thing")
		for _, table := range []string{"public.orders", "public.order_lines", "public.payments", "public.newsletter", "public.newsletter_clicks", "kvit.event", "kvit.river_job", "kvit.erasure_certificate"} {
			require.Zero(t, s.personsIn(table), table)
		}
		require.Equal(t, []string{"E1 request", "E2 request", "request:T-1 request"}, s.certificates())
		s.requireChain(3)

		again, err := s.EraseSubject(t.Context(), forget())
		require.NoError(t, err, "nothing is left")
		require.Empty(t, again.Erased)
		require.Empty(t, again.Rows)
		require.Len(t, s.certificates(), 3)
	})
}

func (s *shop) certificates() []string {
	s.t.Helper()
	var list []string
	require.NoError(s.t, store.EachCertificate(s.t.Context(), s.db, func(c store.Certificate) error {
		require.Zero(s.t, c.Verification[proof.Left])
		list = append(list, c.OrderRef+" "+c.Clock)
		return nil
	}))
	return list
}

// What cannot go yet is refused, with the reason and the date on which it goes; a second call does it.
func TestAPersonsOrdersAreRefused(t *testing.T) {
	eachMarks(t, newSubjectShop, func(t *testing.T, s *shop) {
		s.Orders.EraseUnimportedAfter = 60 * day
		s.janes("free", "held", "held-until", "unimported", "long-unimported")
		s.exec(`
		update public.orders set created_at = now() - interval '61 days' where order_number = 'long-unimported';
		insert into public.orders (order_number, email) values ('somebody-elses', 'other@example.com')`)
		s.notImported(`order_number like '%unimported'`)
		s.exec(`
		insert into kvit.legal_hold (order_ref, reason, placed_by, expires_at)
		values ('held', 'case', 'legal', null), ('held-until', 'case', 'legal', now() + interval '90 days')`)
		s.reads(jane) // as the orders have it
		s.visits("visit", "unimported")

		report, err := s.EraseSubject(t.Context(), forget())
		require.ErrorIs(t, err, ErrRefused)
		require.ElementsMatch(t, []string{"free", "long-unimported"}, erasedRefs(report))
		refused := map[string]RefusedOrder{}
		for _, r := range report.Refused {
			refused[r.OrderRef] = r
		}
		require.Len(t, refused, 3)
		require.Equal(t, "is on hold until it is released", refused["held"].Reason)
		require.Nil(t, refused["held"].GoesAt)
		require.Contains(t, refused["held-until"].Reason, "is on hold until 2")
		require.WithinDuration(t, time.Now().Add(90*day), *refused["held-until"].GoesAt, time.Hour)
		require.Contains(t, refused["unimported"].Reason, "the ERP does not have it yet; 30d after it has")
		require.WithinDuration(t, time.Now().Add(60*day), *refused["unimported"].GoesAt, time.Hour)
		require.Equal(t, map[string]int64{"public.newsletter": 1, "public.newsletter_clicks": 1}, report.Shared)
		require.Equal(t, map[string]int64{"unimported": 1}, report.Kept)
		require.EqualValues(t, 1, value[int64](s, `select count(*) from public.newsletter where email = $1`, jane), "it stays with the orders")

		s.exec(`delete from kvit.legal_hold`)
		s.imported(0, `order_number = 'unimported'`)
		report, err = s.EraseSubject(t.Context(), forget())
		require.NoError(t, err)
		require.ElementsMatch(t, []string{"held", "held-until", "unimported"}, erasedRefs(report))
		for _, table := range []string{"public.newsletter", "public.newsletter_clicks", "kvit.event"} {
			require.Zero(t, s.personsIn(table), table)
		}
		require.EqualValues(t, 1, value[int64](s, `select count(*) from public.orders o where email = 'other@example.com' and `+s.mark("erased_at")+` is null`))
		s.requireChain(5)
	})
}

func TestAPersonByCustomerID(t *testing.T) {
	eachMarks(t, newSubjectShop, func(t *testing.T, s *shop) {
		s.exec(`insert into public.customers (id, name) values (7, $1), (8, 'B')`, marker)
		s.order("E1", time.Hour)
		s.order("E2", time.Hour)
		s.order("E3", time.Hour)
		s.exec(`update public.orders set customer_id = 7 where order_number in ('E1', 'E2')`)
		s.exec(`update public.orders set email = $1 where order_number = 'E1'`, jane)

		report, err := s.EraseSubject(t.Context(), forget())
		require.ErrorIs(t, err, ErrRefused)
		require.Equal(t, []store.ErasedOrder{{OrderRef: "E1", Shared: 1}}, report.Erased, "the customer's row stays with E2, and the report tells")

		q := SubjectRequest{Subject: store.Subject{CustomerID: "7"}, Reference: "T-2", By: "anna"}
		report, err = s.EraseSubject(t.Context(), q)
		require.NoError(t, err)
		require.Equal(t, []string{"E2"}, erasedRefs(report))
		require.Equal(t, "erased", value[string](s, `select name from public.customers where id = 7`))
		require.Equal(t, "B", value[string](s, `select name from public.customers where id = 8`))
		require.EqualValues(t, 1, value[int64](s, `select count(*) from public.orders o where `+s.mark("erased_at")+` is null`))

		q.Subject.CustomerID, q.Reference = "not a number", "T-3"
		report, err = s.EraseSubject(t.Context(), q)
		require.NoError(t, err, "nobody has that id")
		require.Empty(t, report.Rows)
	})
}

// A table that the policy does not fit stops its own erasure alone, and the report says so.
func TestAPersonsBlockedTables(t *testing.T) {
	t.Parallel()
	s := newSubjectShop(t)
	s.janes("E1")
	s.reads(strings.ToLower(jane))
	s.visits("visit", nil)
	s.exec(`alter table public.payments add column note text`)

	report, err := s.EraseSubject(t.Context(), forget())
	require.ErrorIs(t, err, ErrRefused)
	require.Equal(t, "public.payments", report.Blocked[0].Table)
	require.Equal(t, "E1", report.Refused[0].OrderRef)
	require.Contains(t, report.Refused[0].Reason, "waits for tables")
	require.Zero(t, s.personsIn("public.newsletter"), "what fits is erased")
	require.Equal(t, []string{"request:T-1 request"}, s.certificates())

	s.exec(`alter table public.payments drop column note`)
	_, err = s.EraseSubject(t.Context(), forget())
	require.NoError(t, err)
	require.Equal(t, []string{"request:T-1 request", "E1 request"}, s.certificates())
	require.Zero(t, s.personsIn("public.payments"))

	s.exec(`alter table public.orders drop column erp_order_number`)
	_, err = s.EraseSubject(t.Context(), forget())
	require.True(t, IsMisfit(err), "nothing can be told: %v", err)
}

func TestAPersonAndAnotherErasure(t *testing.T) {
	t.Parallel()
	s := newSubjectShop(t)
	s.janes("E1")
	tx, err := s.db.Begin(t.Context())
	require.NoError(t, err)
	defer rollBack(t.Context(), tx)
	require.NoError(t, store.LockErasureRun(t.Context(), tx))
	for _, erase := range []func(context.Context, SubjectRequest) (SubjectReport, error){s.EraseSubject, s.DryEraseSubject} {
		_, err = erase(t.Context(), forget())
		require.ErrorIs(t, err, store.ErrRunning)
	}
	require.Zero(t, value[int64](s, `select count(*) from kvit.erasure_task`))
}

// The shop does not wait long for a request, nor the other way round.
func TestAPersonsOrderThatIsLocked(t *testing.T) {
	t.Parallel()
	s := newSubjectShop(t)
	s.janes("E1", "E2")
	tx, err := s.db.Begin(t.Context())
	require.NoError(t, err)
	defer rollBack(t.Context(), tx)
	_, err = tx.Exec(t.Context(), `select from public.orders where order_number = 'E1' for update`)
	require.NoError(t, err)
	report, err := s.EraseSubject(t.Context(), forget())
	require.ErrorIs(t, err, ErrRefused)
	require.Equal(t, []RefusedOrder{{OrderRef: "E1", Reason: "another transaction had it locked: run it again"}}, report.Refused)
	require.Equal(t, []string{"E2"}, erasedRefs(report))
}

func TestAPersonsRowWithoutAnOrderThatIsLocked(t *testing.T) {
	t.Parallel()
	s := newSubjectShop(t)
	s.reads(jane)
	tx, err := s.db.Begin(t.Context())
	require.NoError(t, err)
	defer rollBack(t.Context(), tx)
	_, err = tx.Exec(t.Context(), `select from public.newsletter for update`)
	require.NoError(t, err)
	_, err = s.EraseSubject(t.Context(), forget())
	require.ErrorContains(t, err, "another transaction had rows locked: run it again")
}

// What the database refuses is told without its values, and the others go.
func TestAPersonsOrderThatTheDatabaseRefuses(t *testing.T) {
	t.Parallel()
	s := newSubjectShop(t)
	s.janes("E1", "E2", "E3")
	s.exec(`alter table public.orders add constraint stubborn check (order_number <> 'E2' or customer_name is not null)`)
	report, err := s.EraseSubject(t.Context(), forget())
	require.ErrorIs(t, err, ErrRefused)
	require.Equal(t, []string{"E1", "E3"}, erasedRefs(report))
	require.Equal(t, []RefusedOrder{{OrderRef: "E2", Reason: "database error 23514 constraint stubborn schema public table orders"}}, report.Refused)
}

// However many they are: what they share goes with all of them, and nothing is said to be left.
func TestAPersonsManyOrders(t *testing.T) {
	t.Parallel()
	s := newSubjectShop(t)
	s.BatchOrders, s.BatchTime = 100, 200*time.Millisecond
	var refs []string
	for i := range firstBatch + 2 {
		refs = append(refs, fmt.Sprintf("E%02d", i))
	}
	s.janes(refs...)
	s.reads(jane)
	report, err := s.EraseSubject(t.Context(), forget())
	require.NoError(t, err)
	require.ElementsMatch(t, refs, erasedRefs(report))
}

// A newsletter's reader who never bought anything.
func TestAPersonWithoutAnOrder(t *testing.T) {
	t.Parallel()
	s := newSubjectShop(t)
	s.reads(jane)
	s.reads("other@example.com")
	s.order("E1", time.Hour)
	report, err := s.EraseSubject(t.Context(), forget())
	require.NoError(t, err)
	require.Empty(t, report.Erased)
	require.Equal(t, map[string]int64{"public.newsletter": 1, "public.newsletter_clicks": 1}, report.Rows)
	require.Equal(t, []string{"request:T-1 request"}, s.certificates())
	require.Equal(t, []string{"erased", "other@example.com"}, value[[]string](s, `select array_agg(email order by id) from public.newsletter`))
	require.EqualValues(t, 1, value[int64](s, `select count(*) from public.newsletter_clicks`))
	require.True(t, s.untouched("E1"))
}

// A trigger that brings a person's row back must not get a certificate.
func TestAPersonsRowThatComesBack(t *testing.T) {
	t.Parallel()
	s := newSubjectShop(t)
	s.reads(strings.ToLower(jane))
	s.exec(`
		create function public.keep() returns trigger language plpgsql as $$ begin new.email := old.email; return new; end $$;
		create trigger keep before update on public.newsletter for each row execute function public.keep()`)
	_, err := s.EraseSubject(t.Context(), forget())
	require.ErrorContains(t, err, "1 rows of public.newsletter still hold what was to be erased")
	require.Empty(t, s.certificates())
}

// Without a shop there are only events.
func TestAPersonsEventsAlone(t *testing.T) {
	t.Parallel()
	s := newSubjectShop(t)
	s.Eraser.Orders, s.Policy = nil, policy.Policy{}
	s.visits("visit", nil)
	s.event("order_placed:E1", "E1")
	report, err := s.EraseSubject(t.Context(), forget())
	require.NoError(t, err)
	require.Equal(t, map[string]int64{"kvit.event": 1}, report.Rows)
	require.Equal(t, []string{"request:T-1 request"}, s.certificates())
	report, err = s.DryEraseSubject(t.Context(), SubjectRequest{Subject: store.Subject{Email: "nobody@example.com"}, Reference: "T-2", By: "anna"})
	require.NoError(t, err)
	require.Empty(t, report.Rows)
}

// A crash after any step leaves the tasks, which were made before the first row went.
func TestTasksAreMadeBeforeTheFirstRowGoes(t *testing.T) {
	t.Parallel()
	s := newSubjectShop(t)
	s.janes("E1")
	s.exec(`insert into kvit.delivery (event_id, destination, outcome, attempts) select id, 'crm', 'delivered', 1 from kvit.event`)
	crashed := errors.New("crashed")
	r := newSubjectRun(s.Eraser, forget())
	err := r.alone(t.Context(), func() error {
		require.NoError(t, r.prepare(t.Context()))
		return crashed
	})
	require.ErrorIs(t, err, crashed)
	tasks, err := store.OpenTasks(t.Context(), s.db, "T-1")
	require.NoError(t, err)
	require.Len(t, tasks, 1)
	require.EqualValues(t, 1, s.personsIn("public.orders"))

	report, err := s.EraseSubject(t.Context(), forget())
	require.NoError(t, err)
	require.Len(t, report.Tasks, 1, "the same one")
	require.Equal(t, tasks[0].ID, report.Tasks[0].ID)
	require.Equal(t, []string{"E1"}, report.Tasks[0].OrderRefs)
}

// Nothing of the person is left in a dump, nor in what a failure says.
func TestNothingOfAPersonIsLeftInADump(t *testing.T) {
	eachMarks(t, newSubjectShop, func(t *testing.T, s *shop) {
		s.janes("E1", "E2")
		s.reads(jane)
		s.visits("visit", nil)
		s.exec(`insert into kvit.delivery (event_id, destination, outcome, attempts) select id, 'crm', 'delivered', 1 from kvit.event`)
		require.Contains(t, strings.ToLower(s.dump()), strings.ToLower(marker), "the search would find it")
		_, err := s.EraseSubject(t.Context(), forget())
		require.NoError(t, err)
		require.NotContains(t, strings.ToLower(s.dump()), strings.ToLower(marker))

		s.exec(`alter table public.orders drop column email cascade`)
		_, err = s.EraseSubject(t.Context(), forget())
		require.Error(t, err)
		require.NotContains(t, strings.ToLower(err.Error()), strings.ToLower(marker))
	})
}
