package destination_test

import (
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/destination"
)

func TestTestEventIsValidForEveryName(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 4, 10, 0, 0, 0, time.FixedZone("", 3600))
	for _, name := range append([]string{destination.TestCustom}, destination.Names...) {
		event := destination.TestEvent(name, now)
		payload, rejected := destination.ParsePayload(name, event.Raw)
		require.Nil(t, rejected, name)
		require.Equal(t, payload, event.Payload)
		require.NotNil(t, payload.Customer)
		require.NotNil(t, payload.Client)
		require.Equal(t, name, event.Name)
		require.Equal(t, now.UTC(), event.OccurredAt)
		require.True(t, event.Accepts("marketing") && event.Accepts("analytics"))
		require.NotEqual(t, event.Key, destination.TestEvent(name, now).Key)
	}
}

// Whoever meets the event sees that it is a test, and it is nobody's.
func TestTestEventIsMarked(t *testing.T) {
	t.Parallel()
	event := destination.TestEvent("order_paid", time.Now())
	require.Regexp(t, `^kvit-test:[0-9a-f-]{36}$`, event.Key)
	require.Regexp(t, `^KVIT-TEST-[0-9a-f]{8}$`, event.OrderRef)
	require.Equal(t, event.OrderRef, event.Payload.Order.Ref)
	require.Empty(t, destination.TestEvent("page_viewed", time.Now()).OrderRef)
	for _, host := range regexp.MustCompile(`(?:@|//)([a-z.]+)`).FindAllStringSubmatch(string(event.Raw), -1) {
		require.Regexp(t, `(^|\.)example\.com$`, host[1])
	}
}

func TestTestNameIsTheMostHarmless(t *testing.T) {
	t.Parallel()
	for want, events := range map[string][]string{
		"":                     nil,
		"page_viewed":          destination.Names,
		destination.TestCustom: {"order_paid", destination.AnyCustom, "custom:mine"},
		"account_updated":      {"order_paid", "account_created", "account_updated"},
		"order_placed":         {"order_paid", "order_placed", "custom:mine"},
		"custom:mine":          {"custom:mine"},
	} {
		require.Equal(t, want, destination.TestName(events))
	}
}
