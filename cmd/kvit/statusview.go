package main

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"kvit/status"
	"kvit/store"
)

// statusView is a status for people. Colours only repeat what the words say.
type statusView struct {
	status.Status
	alarms  []status.Alarm
	colours bool
}

// colours tells whether to use them: at a terminal, unless $NO_COLOR is set (https://no-color.org).
func (a *app) colours() bool { return isTerminal(a.stdout) && a.getenv("NO_COLOR") == "" }

const (
	red    = "\x1b[1;31m"
	yellow = "\x1b[1;33m"
	green  = "\x1b[32m"
	bold   = "\x1b[1m"
	plain  = "\x1b[0m"
)

func (v statusView) paint(colour, text string) string {
	if !v.colours {
		return text
	}
	return colour + text + plain
}

func (v statusView) print(w io.Writer) error {
	v.printAlarms(w)
	if v.At.IsZero() {
		return nil // nothing is known
	}
	var table bytes.Buffer
	if err := v.printTables(&table); err != nil {
		return err
	}
	for line := range strings.Lines(table.String()) {
		if _, err := io.WriteString(w, v.painted(line)); err != nil {
			return err
		}
	}
	return nil
}

// painted makes the heading of a table bold.
func (v statusView) painted(line string) string {
	for _, heading := range []string{"DESTINATION ", "DELIVERED WITHOUT ", "ERP ", "ORDERS"} {
		if strings.HasPrefix(line, heading) {
			return v.paint(bold, strings.TrimSuffix(line, "\n")) + "\n"
		}
	}
	return line
}

func (v statusView) printAlarms(w io.Writer) {
	if len(v.alarms) == 0 {
		fmt.Fprintf(w, "%s\n\n", v.paint(green, "no alarm is on"))
		return
	}
	told := "" // what it means and what to do is told once for each kind, and subject
	for _, alarm := range v.alarms {
		colour := yellow
		if alarm.Severity == status.Critical {
			colour = red
		}
		fmt.Fprintf(w, "%s  %s%s\n", v.paint(colour, alarm.Title), subjectOf(alarm), sinceOf(alarm, v.At))
		if told != alarm.Name+alarm.Do {
			fmt.Fprintf(w, "    %s\n    do: %s\n    more: %s\n", alarm.Means, alarm.Do, alarm.Docs)
		}
		told = alarm.Name + alarm.Do
	}
	fmt.Fprintln(w)
}

func subjectOf(a status.Alarm) string {
	switch {
	case a.Subject == "":
		return a.Detail
	case a.Detail == "":
		return a.Subject
	case strings.HasPrefix(a.Detail, a.Subject):
		return a.Detail
	default:
		return a.Subject + ": " + a.Detail
	}
}

func sinceOf(a status.Alarm, now time.Time) string {
	if a.Since == nil {
		return ""
	}
	return " (" + ago(a.Since, now) + ")"
}

func (v statusView) printTables(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	printReads(t, v.Reads, v.At)
	v.printDestinations(t)
	v.printERPs(t)
	v.printOrders(t)
	v.printErasures(t)
	return t.Flush()
}

func (v statusView) printDestinations(t io.Writer) {
	fmt.Fprintln(t, "DESTINATION\tKIND\tSTATE\tPENDING\tRETRYING\tOLDEST")
	for _, d := range v.Destinations {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", d.Name, d.Kind, stateOf(d),
			counted(d.Pending, d.PendingExact), counted(d.Retrying, d.PendingExact), ago(d.OldestPending, v.At))
	}
	for _, d := range v.Destinations {
		if d.PausedAt != nil {
			fmt.Fprintf(t, "PAUSED\t%s since %s by %s: %s: kvit resume %s\n", d.Name, ago(d.PausedAt, v.At), textOrDash(d.PausedBy), *d.PausedReason, d.Name)
		}
		if d.HeldReason != nil && d.Enabled {
			fmt.Fprintf(t, "%s is left alone since %s: %s\n", d.Name, ago(d.HeldSince, v.At), *d.HeldReason)
		}
		if d.UnreadConsent > 0 {
			fmt.Fprintf(t, "%s withheld %s events within a day whose consent is not understood\n", d.Name, counted(d.UnreadConsent, d.UnreadConsent < store.CountedUpTo))
		}
	}
	if len(v.Outcomes) > 0 {
		fmt.Fprintln(t, "\nDESTINATION\tOUTCOME\tEVENTS")
	}
	for _, o := range v.Outcomes {
		fmt.Fprintf(t, "%s\t%s\t%s\n", o.Destination, o.Outcome, counted(o.Count, o.Exact))
	}
	if len(v.LeftOut) > 0 {
		fmt.Fprintln(t, "\nDELIVERED WITHOUT\tFIELD\tEVENTS OF 7 DAYS\tLAST\tWHY")
	}
	for _, f := range v.LeftOut {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", f.Destination, f.Field, ofNewest(f), ago(&f.Last, v.At), f.Why)
	}
}

