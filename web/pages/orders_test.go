package pages

import (
	"encoding/csv"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/config"
)

// Values that no page may show. They stand wherever a shop or an ERP can write.
const (
	markerPerson = "Zebulon"
	markerEmail  = "zebulon.marker@example.com"
	markerPhone  = "+4520123456"
	markerStreet = "Markervej 17"
)

var markers = []string{markerPerson, "zebulon", "20123456", "20 12 34 56", markerStreet, "marker@"}

// orderSite is a site with two destinations and orders in all states; one of them has an address as its reference.
func orderSite(t *testing.T) (*Site, *httptest.Server) {
	t.Helper()
	site, server := testSite(t, func(o *Options) {
		o.Config.Destinations = []config.Destination{
			{Name: "crm", Kind: "webhook", Enabled: true, Docs: "https://docs.example.com/crm"}, {Name: "ga4", Kind: "ga4", Enabled: true},
		}
		o.Destinations = []Destination{{Name: "crm", Kind: "webhook", Enabled: true}, {Name: "ga4", Kind: "ga4", Enabled: true}}
	})
	run(t, site, `
		insert into kvit.destination (name, kind, enabled, event_names, notify)
		values ('crm', 'webhook', true, '{order_paid,newsletter_optin,custom:*}', false), ('ga4', 'ga4', true, '{order_paid}', false)`)
	run(t, site, `
		insert into kvit.tracking_event (event_key, name, order_ref, payload)
		select name || ':' || key, name, ref, json_build_object('customer', json_build_object('email', $1::text, 'phone', $2::text, 'first_name', $3::text,
		       'address', json_build_object('lines', json_build_array($4::text))))
		from (values ('order_paid', 'E1', 'E1'), ('order_paid', 'E2', 'E2'), ('order_paid', 'E3', 'E3'), ('newsletter_optin', $1, null),
		             ('sms_optin', '20123456', null), ('order_paid', $1, $1), ('order_paid', $2, $2), ('order_paid', '20 12 34 56', '20 12 34 56'),
		             ('custom:' || $1, 'E1', 'E1')) e (name, key, ref)`,
		markerEmail, markerPhone, markerPerson, markerStreet)
	run(t, site, `
		with gone as (select id, kvit.job_event_id(args) as event, args ->> 'destination' as destination from kvit.river_job where kind = 'deliver_event')
		insert into kvit.delivery (event_id, destination, outcome, reason, attempts, first_attempt_at, response_code)
		select g.event, g.destination, case when g.destination = 'ga4' then 'delivered' else 'rejected' end,
		       case when g.destination = 'ga4' then 'without customer.phone: no phone number' else 'customer.email: is missing' end, 3, now(), 400
		from gone g join kvit.event e on e.id = g.event where e.order_ref is distinct from 'E2'`)
	run(t, site, `
		delete from kvit.river_job j using kvit.delivery r where kvit.job_event_id(j.args) = r.event_id and r.destination = j.args ->> 'destination'`)
	run(t, site, `
		update kvit.river_job set state = 'retryable', attempt = 2, errors = array[
		    '{"at": "2026-05-01T10:00:00Z", "attempt": 1, "error": "the provider had an error of its own", "trace": "Zebulon"}',
		    '{"at": "2026-05-01T10:01:00Z", "attempt": 2, "error": "no connection; not taken"}']::jsonb[]`)
	run(t, site, `
		with action as (
		    insert into kvit.delivery_action (action, destination, operator, reason, selection, events)
		    values ('replay', 'crm', 'ops', 'a new key', '{}', 1) returning id)
		insert into kvit.replayed_delivery (action_id, event_id, outcome, reason, attempts, finished_at, unclear)
		select action.id, e.id, 'failed', 'no success within 72h', 4, now() - interval '1 hour', true from action, kvit.event e where e.order_ref = 'E2'`)
	run(t, site, `
		insert into kvit.erp_receipt (order_ref, erp_order_number, source, document_kind) values ('E2', 'SO-9', 'erp', 'order'), ('E9', $1, $1, 'order')`, markerEmail)
	run(t, site, `insert into kvit.legal_hold (order_ref, reason, placed_by) values ('E2', 'asked for by ' || $1, 'ops')`, markerEmail)
	run(t, site, `
		insert into kvit.erasure_certificate (number, order_ref, erased_at, erp_imported_at, policy_hash, row_counts, previous_hash, hash)
		values (1, 'E3', now(), now(), 'p', '{"public.orders": 1, "kvit.event": 2}', '', 'abcdef')`)
	return site, server
}

