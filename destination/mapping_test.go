package destination_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/destination"
)

func TestMappingChanged(t *testing.T) {
	t.Parallel()
	mapping := destination.Mapping{"order_paid": "Purchase"}
	short := func(_, called string) string {
		if len(called) > 10 {
			return "is too long"
		}
		return ""
	}
	changed, err := mapping.Changed(map[string]string{"order_placed": "Placed", "order_paid": "", "custom:*": "*"}, short)
	require.NoError(t, err)
	require.Equal(t, destination.Mapping{"order_placed": "Placed", "custom:*": "*"}, changed)
	for name, test := range map[string]struct{ event, called, want string }{
		"Unknown":  {"order_payment", "Sale", "events.order_payment: is not the name of an event"},
		"OwnName":  {"order_paid", "*", "events.order_paid: * is for custom events only"},
		"Blank":    {"order_paid", " ", "events.order_paid: must not be blank"},
		"Provider": {"order_paid", "Sale of the year", "events.order_paid: is too long"},
		"Nothing":  {"order_paid", "", "events: leaves no event to send"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := mapping.Changed(map[string]string{test.event: test.called}, short)
			require.EqualError(t, err, test.want)
		})
	}
}

func TestPlainName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"quiz_2": "quiz_2", "size guide / opened": "size_guide_opened", "øø": "_", "": "",
		strings.Repeat("ø", 60) + strings.Repeat("x", 60): "_" + strings.Repeat("x", 49),
	} {
		require.Equal(t, want, destination.PlainName(name))
		require.Equal(t, name == want && name != "", destination.IsPlainName(name), name)
	}
}

func TestMappingIsOwn(t *testing.T) {
	t.Parallel()
	mapping := destination.Mapping{"custom:*": "*", "custom:a": "a", "custom:b": "*", "search": "search"}
	for name, want := range map[string]bool{"custom:x": true, "custom:b": true, "custom:a": false, "search": false, "page_viewed": false} {
		require.Equal(t, want, mapping.IsOwn(name), name)
	}
	require.False(t, destination.Mapping{"custom:*": "x"}.IsOwn("custom:x"))
}

func TestMappingOneSale(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		mapping destination.Mapping
		good    bool
	}{
		"Paid":          {destination.Mapping{"order_paid": "Purchase"}, true},
		"Neither":       {destination.Mapping{"search": "Search"}, true},
		"OtherName":     {destination.Mapping{"order_paid": "Purchase", "order_placed": "Placed"}, true},
		"Instead":       {destination.Mapping{"order_placed": "Purchase"}, true},
		"PaidIsNoSale":  {destination.Mapping{"order_paid": "Paid", "order_placed": "Purchase"}, true},
		"Both":          {destination.Mapping{"order_paid": "Purchase", "order_placed": "Purchase"}, false},
		"BothRenamed":   {destination.Mapping{"order_paid": "Sale", "order_placed": "Sale"}, false},
		"Shipped":       {destination.Mapping{"order_shipped": "Purchase", "order_placed": "Purchase"}, false},
		"SecondOfNames": {destination.Mapping{"order_paid": "Purchase", "order_placed": "CompletePayment"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.good, test.mapping.OneSale("Purchase", "CompletePayment") == nil)
		})
	}
}

func TestReference(t *testing.T) {
	t.Parallel()
	order := destination.Payload{Order: &destination.Order{Ref: "B"}}
	require.Equal(t, "A", destination.Event{OrderRef: "A", Payload: order}.Reference())
	require.Equal(t, "B", destination.Event{Payload: order}.Reference())
	require.Empty(t, destination.Event{}.Reference())
}
