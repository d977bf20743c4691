package klaviyotest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"time"
	"unicode/utf8"
)

type event struct {
	Data struct {
		Type       string `json:"type"`
		Attributes struct {
			UniqueID   string          `json:"unique_id"`
			Time       string          `json:"time"`
			Value      json.RawMessage `json:"value"`
			Currency   string          `json:"value_currency"`
			Properties map[string]any  `json:"properties"`
			Metric     struct {
				Data struct {
					Type       string `json:"type"`
					Attributes struct {
						Name string `json:"name"`
					} `json:"attributes"`
				} `json:"data"`
			} `json:"metric"`
			Profile struct {
				Data struct {
					Type       string         `json:"type"`
					Attributes map[string]any `json:"attributes"`
				} `json:"data"`
			} `json:"profile"`
		} `json:"attributes"`
	} `json:"data"`
}

var (
	emails     = regexp.MustCompile(`^[^@\s]+@[^@\s]+\.[^@\s]+$`)
	phones     = regexp.MustCompile(`^\+[1-9][0-9]{1,14}$`)
	decimals   = regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?$`)
	currencies = regexp.MustCompile(`^[A-Z]{3}$`)
	locales    = regexp.MustCompile(`^[a-z]{2,3}-[A-Z]{2}$`)
)

// event takes Create Event. Of a repeat for the same profile and metric, only the first is recorded.
func (s *Server) event(call event) refusal {
	a := call.Data.Attributes
	metric, profile := a.Metric.Data, a.Profile.Data
	switch {
	case call.Data.Type != "event":
		return invalid("/data/type")
	case metric.Type != "metric" || metric.Attributes.Name == "" || utf8.RuneCountInString(metric.Attributes.Name) >= 128:
		return invalid("/data/attributes/metric/data/attributes/name")
	case profile.Type != "profile":
		return invalid("/data/attributes/profile/data/type")
	case a.Properties == nil || len(a.Properties) > 400 || longText(a.Properties):
		return invalid("/data/attributes/properties")
	case a.UniqueID == "":
		return invalid("/data/attributes/unique_id")
	case a.Value != nil && !decimals.Match(a.Value):
		return invalid("/data/attributes/value")
	case a.Currency != "" && (a.Value == nil || !currencies.MatchString(a.Currency)):
		return invalid("/data/attributes/value_currency")
	}
	if at, err := time.Parse(time.RFC3339, a.Time); err != nil || at.Year() < 1990 || at.Nanosecond() != 0 {
		return invalid("/data/attributes/time")
	}
	if bad := badMember(profile.Attributes); bad != "" {
		return invalid("/data/attributes/profile/data/attributes/" + bad)
	}
	s.record(Event{
		UniqueID: a.UniqueID, Metric: metric.Attributes.Name, Time: a.Time, Currency: a.Currency, Value: json.Number(a.Value),
		Profile: profile.Attributes, Properties: a.Properties,
	})
	return refusal{}
}

func (s *Server) record(e Event) {
	key := fmt.Sprintln(e.UniqueID, e.Metric, identity(e.Profile))
	if known, ok := s.events[key]; ok {
		s.counts.Repeats++
		known.Said++
		s.events[key] = known
		return
	}
	e.Said = 1
	s.events[key] = e
}

// identities are what a profile is found by, the strongest first.
var identities = []string{"email", "phone_number", "external_id", "_kx"}

func identity(profile map[string]any) string {
	for _, name := range identities {
		if text, ok := profile[name].(string); ok {
			return name + " " + text
		}
	}
	return ""
}

var others = []string{"first_name", "last_name", "organization", "locale"}

// badMember names the member of a profile that is unknown, missing or has the wrong form.
func badMember(profile map[string]any) string {
	if identity(profile) == "" {
		return "email"
	}
	for name, value := range profile {
		if name == "location" {
			if badLocation(value) {
				return name
			}
			continue
		}
		text, ok := value.(string)
		known := slices.Contains(identities, name) || slices.Contains(others, name)
		if !ok || !known || text == "" ||
			(name == "email" && !emails.MatchString(text)) || (name == "phone_number" && !phones.MatchString(text)) ||
			(name == "locale" && !locales.MatchString(text)) {
			return name
		}
	}
	return ""
}

func badLocation(value any) bool {
	location, ok := value.(map[string]any)
	for name, member := range location {
		text, isText := member.(string)
		if !isText || text == "" || !slices.Contains([]string{"address1", "address2", "city", "country", "region", "zip", "ip"}, name) {
			return true
		}
	}
	return !ok || len(location) == 0
}

func longText(value any) bool {
	switch v := value.(type) {
	case string:
		return len(v) > 100_000
	case []any:
		return slices.ContainsFunc(v, longText)
	case map[string]any:
		for _, member := range v {
			if longText(member) {
				return true
			}
		}
	}
	return false
}

type job struct {
	Data struct {
		Type       string `json:"type"`
		Attributes struct {
			Profiles struct {
				Data []struct {
					Type       string `json:"type"`
					Attributes person `json:"attributes"`
				} `json:"data"`
			} `json:"profiles"`
		} `json:"attributes"`
		Relationships struct {
			List struct {
				Data struct {
					Type string `json:"type"`
					ID   string `json:"id"`
				} `json:"data"`
			} `json:"list"`
		} `json:"relationships"`
	} `json:"data"`
}

type person struct {
	Email         string `json:"email"`
	PhoneNumber   string `json:"phone_number"`
	Subscriptions struct {
		Email *channel `json:"email"`
		SMS   *channel `json:"sms"`
	} `json:"subscriptions"`
}

type channel struct {
	Marketing struct {
		Consent string `json:"consent"`
	} `json:"marketing"`
}

func (s *Server) subscribe(call job) refusal {
	return s.consent(call, "profile-subscription-bulk-create-job", "SUBSCRIBED", 1000)
}

func (s *Server) unsubscribe(call job) refusal {
	return s.consent(call, "profile-subscription-bulk-delete-job", "UNSUBSCRIBED", 100)
}

func (s *Server) consent(call job, name, word string, most int) refusal {
	profiles, list := call.Data.Attributes.Profiles.Data, call.Data.Relationships.List.Data
	switch {
	case call.Data.Type != name:
		return invalid("/data/type")
	case len(profiles) == 0 || len(profiles) > most:
		return invalid("/data/attributes/profiles/data")
	case (list.Type == "list") != (list.ID != ""):
		return invalid("/data/relationships/list/data")
	case list.ID == "unknown":
		return refusal{http.StatusNotFound, "not_found", "/data/relationships/list/data/id"}
	}
	for _, p := range profiles {
		if p.Type != "profile" || !p.Attributes.isComplete(word) {
			return invalid("/data/attributes/profiles/data")
		}
	}
	for _, p := range profiles {
		s.state(p.Attributes, word, list.ID)
	}
	return refusal{}
}

func (p person) isComplete(word string) bool {
	email, sms := p.Subscriptions.Email, p.Subscriptions.SMS
	switch {
	case email == nil && sms == nil,
		email != nil && (email.Marketing.Consent != word || p.Email == ""),
		sms != nil && (sms.Marketing.Consent != word || p.PhoneNumber == ""),
		p.Email != "" && !emails.MatchString(p.Email),
		p.PhoneNumber != "" && !phones.MatchString(p.PhoneNumber):
		return false
	}
	return true
}

func (s *Server) state(p person, word, list string) {
	if p.Subscriptions.Email != nil {
		s.keep(p.Email, word, list)
	}
	if p.Subscriptions.SMS != nil {
		s.keep(p.PhoneNumber, word, list)
	}
}

func (s *Server) keep(address, word, list string) {
	known := s.consents[address]
	switch {
	case word == "UNSUBSCRIBED":
		s.counts.Unsubscribed++
	case known.Word == "UNSUBSCRIBED":
		s.counts.Lifted++
		s.counts.Subscribed++
	default:
		s.counts.Subscribed++
	}
	s.consents[address] = Consent{Word: word, List: list, Said: append(slices.Clone(known.Said), word)}
}
