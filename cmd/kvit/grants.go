package main

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"kvit/erasure"
	"kvit/store"
)

func (a *app) policyGrantsCommand() *cobra.Command {
	var role string
	cmd := &cobra.Command{
		Use: "grants", Short: "Write the SQL that gives kvit's role the rights that the configuration needs",
		Long: `Writes grants on the shop's tables for what the configuration does with them, column by column, and changes nothing: whoever owns the
tables runs them. What the conditions (awaiting_import, when) read of other tables is among them, Postgres tells what their names mean, and so
is every table with a foreign key by which somebody else may have a row. A condition of which it cannot tell is named in a comment.

The role is the one that kvit logs in as; --role names another, and then no database is needed but for what conditions read.`,
		Example: "  kvit policy grants | psql shop\n  kvit policy grants --role kvit",
		Args:    usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			statements, err := a.grants(cmd.Context(), role)
			if err != nil {
				return fmt.Errorf("write grants: %w", err)
			}
			for _, statement := range statements {
				if _, err := fmt.Fprintln(a.stdout, statement); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&role, "role", "", "the role that kvit logs in as (default: the one of database.url)")
	return cmd
}

func (a *app) grants(ctx context.Context, role string) ([]string, error) {
	cfg, err := a.load("destinations")
	if err != nil {
		return nil, err
	}
	eraser, err := newEraser(cfg, nil, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	orders := shopOrders(cfg)
	pool, err := openPool(ctx, cfg)
	if err == nil {
		defer pool.Close()
		var statements []string
		if statements, err = grantsBy(ctx, pool, eraser, orders, role); err == nil {
			return statements, nil
		}
	}
	if role == "" {
		return nil, err
	}
	return append(store.GrantStatements(role, eraser.Grants(orders, nil)),
		"-- what conditions read of other tables, and those with foreign keys to these, are not among them: there was no database to ask: "+store.Describe(err)), nil
}

// grantsBy asks the database what conditions read, and who kvit is unless role says it.
func grantsBy(ctx context.Context, db store.DB, eraser *erasure.Eraser, orders *store.Orders, role string) ([]string, error) {
	if role == "" {
		var err error
		if role, err = store.CurrentRole(ctx, db); err != nil {
			return nil, err
		}
	}
	read, err := store.ReadsOf(ctx, db, eraser.Conditions(orders))
	if err != nil {
		return nil, err
	}
	others, err := eraser.Reads(ctx, db)
	if err != nil {
		return nil, err
	}
	statements := append(store.GrantStatements(role, eraser.Grants(orders, slices.Concat(read.Tables, others))), store.ExecuteStatements(role, read.Functions)...)
	for _, name := range slices.Sorted(maps.Keys(read.Unknown)) {
		statements = append(statements, fmt.Sprintf("-- %s: what it reads cannot be told (%s): ask as the owner of the tables, DATABASE_URL=… kvit policy grants --role …", name, read.Unknown[name]))
	}
	return statements, nil
}
