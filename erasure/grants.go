package erasure

import (
	"context"
	"slices"

	"kvit/erasure/policy"
	"kvit/store"
)

// Conditions are those of the orders, the policy and the rules for tables.
func (e *Eraser) Conditions(orders *store.Orders) []store.Condition {
	var list []store.Condition
	if orders != nil {
		list = orders.Conditions()
	}
	for _, t := range e.Policy.Tables {
		if t.When != "" {
			list = append(list, store.ConditionOf(t.Name, t.When))
		}
	}
	for _, rule := range e.Tables {
		if rule.When != "" {
			list = append(list, store.TableRule{Table: rule.Table, When: rule.When}.Condition("retention.tables."+rule.Name))
		}
	}
	return list
}

// Reads are the tables in which the erasure looks for whoever else has a row: those of the policy, and those that foreign
// keys lead from. A key in a table that nobody named may be one of a living order.
func (e *Eraser) Reads(ctx context.Context, db store.DB) ([]string, error) {
	if e.Orders == nil {
		return nil, nil
	}
	p := e.policy()
	database, err := ReadDatabase(ctx, db, p.TableNames())
	if err != nil {
		return nil, err
	}
	var tables []string
	for _, erasure := range p.Erasures(database) {
		tables = append(tables, erasure.Reads()...)
	}
	slices.Sort(tables)
	return slices.Compact(tables), nil
}

// Grants lists what kvit's role needs on the shop's tables for the orders, the policy and the rules for tables, by table,
// the orders table first. read are others that are looked at: those that Reads tells, and
// store.ReadsOf of Conditions.
func (e *Eraser) Grants(orders *store.Orders, read []string) []store.Grant {
	g := grants{}
	if orders != nil {
		g.need(orders.Table, false, orders.ImportedAt, orders.ERPNumber, orders.ErasedAt)
		if orders.Customer != nil {
			g.need(orders.Customer.Table, false)
		}
	}
	for _, t := range e.Policy.Tables {
		g.policy(e.Policy, t)
	}
	if len(g) > 0 && orders != nil && len(g[0].Update) == 0 {
		g.need(orders.Table, false, orders.Ref) // rows are locked, which takes the right to write some column
	}
	for _, rule := range e.Tables {
		update := overwritten(rule.Columns)
		if len(update) == 0 {
			update = []string{rule.Since} // for the same reason
		}
		g.need(rule.Table, len(rule.Columns) == 0, update...)
		for _, child := range rule.Children {
			g.need(child.Table, true)
		}
	}
	for _, table := range read {
		g.need(table, false)
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
	g.need(t.Name, t.DeleteRows, overwritten(t.Columns)...)
}

func overwritten(columns []policy.Column) []string {
	var names []string
	for _, c := range columns {
		if c.Strategy != policy.Keep {
			names = append(names, c.Name)
		}
	}
	return names
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
