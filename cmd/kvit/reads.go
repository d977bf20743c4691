package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"kvit/config"
	"kvit/status"
	"kvit/store"
)

// openReads makes the pool for pages, status and metrics. Who keeps it open runs it; who reads once looks once.
func openReads(ctx context.Context, cfg config.Config, primary *pgxpool.Pool, logger *slog.Logger) (*store.Reads, error) {
	return store.OpenReads(ctx, store.ReadOptions{
		Primary: primary, URL: cfg.Database.ReadURL.Reveal(), MaxLag: cfg.Database.ReadMaxLag, TimeZone: sessionZone(cfg), Logger: logger,
	})
}

func printReads(w io.Writer, s *status.Reads, now time.Time) {
	switch {
	case s == nil:
	case s.Problem != "":
		fmt.Fprintf(w, "READ REPLICA NOT READ\t%s; these are the primary's numbers\n", s.Problem)
	default:
		fmt.Fprintf(w, "read from the replica\tat most %s behind, newest transaction %s\n", s.ReadState.Lag.Round(time.Millisecond), ago(s.ReplayedAt, now))
	}
}

// checkReads says why the replica would not be read, and asks it what kvit status asks.
func checkReads(ctx context.Context, cfg config.Config, primary *pgxpool.Pool) []finding {
	const key = "database.read_url"
	reads, err := openReads(ctx, cfg, primary, slog.New(slog.DiscardHandler))
	if err != nil {
		return []finding{{Key: key, Problem: err.Error()}}
	}
	defer reads.Close()
	if !reads.Configured() {
		return nil
	}
	reads.Look(ctx)
	if state := reads.Look(ctx); state.Problem != "" { // the second look can tell that it follows another server
		return []finding{{Key: key, Problem: state.Problem}}
	}
	if _, err := store.DestinationStatuses(ctx, reads.Pool); err != nil {
		return []finding{{Key: key, Problem: "it cannot be read: " + store.Describe(err)}}
	}
	return nil
}
