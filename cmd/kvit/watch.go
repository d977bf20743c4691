package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

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

// clocks is what kvit status tells of the clocks, and of who may erase.
type clocks struct {
	Database time.Time     `json:"database"`
	Ahead    float64       `json:"ahead_seconds"` // this machine's clock; negative: it is behind
	Problem  string        `json:"problem"`       // why a kvit on this machine does not erase; empty: it may
	Future   []store.Ahead `json:"future"`        // the newest records of a kind, if they lie in the database's future
}

func clocksOf(v watch.View) clocks {
	c := clocks{Database: v.Database, Ahead: v.Ahead().Seconds(), Future: append([]store.Ahead{}, v.Future...)}
	if err := v.MayErase(); err != nil {
		c.Problem = err.Error()
	}
	return c
}

// print says nothing where all is well.
func (c clocks) print(w io.Writer) {
	ahead := time.Duration(c.Ahead * float64(time.Second))
	switch {
	case c.Problem != "":
		fmt.Fprintf(w, "DOES NOT ERASE\t%s\n", c.Problem)
	case ahead.Abs() > watch.WarnApart:
		fmt.Fprintf(w, "CLOCKS APART\t%s\n", apart(ahead))
	}
	for _, f := range c.Future {
		fmt.Fprintf(w, "IN THE FUTURE\t%s at %s: the database's clock was ahead, or is behind\n", f.What, f.At.Format(time.RFC3339))
	}
}

// apart is which of the two clocks is ahead; neither of them need be right.
func apart(ahead time.Duration) string {
	where := "ahead of"
	if ahead < 0 {
		where = "behind"
	}
	return fmt.Sprintf("this machine's clock is %s %s the database's", ahead.Abs().Round(time.Second), where)
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
		findings = append(findings, finding{Key: "database", Problem: apart(ahead), Advice: true})
	}
	for _, f := range view.Future {
		findings = append(findings, finding{Key: "database", Problem: fmt.Sprintf("%s lies in its future, at %s: its clock was ahead, or is behind", f.What, f.At.Format(time.RFC3339))})
	}
	return findings
}
