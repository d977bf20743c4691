package localpg

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	tempPattern = "kvit-pg-*"
	lockName    = "lock"
)

// home is the directory of a server: data/, server.log, password and a lock
// that is held as long as its owner lives.
type home struct {
	dir       string
	temporary bool
	lock      *os.File
}

func (h *home) data() string { return filepath.Join(h.dir, "data") }
func (h *home) log() string  { return filepath.Join(h.dir, "server.log") }

// enterHome makes or reuses dir, or makes a temporary directory.
func enterHome(ctx context.Context, dir string, a account, logger *slog.Logger) (*home, error) {
	if dir == "" {
		return temporaryHome(ctx, a, logger)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("find directory for postgres: %w", err)
	}
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return nil, fmt.Errorf("make directory for postgres: %w", err)
	}
	if err := a.enters(dir); err != nil {
		return nil, fmt.Errorf("open directory %s: %w", dir, err)
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, fmt.Errorf("lock directory %s: %w", dir, err)
	}
	return &home{dir: dir, lock: lock}, nil
}

// temporaryHome tries more than one place, since TMPDIR may be closed to the
// account. It first removes what killed processes have left there.
func temporaryHome(ctx context.Context, a account, logger *slog.Logger) (*home, error) {
	var errs []error
	for _, base := range slices.Compact([]string{filepath.Clean(os.TempDir()), "/tmp", "/var/tmp"}) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		sweep(base, logger)
		h, err := temporaryHomeIn(base, a)
		if err == nil {
			return h, nil
		}
		errs = append(errs, err)
	}
	return nil, fmt.Errorf("make temporary directory for postgres: %w", errors.Join(errs...))
}

func temporaryHomeIn(base string, a account) (*home, error) {
	dir, err := os.MkdirTemp(base, tempPattern)
	if err != nil {
		return nil, err
	}
	h := &home{dir: dir, temporary: true}
	if h.lock, err = lockDir(dir); err != nil {
		return nil, errors.Join(err, h.leave())
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		return nil, errors.Join(err, h.leave())
	}
	if err := a.enters(dir); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", base, err), h.leave())
	}
	return h, nil
}

// leave gives the lock back and removes a temporary directory.
func (h *home) leave() error {
	if h == nil {
		return nil
	}
	var err error
	if h.temporary {
		err = os.RemoveAll(h.dir)
	}
	if h.lock != nil {
		err = errors.Join(err, h.lock.Close())
		h.lock = nil
	}
	if err != nil {
		return fmt.Errorf("leave directory %s: %w", h.dir, err)
	}
	return nil
}

// password returns the superuser's, made by invent the first time. A temporary
// home does not write it down.
func (h *home) password(invent func() string) (string, error) {
	if h.temporary {
		return invent(), nil
	}
	path := filepath.Join(h.dir, "password")
	known, err := os.ReadFile(path)
	if err == nil {
		return strings.TrimSpace(string(known)), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read password of postgres: %w", err)
	}
	fresh := invent()
	if err := os.WriteFile(path, []byte(fresh+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("write password of postgres: %w", err)
	}
	return fresh, nil
}

// lockDir locks a directory for as long as this process lives or until the
// file is closed. The lock file gets its name only when it is locked, so that
// nobody finds the new directory of a living process unlocked.
func lockDir(dir string) (*os.File, error) {
	if f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR, 0); err == nil {
		return f, takeLock(f)
	}
	f, err := os.CreateTemp(dir, lockName+"-*")
	if err != nil {
		return nil, err
	}
	if err := takeLock(f); err != nil {
		return nil, err
	}
	return f, os.Rename(f.Name(), filepath.Join(dir, lockName))
}

// takeLock closes the file if another process holds its lock.
func takeLock(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = errors.New("a running server uses it")
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	return nil
}

// sweep removes temporary homes whose owner has died. What it cannot remove it
// leaves for the next time.
func sweep(base string, logger *slog.Logger) {
	dirs, err := filepath.Glob(filepath.Join(base, tempPattern))
	if err != nil {
		return
	}
	for _, dir := range dirs {
		if !abandoned(dir) {
			continue
		}
		err := os.RemoveAll(dir)
		logger.Debug("removed what a killed process left", "dir", dir, "err", err)
	}
}

// abandoned reports whether dir is ours to remove and nobody holds its lock.
func abandoned(dir string) bool {
	const grace = time.Minute // between making a directory and locking it
	info, err := os.Lstat(dir)
	if err != nil || !info.IsDir() {
		return false
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); !ok || int(stat.Uid) != os.Geteuid() {
		return false
	}
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR, 0)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist) && time.Since(info.ModTime()) > grace
	}
	if err := takeLock(f); err != nil {
		return false
	}
	return f.Close() == nil
}
