package delivery

import (
	"fmt"
	"slices"
	"time"

	"kvit/config"
	"kvit/destination"
	"kvit/store"
)

// admit decides whether the event may be sent at all. It returns the event, or how its delivery
// ends without a request.
func (l *Lane) admit(a Attempt, stored *store.Event, now time.Time) (destination.Event, *ending) {
	refuse := func(outcome, reason string) (destination.Event, *ending) {
		return destination.Event{}, &ending{Outcome: outcome, Reason: reason, Unclear: a.unclear() && outcome == Expired}
	}
	consent := l.Consent.read(stored.Consent)
	switch {
	case stored.ErasedAt != nil:
		return refuse(Erased, "its data was due before it could be delivered")
	case l.Purpose != "" && !slices.Contains(consent.accepted, l.Purpose):
		return refuse(Withheld, consent.missing(l.Purpose))
	case stored.Defect != nil:
		return refuse(Rejected, *stored.Defect)
	case stored.TooLarge:
		return refuse(Rejected, fmt.Sprintf("payload: is larger than %d bytes", destination.MaxPayload))
	}
	if reason := l.deadline(a, stored, now); reason != "" {
		return refuse(Expired, reason)
	}
	payload, invalid := l.read(stored)
	if invalid != nil {
		return refuse(Rejected, invalid.Reason)
	}
	event := destination.Event{
		Key: stored.EventKey, Name: stored.Name, OccurredAt: stored.OccurredAt.UTC(),
		Payload: payload, Raw: stored.Payload, Consent: consent.accepted,
	}
	if stored.OrderRef != nil {
		event.OrderRef = *stored.OrderRef
	}
	return event, nil
}

// read gives the payload as the destination uses it: one that passes it on pays for no more than a look whether it is one,
// which is a tenth of what reading it takes.
func (l *Lane) read(stored *store.Event) (destination.Payload, *destination.Error) {
	if l.traits.Raw {
		return destination.Payload{}, destination.Readable(stored.Name, stored.Payload)
	}
	return destination.Reading{Country: l.Country}.Read(stored.Name, stored.Payload)
}

// deadline says which limit the event has passed, if any. The age counts as if the request were made
// at the end of the attempt: one event that is too old by then can spoil a whole batch.
func (l *Lane) deadline(a Attempt, stored *store.Event, now time.Time) string {
	if l.MaxAge > 0 && now.Add(l.timeout).Sub(stored.OccurredAt) > l.MaxAge {
		return fmt.Sprintf("occurred more than %s ago (max_age)", config.FormatDuration(l.MaxAge))
	}
	if l.Window > 0 && a.unclear() && now.Add(l.timeout).Sub(a.Unclear) > l.Window {
		return fmt.Sprintf("may have arrived more than %s ago, a repeat would not be recognised (repeats_known_for)", config.FormatDuration(l.Window))
	}
	return ""
}
