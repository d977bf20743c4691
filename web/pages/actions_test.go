package pages

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"kvit/config"
	"kvit/delivery"
	"kvit/destination"
	"kvit/erasure"
	"kvit/erp"
	"kvit/erp/erptest"
	"kvit/erp/watcher"
	"kvit/jobs"
	"kvit/store"
)

const (
	waitFor = 20 * time.Second
	tick    = 20 * time.Millisecond
)

// receiver is a destination that answers as the test says.
type receiver struct {
	requests atomic.Int64
	refuses  atomic.Bool
}

func (r *receiver) Send(context.Context, destination.Event) (int, error) {
	r.requests.Add(1)
	if r.refuses.Load() {
		return http.StatusUnprocessableEntity, &destination.Error{Kind: destination.Rejected, Code: http.StatusUnprocessableEntity, Reason: "not so"}
	}
	return http.StatusOK, nil
}

func (r *receiver) Traits() destination.Traits { return destination.Traits{Events: destination.Names} }

// bench is a site with a kvit behind it that works, and one destination, crm.
type bench struct {
	*testing.T
	pool     *pgxpool.Pool
	server   *httptest.Server
	receiver *receiver
	operator *http.Client
	reader   *http.Client
}

func newBench(t *testing.T) bench {
	t.Helper()
	b, start := newIdleBench(t)
	start()
	return b
}

// newIdleBench is one whose kvit does not work before it is started.
func newIdleBench(t *testing.T) (b bench, start func()) {
	t.Helper()
	b = bench{T: t, receiver: &receiver{}}
	_, b.server = testSite(t, func(o *Options) {
		b.pool = o.Pool
		require.NoError(t, store.SyncDestinations(t.Context(), o.Pool, []store.Destination{
			{Name: "crm", Kind: "webhook", Enabled: true, EventNames: destination.Names},
		}, true))
		lane := delivery.Settings{Name: "crm", Destination: b.receiver, Concurrency: 4, RetryFor: time.Hour}
		o.Destinations = []Destination{{Name: "crm", Kind: "webhook", Enabled: true, Lane: &lane}}
		o.Eraser = &erasure.Eraser{DB: o.Pool, EventsAfter: time.Hour, ReceiptsAfter: 400 * 24 * time.Hour, Logger: o.Logger}
		client, err := jobs.NewClient(jobs.Options{
			Pool: o.Pool, Timeout: 10 * time.Second, Notify: true, Lanes: []delivery.Settings{lane}, Eraser: o.Eraser,
			Metrics: delivery.NewMetrics(prometheus.NewRegistry()), Logger: slog.New(slog.DiscardHandler),
		})
		require.NoError(t, err)
		start = func() {
			require.NoError(t, client.Start(t.Context()))
			t.Cleanup(func() {
				ctx, cancel := context.WithTimeout(context.Background(), waitFor)
				defer cancel()
				require.NoError(t, client.StopAndCancel(ctx))
			})
		}
		o.River = client
	})
	b.operator, b.reader = loggedIn(t, b.server, "operator"), loggedIn(t, b.server, "reader")
	return b, start
}

func (b bench) page(path string) string {
	b.Helper()
	status, body, _ := get(b.T, b.operator, b.server, path)
	require.Equal(b, http.StatusOK, status, body)
	return body
}

// act posts as the operator, and returns the page that it leads to and its path.
func (b bench) act(path string, form url.Values) (page, at string) {
	b.Helper()
	status, body, header := post(b.T, b.operator, b.server, path, form)
	require.Equal(b, http.StatusSeeOther, status, body)
	at = header.Get("Location")
	return b.page(at), at
}

// refused posts as the operator, who is told why not.
func (b bench) refused(path string, form url.Values, status int, why string) {
	b.Helper()
	got, body, _ := post(b.T, b.operator, b.server, path, form)
	require.Equal(b, status, got, body)
	require.Contains(b, body, why)
}

// ends waits for the end of an operation, and returns its page.
func (b bench) ends(at string) (body string) {
	b.Helper()
	require.Eventually(b, func() bool {
		body = b.page(at)
		return !strings.Contains(body, "not yet")
	}, waitFor, tick)
	return body
}

