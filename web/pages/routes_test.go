package pages

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/stretchr/testify/require"

	"kvit/web/access"
)

// withRiver adds River UI to a site.
func withRiver(t *testing.T) func(*Options) {
	return func(o *Options) {
		client, err := river.NewClient(riverpgxv5.New(o.Pool), &river.Config{Schema: "kvit", Logger: o.Logger})
		require.NoError(t, err)
		o.River = client
	}
}

var wildcard = regexp.MustCompile(`\{[^}]*\}`)

// writes are the requests by which a route changes something, if any.
func writes(route Route) (list [][2]string) {
	method, path, found := strings.Cut(route.Pattern, " ")
	if !found {
		method, path = "", route.Pattern
	}
	path = wildcard.ReplaceAllString(strings.TrimSuffix(path, "{$}"), "1")
	if method == http.MethodGet {
		return nil
	}
	for _, m := range []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		if method == "" || method == m {
			list = append(list, [2]string{m, path})
		}
	}
	return list
}

// TestEveryWriteIsRefused walks the router: whatever page is added, nobody but an operator on the site itself gets through.
func TestEveryWriteIsRefused(t *testing.T) {
	t.Parallel()
	site, server := testSite(t, withRiver(t))
	operator, reader, nobody := loggedIn(t, server, "operator"), loggedIn(t, server, "reader"), visitor(t)
	send := func(t *testing.T, client *http.Client, write [2]string, header, value string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), write[0], server.URL+write[1], strings.NewReader("reason=x"))
		require.NoError(t, err)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set(header, value)
		status, body, _ := do(t, client, req)
		return status, body
	}

	expired, revoked := loggedIn(t, server, "operator"), loggedIn(t, server, "operator")
	stolen := visitor(t)
	address, err := url.Parse(server.URL)
	require.NoError(t, err)
	stolen.Jar.SetCookies(address, revoked.Jar.Cookies(address))
	status, _, _ := post(t, revoked, server, "/logout", nil)
	require.Equal(t, http.StatusSeeOther, status)
	tag, err := site.Pool.Exec(t.Context(), `
		update kvit.session set expires_at = now() - interval '1 second'
		where token_hash = $1`, tokenHash(expired.Jar.Cookies(address)[0].Value))
	require.NoError(t, err)
	require.EqualValues(t, 1, tag.RowsAffected())

	walked := 0
	for _, route := range site.Routes() {
		for _, write := range writes(route) {
			walked++
			name := write[0] + " " + write[1]
			for header, value := range map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://elsewhere.example"} {
				status, body := send(t, operator, write, header, value)
				require.Equal(t, http.StatusForbidden, status, "%s, %s: %s: %s", name, header, value, body)
			}
			for header, value := range map[string]string{"Sec-Fetch-Site": "same-site", "Origin": "null"} {
				status, _ := send(t, operator, write, header, value)
				require.Equal(t, http.StatusForbidden, status, "%s, %s: %s", name, header, value)
			}
			if route.Role == access.Nobody {
				require.Equal(t, "POST /login", route.Pattern, "it changes something without login")
				continue
			}
			for who, client := range map[string]*http.Client{"nobody": nobody, "expired": expired, "revoked": stolen} {
				status, _ := send(t, client, write, "Sec-Fetch-Site", "same-origin")
				require.Equal(t, http.StatusUnauthorized, status, "%s, %s", name, who)
			}
			if route.Pattern == "POST /logout" {
				continue // a reader may leave
			}
			status, _ := send(t, reader, write, "Sec-Fetch-Site", "same-origin")
			require.Equal(t, http.StatusForbidden, status, "%s, reader", name)
		}
	}
	require.Greater(t, walked, 5)
	status, _, _ = get(t, operator, server, "/")
	require.Equal(t, http.StatusOK, status, "none of it ended the operator's session")
}

