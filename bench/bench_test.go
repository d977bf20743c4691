// Package bench measures kvit beside the obvious way to do the same. It gives ratios of one run,
// not figures to hold a machine to.
package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/stretchr/testify/require"

	"kvit/store/localpg"
)

const (
	events = 50_000
	secret = "whsec_ZXhhbXBsZS1vbmx5LXNpZ25pbmcta2V5LTMyYnl0ZXM="
	bound  = 10 * time.Minute // for one way to send all events
)

// payload is the n-th paid order, as a shop writes it: 60 keys and 3.3 kB, with values of its own,
// since it is each order's own names and numbers that make an index on them grow.
func payload(n int) string {
	item := func(i int) string {
		return fmt.Sprintf(`{"sku": "SKU-%06d-%d", "name": "Teapot %d of series %d, %s", "brand": "Brand %d", "category": "Kitchen/%d",
			"variant": "blue %d", "quantity": %d, "unit_price": "%d.80"}`,
			n, i, i, n, strings.Repeat("glazed stoneware ", 32), n%97, n%31, n%7, 1+i, 100+n%900)
	}
	text := fmt.Sprintf(`{
		"customer": {"id": "cust-%[1]d", "email": "customer.%[1]d@example.com", "phone": "+45555%05[2]d", "first_name": "First%[1]d", "last_name": "Last%[1]d",
			"company": "Company %[1]d", "gender": "female", "birthday": "1980-01-01", "language": "da_DK", "tags": ["webshop", "tag %[2]d"], "is_new": true,
			"address": {"lines": ["Example Street %[1]d", "Floor %[2]d"], "postal_code": "%04[2]d", "city": "City %[2]d", "region": "Region %[2]d", "country": "DK"}},
		"order": {"ref": "E%[1]d", "number": "%[1]d", "currency": "DKK", "total": "%[1]d.00", "tax": "%[2]d.80", "shipping": "39.00", "discount": "0.00",
			"coupon": "CODE%[1]d", "payment_method": "card", "transaction_id": "tx-%[1]d", "delivery_method": "parcel shop %[2]d", "delivery_date": "2026-12-24",
			"items": [%[3]s, %[4]s, %[5]s]},
		"client": {"ip": "192.0.2.%[6]d", "user_agent": "Mozilla/5.0 (X11; Linux x86_64) Example/1.0.%[1]d", "page_url": "https://shop.example/receipt/%[1]d",
			"referrer": "https://shop.example/checkout/%[1]d", "ga_client_id": "1718.%[1]d", "ga_session_id": "%[1]d", "fbp": "fb.1.1718.%[1]d", "fbc": "fb.1.1719.%[1]d",
			"ttclid": "t-%[1]d", "ttp": "p-%[1]d", "spread_cookie": "s-%[1]d"},
		"custom": {"group": "B2C %[2]d", "note": "note %[1]d", "campaign": "c-%[1]d",
			"channel": "web", "store": "store %[2]d", "terms": "v7", "voucher": "v-%[1]d", "locale": "da_DK"}}`,
		n, n%9973, item(1), item(2), item(3), n%250)
	var compact bytes.Buffer
	if err := json.Compact(&compact, []byte(text)); err != nil {
		panic(err)
	}
	return compact.String()
}

// keys counts the different paths of a payload.
func keys(v any, path string, paths map[string]bool) int {
	switch v := v.(type) {
	case map[string]any:
		for name, child := range v {
			paths[path+"."+name] = true
			keys(child, path+"."+name, paths)
		}
	case []any:
		for _, child := range v {
			keys(child, path, paths)
		}
	}
	return len(paths)
}

// TestPayload keeps the figure honest.
func TestPayload(t *testing.T) {
	t.Parallel()
	var parsed any
	require.NoError(t, json.Unmarshal([]byte(payload(12345)), &parsed))
	require.Equal(t, 60, keys(parsed, "", map[string]bool{}))
	require.InDelta(t, 3300, len(payload(12345)), 100)
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

// webhook and meta are destinations of the configuration, for an address.
const (
	webhook = `{kind: webhook, url: %q, secret: "${CRM_SECRET}", deduplicates: true, allow_private: true}`
	meta    = `{kind: meta, base_url: %q, dataset_id: "1234567890", access_token: "${META_TOKEN}", max_age: 0}`
)

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

// kvitCommand returns what runs kvit's commands with these sections of the configuration.
func kvitCommand(b *testing.B, binary, url, sections string) func(args ...string) *exec.Cmd {
	b.Helper()
	config := filepath.Join(b.TempDir(), "kvit.yaml")
	require.NoError(b, os.WriteFile(config, []byte(`
database: {url: "${DATABASE_URL}"}
log: {level: error}
ops: {listen: "off"}
`+sections), 0o600))
	return func(args ...string) *exec.Cmd {
		cmd := exec.CommandContext(b.Context(), binary, args...)
		cmd.Env = append(os.Environ(), "KVIT_CONFIG="+config, "DATABASE_URL="+url, "CRM_SECRET="+secret, "META_TOKEN=example-token")
		cmd.Stderr = os.Stderr
		return cmd
	}
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
