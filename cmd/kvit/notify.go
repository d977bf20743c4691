package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"kvit/config"
	"kvit/notify"
	"kvit/status"
)

// tellAlarms is one round of telling somebody of alarms; nil if the configuration names nobody.
func (d *daemon) tellAlarms(looked status.Options) (func(ctx context.Context) error, error) {
	if len(d.cfg.Channels) == 0 {
		return nil, nil
	}
	machine, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("read the name of this machine: %w", err)
	}
	notifier, err := notify.New(notify.Options{
		DB: d.pool, Channels: d.cfg.Channels, Machine: machine, Metrics: d.registry, Logger: d.logger,
		Look: func(ctx context.Context) (status.Status, error) { return status.Read(ctx, looked) },
	})
	if err != nil {
		return nil, err
	}
	return notifier.Round, nil
}

func (a *app) notifyCommand() *cobra.Command {
	cmd := group(&cobra.Command{
		Use: "notify", Short: "Try the channels by which kvit tells of alarms",
		Long:    "kvit run sends what notify in kvit.yaml says; this tries it.",
		Example: "  kvit notify test",
	})
	cmd.AddCommand(a.notifyTestCommand())
	return cmd
}

func (a *app) notifyTestCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "test [CHANNEL]", Short: "Send a test message by one channel, or by each",
		Long: `Sends a message that says that it is a test, once, and tells what came back. It needs no database, and a channel with
severity: critical gets it, too. The exit code is 1 if a channel has not taken it.`,
		Example: "  kvit notify test\n  kvit notify test hook",
		Args:    usage(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := a.load()
			if err != nil {
				return err
			}
			channels, err := channelsNamed(cfg.Channels, args)
			if err != nil {
				return err
			}
			return a.reportChannels(a.testChannels(cmd.Context(), channels), asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func channelsNamed(all []config.Channel, names []string) ([]config.Channel, error) {
	if len(all) == 0 {
		return nil, fmt.Errorf("%w: the configuration has no notify", errUsage)
	}
	if len(names) == 0 {
		return all, nil
	}
	i := slices.IndexFunc(all, func(c config.Channel) bool { return c.Name == names[0] })
	if i < 0 {
		return nil, fmt.Errorf("%w: no channel is called %q", errUsage, names[0])
	}
	return all[i : i+1], nil
}

// channelTrial is what came of a test message.
type channelTrial struct {
	Channel string `json:"channel"`
	Kind    string `json:"kind"`
	Answer  string `json:"answer"`  // what came back; empty: nothing did
	Problem string `json:"problem"` // why it was not taken; empty: it was
}

func (a *app) testChannels(ctx context.Context, channels []config.Channel) []channelTrial {
	trials := make([]channelTrial, len(channels))
	var group sync.WaitGroup
	for i, c := range channels {
		group.Go(func() { trials[i] = a.testChannel(ctx, c) })
	}
	group.Wait()
	return trials
}

func (a *app) testChannel(ctx context.Context, c config.Channel) channelTrial {
	trial := channelTrial{Channel: c.Name, Kind: c.Kind}
	sender, err := notify.NewSender(c)
	if err == nil {
		trial.Answer, err = sender.Send(ctx, notify.TestMessage(c.Label, uuid.NewString(), a.now()))
	}
	if err != nil {
		trial.Problem = err.Error()
	}
	return trial
}

func (a *app) reportChannels(trials []channelTrial, asJSON bool) error {
	failed := slices.ContainsFunc(trials, func(t channelTrial) bool { return t.Problem != "" })
	if asJSON {
		if err := printJSON(a.stdout, trials); err != nil {
			return err
		}
	} else {
		for _, t := range trials {
			fmt.Fprintln(a.stdout, t.text())
		}
	}
	if failed {
		return errReported
	}
	return nil
}

func (t channelTrial) text() string {
	if t.Problem != "" {
		return fmt.Sprintf("%s (%s): not taken: %s", t.Channel, t.Kind, t.Problem)
	}
	return fmt.Sprintf("%s (%s): taken: %s", t.Channel, t.Kind, t.Answer)
}

// checkChannels makes each channel and, unless offline, connects to it; a mail server is also logged in to. It sends nothing.
func checkChannels(ctx context.Context, channels []config.Channel, offline bool) []finding {
	problems := make([]string, len(channels))
	var group sync.WaitGroup
	for i, c := range channels {
		group.Go(func() { problems[i] = checkChannel(ctx, c, offline) })
	}
	group.Wait()
	var findings []finding
	for i, c := range channels {
		if problems[i] != "" {
			findings = append(findings, finding{Line: c.Line, Key: "notify." + c.Name, Problem: problems[i]})
		}
	}
	return findings
}

func checkChannel(ctx context.Context, c config.Channel, offline bool) (problem string) {
	sender, err := notify.NewSender(c)
	if err == nil && !offline {
		err = sender.Reach(ctx)
	}
	if err != nil {
		return err.Error()
	}
	return ""
}
