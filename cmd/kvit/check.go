package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"kvit/config"
	"kvit/destination"
	"kvit/erasure"
	"kvit/erasure/policy"
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

// checkReport is what `kvit check` prints.
type checkReport struct {
	OK       bool         `json:"ok"`
	Findings []finding    `json:"findings"`
	Proofs   []credential `json:"proofs"` // of destinations that are enabled; empty with --offline
}

func (a *app) checkCommand() *cobra.Command {
	var asJSON, offline bool
	var test string
	cmd := &cobra.Command{
		Use: "check", Short: "Find what is wrong with configuration, database, rights, column policy and credentials",
		Long: `Lists every problem and fails if there is one. It changes nothing and sends no event: an erasure
of one order a table is tried and rolled back, and credentials are proved by a call
of the provider's that counts nothing, where there is one; --offline makes no such calls.

--send-test is the exception. It sends one event to one destination and checks nothing else: the most harmless event that
the destination takes, of kvit-test@example.com, marked as a test as far as the provider has a mark for it.`,
		Example: "  kvit check\n  kvit check --offline --json\n  kvit check --send-test crm",
		Args:    usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case !cmd.Flags().Changed("send-test"):
				findings, proofs := a.check(cmd.Context(), offline)
				return a.report(findings, proofs, asJSON)
			case offline:
				return fmt.Errorf("%w: --offline and --send-test exclude each other", errUsage)
			default:
				return a.sendTest(cmd.Context(), test, asJSON)
			}
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&offline, "offline", false, "do not call the providers")
	cmd.Flags().StringVar(&test, "send-test", "", "send one test event to the destination of this name")
	return cmd
}

func (a *app) report(findings []finding, proofs []credential, asJSON bool) error {
	r := checkReport{OK: true, Findings: append([]finding{}, findings...), Proofs: append([]credential{}, proofs...)}
	for _, f := range findings {
		r.OK = r.OK && f.Advice
	}
	if asJSON {
		if err := printJSON(a.stdout, r); err != nil {
			return err
		}
	} else {
		r.print(a.stdout)
	}
	if !r.OK {
		return errReported
	}
	return nil
}

func (r checkReport) print(w io.Writer) {
	for _, p := range r.Proofs {
		if text := p.text(); text != "" {
			fmt.Fprintln(w, text)
		}
	}
	for _, f := range r.Findings {
		fmt.Fprintln(w, f.text())
	}
	if r.OK {
		fmt.Fprintln(w, "ok")
	}
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

// check goes as far as it can: without a configuration there is no database to look at. Providers and
// database are asked at the same time.
func (a *app) check(ctx context.Context, offline bool) ([]finding, []credential) {
	cfg, err := a.load()
	var mistakes *config.Errors
	if errors.As(err, &mistakes) {
		var findings []finding
		for _, p := range mistakes.Problems {
			findings = append(findings, finding{Line: p.Line, Key: p.Key, Problem: p.Problem})
		}
		return findings, nil
	}
	if err != nil {
		return []finding{{Key: "configuration", Problem: err.Error()}}, nil
	}
	findings := checkDestinations(cfg)
	wait := func() ([]finding, []credential) { return nil, nil }
	if !offline {
		wait = prove(ctx, cfg)
	}
	inDatabase := openAndCheckDatabase(ctx, cfg)
	unproved, proofs := wait()
	return slices.Concat(findings, unproved, inDatabase), proofs
}

func openAndCheckDatabase(ctx context.Context, cfg config.Config) []finding {
	pool, err := openPool(ctx, cfg)
	if err != nil {
		return []finding{{Key: "database.url", Problem: err.Error()}}
	}
	defer pool.Close()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return checkDatabase(ctx, cfg, pool)
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
	findings = append(findings, anchorFinding(ctx, cfg, pool)...)
	findings = append(findings, checkTables(ctx, cfg, pool)...)
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
	findings := checkOrders(ctx, pool, orders)
	if len(findings) == 0 {
		findings = checkClocks(ctx, cfg, pool, orders)
	}
	if len(findings) > 0 {
		return findings
	}
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
		findings = append(findings, policyFinding(cfg, p, false))
	}
	findings = append(findings, tryErasure(ctx, cfg, eraser)...)
	if cfg.Retention.EraseAfterImport < 24*time.Hour {
		findings = append(findings, finding{Key: "retention.erase_after_import", Advice: true, Problem: "is less than a day: an import that was a mistake can hardly be noticed in time"})
	}
	return slices.Concat(findings, checkReplicas(ctx, cfg, pool), checkDueIndexes(ctx, pool, orders), checkIndexes(ctx, eraser))
}

