package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kvit/delivery"
	"kvit/store"
)

// replayOptions are the flags of kvit replay.
type replayOptions struct {
	actionOptions
	outcomes       []string
	since, until   string
	events         []int64
	order          string
	includeUnclear bool
}

func (a *app) replayCommand() *cobra.Command {
	var o replayOptions
	cmd := &cobra.Command{
		Use: "replay", Short: "Send finished deliveries again",
		Long: `Sends events again whose delivery to a destination has ended. It prints what it has selected first, and
--dry-run stops there. Without --outcome, --event and --order it takes what failed or was lost; with an event or an order also
what was rejected, expired or withheld.

--since and --until are about when the delivery ended; they take a time, a day, or how long ago. Deliveries that are
delivered or superseded are only sent again if --outcome says so, with --event and --reason. What the provider may have
counted although no clear answer came is left out, unless --include-unclear. Erased events have no data to send. Nor is an
event sent twice at a time: what is pending is skipped.

Every replay is noted in kvit.delivery_action, with the receipts it took back in kvit.replayed_delivery.`,
		Example: `  kvit replay --destination crm --since 3d --dry-run
  kvit replay --destination crm --outcome rejected --outcome failed --since 2026-01-31 --reason 'ticket 7'
  kvit replay --destination crm --order E100042
  kvit replay --destination crm --event 4711 --outcome delivered --reason 'lost by the receiver'`,
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.replay(cmd.Context(), cmd.InOrStdin(), o) },
	}
	o.register(cmd)
	cmd.Flags().StringArrayVar(&o.outcomes, "outcome", nil, "outcome to send again, may be repeated: "+strings.Join(delivery.ReplayableOutcomes(), ", "))
	cmd.Flags().StringVar(&o.since, "since", "", "deliveries that ended at or after this time")
	cmd.Flags().StringVar(&o.until, "until", "", "deliveries that ended before this time; a day counts in full")
	cmd.Flags().Int64SliceVar(&o.events, "event", nil, "event_id, as kvit.delivery_status has it; may be repeated")
	cmd.Flags().StringVar(&o.order, "order", "", "the shop's reference of an order")
	cmd.Flags().BoolVar(&o.includeUnclear, "include-unclear", false, "also what the provider may have counted already")
	return cmd
}

func (a *app) replay(ctx context.Context, in io.Reader, o replayOptions) error {
	if _, err := a.replayAction(o, a.now()); err != nil {
		return err // wrong usage, which needs no database
	}
	now, err := a.databaseNow(ctx)
	if err != nil {
		return err
	}
	act, err := a.replayAction(o, now)
	if err != nil {
		return err
	}
	return a.act(ctx, in, o.actionOptions, act, "sent again")
}

func (a *app) replayAction(o replayOptions, now time.Time) (delivery.Action, error) {
	selection, err := o.selection(now)
	if err != nil {
		return delivery.Action{}, err
	}
	act, err := delivery.Replay(selection, a.audit(o.actionOptions))
	if err != nil {
		return delivery.Action{}, fmt.Errorf("%w: %w", errUsage, err)
	}
	return act, nil
}

func (o replayOptions) selection(now time.Time) (store.Replay, error) {
	since, err := parseMoment("since", o.since, now, false)
	if err != nil {
		return store.Replay{}, err
	}
	until, err := parseMoment("until", o.until, now, true)
	if err != nil {
		return store.Replay{}, err
	}
	return store.Replay{
		Destination: o.destination, Outcomes: o.outcomes, Since: since, Until: until,
		Events: unique(o.events), OrderRef: o.order, IncludeUnclear: o.includeUnclear,
	}, nil
}

// unique sorts ids and drops repeats; none stays nil.
func unique(ids []int64) []int64 {
	return slices.Compact(slices.Sorted(slices.Values(ids)))
}
