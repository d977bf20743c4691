package localpg

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

// process is a child that somebody waits for.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error // what Wait returned; read it after done
}

// startProcess starts a command on a thread of its own that lives until the
// command has ended: on Linux the signal of dieWithParent is sent when the
// thread ends that started the child, not the process.
// https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html
func startProcess(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this function
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		p.err = cmd.Wait()
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// end sends one signal after the other, harsher each time, and returns when
// the process has ended. It gives each stopPatience; only the first gives up
// earlier, when ctx ends, so that even then Postgres can end its children. It
// is an error if the last had to be sent.
func (p *process) end(ctx context.Context, signals ...syscall.Signal) error {
	for _, signal := range signals {
		_ = p.cmd.Process.Signal(signal) // fails only if it has ended
		select {
		case <-p.done:
			if len(signals) > 1 && signal == signals[len(signals)-1] {
				return fmt.Errorf("it did not end in time, sent %s", signal)
			}
			return nil
		case <-ctx.Done():
			ctx = context.WithoutCancel(ctx)
		case <-time.After(stopPatience):
		}
	}
	return fmt.Errorf("process %d did not end", p.pid())
}

// watchdog is a shell that shuts Postgres down when this process has ended
// without doing so. It notices because the system then closes the pipe it
// reads. Unlike dieWithParent it works on every Unix.
type watchdog struct {
	process *process
	leash   io.WriteCloser
}

const watchdogScript = `read -r word; [ "$word" = dismissed ] || kill -QUIT "$1"`

func watch(a account, dir string, pid int) (*watchdog, error) {
	cmd := a.command(dir, "/bin/sh", "-c", watchdogScript, "sh", strconv.Itoa(pid))
	leash, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start postgres watchdog: %w", err)
	}
	p, err := startProcess(cmd)
	if err != nil {
		return nil, fmt.Errorf("start postgres watchdog: %w", err)
	}
	return &watchdog{process: p, leash: leash}, nil
}

// dismiss ends the watchdog without consequences.
func (w *watchdog) dismiss() {
	_, _ = io.WriteString(w.leash, "dismissed\n") // fails only if it has ended
	_ = w.leash.Close()
	<-w.process.done
}
