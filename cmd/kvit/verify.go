package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"kvit/retention"
	"kvit/store"
)

func (a *app) verifyCommand() *cobra.Command {
	return &cobra.Command{
		Use: "verify", Short: "Check the chain of erasure certificates",
		Long: `Computes every certificate's hash anew and checks that it covers the one before. Whoever can write
the table can also cut off its end: note the number and hash that this prints somewhere else.`,
		Example: "  kvit verify",
		Args:    usage(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.verify(cmd.Context()) },
	}
}

func (a *app) verify(ctx context.Context) error {
	_, pool, _, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer pool.Close()
	var chain retention.Chain
	err = store.EachCertificate(ctx, pool, func(c store.Certificate) error {
		return chain.Verify(retention.Certificate(c))
	})
	if err != nil {
		return fmt.Errorf("verify certificates: %w", err)
	}
	fmt.Fprintf(a.stdout, "%d certificates, the chain holds; last hash %s\n", chain.Number, chain.Hash)
	return nil
}