func run(t *testing.T, site *Site, sql string, args ...any) {
	t.Helper()
	_, err := site.Pool.Exec(t.Context(), sql, args...)
	require.NoError(t, err)
}

func page(t *testing.T, client *http.Client, server *httptest.Server, path string) string {
	t.Helper()
	status, body, _ := get(t, client, server, path)
	require.Equal(t, http.StatusOK, status, "%s: %s", path, body)
	return body
}

func TestOrders(t *testing.T) {
	t.Parallel()
	_, server := orderSite(t)
	client := loggedIn(t, server, "reader")
	body := page(t, client, server, "/orders")
	for _, want := range []string{`href="/orders/one?ref=E1"`, `state-rejected`, `state-retrying`, `state-delivered`, "customer.email: is missing", "z…@…"} {
		require.Contains(t, body, want)
	}
	body = page(t, client, server, "/orders?state=retrying&destination=crm")
	require.Contains(t, body, "?ref=E2")
	require.NotContains(t, body, "?ref=E1")
	require.Contains(t, body, `<option selected>retrying</option>`)
	require.NotContains(t, page(t, client, server, "/orders?q=nothing"), "/orders/one?")
	for _, bad := range []string{"/orders?state=x", "/orders?before=x", "/orders?q=%00", "/orders?q=%ff"} {
		status, _, _ := get(t, client, server, bad)
		require.Equal(t, http.StatusBadRequest, status, bad)
	}
}

// A search that finds one thing shows it, and its address holds no address of anybody's.
func TestSearchGoesToWhatItFinds(t *testing.T) {
	t.Parallel()
	_, server := orderSite(t)
	client := loggedIn(t, server, "reader")
	for search, want := range map[string]string{
		"E2": `^/orders/one\?ref=E2$`, "order_paid:E3": `^/orders/one\?ref=E3$`, "SO-9": `^/orders/one\?ref=E2$`,
		"newsletter_optin:" + markerEmail: `^/orders/one\?event=\d+$`, markerEmail: `^/orders`,
	} {
		status, body, header := get(t, client, server, "/orders?q="+url.QueryEscape(search))
		if status == http.StatusOK { // two orders: the one that is so called, and the one with that number
			require.NotContains(t, body, markerEmail)
			continue
		}
		require.Equal(t, http.StatusSeeOther, status, search)
		require.Regexp(t, want, header.Get("Location"), search)
		page(t, client, server, header.Get("Location"))
	}
}

func TestOneOrder(t *testing.T) {
	t.Parallel()
	site, server := orderSite(t)
	client := loggedIn(t, server, "reader")
	body := page(t, client, server, "/orders/one?ref=E2")
	for _, want := range []string{
		"Order E2", "1 to 4", "no success within 72h", "It may have arrived.", "sent again by ops: a new key",
		`<td class="number">5</td>`, `<td class="number">6</td>`, "no connection; not taken", "waits for its next attempt",
		"SO-9", "On hold since", "order_paid came from the shop", "put on hold by ops",
	} {
		require.Contains(t, body, want)
	}
	done := page(t, client, server, "/orders/one?ref=E3")
	require.Contains(t, done, "Certificate 1")
	require.Contains(t, done, "the first of these attempts: 1 to 3")
	require.Regexp(t, `action=replay&amp;destination=ga4&amp;event=\d+&amp;outcome=delivered#preview`, done)
	var event string
	require.NoError(t, site.Pool.QueryRow(t.Context(), `select id::text from kvit.event where order_ref = 'E2'`).Scan(&event))
	require.Contains(t, page(t, client, server, "/orders/one?event="+event), "Order E2")
	require.Contains(t, body, "action=send_now&amp;destination=crm&amp;event="+event+"#preview")
	for _, none := range []string{"?ref=E77", "?event=0", "?event=x", "", "?ref=%00"} {
		status, _, _ := get(t, client, server, "/orders/one"+none)
		require.Equal(t, http.StatusNotFound, status, none)
	}
}

