package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"kvit/config"
	"kvit/erasure/proof"
	"kvit/store"
)

// anchorError says that kvit must not work on this database: it is older than the file of
// retention.anchor, or that file cannot be read. Waiting mends neither.
type anchorError struct{ cause error }

// Error names the key of the configuration.
func (e *anchorError) Error() string { return "retention.anchor: " + e.cause.Error() }

// Unwrap gives the cause.
func (e *anchorError) Unwrap() error { return e.cause }

// asAnchorError is the *anchorError within err; nil if there is none.
func asAnchorError(err error) *anchorError {
	var found *anchorError
	errors.As(err, &found)
	return found
}

const (
	anchorLook  = 5 * time.Second // between two looks at the database, and how long one may take
	anchorWrite = time.Minute     // between two writes of an anchor that has not moved
)

// anchorKeeper moves the anchor of a running daemon forward, and notices a database that has gone back.
type anchorKeeper struct {
	path   string // empty: there is no anchor
	logger *slog.Logger
	older  chan error                   // gets one *anchorError if the database has gone back
	known  atomic.Pointer[proof.Anchor] // may be ahead of the file, where that cannot be written

	mu      sync.Mutex // held while the anchor moves
	written time.Time  // when known was last written
	failing bool       // the last write did not succeed
}

func newAnchorKeeper(path string, logger *slog.Logger) *anchorKeeper {
	k := &anchorKeeper{path: path, logger: logger, older: make(chan error, 1)}
	k.known.Store(&proof.Anchor{})
	return k
}

// start compares the database with the file, and writes the first one. It returns an *anchorError, or
// one of the database.
func (k *anchorKeeper) start(ctx context.Context, db store.DB) error {
	if k.path == "" {
		return nil
	}
	known, err := readAnchor(k.path)
	if err != nil {
		return err
	}
	k.known.Store(&known)
	return k.move(ctx, db)
}

// admit looks at a new connection. A restore ends the old ones, as a rule, so that nothing at all is
// done on a database that has gone back.
func (k *anchorKeeper) admit(ctx context.Context, db store.DB) error {
	known := *k.known.Load()
	if known.Number == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, anchorLook)
	defer cancel()
	_, err := nextAnchor(ctx, k.path, db, known)
	return k.tell(err)
}

// watch looks until ctx ends, for a restore that leaves the connections alone.
func (k *anchorKeeper) watch(ctx context.Context, db store.DB) {
	if k.path == "" {
		return
	}
	ticker := time.NewTicker(anchorLook)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if k.look(ctx, db) != nil {
			return
		}
	}
}

// end takes the last look, when all work has ended: an erasure may have been part of it, and the
// database may be restored before the next start.
func (k *anchorKeeper) end(ctx context.Context, db store.DB) error {
	if k.path == "" {
		return nil
	}
	return k.look(context.WithoutCancel(ctx), db)
}

func (k *anchorKeeper) look(ctx context.Context, db store.DB) error {
	ctx, cancel := context.WithTimeout(ctx, anchorLook)
	defer cancel()
	return k.tell(k.move(ctx, db))
}

// tell passes an *anchorError on to older. It drops any other error: what else goes wrong with the
// database all of kvit notices.
func (k *anchorKeeper) tell(err error) error {
	found := asAnchorError(err)
	if found == nil {
		return nil
	}
	select {
	case k.older <- found:
	default: // it is told already
	}
	return found
}

// move takes the anchor to where the database is. A file that cannot be written is an error in the log
// alone: deliveries matter more.
func (k *anchorKeeper) move(ctx context.Context, db store.DB) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	known := *k.known.Load()
	next, err := nextAnchor(ctx, k.path, db, known)
	if err != nil {
		return err
	}
	k.known.Store(&next)
	if next.Number != known.Number || k.failing || next.At.Sub(k.written) >= anchorWrite {
		k.write(next)
	}
	return nil
}

func (k *anchorKeeper) write(a proof.Anchor) {
	err := proof.WriteAnchor(k.path, a)
	switch {
	case err != nil && !k.failing:
		k.logger.Error("the anchor cannot be written: a database restored from a backup may go unnoticed", "err", err)
	case err == nil && k.failing:
		k.logger.Info("the anchor is written again", "path", k.path)
	}
	k.failing = err != nil
	if err == nil {
		k.written = a.At
	}
}

