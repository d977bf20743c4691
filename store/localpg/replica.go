package localpg

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
)

// Replica starts a streaming replica of the server in a temporary directory: a server of its own with
// the same users, passwords and databases. Its settings are those of the server, but for the ones given
// here; recovery_min_apply_delay has it lag. Stop it before the server.
//
// Unlike Start it needs pg_basebackup, which fetched binaries lack.
func (s *Server) Replica(ctx context.Context, settings map[string]string) (*Server, error) {
	// Postgres refuses to start a replica with a smaller max_connections than its primary's.
	o := Options{Settings: map[string]string{}, Logger: s.options.Logger}
	maps.Copy(o.Settings, s.options.Settings)
	maps.Copy(o.Settings, settings)
	replica, err := start(ctx, o, s)
	if err != nil {
		return nil, fmt.Errorf("start replica: %w", err)
	}
	return replica, nil
}

// copyPrimary does for a replica what initdb does for a server.
func (s *Server) copyPrimary(ctx context.Context) error {
	program := filepath.Join(s.binDir, "pg_basebackup")
	if _, err := os.Stat(program); err != nil {
		return fmt.Errorf("copy primary: pg_basebackup is not beside postgres, as where postgres was fetched;"+
			" install Postgres (Debian, Ubuntu: apt-get install postgresql; macOS: brew install postgresql@17): %w", err)
	}
	if err := errors.Join(os.Mkdir(s.home.data(), 0o700), s.account.own(s.home.data())); err != nil {
		return fmt.Errorf("prepare copy of primary: %w", err)
	}
	// Without a second process for the write-ahead log there is only one to end.
	cmd := s.account.command(s.home.dir, program, "--pgdata", s.home.data(), "--write-recovery-conf",
		"--wal-method", "fetch", "--checkpoint", "fast", "--no-sync",
		"--host", "127.0.0.1", "--port", strconv.Itoa(s.primary.port), "--username", superuser, "--no-password")
	cmd.Env = append(cmd.Env, "PGPASSWORD="+s.primary.password, "PGSSLMODE=disable")
	if err := runTool(ctx, cmd); err != nil {
		return fmt.Errorf("copy primary: %w", err)
	}
	return nil
}
