package erasure

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"kvit/erasure/proof"
	"kvit/store"
)

const (
	anchorLook  = 5 * time.Second // between two looks at the database, and how long one may take
	anchorWrite = time.Minute     // between two writes of an anchor that has not moved
)

// AnchorKeeper moves the anchor of a running daemon forward, and notices a database that has gone back.
type AnchorKeeper struct {
	file   AnchorFile
	logger *slog.Logger
	older  chan error                   // gets one *AnchorError
	known  atomic.Pointer[proof.Anchor] // may be ahead of the file, where that cannot be written

	mu      sync.Mutex // held while the anchor moves
	written time.Time  // when known was last written
	failing bool       // the last write did not succeed
}

// NewAnchorKeeper makes the keeper of a daemon that has not looked at its database yet.
func NewAnchorKeeper(file AnchorFile, logger *slog.Logger) *AnchorKeeper {
	k := &AnchorKeeper{file: file, logger: logger, older: make(chan error, 1)}
	k.known.Store(&proof.Anchor{})
	return k
}

// Older gets one *AnchorError if the database has gone back while the daemon worked.
func (k *AnchorKeeper) Older() <-chan error { return k.older }

// Start compares the database with the file, and writes the first one. It returns an *AnchorError, or
// one of the database.
func (k *AnchorKeeper) Start(ctx context.Context, db store.DB) error {
	if k.file == "" {
		return nil
	}
	known, err := k.file.read()
	if err != nil {
		return err
	}
	k.known.Store(&known)
	return k.move(ctx, db)
}

// Admit looks at a new connection. A restore ends the old ones, as a rule, so that nothing at all is
// done on a database that has gone back.
func (k *AnchorKeeper) Admit(ctx context.Context, db store.DB) error {
	known := *k.known.Load()
	if known.Number == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, anchorLook)
	defer cancel()
	_, err := k.file.next(ctx, db, known)
	return k.tell(err)
}

// Watch looks until ctx ends, for a restore that leaves the connections alone.
func (k *AnchorKeeper) Watch(ctx context.Context, db store.DB) {
	if k.file == "" {
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

// End takes the last look, when all work has ended: an erasure may have been part of it, and the
// database may be restored before the next start.
func (k *AnchorKeeper) End(ctx context.Context, db store.DB) error {
	if k.file == "" {
		return nil
	}
	return k.look(context.WithoutCancel(ctx), db)
}

func (k *AnchorKeeper) look(ctx context.Context, db store.DB) error {
	ctx, cancel := context.WithTimeout(ctx, anchorLook)
	defer cancel()
	return k.tell(k.move(ctx, db))
}

// tell passes an *AnchorError on to older. It drops any other error: what else goes wrong with the
// database all of kvit notices.
func (k *AnchorKeeper) tell(err error) error {
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
func (k *AnchorKeeper) move(ctx context.Context, db store.DB) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	known := *k.known.Load()
	next, err := k.file.next(ctx, db, known)
	if err != nil {
		return err
	}
	k.known.Store(&next)
	if next.Number != known.Number || k.failing || next.At.Sub(k.written) >= anchorWrite {
		k.write(next)
	}
	return nil
}

func (k *AnchorKeeper) write(a proof.Anchor) {
	err := k.file.write(a)
	switch {
	case err != nil && !k.failing:
		k.logger.Error("the anchor cannot be written: a database restored from a backup may go unnoticed", "err", err)
	case err == nil && k.failing:
		k.logger.Info("the anchor is written again", "path", string(k.file))
	}
	k.failing = err != nil
	if err == nil {
		k.written = a.At
	}
}
