package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"kvit/store"
)

func (a *app) holdCommand() *cobra.Command {
	cmd := group(&cobra.Command{
		Use: "hold add|release|list", Short: "Keep orders from being erased, for a legal reason",
		Example: "  kvit hold add E100042 --reason 'court case 7/2026' --by legal --until 2027-01-31\n  kvit hold release E100042\n  kvit hold list",
	})
	cmd.AddCommand(a.holdAddCommand(), a.holdReleaseCommand(), a.holdListCommand())
	return cmd
}

func (a *app) holdAddCommand() *cobra.Command {
	var reason, by, until string
	cmd := &cobra.Command{
		Use: "add ORDER", Short: "Place a hold, or replace the one the order has",
		Long:    "Places a hold. Operators read the reason: write no personal data into it.",
		Example: "  kvit hold add E100042 --reason 'court case 7/2026' --by legal --until 2027-01-31",
		Args:    usage(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			expires, err := parseUntil(until)
			if err != nil {
				return err
			}
			if reason == "" || by == "" {
				return fmt.Errorf("%w: --reason and --by must be given", errUsage)
			}
			return a.holdAdd(cmd.Context(), store.Hold{OrderRef: args[0], Reason: reason, PlacedBy: by, ExpiresAt: expires})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why the order must not be erased")
	cmd.Flags().StringVar(&by, "by", "", "who decided it")
	cmd.Flags().StringVar(&until, "until", "", "day or RFC 3339 time at which the hold ends (default: when it is released)")
	return cmd
}

// parseUntil reads a day, which counts in full, or a time; empty is no end.
func parseUntil(text string) (*time.Time, error) {
	if text == "" {
		return nil, nil
	}
	if day, err := time.Parse(time.DateOnly, text); err == nil {
		end := day.AddDate(0, 0, 1)
		return &end, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return nil, fmt.Errorf("%w: --until must be a day such as 2027-01-31 or an RFC 3339 time", errUsage)
	}
	return &at, nil
}

func (a *app) holdAdd(ctx context.Context, hold store.Hold) error {
	cfg, pool, _, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer pool.Close()
	var known bool
	err = a.audited(ctx, pool, store.AuditEntry{Who: hold.PlacedBy, Action: "hold", Subject: hold.OrderRef, Reason: hold.Reason}, func(tx pgx.Tx) (err error) {
		known, err = store.AddHold(ctx, tx, shopOrders(cfg), hold)
		return err
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "order %s is on hold\n", hold.OrderRef)
	if !known {
		fmt.Fprintf(a.stderr, "kvit: warning: the orders table has no such reference; check for a slip of the pen\n")
	}
	return nil
}

func (a *app) holdReleaseCommand() *cobra.Command {
	var o pauseOptions
	cmd := &cobra.Command{
		Use: "release ORDER", Short: "End a hold; the order is erased when it is due",
		Example: "  kvit hold release E100042 --reason 'the case is closed'",
		Args:    usage(cobra.ExactArgs(1)),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.holdRelease(cmd.Context(), args[0], o) },
	}
	o.register(cmd)
	return cmd
}

func (a *app) holdRelease(ctx context.Context, order string, o pauseOptions) error {
	_, pool, _, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer pool.Close()
	err = a.audited(ctx, pool, store.AuditEntry{Who: o.operator, Action: "release hold", Subject: order, Reason: o.reason}, func(tx pgx.Tx) error {
		return store.ReleaseHold(ctx, tx, order)
	})
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("order %s is not on hold", order)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "the hold on order %s has ended\n", order)
	return nil
}

func (a *app) holdListCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "list", Short: "List holds", Example: "  kvit hold list",
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.holdList(cmd.Context(), asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (a *app) holdList(ctx context.Context, asJSON bool) error {
	_, pool, _, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer pool.Close()
	holds, err := store.Holds(ctx, pool)
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(a.stdout, holds)
	}
	t := tabwriter.NewWriter(a.stdout, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "ORDER\tSINCE\tUNTIL\tBY\tREASON")
	for _, h := range holds {
		until := "released"
		if h.ExpiresAt != nil {
			until = h.ExpiresAt.UTC().Format(time.DateTime)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", h.OrderRef, h.PlacedAt.UTC().Format(time.DateTime), until, h.PlacedBy, h.Reason)
	}
	return t.Flush()
}
