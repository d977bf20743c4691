package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"kvit/config"
	"kvit/destination"
	"kvit/erasure"
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
	Proofs   []credential `json:"proofs"`            // of destinations that are enabled; empty with --offline
	Consent  string       `json:"consent,omitempty"` // by which map consent is read; empty: by none
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
	if cfg, err := a.load(); err == nil { // otherwise the findings say so
		r.Consent = describeConsent(cfg.Consent)
	}
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
	if r.Consent != "" {
		fmt.Fprintln(w, "consent: "+r.Consent)
	}
	for _, f := range r.Findings {
		fmt.Fprintln(w, f.text())
	}
	if r.OK {
		fmt.Fprintln(w, "ok")
	}
}

// describeConsent says which map is active, and what each purpose needs; empty: there is none.
func describeConsent(c *config.Consent) string {
	if c == nil {
		return ""
	}
	categories := map[string][]string{}
	for category, purpose := range c.Purposes {
		categories[purpose] = append(categories[purpose], category)
	}
	var purposes []string
	for purpose, all := range categories {
		slices.Sort(all)
		purposes = append(purposes, purpose+" = "+strings.Join(all, " and "))
	}
	slices.Sort(purposes)
	return fmt.Sprintf("map %s, form %s: %s", c.Map, c.Form, strings.Join(purposes, ", "))
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
	findings := slices.Concat(checkDestinations(cfg), checkERPs(ctx, cfg, offline), checkChannels(ctx, cfg.Channels, offline))
	if !offline { // a build machine has other addresses
		findings = append(findings, checkListen(ctx, cfg.Ops.Listen)...)
		if _, err := opsTLS(cfg.Ops); err != nil {
			findings = append(findings, finding{Key: "ops.tls", Problem: err.Error()})
		}
		if oidc := oidcOf(cfg.Ops); oidc != nil {
			if err := oidc.Check(ctx); err != nil {
				findings = append(findings, finding{Key: "ops.oidc.issuer", Problem: "is not proved: " + err.Error()})
			}
		}
	}
	wait := func() ([]finding, []credential) { return nil, nil }
	if !offline {
		wait = prove(ctx, cfg)
	}
	inDatabase := a.openAndCheckDatabase(ctx, cfg)
	unproved, proofs := wait()
	return slices.Concat(findings, unproved, inDatabase), proofs
}

func (a *app) openAndCheckDatabase(ctx context.Context, cfg config.Config) []finding {
	pool, err := openPool(ctx, cfg)
	if err != nil {
		return []finding{{Key: "database.url", Problem: err.Error()}}
	}
	defer pool.Close()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return a.checkDatabase(ctx, cfg, pool)
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
		for _, problem := range unusable(d, adapter) {
			findings = append(findings, finding{Line: d.Line, Key: key + ".events", Problem: problem})
		}
	}
	return findings
}

// checkListen finds an address that kvit run could not listen on. The port is not tried: a kvit that runs has it.
func checkListen(ctx context.Context, address string) []finding {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil // off; anything else is refused when the configuration is read
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return []finding{{Key: "ops.listen", Problem: "this machine cannot listen there: " + err.Error()}}
	}
	_ = listener.Close()
	return nil
}

// wanted tells whether a list of names covers one; "custom:*" covers every custom event.
func wanted(names []string, name string) bool {
	return slices.Contains(names, name) ||
		strings.HasPrefix(name, destination.CustomPrefix) && slices.Contains(names, destination.AnyCustom)
}

// checkDatabase asks the rooms that need it, once it is there and fits.
func (a *app) checkDatabase(ctx context.Context, cfg config.Config, pool *pgxpool.Pool) []finding {
	if err := pool.Ping(ctx); err != nil {
		return []finding{{Key: "database", Problem: store.Describe(err)}}
	}
	version, err := store.ServerVersion(ctx, pool)
	if err != nil {
		return []finding{{Key: "database", Problem: store.Describe(err)}}
	}
	var findings []finding
	if version < 140000 {
		findings = append(findings, finding{Key: "database", Problem: "is older than Postgres 14"})
	}
	if err := migrations.Check(ctx, pool); errors.Is(err, migrations.ErrOldSchema) {
		return append(findings, finding{Key: "database", Problem: err.Error()})
	} else if err != nil {
		return append(findings, finding{Key: "database", Problem: store.Describe(err)})
	}
	return slices.Concat(findings, checkDoors(ctx, cfg, pool), a.checkClocks(ctx, pool), checkErasure(ctx, cfg, pool), checkERPRefs(ctx, cfg, pool), checkERPSizes(ctx, cfg, pool), checkReads(ctx, cfg, pool))
}

func checkErasure(ctx context.Context, cfg config.Config, pool *pgxpool.Pool) []finding {
	eraser, err := newEraser(cfg, pool, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		return []finding{{Key: "retention.schedule", Problem: err.Error()}}
	}
	found := slices.Concat(anchorOf(cfg).Findings(ctx, pool), eraser.TableFindings(ctx))
	if shop := shopOrders(cfg); shop != nil {
		found = append(found, eraser.OrderFindings(ctx, *shop)...)
	}
	var findings []finding
	for _, f := range found {
		findings = append(findings, finding{Line: lineOf(cfg.Retention, f), Key: f.Key, Problem: f.Problem, Advice: f.Advice})
	}
	return findings
}

// lineOf is where the configuration says what the finding is about; 0: in no one place.
func lineOf(r config.Retention, f erasure.Finding) int {
	for _, clock := range r.Clocks {
		if f.Key == "retention.clocks."+clock.Name {
			return clock.Line
		}
	}
	for _, rule := range r.Tables {
		if f.Key == "retention.tables."+rule.Name {
			return rule.Line
		}
	}
	return policyLine(r.Policy, f.Table, f.Column)
}

// policyLine is where the policy names the table or column.
func policyLine(tables []config.TablePolicy, table, column string) int {
	for _, t := range tables {
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
