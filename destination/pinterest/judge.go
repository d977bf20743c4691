package pinterest

import (
	"fmt"
	"net/http"

	"github.com/tidwall/gjson"

	"kvit/destination"
)

// judge reads an answer to a request of n events. It tells of each event whether it was processed, in
// the order of the request, with 200 and with 422; the rest is about the request as a whole.
func judge(answer destination.Answer, n int) ([]destination.Result, *destination.Error) {
	judged := destination.Judge(answer.Status, answer.Header)
	if judged == nil || answer.Status == http.StatusUnprocessableEntity {
		if results, ok := perEvent(answer, n); ok {
			return results, nil
		}
	}
	switch {
	case answer.Status == http.StatusNotFound, answer.Status == http.StatusMethodNotAllowed:
		return nil, &destination.Error{Kind: destination.Misconfigured, Code: answer.Status, Reason: "Pinterest has nothing at this address: check ad_account_id and base_url"}
	case answer.Status < 500 || answer.Status == http.StatusServiceUnavailable:
		return nil, coded(answer, judged)
	default:
		return nil, judged
	}
}

// meanings are the statuses that Pinterest's error codes come with. 4197 comes with 503, but says
// that nothing is taken for now, so that nothing was counted either.
var meanings = map[int64]int{
	2: http.StatusUnauthorized, 29: http.StatusForbidden, 8: http.StatusTooManyRequests, 4197: http.StatusTooManyRequests,
}

// coded lets the code in the body say more than the status. judged is nil for a 2xx that tells of no
// event: it may have been counted.
func coded(answer destination.Answer, judged *destination.Error) *destination.Error {
	code := errorCode(answer.Body)
	if status, known := meanings[code]; known {
		judged = destination.Judge(status, answer.Header)
		judged.Code = answer.Status
	}
	switch {
	case judged == nil && answer.Cut:
		return &destination.Error{Kind: destination.Ambiguous, Code: answer.Status, Reason: "the answer broke off"}
	case judged == nil:
		return &destination.Error{Kind: destination.Ambiguous, Code: answer.Status, Reason: "the answer does not say what became of the events"}
	case code != 0:
		judged.Reason = fmt.Sprintf("%s, code %d", judged.Reason, code)
	}
	return judged
}

// errorCode is 0 if there is none.
func errorCode(body []byte) int64 {
	code := gjson.GetBytes(body, "code")
	if code.Type != gjson.Number || code.Int() < 0 || code.Int() > 99_999 {
		return 0
	}
	return code.Int()
}

// perEvent reads the events of an answer; false if they cannot be those of the request. A list that
// is longer than what is read of an answer (maxAnswer), or broke off, holds for the events
// that it still names: the others are sent again, and Pinterest knows those it had.
func perEvent(answer destination.Answer, n int) ([]destination.Result, bool) {
	events := gjson.GetBytes(answer.Body, "events")
	if !events.Exists() {
		events = gjson.GetBytes(answer.Body, "details.events") // where 422 has it is not documented
	}
	if !events.IsArray() {
		return nil, false
	}
	var results []destination.Result
	events.ForEach(func(_, event gjson.Result) bool {
		results = append(results, result(event.Get("status").String(), answer.Status))
		return len(results) <= n
	})
	whole := gjson.ValidBytes(answer.Body)
	if len(results) == 0 || len(results) > n || (whole && len(results) < n) {
		return nil, false
	}
	for len(results) < n {
		results = append(results, result("", answer.Status))
	}
	return results, true
}

func result(status string, code int) destination.Result {
	switch status {
	case "processed":
		return destination.Result{Code: code}
	case "failed":
		return destination.Result{Code: code, Err: &destination.Error{Kind: destination.Rejected, Code: code, Reason: "Pinterest could not process the event"}}
	default:
		return destination.Result{Code: code, Err: &destination.Error{Kind: destination.Ambiguous, Code: code, Reason: "the answer does not say what became of the event"}}
	}
}
