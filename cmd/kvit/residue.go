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

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"kvit/config"
	"kvit/erasure"
	"kvit/erasure/policy"
	"kvit/store"
)

const (
	checkOrders = 3                // of which `kvit check` looks for copies
	checkTime   = 10 * time.Second // that it looks
	someNames   = 5                // of what it says it has not searched
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
for. When you have removed them, --cleared says so, under your name, in the chain of certificates too.`,
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
	if err == nil && len(report.Found) > 0 {
		err = errReported
	}
	return err
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
	err = eraser.ClearResidue(ctx, place, by)
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
	fmt.Fprintf(w, "looked for copies  of %d orders (%d values) in %d tables\n", r.Orders, r.Values, r.Searched)
	for _, c := range r.Found {
		fmt.Fprintf(w, "COPIES LEFT        %s.%s, %d rows: %s\n", c.Table, c.Column, c.Rows, c.Reason)
	}
	for _, c := range r.Kept {
		fmt.Fprintf(w, "kept               %s.%s, %d rows: %s\n", c.Table, c.Column, c.Rows, c.Reason)
	}
	for _, u := range r.Unsearched {
		fmt.Fprintf(w, "not searched       %s\n", u)
	}
}

// checkResidue names places that the policy forgets, and what it could not look at.
func checkResidue(ctx context.Context, cfg config.Config, pool *pgxpool.Pool, eraser *erasure.Eraser) []finding {
	findings := checkServerLog(ctx, cfg, pool)
	report, err := eraser.Scan(ctx, erasure.ScanOptions{Orders: checkOrders, Time: checkTime})
	if err != nil {
		return append(findings, finding{Key: "retention.policy", Advice: true, Problem: "was not searched for what it forgets: " + store.Describe(err)})
	}
	for _, c := range report.Found {
		findings = append(findings, policyFinding(cfg, c.Advise(), false))
	}
	for _, c := range report.Kept {
		if c.Meant() {
			p := policy.Problem{Table: c.Table, Column: c.Column, Problem: "keeps values of erased orders, as the policy says: " + c.Reason}
			findings = append(findings, policyFinding(cfg, p, true))
		}
	}
	if n := len(report.Unsearched); n > 0 {
		var names []string
		for _, u := range report.Unsearched[:min(n, someNames)] {
			names = append(names, u.String())
		}
		more := ""
		if n > someNames {
			more = fmt.Sprintf(" and %d more", n-someNames)
		}
		findings = append(findings, finding{Key: "retention.policy", Advice: true, Problem: "nobody has looked for copies in " +
			strings.Join(names, "; ") + more + ": kvit policy scan takes more time, and kvit's role may be granted select"})
	}
	return findings
}

// checkServerLog warns of a server that logs what must not be seen.
func checkServerLog(ctx context.Context, cfg config.Config, pool *pgxpool.Pool) []finding {
	settings, err := store.LoggedParameters(ctx, pool)
	if err != nil || len(settings) == 0 || cfg.Retention.Residue.Orders == 0 && !cfg.Retention.HashKey.IsSet() {
		return nil
	}
	return []finding{{Key: "database", Advice: true, Problem: "the server writes parameters of statements into its log (" + strings.Join(settings, ", ") +
		"): the values that kvit looks for after an erasure, and what it makes of retention.hash_key, are among them. " +
		"Set log_parameter_max_length = 0 for kvit's role, or retention.residue.orders: 0"}}
}