func (v statusView) printERPs(t io.Writer) {
	if len(v.ERPs) > 0 {
		fmt.Fprintln(t, "\nERP\tKIND\tLAST SUCCESS\tFAILURES\tCALLS TODAY")
	}
	for _, e := range v.ERPs {
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%d\n", e.Name, e.Kind, ago(e.LastSuccessAt, v.At), e.Failures, e.Calls)
	}
}

func (v statusView) printOrders(t io.Writer) {
	if v.Orders == nil {
		return
	}
	fmt.Fprintf(t, "\nORDERS\t\n")
	fmt.Fprintf(t, "awaiting import\t%d\toldest %s\n", v.Orders.AwaitingImport, ago(v.Orders.OldestAwaiting, v.At))
	fmt.Fprintf(t, "imports late\t%d\n", v.Orders.ImportsLate)
	fmt.Fprintf(t, "incomplete\t%d\n", v.Orders.Incomplete)
	fmt.Fprintf(t, "erasures due\t%d\n", v.Orders.ErasuresDue)
	fmt.Fprintf(t, "erasures overdue\t%d\n", v.Orders.ErasuresOverdue)
	fmt.Fprintf(t, "held\t%d\n", v.Orders.ErasuresHeld)
}

func (v statusView) printErasures(t io.Writer) {
	for _, c := range v.Tables {
		fmt.Fprintf(t, "rows by retention.tables.%s\t%d due\t%d overdue\n", c.Rule, c.Due, c.Overdue)
	}
	fmt.Fprintf(t, "policy problems\t%d\n", len(v.PolicyProblems))
	for _, p := range v.PolicyProblems {
		fmt.Fprintf(t, "not erased: %s\n", p)
	}
	if v.OpenTasks > 0 {
		fmt.Fprintf(t, "open tasks\t%d\toldest %s: kvit subject tasks\n", v.OpenTasks, ago(v.OldestTask, v.At))
	}
	fmt.Fprintf(t, "last erasure\t%s\n", ago(v.LastErasure, v.At))
}

// ofNewest is how many events went without a member, and of how many where not all were read.
func ofNewest(f store.FieldLeftOut) string {
	if f.Exact {
		return strconv.FormatInt(f.Count, 10)
	}
	return fmt.Sprintf("%d of the newest %d", f.Count, store.OmissionsRead)
}

func counted(n int64, exact bool) string { return status.Counted(n, exact) }

func stateOf(d store.DestinationStatus) string {
	switch {
	case d.RemovedAt != nil:
		return "removed"
	case d.DisabledReason != nil:
		return "DISABLED BY RECEIVER"
	case d.PausedAt != nil:
		return "PAUSED"
	case d.Enabled && d.HeldUntil != nil:
		return "HELD"
	case !d.Enabled:
		return "off"
	default:
		return "on"
	}
}

// ago is a time as an operator reads it at night.
func ago(t *time.Time, now time.Time) string {
	if t == nil {
		return "-"
	}
	d := now.Sub(*t)
	if d < -time.Minute {
		return "IN THE FUTURE, at " + t.UTC().Format(time.RFC3339)
	}
	d = max(d, 0)
	if d > 48*time.Hour {
		return fmt.Sprintf("%d days ago", int(d/(24*time.Hour)))
	}
	return d.Round(time.Second).String() + " ago"
}
