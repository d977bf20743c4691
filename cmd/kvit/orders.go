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
	var awaiting, conflict, asJSON bool
	var limit int
	cmd := &cobra.Command{
		Use: "orders", Short: "List orders that the ERP does not have yet, and those of which it tells contradictory things",
		Example: "  kvit orders --awaiting\n  kvit orders --conflict --json",
		Args:    usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if awaiting == conflict { // neither, or both
				awaiting, conflict = true, true
			}
			return a.listOrders(cmd.Context(), awaiting, conflict, limit, asJSON)
		},
	}
	cmd.Flags().BoolVar(&awaiting, "awaiting", false, "only those that wait for the ERP, the oldest first")
	cmd.Flags().BoolVar(&conflict, "conflict", false, "only those with another number than the one they are marked with, the newest first")
	cmd.Flags().IntVar(&limit, "limit", 100, "at most so many of each")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// orderLists is what kvit orders prints; a list that was not asked for is null.
type orderLists struct {
	Awaiting  []store.AwaitingOrder      `json:"awaiting"`
	Conflicts []store.ConflictingReceipt `json:"conflicts"`
}

func (a *app) listOrders(ctx context.Context, awaiting, conflict bool, limit int, asJSON bool) error {
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
	lists, err := readOrderLists(ctx, pool, *orders, awaiting, conflict, limit)
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(a.stdout, lists)
	}
	return a.printOrderLists(lists, limit)
}

func readOrderLists(ctx context.Context, pool *pgxpool.Pool, orders store.Orders, awaiting, conflict bool, limit int) (lists orderLists, err error) {
	if awaiting {
		list, err := store.AwaitingOrders(ctx, pool, orders, limit)
		if err != nil {
			return lists, err
		}
		lists.Awaiting = append([]store.AwaitingOrder{}, list...)
	}
	if conflict {
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
	if lists.Conflicts != nil {
		fmt.Fprintln(t, "CONFLICT\tSEEN\tNUMBER\tFIRST NUMBER\tSOURCE")
	}
	for _, c := range lists.Conflicts {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", c.OrderRef, moment(&c.SeenAt), textOr(c.ERPOrderNumber, "-"), textOr(c.FirstNumber, "-"), c.Source)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if len(lists.Awaiting) == limit || len(lists.Conflicts) == limit {
		fmt.Fprintf(a.stdout, "there may be more: --limit shows more than %d\n", limit)
	}
	return nil
}

func textOr(text *string, otherwise string) string {
	if text == nil {
		return otherwise
	}
	return *text
}
