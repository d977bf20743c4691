package demo

import (
	"bytes"
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"text/template"
	"time"

	"golang.org/x/crypto/bcrypt"
)

//go:embed kvit.yaml.tmpl
var configText string

var configTemplate = template.Must(template.New("kvit.yaml").Parse(configText))

// settings fill kvit.yaml.
type settings struct {
	Month, Tick                   time.Duration
	Listen, SpreadURL, WebhookURL string
	More                          []*provider

	// The ERP that kvit asks.
	ERPURL, ERPCompany, ERPCompanyName string
}

// kvit is the real program as an operator runs it: a binary, a configuration file, secrets in the
// environment, a log.
type kvit struct {
	binary string
	dir    string
	env    []string
	listen string

	password string // of the pages
}

// setPassword makes one that is good for this demo alone, and returns its hash.
func (k *kvit) setPassword() (hash string, err error) {
	k.password = strings.ToLower(rand.Text()[:16])
	made, err := bcrypt.GenerateFromPassword([]byte(k.password), bcrypt.DefaultCost)
	if err != nil {
		return "", fmt.Errorf("make a password: %w", err)
	}
	return string(made), nil
}

func (k *kvit) config() string  { return filepath.Join(k.dir, "kvit.yaml") }
func (k *kvit) log() string     { return filepath.Join(k.dir, "kvit.log") }
func (k *kvit) metrics() string { return "http://" + k.listen + "/metrics" }

func (k *kvit) configure(s settings) error {
	var text bytes.Buffer
	if err := configTemplate.Execute(&text, s); err != nil {
		return fmt.Errorf("fill kvit.yaml: %w", err)
	}
	if err := os.WriteFile(k.config(), text.Bytes(), 0o600); err != nil {
		return fmt.Errorf("write kvit.yaml: %w", err)
	}
	return nil
}

// do runs one command to its end and returns what it printed, which is also in an error.
func (k *kvit) do(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, k.binary, append([]string{"--config", k.config()}, args...)...)
	cmd.Env = k.env
	output, err := cmd.CombinedOutput()
	text := string(bytes.TrimSpace(output))
	if err != nil {
		return text, fmt.Errorf("kvit %s: %w\n%s", args[0], err, text)
	}
	return text, nil
}

// daemon is `kvit run`.
type daemon struct {
	cmd      *exec.Cmd
	ended    chan struct{}
	err      error // what Wait returned; read it after ended
	watchdog *exec.Cmd
	leash    io.WriteCloser
}

// run starts the daemon, its log in a file, and waits until it is ready.
func (k *kvit) run(ctx context.Context) (*daemon, error) {
	log, err := os.OpenFile(k.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open kvit's log: %w", err)
	}
	defer log.Close() // the child has its own copy
	d := &daemon{cmd: exec.Command(k.binary, "--config", k.config(), "run"), ended: make(chan struct{})}
	d.cmd.Env, d.cmd.Stdout, d.cmd.Stderr = k.env, log, log
	d.cmd.SysProcAttr = ownGroup()
	if err := d.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start kvit: %w", err)
	}
	go func() {
		d.err = d.cmd.Wait()
		close(d.ended)
	}()
	if err := errors.Join(d.watch(), d.waitReady(ctx, k.listen)); err != nil {
		return nil, errors.Join(err, d.stop())
	}
	return d, nil
}

// ownGroup keeps the terminal's Ctrl-C from a child: the demo stops its children itself, in order.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// watch starts a shell that ends the daemon when the demo was killed and cannot: the system then
// closes the pipe that it reads.
func (d *daemon) watch() error {
	const script = `read -r word; [ "$word" = dismissed ] || kill -KILL "$1"`
	watchdog := exec.Command("/bin/sh", "-c", script, "sh", strconv.Itoa(d.cmd.Process.Pid))
	watchdog.SysProcAttr = ownGroup()
	leash, err := watchdog.StdinPipe()
	if err != nil {
		return fmt.Errorf("start watchdog: %w", err)
	}
	if err := watchdog.Start(); err != nil {
		return fmt.Errorf("start watchdog: %w", err)
	}
	d.watchdog, d.leash = watchdog, leash
	return nil
}

const readyTimeout = 30 * time.Second

func (d *daemon) waitReady(ctx context.Context, listen string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyTimeout, errors.New("kvit did not become ready in time"))
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-d.ended:
			return errors.New("kvit run ended before it was ready")
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if ready(ctx, "http://"+listen+"/readyz") {
			return nil
		}
	}
}

func ready(ctx context.Context, address string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return false
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}

// stopPatience is more than kvit gives its own jobs.
const stopPatience = 25 * time.Second

// stop tells the daemon to stop, as an operator's system does, and waits. It is an error if the
// daemon had ended before, or did not end well.
func (d *daemon) stop() error {
	early := d.cmd.Process.Signal(syscall.SIGTERM) // fails only if it has ended
	select {
	case <-d.ended:
	case <-time.After(stopPatience):
		_ = d.cmd.Process.Kill()
		<-d.ended
	}
	d.dismiss()
	if early != nil {
		return errors.Join(errors.New("kvit run ended by itself"), d.err)
	}
	if d.err != nil {
		return fmt.Errorf("stop kvit run: %w", d.err)
	}
	return nil
}

func (d *daemon) dismiss() {
	if d.watchdog == nil {
		return
	}
	_, _ = io.WriteString(d.leash, "dismissed\n") // fails only if it has ended
	_ = d.leash.Close()
	_ = d.watchdog.Wait() // its exit code says nothing
}

// freeAddress is one of this machine that was free a moment ago.
func freeAddress(ctx context.Context) (string, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return listener.Addr().String(), listener.Close()
}
