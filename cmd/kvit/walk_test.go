package main

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	"kvit/config"
	"kvit/erasure"
	"kvit/store/storetest"
	"kvit/watch"
	"kvit/web"
	"kvit/web/access"
	"kvit/web/pages"
)

// walk is every address of a kvit whose configuration has all that there is: the example's, with what it shows in comments.
type walk struct {
	router *web.Router
	site   *pages.Site
	pool   *pgxpool.Pool
	server *httptest.Server
}

const walkPassword = "correct horse battery"

func newWalk(t *testing.T) *walk {
	t.Helper()
	databaseURL := storetest.URL(t)
	hash, err := bcrypt.GenerateFromPassword([]byte(walkPassword), 10)
	require.NoError(t, err)
	cfg, err := config.Parse("kvit.yaml", []byte(fullExample(t)), func(name string) string {
		switch name {
		case "DATABASE_URL":
			return databaseURL
		case "ANNA_PASSWORD_HASH", "JON_PASSWORD_HASH":
			return string(hash)
		}
		return exampleEnvironment(name)
	}, allKinds())
	require.NoError(t, err)
	cfg.Database.ReadURL = config.Secret{}
	cfg.Channels = nil                                                                        // they only send
	cfg.ERPs = slices.DeleteFunc(cfg.ERPs, func(e config.ERP) bool { return e.Name != "bc" }) // some read files to begin with, and none else has an address
	cfg.Ops.OIDC.Issuer = "http://127.0.0.1:1"
	return walkOf(t, cfg)
}

// walkOf is every address of a kvit of this configuration. It does no work: nobody sends or erases.
func walkOf(t *testing.T, cfg config.Config) *walk {
	t.Helper()
	pool, err := openPool(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	quiet := slog.New(slog.DiscardHandler)
	reads, err := openReads(t.Context(), cfg, pool, quiet)
	require.NoError(t, err)
	t.Cleanup(reads.Close)
	d := &daemon{cfg: cfg, pool: pool, reads: reads, logger: quiet, anchor: erasure.NewAnchorKeeper(anchorOf(cfg), quiet)}
	d.watch = watch.New(newApp(exampleEnvironment, io.Discard, io.Discard).watchOptions(pool, quiet))
	client, err := d.newClient()
	require.NoError(t, err)
	w := &walk{pool: pool}
	w.site, err = d.site(client)
	require.NoError(t, err)
	w.router = web.Handler(d.webOptions(client, w.site.Handler()))
	w.server = httptest.NewTLSServer(w.router)
	t.Cleanup(w.server.Close)
	return w
}

// browser has cookies of its own; named, somebody has logged in with it.
func (w *walk) browser(t *testing.T, name string) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	client := &http.Client{Jar: jar, Transport: w.server.Client().Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if name == "" {
		return client
	}
	form := url.Values{"name": {name}, "password": {walkPassword}}.Encode()
	status, _ := w.send(t, client, http.MethodPost, "/login", form, "Sec-Fetch-Site", "same-origin")
	require.Equal(t, http.StatusSeeOther, status, name)
	return client
}

func (w *walk) send(t *testing.T, client *http.Client, method, path, form string, header ...string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, w.server.URL+path, strings.NewReader(form))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := client.Do(r)
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(text)
}

// copied is another browser with the same session.
func (w *walk) copied(t *testing.T, of *http.Client) *http.Client {
	t.Helper()
	client := w.browser(t, "")
	client.Jar.SetCookies(w.address(t), of.Jar.Cookies(w.address(t)))
	return client
}

func (w *walk) address(t *testing.T) *url.URL {
	t.Helper()
	address, err := url.Parse(w.server.URL)
	require.NoError(t, err)
	return address
}

// expire ends the time of a browser's session.
func (w *walk) expire(t *testing.T, client *http.Client) {
	t.Helper()
	sum := sha256.Sum256([]byte(client.Jar.Cookies(w.address(t))[0].Value))
	tag, err := w.pool.Exec(t.Context(), `update kvit.session set expires_at = now() - interval '1 second' where token_hash = $1`,
		base64.RawURLEncoding.EncodeToString(sum[:]))
	require.NoError(t, err)
	require.EqualValues(t, 1, tag.RowsAffected())
}

