package tiktok

import (
	"regexp"

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
		return trackedEvent{}, destination.Reject("name: is not an event that is sent to TikTok")
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

// maxName keeps a custom event's name short. No limit of TikTok's was found.
const maxName = 50

var notInName = regexp.MustCompile(`[^A-Za-z0-9_]+`)

func (t *TikTok) called(name string) (string, bool) {
	called, ok := t.mapping.Of(name)
	called = notInName.ReplaceAllString(called, "_")
	return called[:min(len(called), maxName)], ok
}

func pageOf(client *destination.Browser) *page {
	if client == nil || client.PageURL == "" {
		return nil
	}
	return &page{URL: client.PageURL, Referrer: client.Referrer}
}
