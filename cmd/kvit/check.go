package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"kvit/config"
	"kvit/destination"
	"kvit/migrations"
	"kvit/store"
)

// finding is one thing that `kvit check` has to say.
type finding struct {
	Line    int    `json:"line,omitempty"` // in the configuration
	Key     string `json:"key"`            // of the configuration, or "database"
	Problem string `json:"problem"`
	Advice  bool   `json:"advice"` // works, but could be better; does not fail the check
}

func (a *app) checkCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "check", Short: "Find what is wrong with configuration, database, rights and column policy",
		Long:    "Lists every problem and fails if there is one. It changes nothing and sends nothing.",
		Example: "  kvit check\n  kvit check --json",
		Args:    usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.report(a.check(cmd.Context()), asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (a *app) report(findings []finding, asJSON bool) error {
	failed := false
	for _, f := range findings {
		failed = failed || !f.Advice
	}
	if asJSON {
		err := printJSON(a.stdout, struct {
			OK       bool      `json:"ok"`
			Findings []finding `json:"findings"`
		}{!failed, append([]finding{}, findings...)})
		if err != nil {
			return err
		}
	} else {
		for _, f := range findings {
			fmt.Fprintln(a.stdout, f.text())
		}
		if !failed {
			fmt.Fprintln(a.stdout, "ok")
		}
	}
	if failed {
		return errReported
	}
	return nil
}

func (f finding) text() string {
	word := "problem"
	if f.Advice {
		word = "advice"
	}
	if f.Line > 0 {
		return fmt.Sprintf("%s: line %d: %s: %s", word, f.Line, f.Key, f.Problem)
	}
	return fmt.Sprintf("%s: %s: %s", word, f.Key, f.Problem)
}

// check goes as far as it can: without a configuration there is no database to look at.
func (a *app) check(ctx context.Context) []finding {
	cfg, err := a.load()
	var mistakes *config.Errors
	if errors.As(err, &mistakes) {
		var findings []finding
		for _, p := range mistakes.Problems {
			findings = append(findings, finding{Line: p.Line, Key: p.Key, Problem: p.Problem})
		}
		return findings
	}
	if err != nil {
		return []finding{{Key: "configuration", Problem: err.Error()}}
	}
	findings := checkDestinations(cfg)
	pool, err := openPool(ctx, cfg)
	if err != nil {
		return append(findings, finding{Key: "database.url", Problem: err.Error()})
	}
	defer pool.Close()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return append(findings, checkDatabase(ctx, cfg, pool)...)
}

func checkDestinations(cfg config.Config) []finding {
	var findings []finding
	for _, d := range cfg.Destinations {
		adapter, err := adapterOf(d, slog.New(slog.DiscardHandler))
		key := "destinations." + d.Name
		if err != nil {
			findings = append(findings, finding{Line: d.Line, Key: key, Problem: err.Error()})
			continue
		}
		for _, name := range d.Events {
			if !wanted(adapter.Traits().Events, name) {
				findings = append(findings, finding{Line: d.Line, Key: key + ".events", Problem: fmt.Sprintf("a %s destination cannot use %s", d.Kind, name)})
			}
		}
	}
	return findings
}

// wanted tells whether a list of names covers one; "custom:*" covers every custom event.
func wanted(names []string, name string) bool {
	return slices.Contains(names, name) ||
		strings.HasPrefix(name, destination.CustomPrefix) && slices.Contains(names, destination.AnyCustom)
}

func checkDatabase(ctx context.Context, cfg config.Config, pool *pgxpool.Pool) []finding {
	if err := pool.Ping(ctx); err != nil {
		return []finding{{Key: "database", Problem: store.Describe(err)}}
	}
	var findings []finding
	version, err := store.ServerVersion(ctx, pool)
	if err != nil {
		return []finding{{Key: "database", Problem: store.Describe(err)}}
	}
	if version < 140000 {
		findings = append(findings, finding{Key: "database", Problem: "is older than Postgres 14"})
	}
	if err := migrations.Check(ctx, pool); errors.Is(err, migrations.ErrOldSchema) {
		return append(findings, finding{Key: "database", Problem: err.Error()})
	} else if err != nil {
		return append(findings, finding{Key: "database", Problem: store.Describe(err)})
	}
	orders := shopOrders(cfg)
	if orders == nil {
		return findings
	}
	lacks, err := store.LackingRights(ctx, pool, *orders)
	if err != nil {
		return append(findings, finding{Key: "shop.orders", Problem: store.Describe(err)})
	}
	for _, lack := range lacks {
		findings = append(findings, finding{Key: "shop.orders", Problem: lack})
	}
	if len(lacks) > 0 {
		return findings
	}
	return append(findings, checkRetention(ctx, cfg, pool, *orders)...)
}

func checkRetention(ctx context.Context, cfg config.Config, pool *pgxpool.Pool, orders store.Orders) []finding {
	var findings []finding
	if _, err := store.ReadOrdersStatus(ctx, pool, orders, overdueGrace); err != nil {
		findings = append(findings, finding{Key: "shop.orders", Problem: "orders cannot be read, is awaiting_import right? " + store.Describe(err)})
	}
	if len(cfg.Retention.Policy) == 0 {
		return append(findings, finding{Key: "retention.policy", Problem: "is empty: no order is ever erased"})
	}
	eraser, err := newEraser(cfg, pool, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		return append(findings, finding{Key: "retention.schedule", Problem: err.Error()})
	}
	problems, err := eraser.Check(ctx)
	if err != nil {
		return append(findings, finding{Key: "retention.policy", Problem: store.Describe(err)})
	}
	for _, p := range problems {
		findings = append(findings, finding{Line: policyLine(cfg, p.Table, p.Column), Key: "retention.policy", Problem: p.String()})
	}
	if cfg.Retention.EraseAfterImport < 24*time.Hour {
		findings = append(findings, finding{Key: "retention.erase_after_import", Advice: true, Problem: "is less than a day: an import that was a mistake can hardly be noticed in time"})
	}
	if has, err := store.HasDueIndex(ctx, pool, orders); err == nil && !has {
		findings = append(findings, finding{Key: "shop.orders", Advice: true, Problem: "finding due orders reads the whole table; this helps: " + orders.DueIndex()})
	}
	return findings
}

// policyLine is where the configuration names the table or column.
func policyLine(cfg config.Config, table, column string) int {
	for _, t := range cfg.Retention.Policy {
		if t.Table != table {
			continue
		}
		for _, c := range t.Columns {
			if c.Name == column {
				return c.Line
			}
		}
		return t.Line
	}
	return 0
}
