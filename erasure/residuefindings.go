package erasure

import (
	"context"
	"fmt"
	"strings"
	"time"

	"kvit/erasure/policy"
	"kvit/store"
)

// What kvit check takes for the search.
const (
	checkOrders = 3
	checkTime   = 10 * time.Second
	someNames   = 5 // of tables in one finding
)

// residueFindings name places that the policy forgets, and what could not be looked at.
func (e *Eraser) residueFindings(ctx context.Context) []Finding {
	findings := e.serverLogFindings(ctx)
	report, err := e.Scan(ctx, ScanOptions{Orders: checkOrders, Time: checkTime})
	if err != nil {
		return append(findings, Finding{Key: "retention.policy", Advice: true, Problem: "was not searched for what it forgets: " + store.Describe(err)})
	}
	for _, c := range report.Found {
		findings = append(findings, policyFindings([]policy.Problem{c.Advise()}, false)...)
	}
	for _, c := range report.Kept {
		if c.Meant() {
			p := policy.Problem{Table: c.Table, Column: c.Column, Problem: "keeps values of erased orders, as the policy says: " + c.Reason}
			findings = append(findings, policyFindings([]policy.Problem{p}, true)...)
		}
	}
	return append(findings, unsearched(report.Unsearched)...)
}

func unsearched(places []store.Unsearched) []Finding {
	if len(places) == 0 {
		return nil
	}
	var names []string
	for _, u := range places[:min(len(places), someNames)] {
		names = append(names, u.String())
	}
	more := ""
	if len(places) > someNames {
		more = fmt.Sprintf(" and %d more", len(places)-someNames)
	}
	return []Finding{{Key: "retention.policy", Advice: true, Problem: "nobody has looked for copies in " +
		strings.Join(names, "; ") + more + ": kvit policy scan takes more time, and kvit's role may be granted select"}}
}

// serverLogFindings warn of a server that logs what must not be seen.
func (e *Eraser) serverLogFindings(ctx context.Context) []Finding {
	settings, err := store.LoggedParameters(ctx, e.DB)
	if err != nil || len(settings) == 0 || e.Residue.Orders == 0 && e.HashKey == nil {
		return nil
	}
	return []Finding{{Key: "database", Advice: true, Problem: "the server writes parameters of statements into its log (" + strings.Join(settings, ", ") +
		"): the values that kvit looks for after an erasure, and what it makes of retention.hash_key, are among them. " +
		"Set log_parameter_max_length = 0 for kvit's role, or retention.residue.orders: 0"}}
}
