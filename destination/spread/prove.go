package spread

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"kvit/destination"
)

// Prove reads the account's consents: with the right keys SPREAD lists them, and the names of the
// grants must be among them. An unknown name in a call would be passed over in silence, or fail.
func (s *Spread) Prove(ctx context.Context) (string, error) {
	answer, failed := s.get(ctx, s.consentsURL())
	if failed != nil {
		return "", failed
	}
	if judged := judgeRead(answer); judged != nil {
		return "", judged
	}
	known, complete := consentNames(answer.Body)
	if len(known) == 0 {
		return "the keys; SPREAD's list of consents has another form than expected, so that the grants are not proved", nil
	}
	missing := s.unknownGrants(known)
	switch {
	case len(missing) == 0:
		return "the keys, and the names of the grants; not what an event causes", nil
	case !complete:
		return "the keys; the list of consents has further pages, so that these are not proved: " + strings.Join(missing, ", "), nil
	default:
		return "", &destination.Error{Kind: destination.Misconfigured, Reason: strings.Join(missing, ", ") +
			": unknown consent; set it to a technical name of the account's, or to none"}
	}
}

func (s *settings) consentsURL() string {
	return strings.TrimSuffix(or(s.BaseURL, "https://social-sb.com"), "/") + "/api/v2/consents"
}

func (s *Spread) get(ctx context.Context, url string) (destination.Answer, *destination.Error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return destination.Answer{}, &destination.Error{Kind: destination.Misconfigured, Reason: "the address cannot be used"}
	}
	req.SetBasicAuth(s.PublicKey.Reveal(), s.PrivateKey.Reveal())
	req.Header.Set("Accept", "application/json")
	return s.client.Do(req)
}

// judgeRead is stricter than judge: what is no JSON proves nothing.
func judgeRead(answer destination.Answer) *destination.Error {
	switch {
	case answer.Status == http.StatusNotFound:
		return &destination.Error{Kind: destination.Misconfigured, Code: answer.Status, Reason: "SPREAD has no list of consents at base_url"}
	case answer.Status != http.StatusOK:
		if judged := destination.Judge(answer.Status, answer.Header); judged != nil && judged.Kind != destination.Rejected {
			return judged
		}
		return &destination.Error{Kind: destination.Misconfigured, Code: answer.Status, Reason: "SPREAD did not list the consents"}
	case answer.Cut:
		return &destination.Error{Kind: destination.Unreachable, Code: answer.Status, Reason: "the answer broke off"}
	case !gjson.ValidBytes(answer.Body):
		return &destination.Error{Kind: destination.Misconfigured, Code: answer.Status, Reason: "the answer is not JSON, as if from something other than SPREAD"}
	}
	return judgeJSON(answer)
}

// consentNames reads the technical names from a list of consents, alone or in the member "consents",
// and whether the list has no further page. The member's name is taken from SPREAD's other answers:
// its page about the list could not be read.
func consentNames(body []byte) (names []string, complete bool) {
	list := gjson.ParseBytes(body)
	complete = isEmpty(list.Get("nextPageUrl"))
	if !list.IsArray() {
		list = list.Get("consents")
	}
	list.ForEach(func(_, consent gjson.Result) bool {
		for _, member := range []string{"techName", "consentTechName"} {
			if name := consent.Get(member).String(); name != "" {
				names = append(names, name)
			}
		}
		return true
	})
	return names, complete
}

// unknownGrants are the options whose value is not among the names.
func (s *settings) unknownGrants(known []string) []string {
	var unknown []string
	for _, grant := range []struct{ option, name string }{
		{"grants.order", s.Grants.Order},
		{"grants.account", s.Grants.Account},
		{"grants.email_optin", s.Grants.EmailOptin},
		{"grants.sms_optin", s.Grants.SMSOptin},
	} {
		if grant.name != "" && !slices.Contains(known, grant.name) {
			unknown = append(unknown, grant.option)
		}
	}
	return unknown
}
