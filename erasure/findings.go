package erasure

import (
	"context"
	"fmt"
	"slices"
	"time"

	"kvit/erasure/policy"
	"kvit/store"
)

// Finding is one thing that `kvit check` has to say.
type Finding struct {
	Key     string // of the configuration
	Table   string // that retention.policy is about; empty: none, or another key
	Column  string // of it; empty: the table as a whole
	Problem string
	Advice  bool // works, but could be better
}

// OrderFindings is what `kvit check` has to say about the erasure of orders. shop is the shop's orders table,
// whether or not a policy erases them. An order's erasure is tried and rolled back. Where an answer leaves
// nothing to ask, the rest is not asked.
func (e *Eraser) OrderFindings(ctx context.Context, shop store.Orders) []Finding {
	lacks, err := store.LackingRights(ctx, e.DB, shop)
	if err != nil {
		return []Finding{{Key: "shop.orders", Problem: store.Describe(err)}}
	}
	if len(lacks) > 0 {
		return findingsOf("shop.orders", lacks)
	}
	if findings := e.referenceFindings(ctx, shop); len(findings) > 0 {
		return findings
	}
	customers, err := store.LackingCustomers(ctx, e.DB, shop)
	if err != nil {
		customers = []string{store.Describe(err)}
	}
	findings := findingsOf("shop.orders.customer", customers)
	if clocks := e.clockFindings(ctx, shop); len(clocks) > 0 {
		return append(findings, clocks...)
	}
	if _, err := store.ReadOrdersStatus(ctx, e.DB, shop, 0); err != nil {
		findings = append(findings, Finding{Key: "shop.orders", Problem: "orders cannot be read, is awaiting_import right? " + store.Describe(err)})
	}
	if e.Orders == nil {
		return append(findings, Finding{Key: "retention.policy", Problem: "is empty: no order is ever erased"})
	}
	problems, err := e.Check(ctx)
	if err != nil {
		return append(findings, Finding{Key: "retention.policy", Problem: store.Describe(err)})
	}
	trial := e.trialFindings(ctx)
	if !slices.ContainsFunc(trial, func(f Finding) bool { return !f.Advice }) {
		trial = append(trial, e.residueFindings(ctx)...) // what cannot be erased cannot leave copies either
	}
	return slices.Concat(findings, policyFindings(problems, false), trial, haste(shop),
		e.replicaFindings(ctx), e.dueIndexFindings(ctx, shop), e.indexFindings(ctx), e.leakFindings(ctx), e.outdatedFindings(ctx, shop))
}

