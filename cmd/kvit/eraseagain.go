package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"kvit/config"
	"kvit/erasure"
	"kvit/erasure/policy"
	"kvit/erasure/proof"
)

// eraseAgain is kvit erase --replay.
func (a *app) eraseAgain(ctx context.Context, o eraseOptions) error {
	cfg, pool, eraser, err := a.openEraser(ctx)
	if err != nil {
		return err
	}
	defer pool.Close()
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
	if !o.dryRun && (err == nil || isMisfit(err)) {
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
	return func(do func(proof.Certificate) error) error {
		f, err := os.Open(file)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		return proof.ReadCertificates(f, do)
	}
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

func isMisfit(err error) bool {
	var misfit *policy.PolicyError
	return errors.As(err, &misfit)
}

// isReported: the report says it all.
func isReported(err error) bool {
	return isMisfit(err) || errors.Is(err, erasure.ErrNotErased)
}

// tell prints a report.
func (a *app) tell(report erasure.Report, asJSON bool) error {
	if asJSON {
		return printJSON(a.stdout, report)
	}
	printReport(a.stdout, report)
	return nil
}
