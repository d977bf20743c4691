package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"kvit/erasure"
	"kvit/erasure/proof"
)

// stdoutName is the file name that stands for stdout.
const stdoutName = "-"

// errNoExportName is what an unset variable of a script leads to: no export would pass unnoticed.
var errNoExportName = fmt.Errorf("%w: the file of --export has no name", errUsage)

// verifyOptions are the flags of `kvit verify`.
type verifyOptions struct {
	file   string // to verify, instead of the database
	export string // where the database's certificates go; empty: nowhere
	force  bool   // export may replace a file
}

func (a *app) verifyCommand() *cobra.Command {
	var o verifyOptions
	cmd := &cobra.Command{
		Use: "verify [--file FILE | --export [FILE]]", Short: "Check the chain of erasure certificates, or export it",
		Long: `Computes every certificate's hash anew and checks that it covers the one before, in the database or
in a file of JSON lines. Whoever can write the table can also cut off its end: note the number and
hash that this prints somewhere else, or keep an export there.

--export also writes the certificates to a file of its own, or to stdout (-, and without a FILE): one JSON object a line, as
they were at one moment. The file appears under its name only when the whole chain has held.`,
		Example: "  kvit verify\n  kvit verify --export certificates.jsonl\n  kvit verify --file certificates.jsonl",
		Args:    usage(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("export") && o.export == "" {
				return errNoExportName
			}
			if err := o.complete(args); err != nil {
				return err
			}
			chain, err := a.verify(cmd.Context(), o)
			if err != nil {
				return fmt.Errorf("verify certificates: %w", err)
			}
			a.tellChain(chain, o)
			return nil
		},
	}
	cmd.Flags().StringVar(&o.file, "file", "", "JSON lines, one certificate each, instead of the database")
	cmd.Flags().StringVar(&o.export, "export", "", "write the certificates as JSON lines to this file; - is stdout")
	cmd.Flags().Lookup("export").NoOptDefVal = stdoutName
	cmd.Flags().BoolVar(&o.force, "force", false, "let --export replace a file")
	return cmd
}

// complete takes FILE of "--export FILE", which the flag itself does not, since it works without one too.
func (o *verifyOptions) complete(args []string) error {
	switch {
	case len(args) == 1 && o.export != stdoutName:
		return fmt.Errorf("%w: a file needs --file or --export before it", errUsage)
	case len(args) == 1 && args[0] == "":
		return errNoExportName
	case len(args) == 1:
		o.export = args[0]
	}
	switch {
	case o.file != "" && o.export != "":
		return fmt.Errorf("%w: --file and --export exclude each other", errUsage)
	case o.force && (o.export == "" || o.export == stdoutName):
		return fmt.Errorf("%w: --force has no use without --export FILE", errUsage)
	}
	return nil
}

// tellChain goes to stderr where stdout has the certificates.
func (a *app) tellChain(chain proof.Chain, o verifyOptions) {
	w := a.stdout
	if o.export == stdoutName {
		w = a.stderr
	}
	fmt.Fprintf(w, "%d certificates, the chain holds", chain.Number)
	if chain.Number > 0 {
		fmt.Fprintf(w, "; last hash %s", chain.Hash)
	}
	fmt.Fprintln(w)
}

func (a *app) verify(ctx context.Context, o verifyOptions) (chain proof.Chain, err error) {
	if o.file != "" {
		return proof.VerifyFile(o.file)
	}
	_, pool, _, err := a.open(ctx)
	if err != nil {
		return chain, err
	}
	defer pool.Close()
	switch o.export {
	case "":
		return erasure.Verify(ctx, pool)
	case stdoutName:
		return erasure.ExportCertificates(ctx, pool, a.stdout)
	}
	err = writeFile(o.export, o.force, func(w io.Writer) error {
		chain, err = erasure.ExportCertificates(ctx, pool, w)
		return err
	})
	return chain, err
}
