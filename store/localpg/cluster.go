package localpg

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// makeCluster runs initdb unless the home has a cluster already. It works
// beside the final place and moves the result there, so that an interrupted
// initdb is not taken for a cluster.
//
// Encoding and locale are the same everywhere (UTF8, C), whatever the machine
// speaks, so that sorting in tests does not depend on it.
func (s *Server) makeCluster(ctx context.Context) error {
	if _, err := os.Stat(filepath.Join(s.home.data(), "PG_VERSION")); err == nil {
		return nil
	}
	fresh := s.home.data() + ".new"
	passwordFile := filepath.Join(s.home.dir, "initdb.password")
	defer os.Remove(passwordFile)
	err := errors.Join(
		os.RemoveAll(fresh),
		os.Mkdir(fresh, 0o700),
		s.account.own(fresh),
		os.WriteFile(passwordFile, []byte(s.password), 0o600),
		s.account.own(passwordFile),
	)
	if err != nil {
		return fmt.Errorf("prepare database cluster: %w", err)
	}
	if err := s.initdb(ctx, fresh, passwordFile); err != nil {
		return err
	}
	if err := includeSettings(fresh); err != nil {
		return err
	}
	if err := os.Rename(fresh, s.home.data()); err != nil {
		return fmt.Errorf("move database cluster: %w", err)
	}
	return nil
}

func (s *Server) initdb(ctx context.Context, dir, passwordFile string) error {
	cmd := s.account.command(s.home.dir, filepath.Join(s.binDir, "initdb"),
		"--pgdata", dir, "--username", superuser, "--pwfile", passwordFile, "--auth", "scram-sha-256",
		"--encoding", "UTF8", "--locale", "C", "--no-sync", "--no-instructions")
	if err := runTool(ctx, cmd); err != nil {
		return fmt.Errorf("make database cluster: %w", err)
	}
	return nil
}

// runTool runs one of Postgres' programs to its end, or until ctx ends. What it printed is part of the
// error.
func runTool(ctx context.Context, cmd *exec.Cmd) error {
	name := filepath.Base(cmd.Path)
	var output strings.Builder
	cmd.Stdout, cmd.Stderr = &output, &output
	dieWithParent(cmd.SysProcAttr, syscall.SIGTERM)
	p, err := startProcess(cmd)
	if err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		err := p.end(context.WithoutCancel(ctx), syscall.SIGTERM, syscall.SIGKILL)
		return errors.Join(fmt.Errorf("run %s: %w", name, ctx.Err()), err)
	}
	if p.err != nil {
		return fmt.Errorf("run %s: %w\n%s", name, p.err, strings.TrimSpace(output.String()))
	}
	return nil
}

const settingsFile = "kvit.conf"

func includeSettings(data string) error {
	conf, err := os.OpenFile(filepath.Join(data, "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("open postgresql.conf: %w", err)
	}
	_, err = fmt.Fprintf(conf, "\ninclude '%s'\n", settingsFile)
	if err := errors.Join(err, conf.Close()); err != nil {
		return fmt.Errorf("write postgresql.conf: %w", err)
	}
	return nil
}

// writeSettings writes them anew at every start: the port may have changed.
func (s *Server) writeSettings() error {
	settings := map[string]string{
		"listen_addresses":        "127.0.0.1",
		"port":                    strconv.Itoa(s.port),
		"unix_socket_directories": "", // loopback TCP is enough, and socket paths have a short limit
		"max_connections":         "200",
		"lc_messages":             "C",    // see portTaken
		"wal_keep_size":           "64MB", // or a checkpoint may remove what a replica has yet to get
	}
	maps.Copy(settings, s.options.Settings)
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		fmt.Fprintf(&text, "%s = '%s'\n", name, quoteSetting(settings[name]))
	}
	path := filepath.Join(s.home.data(), settingsFile)
	if err := errors.Join(os.WriteFile(path, []byte(text.String()), 0o600), s.account.own(path)); err != nil {
		return fmt.Errorf("write postgres settings: %w", err)
	}
	return nil
}

// quoteSetting escapes a value as postgresql.conf wants it:
// https://www.postgresql.org/docs/current/config-setting.html#CONFIG-SETTING-CONFIGURATION-FILE
func quoteSetting(value string) string {
	return strings.NewReplacer(`\`, `\\`, `'`, `''`, "\n", `\n`).Replace(value)
}
