package storetest

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// pgbouncerPlaces are where packages put the program, for whoever has no sbin in PATH.
var pgbouncerPlaces = []string{"pgbouncer", "/usr/sbin/pgbouncer", "/opt/homebrew/bin/pgbouncer", "/usr/local/sbin/pgbouncer"}

// PgBouncer starts one in front of the server of a URL, in transaction mode, and returns the URL that leads to the
// same database through it. It is stopped when the test ends. Where there is none the test is skipped, but for
// continuous integration, which has to have one ($CI is set).
func PgBouncer(t testing.TB, database string) string {
	t.Helper()
	program := ""
	for _, place := range pgbouncerPlaces {
		if found, err := exec.LookPath(place); err == nil {
			program = found
			break
		}
	}
	if program == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("no pgbouncer is installed: deploy/install.sh does that")
		}
		t.Skip("no pgbouncer is installed")
	}
	to, err := url.Parse(database)
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := listener.Addr().String()
	require.NoError(t, listener.Close())
	_, port, err := net.SplitHostPort(address)
	require.NoError(t, err)

	dir := t.TempDir()
	password, _ := to.User.Password()
	users := filepath.Join(dir, "users.txt")
	require.NoError(t, os.WriteFile(users, fmt.Appendf(nil, "%q %q\n", to.User.Username(), password), 0o600))
	config := filepath.Join(dir, "pgbouncer.ini")
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, `
[databases]
* = host=%s port=%s
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %s
unix_socket_dir =
auth_type = trust
auth_file = %s
pool_mode = transaction
ignore_startup_parameters = extra_float_digits
`, to.Hostname(), to.Port(), port, users), 0o600))
	args := []string{"-q", config}
	if os.Geteuid() == 0 { // which PgBouncer refuses to run as
		own(t, dir, users, config)
		args = append([]string{"-u", "nobody"}, args...)
	}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), program, args...)
	cmd.Stderr = testLog{t}
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	to.Host = address
	waitForAnswer(t, to.String())
	return to.String()
}

// own lets nobody read what PgBouncer reads after it has stepped down, and go where it is.
func own(t testing.TB, dir string, files ...string) {
	t.Helper()
	for _, file := range files {
		require.NoError(t, os.Chmod(file, 0o644))
	}
	for ; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		require.NoError(t, os.Chmod(dir, 0o755))
	}
}

func waitForAnswer(t testing.TB, url string) {
	t.Helper()
	ctx := bounded(t)
	require.Eventually(t, func() bool {
		conn, err := pgx.Connect(ctx, url)
		if err != nil {
			return false
		}
		return conn.Close(ctx) == nil
	}, patience, 20*time.Millisecond)
}

// testLog shows what a program says in the test's own log.
type testLog struct{ t testing.TB }

func (l testLog) Write(p []byte) (int, error) {
	l.t.Logf("%s", p)
	return len(p), nil
}
