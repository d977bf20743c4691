package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"kvit/delivery"
	"kvit/store"
)

func (a *app) pauseCommand() *cobra.Command {
	var o pauseOptions
	cmd := &cobra.Command{
		Use: "pause DESTINATION", Short: "Let events wait instead of sending them to a destination",
		Long: `Stops a destination in all processes, until kvit resume. Events go on coming in and wait; nothing of them is lost, but an
event that is older than the provider takes when it is its turn ends as expired. What is being sent at this moment ends first.`,
		Example: "  kvit pause crm --reason 'the receiver is being moved until noon'",
		Args:    usage(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.reason == "" {
				return fmt.Errorf("%w: --reason must be given", errUsage)
			}
			return a.changePause(cmd.Context(), args[0], o, store.PauseDestination, "is paused; events wait until `kvit resume`")
		},
	}
	o.register(cmd)
	return cmd
}

// pauseOptions are what pause and resume have in common.
type pauseOptions struct {
	reason   string
	operator string
}

func (o *pauseOptions) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.reason, "reason", "", "why, for the audit. No personal data")
	cmd.Flags().StringVar(&o.operator, "operator", "", "who does it, for the audit (default $SUDO_USER, else $USER, else the database user)")
}

func (a *app) changePause(ctx context.Context, destination string, o pauseOptions, change func(context.Context, store.DB, store.Pause) error, done string) error {
	_, pool, _, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer pool.Close()
	by := a.audit(actionOptions{operator: o.operator, reason: o.reason})
	err = change(ctx, pool, pauseOf(destination, by))
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("%w: no destination is called %q", errUsage, destination)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "%s %s\n", destination, done)
	return nil
}

func pauseOf(destination string, by delivery.Audit) store.Pause {
	return store.Pause{Destination: destination, Who: by.Operator, Reason: by.Reason}
}
