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
		Use: "policy draft | scan | grants", Short: "Propose a column policy and the rights that it needs, or look for what it forgets",
		Example: "  kvit policy draft > policy.yaml\n  kvit policy grants | psql shop\n  kvit policy scan",
	})
	cmd.AddCommand(a.policyDraftCommand(), a.policyScanCommand(), a.policyGrantsCommand())
	return cmd
}

func (a *app) policyDraftCommand() *cobra.Command {
	var tables []string
	var asJSON bool
	cmd := &cobra.Command{
		Use: "draft", Short: "Write a first retention.policy from the database's catalog",
		Long: `Writes a first column policy for the orders table, for every table that foreign keys lead to from there, in either direction and over
any number of steps, and for the tables that you name. It goes by names, types, keys, and by what values look like: the database counts how
many of some rows are JSON, e-mail addresses and the like; no value leaves it, and nothing is changed. Of the configuration it needs
database and shop alone: retention and destinations may be unfinished.

Columns that look personal get a strategy and the reason for it, keys and the like are kept, and everything else says review,
which kvit check refuses until somebody has decided. What only a name suggests says so. Tables that nothing ties to the orders, and that look
personal, are named for review. Read every line: what neither name nor form gives away, kvit cannot see.`,
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
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
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
