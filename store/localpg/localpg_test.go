package localpg_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"kvit/store/localpg"
)

// helperEnv turns the test binary into a program that starts a server and
// waits to be killed.
const helperEnv = "LOCALPG_TEST_HELPER"

func TestMain(m *testing.M) {
	if os.Getenv(helperEnv) != "" {
		helper()
	}
	os.Exit(m.Run())
}

func helper() {
	s, err := localpg.Start(context.Background(), localpg.Options{Settings: quick})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(s.URL("postgres"))
	select {}
}

var quick = map[string]string{"fsync": "off"}

func timed(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func start(t *testing.T, o localpg.Options) *localpg.Server {
	if o.Settings == nil {
		o.Settings = quick
	}
	ctx := timed(t)
	s, err := localpg.Start(ctx, o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop(context.Background())) })
	return s
}

// ask runs a query that answers one text.
func ask(t *testing.T, url, query string) string {
	ctx := timed(t)
	conn, err := pgx.Connect(ctx, url)
	require.NoError(t, err)
	defer conn.Close(ctx)
	var answer string
	require.NoError(t, conn.QueryRow(ctx, query).Scan(&answer))
	return answer
}

func tell(t *testing.T, url, statement string) {
	ctx := timed(t)
	conn, err := pgx.Connect(ctx, url)
	require.NoError(t, err)
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, statement)
	require.NoError(t, err)
}

func dataDir(t *testing.T, s *localpg.Server) string {
	return ask(t, s.URL("postgres"), `show data_directory`)
}

// postmaster reads the server's process id from the data directory.
func postmaster(t *testing.T, dataDir string) int {
	text, err := os.ReadFile(filepath.Join(dataDir, "postmaster.pid"))
	require.NoError(t, err)
	line, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(line)
	require.NoError(t, err)
	return pid
}

func alive(pid int) bool { return syscall.Kill(pid, 0) == nil }

// accessibleDir is a directory that another user can enter, unlike t.TempDir.
func accessibleDir(t *testing.T) string {
	dir, err := os.MkdirTemp("", "kvit-localpg-test-*")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o711))
	return dir
}

func TestStart(t *testing.T) {
	t.Parallel()
	s := start(t, localpg.Options{Settings: map[string]string{"fsync": "off", "application_name": `it's \ ours`}})

	t.Run("Answers", func(t *testing.T) {
		require.Equal(t, "on", ask(t, s.URL("template1"), `show is_superuser`))
	})
	t.Run("ListensOnLoopbackAlone", func(t *testing.T) {
		require.Equal(t, "127.0.0.1", ask(t, s.URL("postgres"), `show listen_addresses`))
		require.Empty(t, ask(t, s.URL("postgres"), `show unix_socket_directories`))
	})
	t.Run("WantsThePassword", func(t *testing.T) {
		u, err := url.Parse(s.URL("postgres"))
		require.NoError(t, err)
		u.User = url.UserPassword("postgres", "wrong")
		_, err = pgx.Connect(timed(t), u.String())
		require.ErrorContains(t, err, "28P01") // invalid_password
	})
	t.Run("TakesSettings", func(t *testing.T) {
		require.Equal(t, "off", ask(t, s.URL("postgres"), `show fsync`))
		require.Equal(t, "200", ask(t, s.URL("postgres"), `show max_connections`))
		require.Equal(t, `it's \ ours`, ask(t, s.URL("postgres"), `select boot_val || reset_val from (select '' as boot_val, reset_val from pg_settings where name = 'application_name') s`))
	})
	t.Run("SpeaksUTF8InCLocale", func(t *testing.T) {
		require.Equal(t, "UTF8 C", ask(t, s.URL("postgres"),
			`select pg_encoding_to_char(encoding) || ' ' || datcollate from pg_database where datname = 'template1'`))
	})
	t.Run("KnowsItsPrograms", func(t *testing.T) {
		require.FileExists(t, filepath.Join(s.BinDir(), "postgres"))
	})
	t.Run("RunsUnprivileged", func(t *testing.T) {
		info, err := os.Stat(dataDir(t, s))
		require.NoError(t, err)
		require.NotZero(t, info.Sys().(*syscall.Stat_t).Uid)
	})
}

func TestStopLeavesNothing(t *testing.T) {
	t.Parallel()
	s := start(t, localpg.Options{})
	data := dataDir(t, s)
	pid := postmaster(t, data)
	idle, err := pgx.Connect(timed(t), s.URL("postgres"))
	require.NoError(t, err)
	defer idle.Close(context.Background())

	require.NoError(t, s.Stop(timed(t)))
	require.False(t, alive(pid))
	require.NoDirExists(t, filepath.Dir(data))
	require.NoError(t, s.Stop(timed(t)))
	require.ErrorIs(t, s.StartAgain(timed(t)), localpg.ErrStopped)
}

