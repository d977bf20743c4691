package main

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	"kvit/config"
	"kvit/web"
	"kvit/web/access"
)

const pagesToken = "0123456789abcdef0123456789abcdef"

// pagesOf are the pages of an installation, with users and a token for programs, whatever its configuration has.
func pagesOf(t *testing.T, k *kvit) *walk {
	t.Helper()
	cfg, err := config.Load(k.config, func(name string) string {
		return map[string]string{"DATABASE_URL": k.url, "CRM_SECRET": secret, "SPREAD_KEY": "public"}[name]
	}, allKinds())
	require.NoError(t, err)
	hash, err := bcrypt.GenerateFromPassword([]byte(walkPassword), 10)
	require.NoError(t, err)
	cfg.Ops.Users = []config.User{{Name: "anna", PasswordHash: config.NewSecret(string(hash)), Operates: true}}
	cfg.Ops.StatusToken = config.NewSecret(pagesToken)
	return walkOf(t, cfg)
}

// texts are rows of one column.
func (w *walk) texts(t *testing.T, query string) []string {
	t.Helper()
	rows, _ := w.pool.Query(t.Context(), query)
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return list
}

// share makes a link of a destination, and returns its token.
func (w *walk) share(t *testing.T, operator *http.Client, destination string) string {
	t.Helper()
	form := url.Values{"destination": {destination}, "note": {"agency"}, "days": {"1"}}.Encode()
	status, body := w.send(t, operator, http.MethodPost, "/shares", form, "Sec-Fetch-Site", "same-origin")
	require.Equal(t, http.StatusOK, status, body)
	return regexp.MustCompile(`/share/([A-Z2-7]{26})`).FindStringSubmatch(body)[1]
}

// everyPage walks the lists of addresses and fills in what there is in the database, so that a page which is added later is read, too.
// It gives each answer that is no refusal.
func (w *walk) everyPage(t *testing.T, read func(path, body string)) {
	t.Helper()
	operator := w.browser(t, "anna")
	known := map[string][]string{
		"GET /static/{name}":                 {"kvit.css", "kvit.js"},
		"GET /operations/{id}":               w.texts(t, `select id::text from kvit.operation`),
		"GET /erasure/certificates/{number}": w.texts(t, `select number::text from kvit.erasure_certificate`),
		"GET /share/{token}":                 nil,
		"GET /share/{token}/orders.csv":      nil,
	}
	for _, destination := range []string{"good_webhook", "spread_accused"} {
		token := w.share(t, operator, destination)
		known["GET /share/{token}"] = append(known["GET /share/{token}"], token)
		known["GET /share/{token}/orders.csv"] = append(known["GET /share/{token}/orders.csv"], token)
	}
	var queries []string
	for _, ref := range w.texts(t, `select distinct order_ref from kvit.event where order_ref is not null`) {
		queries = append(queries, "ref="+url.QueryEscape(ref), "q="+url.QueryEscape(ref))
	}
	for _, id := range w.texts(t, `select id::text from kvit.event where order_ref is null order by id limit 6`) {
		queries = append(queries, "event="+id)
	}
	for _, d := range w.texts(t, `select name from kvit.destination where name like '%accused' or name like '%echo%' or name like 'hook%' order by name limit 4`) {
		queries = append(queries, "destination="+d, "destination="+d+"&outcome=rejected")
	}
	ask := func(path string) {
		status, body := w.send(t, operator, http.MethodGet, path, "", "Authorization", "Bearer "+pagesToken)
		if status < 300 {
			read(path, body)
		}
	}
	for _, v := range w.visits(http.MethodGet) {
		if !v.serves() || v.door == web.Notified || v.path == access.OIDCCallback {
			continue
		}
		pattern := v.route
		path := pathOf(pattern)
		if !placeholder.MatchString(path) {
			ask(path)
			for _, query := range queries {
				ask(path + "?" + query)
			}
			continue
		}
		values, there := known[pattern]
		require.True(t, there, "what does %s show?", pattern)
		for _, value := range values {
			ask(placeholder.ReplaceAllString(path, value))
		}
	}
	for _, path := range w.riverPaths(t) {
		ask(path)
	}
}

// riverPaths are what River UI asks the server for.
func (w *walk) riverPaths(t *testing.T) []string {
	t.Helper()
	paths := []string{"/river/api/queues?limit=500", "/river/api/states", "/river/api/features", "/river/api/autocomplete?facet=job_kind", "/river/api/autocomplete?facet=queue"}
	for _, queue := range w.texts(t, `select name from kvit.river_queue limit 10`) {
		paths = append(paths, "/river/api/queues/"+queue)
	}
	for _, state := range w.texts(t, `select distinct state::text from kvit.river_job`) {
		paths = append(paths, "/river/api/jobs?limit=100&state="+state)
	}
	for _, id := range w.texts(t, `select id::text from kvit.river_job where errors is not null order by id limit 60`) {
		paths = append(paths, "/river/api/jobs/"+id)
	}
	return paths
}

// requireNoMarkerOnPages reads every page, file, and answer of River UI's.
func requireNoMarkerOnPages(t *testing.T, w *walk, when string) {
	t.Helper()
	read := map[string]int{}
	w.everyPage(t, func(path, body string) {
		requireNoMarker(t, when+", "+path, body)
		read[strings.SplitN(path, "?", 2)[0]] += len(body)
	})
	for _, path := range []string{"/", "/orders", "/orders.csv", "/orders/one", "/destinations", "/audit.csv", "/erasure", "/metrics", "/status.json", "/river/", "/river/api/jobs", "/river/api/queues"} {
		require.Positive(t, read[path], "%s was not read: %s", path, fmt.Sprint(read))
	}
	require.Contains(t, fmt.Sprint(read), "/share/")
}
