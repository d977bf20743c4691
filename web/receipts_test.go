package web_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"kvit/erp"
	"kvit/web"
)

const token = "0123456789abcdef0123456789abcdef"

// door is the handler with a store that remembers what it was given.
type door struct {
	http.Handler
	taken []erp.Document
	fail  error
	log   bytes.Buffer
}

func openDoor(configured string) *door {
	d := &door{}
	d.Handler = web.Handler(web.Options{
		Metrics: prometheus.NewRegistry(), Logger: slog.New(slog.NewTextHandler(&d.log, nil)),
		Receipts: web.Receipts{Token: configured, Take: func(_ context.Context, docs []erp.Document) ([]string, error) {
			d.taken = append(d.taken, docs...)
			statuses := make([]string, len(docs))
			for i, doc := range docs {
				statuses[i] = map[string]string{"1": "marked", "2": "already_marked", "3": "unknown_order", "4": "conflict", "5": "new", "6": "ignored"}[doc.Ref]
			}
			return statuses, d.fail
		}},
	})
	return d
}

func (d *door) post(t *testing.T, body string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/erp/receipts", strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	return w
}

// TestReceipts: each line has a result of its own, and one that is wrong holds up no other.
func TestReceipts(t *testing.T) {
	t.Parallel()
	d := openDoor(token)
	w := d.post(t, `{"receipts":[
		{"web_order":"1","erp_order_number":"SO-1","imported_at":"2026-11-20T10:05:12Z","result":"imported"},
		{"web_order":2,"kind":"invoice"}, {"web_order":"3"}, {"web_order":"4"}, {"web_order":"5"},
		{"web_order":"6","result":"failed","message":"Anna has no address"},
		{"web_order":"7","result":"Anna"}, {"message":"Anna"}, "Anna", null]}`)
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, "application/json", w.Header().Get("Content-Type"))
	require.JSONEq(t, `{"results":[
		{"web_order":"1","status":"marked"}, {"web_order":"2","status":"already_marked"}, {"web_order":"3","status":"unknown_order"},
		{"web_order":"4","status":"conflict"}, {"web_order":"5","status":"accepted"}, {"web_order":"6","status":"recorded_failure"},
		{"status":"refused","problem":"result is neither imported nor failed"}, {"status":"refused","problem":"web_order is missing"},
		{"status":"refused","problem":"is no JSON object"}, {"status":"refused","problem":"is no JSON object"}]}`, w.Body.String())
	require.Len(t, d.taken, 6)
	require.Equal(t, "SO-1", d.taken[0].Number)
	require.NotNil(t, d.taken[0].CreatedAt)
	require.Equal(t, erp.InvoiceDocument, d.taken[1].Kind)
	require.Equal(t, erp.ReceiptFailed, d.taken[5].Kind)
	require.Empty(t, d.log.String())
}

// TestReceiptsNeedTheToken: without a configured one there is no such door, and a wrong one stores nothing.
func TestReceiptsNeedTheToken(t *testing.T) {
	t.Parallel()
	require.Equal(t, http.StatusNotFound, openDoor("").post(t, `{"receipts":[]}`).Code)
	d := openDoor(token)
	for _, header := range []string{"", "Bearer", "Bearer ", "Basic " + token, token, "Bearer " + token + "x", "Bearer " + token[1:], "Bearer " + strings.ToUpper(token)} {
		w := d.post(t, `{"receipts":[{"web_order":"1"}]}`, "Authorization", header)
		require.Equal(t, http.StatusUnauthorized, w.Code, header)
		require.Equal(t, "Bearer", w.Header().Get("WWW-Authenticate"))
	}
	require.Empty(t, d.taken)
	require.Equal(t, http.StatusOK, d.post(t, `{"receipts":[]}`, "Authorization", "bearer "+token).Code)
	require.JSONEq(t, `{"results":[]}`, d.post(t, `{"receipts":[]}`).Body.String())
}

// TestWrongTokensAreSlowedDown: and the right one is not, and the log has a line of it and no token.
func TestWrongTokensAreSlowedDown(t *testing.T) {
	t.Parallel()
	d := openDoor(token)
	codes := map[int]int{}
	for range 100 {
		w := d.post(t, `{"receipts":[]}`, "Authorization", "Bearer a-wrong-one")
		codes[w.Code]++
		if w.Code == http.StatusTooManyRequests {
			require.Equal(t, "60", w.Header().Get("Retry-After"))
		}
	}
	require.GreaterOrEqual(t, codes[http.StatusTooManyRequests], 80)
	require.Equal(t, 100, codes[http.StatusTooManyRequests]+codes[http.StatusUnauthorized])
	require.Equal(t, http.StatusOK, d.post(t, `{"receipts":[]}`).Code)
	require.Equal(t, 1, strings.Count(d.log.String(), "\n"))
	require.NotContains(t, d.log.String(), "a-wrong-one")
}

// TestReceiptsThatCannotBeRead: nothing of such a request is stored.
func TestReceiptsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	d := openDoor(token)
	for body, status := range map[string]int{
		"":                                400,
		"null":                            400,
		"{}":                              400,
		`[{"web_order":"1"}]`:             400,
		`{"receipts":{"web_order":"1"}}`:  400,
		`{"receipts":[{"web_order":"1"}]`: 400,
		`{"receipts":[],"x":1}`:           400,
		`{"receipts":[]} {}`:              400,
		"web_order;result\n1;imported\n":  400,
		`{"receipts":[` + strings.Repeat(`{"web_order":"1"},`, 1000) + `{"web_order":"1"}]}`: 413,
		`{"receipts":["` + strings.Repeat("x", 1<<20) + `"]}`:                                413,
	} {
		w := d.post(t, body)
		require.Equal(t, status, w.Code, "%.60s: %s", body, w.Body)
	}
	require.Equal(t, http.StatusUnsupportedMediaType, d.post(t, `{"receipts":[]}`, "Content-Type", "text/csv").Code)
	require.Empty(t, d.taken)
	d.fail = errors.New("no connection")
	w := d.post(t, `{"receipts":[{"web_order":"1"}]}`)
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.Equal(t, "30", w.Header().Get("Retry-After"))
	require.NotContains(t, w.Body.String(), "no connection")
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/erp/receipts", nil)
	w = httptest.NewRecorder()
	d.ServeHTTP(w, r)
	require.Equal(t, http.StatusMethodNotAllowed, w.Code)
	_, err := io.ReadAll(w.Body)
	require.NoError(t, err)
}
