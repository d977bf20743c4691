package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"kvit/delivery"
	"kvit/store"
)

func (a *app) historyCommand() *cobra.Command {
	var (
		o           actionOptions
		from, until string
		file        string
		force       bool
	)
	cmd := &cobra.Command{
		Use: "history", Short: "Insert the shop's past orders and accounts as events, and send them to a destination",
		Long: `Reads what the shop did before kvit was there, by the function kvit_events.past that kvit init has written for the shop,
and inserts it as events with their real times and the keys that the shop's own events have: what kvit knows already is no
repeat, and orders whose data is erased stay away. Then it sends them to one destination, as kvit backfill does. Events that are
older than the destination takes end as expired. It prints what it has found first, and --dry-run stops there.

With --csv it stores and sends nothing, but writes the file that the provider's own import takes, where it has one (SPREAD): the same
values, by the same consent and max_age. Of SPREAD's columns, those from Email to Genre and the pairs of consents have the names
of its help; Société and all that follows, those of the order among them, are inferred: map them in its import, and try a few lines first.`,
		Example: "  kvit history --destination spread --from 2026-01-01 --dry-run\n  kvit history --destination spread --from 90d --reason 'new tracker' --yes\n  kvit history --destination spread --from 2024-01-01 --csv past.csv --reason import --yes",
		Args:    usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.history(cmd.Context(), cmd.InOrStdin(), o, span{from, until}, importFile{file, force})
		},
	}
	o.register(cmd)
	cmd.Flags().StringVar(&from, "from", "", "what happened at or after this time (required)")
	cmd.Flags().StringVar(&until, "until", "", "what happened before this time; a day counts in full (default now)")
	cmd.Flags().StringVar(&file, "csv", "", "write this file for the provider's own import, and send nothing")
	cmd.Flags().BoolVar(&force, "force", false, "replace the file if it is there")
	return cmd
}

// span is of time, as flags give it.
type span struct{ from, until string }

// importFile is where to write instead of sending; an empty name: nowhere.
type importFile struct {
	name  string
	force bool
}

func (a *app) history(ctx context.Context, in io.Reader, o actionOptions, s span, file importFile) error {
	if _, err := backfillSelection(o.destination, s.from, s.until, a.now()); err != nil {
		return err // wrong usage, which needs no database
	}
	now, err := a.databaseNow(ctx)
	if err != nil {
		return err
	}
	selection, err := backfillSelection(o.destination, s.from, s.until, now)
	if err != nil {
		return err
	}
	past := store.History{From: selection.From, Until: now}
	if selection.Until != nil {
		past.Until = *selection.Until
	}
	if file.name != "" {
		return a.historyToFile(ctx, in, o, past, file.name, file.force)
	}
	if err := a.storeHistory(ctx, o, past); err != nil || o.dryRun {
		return err
	}
	return a.act(ctx, in, o, delivery.Backfill(selection, a.audit(o)), "queued")
}

// storeHistory prints what the past holds, and stores it unless that is all that was asked for.
func (a *app) storeHistory(ctx context.Context, o actionOptions, past store.History) error {
	_, pool, _, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer pool.Close()
	found, err := store.PreviewHistory(ctx, pool, past)
	if err != nil {
		return historyError(err)
	}
	if !o.asJSON {
		if err := a.printHistory(found); err != nil {
			return err
		}
	} else if o.dryRun {
		return printJSON(a.stdout, found)
	}
	if o.dryRun {
		return nil
	}
	if err := a.askedFor(ctx, pool, o.entry("history")); err != nil {
		return err
	}
	return a.storeDays(ctx, pool, past)
}

// storeDays stores day by day, so that no transaction is long and an interruption loses little.
func (a *app) storeDays(ctx context.Context, pool *pgxpool.Pool, past store.History) error {
	const day = 24 * time.Hour
	var stored int64
	for from := past.From; from.Before(past.Until); from = from.Add(day) {
		until := from.Add(day)
		if until.After(past.Until) {
			until = past.Until
		}
		n, err := store.InsertHistory(ctx, pool, store.History{From: from, Until: until})
		if err != nil {
			return historyError(err)
		}
		stored += n
		if isTerminal(a.stderr) {
			fmt.Fprintf(a.stderr, "\r%s: %d events stored ", from.Format(time.DateOnly), stored)
		}
	}
	fmt.Fprintf(a.stderr, "%d events of the past stored\n", stored)
	return nil
}

func (a *app) printHistory(found []store.PastEvents) error {
	t := tabwriter.NewWriter(a.stdout, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "EVENTS\tOF THESE KNOWN\tNAME\tOLDEST\tNEWEST")
	for _, p := range found {
		fmt.Fprintf(t, "%d\t%d\t%s\t%s\t%s\n", p.Events, p.Known, p.Name, moment(&p.Oldest), moment(&p.Newest))
	}
	return t.Flush()
}

func historyError(err error) error {
	if errors.Is(err, store.ErrNoHistory) {
		return fmt.Errorf("%w: `kvit init` writes it for shops that it knows; for another shop write it yourself (docs/shops/README.md)", err)
	}
	return errors.New("read the shop's past: " + store.Describe(err))
}
