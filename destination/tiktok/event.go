package tiktok

import (
	"kvit/destination"
)

// trackedEvent is an event as TikTok takes it.
type trackedEvent struct {
	Event          string      `json:"event"`
	Time           int64       `json:"event_time"` // Unix seconds
	ID             string      `json:"event_id"`
	User           user        `json:"user"`
	Properties     *properties `json:"properties,omitempty"`
	Page           *page       `json:"page,omitempty"`
	LimitedDataUse bool        `json:"limited_data_use"`
}

type page struct {
	URL      string `json:"url"`
	Referrer string `json:"referrer,omitempty"`
}

func (t *TikTok) event(event destination.Event) (trackedEvent, *destination.Error) {
	called, ok := t.called(event.Name)
	if !ok {
		return trackedEvent{}, destination.Reject("name: is not an event that this destination sends")
	}
	built := trackedEvent{
		Event: called, Time: event.OccurredAt.Unix(), ID: event.Key,
		Page: pageOf(event.Payload.Client), LimitedDataUse: t.LimitedDataUse,
	}
	var rejected *destination.Error
	if built.User, rejected = userOf(event.Payload); rejected != nil {
		return trackedEvent{}, rejected
	}
	if built.Properties, rejected = propertiesOf(event, called); rejected != nil {
		return trackedEvent{}, rejected
	}
	return built, nil
}

// called is plain for a custom event's own name, which never is that of a sale: those count as revenue, and
// have to be named in the configuration.
func (t *TikTok) called(name string) (string, bool) {
	called, ok := t.mapping.Of(name)
	if t.mapping.IsOwn(name) {
		called = destination.PlainName(called)
		if isPurchase(called) {
			called = "custom_" + called
		}
	}
	return called, ok
}

func pageOf(client *destination.Browser) *page {
	if client == nil {
		return nil
	}
	address := destination.PageAddress(client.PageURL)
	if address == "" {
		return nil
	}
	return &page{URL: address, Referrer: destination.PageAddress(client.Referrer)}
}
