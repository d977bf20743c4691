package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"kvit/erasure/proof"
	"kvit/store"
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

func (a *app) verify(ctx context.Context, o verifyOptions) (proof.Chain, error) {
	if o.file != "" {
		return verifyFile(o.file)
	}
	_, pool, _, err := a.open(ctx)
	if err != nil {
		return proof.Chain{}, err
	}
	defer pool.Close()
	switch o.export {
	case "":
		return verifyDatabase(ctx, pool, nil)
	case stdoutName:
		return exportTo(ctx, pool, a.stdout)
	}
	return exportFile(ctx, pool, o.export, o.force)
}

func verifyFile(file string) (chain proof.Chain, err error) {
	f, err := os.Open(file)
	if err != nil {
		return chain, err
	}
	defer func() { _ = f.Close() }()
	err = proof.ReadCertificates(f, chain.Verify)
	return chain, err
}

// verifyDatabase calls each, if there is one, for every certificate that holds, in the order of the
// numbers.
func verifyDatabase(ctx context.Context, db store.DB, each func(proof.Certificate) error) (chain proof.Chain, err error) {
	err = store.EachCertificate(ctx, db, func(c store.Certificate) error {
		certificate := proof.Certificate(c)
		if err := chain.Verify(certificate); err != nil || each == nil {
			return err
		}
		return each(certificate)
	})
	return chain, err
}

// exportTo writes the certificates as proof.ReadCertificates reads them. All are of one snapshot, so
// that an erasure meanwhile is in it as a whole or not at all.
func exportTo(ctx context.Context, pool *pgxpool.Pool, w io.Writer) (chain proof.Chain, err error) {
	buffered := bufio.NewWriter(w)
	encoder := json.NewEncoder(buffered)
	encoder.SetEscapeHTML(false)
	snapshot := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err = pgx.BeginTxFunc(ctx, pool, snapshot, func(tx pgx.Tx) error {
		chain, err = verifyDatabase(ctx, tx, func(c proof.Certificate) error {
			return encoder.Encode(c)
		})
		return err
	})
	if err != nil {
		return chain, err
	}
	if err := buffered.Flush(); err != nil {
		return chain, fmt.Errorf("write certificates: %w", err)
	}
	return chain, nil
}

func exportFile(ctx context.Context, pool *pgxpool.Pool, name string, force bool) (chain proof.Chain, err error) {
	err = writeFile(name, force, func(w io.Writer) error {
		chain, err = exportTo(ctx, pool, w)
		return err
	})
	return chain, err
}

// writeFile leaves no half of a file, and nothing that others may read: a temporary file, in the same
// folder so that it can be renamed, has mode 0600 from the start.
func writeFile(name string, force bool, write func(io.Writer) error) error {
	if err := mayWrite(name, force); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return fmt.Errorf("create file: %w", err)
	}
	defer func() {
		_ = f.Close()
		_ = os.Remove(f.Name()) // gone already if all went well
	}()
	if err := write(f); err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write file: %w", err)
	}
	if err := mayWrite(name, force); err != nil { // it took a while
		return err
	}
	return os.Rename(f.Name(), name)
}

// mayWrite refuses what is there, unless it is a plain file and force is given: a renamed file would take
// the place of a device or a link.
func mayWrite(name string, force bool) error {
	info, err := os.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is no plain file", name)
	case !force:
		return fmt.Errorf("%s is there already: --force replaces it", name)
	}
	return nil
}