// TableFindings is what `kvit check` has to say about the rules for tables.
func (e *Eraser) TableFindings(ctx context.Context) []Finding {
	found, err := e.CheckTables(ctx)
	if err != nil {
		return []Finding{{Key: "retention.tables", Problem: store.Describe(err)}}
	}
	var findings []Finding
	for _, f := range found {
		at := Finding{Key: "retention.tables." + f.Rule}
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

func findingsOf(key string, problems []string) []Finding {
	var findings []Finding
	for _, problem := range problems {
		findings = append(findings, Finding{Key: key, Problem: problem})
	}
	return findings
}

// referenceFindings looks for references that two rows have, where no index does, and for those that no event can have.
func (e *Eraser) referenceFindings(ctx context.Context, shop store.Orders) []Finding {
	twice, err := store.ReferencesTwice(ctx, e.DB, shop)
	switch {
	case err != nil:
		return []Finding{{Key: "shop.orders.ref", Problem: "look for references that two rows have: " + store.Describe(err)}}
	case twice > 0:
		return []Finding{{Key: "shop.orders.ref", Problem: fmt.Sprintf("%d references have more than one row each: these orders are never erased", twice)}}
	}
	blanks, err := store.ReferencesWithBlanks(ctx, e.DB, shop)
	switch {
	case err != nil:
		return []Finding{{Key: "shop.orders.ref", Problem: store.Describe(err)}}
	case blanks > 0:
		return []Finding{{Key: "shop.orders.ref", Problem: fmt.Sprintf("%d orders have blanks around their reference: events and evidence of the ERP, which are stored "+
			"without them, never meet these orders", blanks)}}
	}
	return nil
}

// clockFindings tries the predicates of the configuration one by one.
func (e *Eraser) clockFindings(ctx context.Context, shop store.Orders) []Finding {
	var findings []Finding
	for _, clock := range shop.Clocks {
		if err := store.TryClock(ctx, e.DB, shop, clock); err != nil {
			findings = append(findings, Finding{
				Key: "retention.clocks." + clock.Name, Problem: "cannot be used, are when and since right? " + store.Describe(err),
			})
		}
	}
	return findings
}

func policyFindings(problems []policy.Problem, advice bool) []Finding {
	var findings []Finding
	for _, p := range problems {
		findings = append(findings, Finding{Key: "retention.policy", Table: p.Table, Column: p.Column, Problem: p.String(), Advice: advice})
	}
	return findings
}

// trialFindings finds what the catalog does not tell, such as triggers.
func (e *Eraser) trialFindings(ctx context.Context) []Finding {
	trial, err := e.Trial(ctx)
	if err != nil {
		return []Finding{{Key: "retention.policy", Problem: "try an erasure: " + store.Describe(err)}}
	}
	return append(policyFindings(trial.Refused, false), policyFindings(trial.Untried, true)...)
}

// haste tells of a time in which no mistake can be noticed.
func haste(shop store.Orders) []Finding {
	if shop.EraseAfter >= 24*time.Hour {
		return nil
	}
	return []Finding{{
		Key: "retention.erase_after_import", Advice: true,
		Problem: "is less than a day: an import that was a mistake can hardly be noticed in time",
	}}
}

// replicaFindings tells of replicas that cannot be seen.
func (e *Eraser) replicaFindings(ctx context.Context) []Finding {
	if e.MaxReplicaLag == 0 {
		return nil
	}
	lag, known, err := store.ReplicaLag(ctx, e.DB)
	advice := func(problem string) []Finding {
		return []Finding{{Key: "retention.max_replica_lag", Advice: true, Problem: problem}}
	}
	switch {
	case err != nil:
		return nil
	case !known:
		return advice("has no effect, since kvit's database role may not see how far replicas are behind: grant it pg_read_all_stats")
	case lag > e.MaxReplicaLag:
		return advice("is shorter than a replica is behind at the moment, " + lag.Round(time.Second).String() +
			": the erasure waits for it. Of a replica that is behind on purpose, write a longer one, or 0")
	}
	return nil
}

func (e *Eraser) indexFindings(ctx context.Context) []Finding {
	missing, err := e.MissingIndexes(ctx)
	if err != nil {
		return []Finding{{Key: "retention.policy", Problem: store.Describe(err)}}
	}
	var findings []Finding
	for _, statement := range missing {
		findings = append(findings, Finding{
			Key: "retention.policy", Advice: true, Problem: "each batch of an erasure reads the whole table; this helps: " + statement,
		})
	}
	return findings
}

func (e *Eraser) dueIndexFindings(ctx context.Context, shop store.Orders) []Finding {
	var findings []Finding
	asked := map[string]bool{}
	placed := store.Clock{Since: shop.PlacedAt}
	if has, err := store.HasDueIndex(ctx, e.DB, shop, placed); err == nil && !has {
		asked[shop.PlacedAt] = true
		lookup := store.Lookup{Table: shop.Table, Column: shop.PlacedAt}
		findings = append(findings, Finding{
			Key: "shop.orders", Advice: true, Problem: "kvit reads the whole table every minute to find orders that are new; this helps: " + lookup.Index(),
		})
	}
	for _, clock := range shop.AllClocks() {
		if asked[clock.Since] {
			continue
		}
		asked[clock.Since] = true
		if has, err := store.HasDueIndex(ctx, e.DB, shop, clock); err == nil && !has {
			findings = append(findings, Finding{
				Key: "shop.orders", Advice: true, Problem: "finding due orders reads the whole table; this helps: " + shop.DueIndex(clock),
			})
		}
	}
	return findings
}

// leakFindings advise on what may keep copies of erased rows.
func (e *Eraser) leakFindings(ctx context.Context) []Finding {
	problems, err := e.Leaks(ctx)
	if err != nil {
		return []Finding{{Key: "retention.policy", Problem: store.Describe(err)}}
	}
	var findings []Finding
	for _, p := range problems {
		if p.Table == "" {
			findings = append(findings, Finding{Key: "database", Problem: p.Problem, Advice: true})
			continue
		}
		findings = append(findings, policyFindings([]policy.Problem{p}, true)...)
	}
	return findings
}
