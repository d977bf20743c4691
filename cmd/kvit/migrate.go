package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"kvit/config"
	"kvit/migrations"
	"kvit/store"
)

func (a *app) migrateCommand() *cobra.Command {
	cmd := group(&cobra.Command{
		Use:     "migrate up|status",
		Short:   "Bring the schema kvit up to date, or tell what is pending",
		Example: "  kvit migrate up\n  kvit migrate status",
	})
	cmd.AddCommand(
		&cobra.Command{
			Use: "up", Short: "Apply pending migrations, River's included", Example: "  kvit migrate up",
			Args: usage(cobra.NoArgs),
			RunE: func(cmd *cobra.Command, _ []string) error { return a.migrateUp(cmd.Context()) },
		},
		&cobra.Command{
			Use: "status", Short: "List migrations; fails if one is pending", Example: "  kvit migrate status",
			Args: usage(cobra.NoArgs),
			RunE: func(cmd *cobra.Command, _ []string) error { return a.migrateStatus(cmd.Context()) },
		},
	)
	return cmd
}

func (a *app) migrateUp(ctx context.Context) error {
	cfg, pool, logger, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer pool.Close()
	applied, err := migrate(ctx, cfg, pool, logger)
	for _, name := range applied {
		fmt.Fprintln(a.stdout, "applied", name)
	}
	if err == nil && len(applied) == 0 {
		fmt.Fprintln(a.stdout, "nothing to do: the schema is up to date")
	}
	return err
}

// migrate brings the schema up to date and fits it to the configuration, so that the shop can
// insert events before kvit runs for the first time.
func migrate(ctx context.Context, cfg config.Config, pool *pgxpool.Pool, logger *slog.Logger) ([]string, error) {
	if err := migrations.Ready(ctx, pool); err != nil {
		return nil, err
	}
	applied, err := migrations.Up(ctx, pool, logger)
	if err != nil {
		return applied, err
	}
	return applied, syncSchema(ctx, cfg, pool, logger)
}

// syncSchema writes what the schema holds of the configuration.
func syncSchema(ctx context.Context, cfg config.Config, pool *pgxpool.Pool, logger *slog.Logger) error {
	built, err := buildDestinations(cfg, logger, nil)
	if err != nil {
		return err
	}
	err = migrations.Patiently(ctx, pool, logger, "kvit.destination", func(tx pgx.Tx) error {
		return store.SyncDestinations(ctx, tx, built.rows, cfg.Database.Notify)
	})
	if err != nil {
		return err
	}
	if err := syncERPs(ctx, cfg, pool); err != nil {
		return err
	}
	if orders := shopOrders(cfg); orders != nil {
		return migrations.Patiently(ctx, pool, logger, "kvit.order_status", func(tx pgx.Tx) error {
			return store.SyncOrderStatus(ctx, tx, *orders)
		})
	}
	return nil
}

func (a *app) migrateStatus(ctx context.Context) error {
	_, pool, _, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer pool.Close()
	list, err := migrations.Status(ctx, pool)
	if err != nil {
		return err
	}
	if pending := printMigrations(a.stdout, list); pending > 0 {
		fmt.Fprintf(a.stdout, "%d pending: run `kvit migrate up`\n", pending)
		return errReported
	}
	return nil
}

func printMigrations(w io.Writer, list []migrations.Migration) (pending int) {
	for _, m := range list {
		if m.AppliedAt == nil {
			pending++
			fmt.Fprintf(w, "pending              %s\n", m.Name)
			continue
		}
		fmt.Fprintf(w, "%s  %s\n", m.AppliedAt.UTC().Format("2006-01-02 15:04:05"), m.Name)
	}
	return pending
}