func (b bench) insert(from, to int) {
	b.Helper()
	_, err := b.pool.Exec(b.Context(), `
		insert into kvit.tracking_event (event_key, name, order_ref, payload)
		select 'page_viewed:' || i, 'page_viewed', 'E' || i, '{}' from generate_series($1::int, $2::int) i`, from, to)
	require.NoError(b, err)
}

func (b bench) eventually(sql string, want int) {
	b.Helper()
	require.Eventually(b, func() bool { return b.count(sql) == want }, waitFor, tick, sql)
}

func (b bench) count(sql string) (n int) {
	b.Helper()
	require.NoError(b, b.pool.QueryRow(b.Context(), `select (`+sql+`)::int`).Scan(&n))
	return n
}

const (
	deliveredCount = `select count(*) from kvit.delivery where outcome = 'delivered'`
	rejectedCount  = `select count(*) from kvit.delivery where outcome = 'rejected'`
	openJobs       = `select count(*) from kvit.river_job where kind = 'deliver_event' and finalized_at is null`
)

func reason(form url.Values) url.Values {
	if form == nil {
		form = url.Values{}
	}
	form.Set("reason", "ticket 7")
	return form
}

func TestPauseAndResumeOnThePage(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.refused("/destinations/crm/pause", nil, http.StatusBadRequest, "needs a reason")
	b.refused("/destinations/crm/pause", url.Values{"reason": {"jane@example.com asked"}}, http.StatusBadRequest, "no personal data")
	b.refused("/destinations/nowhere/pause", reason(nil), http.StatusNotFound, "no such destination")
	b.refused("/destinations/crm/resume", reason(nil), http.StatusConflict, "is not paused")
	page, _ := b.act("/destinations/crm/pause", reason(nil))
	require.Contains(t, page, "crm is paused. What is being sent")
	b.refused("/destinations/crm/pause", reason(nil), http.StatusConflict, "paused already")
	for _, path := range []string{"/", "/erp", "/erasure", "/replay", "/audit"} {
		require.Contains(t, b.page(path), "crm is paused", "the banner is on every page")
	}
	page, _ = b.act("/destinations/crm/resume", reason(nil))
	require.NotContains(t, page, "crm is paused")
	b.insert(1, 3)
	b.eventually(deliveredCount, 3)
	require.Equal(t, 2, b.count(`select count(*) from kvit.audit where who = 'operator' and action in ('pause', 'resume') and subject = 'crm' and reason = 'ticket 7'`))
}

func TestTestEventOnThePage(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	_, at := b.act("/destinations/crm/test", reason(nil))
	require.Contains(t, b.ends(at), "HTTP 200")
	b.receiver.refuses.Store(true)
	_, at = b.act("/destinations/crm/test", reason(nil))
	require.Contains(t, b.ends(at), "rejected: not so")
	require.EqualValues(t, 2, b.receiver.requests.Load())
	require.Zero(t, b.count(`select count(*) from kvit.event`))
	require.Contains(t, b.page("/destinations"), "Last test events")
	b.refused("/destinations/nowhere/test", reason(nil), http.StatusConflict, "does not send")
}

