package klaviyotest

import "maps"

type deletion struct {
	Data struct {
		Type       string `json:"type"`
		Attributes struct {
			Profile struct {
				Data struct {
					Type       string         `json:"type"`
					Attributes map[string]any `json:"attributes"`
				} `json:"data"`
			} `json:"profile"`
		} `json:"attributes"`
	} `json:"data"`
}

// delete takes a job with exactly one identifier, and forgets what was recorded of the profiles that it fits.
// A person of whom nothing is recorded is no mistake.
func (s *Server) delete(call deletion) refusal {
	profile := call.Data.Attributes.Profile.Data
	email, _ := profile.Attributes["email"].(string)
	phone, _ := profile.Attributes["phone_number"].(string)
	switch {
	case call.Data.Type != "data-privacy-deletion-job":
		return invalid("/data/type")
	case profile.Type != "profile":
		return invalid("/data/attributes/profile/data/type")
	case len(profile.Attributes) != 1:
		return invalid("/data/attributes/profile/data/attributes")
	case emails.MatchString(email):
		s.forget("email", email)
	case phones.MatchString(phone):
		s.forget("phone_number", phone)
	default:
		return invalid("/data/attributes/profile/data/attributes/email")
	}
	return refusal{}
}

func (s *Server) forget(member, address string) {
	s.counts.Deletions++
	s.deleted[address]++
	delete(s.consents, address)
	maps.DeleteFunc(s.events, func(_ string, e Event) bool { return e.Profile[member] == address })
}
