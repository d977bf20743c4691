package klaviyo

import (
	"encoding/json"
	"strings"

	"github.com/tidwall/gjson"

	"kvit/destination"
)

// eventAttributes is an event. There is no backfill in it: whether an event is history depends on the
// hour of the attempt, and every attempt says the same.
type eventAttributes struct {
	UniqueID      string                      `json:"unique_id"`
	Time          string                      `json:"time"`
	Value         json.RawMessage             `json:"value,omitempty"`
	ValueCurrency string                      `json:"value_currency,omitempty"`
	Properties    any                         `json:"properties"`
	Metric        document[resource[metric]]  `json:"metric"`
	Profile       document[resource[profile]] `json:"profile"`
}

type metric struct {
	Name string `json:"name"`
}

// amount is what an event is worth.
type amount struct {
	value    destination.Money
	currency string
}

func (s *settings) event(event destination.Event, name string) (call, *destination.Error) {
	who, err := profileOf(event)
	if err != nil {
		return call{}, err
	}
	if event.OccurredAt.Year() < 1990 {
		return call{}, destination.Reject("occurred_at: must not be before 1990")
	}
	properties, worth, err := about(event)
	if err != nil {
		return call{}, err
	}
	attributes := eventAttributes{
		UniqueID:   event.Key,
		Time:       event.OccurredAt.UTC().Format("2006-01-02T15:04:05-07:00"),
		Properties: properties,
		Metric:     document[resource[metric]]{resource[metric]{"metric", metric{name}}},
		Profile:    document[resource[profile]]{resource[profile]{"profile", who}},
	}
	if attributes.Value = worth.value.JSON(); attributes.Value != nil {
		attributes.ValueCurrency = worth.currency
	}
	return finish("/api/events", document[resource[eventAttributes]]{resource[eventAttributes]{"event", attributes}})
}

// about is what the event says besides who and when.
func about(event destination.Event) (properties any, worth amount, err *destination.Error) {
	if strings.HasPrefix(event.Name, destination.CustomPrefix) {
		properties, err = free(event.Payload.Custom)
		return properties, amount{}, err
	}
	switch event.Name {
	case "order_placed", "order_paid", "order_shipped", "order_cancelled", "order_refunded", "order_partly_refunded":
		return order(event)
	case "cart_updated", "checkout_started", "shipping_info_given", "payment_info_given":
		return cart(event)
	case "product_viewed", "wishlist_item_added", "cart_item_removed":
		return product(event)
	case "search":
		properties, err = search(event)
		return properties, amount{}, err
	case "page_viewed":
		properties, err = page(event)
		return properties, amount{}, err
	default: // accounts, and opt-ins that were given a metric: the profile says it all
		return struct{}{}, amount{}, nil
	}
}

// free is the shop's own members: those of custom if it is an object, else custom as a single one.
func free(custom json.RawMessage) (any, *destination.Error) {
	if custom == nil {
		return struct{}{}, nil
	}
	value := gjson.ParseBytes(custom)
	if !value.IsObject() {
		return map[string]json.RawMessage{"Custom": custom}, nil
	}
	members := 0
	value.ForEach(func(_, _ gjson.Result) bool {
		members++
		return true
	})
	if members > maxProperties {
		return nil, destination.Reject("custom: must not have more than %d members", maxProperties)
	}
	return custom, nil
}
