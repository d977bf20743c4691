package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"kvit/status"
	"kvit/store"
	"kvit/watch"
)

// watchOptions compare this process with the database.
func (a *app) watchOptions(pool *pgxpool.Pool, logger *slog.Logger) watch.Options {
	return watch.Options{DB: pool, Knows: a.knows, Now: a.now, Records: true, Logger: logger}
}

// databaseNow is the time from which an operator's "2d" counts: that of the records it selects.
func (a *app) databaseNow(ctx context.Context) (time.Time, error) {
	_, pool, _, err := a.open(ctx)
	if err != nil {
		return time.Time{}, err
	}
	defer pool.Close()
	return store.Now(ctx, pool)
}

// checkClocks says what kvit status says.
func (a *app) checkClocks(ctx context.Context, pool *pgxpool.Pool) []finding {
	if err := store.Writable(ctx, pool); err != nil {
		return []finding{{Key: "database", Problem: store.Describe(err)}}
	}
	view, err := watch.New(a.watchOptions(pool, slog.New(slog.DiscardHandler))).Look(ctx)
	if err != nil {
		return []finding{{Key: "database", Problem: store.Describe(err)}}
	}
	var findings []finding
	ahead := view.Ahead()
	if err := view.MayErase(); err != nil {
		findings = append(findings, finding{Key: "database", Problem: err.Error()})
	} else if ahead.Abs() > watch.WarnApart {
		findings = append(findings, finding{Key: "database", Problem: status.Apart(ahead), Advice: true})
	}
	for _, f := range view.Future {
		findings = append(findings, finding{Key: "database", Problem: fmt.Sprintf("%s lies in its future, at %s: its clock was ahead, or is behind", f.What, f.At.Format(time.RFC3339))})
	}
	return findings
}
