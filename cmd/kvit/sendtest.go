package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"kvit/config"
	"kvit/delivery"
	"kvit/jobs"
	"kvit/store"
)

// sendTest sends one event past the queue: nothing of it is stored.
func (a *app) sendTest(ctx context.Context, name string, asJSON bool) error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	i := slices.IndexFunc(cfg.Destinations, func(d config.Destination) bool { return d.Name == name })
	if i < 0 {
		return fmt.Errorf("%w: no destination is called %q", errUsage, name)
	}
	d := cfg.Destinations[i]
	adapter, err := adapterOf(d, newLogger(cfg.Log, a.stderr))
	if err != nil {
		return fmt.Errorf("make destination %s: %w", name, err)
	}
	a.auditTest(ctx, cfg, name)
	ctx, cancel := context.WithTimeout(ctx, cfg.Delivery.Timeout)
	defer cancel()
	trial, err := delivery.Test(ctx, laneOf(cfg, d, adapter), eventsOf(d, adapter))
	if err != nil {
		return err
	}
	return a.reportTest(trial, asJSON)
}

// auditPatience is how long a test waits for a database that it does not need otherwise.
const auditPatience = 5 * time.Second

// auditTest keeps no test from being sent: one is often what is tried before there is a database.
func (a *app) auditTest(ctx context.Context, cfg config.Config, name string) {
	ctx, cancel := context.WithTimeout(ctx, auditPatience)
	defer cancel()
	pool, err := openPool(ctx, cfg)
	if err == nil {
		defer pool.Close()
		err = a.askedFor(ctx, pool, store.AuditEntry{Action: jobs.TestEvent, Subject: name})
	}
	if err != nil {
		fmt.Fprintf(a.stderr, "kvit: warning: this test is not in the audit: %s\n", store.Describe(err))
	}
}

func (a *app) reportTest(t delivery.Trial, asJSON bool) error {
	if asJSON {
		if err := printJSON(a.stdout, t); err != nil {
			return err
		}
	} else {
		printTrial(a.stdout, t)
	}
	if t.Problem != "" {
		return errReported
	}
	return nil
}

func printTrial(w io.Writer, t delivery.Trial) {
	fmt.Fprintf(w, "%s: sent %s, event key %s\n", t.Destination, t.Event, t.EventKey)
	answer := "no answer"
	if t.Code != 0 {
		answer = fmt.Sprintf("HTTP %d", t.Code)
	}
	if t.Problem != "" {
		fmt.Fprintf(w, "%s: %s: %s\n", t.Outcome, answer, t.Problem)
		return
	}
	fmt.Fprintf(w, "%s: %s\n", t.Outcome, answer)
	if t.Marked {
		fmt.Fprintln(w, "The provider was told that it is a test; docs/destinations says what it does with one.")
		return
	}
	fmt.Fprintln(w, "The provider has no mark for tests: it is visible in its reports as an event of kvit-test@example.com.")
}
