package pages

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	"kvit/config"
	"kvit/status"
	"kvit/store/storetest"
	"kvit/web/access"
)

// TestMain keeps one Postgres for all tests.
func TestMain(m *testing.M) { storetest.Run(m) }

const password = "correct horse battery"

// hashed is made once: each takes a while.
var hashed = hashOf(password)

func hashOf(text string) string {
	hash, err := bcrypt.GenerateFromPassword([]byte(text), bcrypt.MinCost)
	if err != nil {
		panic(err)
	}
	return string(hash)
}

// tokenHash is how the database knows a session.
func tokenHash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// testSite is a site on a database of its own, with the users reader and operator, whose password is password.
func testSite(t *testing.T, change ...func(*Options)) (*Site, *httptest.Server) {
	t.Helper()
	pool := storetest.DB(t)
	logger := slog.New(slog.DiscardHandler)
	guard, err := access.New(access.Options{DB: pool, KeepAudit: time.Hour, Logger: logger, Users: []access.Account{
		{User: access.User{Name: "reader", Role: access.Read}, PasswordHash: hashed},
		{User: access.User{Name: "operator", Role: access.Operate}, PasswordHash: hashed},
	}})
	require.NoError(t, err)
	o := Options{
		Pool: pool, Guard: guard, Logger: logger, Since: time.Now(), Grace: func(time.Time) time.Duration { return 26 * time.Hour },
		Config: config.Config{Retention: config.Retention{TimeZone: "Europe/Copenhagen", Schedule: "30 3 * * *"}},
	}
	for _, c := range change {
		c(&o)
	}
	site, err := New(o)
	require.NoError(t, err)
	server := httptest.NewServer(site.Handler())
	t.Cleanup(server.Close)
	return site, server
}

// visitor is a browser without login.
func visitor(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	return &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// loggedIn is a browser of a user's.
func loggedIn(t *testing.T, server *httptest.Server, name string) *http.Client {
	t.Helper()
	client := visitor(t)
	status, body, _ := post(t, client, server, "/login", url.Values{"name": {name}, "password": {password}})
	require.Equal(t, http.StatusSeeOther, status, body)
	return client
}

func get(t *testing.T, client *http.Client, server *httptest.Server, path string) (status int, body string, header http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, nil)
	require.NoError(t, err)
	return do(t, client, req)
}

func post(t *testing.T, client *http.Client, server *httptest.Server, path string, form url.Values) (status int, body string, header http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+path, strings.NewReader(form.Encode()))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	return do(t, client, req)
}

func do(t *testing.T, client *http.Client, req *http.Request) (status int, body string, header http.Header) {
	t.Helper()
	res, err := client.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(data), res.Header
}

func TestLogin(t *testing.T) {
	t.Parallel()
	_, server := testSite(t)
	client := visitor(t)
	status, _, header := get(t, client, server, "/audit")
	require.Equal(t, http.StatusSeeOther, status)
	require.Equal(t, "/login?to=%2Faudit", header.Get("Location"))

	status, body, _ := post(t, client, server, "/login", url.Values{"name": {"reader"}, "password": {"wrong"}})
	require.Equal(t, http.StatusUnauthorized, status)
	require.Contains(t, body, "Name or password are wrong.")

	status, _, header = post(t, client, server, "/login", url.Values{"name": {"reader"}, "password": {password}, "to": {"/audit"}})
	require.Equal(t, http.StatusSeeOther, status)
	require.Equal(t, "/audit", header.Get("Location"))
	require.Contains(t, header.Get("Set-Cookie"), "HttpOnly; SameSite=Strict")

	status, body, header = get(t, client, server, "/audit")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, body, "login refused")
	require.Equal(t, access.Policy, header.Get("Content-Security-Policy"))
	require.Equal(t, "no-store", header.Get("Cache-Control"))

	status, _, _ = post(t, client, server, "/logout", nil)
	require.Equal(t, http.StatusSeeOther, status)
	status, _, _ = get(t, client, server, "/audit")
	require.Equal(t, http.StatusSeeOther, status)
}

// The overview says in numbers and words where things stand, and what to do.
func TestOverview(t *testing.T) {
	t.Parallel()
	site, server := testSite(t)
	_, err := site.Pool.Exec(t.Context(), `
		insert into kvit.destination (name, kind, enabled, event_names) values ('crm', 'webhook', true, '{}'), ('mail', 'spread', true, '{}');
		insert into kvit.event (event_key, name, occurred_at, received_at, consent)
		select 'custom:' || i, 'custom:a', now(), now() - make_interval(hours => 21 - i), '{}' from generate_series(1, 20) i;
		insert into kvit.delivery (event_id, destination, outcome, attempts, finished_at)
		select id, 'crm', case event_key when 'custom:3' then 'lost' when 'custom:4' then 'withheld' else 'delivered' end, 1, received_at + interval '2 seconds' from kvit.event;
		insert into kvit.river_queue (name, updated_at, paused_at) values ('deliver_mail', now(), now());
		update kvit.destination set disabled_reason = 'HTTP 410' where name = 'crm'`)
	require.NoError(t, err)
	status, body, _ := get(t, loggedIn(t, server, "reader"), server, "/")
	require.Equal(t, http.StatusOK, status)
	for _, want := range []string{
		"<dt>delivered</dt><dd>18</dd>", `state=withheld">withheld</a></dt><dd>1</dd>`, `#preview">lost</a></dt><dd class="bad">1</dd>`, "half within 2.0 s",
		"<strong>LOST crm</strong>: 1 without receipt or job", "kvit replay --destination crm --outcome lost",
		"<strong>DISABLED BY RECEIVER crm</strong>: HTTP 410", "disabled by the receiver", "Paused since",
		"shop.orders is not configured", "<dt>last certificate</dt><dd>none yet</dd>",
	} {
		require.Contains(t, body, want)
	}
}

