package main

import (
	"context"
	"fmt"
	"text/tabwriter"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"kvit/store"
)

func (a *app) ordersCommand() *cobra.Command {
	var wanted orderKinds
	var asJSON bool
	var limit int
	cmd := &cobra.Command{
		Use: "orders", Short: "List orders that the ERP does not have yet or not wholly, and those of which it tells contradictory things",
		Example: "  kvit orders --awaiting\n  kvit orders --conflict --json\n  kvit orders confirm E100042 --reason 'shipping is billed elsewhere' --by anna",
		Args:    usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if wanted == (orderKinds{}) {
				wanted = orderKinds{true, true, true}
			}
			return a.listOrders(cmd.Context(), wanted, limit, asJSON)
		},
	}
	cmd.Flags().BoolVar(&wanted.awaiting, "awaiting", false, "only those that wait for the ERP, the oldest first")
	cmd.Flags().BoolVar(&wanted.incomplete, "incomplete", false, "only those of which the ERP does not show the whole, the oldest first")
	cmd.Flags().BoolVar(&wanted.conflict, "conflict", false, "only those with another number than the one they are marked with, the newest first")
	cmd.Flags().IntVar(&limit, "limit", 100, "at most so many of each")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.AddCommand(a.ordersConfirmCommand())
	return cmd
}

// orderKinds are lists of orders.
type orderKinds struct{ awaiting, incomplete, conflict bool }

func (a *app) ordersConfirmCommand() *cobra.Command {
	var c store.Confirmation
	cmd := &cobra.Command{
		Use: "confirm ORDER", Short: "Confirm that an order is in the ERP although its evidence is incomplete",
		Long: `Confirms what kvit orders --incomplete shows of an order. The order is then marked as imported as of now, and its personal data is
erased when retention.erase_after_import is over. Who, when and why is kept. Operators read the reason: write no personal data into it.`,
		Example: "  kvit orders confirm E100042 --reason 'shipping is billed elsewhere' --by anna",
		Args:    usage(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if c.OrderRef = args[0]; c.Reason == "" || c.By == "" {
				return fmt.Errorf("%w: --reason and --by must be given", errUsage)
			}
			return a.confirmOrder(cmd.Context(), c)
		},
	}
	cmd.Flags().StringVar(&c.Reason, "reason", "", "why the order is complete all the same")
	cmd.Flags().StringVar(&c.By, "by", "", "who has looked into it")
	return cmd
}

func (a *app) confirmOrder(ctx context.Context, c store.Confirmation) error {
	cfg, pool, _, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer pool.Close()
	orders := shopOrders(cfg)
	if orders == nil {
		return fmt.Errorf("%w: shop.orders is not configured", errUsage)
	}
	if err := store.ConfirmOrder(ctx, pool, *orders, c); err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "order %s is confirmed: kvit run marks it as imported now\n", c.OrderRef)
	return nil
}

// orderLists is what kvit orders prints; a list that was not asked for is null.
type orderLists struct {
	Awaiting   []store.AwaitingOrder      `json:"awaiting"`
	Incomplete []store.IncompleteOrder    `json:"incomplete"`
	Conflicts  []store.ConflictingReceipt `json:"conflicts"`
}

func (a *app) listOrders(ctx context.Context, wanted orderKinds, limit int, asJSON bool) error {
	if limit < 1 {
		return fmt.Errorf("%w: --limit must be at least 1", errUsage)
	}
	cfg, pool, _, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer pool.Close()
	orders := shopOrders(cfg)
	if orders == nil {
		return fmt.Errorf("%w: shop.orders is not configured", errUsage)
	}
	lists, err := readOrderLists(ctx, pool, *orders, wanted, limit)
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(a.stdout, lists)
	}
	return a.printOrderLists(lists, limit)
}

func readOrderLists(ctx context.Context, pool *pgxpool.Pool, orders store.Orders, wanted orderKinds, limit int) (lists orderLists, err error) {
	if wanted.awaiting {
		list, err := store.AwaitingOrders(ctx, pool, orders, limit)
		if err != nil {
			return lists, err
		}
		lists.Awaiting = append([]store.AwaitingOrder{}, list...)
	}
	if wanted.incomplete {
		list, err := store.IncompleteOrders(ctx, pool, orders, limit)
		if err != nil {
			return lists, err
		}
		lists.Incomplete = append([]store.IncompleteOrder{}, list...)
	}
	if wanted.conflict {
		list, err := store.ConflictingReceipts(ctx, pool, limit)
		if err != nil {
			return lists, err
		}
		lists.Conflicts = append([]store.ConflictingReceipt{}, list...)
	}
	return lists, nil
}

func (a *app) printOrderLists(lists orderLists, limit int) error {
	t := tabwriter.NewWriter(a.stdout, 0, 4, 2, ' ', 0)
	if lists.Awaiting != nil {
		fmt.Fprintln(t, "AWAITING\tPLACED\t")
	}
	for _, o := range lists.Awaiting {
		note := ""
		if o.Late {
			note = "LATE"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\n", o.Ref, moment(o.PlacedAt), note)
	}
	if lists.Incomplete != nil {
		fmt.Fprintln(t, "INCOMPLETE\tSEEN\tNUMBER\tSOURCE\tPROBLEM")
	}
	for _, o := range lists.Incomplete {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", o.OrderRef, moment(&o.SeenAt), textOrDash(o.ERPOrderNumber), o.Source, incompleteness(o))
	}
	if lists.Conflicts != nil {
		fmt.Fprintln(t, "CONFLICT\tSEEN\tNUMBER\tFIRST NUMBER\tSOURCE")
	}
	for _, c := range lists.Conflicts {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", c.OrderRef, moment(&c.SeenAt), textOrDash(c.ERPOrderNumber), textOrDash(c.FirstNumber), c.Source)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if len(lists.Awaiting) == limit || len(lists.Incomplete) == limit || len(lists.Conflicts) == limit {
		fmt.Fprintf(a.stdout, "there may be more: --limit shows more than %d\n", limit)
	}
	return nil
}

func textOrDash(text *string) string {
	if text == nil {
		return "-"
	}
	return *text
}

// incompleteness says what is wrong with the evidence, with both totals where these differ.
func incompleteness(o store.IncompleteOrder) string {
	problem := textOrDash(o.Problem)
	if o.ERPTotal != nil && o.Total != nil {
		problem += fmt.Sprintf(" (total %s there, %s here)", *o.ERPTotal, *o.Total)
	}
	return problem
}