func TestLinkForAnIntegrator(t *testing.T) {
	t.Parallel()
	site, server := orderSite(t)
	operator, stranger := loggedIn(t, server, "operator"), visitor(t)
	status, body, _ := post(t, operator, server, "/shares", url.Values{"destination": {"crm"}, "note": {"agency"}, "days": {"14"}})
	require.Equal(t, http.StatusOK, status, body)
	link := regexp.MustCompile(`/share/[A-Z2-7]{26}`).FindString(body)
	require.NotEmpty(t, link)

	body = page(t, stranger, server, link)
	for _, want := range []string{"What was sent to crm", "https://docs.example.com/crm", "customer.email: is missing", "E1", "state-retrying"} {
		require.Contains(t, body, want)
	}
	for _, not := range []string{"ga4", "<nav", "/orders/one", "Log out", "secret"} {
		require.NotContains(t, body, not)
	}
	require.NotContains(t, page(t, operator, server, link), "<nav", "as the stranger sees it")
	lines := readCSV(t, page(t, stranger, server, link+"/orders.csv"))
	require.Equal(t, []string{"order_ref", "event", "state", "at", "attempts", "reason"}, lines[0])
	require.Len(t, lines, 7)

	token := strings.TrimPrefix(link, "/share/")
	require.Contains(t, page(t, operator, server, "/shares"), "agency")
	require.NotContains(t, page(t, operator, server, "/shares"), token, "it is shown once")
	var kept bool
	require.NoError(t, site.Pool.QueryRow(t.Context(), `
		select exists (select from kvit.share s where s::text like '%' || $1 || '%' or position(convert_to($1, 'UTF8') in token_hash) > 0)
		    or exists (select from kvit.audit a where a::text like '%' || $1 || '%')
		    or exists (select from kvit.session s where position(convert_to($1, 'UTF8') in data) > 0)`, token).Scan(&kept))
	require.False(t, kept)

	t.Run("Refused", func(t *testing.T) {
		for name, form := range map[string]url.Values{
			"Destination": {"destination": {"x"}, "note": {"agency"}, "days": {"14"}},
			"Note":        {"destination": {"crm"}, "note": {" "}, "days": {"14"}},
			"Address":     {"destination": {"crm"}, "note": {"for " + markerEmail}, "days": {"14"}},
			"Days":        {"destination": {"crm"}, "note": {"agency"}, "days": {"91"}},
		} {
			status, _, _ := post(t, operator, server, "/shares", form)
			require.Equal(t, http.StatusBadRequest, status, name)
		}
	})
	t.Run("Reader", func(t *testing.T) {
		require.NotContains(t, page(t, loggedIn(t, server, "reader"), server, "/shares"), `method="post" action="/shares`)
	})
	t.Run("Revoked", func(t *testing.T) {
		id := regexp.MustCompile(`/shares/\d+/revoke`).FindString(page(t, operator, server, "/shares"))
		status, _, _ := post(t, operator, server, id, nil)
		require.Equal(t, http.StatusSeeOther, status)
		for _, path := range []string{link, link + "/orders.csv", "/share/unknown"} {
			status, body, _ := get(t, stranger, server, path)
			require.Equal(t, http.StatusNotFound, status)
			require.NotContains(t, body, "E1")
		}
		status, _, _ = post(t, operator, server, id, nil)
		require.Equal(t, http.StatusConflict, status)
	})
}

func readCSV(t *testing.T, body string) [][]string {
	t.Helper()
	lines, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(body, "\uFEFF"))).ReadAll()
	require.NoError(t, err)
	return lines
}

