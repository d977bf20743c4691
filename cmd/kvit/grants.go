package main

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"kvit/store"
)

func (a *app) policyGrantsCommand() *cobra.Command {
	var role string
	cmd := &cobra.Command{
		Use: "grants", Short: "Write the SQL that gives kvit's role the rights that the configuration needs",
		Long: `Writes grants on the shop's tables for what the configuration does with them, column by column, and changes nothing: whoever owns the
tables runs them. What your own conditions (when) read of other tables has to be granted beside them.

The role is the one that kvit logs in as; --role names another, and then no database is needed.`,
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
	if role == "" {
		pool, err := openPool(ctx, cfg)
		if err != nil {
			return nil, err
		}
		defer pool.Close()
		if role, err = store.CurrentRole(ctx, pool); err != nil {
			return nil, err
		}
	}
	return store.GrantStatements(role, eraser.Grants(shopOrders(cfg))), nil
}
