package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"kvit/config"
	"kvit/status"
	"kvit/store"
	"kvit/watch"
)

// statusReport is what `kvit status --json` prints.
type statusReport struct {
	Alarms []status.Alarm `json:"alarms"`
	status.Status
}

func (a *app) statusCommand() *cobra.Command {
	var asJSON, again bool
	var every time.Duration
	cmd := &cobra.Command{
		Use: "status", Short: "Tell where everything stands: alarms, queues, imports, erasures",
		Long: `Tells first which alarms are on, and what to do about each; then where everything stands.

The exit code is 0 if no alarm is on and 1 if one is, or if kvit's state cannot be read: it serves as a check. 2 is a wrong
command line. --watch shows it until it is interrupted, also while the database is away, and then exits with 0.`,
		Example: "  kvit status\n  kvit status --watch\n  kvit status --json | jq .alarms",
		Args:    usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if again && asJSON {
				return fmt.Errorf("%w: --watch and --json exclude each other", errUsage)
			}
			cfg, pool, _, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			defer pool.Close()
			reads, err := openReads(cmd.Context(), cfg, pool, slog.New(slog.DiscardHandler))
			if err != nil {
				return err
			}
			defer reads.Close()
			options, err := statusOptions(cfg, pool, reads, watch.New(a.watchOptions(pool, slog.New(slog.DiscardHandler))))
			if err != nil {
				return err
			}
			if again {
				return a.watchStatus(cmd.Context(), options, max(every, time.Second/10))
			}
			return a.tellStatus(cmd.Context(), options, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&again, "watch", false, "show it again and again until interrupted")
	cmd.Flags().DurationVar(&every, "every", 3*time.Second, "how often --watch looks")
	return cmd
}

// statusOptions are from what the status of a configuration is read.
func statusOptions(cfg config.Config, pool *pgxpool.Pool, reads *store.Reads, look *watch.Watch) (status.Options, error) {
	grace, err := overdueAfter(cfg)
	if err != nil {
		return status.Options{}, err
	}
	eraser, err := newEraser(cfg, pool, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		return status.Options{}, err
	}
	return status.Options{DB: pool, Reads: reads, Orders: shopOrders(cfg), Grace: grace, Eraser: eraser, Watch: look}, nil
}

func (a *app) tellStatus(ctx context.Context, o status.Options, asJSON bool) error {
	o.Reads.Look(ctx)
	s, err := status.Read(ctx, o)
	alarms := status.Alarms(s)
	if asJSON {
		err = errors.Join(err, printJSON(a.stdout, statusReport{Alarms: alarms, Status: s}))
	} else {
		err = errors.Join(err, statusView{s, alarms, a.colours()}.print(a.stdout))
	}
	if err == nil && len(alarms) > 0 {
		return errReported
	}
	return err
}

// statusPatience is how long --watch waits for a database that does not answer.
const statusPatience = 10 * time.Second

// clearScreen moves to the upper left corner of a terminal and clears what is below.
const clearScreen = "\x1b[H\x1b[2J"

// watchStatus shows it until ctx ends. A database that is away is a line of it.
func (a *app) watchStatus(ctx context.Context, o status.Options, every time.Duration) error {
	for {
		if err := a.redraw(ctx, o, every); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(every):
		}
	}
}

func (a *app) redraw(ctx context.Context, o status.Options, every time.Duration) error {
	reading, cancel := context.WithTimeout(ctx, statusPatience)
	defer cancel()
	o.Reads.Look(reading)
	s, err := status.Read(reading, o)
	if ctx.Err() != nil {
		return nil
	}
	if isTerminal(a.stdout) {
		fmt.Fprint(a.stdout, clearScreen)
	}
	fmt.Fprintf(a.stdout, "kvit status, %s, every %s\n", a.now().Format(time.DateTime+" MST"), every)
	if err != nil {
		fmt.Fprintf(a.stdout, "THE DATABASE CANNOT BE READ: %s; tried again in %s\n", store.Describe(err), every)
		return nil
	}
	return statusView{s, status.Alarms(s), a.colours()}.print(a.stdout)
}

func printJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}