// No page that tells of orders, no file and no link shows what stands in payloads, or what a shop, an ERP or an operator wrote where it
// does not belong.
func TestNoMarkerOnAnyPage(t *testing.T) {
	t.Parallel()
	site, server := orderSite(t)
	operator, stranger := loggedIn(t, server, "operator"), visitor(t)
	paths := []string{
		"/orders", "/orders.csv", "/orders?state=rejected", "/orders?q=" + url.QueryEscape(markerEmail), "/orders?q=" + url.QueryEscape(markerPhone),
		"/orders.csv?q=" + url.QueryEscape(markerEmail), "/shares", "/shares.csv", "/audit", "/",
	}
	for _, ref := range []string{"E1", "E2", "E3", "E9"} {
		paths = append(paths, "/orders/one?ref="+ref, "/orders/deliveries.csv?ref="+ref, "/orders/evidence.csv?ref="+ref)
	}
	ids := eventIDs(t, site)
	require.Len(t, ids, 9)
	for _, id := range ids {
		paths = append(paths, "/orders/one?event="+id, "/orders/deliveries.csv?event="+id)
	}
	bodies := map[string]string{}
	for _, path := range paths {
		status, body, header := get(t, operator, server, path)
		if status == http.StatusSeeOther {
			status, body, _ = get(t, operator, server, header.Get("Location"))
		}
		require.Equal(t, http.StatusOK, status, path)
		bodies[path] = body
	}
	_, body, _ := post(t, operator, server, "/shares", url.Values{"destination": {"crm"}, "note": {"agency"}, "days": {"1"}})
	link := regexp.MustCompile(`/share/[A-Z2-7]{26}`).FindString(body)
	bodies["POST /shares"], bodies["share"], bodies["share.csv"] = body, page(t, stranger, server, link), page(t, stranger, server, link+"/orders.csv")
	bodies["audit after"] = page(t, operator, server, "/audit")
	bodies["shares after"], bodies["shares.csv after"] = page(t, operator, server, "/shares"), page(t, operator, server, "/shares.csv")
	for path, body := range bodies {
		for _, marker := range markers {
			require.NotContains(t, body, marker, path)
		}
	}
}

func eventIDs(t *testing.T, site *Site) (ids []string) {
	t.Helper()
	require.NoError(t, site.Pool.QueryRow(t.Context(), `select array_agg(id::text order by id) from kvit.event`).Scan(&ids))
	return ids
}

func TestOrdersAsFiles(t *testing.T) {
	t.Parallel()
	site, server := orderSite(t)
	run(t, site, `insert into kvit.event (event_key, name, occurred_at, order_ref, consent) values ('k', 'order_paid', now(), '=HYPERLINK("http://x")', '{}')`)
	client := loggedIn(t, server, "reader")
	status, body, header := get(t, client, server, "/orders.csv")
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "text/csv; charset=utf-8", header.Get("Content-Type"))
	lines := readCSV(t, body)
	require.Equal(t, `'=HYPERLINK("http://x")`, lines[1][0], "the newest order, and no formula")
	lines = readCSV(t, page(t, client, server, "/orders/deliveries.csv?ref=E2"))
	require.Equal(t, "5", lines[2][5])
	require.Len(t, readCSV(t, page(t, client, server, "/orders/evidence.csv?ref=E2")), 2)
}

func TestCSVCellIsNoFormula(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"=1+1": "'=1+1", "+1": "'+1", "-1": "'-1", "@x": "'@x", "\u0020=1": "' =1", "\t=1": "' =1", "\r=1": "' =1", "a\n=1": "a =1", "＝1": "'＝1",
		"E1": "E1", "": "", "a=b": "a=b", "|x": "'|x",
	} {
		require.Equal(t, want, inert(text), "%q", text)
	}
}

func TestMasked(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"anna@example.com": "a…@…", "newsletter_optin:anna@example.com": "newsletter_optin:a…@…", "anna%40example.com-7": "a…@…",
		"+4520123456": "+…", "004520123456": "00…", "+45 20 12 34 56": "+…", "20 12 34 56": "20…", "sms_optin:20123456": "sms_optin:…",
		"E100042": "E100042", "100042315": "100042315", "000000042": "000000042", "2026-11-28-0042": "2026-11-28-0042", "order_paid:20123456": "order_paid:20123456",
		"2026-11-28T10:00:00+01:00": "2026-11-28T10:00:00+01:00", "HTTP 500": "HTTP 500", "no success within 72h": "no success within 72h",
	} {
		require.Equal(t, want, masked(text), text)
	}
}