// A replay takes all that the filter matches, if the number typed is the number that matches when it is asked for.
func TestReplayOnThePage(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.receiver.refuses.Store(true)
	b.insert(1, 5)
	b.eventually(rejectedCount, 5)
	b.eventually(openJobs, 0)
	filter := func(number string) url.Values {
		return reason(url.Values{"action": {"replay"}, "destination": {"crm"}, "outcome": {"rejected"}, "number": {number}})
	}
	body := b.page("/replay?action=replay&destination=crm")
	require.Contains(t, body, "Nobody acts on everything at once")
	require.NotContains(t, body, `name="number"`)
	b.refused("/replay", reason(url.Values{"action": {"replay"}, "destination": {"crm"}, "number": {"5"}}), http.StatusBadRequest, "Nobody acts on everything at once")

	body = b.page("/replay?action=replay&destination=crm&outcome=rejected")
	require.Contains(t, body, "<dt>Can be acted on</dt><dd><strong>5</strong>")
	b.insert(6, 6)
	b.eventually(rejectedCount, 6)
	b.eventually(openJobs, 0)
	b.refused("/replay", filter("5"), http.StatusConflict, "now matches 6 events")
	b.refused("/replay", filter(""), http.StatusConflict, "now matches 6 events")
	require.Equal(t, 6, b.count(rejectedCount), "nothing was done")
	require.Zero(t, b.count(`select count(*) from kvit.delivery_action`)+b.count(`select count(*) from kvit.operation`))

	b.receiver.refuses.Store(false)
	_, at := b.act("/replay", filter("6"))
	require.Contains(t, b.ends(at), "Done: 6 of 6 events.")
	b.eventually(deliveredCount, 6)
	require.Equal(t, 1, b.count(`
		select count(*) from kvit.audit a
		join kvit.operation o on o.id = (a.detail ->> 'operation')::bigint
		join kvit.delivery_action d on d.id = o.action_id
		where a.who = 'operator' and a.action = 'replay' and a.reason = 'ticket 7' and d.events = 6 and d.operator = 'operator' and d.reason = 'ticket 7'`))
	b.refused("/replay", filter("6"), http.StatusConflict, "can be acted on any more")
	b.refused("/replay", reason(url.Values{"action": {"replay"}, "destination": {"crm"}, "outcome": {"delivered"}, "number": {"6"}}), http.StatusBadRequest, "only sent again event by event")
}

// What waits is sent now, or cancelled, as far as nobody works on it.
func TestSendNowAndCancelOnThePage(t *testing.T) {
	t.Parallel()
	b, start := newIdleBench(t) // nothing is fetched before the pause is there
	_, err := b.pool.Exec(t.Context(), `update kvit.destination set paused_at = now(), paused_by = 'a', paused_reason = 'b'`)
	require.NoError(t, err)
	_, err = store.KeepPaused(t.Context(), b.pool)
	require.NoError(t, err)
	b.insert(1, 5)
	_, err = b.pool.Exec(t.Context(), `
		update kvit.river_job set state = 'retryable', scheduled_at = now() + interval '1 hour', errors = array['{"error": "later; not taken"}'::jsonb]
		where kind = 'deliver_event' and (args ->> 'event_id')::bigint <= (select min(id) + 2 from kvit.event)`)
	require.NoError(t, err)
	start()

	form := func(action, number string, more url.Values) url.Values {
		f := reason(url.Values{"action": {action}, "destination": {"crm"}, "number": {number}})
		for name, values := range more {
			f[name] = values
		}
		return f
	}
	body := b.page("/replay?action=send_now&destination=crm&name=page_viewed")
	require.Contains(t, body, "<dt>Match the filter</dt><dd>5</dd><dt>Can be acted on</dt><dd><strong>3</strong></dd><dt>Left alone</dt><dd>2</dd>")
	require.Contains(t, body, store.SkippedReady)
	_, at := b.act("/replay", form("cancel", "1", url.Values{"order": {"E1"}}))
	require.Contains(t, b.ends(at), "Done: 1 of 1 events.")
	require.Equal(t, 1, b.count(`select count(*) from kvit.delivery where outcome = 'failed' and reason = 'cancelled by an operator'`))
	_, at = b.act("/replay", form("send_now", "2", url.Values{"retrying": {"1"}}))
	require.Contains(t, b.ends(at), "Done: 2 of 2 events.")
	require.Equal(t, 4, b.count(`select count(*) from kvit.river_job where kind = 'deliver_event' and state = 'available' and scheduled_at <= now()`))
	require.NoError(t, store.ResumeDestination(t.Context(), b.pool, store.Pause{Destination: "crm", Who: "a", Reason: "b"}))
	b.eventually(deliveredCount, 4)
}

