// Package bench measures kvit beside the obvious way to do the same. It gives ratios of one run,
// not figures to hold a machine to.
package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/stretchr/testify/require"

	"kvit/store/localpg"
)

const (
	events = 50_000
	secret = "whsec_ZXhhbXBsZS1vbmx5LXNpZ25pbmcta2V5LTMyYnl0ZXM="
	bound  = 10 * time.Minute // for one way to send all events
)

// BenchmarkDelivery sends 50,000 events of 60 keys (3.3 kB) that are already enqueued to a receiver
// on loopback, one POST each, on all cores, with a Postgres that syncs to disk: once with River and
// the event in the job's args, once with `kvit run`.
func BenchmarkDelivery(b *testing.B) {
	server, err := localpg.Start(b.Context(), localpg.Options{})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, server.Stop(context.Background())) })
	binary := build(b)
	payload := payloadOf60Keys()
	for b.Loop() {
		baseline := riverWithEventInArgs(b, database(b, server, "river_args"), payload)
		rate, peak := kvitRun(b, binary, database(b, server, "kvit_run"), payload)
		b.ReportMetric(baseline, "river_events/s")
		b.ReportMetric(rate, "kvit_events/s")
		b.ReportMetric(rate/baseline, "ratio")
		b.ReportMetric(peak, "kvit_peak_MB")
		b.ReportMetric(float64(len(payload)), "payload_bytes")
	}
	b.ReportMetric(0, "ns/op")
}

// payloadOf60Keys is a paid order with 60 keys and 3.3 kB, as a shop writes it.
func payloadOf60Keys() string {
	var items []map[string]any
	for i := range 5 {
		items = append(items, map[string]any{
			"sku": fmt.Sprintf("SKU-%04d", i), "name": fmt.Sprintf("Teapot number %d, %s", i, strings.Repeat("glazed ", 20)),
			"brand": "Example", "category": "Kitchen", "quantity": 1 + i, "unit_price": "149.80",
		})
	}
	payload := map[string]any{
		"customer": map[string]any{
			"id": "cust-1042", "email": "jane.doe@example.com", "phone": "+4555550123", "first_name": "Jane", "last_name": "Doe",
			"language": "da_DK", "address": map[string]any{"lines": []string{"Example Street 1"}, "postal_code": "8000", "city": "Aarhus C", "country": "DK"},
		},
		"order": map[string]any{
			"ref": "E100042", "number": "100042", "currency": "DKK", "total": "749.00", "tax": "149.80", "shipping": "39.00",
			"payment_method": "card", "delivery_method": "parcel shop", "items": items,
		},
		"client": map[string]any{"ip": "192.0.2.1", "user_agent": "Mozilla/5.0 (X11; Linux x86_64) Example/1.0", "page_url": "https://shop.example/checkout/receipt"},
		"custom": map[string]any{},
	}
	for i := 0; keys(payload) < 60; i++ {
		payload["custom"].(map[string]any)[fmt.Sprintf("field_%02d", i)] = strings.Repeat("free text ", 19)
	}
	text, err := json.Marshal(payload)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func keys(v any) int {
	n := 0
	switch v := v.(type) {
	case map[string]any:
		for _, child := range v {
			n += 1 + keys(child)
		}
	case []map[string]any:
		for _, child := range v {
			n += keys(child)
		}
	}
	return n
}

func database(b *testing.B, server *localpg.Server, name string) string {
	b.Helper()
	pool := open(b, server.URL("postgres"))
	_, err := pool.Exec(b.Context(), `drop database if exists `+name+` with (force)`)
	require.NoError(b, err)
	_, err = pool.Exec(b.Context(), `create database `+name)
	require.NoError(b, err)
	return server.URL(name)
}

func open(b *testing.B, url string) *pgxpool.Pool {
	b.Helper()
	pool, err := pgxpool.New(b.Context(), url)
	require.NoError(b, err)
	b.Cleanup(pool.Close)
	return pool
}

// receiver reads each body and counts. all is closed when the last event has come.
type receiver struct {
	count atomic.Int64
	all   chan struct{}
}

func listen(b *testing.B) (*receiver, string) {
	r := &receiver{all: make(chan struct{})}
	server := httptest.NewServer(r)
	b.Cleanup(server.Close)
	return r, server.URL
}

func (r *receiver) ServeHTTP(_ http.ResponseWriter, req *http.Request) {
	_, _ = io.Copy(io.Discard, req.Body)
	if r.count.Add(1) == events {
		close(r.all)
	}
}

// rate waits for the last event and gives events/s.
func (r *receiver) rate(b *testing.B, since time.Time) float64 {
	b.Helper()
	select {
	case <-r.all:
	case <-time.After(bound):
		b.Fatalf("only %d of %d events came", r.count.Load(), events)
	}
	return events / time.Since(since).Seconds()
}

// sendArgs hold the whole event, as River's own examples would have it.
type sendArgs struct {
	Key     string          `json:"key"`
	Payload json.RawMessage `json:"payload"`
}

func (sendArgs) Kind() string { return "send" }

type sendWorker struct {
	river.WorkerDefaults[sendArgs]
	client *http.Client
	url    string
}

func (w *sendWorker) Work(ctx context.Context, job *river.Job[sendArgs]) error {
	body, err := json.Marshal(job.Args)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	response, err := w.client.Do(request)
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, response.Body)
	return response.Body.Close()
}

