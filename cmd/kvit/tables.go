package main

import (
	"fmt"
	"io"
	"maps"
	"slices"

	"kvit/config"
	"kvit/erasure"
	"kvit/erasure/policy"
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

func printTables(w io.Writer, r erasure.Report) {
	for _, rule := range slices.Sorted(maps.Keys(r.Tables)) {
		fmt.Fprintf(w, "rows by retention.tables.%s: %d\n", rule, r.Tables[rule])
	}
	for _, p := range r.TableProblems {
		fmt.Fprintf(w, "rows by retention.tables.%s: %d not erased: %s\n", p.Rule, p.Rows, p.Problem)
	}
}
