package delivery

import (
	"time"

	"kvit/destination"
	"kvit/store"
)

// AdmitPast judges an event of the shop's past as its delivery to a destination would begin: consent, age, form. If it
// cannot be sent, outcome is what its delivery would end as, such as Withheld; otherwise it is empty.
func AdmitPast(s Settings, stored *store.Event, now time.Time) (event destination.Event, outcome string) {
	lane := Lane{Settings: s}
	event, ended := lane.admit(Attempt{}, stored, now)
	if ended != nil {
		return event, ended.Outcome
	}
	return event, ""
}
