package main

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"kvit/config"
	"kvit/erasure"
	"kvit/erasure/policy"
	"kvit/store"
)

const (
	draftTime = 2 * time.Minute
	draftRows = 200 // that are looked at in each table
)

// readDraftSource reads what a draft is made of.
func readDraftSource(ctx context.Context, pool *pgxpool.Pool, orders config.Orders, more []string) (policy.DraftSource, error) {
	tables, err := store.ShopTables(ctx, pool, append([]string{orders.Table}, more...)...)
	if err != nil {
		return policy.DraftSource{}, err
	}
	database, err := erasure.ReadDatabase(ctx, pool, tables)
	if err != nil {
		return policy.DraftSource{}, err
	}
	forms, err := readForms(ctx, pool, database)
	if err != nil {
		return policy.DraftSource{}, err
	}
	return policy.DraftSource{
		Orders: ordersTable(orders), CustomerID: orders.CustomerID, Tables: tables, Asked: more, Database: database, Forms: forms,
	}, nil
}

// readForms counts what the values of texts and documents look like. Tables that cannot be read, are locked or
// take too long are left out.
func readForms(ctx context.Context, pool *pgxpool.Pool, database policy.Database) (map[string][]store.ColumnForm, error) {
	columns := map[string][]string{}
	for _, c := range database.Columns {
		if c.HasForm() {
			columns[c.Table] = append(columns[c.Table], c.Name)
		}
	}
	forms := map[string][]store.ColumnForm{}
	err := pgx.BeginTxFunc(ctx, pool, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		for table, names := range columns {
			found, err := store.ColumnForms(ctx, tx, table, names, draftRows)
			if err == nil {
				forms[table] = found
			} else if store.IsConnection(err) || ctx.Err() != nil {
				return err
			}
		}
		return nil
	})
	return forms, err
}