// Every page but the login, its files and shared links wants a login, and none may be kept by a browser.
func TestEveryPageWantsALogin(t *testing.T) {
	t.Parallel()
	site, server := testSite(t, withRiver(t))
	for _, route := range site.Routes() {
		path := strings.TrimPrefix(route.Pattern, "GET ")
		if strings.Contains(path, " ") {
			continue
		}
		path = wildcard.ReplaceAllString(strings.TrimSuffix(path, "{$}"), "1")
		status, _, header := get(t, visitor(t), server, path)
		if route.Role == access.Nobody {
			require.Regexp(t, `^GET /(login|static|share)`, route.Pattern, "a page without login is a decision")
			continue
		}
		require.Equal(t, http.StatusSeeOther, status, route.Pattern)
		require.True(t, strings.HasPrefix(header.Get("Location"), "/login"), route.Pattern)
		require.Equal(t, "no-store", header.Get("Cache-Control"), route.Pattern)
	}
	status, _, _ := get(t, visitor(t), server, "/nothing/here")
	require.Equal(t, http.StatusSeeOther, status, "who is not logged in learns of no address")
}

// TestRiverOnlyShows reads River UI's routes in its source, so that one which a new version adds is among them.
func TestRiverOnlyShows(t *testing.T) {
	t.Parallel()
	_, server := testSite(t, withRiver(t))
	operator := loggedIn(t, server, "operator")
	reads := []string{
		"/api/autocomplete", "/api/features", "/api/health-checks/{name}", "/api/jobs", "/api/jobs/{job_id}", "/api/queues", "/api/queues/{name}",
		"/api/states", "/api/version",
	}
	refused := 0
	for _, route := range riverRoutesOf(t) {
		method, path, _ := strings.Cut(route, " ")
		if method == http.MethodGet {
			require.True(t, slices.Contains(reads, path), "%s is new: does it only read?", route)
			continue
		}
		req, err := http.NewRequestWithContext(t.Context(), method, server.URL+"/river"+wildcard.ReplaceAllString(path, "1"), strings.NewReader(`{"ids":["1"]}`))
		require.NoError(t, err)
		req.Header.Set("Sec-Fetch-Site", "same-origin")
		status, body, _ := do(t, operator, req)
		require.Equal(t, http.StatusForbidden, status, route)
		require.Equal(t, riverReads+"\n", body, route)
		refused++
	}
	require.GreaterOrEqual(t, refused, 6)

	status, body, header := get(t, operator, server, "/river/")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, body, "<script")
	require.Equal(t, riverPolicy, header.Get("Content-Security-Policy"))
	status, _, _ = get(t, operator, server, "/river/api/queues?limit=10")
	require.Equal(t, http.StatusOK, status)
}

func riverRoutesOf(t *testing.T) (routes []string) {
	t.Helper()
	output, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "riverqueue.com/riverui").Output()
	require.NoError(t, err)
	pattern := regexp.MustCompile(`"((?:GET|POST|PUT|PATCH|DELETE) /api[^"]*)"`)
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(output)), "*.go"))
	require.NoError(t, err)
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, match := range pattern.FindAllStringSubmatch(string(text), -1) {
			routes = append(routes, match[1])
		}
	}
	require.NotEmpty(t, routes)
	return routes
}

// A password that was changed ends the sessions in every process that knows of it.
func TestChangedPasswordEndsSessions(t *testing.T) {
	t.Parallel()
	site, server := testSite(t)
	client := loggedIn(t, server, "operator")
	other, err := access.New(access.Options{DB: site.Pool, Logger: site.Logger, Users: []access.Account{
		{User: access.User{Name: "operator", Role: access.Operate}, PasswordHash: hashOf("another password")},
	}})
	require.NoError(t, err)
	o := site.Options
	o.Guard = other
	restarted, err := New(o)
	require.NoError(t, err)
	replica := httptest.NewServer(restarted.Handler())
	t.Cleanup(replica.Close)

	status, _, _ := get(t, client, server, "/")
	require.Equal(t, http.StatusOK, status)
	here, err := url.Parse(server.URL)
	require.NoError(t, err)
	there, err := url.Parse(replica.URL)
	require.NoError(t, err)
	client.Jar.SetCookies(there, client.Jar.Cookies(here))
	status, _, _ = get(t, client, replica, "/")
	require.Equal(t, http.StatusSeeOther, status)
}

// Logging out in one process ends the session in all.
func TestLogoutIsEverywhere(t *testing.T) {
	t.Parallel()
	site, server := testSite(t)
	client := loggedIn(t, server, "operator")
	replica := httptest.NewServer(site.Handler())
	t.Cleanup(replica.Close)
	status, _, _ := post(t, client, replica, "/logout", nil)
	require.Equal(t, http.StatusSeeOther, status, "cookies of one host know no port")
	status, _, _ = get(t, client, server, "/")
	require.Equal(t, http.StatusSeeOther, status)
}
