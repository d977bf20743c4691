package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5/pgxpool"

	"kvit/config"
	"kvit/erasure"
	"kvit/erasure/policy"
	"kvit/store"
)

// cartsOf copies the rules of carts into the room that judges them.
func cartsOf(rules []config.Carts) []policy.Carts {
	var list []policy.Carts
	for _, r := range rules {
		carts := policy.Carts{Name: r.Name, Table: r.Table, When: r.When, Since: r.Since, EraseAfter: r.EraseAfter}
		for _, c := range r.Children {
			carts.Children = append(carts.Children, policy.CartChild{Table: c.Table, Column: c.Column, CartColumn: c.CartColumn})
		}
		list = append(list, carts)
	}
	return list
}

func checkCarts(ctx context.Context, cfg config.Config, pool *pgxpool.Pool) []finding {
	if len(cfg.Retention.Carts) == 0 {
		return nil
	}
	eraser, err := newEraser(cfg, pool, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		return []finding{{Key: "retention.schedule", Problem: err.Error()}}
	}
	found, err := eraser.CheckCarts(ctx)
	if err != nil {
		return []finding{{Key: "retention.carts", Problem: store.Describe(err)}}
	}
	var findings []finding
	for i, f := range found {
		at := finding{Line: cfg.Retention.Carts[i].Line, Key: "retention.carts." + f.Rule}
		for _, p := range f.Problems {
			at.Problem = p.String()
			findings = append(findings, at)
		}
		at.Advice = true
		for _, p := range f.Advice {
			at.Problem = p.String()
			findings = append(findings, at)
		}
		for _, statement := range f.Indexes {
			at.Problem = "finding carts and their rows reads the whole table; this helps: " + statement
			findings = append(findings, at)
		}
	}
	return findings
}

func printCarts(w io.Writer, r erasure.Report) {
	for _, rule := range slices.Sorted(maps.Keys(r.Carts)) {
		fmt.Fprintf(w, "carts of %s: %d\n", rule, r.Carts[rule])
	}
	for _, p := range r.CartProblems {
		fmt.Fprintf(w, "carts of %s: %d not erased: %s\n", p.Rule, p.Carts, p.Problem)
	}
}
