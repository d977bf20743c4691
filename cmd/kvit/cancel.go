package main

import (
	"github.com/spf13/cobra"

	"kvit/delivery"
	"kvit/store"
)

func (a *app) cancelCommand() *cobra.Command {
	var (
		o         actionOptions
		selection store.Cancel
	)
	cmd := &cobra.Command{
		Use: "cancel", Short: "End deliveries that wait, of a destination that was removed for instance",
		Long: `Ends the pending deliveries of a destination as failed, "` + store.CancelledReason + `": all, or those of an order or an
event. What is being sent at this moment is left alone and counted; run it again for those. kvit replay takes it back. It
prints what it has selected first, and --dry-run stops there.`,
		Example: `  kvit cancel --destination old_crm --dry-run
  kvit cancel --destination crm --order E100042 --reason 'test order'`,
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			selection.Destination, selection.Events = o.destination, unique(selection.Events)
			return a.act(cmd.Context(), cmd.InOrStdin(), o, delivery.Cancel(selection, a.audit(o)), "cancelled")
		},
	}
	o.register(cmd)
	cmd.Flags().Int64SliceVar(&selection.Events, "event", nil, "event_id, as kvit.delivery_status has it; may be repeated")
	cmd.Flags().StringVar(&selection.OrderRef, "order", "", "the shop's reference of an order")
	return cmd
}