// An action does no more than was agreed to, and leaves alone what has changed by the time it runs.
func TestActionsLookAgainWhenTheyRun(t *testing.T) {
	t.Parallel()
	b, start := newIdleBench(t)
	_, err := b.pool.Exec(t.Context(), `
		with e as (
		    insert into kvit.event (event_key, name, occurred_at, payload, consent)
		    select i::text, 'page_viewed', now(), '{}', '{}' from generate_series(1, 5) i
		    returning id
		)
		insert into kvit.delivery (event_id, destination, outcome, attempts) select id, 'crm', 'failed', 1 from e`)
	require.NoError(t, err)
	_, at := b.act("/replay", reason(url.Values{"action": {"replay"}, "destination": {"crm"}, "outcome": {"failed"}, "number": {"5"}}))
	_, err = b.pool.Exec(t.Context(), `
		update kvit.delivery set outcome = 'delivered' where event_id = (select min(event_id) from kvit.delivery);
		with e as (
		    insert into kvit.event (event_key, name, occurred_at, payload, consent) values ('late', 'page_viewed', now(), '{}', '{}') returning id
		)
		insert into kvit.delivery (event_id, destination, outcome, attempts) select id, 'crm', 'failed', 1 from e`)
	require.NoError(t, err)
	start()
	require.Contains(t, b.ends(at), "Done: 4 of 5 events. 1 were no longer as they had been")
	b.eventually(deliveredCount, 5)
	require.Equal(t, 1, b.count(`select count(*) from kvit.delivery r join kvit.event e on e.id = r.event_id where e.event_key = 'late' and r.outcome = 'failed'`),
		"what came after the confirmation is not what was agreed to")
}

func TestErasureOnThePage(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.insert(1, 3)
	b.eventually(deliveredCount, 3)
	_, err := b.pool.Exec(t.Context(), `update kvit.event set received_at = now() - interval '2 hours'`)
	require.NoError(t, err)
	payloads := `select count(*) from kvit.event where erased_at is null`
	_, at := b.act("/erasure/dry-run", reason(nil))
	body := b.ends(at)
	require.Contains(t, body, "rolled back: nothing is erased")
	require.Contains(t, body, "<dt>Events erased</dt><dd>3</dd>")
	require.Equal(t, 3, b.count(payloads))
	_, at = b.act("/erasure/run", reason(nil))
	require.Contains(t, b.ends(at), "<dt>Events erased</dt><dd>3</dd>")
	require.Zero(t, b.count(payloads))
	require.Equal(t, 2, b.count(`select count(*) from kvit.audit where action in ('erase_dry_run', 'erase') and who = 'operator' and reason = 'ticket 7'`))
}

// The brake is passed for the number that somebody has typed, and for no more.
func TestBrakeIsPassedAsFarAsAgreed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.refused("/erasure/agree", reason(url.Values{"number": {"0"}}), http.StatusConflict, "has not stopped the last run")
	_, err := b.pool.Exec(t.Context(), `insert into kvit.erasure_run (finished_at, problem, braked_at, known_migration) values (now(), 'the brake', 120, 1)`)
	require.NoError(t, err)
	require.Contains(t, b.page("/erasure"), "The brake stopped the last run: 120")
	b.refused("/erasure/agree", reason(url.Values{"number": {"119"}}), http.StatusConflict, "not the number you have typed")
	_, at := b.act("/erasure/agree", reason(url.Values{"number": {"120"}}))
	require.Contains(t, b.ends(at), "Erasure past the brake")
	require.Equal(t, 1, b.count(`select count(*) from kvit.operation where kind = 'erase_agreed' and request = '{"due": 120}' and problem is null`))
}

