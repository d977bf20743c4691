package delivery

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/destination"
)

// tester is a destination that can mark tests.
type tester struct{ destination.Destination }

func (tester) Send(context.Context, destination.Event) (int, error) { panic("not marked") }
func (tester) SendTest(_ context.Context, event destination.Event) (int, error) {
	if event.Name == "order_paid" {
		return 400, &destination.Error{Kind: destination.Rejected, Code: 400, Reason: "no"}
	}
	return 202, nil
}

func TestATrialIsMarkedWhereThereIsAMark(t *testing.T) {
	t.Parallel()
	event := destination.TestEvent("page_viewed", time.Now())
	r := Try(t.Context(), tester{}, "ads", event)
	require.Equal(t, Trial{Destination: "ads", Event: "page_viewed", EventKey: event.Key, Marked: true, Code: 202, Outcome: "delivered"}, r)
	r = Try(t.Context(), tester{}, "ads", destination.TestEvent("order_paid", time.Now()))
	require.Equal(t, []any{"rejected", "no", 400}, []any{r.Outcome, r.Problem, r.Code})
}

func TestATrialTellsNothingThatIsNotKvitsOwn(t *testing.T) {
	t.Parallel()
	p := &provider{send: func(context.Context, destination.Event) (int, error) { return 0, errors.New(marker) }}
	r := Try(t.Context(), p, "ads", destination.TestEvent("page_viewed", time.Now()))
	require.Equal(t, []any{"error", "internal error", false}, []any{r.Outcome, r.Problem, r.Marked})
}
