package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kvit/config"
	"kvit/erasure"
	"kvit/erasure/policy"
)

func (a *app) policyCommand() *cobra.Command {
	cmd := group(&cobra.Command{
		Use: "policy draft", Short: "Propose a column policy",
		Example: "  kvit policy draft > policy.yaml",
	})
	cmd.AddCommand(a.policyDraftCommand())
	return cmd
}

func (a *app) policyDraftCommand() *cobra.Command {
	var tables []string
	var asJSON bool
	cmd := &cobra.Command{
		Use: "draft", Short: "Write a first retention.policy from the database's catalog",
		Long: `Writes a first column policy for the orders table, for every table that refers to it by foreign key, directly or through up to
two others, and for the tables that you name. It goes by names, types and keys: no row is read, and nothing is changed. Of the
configuration it needs database and shop alone: retention and destinations may be unfinished.

Columns that look personal get a strategy and the reason for it, keys and the like are kept, and everything else says review,
which kvit check refuses until somebody has decided. Read every line: what no name gives away, kvit cannot see.`,
		Example: "  kvit policy draft > policy.yaml\n  kvit policy draft --table public.newsletter --table crm.contacts\n  kvit policy draft --json",
		Args:    usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			draft, err := a.draftPolicy(cmd.Context(), tables)
			if err != nil {
				return fmt.Errorf("draft policy: %w", err)
			}
			if asJSON {
				return printJSON(a.stdout, draft)
			}
			_, err = fmt.Fprint(a.stdout, draft.YAML())
			return err
		},
	}
	cmd.Flags().StringArrayVar(&tables, "table", nil, "a further table, schema.table, that holds data of the same people (may be repeated)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (a *app) draftPolicy(ctx context.Context, tables []string) (policy.Draft, error) {
	// These two may be waiting for what the draft says; "kvit check" finds what is wrong with them.
	cfg, err := a.load("retention", "destinations")
	if err != nil {
		return policy.Draft{}, err
	}
	pool, err := openPool(ctx, cfg)
	if err != nil {
		return policy.Draft{}, err
	}
	defer pool.Close()
	if cfg.Shop == nil {
		return policy.Draft{}, errors.New("shop.orders is missing in the configuration: it says what an order is")
	}
	more, err := furtherTables(tables, cfg.Shop.Orders.Table)
	if err != nil {
		return policy.Draft{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return erasure.DraftPolicy(ctx, pool, ordersTable(cfg.Shop.Orders), customerColumn(cfg.Shop.Orders), more)
}

// customerColumn is the column of the orders table with the customer's id; empty: there is none.
func customerColumn(o config.Orders) string {
	if c := o.Customer; c != nil && len(c.Match) == 1 && c.Match[0].Column == c.ID {
		return c.Match[0].OrderColumn
	}
	return o.CustomerID
}

// furtherTables are the tables of the command line, each once and with its schema. kvit's own are not
// the policy's business: they are emptied in any case.
func furtherTables(tables []string, orders string) ([]string, error) {
	var more []string
	for _, t := range tables {
		if !strings.Contains(t, ".") {
			t = "public." + t
		}
		if strings.HasPrefix(t, "kvit.") {
			return nil, fmt.Errorf("%w: --table %s is kvit's own", errUsage, t)
		}
		if t != orders && !slices.Contains(more, t) {
			more = append(more, t)
		}
	}
	return more, nil
}

func ordersTable(o config.Orders) policy.OrdersTable {
	return policy.OrdersTable{
		Name: o.Table, Ref: o.Ref, PlacedAt: o.PlacedAt, ImportedAt: o.ImportedAt, ERPNumber: o.ERPNumber, ErasedAt: o.ErasedAt, Email: o.Email,
	}
}
