// Package localpg runs a private Postgres server for the demo, the tests and
// the benchmark: found on the system or fetched, listening on loopback alone,
// protected by a random password, and gone when its owner is gone, even by
// SIGKILL.
//
// It is not for production data: the cluster is made without syncing to disk.
package localpg

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	superuser    = "postgres"
	startTimeout = 30 * time.Second         // from launching postgres to its first answer
	pingEvery    = 20 * time.Millisecond    // between two attempts to connect while it starts
	pingTimeout  = 2 * time.Second          // one attempt to connect
	stopPatience = 10 * time.Second         // before a stop becomes harsher
	portAttempts = 10                       // free ports tried until one is still free when postgres binds it
	portTaken    = "Address already in use" // in the server log, whose language is fixed to English
)

// ErrStopped is returned for a server that was stopped for good.
var ErrStopped = errors.New("postgres is stopped for good")

// Options say what server Start starts. The zero value is a server on a free
// port in a temporary directory.
type Options struct {
	// Dir keeps the cluster, its password and its log. A directory that holds a
	// cluster from an earlier Start is used again. Empty: a temporary
	// directory, removed by Stop. Where the program runs as root, the
	// unprivileged user that Postgres runs as must be able to enter Dir.
	Dir string
	// Major is the version of Postgres that it must be, from 14. 0: the newest that is installed, or the
	// one that is fetched.
	Major int
	// Port on 127.0.0.1. 0: a free one.
	Port int
	// Settings for postgresql.conf, by name, unquoted; they win over the
	// package's own (listen_addresses, max_connections 200, ...).
	Settings map[string]string
	// Logger hears what starts and stops. Nil: nobody.
	Logger *slog.Logger
}

// Server is a running, or for the moment stopped, Postgres server. Its methods
// may be called from several goroutines.
type Server struct {
	options  Options
	primary  *Server // nil: it is no replica
	account  account
	home     *home
	binDir   string
	password string
	port     int
	logger   *slog.Logger

	mu       sync.Mutex
	postgres *process  // nil while stopped
	watchdog *watchdog // nil while stopped
	gone     bool
}

// Start makes a cluster if there is none, starts Postgres and waits, for at
// most 30 seconds, until it answers. ctx bounds the start alone, not the life
// of the server. An error leaves nothing running; if Postgres did not start it
// holds the end of the server's log.
func Start(ctx context.Context, o Options) (*Server, error) { return start(ctx, o, nil) }

func start(ctx context.Context, o Options, primary *Server) (*Server, error) {
	s := &Server{options: o, primary: primary, port: o.Port, logger: o.Logger}
	if s.logger == nil {
		s.logger = slog.New(slog.DiscardHandler)
	}
	if err := s.prepare(ctx); err != nil {
		return nil, errors.Join(err, s.home.leave())
	}
	if err := s.firstStart(ctx); err != nil {
		return nil, errors.Join(err, s.home.leave())
	}
	return s, nil
}

// URL is how the superuser connects to a database of this server. It holds the
// password: keep it out of logs.
func (s *Server) URL(database string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(superuser, s.password),
		Host:     net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)),
		Path:     "/" + database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// BinDir is the directory of the server's programs. pg_dump and pg_basebackup are
// among them where Postgres was found on the system; fetched binaries hold only
// the server.
func (s *Server) BinDir() string { return s.binDir }

// Stop shuts the server down for good: it disconnects the clients, waits until
// every process has ended, and removes a temporary directory. When ctx ends, or
// after 10 seconds, it insists, and at last kills. Stopping twice is harmless.
func (s *Server) Stop(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		return nil
	}
	err := s.shutDown(ctx, syscall.SIGINT)
	s.gone = true
	return errors.Join(err, s.home.leave())
}

// StopOnly shuts the server down as Stop does, but keeps its data for
// StartAgain.
func (s *Server) StopOnly(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shutDown(ctx, syscall.SIGINT)
}

// Crash ends the server at once, without a checkpoint and without a word to
// its clients, so that StartAgain has to recover from the write-ahead log.
func (s *Server) Crash(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shutDown(ctx, syscall.SIGQUIT)
}

// StartAgain starts a server that StopOnly or Crash stopped, on the same port
// and data. It does nothing while the server runs.
func (s *Server) StartAgain(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		return ErrStopped
	}
	if s.postgres != nil && !s.postgres.ended() {
		return nil
	}
	if err := s.shutDown(ctx, syscall.SIGINT); err != nil { // it died by itself: collect its watchdog
		return err
	}
	return s.launch(ctx)
}

