package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"kvit/jobs"
	"kvit/store"
)

func (a *app) resumeCommand() *cobra.Command {
	return &cobra.Command{
		Use: "resume DESTINATION", Short: "Let a destination work again that its receiver disabled with 410 Gone",
		Example: "  kvit resume crm",
		Args:    usage(cobra.ExactArgs(1)),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.resume(cmd.Context(), args[0]) },
	}
}

func (a *app) resume(ctx context.Context, destination string) error {
	_, pool, _, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer pool.Close()
	err = jobs.Resume(ctx, pool, destination)
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("%w: no destination is called %q", errUsage, destination)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "%s works again; what waited for it is being delivered\n", destination)
	return nil
}
