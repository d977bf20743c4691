package erasure

import (
	"context"
	"slices"

	"kvit/erasure/policy"
	"kvit/store"
)

// MissingIndexes advises statements that make indexes, without which each batch of an erasure reads whole
// tables. Small tables are left out.
func (e *Eraser) MissingIndexes(ctx context.Context) ([]string, error) {
	if e.Orders == nil {
		return nil, nil
	}
	p := e.policy()
	database, err := ReadDatabase(ctx, e.DB, p.TableNames())
	if err != nil {
		return nil, err
	}
	var missing []string
	for _, k := range append(lookups(p.Erasures(database)), personLookups(*e.Orders)...) {
		lacks, err := store.LacksIndex(ctx, e.DB, k)
		if err != nil {
			return nil, err
		}
		if lacks {
			missing = append(missing, k.Index())
		}
	}
	return missing, nil
}

// personLookups are the columns by which a request of a person finds the orders.
func personLookups(o store.Orders) []store.Lookup {
	var list []store.Lookup
	if o.Email != "" {
		list = append(list, store.Lookup{Table: o.Table, Column: o.Email, Fold: true})
	}
	if o.Customer == nil {
		return list
	}
	for _, pair := range o.Customer.Match {
		list = append(list, store.Lookup{Table: o.Table, Column: pair.Key})
	}
	if o.Customer.Email != "" {
		list = append(list, store.Lookup{Table: o.Customer.Table, Column: o.Customer.Email, Fold: true})
	}
	return list
}

// lookups are the columns by which an erasure finds rows, from the orders down to the table, and for
// rows of several orders also back up.
func lookups(erasures []policy.TableErasure) []store.Lookup {
	var list []store.Lookup
	add := func(k store.Lookup) {
		if !slices.Contains(list, k) {
			list = append(list, k)
		}
	}
	for _, e := range erasures {
		table := e.Table
		for _, l := range e.Path {
			add(store.Lookup{Table: table, Column: l.Column, Fold: l.Fold})
			table = l.Table
		}
		for _, path := range e.Guards {
			for _, l := range path {
				add(store.Lookup{Table: l.Table, Column: l.Key, Fold: l.Fold})
			}
		}
		for _, h := range e.Holders {
			add(store.Lookup{Table: h.Table, Column: h.Pairs[0].Column})
		}
	}
	return list
}
