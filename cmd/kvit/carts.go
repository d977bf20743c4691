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

func printCarts(w io.Writer, r erasure.Report) {
	for _, rule := range slices.Sorted(maps.Keys(r.Carts)) {
		fmt.Fprintf(w, "carts of %s: %d\n", rule, r.Carts[rule])
	}
	for _, p := range r.CartProblems {
		fmt.Fprintf(w, "carts of %s: %d not erased: %s\n", p.Rule, p.Carts, p.Problem)
	}
}
