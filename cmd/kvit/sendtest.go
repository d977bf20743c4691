package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"kvit/config"
	"kvit/destination"
)

// testReport is what `kvit check --send-test` prints.
type testReport struct {
	Destination string `json:"destination"`
	Event       string `json:"event"`     // name
	EventKey    string `json:"event_key"` // to look for at the provider
	Marked      bool   `json:"marked"`    // the provider was told that it is a test
	Code        int    `json:"code"`      // HTTP status; 0: no answer
	Outcome     string `json:"outcome"`   // delivered, or what kind of failure it was
	Problem     string `json:"problem"`   // empty: none
}

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
	eventName := destination.TestName(eventsOf(d, adapter))
	if eventName == "" {
		return fmt.Errorf("%s takes no events, so there is nothing to test it with", name)
	}
	event := destination.TestEvent(eventName, time.Now())
	if d.Consent != config.None {
		event.Consent = append(event.Consent, d.Consent)
	}
	ctx, cancel := context.WithTimeout(ctx, cfg.Delivery.Timeout)
	defer cancel()
	return a.reportTest(trySend(ctx, adapter, name, event), asJSON)
}

func trySend(ctx context.Context, adapter destination.Destination, name string, event destination.Event) testReport {
	r := testReport{Destination: name, Event: event.Name, EventKey: event.Key, Outcome: "delivered"}
	send := adapter.Send
	if tester, ok := adapter.(destination.Tester); ok {
		r.Marked, send = true, tester.SendTest
	}
	code, err := send(ctx, event)
	r.Code = code
	if err == nil {
		return r
	}
	r.Outcome, r.Problem = "error", "internal error"
	var sendError *destination.Error
	if errors.As(err, &sendError) {
		r.Outcome, r.Problem = sendError.Kind.String(), sendError.Reason
	}
	return r
}

func (a *app) reportTest(r testReport, asJSON bool) error {
	if asJSON {
		if err := printJSON(a.stdout, r); err != nil {
			return err
		}
	} else {
		r.print(a.stdout)
	}
	if r.Problem != "" {
		return errReported
	}
	return nil
}

func (r testReport) print(w io.Writer) {
	fmt.Fprintf(w, "%s: sent %s, event key %s\n", r.Destination, r.Event, r.EventKey)
	answer := "no answer"
	if r.Code != 0 {
		answer = fmt.Sprintf("HTTP %d", r.Code)
	}
	if r.Problem != "" {
		fmt.Fprintf(w, "%s: %s: %s\n", r.Outcome, answer, r.Problem)
		return
	}
	fmt.Fprintf(w, "%s: %s\n", r.Outcome, answer)
	if r.Marked {
		fmt.Fprintln(w, "The provider was told that it is a test; docs/destinations says what it does with one.")
		return
	}
	fmt.Fprintln(w, "The provider has no mark for tests: it is visible in its reports as an event of kvit-test@example.com.")
}