// What could not be read is not known, and not none.
func TestOverviewOfWhatIsNotKnown(t *testing.T) {
	t.Parallel()
	site, server := testSite(t)
	o := &overview{Status: status.Status{At: time.Now()}}
	for _, what := range []string{"destinations", "orders", "ERPs", "the last erasure", "copies", "open tasks"} {
		o.Unreadable = append(o.Unreadable, status.Unread{What: what, Problem: "a timeout"})
	}
	o.Alarms = status.Alarms(o.Status)
	site.overviews.last.Store(&readAt{time.Now().Add(time.Hour), o})
	code, body, _ := get(t, loggedIn(t, server, "reader"), server, "/")
	require.Equal(t, http.StatusOK, code)
	for _, want := range []string{"they could not be read", "the orders could not be read", "the ERPs could not be read",
		"<dt>last run without a problem</dt><dd>not known</dd>", "<dt>places where copies were found</dt><dd>not known</dd>", "<dt>open tasks</dt><dd>not known</dd>"} {
		require.Contains(t, body, want)
	}
	require.NotContains(t, body, "configured")
}

// Every page has the number of alarms, also where nobody has looked at the overview.
func TestEveryPageTellsOfAlarms(t *testing.T) {
	t.Parallel()
	site, server := testSite(t)
	_, err := site.Pool.Exec(t.Context(), `insert into kvit.destination (name, kind, enabled, event_names, disabled_reason) values ('crm', 'webhook', true, '{}', 'HTTP 410')`)
	require.NoError(t, err)
	_, body, _ := get(t, loggedIn(t, server, "reader"), server, "/audit")
	require.Contains(t, body, `<a class="alarms" href="/#alarms">1 alarm</a>`)
}

// A process that has run for a while, and still nobody leads, says so.
func TestNobodyLeads(t *testing.T) {
	t.Parallel()
	_, server := testSite(t, func(o *Options) { o.Since = time.Now().Add(-time.Hour) })
	_, body, _ := get(t, loggedIn(t, server, "reader"), server, "/")
	require.Contains(t, body, "<strong>KVIT DOES NOT RUN</strong>")
}

func TestNothingToDo(t *testing.T) {
	t.Parallel()
	_, server := testSite(t)
	status, body, _ := get(t, loggedIn(t, server, "reader"), server, "/")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, body, "Nothing needs you at the moment.")
	require.Contains(t, body, "No destination is configured.")
}

func TestLoginIsThrottled(t *testing.T) {
	t.Parallel()
	_, server := testSite(t)
	client := visitor(t)
	var status int
	for range 11 {
		status, _, _ = post(t, client, server, "/login", url.Values{"name": {"operator"}, "password": {"guess"}})
	}
	require.Equal(t, http.StatusTooManyRequests, status)
	status, _, _ = post(t, client, server, "/login", url.Values{"name": {"operator"}, "password": {password}})
	require.Equal(t, http.StatusTooManyRequests, status, "not even with the right one")
}

// A login leads on to a page of this site alone.
func TestOwnPath(t *testing.T) {
	t.Parallel()
	for to, want := range map[string]string{
		"/orders?q=E1": "/orders?q=E1", "": "/", "https://elsewhere.example": "/", "//elsewhere.example": "/", `/\elsewhere.example`: "/", "/login?to=/": "/",
		"/\t/elsewhere.example": "/", "/river/": "/river/",
	} {
		require.Equal(t, want, ownPath(to), to)
	}
}

// Whatever a handler's error holds, the page shows a reference alone.
func TestFailuresShowAReference(t *testing.T) {
	t.Parallel()
	site, server := testSite(t)
	site.read("GET /broken", func(http.ResponseWriter, *http.Request) error { return errors.New("secret-marker") })
	site.operate("POST /broken", func(http.ResponseWriter, *http.Request) error {
		return refuse(http.StatusConflict, "It is paused already.")
	})
	client := loggedIn(t, server, "operator")
	status, body, _ := get(t, client, server, "/broken")
	require.Equal(t, http.StatusInternalServerError, status)
	require.Contains(t, body, "under the reference ")
	require.NotContains(t, body, "secret-marker")
	status, body, _ = post(t, client, server, "/broken", nil)
	require.Equal(t, http.StatusConflict, status)
	require.Contains(t, body, "It is paused already.")
}

// What is said is shown once, to whoever did it.
func TestSaid(t *testing.T) {
	t.Parallel()
	site, server := testSite(t)
	site.operate("POST /act", func(w http.ResponseWriter, r *http.Request) error {
		site.say(r, "It was done.")
		return site.see(w, r, "/audit")
	})
	client := loggedIn(t, server, "operator")
	status, _, _ := post(t, client, server, "/act", nil)
	require.Equal(t, http.StatusSeeOther, status)
	_, body, _ := get(t, client, server, "/audit")
	require.Contains(t, body, "It was done.")
	_, body, _ = get(t, client, server, "/audit")
	require.NotContains(t, body, "It was done.")
}

// The pages come without a database, and say what they lack.
func TestDatabaseIsAway(t *testing.T) {
	t.Parallel()
	site, server := testSite(t)
	client := loggedIn(t, server, "reader")
	site.Pool.Close()
	status, body, _ := get(t, client, server, "/")
	require.Equal(t, http.StatusServiceUnavailable, status, body)
	status, _, _ = get(t, visitor(t), server, "/login")
	require.Equal(t, http.StatusOK, status)
}