func readAnchor(path string) (proof.Anchor, error) {
	known, err := proof.ReadAnchor(path)
	if err != nil {
		return known, &anchorError{fmt.Errorf("%w; without it kvit cannot tell a database that was restored from a backup:"+
			" if none was, remove the file, and kvit makes it anew", err)}
	}
	return known, nil
}

// nextAnchor is the database's anchor of now. It returns an *anchorError if the database is older than
// the one known.
func nextAnchor(ctx context.Context, path string, db store.DB, known proof.Anchor) (proof.Anchor, error) {
	last, hash, err := store.LastCertificate(ctx, db)
	if err != nil {
		return proof.Anchor{}, err
	}
	there, err := store.CertificateHash(ctx, db, known.Number)
	if err != nil {
		return proof.Anchor{}, err
	}
	if known.Missing(last, there) {
		return proof.Anchor{}, olderError(path, known, last)
	}
	return proof.Anchor{Number: last, Hash: hash, At: time.Now().UTC()}, nil
}

func olderError(path string, known proof.Anchor, last int64) error {
	differs := fmt.Sprintf("its last certificate is number %d, and was number %d", last, known.Number)
	if last >= known.Number {
		differs = fmt.Sprintf("its certificate number %d is not the one", known.Number)
	}
	return &anchorError{fmt.Errorf("the database is older than %s tells: %s at %s. If it was restored from a backup, what was erased"+
		" since then is back: erase it again with `kvit erase --replay FILE`, where FILE is the newest export of the"+
		" certificates, before kvit delivers anything (docs/retention.md). If it is another database on purpose, remove the anchor's file",
		path, differs, known.At.UTC().Format(time.RFC3339))}
}

// keepAnchor moves the anchor forward, for commands that erase. If the database is older it returns an
// *anchorError and leaves the file as it is, so that it can also be asked before.
func keepAnchor(ctx context.Context, cfg config.Config, db store.DB) error {
	path := cfg.Retention.Anchor
	if path == "" {
		return nil
	}
	known, err := readAnchor(path)
	if err != nil {
		return err
	}
	next, err := nextAnchor(ctx, path, db, known)
	if err != nil {
		return err
	}
	return proof.WriteAnchor(path, next)
}

// moveAnchor is keepAnchor for a command that erases: a file that cannot be written does not stop it.
func (a *app) moveAnchor(ctx context.Context, cfg config.Config, db store.DB) error {
	err := keepAnchor(ctx, cfg, db)
	if err == nil || asAnchorError(err) != nil {
		return err
	}
	fmt.Fprintf(a.stderr, "kvit: warning: the anchor was not moved: %v\n", err)
	return nil
}

// resetAnchor takes the database as it is, even if it is older: after a replay has erased again what a
// backup brought back.
func resetAnchor(ctx context.Context, cfg config.Config, db store.DB) error {
	path := cfg.Retention.Anchor
	if path == "" {
		return nil
	}
	next, err := nextAnchor(ctx, path, db, proof.Anchor{})
	if err != nil {
		return err
	}
	return proof.WriteAnchor(path, next)
}

// anchorFinding is what `kvit check` has to say about the anchor. It writes as the user who runs it,
// who may have other rights than the daemon.
func anchorFinding(ctx context.Context, cfg config.Config, db store.DB) []finding {
	path := cfg.Retention.Anchor
	if path == "" {
		return nil
	}
	var findings []finding
	if err := tryFolder(filepath.Dir(path)); err != nil {
		findings = append(findings, finding{Key: "retention.anchor", Problem: "cannot be written: " + err.Error()})
	}
	known, err := readAnchor(path)
	if err == nil {
		_, err = nextAnchor(ctx, path, db, known)
	}
	switch found := asAnchorError(err); {
	case found != nil:
		findings = append(findings, finding{Key: "retention.anchor", Problem: found.cause.Error()})
	case err != nil:
		findings = append(findings, finding{Key: "retention.anchor", Problem: store.Describe(err)})
	}
	return findings
}

// tryFolder makes a file there and removes it.
func tryFolder(folder string) error {
	f, err := os.CreateTemp(folder, ".kvit-check.*")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}
