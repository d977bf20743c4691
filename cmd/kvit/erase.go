package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"kvit/config"
	"kvit/erasure"
	"kvit/erasure/policy"
	"kvit/jobs"
	"kvit/schedule"
	"kvit/store"
	"kvit/watch"
)

func (a *app) eraseCommand() *cobra.Command {
	var o eraseOptions
	cmd := &cobra.Command{
		Use: "erase", Short: "Erase now what is due, or preview it",
		Long: `Erases what is due now instead of at the next scheduled run. A dry run executes the same statements
in one transaction and rolls it back; until then the due orders are locked. If more is due than
retention.brake lets pass, nothing is erased without --confirm.

When the policy has got a table or a column, --again erases the orders once more that were erased before: what is
left of them goes, as far as something still leads to it, and the chain of certificates says so.

After a restore from a backup, --replay takes an export of the certificates (kvit verify --export), gives
the database back those that it lost, and erases their orders again, in one transaction.`,
		Example: "  kvit erase --dry-run\n  kvit erase --confirm\n  kvit erase --json\n  kvit erase --replay certificates.jsonl",
		Args:    usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case o.dryRun && o.confirm:
				return fmt.Errorf("%w: --dry-run and --confirm exclude each other", errUsage)
			case o.again && (o.confirm || o.replay != ""):
				return fmt.Errorf("%w: --again goes with --dry-run and --json alone", errUsage)
			case o.replay != "" && o.confirm:
				return fmt.Errorf("%w: --replay needs no --confirm: it erases what the file names", errUsage)
			case o.replay != "":
				return a.eraseAgain(cmd.Context(), o)
			}
			return a.erase(cmd.Context(), o)
		},
	}
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "run the real statements and roll them back")
	cmd.Flags().BoolVar(&o.confirm, "confirm", false, "erase even if retention.brake would stop the run")
	cmd.Flags().BoolVar(&o.again, "again", false, "erase once more, by the present policy, what an earlier one has erased")
	cmd.Flags().StringVar(&o.replay, "replay", "", "erase again the orders of this export of certificates")
	cmd.Flags().BoolVar(&o.json, "json", false, "print JSON")
	return cmd
}

type eraseOptions struct {
	dryRun, confirm, json bool
	again                 bool
	replay                string // a file; empty: none
}

// audited is what the audit calls it, as for the pages.
func (o eraseOptions) audited() string {
	switch {
	case o.again:
		return "erase_again"
	case o.replay != "":
		return "erase_replay"
	case o.confirm:
		return jobs.EraseAgreed
	default:
		return jobs.EraseNow
	}
}

func (a *app) erase(ctx context.Context, o eraseOptions) error {
	cfg, pool, eraser, err := a.openEraser(ctx)
	if err != nil {
		return err
	}
	defer pool.Close()
	// The chain of a database that is older than the anchor would part from the one that was.
	if !o.dryRun {
		if err := a.moveAnchor(ctx, cfg, pool); err != nil {
			return err
		}
		if err := a.askedFor(ctx, pool, store.AuditEntry{Action: o.audited()}); err != nil {
			return err
		}
	}
	erase := eraser.Run
	switch {
	case o.again && o.dryRun:
		erase = eraser.DryAgain
	case o.again:
		erase = eraser.Again
	case o.dryRun:
		erase = eraser.DryRun
	case o.confirm:
		erase = eraser.RunConfirmed
	}
	report, err := erase(ctx)
	if errors.Is(err, store.ErrRunning) {
		return err
	}
	if err := a.tell(report, o.json); err != nil {
		return err
	}
	if !o.dryRun {
		if err := a.moveAnchor(ctx, cfg, pool); err != nil {
			return err
		}
	}
	if isReported(err) {
		return errReported
	}
	return err
}

func printReport(w io.Writer, r erasure.Report) {
	if r.DryRun {
		fmt.Fprintln(w, "dry run: everything below was done and rolled back")
	}
	if r.Brake != nil && r.DryRun {
		fmt.Fprintf(w, "the brake would stop this: %s\n", r.Brake.Reason)
	}
	fmt.Fprintf(w, "orders erased     %d\n", r.Orders)
	fmt.Fprintf(w, "events erased     %d\n", r.Events)
	fmt.Fprintf(w, "events purged     %d\n", r.Purged)
	fmt.Fprintf(w, "held              %d\n", r.Held)
	fmt.Fprintf(w, "waiting           %d\n", r.Waiting)
	fmt.Fprintf(w, "locked, skipped   %d\n", r.Skipped)
	fmt.Fprintf(w, "failed            %d\n", r.Failed)
	printTables(w, r)
	if r.Residue != nil {
		printResidue(w, *r.Residue)
	}
	for _, table := range slices.Sorted(maps.Keys(r.Rows)) {
		fmt.Fprintf(w, "rows of %s: %d\n", table, r.Rows[table])
	}
	for _, table := range slices.Sorted(maps.Keys(r.Columns)) {
		for _, column := range slices.Sorted(maps.Keys(r.Columns[table])) {
			fmt.Fprintf(w, "values of %s.%s: %d\n", table, column, r.Columns[table][column])
		}
	}
	if len(r.Samples) > 0 {
		fmt.Fprintf(w, "for example: %s\n", strings.Join(r.Samples, ", "))
	}
	for _, h := range r.Holds {
		fmt.Fprintf(w, "on hold %s: order %s: %s\n", holdEnd(h), h.OrderRef, h.Reason)
	}
	for _, p := range r.Problems {
		fmt.Fprintf(w, "order %s: %s\n", p.OrderRef, p.Problem)
	}
	if r.Replay != nil {
		printReplay(w, r.Replay)
	}
	for _, b := range r.Blocked {
		for _, problem := range b.Problems {
			fmt.Fprintf(w, "not erased: %s\n", problem)
		}
	}
}

