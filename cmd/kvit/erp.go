package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"kvit/config"
	"kvit/erp"
	"kvit/erp/watcher"
	"kvit/store"
)

func (a *app) erpCommand() *cobra.Command {
	cmd := group(&cobra.Command{
		Use: "erp list|probe|lookup", Short: "See what kvit knows of the ERPs, and ask them",
		Example: "  kvit erp list\n  kvit erp probe bc\n  kvit erp lookup bc E100042 E100043",
	})
	cmd.AddCommand(a.erpListCommand(), a.erpProbeCommand(), a.erpLookupCommand())
	return cmd
}

func (a *app) erpListCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "list", Short: "Tell when each ERP was last asked, and what went wrong",
		Example: "  kvit erp list\n  kvit erp list --json",
		Args:    usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, pool, _, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			defer pool.Close()
			list, err := store.ERPSources(cmd.Context(), pool)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(a.stdout, append([]store.ERPSourceStatus{}, list...))
			}
			return printERPs(a.stdout, list)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printERPs(w io.Writer, list []store.ERPSourceStatus) error {
	if len(list) == 0 {
		fmt.Fprintln(w, "no ERP is configured, or kvit run has not started with it yet")
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "SOURCE\tKIND\tLAST SUCCESS\tCALLS TODAY\tEVIDENCE\tSTATE")
	for _, s := range list {
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%d\t%s\n", s.Name, s.Kind, moment(s.LastSuccessAt), s.Calls, s.Evidence, erpState(s))
	}
	return t.Flush()
}

// erpState says in a line how a source does.
func erpState(s store.ERPSourceStatus) string {
	switch {
	case !s.Enabled:
		return "switched off"
	case s.Failures > 0 && s.LastError != nil:
		return fmt.Sprintf("FAILS (%d times): %s", s.Failures, *s.LastError)
	case s.LastSuccessAt == nil:
		return "not asked yet"
	case s.Silent:
		return "SILENT: no success for three polls"
	case s.Warning != nil:
		return "warning: " + *s.Warning
	default:
		return "ok"
	}
}

func (a *app) erpProbeCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "probe NAME", Short: "Prove an ERP's credentials and company",
		Long:    "Reads what proves that credentials and company are right. It changes nothing, here or in the ERP.",
		Example: "  kvit erp probe bc",
		Args:    usage(cobra.ExactArgs(1)),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.erpProbe(cmd.Context(), args[0], asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// erpProof is what kvit erp probe prints.
type erpProof struct {
	Source  string     `json:"source"`
	OK      bool       `json:"ok"`
	Proved  string     `json:"proved,omitempty"`
	Problem string     `json:"problem,omitempty"`
	Expires *time.Time `json:"credentials_expire,omitempty"`
}

func (a *app) erpProbe(ctx context.Context, name string, asJSON bool) error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	e, err := erpNamed(cfg, name)
	if err != nil {
		return err
	}
	proof := probeERP(ctx, e)
	switch {
	case asJSON:
		if err := printJSON(a.stdout, proof); err != nil {
			return err
		}
	case proof.OK:
		fmt.Fprintf(a.stdout, "proved: erp.%s: %s\n", name, proof.Proved)
	default:
		fmt.Fprintf(a.stdout, "problem: erp.%s: %s\n", name, proof.Problem)
	}
	if !proof.OK {
		return errReported
	}
	return nil
}

func erpNamed(cfg config.Config, name string) (config.ERP, error) {
	i := slices.IndexFunc(cfg.ERPs, func(e config.ERP) bool { return e.Name == name })
	if i < 0 {
		return config.ERP{}, fmt.Errorf("%w: no ERP is called %q", errUsage, name)
	}
	return cfg.ERPs[i], nil
}

func probeERP(ctx context.Context, e config.ERP) erpProof {
	source, err := erpSource(e, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		return erpProof{Source: e.Name, Problem: err.Error()}
	}
	source.Meter.Begin(erp.Unlimited)
	proof, err := source.Connector.Probe(ctx)
	if err != nil {
		return erpProof{Source: e.Name, Problem: err.Error()}
	}
	return erpProof{Source: e.Name, OK: true, Proved: proof.Company, Expires: proof.Expires}
}

