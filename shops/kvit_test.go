package shops_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"kvit/shops"
)

// worker is kvit beside a shop, as its operator has it: the program, a folder with what kvit init wrote, and a
// receiver of webhooks.
type worker struct {
	t       *testing.T
	db      *pgxpool.Pool
	program string
	dir     string
	env     []string
	ref     func(shops.Order) string // what kvit calls an order

	mu     sync.Mutex
	events map[string]event // by event_key
	times  map[string]int   // that an event_key came
}

// event is what a webhook says of an order.
type event struct {
	Type string `json:"type"`
	Data struct {
		EventKey string `json:"event_key"`
		OrderRef string `json:"order_ref"`
		Payload  struct {
			Order struct {
				Total    string `json:"total"`
				Currency string `json:"currency"`
				Items    []struct {
					SKU      string  `json:"sku"`
					Quantity float64 `json:"quantity"`
				} `json:"items"`
			} `json:"order"`
			Customer struct {
				Email string `json:"email"`
			} `json:"customer"`
		} `json:"payload"`
	} `json:"data"`
}

// beside sets kvit up beside a shop that has not sold anything yet, by the steps that kvit init names.
func beside(t *testing.T, db *pgxpool.Pool, ref func(shops.Order) string) *worker {
	t.Helper()
	w := &worker{t: t, db: db, dir: t.TempDir(), ref: ref, events: map[string]event{}, times: map[string]int{}}
	w.program = filepath.Join(w.dir, "kvit")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", w.program, "kvit/cmd/kvit")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	receiver := httptest.NewServer(http.HandlerFunc(w.receive))
	t.Cleanup(receiver.Close)
	w.env = append(os.Environ(), "DATABASE_URL="+db.Config().ConnString(), "CRM_SECRET=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")

	w.kvit("init")
	w.configure(`
destinations:
  crm:
    kind: webhook
    url: ` + receiver.URL + `
    secret: ${CRM_SECRET}
    consent: none
    deduplicates: true
    allow_private: true
ops:
  listen: 127.0.0.1:0
`)
	w.kvit("migrate", "up")
	triggers, err := os.ReadFile(filepath.Join(w.dir, "kvit-events.sql"))
	require.NoError(t, err)
	w.exec(string(triggers))
	w.withGrantsAlone()
	w.kvit("check")
	w.run()
	return w
}

// withGrantsAlone makes kvit log in as a role that has what kvit policy grants prints, and no other right on the shop's
// tables.
func (w *worker) withGrantsAlone() {
	w.t.Helper()
	role := "kvit_beside_" + strings.ToLower(rand.Text())
	w.exec(`create role ` + role + ` login password 'kvit-test' in role pg_read_all_stats`)
	w.t.Cleanup(func() {
		_, err := w.db.Exec(context.Background(), `drop owned by `+role+`; drop role `+role)
		require.NoError(w.t, err)
	})
	w.exec(`grant usage, create on schema kvit to ` + role)
	w.exec(`grant all on all tables in schema kvit to ` + role)
	w.exec(`grant all on all sequences in schema kvit to ` + role)
	w.exec(`grant execute on all functions in schema kvit to ` + role)
	w.exec(`grant usage on schema kvit_events to ` + role)
	w.exec(`grant execute on function kvit_events.past(timestamptz, timestamptz) to ` + role)
	w.exec(w.kvit("policy", "grants", "--role", role))
	u, err := url.Parse(w.db.Config().ConnString())
	require.NoError(w.t, err)
	u.User = url.UserPassword(role, "kvit-test")
	w.env = append(w.env, "DATABASE_URL="+u.String())
}

func (w *worker) configure(more string) {
	w.t.Helper()
	file := filepath.Join(w.dir, "kvit.yaml")
	text, err := os.ReadFile(file)
	require.NoError(w.t, err)
	require.NotContains(w.t, string(text), "review", "everything of an unchanged shop is decided")
	require.NoError(w.t, os.WriteFile(file, append(text, more...), 0o600))
}

// command is one of kvit's.
func (w *worker) command(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(context.WithoutCancel(w.t.Context()), w.program, args...)
	cmd.Dir, cmd.Env = w.dir, w.env
	return cmd
}

// kvit runs a command that must succeed, and returns what it printed.
func (w *worker) kvit(args ...string) string {
	w.t.Helper()
	out, err := w.command(args...).CombinedOutput()
	require.NoError(w.t, err, "kvit %s: %s", strings.Join(args, " "), out)
	return string(out)
}

