package tiktok

import (
	"fmt"
	"net/http"

	"github.com/tidwall/gjson"

	"kvit/destination"
)

// judge reads an answer: TikTok says in its body what became of a request, with HTTP 200 for errors, too.
// A code that is known goes before the status.
func judge(answer destination.Answer) *destination.Error {
	code, said := codeOf(answer.Body)
	if said && code != taken {
		if kind, meaning := meaningOf(code); kind != 0 {
			return asError(kind, meaning, code, answer)
		}
	}
	if answer.Status == http.StatusNotFound || answer.Status == http.StatusMethodNotAllowed {
		return &destination.Error{Kind: destination.Misconfigured, Code: answer.Status, Reason: "TikTok has nothing at this address: api_version or base_url may be wrong"}
	}
	if judged := destination.Judge(answer.Status, answer.Header); judged != nil {
		return judged
	}
	switch {
	case answer.Cut || !said:
		// Repeating is harmless, since TikTok knows a repeat, and believing is not.
		return &destination.Error{Kind: destination.Ambiguous, Code: answer.Status, Reason: "the answer broke off, or is not TikTok's"}
	case code != taken:
		return asError(destination.Ambiguous, "TikTok answered with a code that kvit does not know", code, answer)
	}
	return nil
}

// The codes. All but the first are general knowledge: the vendor's list could not be read.
const (
	taken         = 0
	partly        = 20001
	notPermitted  = 40001
	noSuchObject  = 40007
	tooMany       = 40100
	firstLogin    = 40101 // and up to lastLogin: the token is missing, wrong or expired (40105)
	lastLogin     = 40199
	firstInvalid  = 40000 // and up to lastInvalid: the request is wrong (40002: a parameter of it)
	lastInvalid   = 40099
	firstInternal = 50000
	lastInternal  = 59999
)

func codeOf(body []byte) (code int64, said bool) {
	if !gjson.ValidBytes(body) {
		return 0, false
	}
	value := gjson.GetBytes(body, "code")
	if value.Type != gjson.Number || value.Num != float64(value.Int()) {
		return 0, false
	}
	return value.Int(), true
}

// meaningOf is what a code says about the request; 0 if kvit does not know it. A request of which TikTok
// took a part is halved like one that it refused: a repeat of what it took is harmless.
func meaningOf(code int64) (destination.Kind, string) {
	switch {
	case code == tooMany:
		return destination.Throttled, "TikTok asked to slow down"
	case code == notPermitted, firstLogin <= code && code <= lastLogin:
		return destination.Unauthorized, "TikTok did not accept the access token"
	case code == noSuchObject:
		return destination.Misconfigured, "TikTok does not know the event source"
	case code == partly:
		return destination.Rejected, "TikTok did not take every event"
	case firstInvalid <= code && code <= lastInvalid:
		return destination.Rejected, "TikTok rejected the event"
	case firstInternal <= code && code <= lastInternal:
		return destination.Ambiguous, "TikTok had an error of its own"
	default:
		return 0, ""
	}
}

// asError shows the code, for whoever looks it up.
func asError(kind destination.Kind, reason string, code int64, answer destination.Answer) *destination.Error {
	failed := &destination.Error{Kind: kind, Code: answer.Status, Reason: reason}
	if -1_000_000 < code && code < 1_000_000 {
		failed.Reason += fmt.Sprintf(" (code %d)", code)
	}
	if kind == destination.Throttled { // whatever the status, the header says when
		failed.RetryAfter = destination.Judge(http.StatusTooManyRequests, answer.Header).RetryAfter
	}
	return failed
}