func (a *app) erpLookupCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "lookup NAME ORDER...", Short: "Show what an ERP has of orders, and what kvit would conclude",
		Long: `Asks the ERP for orders by the shop's references, without the prefix. It changes nothing, here or in the ERP. Exit code 1
tells that one of the orders is not in the ERP.`,
		Example: "  kvit erp lookup bc E100042 E100043",
		Args:    usage(cobra.MinimumNArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.erpLookup(cmd.Context(), args[0], args[1:], asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (a *app) erpLookup(ctx context.Context, name string, refs []string, asJSON bool) error {
	cfg, pool, logger, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer pool.Close()
	e, err := erpNamed(cfg, name)
	if err != nil {
		return err
	}
	source, err := erpSource(e, nil, logger)
	if err != nil {
		return err
	}
	w := watcher.New(watcher.Options{DB: pool, Orders: *shopOrders(cfg), Source: source, Logger: logger})
	answers, err := w.Ask(ctx, refs)
	var failed *erp.Error
	if errors.As(err, &failed) {
		return fmt.Errorf("ask %s: %w", name, failed)
	}
	if err != nil {
		return err
	}
	if asJSON {
		err = printJSON(a.stdout, answers)
	} else {
		printAnswers(a.stdout, answers)
	}
	if err == nil && slices.ContainsFunc(answers, func(a watcher.Answer) bool { return !a.Imported }) {
		return errReported
	}
	return err
}

func printAnswers(w io.Writer, answers []watcher.Answer) {
	for _, answer := range answers {
		fmt.Fprintf(w, "%s: %s\n", answer.OrderRef, answer.Conclusion)
		for _, d := range answer.Documents {
			of := ""
			if d.OrderNumber != "" {
				of = " of order " + d.OrderNumber
			}
			fmt.Fprintf(w, "  %s %s%s, reference %q: %s\n", d.Kind, d.Number, of, d.Ref, d.Counts)
		}
	}
}

// checkERPs finds what would keep ERPs from being asked, or what they have from being believed.
func checkERPs(ctx context.Context, cfg config.Config, offline bool) []finding {
	var findings []finding
	for _, e := range cfg.ERPs {
		key := "erp." + e.Name
		if e.RefPrefix == "" {
			findings = append(findings, finding{Line: e.Line, Key: key + ".ref_prefix", Advice: true,
				Problem: "without a prefix, a number that a customer has written as their own purchase order's can be taken for an order's: let the import set one"})
		}
		if e.Poll < 10*time.Second {
			findings = append(findings, finding{Line: e.Line, Key: key + ".poll", Advice: true, Problem: "of less than 10s is more than most ERPs like to be asked"})
		}
		if problem := erpProblem(e); problem != "" {
			findings = append(findings, finding{Line: e.Line, Key: key, Problem: problem})
			continue
		}
		if !e.Enabled || offline {
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, max(proveTimeout, e.Timeout))
		proof := probeERP(ctx, e)
		cancel()
		if !proof.OK {
			findings = append(findings, finding{Line: e.Line, Key: key, Problem: "is not proved: " + proof.Problem})
		}
	}
	return findings
}

// erpProblem is why a connector cannot be made; empty: it can.
func erpProblem(e config.ERP) string {
	if _, err := erpSource(e, nil, slog.New(slog.DiscardHandler)); err != nil {
		return strings.TrimPrefix(err.Error(), "make ERP "+e.Name+": ")
	}
	return ""
}

// checkERPSizes finds what would keep documents from being compared with orders.
func checkERPSizes(ctx context.Context, cfg config.Config, pool *pgxpool.Pool) []finding {
	orders := shopOrders(cfg)
	if orders == nil || orders.Total == "" && orders.Lines == nil {
		return nil
	}
	if err := store.CheckOrderSizes(ctx, pool, *orders); err != nil {
		return []finding{{Key: "shop.orders", Problem: "lines and total cannot be read: " + store.Describe(err)}}
	}
	return nil
}

// checkERPRefs finds references that an ERP's field cannot hold.
func checkERPRefs(ctx context.Context, cfg config.Config, pool *pgxpool.Pool) []finding {
	orders := shopOrders(cfg)
	if orders == nil || len(cfg.ERPs) == 0 {
		return nil
	}
	longest, err := store.LongestOpenRef(ctx, pool, *orders)
	if err != nil {
		return nil // what is wrong with the orders table is a finding already
	}
	var findings []finding
	for _, e := range cfg.ERPs {
		matcher := erp.Matcher{Prefix: e.RefPrefix, MaxLength: e.RefMaxLength}
		if _, fits := matcher.Spell(strings.Repeat("0", longest)); longest > 0 && !fits {
			findings = append(findings, finding{Line: e.Line, Key: "erp." + e.Name + ".ref_max_length", Problem: fmt.Sprintf(
				"orders that wait have references of %d characters; with its prefix one must be shorter than the %d of the ERP's field, or it is never found", longest, e.RefMaxLength)})
		}
	}
	return findings
}