// run starts the daemon, and stops it at the end of the test.
func (w *worker) run() {
	w.t.Helper()
	daemon := w.command("run")
	var log bytes.Buffer
	daemon.Stderr = &log
	require.NoError(w.t, daemon.Start())
	w.t.Cleanup(func() {
		_ = daemon.Process.Signal(syscall.SIGTERM)
		_ = daemon.Wait()
		if w.t.Failed() {
			w.t.Log(log.String())
		}
	})
}

func (w *worker) exec(sql string, args ...any) {
	w.t.Helper()
	_, err := w.db.Exec(w.t.Context(), sql, args...)
	require.NoError(w.t, err)
}

func (w *worker) receive(rw http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	var e event
	if err != nil || json.Unmarshal(body, &e) != nil {
		rw.WriteHeader(http.StatusBadRequest)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events[e.Data.EventKey] = e
	w.times[e.Data.EventKey]++
	rw.WriteHeader(http.StatusNoContent)
}

func (w *worker) event(key string) (event, int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.events[key], w.times[key]
}

// requireEvents waits for what the shop's triggers have inserted, and compares it with what was sold.
func (w *worker) requireEvents(orders []shops.Order) {
	w.t.Helper()
	for _, o := range orders {
		if o.State == shops.Cart {
			_, n := w.event("order_placed:" + w.ref(o))
			require.Zero(w.t, n, "%s", o)
			continue
		}
		names := []string{"order_placed"}
		if o.Paid > 0 {
			names = append(names, "order_paid")
		}
		if o.State == shops.Cancelled {
			names = append(names, "order_cancelled")
		}
		for _, name := range names {
			key := name + ":" + w.ref(o)
			require.Eventually(w.t, func() bool { _, n := w.event(key); return n > 0 }, time.Minute, 50*time.Millisecond, "%s of the %s", key, o)
			e, n := w.event(key)
			require.Equal(w.t, 1, n, key)
			require.Equal(w.t, w.ref(o), e.Data.OrderRef)
			require.Equal(w.t, o.Person.Email, e.Data.Payload.Customer.Email, key)
			require.Equal(w.t, o.Currency, e.Data.Payload.Order.Currency, key)
			require.Equal(w.t, fmt.Sprintf("%d.%02d", o.Total/100, o.Total%100), e.Data.Payload.Order.Total, "%s of the %s", key, o)
			require.Len(w.t, e.Data.Payload.Order.Items, len(o.Lines), key)
		}
	}
}

// imported lets the ERP have orders, and 30 days pass for them.
func (w *worker) imported(orders []shops.Order) {
	w.t.Helper()
	for i, o := range orders {
		w.exec(`insert into kvit.erp_receipt (order_ref, erp_order_number, imported_at, source) values ($1, $2, now(), 'test')`, w.ref(o), fmt.Sprintf("SO-%d", i))
	}
	marked := func() bool {
		var n int
		err := w.db.QueryRow(w.t.Context(), `select count(*) from kvit.order_mark where imported_at is not null`).Scan(&n)
		return err == nil && n == len(orders)
	}
	require.Eventually(w.t, marked, time.Minute, 50*time.Millisecond)
	w.exec(`update kvit.order_mark set imported_at = imported_at - interval '31 days'`)
}

// parting are a shop's orders: those that are due for erasure, and those that live on.
func (s shop) parting() (due, alive []shops.Order) {
	seen := map[string]bool{}
	for _, o := range s.orders {
		again := seen[o.Person.Email] // a guest's second order
		seen[o.Person.Email] = true
		if o.State == shops.Cart || again {
			alive = append(alive, o)
		} else {
			due = append(due, o)
		}
	}
	return due, alive
}

// requireErased shows that nothing of guests whose orders are all due is left anywhere in the database.
func (s shop) requireErased(t *testing.T, due, alive []shops.Order) {
	t.Helper()
	dump := shops.TakeDump(t, s.db)
	for _, o := range due {
		lives := slices.ContainsFunc(alive, func(other shops.Order) bool { return other.Person.Email == o.Person.Email })
		if lives || o.Person.Account {
			continue
		}
		for _, marker := range o.Markers() {
			require.Empty(t, dump.Holding(marker), "%s of the %s", marker, o)
		}
	}
}
