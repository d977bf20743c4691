package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"kvit/erasure"
	"kvit/store"
)

func (a *app) subjectExportCommand() *cobra.Command {
	var (
		subject store.Subject
		out     string
		force   bool
	)
	cmd := &cobra.Command{
		Use: "export", Short: "Write everything about a person as JSON (GDPR article 15)",
		Long: `Writes what the database holds about a person: their orders, the rows of the tables of retention.policy that belong to these
or carry the e-mail address or customer id themselves, their events, and which destinations were told. Only what was
asked for is searched: who is known by both, an address and an id, needs both.

What was not searched is said in the file and at the end, with the reason. A table that cannot be read spoils nothing
else; the exit code is 1 then.

What is written is personal data. --out writes a file that nobody else may read.`,
		Example: "  kvit subject export --email - --out person.json\n  kvit subject export --customer-id 4711",
		Args:    usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := readSubject(cmd.InOrStdin(), &subject); err != nil {
				return err
			}
			return a.subjectExport(cmd.Context(), subject, out, force)
		},
	}
	registerSubject(cmd, &subject)
	cmd.Flags().StringVar(&out, "out", "", "write to this file, of mode 0600; - is standard output (the default)")
	cmd.Flags().BoolVar(&force, "force", false, "let --out replace a file")
	return cmd
}

func (a *app) subjectExport(ctx context.Context, subject store.Subject, out string, force bool) error {
	cfg, pool, eraser, err := a.openEraser(ctx)
	if err != nil {
		return err
	}
	defer pool.Close()
	export, err := eraser.ExportSubject(ctx, subject, shopOrders(cfg))
	if err != nil {
		return err
	}
	// Whose data it is the audit does not keep.
	if err := a.askedFor(ctx, pool, store.AuditEntry{Action: "subject export"}); err != nil {
		return err
	}
	var found erasure.SubjectSummary
	write := func(w io.Writer) error {
		found, err = export.Write(ctx, pool, w)
		return err
	}
	said := a.stderr
	if out == "" || out == "-" {
		err = write(a.stdout)
	} else {
		said = a.stdout
		err = writeFile(out, force, write)
	}
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	fmt.Fprintln(said, found)
	if found.Incomplete() {
		return errReported
	}
	return nil
}