// Restart is Crash and StartAgain.
func (s *Server) Restart(ctx context.Context) error {
	if err := s.Crash(ctx); err != nil {
		return err
	}
	return s.StartAgain(ctx)
}

// prepare finds a user, a home and binaries, and makes the cluster; a replica has those of its primary.
func (s *Server) prepare(ctx context.Context) error {
	var err error
	if s.account, err = unprivileged(); err != nil {
		return err
	}
	if s.home, err = enterHome(ctx, s.options.Dir, s.account, s.logger); err != nil {
		return err
	}
	if s.primary != nil {
		s.binDir, s.password = s.primary.binDir, s.primary.password
		return s.copyPrimary(ctx)
	}
	if s.binDir, err = findBinaries(ctx, s.account, s.home.dir, s.options.Major, s.logger); err != nil {
		return err
	}
	if s.password, err = s.home.password(rand.Text); err != nil {
		return err
	}
	return s.makeCluster(ctx)
}

func (s *Server) firstStart(ctx context.Context) error {
	if s.options.Port != 0 {
		return s.launch(ctx)
	}
	return s.startOnFreePort(ctx, freePort)
}

// startOnFreePort tries several: somebody else may take a port between looking
// and binding.
func (s *Server) startOnFreePort(ctx context.Context, freePort func() (int, error)) error {
	var err error
	for range portAttempts {
		if s.port, err = freePort(); err != nil {
			return err
		}
		if err = s.launch(ctx); err == nil || !strings.Contains(err.Error(), portTaken) {
			return err
		}
	}
	return err
}

// launch starts Postgres and its watchdog and waits until it answers.
func (s *Server) launch(ctx context.Context) error {
	if err := s.writeSettings(); err != nil {
		return err
	}
	log, err := os.OpenFile(s.home.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open postgres log: %w", err)
	}
	defer log.Close() // the child has its own copy

	cmd := s.account.command(s.home.dir, filepath.Join(s.binDir, "postgres"), "-D", s.home.data())
	cmd.Stdout, cmd.Stderr = log, log
	dieWithParent(cmd.SysProcAttr, syscall.SIGQUIT)
	if s.postgres, err = startProcess(cmd); err != nil {
		return fmt.Errorf("start postgres: %w", err)
	}
	if s.watchdog, err = watch(s.account, s.home.dir, s.postgres.pid()); err != nil {
		return errors.Join(err, s.shutDown(ctx, syscall.SIGQUIT))
	}
	if err := s.waitReady(ctx); err != nil {
		err = fmt.Errorf("start postgres: %w; end of its log:\n%s", err, logTail(s.home.log()))
		return errors.Join(err, s.shutDown(ctx, syscall.SIGQUIT))
	}
	s.logger.Info("postgres started", "dir", s.home.dir, "port", s.port, "pid", s.postgres.pid(), "bin_dir", s.binDir)
	return nil
}

// waitReady returns when the server answers, has ended, or startTimeout is over.
func (s *Server) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	ended := s.postgres.done
	pinging, stopPinging := context.WithCancel(ctx)
	defer stopPinging()
	go func() { // whoever else has the port may not answer for long
		select {
		case <-ended:
			stopPinging()
		case <-pinging.Done():
		}
	}()
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	for {
		err := s.ping(pinging)
		if err == nil {
			return nil
		}
		select {
		case <-ended:
			return errors.New("it ended by itself")
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-tick.C:
		}
	}
}

// ping reports whether it is this server that answers: on a port lost to
// somebody else's Postgres another one might.
func (s *Server) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.URL("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	var dir string
	if err := conn.QueryRow(ctx, `select current_setting('data_directory')`).Scan(&dir); err != nil {
		return err
	}
	if dir != s.home.data() {
		return fmt.Errorf("port %d belongs to another postgres", s.port)
	}
	return nil
}

// shutDown sends the signal, one of https://www.postgresql.org/docs/current/server-shutdown.html,
// and waits for the end of Postgres and its watchdog.
func (s *Server) shutDown(ctx context.Context, signal syscall.Signal) error {
	if s.postgres == nil {
		return nil
	}
	err := s.postgres.end(ctx, signal, syscall.SIGQUIT, syscall.SIGKILL)
	if s.watchdog != nil {
		s.watchdog.dismiss()
	}
	s.logger.Info("postgres stopped", "dir", s.home.dir, "pid", s.postgres.pid())
	s.postgres, s.watchdog = nil, nil
	if err != nil {
		return fmt.Errorf("stop postgres: %w", err)
	}
	return nil
}

// logTail is the end of the server's log, for error messages.
func logTail(path string) string {
	const size = 4096
	log, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(log[max(0, len(log)-size):]))
}
