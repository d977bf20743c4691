package meta

import (
	"strings"

	"kvit/destination"
)

// serverEvent is an event as Meta takes it (…/conversions-api/parameters/server-event).
type serverEvent struct {
	Name         string      `json:"event_name"`
	Time         int64       `json:"event_time"` // Unix seconds
	ID           string      `json:"event_id"`
	ActionSource string      `json:"action_source"`
	SourceURL    string      `json:"event_source_url,omitempty"`
	ReferrerURL  string      `json:"referrer_url,omitempty"`
	User         userData    `json:"user_data"`
	Custom       *customData `json:"custom_data,omitempty"`
	*limitation
}

// limitation asks for limited data use; country and state 0 leave it to Meta to locate the person.
type limitation struct {
	Options []string `json:"data_processing_options"`
	Country int      `json:"data_processing_options_country"`
	State   int      `json:"data_processing_options_state"`
}

func (m *Meta) event(event destination.Event) (serverEvent, *destination.Error) {
	called, ok := m.called(event.Name)
	if !ok {
		return serverEvent{}, destination.Reject("name: is not an event that this destination sends")
	}
	built := serverEvent{Name: called, Time: event.OccurredAt.Unix(), ID: event.Key, ActionSource: m.ActionSource}
	if rejected := m.locate(&built, event.Payload.Client); rejected != nil {
		return serverEvent{}, rejected
	}
	var rejected *destination.Error
	if built.User, rejected = userOf(event.Payload); rejected != nil {
		return serverEvent{}, rejected
	}
	if built.Custom, rejected = customOf(event, called); rejected != nil {
		return serverEvent{}, rejected
	}
	if m.LimitedDataUse {
		built.limitation = &limitation{Options: []string{"LDU"}}
	}
	return built, nil
}

// called is plain for a custom event's own name, which never is that of a sale: those count as revenue, and
// have to be named in the configuration.
func (m *Meta) called(name string) (string, bool) {
	called, ok := m.mapping.Of(name)
	if m.mapping.IsOwn(name) {
		called = destination.PlainName(called)
		if called == purchase {
			called = "custom_" + called
		}
	}
	return called, ok
}

// locate adds what Meta requires of an event on a website, and of no other.
func (m *Meta) locate(built *serverEvent, client *destination.Browser) *destination.Error {
	if m.ActionSource != "website" {
		return nil
	}
	if client == nil || client.PageURL == "" {
		return destination.Reject("client.page_url: is required where action_source is website")
	}
	address := destination.PageAddress(client.PageURL)
	switch {
	case !strings.HasPrefix(address, "https://") && !strings.HasPrefix(address, "http://"):
		return destination.Reject("client.page_url: must begin with https:// or http://, and have no @ before its path")
	case client.UserAgent == "":
		return destination.Reject("client.user_agent: is required where action_source is website")
	}
	built.SourceURL, built.ReferrerURL = address, destination.PageAddress(client.Referrer)
	return nil
}
