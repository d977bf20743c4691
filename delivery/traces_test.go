package delivery

import (
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/store"
)

// What nobody looks at must cost an event nothing.
func TestTracesThatNobodyWantsAreFree(t *testing.T) {
	l, event, letters := &Lane{}, &store.Event{Name: "order_paid"}, []*letter{{}}
	require.Zero(t, testing.AllocsPerRun(100, func() {
		ctx, sending := l.traceEvent(t.Context(), "kvit.send", Attempt{}, event)
		_, request := l.traceRequest(ctx, letters)
		request.end(Delivered)
		sending.end(replied(reply{}))
		sending.settled(Delivered, true)
	}))
}

func TestTracesKnowNoNamesOfTheShops(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"order_paid": "order_paid", "custom:jane@example.com": "custom:*", "jane": "unknown"} {
		require.Equal(t, want, tracedName(name))
	}
}

func BenchmarkTracesOff(b *testing.B) {
	l, event := &Lane{}, &store.Event{Name: "order_paid"}
	ctx := b.Context()
	for b.Loop() {
		_, sending := l.traceEvent(ctx, "kvit.send", Attempt{}, event)
		sending.end(replied(reply{}))
	}
}
