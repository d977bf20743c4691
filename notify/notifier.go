package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"kvit/config"
	"kvit/status"
	"kvit/store"
)

// Options are what a Notifier is made of.
type Options struct {
	DB       store.DB
	Channels []config.Channel
	Look     func(ctx context.Context) (status.Status, error)
	Machine  string // where this process runs: clocks and files are one machine's
	Metrics  prometheus.Registerer
	Logger   *slog.Logger
}

// Notifier tells of alarms. Several may work at once, in as many processes.
type Notifier struct {
	options  Options
	senders  map[string]Sender
	sent     *prometheus.CounterVec
	failures *prometheus.CounterVec
}

// New makes a sender of each channel, or returns an error that names the wrong key.
func New(o Options) (*Notifier, error) {
	n := &Notifier{options: o, senders: map[string]Sender{}}
	for _, c := range o.Channels {
		sender, err := NewSender(c)
		if err != nil {
			return nil, fmt.Errorf("make channel notify.%s: %w", c.Name, err)
		}
		n.senders[c.Name] = sender
	}
	f := promauto.With(o.Metrics)
	n.sent = f.NewCounterVec(prometheus.CounterOpts{Name: "kvit_notifications_total", Help: "Messages of alarms that a channel has taken."}, []string{"channel"})
	n.failures = f.NewCounterVec(prometheus.CounterOpts{Name: "kvit_notification_failures_total", Help: "Attempts to send one that failed; they are repeated."}, []string{"channel"})
	for _, c := range o.Channels {
		n.sent.WithLabelValues(c.Name)
		n.failures.WithLabelValues(c.Name) // 0 is an answer, too
	}
	return n, nil
}

// Round looks once, and sends what is due by all channels at once: none waits for another.
func (n *Notifier) Round(ctx context.Context) error {
	if len(n.senders) == 0 {
		return nil
	}
	seen, err := n.options.Look(ctx)
	if err != nil {
		return fmt.Errorf("look for alarms: %w", err)
	}
	if err := store.NoteAlarms(ctx, n.options.DB, lookOf(seen, n.options.Machine)); err != nil {
		return err
	}
	if err := store.AddressAlarms(ctx, n.options.DB, n.addressees()); err != nil {
		return err
	}
	errs := make([]error, len(n.options.Channels))
	var group sync.WaitGroup
	for i, c := range n.options.Channels {
		group.Go(func() { errs[i] = n.sendAll(ctx, c) })
	}
	group.Wait()
	return errors.Join(errs...)
}

func (n *Notifier) addressees() (list []store.AlarmChannel) {
	for _, c := range n.options.Channels {
		list = append(list, store.AlarmChannel{Name: c.Name, CriticalOnly: c.CriticalOnly})
	}
	return list
}

// lookOf is what a status says of alarms. One subject may have several details.
func lookOf(s status.Status, machine string) store.AlarmLook {
	look := store.AlarmLook{By: machine, Whole: len(s.Unreadable) == 0}
	places := map[[2]string]int{}
	for _, a := range status.Alarms(s) {
		key := [2]string{a.Name, a.Subject}
		if i, known := places[key]; known {
			look.Seen[i].Detail += "; " + a.Detail
			continue
		}
		places[key] = len(look.Seen)
		look.Seen = append(look.Seen, store.AlarmSeen{Alarm: a.Name, Subject: a.Subject, Severity: string(a.Severity), Detail: a.Detail})
	}
	for _, k := range status.Kinds {
		if k.Local {
			look.Local = append(look.Local, k.Name)
		}
	}
	return look
}

// sendAll sends what is due by one channel, until an attempt fails: the channel is left alone then until the next round.
func (n *Notifier) sendAll(ctx context.Context, c config.Channel) error {
	for ctx.Err() == nil {
		due, err := store.ClaimAlarmMessage(ctx, n.options.DB, c.Name)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		taken, err := n.send(ctx, c, due)
		if err != nil || !taken {
			return err
		}
	}
	return nil
}

// noteTime is for noting what became of a message whose attempt took all the time there was.
const noteTime = 5 * time.Second

func (n *Notifier) send(ctx context.Context, c config.Channel, due store.AlarmMessage) (taken bool, err error) {
	_, problem := n.senders[c.Name].Send(ctx, messageOf(due, c.Label))
	noting, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTime)
	defer cancel()
	if problem == nil {
		n.sent.WithLabelValues(c.Name).Inc()
		return true, store.AlarmMessageSent(noting, n.options.DB, due)
	}
	n.failures.WithLabelValues(c.Name).Inc()
	wait := backoff(due.Failures)
	n.options.Logger.Warn("message of an alarm was not sent; it is tried again", "channel", c.Name, "alarm", due.Alarm, "subject", due.Subject, "what", due.What,
		"problem", problem.Error(), "failures", due.Failures+1, "again_in", wait.String())
	return false, store.AlarmMessageFailed(noting, n.options.DB, due, problem.Error(), wait)
}

// mostWait is how long a message waits at most between two attempts.
const mostWait = 15 * time.Minute

// backoff doubles from half a minute, so that the first repeat is in the next round.
func backoff(failures int) time.Duration {
	return min(mostWait, 30*time.Second<<min(failures, 10))
}