func TestHoldsTasksAndResidueOnThePage(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	_, err := b.pool.Exec(t.Context(), `
		insert into kvit.erasure_task (reference, destination, order_refs, client_ids, created_by, asked_at) values ('R-7', 'crm', '{E1}', 0, 'anna', now());
		insert into kvit.erasure_residue (table_name, column_name, rows, order_refs, certificates, found_at, last_seen_at)
		values ('public.newsletter', 'email', 1, '{E1}', '{}', now(), now())`)
	require.NoError(t, err)
	page, _ := b.act("/erasure/holds", reason(url.Values{"order": {" E7 "}, "until": {"2099-01-31"}}))
	require.Contains(t, page, "Order E7 is on hold")
	require.Contains(t, page, "1 Feb 2099 00:00:00 CET", "the day counts in full")
	b.refused("/erasure/holds", reason(url.Values{"order": {"E8"}, "until": {"soon"}}), http.StatusBadRequest, "2027-01-31")
	require.Contains(t, b.page("/erasure/holds.csv"), "E7,")
	page, _ = b.act("/erasure/holds", reason(url.Values{"order": {"jane@example.com"}}))
	require.NotContains(t, page, "jane@example.com", "a reference may look like somebody's address")
	page, _ = b.act("/erasure/holds/release", reason(url.Values{"order": {"E7"}}))
	require.Contains(t, page, "The hold on order E7 has ended")
	b.refused("/erasure/holds/release", reason(url.Values{"order": {"E7"}}), http.StatusConflict, "not on hold")
	id := b.count(`select max(id) from kvit.erasure_task`)
	page, _ = b.act(fmt.Sprintf("/erasure/tasks/%d/close", id), reason(nil))
	require.Contains(t, page, "is closed")
	require.Equal(t, 1, b.count(`select count(*) from kvit.erasure_task where closed_by = 'operator' and note = 'ticket 7'`))
	page, _ = b.act("/erasure/residue/clear", reason(url.Values{"place": {"public.newsletter.email"}}))
	require.Contains(t, page, "nothing is left in public.newsletter.email")
	require.Equal(t, 1, b.count(`select count(*) from kvit.erasure_residue where gone_by = 'operator'`))
	require.Equal(t, 4, b.count(`select count(*) from kvit.audit where who = 'operator' and reason = 'ticket 7' and subject <> 'jane@example.com' and action in ('hold', 'release hold', 'close task', 'clear residue')`))

	require.Contains(t, b.page("/erasure/certificates"), "E1")
	require.Contains(t, b.page("/erasure/certificates.csv"), "1,E1,")
	for _, file := range []string{"/destinations.csv", "/erp/sources.csv", "/erp/incomplete.csv", "/erp/waiting.csv", "/erp/conflicts.csv", "/erasure/runs.csv", "/erasure/holds.csv", "/erasure/tasks.csv", "/erasure/residue.csv"} {
		require.Regexp(t, `^\x{FEFF}[a-z_]+(,[a-z_]+)+\r\n`, b.page(file), file)
	}
	require.Contains(t, b.page("/erasure/certificates/1"), "It is unchanged")
	_, at := b.act("/erasure/verify", reason(nil))
	require.Contains(t, b.ends(at), "<dt>Certificates that hold</dt><dd>1</dd>")
	_, err = b.pool.Exec(t.Context(), `
		alter table kvit.erasure_certificate disable trigger all;
		update kvit.erasure_certificate set order_ref = 'E2'`)
	require.NoError(t, err)
	require.Contains(t, b.page("/erasure/certificates/1"), "This certificate does not hold: certificate 1 was changed.")
	_, at = b.act("/erasure/verify", reason(nil))
	require.Contains(t, b.ends(at), "certificate 1 was changed")
}

// A reader sees the pages without a button, and is refused every action.
func TestReadersActOnNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	_, err := b.pool.Exec(t.Context(), `insert into kvit.erasure_run (finished_at, problem, braked_at, known_migration) values (now(), 'the brake', 120, 1)`)
	require.NoError(t, err)
	for _, path := range []string{"/destinations", "/erp", "/erasure", "/erasure/certificates", "/replay?action=replay&destination=crm&outcome=failed"} {
		status, body, _ := get(t, b.reader, b.server, path)
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, 1, strings.Count(body, `method="post"`), "%s: the logout alone", path)
	}
	for _, path := range []string{
		"/destinations/crm/pause", "/destinations/crm/resume", "/destinations/crm/test", "/erp/bc/probe", "/erp/bc/lookup", "/erp/confirm", "/erasure/dry-run",
		"/erasure/run", "/erasure/verify", "/erasure/agree", "/erasure/holds", "/erasure/holds/release", "/erasure/tasks/1/close", "/erasure/residue/clear", "/replay",
	} {
		status, _, _ := post(t, b.reader, b.server, path, reason(url.Values{"number": {"120"}}))
		require.Equal(t, http.StatusForbidden, status, path)
	}
	require.Zero(t, b.count(`select count(*) from kvit.operation`)+b.count(`select count(*) from kvit.destination where paused_at is not null`))
}

