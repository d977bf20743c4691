package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"kvit/cmd/kvit/demo"
)

func (a *app) demoCommand() *cobra.Command {
	o := demo.Options{Out: a.stdout}
	cmd := &cobra.Command{
		Use: "demo", Short: "Show everything at once, on a private Postgres",
		Long: `Runs this kvit beside an invented shop, with an invented SPREAD, webhook receiver and ERP, on a clock
that makes 30 days of two thirds of --for. Ends by itself, with a summary; fails if a promise of kvit was
broken. It needs no configuration, listens on this machine alone, and leaves nothing behind.

With --all there is a destination of each kind, all with invented failures in front of them.`,
		Example: "  kvit demo\n  kvit demo --all\n  kvit demo --for 5m --orders-per-second 20 --seed 7",
		Args:    usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := demo.Check(o.For, o.OrdersPerSecond); err != nil {
				return fmt.Errorf("%w: %w", errUsage, err)
			}
			o.Terminal = canDraw(a.stdout, o.All)
			var err error
			if o.Binary, err = os.Executable(); err != nil {
				return fmt.Errorf("find this program: %w", err)
			}
			_, err = demo.Run(cmd.Context(), o)
			if errors.Is(err, demo.ErrBroken) {
				return errReported
			}
			return err
		},
	}
	cmd.Flags().DurationVar(&o.For, "for", 90*time.Second, fmt.Sprintf("how long, from %s to %s", demo.Shortest, demo.Longest))
	cmd.Flags().Uint64Var(&o.Seed, "seed", 1, "what the visitors do: the same seed makes the same visitors")
	cmd.Flags().Float64Var(&o.OrdersPerSecond, "orders-per-second", 2, "orders placed, up to 200")
	cmd.Flags().BoolVar(&o.All, "all", false, "all kinds of destinations, and events for all of them")
	return cmd
}

// canDraw tells whether the demo's table fits into a terminal.
func canDraw(w io.Writer, all bool) bool {
	if !isTerminal(w) {
		return false
	}
	width, height, err := term.GetSize(int(w.(*os.File).Fd()))
	wide, high := demo.TableSize(all)
	return err == nil && width > wide && height > high
}
