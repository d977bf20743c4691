package jobs

import (
	"fmt"
	"time"

	"kvit/destination"
	"kvit/store"
)

// admit decides whether the event may be sent at all. It returns the event, or how its delivery
// ends without a request.
func (l *lane) admit(stored *store.Event, now time.Time) (destination.Event, *ending) {
	refuse := func(outcome, reason string) (destination.Event, *ending) {
		return destination.Event{}, &ending{Outcome: outcome, Reason: reason}
	}
	switch {
	case stored.ErasedAt != nil:
		return refuse(Erased, "its data was due before it could be delivered")
	case l.Purpose != "" && !stored.Consented:
		return refuse(Withheld, "no consent for "+l.Purpose)
	case stored.Defect != nil:
		return refuse(Rejected, *stored.Defect)
	case stored.TooLarge:
		return refuse(Rejected, fmt.Sprintf("payload: is larger than %d bytes", destination.MaxPayload))
	case l.MaxAge > 0 && now.Sub(stored.OccurredAt) > l.MaxAge:
		return refuse(Expired, fmt.Sprintf("occurred more than %s ago", l.MaxAge))
	}
	payload, invalid := destination.ParsePayload(stored.Name, stored.Payload)
	if invalid != nil {
		return refuse(Rejected, invalid.Reason)
	}
	event := destination.Event{
		Key: stored.EventKey, Name: stored.Name, OccurredAt: stored.OccurredAt.UTC(),
		Payload: payload, Raw: stored.Payload,
	}
	if stored.OrderRef != nil {
		event.OrderRef = *stored.OrderRef
	}
	return event, nil
}
