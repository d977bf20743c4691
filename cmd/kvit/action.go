package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"kvit/config"
	"kvit/delivery"
	"kvit/store"
)

// actionOptions are what replay, backfill and cancel have in common.
type actionOptions struct {
	destination string
	reason      string
	operator    string
	dryRun      bool
	yes         bool
	asJSON      bool
}

func (o *actionOptions) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.destination, "destination", "", "name of the destination (required)")
	cmd.Flags().StringVar(&o.reason, "reason", "", "why, for the audit; required for more than 1,000 events. No personal data")
	cmd.Flags().StringVar(&o.operator, "operator", "", "who does it, for the audit (default $SUDO_USER, else $USER, else the database user)")
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "print the preview and stop")
	cmd.Flags().BoolVar(&o.yes, "yes", false, "do not ask before more than 1,000 events")
	cmd.Flags().BoolVar(&o.asJSON, "json", false, "print JSON, and do not ask")
}

// audit says who acts. The operator's own name is better than that of the database user, which all share.
func (a *app) audit(o actionOptions) delivery.Audit {
	return delivery.Audit{Operator: cmp.Or(o.operator, a.getenv("SUDO_USER"), a.getenv("USER")), Reason: o.reason}
}

// entry is of the audit.
func (o actionOptions) entry(action string) store.AuditEntry {
	return store.AuditEntry{Who: o.operator, Action: action, Subject: o.destination, Reason: o.reason}
}

// act shows what an action would do, asks if that is much, and does it. done is what becomes of the events,
// as in "12 events sent again".
func (a *app) act(ctx context.Context, in io.Reader, o actionOptions, act delivery.Action, done string) error {
	if o.destination == "" {
		return fmt.Errorf("%w: --destination must be given", errUsage)
	}
	cfg, pool, _, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer pool.Close()
	if act.Sends {
		if act.MaxAge, err = maxAge(cfg, o.destination); err != nil {
			return err
		}
	}
	report, err := act.Preview(ctx, pool)
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("%w: no destination is called %q; `kvit run` makes a new one known when it starts", errUsage, o.destination)
	}
	if err != nil {
		return err
	}
	report.DryRun = o.dryRun
	if !o.asJSON {
		if err := printPreview(a.stdout, report, act.MaxAge, done); err != nil {
			return err
		}
	}
	if !o.dryRun && report.Selected > 0 {
		if err := a.agree(ctx, in, o, report.Selected); err != nil {
			return err
		}
		err = act.Do(ctx, pool, &report, func() { a.progress(report) })
	}
	if o.asJSON {
		return errors.Join(err, printJSON(a.stdout, report))
	}
	if err == nil && report.ID != 0 {
		fmt.Fprintf(a.stdout, "%d events %s (action %d)\n", report.Done, done, report.ID)
	}
	return err
}

func (a *app) progress(r delivery.Report) {
	if isTerminal(a.stderr) {
		fmt.Fprintf(a.stderr, "\r%d of %d ", r.Done, r.Selected)
	}
}

// agree returns an error unless the operator wants so many events to be touched.
func (a *app) agree(ctx context.Context, in io.Reader, o actionOptions, events int64) error {
	if events <= delivery.ManyEvents {
		return nil
	}
	if o.reason == "" {
		return fmt.Errorf("%w: %d events are more than %d: say why with --reason", errUsage, events, delivery.ManyEvents)
	}
	if o.yes {
		return nil
	}
	terminal, ok := in.(*os.File)
	if !ok || o.asJSON || !term.IsTerminal(int(terminal.Fd())) {
		return fmt.Errorf("%w: %d events are more than %d: confirm with --yes", errUsage, events, delivery.ManyEvents)
	}
	return ask(ctx, in, a.stderr, events)
}

// ask waits for the word yes, or for the end of the context: reading a terminal cannot be
// interrupted.
func ask(ctx context.Context, in io.Reader, out io.Writer, events int64) error {
	fmt.Fprintf(out, "%d events. Type yes to go on: ", events)
	answer := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(in).ReadString('\n') // no answer is no
		answer <- strings.TrimSpace(line)
	}()
	select {
	case line := <-answer:
		if line == "yes" {
			return nil
		}
		return errors.New("nothing was done: the answer was not yes")
	case <-ctx.Done():
		return errors.New("nothing was done: interrupted")
	}
}

// maxGroups bounds the preview at a terminal; JSON has all.
const maxGroups = 30

func printPreview(w io.Writer, r delivery.Report, maxAge time.Duration, done string) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	if len(r.Groups) > 0 {
		fmt.Fprintln(t, "EVENTS\tOF\tOLDEST\tNEWEST\tNOTE")
	}
	for _, g := range r.Groups[:min(len(r.Groups), maxGroups)] {
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\n", g.Events, g.Of, moment(g.Oldest), moment(g.Newest), note(g))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if more := len(r.Groups) - maxGroups; more > 0 {
		fmt.Fprintf(w, "and %d more lines; --json has them\n", more)
	}
	if r.NotFound > 0 {
		fmt.Fprintf(w, "%d of the events named are not among these: nothing of them at %s fits\n", r.NotFound, r.Destination)
	}
	if r.TooOld > 0 {
		fmt.Fprintf(w, "warning: %d events occurred more than %s ago, which is more than %s takes: they will end as expired\n", r.TooOld, maxAge, r.Destination)
	}
	would := "to be"
	if r.DryRun {
		would = "would be"
	}
	fmt.Fprintf(w, "%s: %d events %s %s, %d skipped\n", r.Destination, r.Selected, would, done, r.Skipped)
	return nil
}

func note(g store.Group) string {
	switch {
	case g.Skipped == "":
		return g.Reason
	case g.Reason == "":
		return "skipped: " + g.Skipped
	default:
		return "skipped: " + g.Skipped + " (" + g.Reason + ")"
	}
}

func moment(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.UTC().Format(time.DateTime)
}

// maxAge is the age beyond which events expire at a destination; 0: they do not.
func maxAge(cfg config.Config, name string) (time.Duration, error) {
	for _, d := range cfg.Destinations {
		if d.Name != name {
			continue
		}
		adapter, err := adapterOf(d, slog.New(slog.DiscardHandler))
		if err != nil {
			return 0, fmt.Errorf("make destination %s: %w", name, err)
		}
		return laneOf(cfg, d, adapter).MaxAge, nil
	}
	return 0, nil
}

// parseMoment reads the time that a flag gives: RFC 3339, a day in UTC, or how long ago it is. A day
// that ends something counts in full. Empty is none.
func parseMoment(flag, text string, now time.Time, end bool) (*time.Time, error) {
	if text == "" {
		return nil, nil
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return &at, nil
	}
	if day, err := time.Parse(time.DateOnly, text); err == nil {
		if end {
			day = day.AddDate(0, 0, 1)
		}
		return &day, nil
	}
	ago, err := config.ParseDuration(text)
	if err != nil {
		return nil, fmt.Errorf("%w: --%s must be a time such as 2026-01-31T08:00:00Z, a day such as 2026-01-31, or how long ago, such as 3d or 12h", errUsage, flag)
	}
	at := now.Add(-ago)
	return &at, nil
}
