package demo_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"kvit/cmd/kvit/demo"
)

// builtIn is where the kvit of all tests is built.
var builtIn string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "kvit-built-*")
	if err != nil {
		panic(err)
	}
	builtIn = dir
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// built makes a kvit, as a user does, once.
var built = sync.OnceValues(func() (binary string, err error) {
	binary = filepath.Join(builtIn, "kvit")
	output, err := exec.Command("go", "build", "-o", binary, "kvit/cmd/kvit").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build kvit: %w\n%s", err, output)
	}
	return binary, nil
})

// build gives the test a kvit with a name of its own, by which its processes are told from others'.
func build(t *testing.T) string {
	t.Helper()
	shared, err := built()
	require.NoError(t, err)
	binary := filepath.Join(t.TempDir(), "kvit")
	require.NoError(t, os.Link(shared, binary))
	return binary
}

// paper is what the demo prints, and says when the addresses of its servers are there.
type paper struct {
	mu      sync.Mutex
	text    strings.Builder
	welcome chan struct{}
}

func newPaper() *paper { return &paper{welcome: make(chan struct{})} }

func (p *paper) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !strings.Contains(p.text.String(), "psql") && strings.Contains(string(b), "psql") {
		defer close(p.welcome)
	}
	return p.text.Write(b)
}

func (p *paper) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

// find returns the first match, or nothing.
func (p *paper) find(pattern string) string {
	return regexp.MustCompile(pattern).FindString(p.String())
}

func (p *paper) database() string { return p.find("postgres://[^']+") }

// processes are the command lines of all processes. Linux tells without ps, which a small system
// does not have.
func processes(t *testing.T) string {
	t.Helper()
	if runtime.GOOS != "linux" {
		lines, err := exec.Command("ps", "-A", "-o", "args=").Output()
		require.NoError(t, err)
		return string(lines)
	}
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	var lines strings.Builder
	for _, file := range files {
		line, err := os.ReadFile(file)
		if err == nil { // else the process has ended meanwhile
			lines.Write(bytes.ReplaceAll(line, []byte{0}, []byte(" ")))
		}
		lines.WriteByte('\n')
	}
	return lines.String()
}

// requireNothingLeft looks for processes of the binary, and for servers at the addresses printed.
func requireNothingLeft(t *testing.T, binary string, p *paper) {
	t.Helper()
	require.NotContains(t, processes(t), binary)
	for _, address := range []string{p.database(), p.find("http://[^ ]+")} {
		u, err := url.Parse(address)
		require.NoError(t, err)
		require.NotEmpty(t, u.Host, p.String())
		_, err = net.Dial("tcp", u.Host)
		require.Error(t, err, "somebody still listens at "+u.Host)
	}
}

// unhurried is a demo whose month is longer than a busy machine keeps an event waiting: what is due before it could be
// delivered is erased, as it must be.
const unhurried = 2 * demo.Shortest

func TestRunKeepsEveryPromise(t *testing.T) {
	t.Parallel()
	binary, out := build(t), newPaper()
	sum, err := demo.Run(t.Context(), demo.Options{
		Binary: binary, For: unhurried, Seed: 130, OrdersPerSecond: 4, Out: out,
	})
	require.NoError(t, err, out.String())
	t.Log(out.String())

	require.Len(t, sum.Promises, 9)
	require.Zero(t, sum.Lost)
	require.Zero(t, sum.Overdue)
	f := sum.Figures
	for _, d := range []demo.Destination{f.Spread, f.Webhook} {
		require.Positive(t, d.Delivered)
		require.Positive(t, d.Withheld)
		require.Positive(t, d.Rejected)
		require.Positive(t, d.Repeats)
		require.Zero(t, d.Twice)
		require.Zero(t, d.Pending)
	}
	require.Positive(t, f.Orders.Erased)
	// Rows that stayed with another order of the customer add a certificate when they go with the last one.
	require.GreaterOrEqual(t, f.Orders.Certificates, f.Orders.Erased)
	require.Equal(t, 1, f.Orders.Held)
	require.Contains(t, out.String(), "0 lost, 0 counted twice, 0 due orders not erased")
	requireNothingLeft(t, binary, out)
}