func TestStopWithEndedContext(t *testing.T) {
	t.Parallel()
	s := start(t, localpg.Options{})
	data := dataDir(t, s)
	pid := postmaster(t, data)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()

	require.NoError(t, s.Stop(ctx))
	require.False(t, alive(pid))
	require.NoDirExists(t, filepath.Dir(data))
}

func TestStartAgain(t *testing.T) {
	t.Parallel()
	ways := map[string]func(*localpg.Server, context.Context) error{
		"AfterStopOnly": (*localpg.Server).StopOnly,
		"AfterCrash":    (*localpg.Server).Crash,
	}
	for name, stop := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, localpg.Options{})
			url := s.URL("postgres")
			tell(t, url, `create table kept as select 'kept' as word`)

			require.NoError(t, stop(s, timed(t)))
			_, err := pgx.Connect(timed(t), url)
			require.ErrorIs(t, err, syscall.ECONNREFUSED)
			require.NoError(t, s.StartAgain(timed(t)))
			require.Equal(t, url, s.URL("postgres"))
			require.Equal(t, "kept", ask(t, url, `select word from kept`))
		})
	}
}

func TestStartAgainAfterItDiedByItself(t *testing.T) {
	t.Parallel()
	s := start(t, localpg.Options{})
	require.NoError(t, syscall.Kill(postmaster(t, dataDir(t, s)), syscall.SIGQUIT))

	require.Eventually(t, func() bool {
		return s.StartAgain(timed(t)) == nil && answers(s.URL("postgres"))
	}, time.Minute, 10*time.Millisecond)
}

func answers(url string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return false
	}
	return conn.Close(ctx) == nil
}

func TestRestart(t *testing.T) {
	t.Parallel()
	s := start(t, localpg.Options{})
	url := s.URL("postgres")
	tell(t, url, `create table kept as select 'kept' as word`)
	before := postmaster(t, dataDir(t, s))

	require.NoError(t, s.Restart(timed(t)))
	require.NotEqual(t, before, postmaster(t, dataDir(t, s)))
	require.Equal(t, "kept", ask(t, url, `select word from kept`))
}

func TestDir(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(accessibleDir(t), "below")
	s := start(t, localpg.Options{Dir: dir})
	tell(t, s.URL("postgres"), `create table kept as select 'kept' as word`)

	_, err := localpg.Start(timed(t), localpg.Options{Dir: dir})
	require.ErrorContains(t, err, "a running server uses it")

	require.NoError(t, s.Stop(timed(t)))
	again := start(t, localpg.Options{Dir: dir})
	require.Equal(t, "kept", ask(t, again.URL("postgres"), `select word from kept`))
}

func TestPort(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port

	t.Run("Taken", func(t *testing.T) {
		_, err := localpg.Start(timed(t), localpg.Options{Port: port, Settings: quick})
		require.ErrorContains(t, err, "Address already in use")
	})
	t.Run("Free", func(t *testing.T) {
		require.NoError(t, l.Close())
		s := start(t, localpg.Options{Port: port})
		require.Contains(t, s.URL("postgres"), fmt.Sprintf("@127.0.0.1:%d/postgres", port))
	})
}

func TestStartFails(t *testing.T) {
	t.Parallel()

	t.Run("ErrorHoldsTheLog", func(t *testing.T) {
		t.Parallel()
		dir := accessibleDir(t)
		_, err := localpg.Start(timed(t), localpg.Options{Dir: dir, Settings: map[string]string{"no_such_setting": "1"}})
		require.ErrorContains(t, err, `unrecognized configuration parameter "no_such_setting"`)
		start(t, localpg.Options{Dir: dir}) // nothing is in its way
	})
	t.Run("ContextEnded", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond) // in the middle of initdb
		defer cancel()
		_, err := localpg.Start(ctx, localpg.Options{})
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

func TestKilledOwnerLeavesNothingRunning(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), helperEnv+"=1")
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _, _ = cmd.Process.Kill(), cmd.Wait() })
	url, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	data := ask(t, strings.TrimSpace(url), `show data_directory`)
	pid := postmaster(t, data)

	require.NoError(t, cmd.Process.Kill())
	require.Eventually(t, func() bool { return !alive(pid) }, time.Minute, 10*time.Millisecond)
	start(t, localpg.Options{}) // sweeps
	require.NoDirExists(t, filepath.Dir(data))
}
