package erasure

import (
	"slices"

	"kvit/erasure/policy"
	"kvit/store"
)

// Grants lists what kvit's role needs on the shop's tables for the orders, the policy and the rules of carts, by table, the
// orders table first. What conditions read of other tables is not in it.
func (e *Eraser) Grants(orders *store.Orders) []store.Grant {
	g := grants{}
	if orders != nil {
		g.need(orders.Table, false, orders.ImportedAt, orders.ERPNumber, orders.ErasedAt)
	}
	for _, t := range e.Policy.Tables {
		g.policy(e.Policy, t)
	}
	if len(g) > 0 && orders != nil && len(g[0].Update) == 0 {
		g.need(orders.Table, false, orders.Ref) // rows are locked, which takes the right to write some column
	}
	for _, rule := range e.Carts {
		g.need(rule.Table, true, rule.Since) // for the same reason
		for _, child := range rule.Children {
			g.need(child.Table, true)
		}
	}
	return g
}

type grants []store.Grant

// policy leaves out tables that are kept and through which nothing is found.
func (g *grants) policy(p policy.Policy, t policy.Table) {
	isParent := slices.ContainsFunc(p.Tables, func(child policy.Table) bool { return child.Parent == t.Name })
	if t.KeepRows && t.Match == nil && !isParent {
		return
	}
	var columns []string
	for _, c := range t.Columns {
		if c.Strategy != policy.Keep {
			columns = append(columns, c.Name)
		}
	}
	g.need(t.Name, t.DeleteRows, columns...)
}

func (g *grants) need(table string, remove bool, update ...string) {
	i := slices.IndexFunc(*g, func(grant store.Grant) bool { return grant.Table == table })
	if i < 0 {
		*g = append(*g, store.Grant{Table: table})
		i = len(*g) - 1
	}
	grant := &(*g)[i]
	grant.Delete = grant.Delete || remove
	for _, column := range update {
		if column != "" && !slices.Contains(grant.Update, column) {
			grant.Update = append(grant.Update, column)
		}
	}
}