func TestERPOnThePage(t *testing.T) {
	t.Parallel()
	meter := &erp.Meter{}
	memory := erptest.NewMemory(meter)
	memory.Put(erp.Document{Kind: erp.OrderDocument, Ref: "WEB-E1", Number: "SO-1", ChangedAt: time.Now()})
	orders := store.Orders{Table: "public.orders", Ref: "number", PlacedAt: "placed", ImportedAt: "imported", ERPNumber: "erp", ErasedAt: "erased", AwaitingImport: "true"}
	b := bench{T: t}
	_, b.server = testSite(t, func(o *Options) {
		b.pool = o.Pool
		_, err := o.Pool.Exec(t.Context(), `
			create table public.orders (number text primary key, placed timestamptz, imported timestamptz, erp text, erased timestamptz);
			insert into public.orders (number, placed) values ('E1', now() - interval '1 hour'), ('E2', now() - interval '1 hour');
			insert into kvit.erp_receipt (order_ref, erp_order_number, source, status) values ('E3', 'SO-33', 'bc', 'conflict')`)
		require.NoError(t, err)
		require.NoError(t, store.SyncERPSources(t.Context(), o.Pool, []store.ERPSource{{Name: "bc", Kind: "memory", Enabled: true, Poll: time.Hour, Fingerprint: "f"}}))
		source := watcher.New(watcher.Options{DB: o.Pool, Orders: orders, Logger: o.Logger, Source: watcher.Source{
			Name: "bc", Kind: "memory", Fingerprint: "f", Connector: memory, Meter: meter, Matcher: erp.Matcher{Prefix: "WEB-"}, Poll: time.Hour, Overlap: time.Hour,
		}})
		o.Orders, o.Config.ERPs = &orders, []config.ERP{{Name: "bc", Enabled: true}}
		client, err := jobs.NewClient(jobs.Options{Pool: o.Pool, Timeout: 10 * time.Second, Notify: true, Orders: &orders, ERPs: []*watcher.Watcher{source}, Checks: map[string]erp.Check{"bc": {Lines: true}}, Logger: o.Logger})
		require.NoError(t, err)
		require.NoError(t, client.Start(t.Context()))
		t.Cleanup(func() { _ = client.StopAndCancel(context.WithoutCancel(t.Context())) })
		o.River = client
	})
	b.operator = loggedIn(t, b.server, "operator")
	b.eventually(`select count(*) from kvit.erp_watermark`, 1)
	b.eventually(`select count(*) from kvit.erp_receipt where status = 'incomplete'`, 1)
	body := b.page("/erp")
	require.Contains(t, body, "E2", "it waits for the ERP")
	require.Contains(t, body, "SO-33", "it contradicts")
	require.Contains(t, body, "read up to")
	require.Contains(t, body, "the ERP tells no number of lines", "it is incomplete")
	require.Contains(t, b.page("/erp/incomplete.csv"), "E1,SO-1,order,bc,")
	require.Contains(t, b.page("/erp/sources.csv"), "bc,memory,true,false,")
	_, at := b.act("/erp/bc/probe", reason(nil))
	require.Contains(t, b.ends(at), "<dt>Proved to be</dt>")
	_, at = b.act("/erp/bc/lookup", reason(url.Values{"refs": {"E1 E2"}}))
	body = b.ends(at)
	require.Contains(t, body, "SO-1")
	require.Contains(t, body, "not in the ERP")
	memory.Fail(erp.Fail(erp.Unauthorized, "the credentials are wrong"))
	_, at = b.act("/erp/bc/probe", reason(nil))
	require.Contains(t, b.ends(at), "the credentials are wrong")
	b.refused("/erp/confirm", reason(url.Values{"order": {"E2"}}), http.StatusConflict, "nothing to confirm")
	b.act("/erp/confirm", reason(url.Values{"order": {"E1"}}))
	b.eventually(`select count(*) from public.orders where number = 'E1' and erp = 'SO-1' and imported is not null`, 1)
	require.NotContains(t, b.page("/erp"), "tells no number of lines")
	b.refused("/erp/bc/lookup", reason(url.Values{"refs": {"jane@example.com"}}), http.StatusBadRequest, "no reference of an order")
	b.refused("/erp/other/probe", reason(nil), http.StatusConflict, "does not ask that ERP")
}
