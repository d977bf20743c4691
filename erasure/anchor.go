package erasure

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"kvit/erasure/proof"
	"kvit/store"
)

// AnchorError says that kvit must not work on this database: it is older than the file of
// retention.anchor, or that file cannot be read. Waiting mends neither.
type AnchorError struct{ cause error }

// Error names the key of the configuration.
func (e *AnchorError) Error() string { return "retention.anchor: " + e.cause.Error() }

// Unwrap gives the cause.
func (e *AnchorError) Unwrap() error { return e.cause }

// IsAnchor tells whether err says that kvit must not work on this database.
func IsAnchor(err error) bool { return asAnchorError(err) != nil }

// asAnchorError is the *AnchorError within err; nil if there is none.
func asAnchorError(err error) *AnchorError {
	var found *AnchorError
	errors.As(err, &found)
	return found
}

// AnchorFile is the path of retention.anchor: the file that tells how far the chain of certificates went.
// Empty: there is no anchor, and its methods do nothing.
type AnchorFile string

func (f AnchorFile) read() (proof.Anchor, error) {
	known, err := proof.ReadAnchor(string(f))
	if err != nil {
		return known, &AnchorError{fmt.Errorf("%w; without it kvit cannot tell a database that was restored from a backup:"+
			" if none was, remove the file, and kvit makes it anew", err)}
	}
	return known, nil
}

func (f AnchorFile) write(a proof.Anchor) error { return proof.WriteAnchor(string(f), a) }

// next is the database's anchor of now. It returns an *AnchorError if the database is older than
// the one known.
func (f AnchorFile) next(ctx context.Context, db store.DB, known proof.Anchor) (proof.Anchor, error) {
	// In this order: of certificates that vanish in between, the message then names the last that is left.
	there, err := store.CertificateHash(ctx, db, known.Number)
	if err != nil {
		return proof.Anchor{}, err
	}
	last, hash, err := store.LastCertificate(ctx, db)
	if err != nil {
		return proof.Anchor{}, err
	}
	if known.Missing(last, there) {
		return proof.Anchor{}, f.olderError(known, last)
	}
	return proof.Anchor{Number: last, Hash: hash, At: time.Now().UTC()}, nil
}

func (f AnchorFile) olderError(known proof.Anchor, last int64) error {
	differs := fmt.Sprintf("its last certificate is number %d, and was number %d", last, known.Number)
	if last >= known.Number {
		differs = fmt.Sprintf("its certificate number %d is not the one", known.Number)
	}
	return &AnchorError{fmt.Errorf("the database is older than %s tells: %s at %s. If it was restored from a backup, what was erased"+
		" since then is back: erase it again with `kvit erase --replay FILE`, where FILE is the newest export of the"+
		" certificates, before kvit delivers anything (docs/retention.md). If it is another database on purpose, remove the anchor's file",
		f, differs, known.At.UTC().Format(time.RFC3339))}
}

// Keep moves the anchor forward, for commands that erase. If the database is older it returns an
// *AnchorError and leaves the file as it is, so that it can also be asked before.
func (f AnchorFile) Keep(ctx context.Context, db store.DB) error {
	if f == "" {
		return nil
	}
	known, err := f.read()
	if err != nil {
		return err
	}
	next, err := f.next(ctx, db, known)
	if err != nil {
		return err
	}
	return f.write(next)
}

// reset takes the database as it is, even if it is older: after a replay has erased again what a
// backup brought back.
func (f AnchorFile) reset(ctx context.Context, db store.DB) error {
	next, err := f.next(ctx, db, proof.Anchor{})
	if err != nil {
		return err
	}
	return f.write(next)
}

// UnknownError says that a replay cannot have erased all again: its export ends before the anchor.
type UnknownError struct {
	file  AnchorFile
	last  int64 // certificate of the export
	known proof.Anchor
}

// Error tells what to do about the rest.
func (e *UnknownError) Error() string {
	return fmt.Sprintf("the export ends at certificate %d, and %s knows of number %d of %s:"+
		" what was erased in between cannot be erased again by name. Remove the file, run kvit erase, and repeat the requests of"+
		" persons since then", e.last, e.file, e.known.Number, e.known.At.UTC().Format(time.RFC3339))
}

// Settle takes the database for whole, after a replay, if it, or the export, holds what the anchor knows
// of. It returns an *UnknownError, and leaves the anchor as it is, if neither does.
func (f AnchorFile) Settle(ctx context.Context, db store.DB, export Export) error {
	if f == "" {
		return nil
	}
	known, err := f.read()
	if err != nil {
		return err
	}
	if err := f.Keep(ctx, db); !IsAnchor(err) {
		return err
	}
	var last int64
	var there string
	err = export(func(c proof.Certificate) error {
		last = c.Number
		if c.Number == known.Number {
			there = c.Hash
		}
		return nil
	})
	if err != nil {
		return err
	}
	if known.Missing(last, there) {
		return &UnknownError{file: f, last: last, known: known}
	}
	return f.reset(ctx, db)
}

// Findings is what `kvit check` has to say about the anchor. It writes as the user who runs it,
// who may have other rights than the daemon.
func (f AnchorFile) Findings(ctx context.Context, db store.DB) []Finding {
	if f == "" {
		return nil
	}
	var findings []Finding
	if err := tryFolder(filepath.Dir(string(f))); err != nil {
		findings = append(findings, Finding{Key: "retention.anchor", Problem: "cannot be written: " + err.Error()})
	}
	known, err := f.read()
	if err == nil {
		_, err = f.next(ctx, db, known)
	}
	switch found := asAnchorError(err); {
	case found != nil:
		findings = append(findings, Finding{Key: "retention.anchor", Problem: found.cause.Error()})
	case err != nil:
		findings = append(findings, Finding{Key: "retention.anchor", Problem: store.Describe(err)})
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
