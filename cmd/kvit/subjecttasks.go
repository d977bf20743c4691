package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"kvit/store"
)

func (a *app) subjectTasksCommand() *cobra.Command {
	var all, asJSON bool
	cmd := &cobra.Command{
		Use: "tasks", Short: "List the destinations that somebody still has to tell",
		Long: `Lists the open tasks: destinations that may have data of a person who asked to be forgotten, and whose provider kvit
could not tell. Ask the provider in the way it offers, then close the task.`,
		Example: "  kvit subject tasks\n  kvit subject tasks --all --json",
		Args:    usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.subjectTasks(cmd.Context(), all, asJSON)
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "closed ones, too")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (a *app) subjectTasks(ctx context.Context, all, asJSON bool) error {
	_, pool, _, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer pool.Close()
	tasks, err := store.Tasks(ctx, pool, all)
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(a.stdout, tasks)
	}
	return printTasks(a.stdout, tasks)
}

func printTasks(w io.Writer, tasks []store.Task) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "TASK\tREFERENCE\tDESTINATION\tSINCE\tCLOSED\tORDERS\tNOTE")
	for _, task := range tasks {
		closed, note := "open", task.Problem
		if task.ClosedAt != nil {
			closed, note = task.ClosedAt.UTC().Format(time.DateTime)+" by "+*task.ClosedBy, task.Note
		}
		text := ""
		if note != nil {
			text = *note
		}
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\t%s\t%s\n", task.ID, task.Reference, task.Destination,
			task.CreatedAt.UTC().Format(time.DateTime), closed, shortList(task.OrderRefs), text)
	}
	return t.Flush()
}

// shortList names a few; --json has all.
func shortList(refs []string) string {
	const few = 3
	if len(refs) <= few {
		return strings.Join(refs, " ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(refs[:few], " "), len(refs)-few)
}

func (a *app) subjectCloseCommand() *cobra.Command {
	var by, note string
	cmd := &cobra.Command{
		Use: "close TASK", Short: "Note that the provider of a task has been told",
		Long:    "Notes who told the provider. Write no personal data into the note.",
		Example: "  kvit subject close 3 --by anna --note 'asked by their form'",
		Args:    usage(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := strconv.ParseInt(args[0], 10, 64)
			if err != nil {
				return fmt.Errorf("%w: a task is a number, as `kvit subject tasks` has it", errUsage)
			}
			if by == "" {
				return fmt.Errorf("%w: --by must be given", errUsage)
			}
			return a.subjectClose(cmd.Context(), store.Closing{ID: id, By: by, Note: note})
		},
	}
	cmd.Flags().StringVar(&by, "by", "", "who told the provider (required)")
	cmd.Flags().StringVar(&note, "note", "", "how")
	return cmd
}

func (a *app) subjectClose(ctx context.Context, closing store.Closing) error {
	_, pool, _, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer pool.Close()
	entry := store.AuditEntry{Who: closing.By, Action: "close task", Subject: strconv.FormatInt(closing.ID, 10), Reason: closing.Note}
	err = a.audited(ctx, pool, entry, func(tx pgx.Tx) error { return store.CloseTask(ctx, tx, closing) })
	switch {
	case errors.Is(err, store.ErrNotFound):
		return fmt.Errorf("there is no task %d", closing.ID)
	case errors.Is(err, store.ErrClosed):
		return fmt.Errorf("task %d is closed already", closing.ID)
	case err != nil:
		return err
	}
	fmt.Fprintf(a.stdout, "task %d is closed\n", closing.ID)
	return nil
}
