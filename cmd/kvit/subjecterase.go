package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"kvit/config"
	"kvit/destination"
	"kvit/erasure"
	"kvit/store"
)

func (a *app) subjectEraseCommand() *cobra.Command {
	var (
		q              erasure.SubjectRequest
		dryRun, asJSON bool
	)
	cmd := &cobra.Command{
		Use: "erase", Short: "Erase what there is of a person, now instead of later (GDPR article 17)",
		Long: `Erases the person's orders that the ERP has or that are due, rows that carry the e-mail address or customer id without an
order, and the person's events; each order gets its certificate. Orders that the ERP does not have yet, and those on hold, are
refused: kvit says why, and when they go. Run it again for the rest; it never does anything twice.

Providers that have a call for it are told, with the address or id that you type: kvit keeps neither. For the others
a task stays open, see kvit subject tasks. The reference is stored and shown: write no personal data into it.

Tables of the configuration in which nothing was looked for are listed, with the reason.

Exit 1 if anything stays, a table that the policy names could not be searched, or a provider could not be told.`,
		Example: `  kvit subject erase --email - --reference TICKET-17 --by anna --dry-run
  kvit subject erase --customer-id 4711 --reference TICKET-17 --by anna`,
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := readSubject(cmd.InOrStdin(), &q.Subject); err != nil {
				return err
			}
			if err := checkRequest(q); err != nil {
				return err
			}
			return a.subjectErase(cmd.Context(), q, dryRun, asJSON)
		},
	}
	registerSubject(cmd, &q.Subject)
	cmd.Flags().StringVar(&q.Reference, "reference", "", "what you call the request, a ticket's number for instance (required); the same when you run it again")
	cmd.Flags().StringVar(&q.By, "by", "", "who carries it out (required)")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "run the real statements and roll them back; tell nobody")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// checkRequest refuses a request that nobody could be asked about, or that would keep what has to go.
func checkRequest(q erasure.SubjectRequest) error {
	if q.Reference == "" || q.By == "" {
		return fmt.Errorf("%w: --reference and --by must be given", errUsage)
	}
	if err := q.CheckReference(); err != nil {
		return fmt.Errorf("%w: --reference %w", errUsage, err)
	}
	return nil
}

func (a *app) subjectErase(ctx context.Context, q erasure.SubjectRequest, dryRun, asJSON bool) error {
	cfg, pool, eraser, err := a.openEraser(ctx)
	if err != nil {
		return err
	}
	defer pool.Close()
	if !dryRun {
		if err := a.askedFor(ctx, pool, store.AuditEntry{Who: q.By, Action: "subject erase", Subject: q.Reference}); err != nil {
			return err
		}
	}
	request := erasure.SubjectErasure{
		Eraser: eraser, Shop: shopOrders(cfg), Anchor: anchorOf(cfg), Recipients: recipientsIn(cfg.Destinations, eraser.Logger),
	}
	result, err := request.Do(ctx, q, dryRun)
	if errors.Is(err, store.ErrNotSearchable) {
		return err
	}
	if result.AnchorProblem != nil {
		fmt.Fprintf(a.stderr, "kvit: warning: %v\n", result.AnchorProblem)
	}
	if asJSON {
		err = errors.Join(err, printJSON(a.stdout, result))
	} else {
		printForgotten(a.stdout, result)
	}
	if err == nil && result.Incomplete() {
		return errReported
	}
	return err
}

// recipientsIn makes an adapter when it is asked for: most requests concern few destinations.
func recipientsIn(destinations []config.Destination, logger *slog.Logger) []erasure.Recipient {
	var list []erasure.Recipient
	for _, d := range destinations {
		list = append(list, erasure.Recipient{
			Name: d.Name, Adapter: func() (destination.Destination, error) { return adapterOf(d, logger) },
		})
	}
	return list
}

func printForgotten(w io.Writer, r erasure.SubjectResult) {
	if r.DryRun {
		fmt.Fprintln(w, "dry run: everything below was done and rolled back, and nobody was told")
	}
	if foundNothing(r) {
		fmt.Fprintln(w, "nothing found")
	}
	for _, o := range r.Erased {
		fmt.Fprintf(w, "order %s: erased\n", o.OrderRef)
		if o.Shared > 0 {
			fmt.Fprintf(w, "order %s: %d rows stay, because other orders that are not erased have them, too\n", o.OrderRef, o.Shared)
		}
	}
	for _, o := range r.Refused {
		fmt.Fprintf(w, "order %s: not erased: %s%s\n", orNone(o.OrderRef), o.Reason, goes(o.GoesAt))
	}
	for _, table := range slices.Sorted(maps.Keys(r.Rows)) {
		fmt.Fprintf(w, "rows of %s: %d\n", table, r.Rows[table])
	}
	for _, table := range slices.Sorted(maps.Keys(r.Shared)) {
		fmt.Fprintf(w, "rows of %s that stay with orders that are not erased: %d\n", table, r.Shared[table])
	}
	for _, ref := range slices.Sorted(maps.Keys(r.Kept)) {
		fmt.Fprintf(w, "events that stay with order %s, which is not erased: %d\n", ref, r.Kept[ref])
	}
	for _, u := range r.Unsearched {
		fmt.Fprintf(w, "not searched: %s\n", u)
	}
	printCopies(w, r.Copies)
	for _, note := range r.Notes {
		fmt.Fprintln(w, note)
	}
	for _, t := range r.Tasks {
		fmt.Fprintf(w, "destination %s: %s\n", t.Destination, taskState(t, r.DryRun))
	}
}

// printCopies tells of the search for values of the person.
func printCopies(w io.Writer, copies *erasure.ResidueReport) {
	if copies == nil {
		fmt.Fprintln(w, "not looked for copies elsewhere: retention.residue.orders is 0, or nothing was known to look for")
		return
	}
	printResidue(w, *copies)
}

func foundNothing(r erasure.SubjectResult) bool {
	return len(r.Erased)+len(r.Refused)+len(r.Rows)+len(r.Shared)+len(r.Kept)+len(r.Tasks) == 0
}

func taskState(t erasure.ToldTask, dryRun bool) string {
	switch {
	case t.Told:
		return "told"
	case dryRun:
		return "would be told, or get a task"
	case t.Problem != nil:
		return fmt.Sprintf("not told: task %d is open: %s", t.ID, *t.Problem)
	default:
		return fmt.Sprintf("not told: task %d is open", t.ID)
	}
}

func orNone(ref string) string {
	if ref == "" {
		return "(none)"
	}
	return ref
}

func goes(at *time.Time) string {
	if at == nil {
		return ""
	}
	return "; goes at the first erasure after " + at.UTC().Format(time.RFC3339)
}
