package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"kvit/retention"
	"kvit/store"
)

func (a *app) verifyCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: "verify", Short: "Check the chain of erasure certificates",
		Long: `Computes every certificate's hash anew and checks that it covers the one before, in the database or
in a file of JSON lines. Whoever can write the table can also cut off its end: note the number and
hash that this prints somewhere else.`,
		Example: "  kvit verify\n  kvit verify --file certificates.jsonl",
		Args:    usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			chain, err := a.verify(cmd.Context(), file)
			if err != nil {
				return fmt.Errorf("verify certificates: %w", err)
			}
			fmt.Fprintf(a.stdout, "%d certificates, the chain holds", chain.Number)
			if chain.Number > 0 {
				fmt.Fprintf(a.stdout, "; last hash %s", chain.Hash)
			}
			fmt.Fprintln(a.stdout)
			return nil
		},
	}
	cmd.Flags().StringVar(&file, "file", "", "JSON lines, one certificate each, instead of the database")
	return cmd
}

func (a *app) verify(ctx context.Context, file string) (retention.Chain, error) {
	var chain retention.Chain
	if file != "" {
		f, err := os.Open(file)
		if err != nil {
			return chain, err
		}
		defer func() { _ = f.Close() }()
		err = retention.ReadCertificates(f, chain.Verify)
		return chain, err
	}
	_, pool, _, err := a.open(ctx)
	if err != nil {
		return chain, err
	}
	defer pool.Close()
	err = store.EachCertificate(ctx, pool, func(c store.Certificate) error {
		return chain.Verify(retention.Certificate(c))
	})
	return chain, err
}