// state is all that kvit keeps but sessions, and of the audit the logins.
func (w *walk) state(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	var tables []string
	require.NoError(t, w.pool.QueryRow(t.Context(), `
		select array_agg(c.relname::text) from pg_class c join pg_namespace n on n.oid = c.relnamespace
		where n.nspname = 'kvit' and c.relkind in ('r', 'p') and c.relname not in ('session', 'river_leader')`).Scan(&tables))
	for _, table := range tables {
		where := ""
		if table == "audit" {
			where = " where action not in ('login', 'login refused', 'logout')"
		}
		var sum string
		require.NoError(t, w.pool.QueryRow(t.Context(), `
			select coalesce(md5(string_agg(r::text, '|' order by r::text)), '') from kvit.`+table+` r`+where).Scan(&sum), table)
		found[table] = sum
	}
	require.Greater(t, len(found), 20)
	return found
}

// visit is a method and an address by which a route may be asked.
type visit struct {
	route  string
	method string
	path   string
	role   access.Role // of the pages
	door   web.Door
}

var placeholder = regexp.MustCompile(`\{[^}]*\}`)

var writing = []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}

// pathOf is a pattern without its method.
func pathOf(pattern string) string {
	_, path, named := strings.Cut(pattern, " ")
	if !named {
		path = pattern
	}
	return strings.TrimSuffix(path, "{$}")
}

// visits are those of every address, whatever it is made for: the test needs no list of its own.
func (w *walk) visits(methods ...string) (all []visit) {
	add := func(pattern string, role access.Role, door web.Door) {
		path := placeholder.ReplaceAllString(pathOf(pattern), "1")
		path = strings.Replace(path, "/erp/notifications/1", "/erp/notifications/bc", 1)
		for _, method := range methods {
			all = append(all, visit{route: pattern, method: method, path: path, role: role, door: door})
		}
	}
	for _, route := range w.router.Routes() {
		if route.Door != web.Login {
			add(route.Pattern, access.Nobody, route.Door)
		}
	}
	for _, route := range w.site.Routes() {
		add(route.Pattern, route.Role, web.Login)
	}
	return all
}

// serves tells whether the route is made for this method.
func (v visit) serves() bool {
	method, _, named := strings.Cut(v.route, " ")
	return !named || method == v.method
}

// elsewhere are the headers of browsers when another site has them ask.
var elsewhere = [][]string{
	{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://elsewhere.example"}, {"Origin", "null"},
	{"Sec-Fetch-Site", "cross-site", "Origin", "https://elsewhere.example"},
}

// TestNobodyWrites walks all addresses, by every method that writes: whoever is no operator on the site itself, and no program with
// its token, is refused, and nothing that kvit keeps has changed.
func TestNobodyWrites(t *testing.T) {
	t.Parallel()
	w := newWalk(t)
	operator := w.browser(t, "anna")
	expired, revoked := w.browser(t, "anna"), w.browser(t, "anna")
	strangers := map[string]*http.Client{"nobody": w.browser(t, ""), "reader": w.browser(t, "jon"), "expired": expired, "revoked": w.copied(t, revoked)}
	status, _ := w.send(t, revoked, http.MethodPost, "/logout", "", "Sec-Fetch-Site", "same-origin")
	require.Equal(t, http.StatusSeeOther, status)
	w.expire(t, expired)
	before := w.state(t)

	refused := []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusTooManyRequests}
	for _, v := range w.visits(writing...) {
		about := fmt.Sprintf("%s %s (%s)", v.method, v.path, v.route)
		for who, client := range strangers {
			if who == "reader" && v.route == "POST /logout" {
				continue // he may leave
			}
			status, body := w.send(t, client, v.method, v.path, "reason=x", "Sec-Fetch-Site", "same-origin")
			if v.door == web.Notified && status == http.StatusBadRequest {
				continue // it shows no state
			}
			require.Contains(t, refused, status, "%s, %s: %.200s", about, who, body)
			if v.door == web.Login && v.serves() && v.role > access.Nobody {
				require.Equal(t, map[bool]int{true: http.StatusForbidden, false: http.StatusUnauthorized}[who == "reader"], status, "%s, %s", about, who)
			}
		}
		for _, header := range elsewhere {
			status, body := w.send(t, operator, v.method, v.path, "reason=x", header...)
			if v.door == web.Notified && status == http.StatusBadRequest {
				continue
			}
			require.Contains(t, refused, status, "%s, %v: %.200s", about, header, body)
			if v.door == web.Login {
				require.Equal(t, http.StatusForbidden, status, "%s, %v", about, header)
			}
		}
		if v.role == access.Nobody && v.door == web.Login && v.serves() {
			require.Equal(t, "POST /login", v.route, "it changes something without login")
		}
	}
	require.Equal(t, before, w.state(t))

	// The operator's own are let in, or the refusals above would prove nothing. Without a reason and a subject none does anything.
	acted := 0
	for _, v := range w.visits(writing...) {
		if v.door != web.Login || v.role != access.Operate || !v.serves() {
			continue
		}
		status, body := w.send(t, operator, v.method, v.path, "", "Sec-Fetch-Site", "same-origin")
		require.NotContains(t, []int{http.StatusUnauthorized, http.StatusForbidden}, status, "%s: %.200s", v.route, body)
		acted++
	}
	require.Greater(t, acted, 10)
}

