package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"

	"kvit/config"
	"kvit/store"
)

// looks is at how many connections kvit check looks at once: one behind a pooler says little of the others.
const looks = 3

// checkDoors tells by which ways others get at what kvit may do.
func checkDoors(ctx context.Context, cfg config.Config, pool *pgxpool.Pool) []finding {
	return slices.Concat(sessionFindings(ctx, cfg, pool), mightFindings(ctx, pool), readingFindings(ctx, cfg, pool), triggerFindings(ctx, cfg, pool))
}

func sessionFindings(ctx context.Context, cfg config.Config, pool *pgxpool.Pool) (findings []finding) {
	sessions, err := store.Sessions(ctx, pool, looks)
	if err != nil {
		return []finding{{Key: "database", Problem: store.Describe(err)}}
	}
	if problem := unsafeSessions(ctx, pool, sessions); problem != "" {
		findings = append(findings, finding{Key: "database", Problem: problem})
	}
	switch {
	case !sessions[0].Pooled:
	case store.Shared(sessions) && cfg.Database.Notify:
		findings = append(findings, finding{Key: "database.notify", Problem: "a pooler stands between kvit and Postgres and hands connections out " +
			"by the transaction, so that kvit cannot LISTEN: set it to false, or lead database.url past the pooler"})
	default:
		findings = append(findings, finding{Key: "database.url", Advice: true, Problem: "leads to a pooler (PgBouncer, for instance), not to Postgres itself: see docs/operations.md"})
	}
	return findings
}

// unsafeSessions is what is wrong with the search path of any of the sessions; empty: nothing.
func unsafeSessions(ctx context.Context, pool *pgxpool.Pool, sessions []store.Session) string {
	bad := slices.IndexFunc(sessions, func(s store.Session) bool { return !s.Safe() })
	if bad < 0 {
		return ""
	}
	s := sessions[bad]
	problem := fmt.Sprintf("the search_path of kvit's sessions is %s", s.SearchPath)
	makers, err := store.Makers(ctx, pool)
	if err == nil && len(makers) > 0 {
		var who []string
		for _, m := range makers {
			who = append(who, fmt.Sprintf("%s in %s", m.Role, m.Schema))
		}
		problem += ", so that functions run with kvit's rights which these may make: " + strings.Join(who, ", ")
	}
	return problem + ". Behind a pooler kvit cannot set it for itself: " + store.SearchPathCure(s.Role) + "; then let the pooler reconnect (PgBouncer: RECONNECT)"
}

func mightFindings(ctx context.Context, pool *pgxpool.Pool) []finding {
	might, err := store.RoleMight(ctx, pool)
	switch {
	case err != nil:
		return []finding{{Key: "database", Problem: store.Describe(err)}}
	case might.Superuser:
		return []finding{{Key: "database.url", Advice: true, Problem: fmt.Sprintf(
			"role %s is a superuser: whatever runs with kvit's rights, such as triggers of the shop's, may do everything. Give kvit a role of its own (README, step 2)", might.Role)}}
	case len(might.Owned) > 0:
		return []finding{{Key: "database.url", Advice: true, Problem: fmt.Sprintf(
			"role %s owns %s: kvit needs to own nothing but its schema. Give it a role of its own (README, step 2)", might.Role, few(might.Owned))}}
	}
	return nil
}

// triggerFindings is nothing to mend, but to know: kvit erases with its own rights, and the shop's triggers fire.
func triggerFindings(ctx context.Context, cfg config.Config, pool *pgxpool.Pool) []finding {
	triggers, err := store.ForeignTriggers(ctx, pool, governedTables(cfg))
	if err != nil {
		return []finding{{Key: "database", Problem: store.Describe(err)}}
	}
	if len(triggers) == 0 {
		return nil
	}
	var list []string
	for _, t := range triggers {
		list = append(list, fmt.Sprintf("%s on %s (function %s, owner %s)", t.Name, t.Table, t.Function, t.Owner))
	}
	return []finding{{Key: "retention.policy", Advice: true, Problem: "these triggers run with kvit's rights when it erases, and their owners decide what they do: " + few(list)}}
}

// readingFindings is about SQL of the configuration's that finds something by the database's search path which kvit does
// not: a table, or an operator of an extension's, such as that of citext.
func readingFindings(ctx context.Context, cfg config.Config, pool *pgxpool.Pool) (findings []finding) {
	others, err := store.OtherReadings(ctx, pool, predicates(cfg))
	if err != nil {
		return []finding{{Key: "database", Problem: store.Describe(err)}}
	}
	for _, other := range others {
		findings = append(findings, finding{Key: other.Key, Problem: "names something of the shop's without its schema, where kvit does not find it. Write, if that is what you mean: " + other.Qualified})
	}
	return findings
}

// predicates is all SQL of the configuration's.
func predicates(cfg config.Config) (list []store.Predicate) {
	if orders := shopOrders(cfg); orders != nil {
		list = append(list, store.OrdersPredicate("shop.orders.awaiting_import", *orders, orders.AwaitingImport))
		for _, c := range orders.Clocks {
			list = append(list, store.OrdersPredicate("retention.clocks."+c.Name+".when", *orders, c.When))
		}
	}
	for _, rule := range cfg.Retention.Tables {
		if rule.When != "" {
			list = append(list, store.TablePredicate("retention.tables."+rule.Name+".when", rule.Table, rule.When))
		}
	}
	for _, t := range cfg.Retention.Policy {
		if t.When != "" {
			list = append(list, store.TablePredicate("retention.policy: "+t.Table+".when", t.Table, t.When))
		}
	}
	return list
}

// governedTables are those of the shop's that kvit writes to.
func governedTables(cfg config.Config) (tables []string) {
	if cfg.Shop != nil {
		tables = append(tables, cfg.Shop.Orders.Table)
	}
	for _, t := range cfg.Retention.Policy {
		tables = append(tables, t.Table)
	}
	for _, rule := range cfg.Retention.Tables {
		tables = append(tables, rule.Table)
		for _, child := range rule.Children {
			tables = append(tables, child.Table)
		}
	}
	slices.Sort(tables)
	return slices.Compact(tables)
}

// few is the beginning of a list that may be long.
func few(list []string) string {
	const most = 10
	if len(list) <= most {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(list[:most], ", "), len(list)-most)
}
