// Command kvit is the worker beside a webshop: it forwards tracking events, marks orders that the
// ERP has imported, and erases their personal data when it is due.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
	_ "time/tzdata" // time zones of the configuration also work in an image without a file system

	"github.com/spf13/cobra"

	"kvit/migrations"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// Exit codes of every command.
const (
	exitDone       = 0
	exitFailed     = 1
	exitUsage      = 2
	exitIncomplete = 3 // of kvit policy scan: nothing was found, but not everything was searched
)

// errUsage marks a command line that kvit does not understand.
var errUsage = errors.New("wrong usage")

// errReported is a failure whose details are already on stdout.
var errReported = errors.New("see above")

// errIncomplete is no failure, and no clean bill; the details are on stdout.
var errIncomplete = errors.New("not everything was looked at")

// run is the program. It gives what main exits with.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	return newApp(getenv, stdout, stderr).run(ctx, args)
}

func newApp(getenv func(string) string, stdout, stderr io.Writer) *app {
	return &app{getenv: getenv, stdout: stdout, stderr: stderr, now: time.Now, knows: migrations.Newest()}
}

func (a *app) run(ctx context.Context, args []string) int {
	root := a.root()
	root.SetArgs(args)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errReported):
		return exitFailed
	case errors.Is(err, errIncomplete):
		return exitIncomplete
	case errors.Is(err, errUsage) || strings.HasPrefix(err.Error(), "unknown command"):
		fmt.Fprintf(a.stderr, "kvit: %v\nSee `kvit --help`.\n", err)
		return exitUsage
	default:
		fmt.Fprintf(a.stderr, "kvit: %v\n", err)
		return exitFailed
	}
}

// app is what the commands share: the outside world and the flags that all of them take.
type app struct {
	getenv     func(string) string
	stdout     io.Writer
	stderr     io.Writer
	configPath string
	now        func() time.Time // this machine's clock
	knows      int              // the newest migration of this build
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "kvit",
		Short: "Forwards a webshop's tracking events, and erases its orders' personal data in time",
		Long: `kvit is the worker beside a webshop, in Go on Postgres.

It forwards tracking events to the providers that the shop uses, marks each order when the ERP has
imported it, and erases the order's personal data when it is due, with proof.`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.PersistentFlags().StringVar(&a.configPath, "config", "", "configuration file (default $KVIT_CONFIG, else ./kvit.yaml)")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		return fmt.Errorf("%w: %w", errUsage, err)
	})
	root.AddCommand(
		a.runCommand(), a.migrateCommand(), a.checkCommand(), a.statusCommand(), a.eraseCommand(),
		a.holdCommand(), a.verifyCommand(), a.pauseCommand(), a.resumeCommand(), a.demoCommand(), a.healthCommand(), a.versionCommand(),
		a.replayCommand(),
		a.backfillCommand(),
		a.cancelCommand(),
		a.policyCommand(),
		a.subjectCommand(),
		a.initCommand(),
		a.historyCommand(),
		a.erpCommand(),
		a.ordersCommand(),
		a.passwordCommand(),
		a.notifyCommand(),
	)
	return root
}

// usage makes a command's argument check answer with the exit code for wrong usage.
func usage(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return fmt.Errorf("%w of %s: %w", errUsage, cmd.CommandPath(), err)
		}
		return nil
	}
}

// group is a command that only holds others.
func group(cmd *cobra.Command) *cobra.Command {
	cmd.Args = usage(func(_ *cobra.Command, args []string) error {
		if len(args) == 0 {
			return errors.New("a subcommand is missing")
		}
		return fmt.Errorf("unknown subcommand %q", args[0])
	})
	cmd.RunE = func(*cobra.Command, []string) error { return nil } // Args has refused before
	return cmd
}