// Without the token no program gets in, and a browser's session is none; with it the door opens.
func TestTokensOfPrograms(t *testing.T) {
	t.Parallel()
	w := newWalk(t)
	operator := w.browser(t, "anna")
	tokens := 0
	for _, v := range w.visits(http.MethodGet, http.MethodPost) {
		if v.door != web.Token || !v.serves() {
			continue
		}
		tokens++
		for _, header := range [][]string{
			{"Sec-Fetch-Site", "same-origin"}, {"Authorization", "Bearer "}, {"Authorization", "Bearer wrong"},
			{"Authorization", "Basic " + exampleEnvironment("STATUS_TOKEN")}, {"Authorization", exampleEnvironment("STATUS_TOKEN")},
		} {
			status, _ := w.send(t, operator, v.method, v.path, "", header...)
			require.Equal(t, http.StatusUnauthorized, status, "%s, %v", v.route, header)
		}
		status, body := w.send(t, w.browser(t, ""), v.method, v.path, "", "Authorization", "Bearer "+exampleEnvironment("STATUS_TOKEN"))
		require.NotEqual(t, http.StatusUnauthorized, status)
		if v.route == "GET /status.json" {
			require.Equal(t, http.StatusOK, status)
			require.Contains(t, body, `"alarms":[`)
		}
	}
	require.Equal(t, 2, tokens)
}

// TestReadingChangesNothing walks all addresses as an operator who looks at everything.
func TestReadingChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWalk(t)
	operator := w.browser(t, "anna")
	before := w.state(t)
	for _, v := range w.visits(http.MethodGet, http.MethodHead) {
		status, body := w.send(t, operator, v.method, v.path, "")
		require.True(t, status < 500 || strings.HasPrefix(v.path, "/readyz") || v.path == access.OIDCPath, "%s %s: %d %.300s", v.method, v.path, status, body)
	}
	require.Equal(t, before, w.state(t))
}

// Profiles are for programs of this machine, and for no page in a browser of it.
func TestNoPageAsksForProfiles(t *testing.T) {
	t.Parallel()
	handler := web.Profiles()
	require.NotEmpty(t, handler.Routes())
	for _, route := range handler.Routes() {
		require.Equal(t, web.Loopback, route.Door)
		method, path, _ := strings.Cut(route.Pattern, " ")
		for _, header := range append(elsewhere, []string{"Host", "rebound.example:6060"}) {
			r := httptest.NewRequestWithContext(t.Context(), method, "http://127.0.0.1:6060"+path, nil)
			for i := 0; i < len(header); i += 2 {
				r.Header.Set(header[i], header[i+1])
			}
			if header[0] == "Host" {
				r.Host = header[1]
			}
			recorder := httptest.NewRecorder()
			handler.ServeHTTP(recorder, r)
			require.Equal(t, http.StatusForbidden, recorder.Code, "%s, %v", route.Pattern, header)
		}
	}
}

// An address that is registered past the two lists would be walked by none of these tests.
func TestAddressesAreKeptInTwoLists(t *testing.T) {
	t.Parallel()
	allowed := map[string][]string{
		"web/router.go":     {"http.NewServeMux", "mux.Handle"},
		"web/pages/site.go": {"http.NewServeMux", "mux.Handle"},
		"web/web.go":        {"http.Server"},
		"web/pprof.go":      {"http.Server"},
	}
	registers := regexp.MustCompile(`(?:^|[^.\w])(http\.(?:NewServeMux|Handle|HandleFunc|ListenAndServe|ListenAndServeTLS|Serve|ServeTLS)\(|http\.Server\{)|(\bmux\.Handle(?:Func)?\b)`)
	found := 0
	err := filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		name := strings.TrimPrefix(filepath.ToSlash(path), "../../")
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (slices.Contains([]string{"node_modules", ".tools", ".git", "build", "bench", "shops"}, entry.Name()) || strings.HasSuffix(name, "test") || name == "cmd/kvit/demo"):
			return fs.SkipDir
		case !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, groups := range registers.FindAllStringSubmatch(string(text), -1) {
			use := groups[1] + groups[2]
			found++
			require.Contains(t, allowed[name], strings.TrimSuffix(strings.TrimRight(use, "({"), "Func"), "%s uses %s", name, use)
		}
		return nil
	})
	require.NoError(t, err)
	require.GreaterOrEqual(t, found, 6)
}