// checkOrders looks for references that two rows have, where no index does.
func checkOrders(ctx context.Context, pool *pgxpool.Pool, orders store.Orders) []finding {
	twice, err := store.ReferencesTwice(ctx, pool, orders)
	switch {
	case err != nil:
		return []finding{{Key: "shop.orders.ref", Problem: "look for references that two rows have: " + store.Describe(err)}}
	case twice > 0:
		return []finding{{Key: "shop.orders.ref", Problem: fmt.Sprintf("%d references have more than one row each: these orders are never erased", twice)}}
	}
	return nil
}

// checkClocks tries the predicates of the configuration one by one.
func checkClocks(ctx context.Context, cfg config.Config, pool *pgxpool.Pool, orders store.Orders) []finding {
	var findings []finding
	for i, clock := range orders.Clocks {
		if err := store.TryClock(ctx, pool, orders, clock); err != nil {
			findings = append(findings, finding{
				Line: cfg.Retention.Clocks[i].Line, Key: "retention.clocks." + clock.Name,
				Problem: "cannot be used, are when and since right? " + store.Describe(err),
			})
		}
	}
	return findings
}

// checkReplicas tells of replicas that cannot be seen.
func checkReplicas(ctx context.Context, cfg config.Config, pool *pgxpool.Pool) []finding {
	if cfg.Retention.MaxReplicaLag == 0 {
		return nil
	}
	lag, known, err := store.ReplicaLag(ctx, pool)
	advice := func(problem string) []finding {
		return []finding{{Key: "retention.max_replica_lag", Advice: true, Problem: problem}}
	}
	switch {
	case err != nil:
		return nil
	case !known:
		return advice("has no effect, since kvit's database role may not see how far replicas are behind: grant it pg_read_all_stats")
	case lag > cfg.Retention.MaxReplicaLag:
		return advice("is shorter than a replica is behind at the moment, " + lag.Round(time.Second).String() +
			": the erasure waits for it. Of a replica that is behind on purpose, write a longer one, or 0")
	}
	return nil
}

func checkIndexes(ctx context.Context, eraser *erasure.Eraser) []finding {
	missing, err := eraser.MissingIndexes(ctx)
	if err != nil {
		return []finding{{Key: "retention.policy", Problem: store.Describe(err)}}
	}
	var findings []finding
	for _, statement := range missing {
		findings = append(findings, finding{Key: "retention.policy", Advice: true, Problem: "each batch of an erasure reads the whole table; this helps: " + statement})
	}
	return findings
}

func checkDueIndexes(ctx context.Context, pool *pgxpool.Pool, orders store.Orders) []finding {
	var findings []finding
	asked := map[string]bool{}
	placed := store.Clock{Since: orders.PlacedAt}
	if has, err := store.HasDueIndex(ctx, pool, orders, placed); err == nil && !has {
		asked[orders.PlacedAt] = true
		lookup := store.Lookup{Table: orders.Table, Column: orders.PlacedAt}
		findings = append(findings, finding{Key: "shop.orders", Advice: true, Problem: "kvit reads the whole table every minute to find orders that are new; this helps: " + lookup.Index()})
	}
	for _, clock := range orders.AllClocks() {
		if asked[clock.Since] {
			continue
		}
		asked[clock.Since] = true
		if has, err := store.HasDueIndex(ctx, pool, orders, clock); err == nil && !has {
			findings = append(findings, finding{Key: "shop.orders", Advice: true, Problem: "finding due orders reads the whole table; this helps: " + orders.DueIndex(clock)})
		}
	}
	return findings
}

func policyFinding(cfg config.Config, p policy.Problem, advice bool) finding {
	return finding{Line: policyLine(cfg, p.Table, p.Column), Key: "retention.policy", Problem: p.String(), Advice: advice}
}

// tryErasure finds what the catalog does not tell, such as triggers.
func tryErasure(ctx context.Context, cfg config.Config, eraser *erasure.Eraser) []finding {
	trial, err := eraser.Trial(ctx)
	if err != nil {
		return []finding{{Key: "retention.policy", Problem: "try an erasure: " + store.Describe(err)}}
	}
	var findings []finding
	for _, p := range trial.Refused {
		findings = append(findings, policyFinding(cfg, p, false))
	}
	for _, p := range trial.Untried {
		findings = append(findings, policyFinding(cfg, p, true))
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
