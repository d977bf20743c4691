package delivery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"kvit/destination"
)

// Trial is what became of an event that was sent to see whether it arrives.
type Trial struct {
	Destination string `json:"destination"`
	Event       string `json:"event"`     // name
	EventKey    string `json:"event_key"` // to look for at the provider
	Marked      bool   `json:"marked"`    // the provider was told that it is a test
	Code        int    `json:"code"`      // HTTP status; 0: no answer
	Outcome     string `json:"outcome"`   // delivered, or what kind of failure it was
	Problem     string `json:"problem"`   // empty: none
}

// Test sends a destination an event that is made up, past the queue; events are the names that it gets. Nothing of it is stored. The
// caller bounds the time.
func Test(ctx context.Context, s Settings, events []string) (Trial, error) {
	name := destination.TestName(events)
	if name == "" {
		return Trial{}, fmt.Errorf("%s takes no events, so there is nothing to test it with", s.Name)
	}
	event := destination.TestEvent(name, time.Now())
	if s.Purpose != "" {
		event.Consent = append(event.Consent, s.Purpose)
	}
	return Try(ctx, s.Destination, s.Name, event), nil
}

// Try sends one event past the queue, marked as a test where the destination can do that. Nothing of it is
// stored.
func Try(ctx context.Context, d destination.Destination, name string, event destination.Event) Trial {
	t := Trial{Destination: name, Event: event.Name, EventKey: event.Key, Outcome: Delivered}
	send := d.Send
	if tester, ok := d.(destination.Tester); ok {
		t.Marked, send = true, tester.SendTest
	}
	code, err := send(ctx, event)
	t.Code = code
	if err == nil {
		return t
	}
	t.Outcome, t.Problem = "error", "internal error"
	var failed *destination.Error
	if errors.As(err, &failed) {
		t.Outcome, t.Problem = failed.Kind.String(), failed.Reason
	}
	return t
}
