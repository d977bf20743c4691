package erasure

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"kvit/erasure/policy"
	"kvit/store"
)

// Unsearched is a table in which a person was not looked for.
type Unsearched struct {
	Table  string `json:"table"`
	Reason string `json:"reason"` // in one line, without a value of the database

	failed bool // it should have been: the answer to the person is incomplete
}

// String is for people.
func (u Unsearched) String() string { return "table " + u.Table + ": " + u.Reason }

// isIncomplete tells whether one of them should have been searched.
func isIncomplete(list []Unsearched) bool {
	return slices.ContainsFunc(list, func(u Unsearched) bool { return u.failed })
}

// unreached lists the tables of the configuration that nothing ties to a person.
func (e *Eraser) unreached(p policy.Policy) []Unsearched {
	var list []Unsearched
	_, apart := p.Reach()
	if p.Orders.Name == "" {
		apart = nil // no shop is configured: that is said once
	}
	for _, table := range apart {
		if p.Keeps(table) {
			list = append(list, Unsearched{Table: table, Reason: "retention.policy keeps it whole, and nothing ties it to an order"})
			continue
		}
		list = append(list, Unsearched{Table: table, Reason: "retention.policy: nothing ties it to an order", failed: true})
	}
	for _, rule := range e.Tables {
		for _, table := range rule.TableNames() {
			list = append(list, Unsearched{Table: table, Reason: "nothing ties it to a person; its rows go by retention.tables." + rule.Name})
		}
	}
	return list
}

// unasked lists tables whose rows without an order go by what the request does not say.
func unasked(p policy.Policy, o store.Orders, s store.Subject) []Unsearched {
	var list []Unsearched
	reached, _ := p.Reach()
	for _, r := range reached {
		var missing []string
		for _, path := range r.Paths {
			switch key := path[len(path)-1].Key; {
			case s.CustomerID == "" && o.CustomerID != "" && key == o.CustomerID:
				missing = append(missing, "--customer-id")
			case s.Email == "" && o.Email != "" && key == o.Email:
				missing = append(missing, "--email")
			}
		}
		slices.Sort(missing)
		if missing = slices.Compact(missing); len(missing) > 0 {
			list = append(list, Unsearched{Table: r.Table, Reason: "rows without an order are found by " + strings.Join(missing, " and ") + " alone, which was not given"})
		}
	}
	return list
}

// unfit lists the tables that the policy does not fit.
func unfit(blocked []policy.Blocked) []Unsearched {
	var list []Unsearched
	for _, b := range blocked {
		list = append(list, Unsearched{Table: b.Table, Reason: "not erased: " + strings.Join(b.Problems, "; "), failed: true})
	}
	return list
}

// kept lists tables whose rows are found, and stay.
func kept(p policy.Policy) []Unsearched {
	var list []Unsearched
	reached, _ := p.Reach()
	for _, r := range reached {
		if p.Keeps(r.Table) {
			list = append(list, Unsearched{Table: r.Table, Reason: "retention.policy keeps it whole"})
		}
	}
	return list
}

// merged has each table once, with all of its reasons.
func merged(lists ...[]Unsearched) []Unsearched {
	all := []Unsearched{}
	for _, u := range slices.Concat(lists...) {
		i := slices.IndexFunc(all, func(other Unsearched) bool { return other.Table == u.Table })
		switch {
		case i < 0:
			all = append(all, u)
		case all[i].Reason != u.Reason:
			all[i].Reason += "; " + u.Reason
			all[i].failed = all[i].failed || u.failed
		}
	}
	return all
}

// misses words an error that is about one table alone: the next one can be searched all the same. ok is false
// of any other.
func misses(ctx context.Context, err error) (reason string, ok bool) {
	const queryCanceled = "57014" // it took too long: of an index that is missing, for instance
	var pgErr *pgconn.PgError
	if ctx.Err() != nil || !errors.As(err, &pgErr) || store.IsConnection(err) && pgErr.Code != queryCanceled {
		return "", false
	}
	return fmt.Sprintf("cannot be searched: %s", store.Describe(err)), true
}
