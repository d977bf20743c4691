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

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"kvit/config"
	"kvit/store"
)

// manyEvents is how many events an action may touch without being asked why and whether. It is also
// the size of one step.
const manyEvents = 1000

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

// action is one of replay, backfill and cancel, ready to run.
type action struct {
	actionOptions
	name      string // as the audit has it
	done      string // past participle, as in "12 events sent again"
	selection any
	maxAge    time.Duration // older events will expire; 0: none
	named     int           // events that were asked for by id; 0: none
	preview   func(ctx context.Context) ([]store.Group, error)
	step      func(ctx context.Context, s store.Step) (store.Stepped, error)
}

// actionReport is what an action prints.
type actionReport struct {
	Action      string        `json:"action"`
	Destination string        `json:"destination"`
	DryRun      bool          `json:"dry_run"`
	Selected    int64         `json:"selected"`
	TooOld      int64         `json:"too_old"` // of Selected: they will expire
	Skipped     int64         `json:"skipped"`
	NotFound    int64         `json:"not_found"` // of the events named
	Groups      []store.Group `json:"groups"`
	ID          int64         `json:"id"` // of the row in kvit.delivery_action; 0: nothing was done
	Done        int64         `json:"done"`
}

func newActionReport(act action, groups []store.Group) actionReport {
	r := actionReport{Action: act.name, Destination: act.destination, DryRun: act.dryRun, Groups: append([]store.Group{}, groups...)}
	for _, g := range groups {
		if g.Skipped != "" {
			r.Skipped += g.Events
			continue
		}
		r.Selected += g.Events
		r.TooOld += g.TooOld
	}
	r.NotFound = max(int64(act.named)-r.Selected-r.Skipped, 0)
	return r
}

// act shows what an action would do, asks if that is much, and does it.
func (a *app) act(ctx context.Context, in io.Reader, pool *pgxpool.Pool, act action) error {
	groups, err := act.preview(ctx)
	if err != nil {
		return err
	}
	report := newActionReport(act, groups)
	if !act.asJSON {
		if err := report.print(a.stdout, act); err != nil {
			return err
		}
	}
	if !act.dryRun && report.Selected > 0 {
		if err := a.agree(ctx, in, act, report.Selected); err != nil {
			return err
		}
		err = a.run(ctx, pool, act, &report)
	}
	if act.asJSON {
		return errors.Join(err, printJSON(a.stdout, report))
	}
	if err == nil && report.ID != 0 {
		fmt.Fprintf(a.stdout, "%d events %s (action %d)\n", report.Done, act.done, report.ID)
	}
	return err
}

// agree returns an error unless the operator wants so many events to be touched.
func (a *app) agree(ctx context.Context, in io.Reader, act action, events int64) error {
	if events <= manyEvents {
		return nil
	}
	if act.reason == "" {
		return fmt.Errorf("%w: %d events are more than %d: say why with --reason", errUsage, events, manyEvents)
	}
	if act.yes {
		return nil
	}
	terminal, ok := in.(*os.File)
	if !ok || act.asJSON || !term.IsTerminal(int(terminal.Fd())) {
		return fmt.Errorf("%w: %d events are more than %d: confirm with --yes", errUsage, events, manyEvents)
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

// run does the action step by step. What is done stays done if it is interrupted.
func (a *app) run(ctx context.Context, pool *pgxpool.Pool, act action, report *actionReport) error {
	operator := cmp.Or(act.operator, a.getenv("SUDO_USER"), a.getenv("USER"))
	id, err := store.BeginAction(ctx, pool, store.Action{
		Action: act.name, Destination: act.destination, Operator: operator, Reason: act.reason, Selection: act.selection,
	})
	if err != nil {
		return err
	}
	report.ID = id
	step := store.Step{Action: id, Limit: manyEvents}
	for {
		done, err := act.step(ctx, step)
		if err != nil {
			return fmt.Errorf("stopped after %d of %d events, run it again for the others: %w", report.Done, report.Selected, err)
		}
		report.Done += int64(done.Events)
		if done.Events < step.Limit {
			return nil
		}
		step.After = done.Last
		if isTerminal(a.stderr) {
			fmt.Fprintf(a.stderr, "\r%d of %d ", report.Done, report.Selected)
		}
	}
}

// maxGroups bounds the preview at a terminal; JSON has all.
const maxGroups = 30

func (r actionReport) print(w io.Writer, act action) error {
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
		fmt.Fprintf(w, "warning: %d events occurred more than %s ago, which is more than %s takes: they will end as expired\n", r.TooOld, act.maxAge, r.Destination)
	}
	would := "to be"
	if act.dryRun {
		would = "would be"
	}
	fmt.Fprintf(w, "%s: %d events %s %s, %d skipped\n", r.Destination, r.Selected, would, act.done, r.Skipped)
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

// target finds the destination of an action.
func target(ctx context.Context, pool *pgxpool.Pool, name string) (store.Target, error) {
	if name == "" {
		return store.Target{}, fmt.Errorf("%w: --destination must be given", errUsage)
	}
	found, err := store.ReadTarget(ctx, pool, name)
	if errors.Is(err, store.ErrNotFound) {
		return store.Target{}, fmt.Errorf("%w: no destination is called %q; `kvit run` makes a new one known when it starts", errUsage, name)
	}
	return found, err
}

// served is target for actions that send: nobody would work on their jobs if the destination is off.
func served(ctx context.Context, pool *pgxpool.Pool, name string) error {
	found, err := target(ctx, pool, name)
	switch {
	case err != nil:
		return err
	case found.Removed:
		return fmt.Errorf("%s is no longer in the configuration, so that nothing would be sent; `kvit cancel` ends what still waits for it", name)
	case found.Gone:
		return fmt.Errorf("%s is disabled because its receiver answered 410 Gone; mend that and run `kvit resume %s` first", name, name)
	case !found.Enabled:
		return fmt.Errorf("%s is switched off; set enabled: true and restart kvit run first", name)
	}
	return nil
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
		return laneOf(d, adapter).MaxAge, nil
	}
	return 0, nil
}

// tooOldBefore is when events occurred that are just too old; the year 1 if none is.
func tooOldBefore(now time.Time, maxAge time.Duration) time.Time {
	if maxAge == 0 {
		return time.Time{}
	}
	return now.Add(-maxAge)
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