// All kinds at once: each provider has what kvit says that it has, and nothing twice.
func TestRunAllKeepsEveryPromise(t *testing.T) {
	t.Parallel()
	binary, out := build(t), newPaper()
	sum, err := demo.Run(t.Context(), demo.Options{
		Binary: binary, For: unhurried, Seed: 130, OrdersPerSecond: 2.5, All: true, Out: out,
	})
	require.NoError(t, err, out.String())
	t.Log(out.String())

	require.Len(t, sum.Promises, 9+len(sum.Figures.More))
	require.Zero(t, sum.Lost)
	require.Len(t, sum.Figures.More, 13)
	stopped := map[string]bool{}
	for _, d := range sum.Figures.More {
		require.Positive(t, d.Delivered, d.Name)
		require.Positive(t, d.Withheld, d.Name)
		if d.Name != "google_ads" && d.Name != "trustpilot" { // which are told of orders alone, none of which is broken
			require.Positive(t, d.Rejected, d.Name)
		}
		require.Zero(t, d.Twice, d.Name)
		require.Zero(t, d.Pending, d.Name)
		require.Zero(t, d.Failed, d.Name)
		if d.Stopped > 0 {
			stopped[d.Name] = true
		}
	}
	require.Contains(t, stopped, "ga4")
	require.Contains(t, stopped, "matomo")
	require.Subset(t, map[string]bool{"ga4": true, "matomo": true, "klaviyo": true, "trustpilot": true, "linkedin": true}, stopped, "the others know repeats")
	require.Contains(t, out.String(), "0 lost, 0 counted twice, 0 due orders not erased")
	requireNothingLeft(t, binary, out)
}

// The audit is worth nothing if it cannot fail: somebody loses a receipt, keeps a copy of an erased
// customer's address and forges a certificate.
func TestRunFindsBrokenPromises(t *testing.T) {
	t.Parallel()
	binary, out := build(t), newPaper()
	sabotaged := make(chan error, 1)
	go func() {
		<-out.welcome
		sabotaged <- sabotage(t.Context(), out.database())
	}()
	sum, err := demo.Run(t.Context(), demo.Options{
		Binary: binary, For: demo.Shortest, Seed: 130, OrdersPerSecond: 4, Out: out,
	})
	require.NoError(t, <-sabotaged)
	require.ErrorIs(t, err, demo.ErrBroken)

	require.Equal(t, 1, sum.Lost)
	var broken []string
	for _, p := range sum.Promises {
		if !p.Kept() {
			broken = append(broken, p.Text)
		}
	}
	require.Equal(t, []string{"every event has its receipts", "kvit verify", "nothing is left of erased people"}, broken, out.String())
	require.NotContains(t, out.String(), "@example.com", "the summary must not print personal data")
	requireNothingLeft(t, binary, out)

	log := strings.TrimPrefix(out.find("kvit's log: .*"), "kvit's log: ")
	require.FileExists(t, log)
	require.NoError(t, os.RemoveAll(filepath.Dir(log)))
}

// sabotage waits for an erasure and breaks three promises.
func sabotage(ctx context.Context, database string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, database)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var number int
	for number == 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for an erasure: %w", ctx.Err())
		}
		err := conn.QueryRow(ctx, `
			select coalesce(max(substr(order_ref, 2)::integer), 0) from kvit.order_status where erased_at is not null`).Scan(&number)
		if err != nil {
			return err
		}
	}
	// The number of an order's person is in the order's own: see newVisitor.
	email := fmt.Sprintf("buyer.%05d@example.com", number-90_000)
	_, err = conn.Exec(ctx, `insert into public.subscribers (contact) values ($1)`, email)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, `
		delete from kvit.delivery
		where (event_id, destination) in (select event_id, destination from kvit.delivery order by event_id limit 1);
		alter table kvit.erasure_certificate disable trigger user;
		update kvit.erasure_certificate set erp_order_number = 'SO-1' where number = 1`)
	return err
}

func TestRunEndsEarly(t *testing.T) {
	t.Parallel()
	binary, out := build(t), newPaper()
	ctx, interrupt := context.WithCancel(t.Context())
	go func() {
		<-out.welcome
		interrupt()
	}()
	_, err := demo.Run(ctx, demo.Options{Binary: binary, For: time.Minute, OrdersPerSecond: 50, Out: out})
	require.NoError(t, err)
	require.Contains(t, out.String(), "stopped early")
	requireNothingLeft(t, binary, out)
}
