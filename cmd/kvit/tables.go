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

// rulesOf copies the rules for tables into the room that judges them.
func rulesOf(rules []config.TableRule) []policy.TableRule {
	var list []policy.TableRule
	for _, r := range rules {
		rule := policy.TableRule{
			Name: r.Name, Table: r.Table, When: r.When, Since: r.Since, TimeZone: r.TimeZone, EraseAfter: r.EraseAfter, Columns: columnsOf(r.Columns),
		}
		for _, c := range r.Children {
			rule.Children = append(rule.Children, policy.TableChild{Table: c.Table, Column: c.Column, ParentColumn: c.ParentColumn})
		}
		list = append(list, rule)
	}
	return list
}

func checkTables(ctx context.Context, cfg config.Config, pool *pgxpool.Pool) []finding {
	if len(cfg.Retention.Tables) == 0 {
		return nil
	}
	eraser, err := newEraser(cfg, pool, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		return []finding{{Key: "retention.schedule", Problem: err.Error()}}
	}
	found, err := eraser.CheckTables(ctx)
	if err != nil {
		return []finding{{Key: "retention.tables", Problem: store.Describe(err)}}
	}
	var findings []finding
	for i, f := range found {
		at := finding{Line: cfg.Retention.Tables[i].Line, Key: "retention.tables." + f.Rule}
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
			at.Problem = "finding what is due reads the whole table; this helps: " + statement
			findings = append(findings, at)
		}
	}
	return findings
}

func printTables(w io.Writer, r erasure.Report) {
	for _, rule := range slices.Sorted(maps.Keys(r.Tables)) {
		fmt.Fprintf(w, "rows by retention.tables.%s: %d\n", rule, r.Tables[rule])
	}
	for _, p := range r.TableProblems {
		fmt.Fprintf(w, "rows by retention.tables.%s: %d not erased: %s\n", p.Rule, p.Rows, p.Problem)
	}
}
