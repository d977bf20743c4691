package shops

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

const (
	startPatience = 3 * time.Minute  // migrations and a catalogue, on a busy machine
	stopPatience  = 15 * time.Second // before an end that nobody can refuse
)

// process is a node program of a shop's.
type process struct {
	cmd    *exec.Cmd
	stdin  io.Closer // the program ends with it
	lines  chan string
	exited chan struct{}
	once   sync.Once
}

// launch runs `node shop.js args...` in the shop's folder, against a database. What the program complains
// of goes to the test's log.
func launch(t testing.TB, shop string, db pgx.ConnConfig, env []string, args ...string) *process {
	t.Helper()
	cmd := exec.Command("node", append([]string{"shop.js"}, args...)...)
	cmd.Dir = folder(t, shop)
	cmd.Env = append(os.Environ(), append(databaseEnv(db), env...)...)
	cmd.Env = append(cmd.Env, "MEDUSA_DISABLE_TELEMETRY=true", "VENDURE_DISABLE_TELEMETRY=true") // a test tells nobody
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	complaints := &bytes.Buffer{}
	cmd.Stderr = complaints
	require.NoError(t, cmd.Start())
	p := &process{cmd: cmd, stdin: stdin, lines: make(chan string, 1000), exited: make(chan struct{})}
	go p.watch(stdout)
	t.Cleanup(func() {
		p.stop()
		if complaints.Len() > 0 {
			t.Logf("%s: %s", shop, complaints)
		}
	})
	return p
}

// folder is where the shop was installed.
func folder(t testing.TB, shop string) string {
	t.Helper()
	_, here, _, _ := runtime.Caller(0)
	dir := filepath.Join(filepath.Dir(here), shop)
	require.DirExists(t, filepath.Join(dir, "node_modules"), "run `make test-shops`, which installs the shops")
	return dir
}

func databaseEnv(db pgx.ConnConfig) []string {
	return []string{
		"DB_HOST=" + db.Host,
		"DB_PORT=" + strconv.Itoa(int(db.Port)),
		"DB_NAME=" + db.Database,
		"DB_USER=" + db.User,
		"DB_PASSWORD=" + db.Password,
	}
}

// watch reads to the end before it waits, as exec.Cmd wants it.
func (p *process) watch(stdout io.Reader) {
	scanner := bufio.NewScanner(stdout)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		select {
		case p.lines <- scanner.Text():
		default: // nobody reads them any more
		}
	}
	close(p.lines)
	_ = p.cmd.Wait() // its code says nothing that the test does not see elsewhere
	close(p.exited)
}

// finish waits until the program ends by itself, which must be without an error.
func (p *process) finish(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startPatience)
	defer cancel()
	select {
	case <-p.exited:
		require.Zero(t, p.cmd.ProcessState.ExitCode(), "the shop's program ended with an error, see the log")
	case <-ctx.Done():
		require.Fail(t, "the shop's program does not end")
	}
}

// serving is what a program says when it serves.
type serving struct {
	URL string // where, without a slash at the end
	Key string // Medusa's key for storefronts
}

// ready waits for the line in which the program says that it serves.
func (p *process) ready(t testing.TB) serving {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startPatience)
	defer cancel()
	for {
		select {
		case line, open := <-p.lines:
			require.True(t, open, "the shop's program ended before it served")
			var said serving
			if json.Unmarshal([]byte(line), &said) == nil && said.URL != "" {
				return said
			}
			t.Log(line)
		case <-ctx.Done():
			require.Fail(t, "the shop does not serve")
		}
	}
}

// stop asks the program to end, and then ends it and all that it started.
func (p *process) stop() {
	p.once.Do(func() {
		_ = p.stdin.Close() // an error means that it has ended
		select {
		case <-p.exited:
		case <-time.After(stopPatience):
		}
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // an error means that none is left
		<-p.exited
	})
}