func riverWithEventInArgs(b *testing.B, url, payload string) float64 {
	b.Helper()
	ctx, pool := b.Context(), open(b, url)
	quiet := slog.New(slog.DiscardHandler)
	migrator, err := rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{Logger: quiet})
	require.NoError(b, err)
	_, err = migrator.Migrate(ctx, rivermigrate.DirectionUp, nil)
	require.NoError(b, err)
	receiver, address := listen(b)
	workers := river.NewWorkers()
	const concurrency = 100
	river.AddWorker(workers, &sendWorker{url: address, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: concurrency}}})
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{
		Queues:  map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: concurrency, FetchCooldown: 20 * time.Millisecond}},
		Workers: workers, Logger: quiet,
	})
	require.NoError(b, err)
	for from := 0; from < events; from += 1000 {
		var params []river.InsertManyParams
		for i := range 1000 {
			params = append(params, river.InsertManyParams{Args: sendArgs{Key: "order_paid:E" + strconv.Itoa(from+i), Payload: json.RawMessage(payload)}})
		}
		_, err := client.InsertManyFast(ctx, params)
		require.NoError(b, err)
	}
	settle(b, pool)
	start := time.Now()
	require.NoError(b, client.Start(ctx))
	rate := receiver.rate(b, start)
	require.NoError(b, client.Stop(ctx))
	return rate
}

// settle gives both sides the same, calm start: statistics are there and dirty pages are written.
func settle(b *testing.B, pool *pgxpool.Pool) {
	b.Helper()
	for _, statement := range []string{`vacuum analyze`, `checkpoint`} {
		_, err := pool.Exec(b.Context(), statement)
		require.NoError(b, err)
	}
}

func build(b *testing.B) string {
	b.Helper()
	binary := filepath.Join(b.TempDir(), "kvit")
	out, err := exec.CommandContext(b.Context(), "go", "build", "-o", binary, "kvit/cmd/kvit").CombinedOutput()
	require.NoError(b, err, string(out))
	return binary
}

func kvitRun(b *testing.B, binary, url, payload string) (rate, peakMB float64) {
	b.Helper()
	ctx, pool := b.Context(), open(b, url)
	receiver, address := listen(b)
	config := filepath.Join(b.TempDir(), "kvit.yaml")
	require.NoError(b, os.WriteFile(config, fmt.Appendf(nil, `
database: {url: "${DATABASE_URL}"}
log: {level: warn}
ops: {listen: "off"}
destinations:
  crm: {kind: webhook, url: %q, secret: "${CRM_SECRET}", deduplicates: true, allow_private: true}
`, address), 0o600))
	command := func(args ...string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, binary, args...)
		cmd.Env = append(os.Environ(), "KVIT_CONFIG="+config, "DATABASE_URL="+url, "CRM_SECRET="+secret)
		cmd.Stderr = os.Stderr
		return cmd
	}
	require.NoError(b, command("migrate", "up").Run())
	_, err := pool.Exec(ctx, `
		insert into kvit.tracking_event (event_key, name, order_ref, payload, consent)
		select 'order_paid:E' || i, 'order_paid', 'E' || i, $1, '{"marketing": true}' from generate_series(1, $2) i`, payload, events)
	require.NoError(b, err)
	settle(b, pool)
	daemon := command("run")
	start := time.Now()
	require.NoError(b, daemon.Start())
	rate = receiver.rate(b, start)
	require.Eventually(b, func() bool {
		var open int
		err := pool.QueryRow(ctx, `select count(*) from kvit.river_job where kind = 'deliver_event' and finalized_at is null`).Scan(&open)
		return err == nil && open == 0
	}, time.Minute, 100*time.Millisecond)
	peakMB = peakMemory(daemon.Process.Pid)
	require.NoError(b, daemon.Process.Signal(os.Interrupt))
	require.NoError(b, daemon.Wait())
	require.EqualValues(b, events, receiver.count.Load(), "one POST each")
	return rate, peakMB
}

// peakMemory is the process's peak resident set in MB; 0 where there is no /proc.
func peakMemory(pid int) float64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	kb, _ := strconv.ParseFloat(fields[0], 64)
	return kb / 1000
}
