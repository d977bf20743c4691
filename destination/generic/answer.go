package generic

import (
	"net/http"
	"slices"

	"github.com/tidwall/gjson"

	"kvit/config"
	"kvit/destination"
)

// meaning is what an answer says of an event, in the words of the configuration.
type meaning string

// The meanings.
const (
	delivered     meaning = "delivered"
	duplicate     meaning = "duplicate" // the provider had it before
	rejected      meaning = "rejected"
	throttled     meaning = "throttled"
	unauthorized  meaning = "unauthorized"
	misconfigured meaning = "misconfigured"
	gone          meaning = "gone"
	retry         meaning = "retry" // it may have been taken, or not
)

var meanings = []meaning{delivered, duplicate, rejected, throttled, unauthorized, misconfigured, gone, retry}

func isMeaning(text string) string {
	if slices.Contains(meanings, meaning(text)) {
		return ""
	}
	words := make([]string, len(meanings))
	for i, m := range meanings {
		words[i] = string(m)
	}
	return "must be " + config.JoinOr(words)
}

// answers are what the operator knows of the provider's answers. What they do not name, destination.Judge does.
type answers struct {
	statuses map[int]meaning    // by status, or by 4 for 4xx
	member   string             // path of the member of the JSON answer that says it; empty: the status alone does
	values   map[string]meaning // by its text
	other    meaning            // what a 2xx means whose member says none of these
}

// judge says what became of an event. plain is true if the address is the same for all events.
func (a answers) judge(answer destination.Answer, plain bool) *destination.Error {
	if said, ok := a.said(answer); ok {
		return a.error(said, answer)
	}
	if said, ok := a.statuses[answer.Status]; ok {
		return a.error(said, answer)
	}
	if said, ok := a.statuses[answer.Status/100]; ok {
		return a.error(said, answer)
	}
	judged := destination.Judge(answer.Status, answer.Header)
	switch {
	case judged == nil && a.member != "" && answer.Cut:
		return &destination.Error{Kind: destination.Ambiguous, Code: answer.Status, Reason: "the answer broke off"}
	case judged == nil && a.member != "":
		return a.error(a.other, answer)
	case judged != nil && plain && (answer.Status == http.StatusNotFound || answer.Status == http.StatusMethodNotAllowed):
		return misconfiguredAt(answer.Status)
	}
	return judged
}

func misconfiguredAt(status int) *destination.Error {
	return &destination.Error{Kind: destination.Misconfigured, Code: status, Reason: "nothing takes events at this address"}
}

// said reads the member of a success, or of a refusal that is about the event.
func (a answers) said(answer destination.Answer) (meaning, bool) {
	class := answer.Status / 100
	turnedAway := slices.Contains([]int{http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests}, answer.Status)
	if a.member == "" || answer.Cut || class != 2 && class != 4 || turnedAway || !gjson.ValidBytes(answer.Body) {
		return "", false
	}
	value := destination.NewPath(a.member).Text(answer.Body)
	said, ok := a.values[value]
	return said, ok && value != ""
}

func (a answers) error(said meaning, answer destination.Answer) *destination.Error {
	failed := &destination.Error{Code: answer.Status}
	switch said {
	case delivered, duplicate:
		return nil
	case rejected:
		failed.Kind, failed.Reason = destination.Rejected, "the provider rejected the event"
	case throttled:
		failed = destination.Judge(http.StatusTooManyRequests, answer.Header)
		failed.Code = answer.Status
	case unauthorized:
		failed.Kind, failed.Reason = destination.Unauthorized, "the provider did not accept the credentials"
	case misconfigured:
		failed.Kind, failed.Reason = destination.Misconfigured, "the provider found fault with the settings"
	case gone:
		failed.Kind, failed.Reason = destination.Gone, "the receiver wants no more events"
	default:
		failed.Kind, failed.Reason = destination.Ambiguous, "the answer does not say that the event was taken"
	}
	return failed
}
