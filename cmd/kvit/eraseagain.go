package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"kvit/config"
	"kvit/erasure"
	"kvit/erasure/proof"
	"kvit/store"
)

// eraseAgain is kvit erase --replay.
func (a *app) eraseAgain(ctx context.Context, o eraseOptions) error {
	cfg, pool, eraser, err := a.openEraser(ctx)
	if err != nil {
		return err
	}
	defer pool.Close()
	if !o.dryRun {
		if err := a.askedFor(ctx, pool, store.AuditEntry{Action: o.audited()}); err != nil {
			return err
		}
	}
	replay := eraser.Replay
	if o.dryRun {
		replay = eraser.DryReplay
	}
	report, err := replay(ctx, exportIn(o.replay))
	if report.Replay == nil {
		return err
	}
	if err := a.tell(report, o.json); err != nil {
		return err
	}
	// What waits for a table has lost its events already, and what is on hold shall stay: the database may be
	// worked on.
	if !o.dryRun && (err == nil || erasure.IsMisfit(err)) {
		if err := a.settleAnchor(ctx, cfg, pool, o.replay); err != nil {
			return err
		}
	}
	if err == nil && report.Held > 0 || isReported(err) {
		return errReported
	}
	return err
}

// exportIn reads a file as often as it is asked to.
func exportIn(file string) erasure.Export {
	return func(do func(proof.Certificate) error) error { return proof.ReadFile(file, do) }
}

// settleAnchor takes the database for whole if it, or the export, holds what the anchor knows of.
func (a *app) settleAnchor(ctx context.Context, cfg config.Config, pool *pgxpool.Pool, file string) error {
	err := anchorOf(cfg).Settle(ctx, pool, exportIn(file))
	var unknown *erasure.UnknownError
	if errors.As(err, &unknown) {
		fmt.Fprintf(a.stderr, "kvit: warning: %v\n", err)
		return errReported
	}
	return err
}

func printReplay(w io.Writer, r *erasure.Replayed) {
	fmt.Fprintf(w, "certificates      %d in the export, %d given back to the database\n", r.Certificates, r.Appended)
	if r.Forked {
		fmt.Fprintln(w, "the database has certificates from after the restore: keep the export beside it as the proof of what was before")
	}
	for _, request := range r.Requests {
		fmt.Fprintf(w, "to repeat: kvit subject erase --reference %s, done at %s\n", request.Reference, request.ErasedAt.UTC().Format(time.DateTime))
	}
}

// isReported: the report says it all.
func isReported(err error) bool {
	return erasure.IsMisfit(err) || errors.Is(err, erasure.ErrNotErased)
}

// tell prints a report.
func (a *app) tell(report erasure.Report, asJSON bool) error {
	if asJSON {
		return printJSON(a.stdout, report)
	}
	printReport(a.stdout, report)
	return nil
}
