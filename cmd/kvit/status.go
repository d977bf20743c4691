package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"kvit/config"
	"kvit/erasure"
	"kvit/erasure/policy"
	"kvit/store"
	"kvit/watch"
)

// status is what `kvit status --json` prints.
type status struct {
	Destinations []store.DestinationStatus `json:"destinations"`
	Outcomes     []store.OutcomeCount      `json:"outcomes"`
	LeftOut      []store.FieldLeftOut      `json:"fields_left_out"` // of events delivered in the last 7 days
	Orders       *store.OrdersStatus       `json:"orders"`          // null: shop.orders is not configured, or does not fit
	ShopMisfits  []string                  `json:"shop_misfits"`    // where the orders table does not fit; no order is marked or erased
	LastErasure  *time.Time                `json:"last_erasure"`
	Braked       int                       `json:"braked"` // orders, rows of one rule, or events that were due when the brake stopped the last run; 0: it did not
	Tables       []erasure.TableStatus     `json:"tables"`

	Residue []store.ResidueStatus `json:"residue"` // columns that hold values of erased orders

	OpenTasks  int64      `json:"open_tasks"` // destinations that somebody has to tell about a person's request
	OldestTask *time.Time `json:"oldest_task"`

	PolicyProblems []policy.Problem `json:"policy_problems"` // each stops the erasure of its table

	Clocks clocks `json:"clocks"`

	Reads *readState `json:"reads"` // where all but clocks and policy was read; null: no database.read_url
}

func (a *app) statusCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "status", Short: "Tell where everything stands: queues, imports, erasures",
		Example: "  kvit status\n  kvit status --json | jq .destinations",
		Args:    usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, pool, _, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			defer pool.Close()
			reads, err := openReads(cmd.Context(), cfg, pool, slog.New(slog.DiscardHandler))
			if err != nil {
				return err
			}
			defer reads.Close()
			reads.Look(cmd.Context())
			view, err := watch.New(a.watchOptions(pool, slog.New(slog.DiscardHandler))).Look(cmd.Context())
			if err != nil {
				return err
			}
			s, err := readStatus(cmd.Context(), cfg, pool, reads.Pool, view.Database)
			if err != nil {
				return err
			}
			s.Clocks, s.Reads = clocksOf(view), readStateOf(reads)
			if asJSON {
				return printJSON(a.stdout, s)
			}
			return s.print(a.stdout, view.Database)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// readStatus takes the database's time, by which things are overdue. What may be a moment old comes from reads; whether the
// policy fits is asked of the primary.
func readStatus(ctx context.Context, cfg config.Config, pool, reads *pgxpool.Pool, now time.Time) (status, error) {
	var s status
	grace, err := overdueAfter(cfg)
	if err != nil {
		return s, err
	}
	if s.Destinations, err = store.DestinationStatuses(ctx, reads); err != nil {
		return s, err
	}
	if s.Outcomes, err = store.OutcomeCounts(ctx, reads); err != nil {
		return s, err
	}
	if s.LeftOut, err = store.FieldsLeftOut(ctx, reads, now.AddDate(0, 0, -7)); err != nil {
		return s, err
	}
	if s.LastErasure, err = store.LastErasureSuccess(ctx, reads); err != nil {
		return s, err
	}
	if s.Braked, err = store.Braked(ctx, reads); err != nil {
		return s, err
	}
	if s.Residue, err = store.OpenResidues(ctx, reads); err != nil {
		return s, err
	}
	if s.OpenTasks, s.OldestTask, err = store.TaskBacklog(ctx, reads); err != nil {
		return s, err
	}
	if err := s.readOrders(ctx, cfg, reads, grace(now)); err != nil {
		return s, err
	}
	return s, s.readErasure(ctx, cfg, pool, grace(now))
}

// readOrders says nothing of orders that it cannot read, but why.
func (s *status) readOrders(ctx context.Context, cfg config.Config, pool *pgxpool.Pool, grace time.Duration) error {
	s.ShopMisfits = []string{}
	orders := shopOrders(cfg)
	if orders == nil {
		return nil
	}
	misfits, err := store.ShopMisfits(ctx, pool, *orders)
	if err != nil || len(misfits) > 0 {
		s.ShopMisfits = misfits
		return err
	}
	o, err := store.ReadOrdersStatus(ctx, pool, *orders, grace)
	s.Orders = &o
	return err
}

