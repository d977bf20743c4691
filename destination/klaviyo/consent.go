package klaviyo

import (
	"strings"

	"kvit/destination"
)

// job is a job that changes the consent of one profile.
type job struct {
	Type          string         `json:"type"`
	Attributes    jobAttributes  `json:"attributes"`
	Relationships *relationships `json:"relationships,omitempty"`
}

type jobAttributes struct {
	Profiles document[[]resource[person]] `json:"profiles"`
}

type person struct {
	Email         string   `json:"email,omitempty"`
	PhoneNumber   string   `json:"phone_number,omitempty"`
	Subscriptions channels `json:"subscriptions"`
}

type channels struct {
	Email *channel `json:"email,omitempty"`
	SMS   *channel `json:"sms,omitempty"`
}

type channel struct {
	Marketing consent `json:"marketing"`
}

type consent struct {
	Consent string `json:"consent"`
}

type relationships struct {
	List document[list] `json:"list"`
}

type list struct {
	Type string `json:"type"`
	ID   string `json:"id"`
}

// subscription never is a historical import: that would skip the double opt-in of the list.
func (s *settings) subscription(event destination.Event) (call, *destination.Error) {
	who, err := personOf(event, "SUBSCRIBED")
	if err != nil {
		return call{}, err
	}
	j := jobFor("profile-subscription-bulk-create-job", who)
	if s.ListID != "" {
		j.Relationships = &relationships{List: document[list]{list{"list", s.ListID}}}
	}
	return finish("/api/profile-subscription-bulk-create-jobs", document[job]{j})
}

// unsubscription names no list: with one, Klaviyo takes the profile off that list the first time, and a
// repeat, which finds it on the list no more, unsubscribes it from everything.
func (s *settings) unsubscription(event destination.Event) (call, *destination.Error) {
	who, err := personOf(event, "UNSUBSCRIBED")
	if err != nil {
		return call{}, err
	}
	return finish("/api/profile-subscription-bulk-delete-jobs", document[job]{jobFor("profile-subscription-bulk-delete-job", who)})
}

func jobFor(name string, who person) job {
	profiles := []resource[person]{{Type: "profile", Attributes: who}}
	return job{Type: name, Attributes: jobAttributes{Profiles: document[[]resource[person]]{profiles}}}
}

// personOf is the customer with the one channel that the event is about.
func personOf(event destination.Event, word string) (person, *destination.Error) {
	if err := contradicted(event); err != nil {
		return person{}, err
	}
	customer := event.Payload.Customer
	if customer == nil {
		customer = &destination.Customer{}
	}
	stated := &channel{Marketing: consent{word}}
	if strings.HasPrefix(event.Name, "sms_") {
		if customer.Phone == "" {
			return person{}, destination.Reject("customer.phone: is required")
		}
		return person{Email: customer.Email, PhoneNumber: customer.Phone, Subscriptions: channels{SMS: stated}}, nil
	}
	if customer.Email == "" {
		return person{}, destination.Reject("customer.email: is required")
	}
	return person{Email: customer.Email, Subscriptions: channels{Email: stated}}, nil
}

// contradicted compares the event with what its own payload says of the same opt-in.
func contradicted(event destination.Event) *destination.Error {
	if event.Payload.Optin == nil {
		return nil
	}
	inside, field := event.Payload.Optin.Email, "optin.email"
	if strings.HasPrefix(event.Name, "sms_") {
		inside, field = event.Payload.Optin.SMS, "optin.sms"
	}
	if inside != nil && *inside != strings.HasSuffix(event.Name, "_optin") {
		return destination.Reject("%s: contradicts the name of the event", field)
	}
	return nil
}
