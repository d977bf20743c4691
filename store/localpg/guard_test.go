package localpg

import (
	"context"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The main thread of a process does not end when its goroutine does. Locked to the main goroutine, it
// runs no goroutine of TestThreadEnds.
func init() { runtime.LockOSThread() }

// sleeper is a process that would run for a minute.
func sleeper(t *testing.T) *process {
	p, err := startProcess(exec.Command("sleep", "60"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = p.cmd.Process.Kill(); <-p.done })
	return p
}

func finished(p *process) func() bool { return p.ended }

func TestWatchdogShutsDownWhenTheLeashBreaks(t *testing.T) {
	t.Parallel()
	p := sleeper(t)
	w, err := watch(account{}, "/", p.pid())
	require.NoError(t, err)

	require.NoError(t, w.leash.Close()) // what the system does when this process is killed
	require.Eventually(t, finished(p), 10*time.Second, 10*time.Millisecond)
	require.Equal(t, syscall.SIGQUIT, p.cmd.ProcessState.Sys().(syscall.WaitStatus).Signal())
}

func TestDismissedWatchdogDoesNothing(t *testing.T) {
	t.Parallel()
	p := sleeper(t)
	w, err := watch(account{}, "/", p.pid())
	require.NoError(t, err)

	w.dismiss()
	require.True(t, w.process.ended())
	require.False(t, p.ended())
}

// TestThreadEnds ends the thread that started a process, which to the Linux
// kernel is the same as the end of the parent. A process with dieWithParent
// dies of it, unless startProcess gave it a thread of its own.
func TestThreadEnds(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		return // there the watchdog does the work
	}
	bare, kept := sleepWithParent(), sleepWithParent()
	var p *process
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // not unlocked: the thread ends with this function
		err := bare.Start()
		if err == nil {
			p, err = startProcess(kept)
		}
		started <- err
	}()
	require.NoError(t, <-started)
	t.Cleanup(func() { _ = kept.Process.Kill(); <-p.done })

	ended := make(chan struct{})
	go func() { _ = bare.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		_ = bare.Process.Kill()
		t.Fatal("it outlives the thread that started it")
	}
	require.Equal(t, syscall.SIGQUIT, bare.ProcessState.Sys().(syscall.WaitStatus).Signal())
	require.False(t, p.ended())
}

func sleepWithParent() *exec.Cmd {
	cmd := exec.Command("sleep", "60")
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	dieWithParent(cmd.SysProcAttr, syscall.SIGQUIT)
	return cmd
}

func TestEndInsists(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("/bin/sh", "-c", `trap '' INT; echo ready; exec sleep 60`)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	p, err := startProcess(cmd)
	require.NoError(t, err)
	_, err = out.Read(make([]byte, 8))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()

	require.NoError(t, p.end(ctx, syscall.SIGINT, syscall.SIGTERM, syscall.SIGKILL))
	require.True(t, p.ended())
}

func TestSweep(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	dir := func(name string) string {
		path := filepath.Join(base, name)
		require.NoError(t, os.Mkdir(path, 0o700))
		return path
	}
	owned := dir("kvit-pg-1")
	lock, err := lockDir(owned)
	require.NoError(t, err)
	dead := dir("kvit-pg-2")
	deadLock, err := lockDir(dead)
	require.NoError(t, err)
	require.NoError(t, deadLock.Close())
	young, old, other := dir("kvit-pg-3"), dir("kvit-pg-4"), dir("kvit-other")
	require.NoError(t, os.Chtimes(old, time.Now(), time.Now().Add(-time.Hour)))

	sweep(base, slog.New(slog.DiscardHandler))
	require.DirExists(t, owned)
	require.NoDirExists(t, dead)
	require.DirExists(t, young)
	require.NoDirExists(t, old)
	require.DirExists(t, other)
	require.NoError(t, lock.Close())
}

func TestQuoteSetting(t *testing.T) {
	t.Parallel()
	require.Equal(t, `a''b\\c\nd`, quoteSetting("a'b\\c\nd"))
	require.False(t, strings.Contains(quoteSetting("\n"), "\n"))
}

func TestTakenPortIsTriedNoMore(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	s, err := Start(ctx, Options{Settings: map[string]string{"fsync": "off"}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop(context.Background())) })
	require.NoError(t, s.StopOnly(ctx))
	free := s.port
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()

	ports := []int{l.Addr().(*net.TCPAddr).Port, free}
	require.NoError(t, s.startOnFreePort(ctx, func() (int, error) {
		port := ports[0]
		ports = ports[1:]
		return port, nil
	}))
	require.Empty(t, ports)
	require.Equal(t, free, s.port)
}

// Fetched binaries are without pg_basebackup.
func TestReplicaWithoutItsProgram(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	a, err := unprivileged()
	require.NoError(t, err)
	fetched := &Server{account: a, binDir: t.TempDir()}

	_, err = fetched.Replica(ctx, nil)
	require.ErrorContains(t, err, "pg_basebackup is not beside postgres")
	require.ErrorContains(t, err, "install Postgres")
}
