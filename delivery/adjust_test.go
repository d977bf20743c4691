package delivery

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAnAdjustmentNeedsWhatItChanges: the cancellation of an order of which the provider was never told would be something
// new to it. It waits for the sale first.
func TestAnAdjustmentNeedsWhatItChanges(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.lane.traits.Adjusts = []string{"order_cancelled"}
	unpaid := b.event("order_cancelled", map[string]string{"order_ref": "'E1'"})
	requireGivenUp(t, b.work(t.Context(), unpaid), "no earlier state was delivered, which this one would change")
	require.Equal(t, "rejected: no earlier state was delivered, which this one would change", b.receipt(unpaid))
	require.Empty(t, b.sent)

	paid := b.event("order_paid", map[string]string{"order_ref": "'E2'"})
	cancelled := b.event("order_cancelled", map[string]string{"order_ref": "'E2'"})
	requirePutBack(t, b.work(t.Context(), cancelled))
	requireDone(t, b.work(t.Context(), paid))
	requireDone(t, b.work(t.Context(), cancelled))
	require.Len(t, b.sent, 2)

	unnamed := b.event("order_cancelled", nil) // nothing is known of what came before it
	requireDone(t, b.work(t.Context(), unnamed))
}