// readErasure asks what kvit alone knows, and not its tables.
func (s *status) readErasure(ctx context.Context, cfg config.Config, pool *pgxpool.Pool, grace time.Duration) error {
	eraser, err := newEraser(cfg, pool, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	if s.Tables, err = eraser.TablesStatus(ctx, grace); err != nil {
		return err
	}
	problems, err := eraser.Problems(ctx)
	s.PolicyProblems = append([]policy.Problem{}, problems...)
	return err
}

func (s status) print(w io.Writer, now time.Time) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	s.Clocks.print(t)
	s.Reads.print(t, now)
	fmt.Fprintln(t, "DESTINATION\tKIND\tSTATE\tPENDING\tRETRYING\tOLDEST")
	for _, d := range s.Destinations {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", d.Name, d.Kind, stateOf(d),
			counted(d.Pending, d.PendingExact), counted(d.Retrying, d.PendingExact), ago(d.OldestPending, now))
	}
	for _, d := range s.Destinations {
		if d.HeldReason != nil && d.Enabled {
			fmt.Fprintf(t, "%s is left alone since %s: %s\n", d.Name, ago(d.HeldSince, now), *d.HeldReason)
		}
	}
	for _, d := range s.Destinations {
		if d.Lost > 0 {
			fmt.Fprintf(t, "LOST\t%s has %s deliveries without receipt or job: kvit replay --destination %s --outcome lost\n", d.Name, bounded(d.Lost), d.Name)
		}
		if d.UnreadConsent > 0 {
			fmt.Fprintf(t, "CONSENT NOT UNDERSTOOD\t%s withheld %s events within a day: see docs/shop.md, Consent\n", d.Name, bounded(d.UnreadConsent))
		}
	}
	if len(s.Outcomes) > 0 {
		fmt.Fprintln(t, "\nDESTINATION\tOUTCOME\tEVENTS")
	}
	for _, o := range s.Outcomes {
		fmt.Fprintf(t, "%s\t%s\t%s\n", o.Destination, o.Outcome, counted(o.Count, o.Exact))
	}
	if len(s.LeftOut) > 0 {
		fmt.Fprintln(t, "\nDELIVERED WITHOUT\tFIELD\tEVENTS OF 7 DAYS\tLAST\tWHY")
	}
	for _, f := range s.LeftOut {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", f.Destination, f.Field, ofNewest(f), ago(&f.Last, now), f.Why)
	}
	if s.Orders != nil {
		fmt.Fprintf(t, "\nORDERS\t\n")
		fmt.Fprintf(t, "awaiting import\t%d\toldest %s\n", s.Orders.AwaitingImport, ago(s.Orders.OldestAwaiting, now))
		fmt.Fprintf(t, "imports late\t%d\n", s.Orders.ImportsLate)
		fmt.Fprintf(t, "erasures due\t%d\n", s.Orders.ErasuresDue)
		fmt.Fprintf(t, "erasures overdue\t%d\n", s.Orders.ErasuresOverdue)
		fmt.Fprintf(t, "held\t%d\n", s.Orders.ErasuresHeld)
	}
	for _, m := range s.ShopMisfits {
		fmt.Fprintf(t, "SHOP DOES NOT FIT\t%s\n", m)
	}
	for _, c := range s.Tables {
		fmt.Fprintf(t, "rows by retention.tables.%s\t%d due\t%d overdue\n", c.Rule, c.Due, c.Overdue)
	}
	fmt.Fprintf(t, "policy problems\t%d\n", len(s.PolicyProblems))
	for _, p := range s.PolicyProblems {
		fmt.Fprintf(t, "not erased: %s\n", p)
	}
	if s.OpenTasks > 0 {
		fmt.Fprintf(t, "open tasks\t%d\toldest %s: kvit subject tasks\n", s.OpenTasks, ago(s.OldestTask, now))
	}
	fmt.Fprintf(t, "last erasure\t%s\n", ago(s.LastErasure, now))
	for _, r := range s.Residue {
		fmt.Fprintf(t, "COPIES LEFT\t%s.%s holds values of erased orders, seen %s: kvit policy scan\n", r.Table, r.Column, ago(&r.LastSeenAt, now))
	}
	if s.Braked > 0 {
		fmt.Fprintf(t, "BRAKED\t%d orders, rows or events were due: kvit erase --dry-run, then kvit erase --confirm\n", s.Braked)
	}
	return t.Flush()
}

// ofNewest is how many events went without a member, and of how many where not all were read.
func ofNewest(f store.FieldLeftOut) string {
	if f.Exact {
		return strconv.FormatInt(f.Count, 10)
	}
	return fmt.Sprintf("%d of the newest %d", f.Count, store.OmissionsRead)
}

// counted is a number of rows, and how exact it is.
func counted(n int64, exact bool) string {
	switch text := strconv.FormatInt(n, 10); {
	case exact:
		return text
	case n == store.CountedUpTo:
		return text + " or more"
	default:
		return "about " + text
	}
}

// bounded is a number that is counted no further than store.CountedUpTo.
func bounded(n int64) string { return counted(n, n < store.CountedUpTo) }

func stateOf(d store.DestinationStatus) string {
	switch {
	case d.RemovedAt != nil:
		return "removed"
	case d.DisabledReason != nil:
		return "DISABLED BY RECEIVER"
	case d.Enabled && d.HeldUntil != nil:
		return "HELD"
	case !d.Enabled:
		return "off"
	default:
		return "on"
	}
}

// ago is a time as an operator reads it at night.
func ago(t *time.Time, now time.Time) string {
	if t == nil {
		return "-"
	}
	d := now.Sub(*t)
	if d < -time.Minute {
		return "IN THE FUTURE, at " + t.UTC().Format(time.RFC3339)
	}
	d = max(d, 0)
	if d > 48*time.Hour {
		return fmt.Sprintf("%d days ago", int(d/(24*time.Hour)))
	}
	return d.Round(time.Second).String() + " ago"
}

func printJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}
