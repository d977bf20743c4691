package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/user"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"kvit/erasure"
	"kvit/store"
)

// scanFlags are those of `kvit policy scan`.
type scanFlags struct {
	erasure.ScanOptions
	json    bool
	cleared string
}

func (a *app) policyScanCommand() *cobra.Command {
	var o scanFlags
	cmd := &cobra.Command{
		Use: "scan", Short: "Erase some orders on trial, and look for what is left of them",
		Long: `Erases some orders that are not erased yet, in a transaction that it rolls back, and then looks in every table and materialized
view that kvit's role may read for what should be gone: names, e-mail addresses, telephone numbers, streets. It names tables
and columns, never a value, and says what it has not searched. Until it ends, the rows of these orders are locked.

A finding of an earlier run (kvit status) stays open while kvit cannot tell that the copies are gone: it keeps no value to look
for. When you have removed them, --cleared says so, under your name, in the chain of certificates too.

Exit code: 0, nothing was found anywhere; 1, copies are left; 3, nothing was found, but not everything was searched.`,
		Example: "  kvit policy scan\n  kvit policy scan --orders 20 --time 5m\n  kvit policy scan --cleared public.audit.old_row",
		Args:    usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case o.cleared != "":
				return a.clearResidue(cmd.Context(), o.cleared)
			case o.Orders < 1 || o.Orders > 1000:
				return fmt.Errorf("%w: --orders must be from 1 to 1000", errUsage)
			case o.Time < time.Second:
				return fmt.Errorf("%w: --time must be a second at least", errUsage)
			}
			return a.scan(cmd.Context(), o)
		},
	}
	cmd.Flags().IntVar(&o.Orders, "orders", 10, "orders whose values are looked for")
	cmd.Flags().DurationVar(&o.Time, "time", time.Minute, "how long to look, as in 5m")
	cmd.Flags().BoolVar(&o.json, "json", false, "print JSON")
	cmd.Flags().StringVar(&o.cleared, "cleared", "", "schema.table.column: you have removed the copies that a run has found there")
	return cmd
}

func (a *app) scan(ctx context.Context, o scanFlags) error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	pool, err := openPool(ctx, cfg)
	if err != nil {
		return err
	}
	defer pool.Close()
	eraser, err := newEraser(cfg, pool, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	if isTerminal(a.stderr) {
		o.Progress = func(done, total int) { fmt.Fprintf(a.stderr, "\r%s\x1b[K", bar(done, total)) }
	}
	a.warnOfServerLog(ctx, pool)
	report, err := eraser.Scan(ctx, o.ScanOptions)
	if o.Progress != nil {
		fmt.Fprint(a.stderr, "\r\x1b[K")
	}
	if err != nil {
		return errors.New("scan: " + store.Describe(err))
	}
	if o.json {
		err = printJSON(a.stdout, report)
	} else {
		printResidue(a.stdout, report)
	}
	switch {
	case err != nil:
		return err
	case len(report.Found) > 0:
		return errReported
	case !report.Complete:
		return errIncomplete
	}
	return nil
}

func bar(done, total int) string {
	const width = 30
	full := width * done / max(total, 1)
	return fmt.Sprintf("[%s%s] %d of %d tables", strings.Repeat("#", full), strings.Repeat(" ", width-full), done, total)
}

func (a *app) warnOfServerLog(ctx context.Context, pool *pgxpool.Pool) {
	settings, err := store.LoggedParameters(ctx, pool)
	if err == nil && len(settings) > 0 {
		fmt.Fprintf(a.stderr, "warning: the server writes what is looked for into its log: %s\n", strings.Join(settings, ", "))
	}
}

func (a *app) clearResidue(ctx context.Context, place string) error {
	_, pool, eraser, err := a.openEraser(ctx)
	if err != nil {
		return err
	}
	defer pool.Close()
	by := "unknown"
	if u, err := user.Current(); err == nil {
		by = u.Username
	}
	err = a.audited(ctx, pool, store.AuditEntry{Who: by, Action: "clear residue", Subject: place}, func(tx pgx.Tx) error {
		within := *eraser
		within.DB = tx
		return within.ClearResidue(ctx, place, by)
	})
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("no finding is open for %s: kvit status lists them", place)
	}
	if err != nil {
		return errors.New("note that copies are gone: " + store.Describe(err))
	}
	fmt.Fprintf(a.stdout, "%s is noted as cleared by %s\n", place, by)
	return nil
}

func printResidue(w io.Writer, r erasure.ResidueReport) {
	rows := ""
	if r.Rows > 0 {
		rows = fmt.Sprintf(" and %d other rows", r.Rows)
	}
	fmt.Fprintf(w, "looked for copies  of %d orders%s (%d values) in %d tables\n", r.Orders, rows, r.Values, r.Searched)
	for _, c := range r.Found {
		fmt.Fprintf(w, "COPIES LEFT        %s.%s, %d rows: %s\n", c.Table, c.Column, c.Rows, c.Reason)
	}
	for _, c := range r.Kept {
		fmt.Fprintf(w, "kept               %s.%s, %d rows: %s\n", c.Table, c.Column, c.Rows, c.Reason)
	}
	for _, u := range r.Unsearched {
		fmt.Fprintf(w, "not searched       %s\n", u)
	}
	switch {
	case len(r.Found) > 0:
	case r.Values == 0:
		fmt.Fprintln(w, "nothing was looked for: there is no order, or row of a rule, with a value that tells whose it is")
	case !r.Complete:
		fmt.Fprintf(w, "nothing found in what was searched; %d tables, or parts of them, were not searched\n", len(r.Unsearched))
	default:
		fmt.Fprintln(w, "nothing found")
	}
}
