package delivery

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/destination"
)

// watch is a gate with what it told.
func watch(perSecond float64) (*gate, *[]GateState) {
	var told []GateState
	g := newGate(perSecond, func(s GateState) { told = append(told, s) })
	g.first, g.last = FirstHold, LongestHold
	return g, &told
}

func refusal(kind destination.Kind) *destination.Error {
	return &destination.Error{Kind: kind, Reason: "no"}
}

func requireHeld(t *testing.T, g *gate, least, most time.Duration) {
	t.Helper()
	wait, _ := g.heldFor()
	require.Greater(t, wait, least)
	require.LessOrEqual(t, wait, most)
}

func requireOpen(t *testing.T, g *gate) {
	t.Helper()
	wait, probing := g.heldFor()
	require.Zero(t, wait)
	require.False(t, probing)
}

func TestGateHoldsAfterFailuresInARow(t *testing.T) {
	t.Parallel()
	for _, kind := range []destination.Kind{destination.Unreachable, destination.Ambiguous, destination.Misconfigured} {
		g, told := watch(0)
		for range tripAfter - 1 {
			g.report(refusal(kind))
		}
		g.report(refusal(destination.Rejected)) // the provider works
		for range tripAfter - 1 {
			g.report(refusal(kind))
		}
		requireOpen(t, g)
		g.report(refusal(kind))
		requireHeld(t, g, FirstHold/2, 2*FirstHold)
		require.Len(t, *told, 1)
		require.False(t, (*told)[0].Alarm)
	}
}

func TestGateHoldsAtOnceAndAlarmsWhenCredentialsAreRefused(t *testing.T) {
	t.Parallel()
	g, told := watch(0)
	g.report(refusal(destination.Unauthorized))
	requireHeld(t, g, FirstHold/2, 2*FirstHold)
	require.True(t, (*told)[0].Alarm)
}

func TestGateHoldsAsLongAsTheProviderSays(t *testing.T) {
	t.Parallel()
	g, _ := watch(0)
	g.report(&destination.Error{Kind: destination.Throttled, RetryAfter: time.Hour})
	requireHeld(t, g, 59*time.Minute, time.Hour)
	g.report(&destination.Error{Kind: destination.Throttled, RetryAfter: time.Minute}) // of a request under way: no shorter
	g.report(nil)                                                                      // nor does one end it
	requireHeld(t, g, 59*time.Minute, time.Hour)
}

func TestGateHoldsLongerEachTimeAndForgetsWithTheFirstSuccess(t *testing.T) {
	t.Parallel()
	g, told := watch(0)
	over := func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.until = time.Now().Add(-time.Second)
	}
	var last time.Duration
	for range 8 {
		over()
		for range tripAfter { // the first is the probe; the others were under way with it and count for nothing
			g.report(refusal(destination.Unreachable))
		}
		wait, probing := g.heldFor()
		require.True(t, probing)
		require.GreaterOrEqual(t, wait, min(last, LongestHold*7/10))
		last = wait
	}
	require.Less(t, last, LongestHold*13/10)
	require.Len(t, *told, 8, "one change each time")
	over()
	wait, probing := g.heldFor()
	require.Zero(t, wait)
	require.True(t, probing, "one request at a time, until one is answered")
	g.report(nil)
	requireOpen(t, g)
	g.report(refusal(destination.Unreachable))
	requireOpen(t, g)
	for range tripAfter - 1 {
		g.report(refusal(destination.Unreachable))
	}
	requireHeld(t, g, FirstHold/2, 2*FirstHold)
}

func TestPaceSpacesRequestsEvenly(t *testing.T) {
	t.Parallel()
	g, _ := watch(100)
	start := time.Now()
	for range 11 {
		require.True(t, g.pace(t.Context()))
	}
	require.GreaterOrEqual(t, time.Since(start), 95*time.Millisecond)
	slow, _ := watch(0.01)
	require.True(t, slow.pace(t.Context()))
	require.Greater(t, slow.paceWait(), 90*time.Second)
	unlimited, _ := watch(0)
	require.True(t, unlimited.pace(t.Context()))
	require.Zero(t, unlimited.paceWait())
}
