package delivery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"kvit/store"
)

// replayable are the outcomes that a replay takes without being told more; those in delicate only
// event by event, and with a reason.
var (
	replayable = []string{Failed, Lost, Rejected, Expired, Withheld}
	delicate   = []string{Delivered, Superseded}
)

// ReplayableOutcomes lists the outcomes that a replay may be asked for.
func ReplayableOutcomes() []string { return slices.Concat(replayable, delicate) }

// Replay sends finished deliveries again. Without outcomes it takes what failed or was lost; with an event or an
// order also what was rejected, expired or withheld. An error says what is wrong with the selection.
func Replay(r store.Replay, audit Audit) (Action, error) {
	for _, outcome := range r.Outcomes {
		if err := checkOutcome(outcome, r, audit); err != nil {
			return Action{}, err
		}
	}
	if len(r.Outcomes) == 0 {
		r.Outcomes = []string{Failed, Lost}
		if len(r.Events) > 0 || r.OrderRef != "" {
			r.Outcomes = replayable
		}
	}
	return Action{
		Audit: audit, Name: ReplayAction, Destination: r.Destination, Sends: true, selection: r, named: len(r.Events),
		preview: func(ctx context.Context, db store.DB, tooOldBefore time.Time) ([]store.Group, error) {
			return store.PreviewReplay(ctx, db, r, tooOldBefore)
		},
		step: func(ctx context.Context, db store.DB, s store.Step) (store.Stepped, error) {
			return store.ReplayStep(ctx, db, r, s)
		},
	}, nil
}

func checkOutcome(outcome string, r store.Replay, audit Audit) error {
	switch {
	case slices.Contains(replayable, outcome):
		return nil
	case outcome == Erased:
		return errors.New("what is erased cannot be sent again, its data is gone")
	case !slices.Contains(delicate, outcome):
		return fmt.Errorf("--outcome must be %s", strings.Join(ReplayableOutcomes(), ", "))
	case len(r.Events) == 0 || audit.Reason == "":
		return fmt.Errorf("%s deliveries are sent again only by --event, and with a --reason", outcome)
	}
	return nil
}
