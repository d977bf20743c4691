package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"kvit/delivery"
	"kvit/store"
)

func (a *app) backfillCommand() *cobra.Command {
	var (
		o           actionOptions
		from, until string
	)
	cmd := &cobra.Command{
		Use: "backfill", Short: "Send a new destination the events that it has not seen",
		Long: `A destination gets the events that are inserted while it is configured, and nothing older until this command is
run: it sends those that occurred since --from, that the destination wants, and that have neither a receipt nor a pending
job there. It prints what it has selected first, and --dry-run stops there. Times are RFC 3339, days, or how long ago.`,
		Example: `  kvit backfill --destination ga4 --from 2d --dry-run
  kvit backfill --destination crm --from 2026-01-01 --until 2026-01-31 --reason 'new CRM' --yes`,
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.backfill(cmd.Context(), cmd.InOrStdin(), o, from, until)
		},
	}
	o.register(cmd)
	cmd.Flags().StringVar(&from, "from", "", "events that occurred at or after this time (required)")
	cmd.Flags().StringVar(&until, "until", "", "events that occurred before this time; a day counts in full")
	return cmd
}

func (a *app) backfill(ctx context.Context, in io.Reader, o actionOptions, from, until string) error {
	if _, err := backfillSelection(o.destination, from, until, a.now()); err != nil {
		return err // wrong usage, which needs no database
	}
	now, err := a.databaseNow(ctx)
	if err != nil {
		return err
	}
	selection, err := backfillSelection(o.destination, from, until, now)
	if err != nil {
		return err
	}
	return a.act(ctx, in, o, delivery.Backfill(selection, a.audit(o)), "queued")
}

func backfillSelection(destination, from, until string, now time.Time) (store.Backfill, error) {
	start, err := parseMoment("from", from, now, false)
	if err != nil {
		return store.Backfill{}, err
	}
	if start == nil {
		return store.Backfill{}, fmt.Errorf("%w: --from must be given", errUsage)
	}
	end, err := parseMoment("until", until, now, true)
	if err != nil {
		return store.Backfill{}, err
	}
	return store.Backfill{Destination: destination, From: *start, Until: end}, nil
}
