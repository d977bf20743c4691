package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"kvit/store/storetest"
)

func TestMain(m *testing.M) {
	// As a child of its own tests, this binary is kvit. It ends with its parent, whose end of the
	// pipe closes however the parent dies.
	if os.Getenv("KVIT_TEST_IS_KVIT") != "" {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			os.Exit(exitFailed)
		}()
		runAsChild()
	}
	storetest.Run(m)
}

const (
	waitFor = 90 * time.Second
	tick    = 50 * time.Millisecond
	secret  = "whsec_ZXhhbXBsZS1vbmx5LXNpZ25pbmcta2V5LTMyYnl0ZXM="
)

// kvit is an installation: a configuration, a database, and the processes that run on them.
type kvit struct {
	t       *testing.T
	config  string
	url     string
	address string // of ops.listen
	log     *syncBuffer
	env     []string // of its processes, beside what all have
}

// syncBuffer collects what all processes of an installation print.
type syncBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}

// install writes the configuration. %ADDRESS% in it becomes a free loopback address.
func install(t *testing.T, url, yaml string) *kvit {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	k := &kvit{t: t, url: url, address: listener.Addr().String(), log: &syncBuffer{}, config: filepath.Join(t.TempDir(), "kvit.yaml")}
	require.NoError(t, listener.Close())
	k.write(yaml)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("kvit printed:\n%s", k.log)
		}
	})
	return k
}

func (k *kvit) write(yaml string) {
	k.t.Helper()
	yaml = strings.ReplaceAll(yaml, "%ADDRESS%", k.address)
	require.NoError(k.t, os.WriteFile(k.config, []byte(yaml), 0o600))
}

func (k *kvit) command(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(k.t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), "KVIT_TEST_IS_KVIT=1", "KVIT_CONFIG="+k.config, "DATABASE_URL="+k.url, "CRM_SECRET="+secret, "SPREAD_KEY=public",
		// With the race detector a program sleeps for a second before it exits, unless told otherwise.
		"GORACE="+os.Getenv("GORACE")+" atexit_sleep_ms=20")
	cmd.Env = append(cmd.Env, k.env...)
	_, err := cmd.StdinPipe()
	require.NoError(k.t, err)
	return cmd
}

// call runs a command to its end and gives its exit code and output.
func (k *kvit) call(args ...string) (code int, stdout, stderr string) {
	k.t.Helper()
	var out, errs bytes.Buffer
	cmd := k.command(args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if cmd.ProcessState == nil {
		require.NoError(k.t, err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

func (k *kvit) mustCall(args ...string) string {
	k.t.Helper()
	code, stdout, stderr := k.call(args...)
	if args[0] == "status" && code == 1 && stderr == "" {
		return stdout // an alarm is on: no kvit run, for instance
	}
	require.Zero(k.t, code, "kvit %v: %s%s", args, stdout, stderr)
	return stdout
}

// start runs the daemon in a process of its own.
func (k *kvit) start() *exec.Cmd {
	k.t.Helper()
	cmd := k.command("run")
	cmd.Stdout, cmd.Stderr = k.log, k.log
	require.NoError(k.t, cmd.Start())
	k.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd
}

func (k *kvit) stop(cmd *exec.Cmd) {
	k.t.Helper()
	require.NoError(k.t, cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(k.t, cmd.Wait(), "a stop is no failure")
}

func (k *kvit) get(path string) (status int, body string) {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(k.t.Context(), 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+k.address+path, nil)
	require.NoError(k.t, err)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, ""
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	require.NoError(k.t, err)
	return response.StatusCode, string(text)
}

func (k *kvit) waitReady() {
	k.t.Helper()
	require.Eventually(k.t, func() bool { status, _ := k.get("/readyz"); return status == http.StatusOK }, waitFor, tick)
}

func (k *kvit) pool() *pgxpool.Pool {
	k.t.Helper()
	pool, err := pgxpool.New(k.t.Context(), k.url)
	require.NoError(k.t, err)
	k.t.Cleanup(pool.Close)
	return pool
}

func count(t *testing.T, pool *pgxpool.Pool, query string, args ...any) int {
	t.Helper()
	n, err := tryCount(t.Context(), pool, query, args...)
	require.NoError(t, err)
	return n
}

func tryCount(ctx context.Context, pool *pgxpool.Pool, query string, args ...any) (n int, err error) {
	err = pool.QueryRow(ctx, query, args...).Scan(&n)
	return n, err
}

func webhookYAML(server *httptest.Server) string {
	return fmt.Sprintf(`
database: {url: "${DATABASE_URL}"}
ops: {listen: "%%ADDRESS%%"}
delivery: {timeout: 5s}
destinations:
  crm: {kind: webhook, url: %q, secret: "${CRM_SECRET}", deduplicates: true, allow_private: true}
`, server.URL)
}