// holdEnd tells when a hold lets the order go.
func holdEnd(h store.HeldOrder) string {
	if h.ExpiresAt == nil {
		return "until it is released"
	}
	return "until " + h.ExpiresAt.UTC().Format(time.DateTime)
}

// moveAnchor moves the anchor for a command that erases: a file that cannot be written does not stop it.
func (a *app) moveAnchor(ctx context.Context, cfg config.Config, db store.DB) error {
	err := anchorOf(cfg).Keep(ctx, db)
	if err == nil || erasure.IsAnchor(err) {
		return err
	}
	fmt.Fprintf(a.stderr, "kvit: warning: the anchor was not moved: %v\n", err)
	return nil
}

func anchorOf(cfg config.Config) erasure.AnchorFile { return erasure.AnchorFile(cfg.Retention.Anchor) }

// openEraser is open for commands that erase, or tell what there is to erase.
func (a *app) openEraser(ctx context.Context) (config.Config, *pgxpool.Pool, *erasure.Eraser, error) {
	cfg, pool, logger, err := a.open(ctx)
	if err != nil {
		return config.Config{}, nil, nil, err
	}
	eraser, err := newEraser(cfg, pool, nil, logger)
	if err != nil {
		pool.Close()
		return config.Config{}, nil, nil, err
	}
	eraser.Watch = watch.New(a.watchOptions(pool, logger))
	return cfg, pool, eraser, nil
}

// newEraser makes the eraser of the configuration. metrics may be nil.
func newEraser(cfg config.Config, pool *pgxpool.Pool, metrics *erasure.Metrics, logger *slog.Logger) (*erasure.Eraser, error) {
	runs, err := schedule.Parse(cfg.Retention.Schedule, cfg.Retention.TimeZone)
	if err != nil {
		return nil, fmt.Errorf("read retention.schedule: %w", err)
	}
	eraser := &erasure.Eraser{
		DB: pool, Policy: policyOf(cfg.Retention.Policy), Tables: rulesOf(cfg.Retention.Tables),
		EventsAfter: cfg.Retention.EventsAfter, ReceiptsAfter: cfg.Retention.ReceiptsAfter,
		BatchOrders: cfg.Retention.BatchOrders, BatchTime: cfg.Retention.BatchTime, MaxReplicaLag: cfg.Retention.MaxReplicaLag,
		Brake:    erasure.Brake(cfg.Retention.Brake),
		Residue:  erasure.Residue{Orders: cfg.Retention.Residue.Orders, Time: cfg.Retention.Residue.Time},
		Schedule: runs, Logger: logger,
	}
	// Without a policy nothing of the shop is erased: kvit then only looks after its own events.
	if len(cfg.Retention.Policy) > 0 {
		eraser.Orders = shopOrders(cfg)
	}
	if cfg.Retention.HashKey.IsSet() {
		eraser.HashKey = store.NewHashKey(cfg.Retention.HashKey.Reveal())
	}
	if metrics != nil {
		eraser.OrdersErased = metrics.OrdersErased
	}
	return eraser, nil
}

func policyOf(tables []config.TablePolicy) policy.Policy {
	var p policy.Policy
	for _, t := range tables {
		table := policy.Table{
			Name: t.Table, Match: matchOf(t.Match), Parent: t.Parent, When: t.When, DeleteRows: t.DeleteRows, KeepRows: t.KeepRows,
			Columns: columnsOf(t.Columns), IgnoreKeys: t.IgnoreKeys,
		}
		p.Tables = append(p.Tables, table)
	}
	return p
}

func matchOf(pairs []config.Match) *policy.Match {
	if len(pairs) == 0 {
		return nil
	}
	match := &policy.Match{Column: pairs[0].Column, OrderColumn: pairs[0].OrderColumn}
	for _, pair := range pairs[1:] {
		match.And = append(match.And, policy.Match{Column: pair.Column, OrderColumn: pair.OrderColumn})
	}
	return match
}

func columnsOf(columns []config.ColumnPolicy) []policy.Column {
	var list []policy.Column
	for _, c := range columns {
		list = append(list, policy.Column{
			Name: c.Name, Strategy: c.Strategy, Text: c.Text, Unit: c.Unit, Length: c.Length, Paths: columnsOf(c.Paths),
		})
	}
	return list
}
