package meta

import (
	"fmt"
	"net/http"

	"github.com/tidwall/gjson"

	"kvit/destination"
)

// judge reads the answer to a request of so many events.
func judge(answer destination.Answer, events int) *destination.Error {
	fault := readFault(answer.Body)
	if kind, meaning := fault.meaning(); kind != 0 {
		return fault.asError(kind, meaning, answer)
	}
	if answer.Status == http.StatusNotFound || answer.Status == http.StatusMethodNotAllowed {
		return fault.asError(destination.Misconfigured, "Meta has nothing at this address: api_version or dataset_id may be wrong", answer)
	}
	if judged := destination.Judge(answer.Status, answer.Header); judged != nil {
		judged.Reason += fault.numbers()
		return judged
	}
	if fault.present {
		return fault.asError(destination.Rejected, "Meta answered with an error", answer)
	}
	return received(answer, events)
}

// received tells whether all events were taken. Where it cannot be told, repeating is harmless, since
// Meta knows a repeat, and believing is not. Where some were not, halves show which.
func received(answer destination.Answer, events int) *destination.Error {
	if answer.Cut || !gjson.ValidBytes(answer.Body) {
		return &destination.Error{Kind: destination.Ambiguous, Code: answer.Status, Reason: "the answer broke off, or is not Meta's"}
	}
	count := gjson.GetBytes(answer.Body, "events_received")
	switch {
	case count.Type != gjson.Number:
		return &destination.Error{Kind: destination.Ambiguous, Code: answer.Status, Reason: "the answer does not say how many events were received"}
	case count.Float() < float64(events):
		return &destination.Error{Kind: destination.Rejected, Code: answer.Status, Reason: "Meta received fewer events than were sent"}
	}
	return nil
}

// fault is the error in an answer (https://developers.facebook.com/docs/graph-api/guides/error-handling).
type fault struct {
	present       bool
	code, subcode int64
	transient     bool
}

func readFault(body []byte) fault {
	if !gjson.ValidBytes(body) {
		return fault{}
	}
	member := gjson.GetBytes(body, "error")
	if !member.IsObject() {
		return fault{}
	}
	return fault{
		present: true, code: number(member.Get("code")), subcode: number(member.Get("error_subcode")),
		transient: member.Get("is_transient").Type == gjson.True,
	}
}

// number is 0 for what is no error code.
func number(value gjson.Result) int64 {
	if value.Type != gjson.Number || value.Float() < 0 || value.Float() > 99_999_999 {
		return 0
	}
	return value.Int()
}

// noSuchDataset is the subcode by which error 100 is about the dataset and not about an event.
const noSuchDataset = 33

// meaning is what a code says about the request; 0 leaves it to the status. A passing error may
// have come after the events were taken, so it is not taken for a refusal, whatever its status.
func (f fault) meaning() (destination.Kind, string) {
	switch {
	case !f.present:
		return 0, ""
	case f.code == 190:
		return destination.Unauthorized, "Meta did not accept the access token"
	case f.code == 10, 200 <= f.code && f.code <= 299:
		return destination.Unauthorized, "the access token lacks a permission"
	case f.code == 4, f.code == 17, f.code == 32, f.code == 613, 80000 <= f.code && f.code <= 80014:
		return destination.Throttled, "Meta asked to slow down"
	case f.code == 1, f.code == 2, f.transient:
		return destination.Ambiguous, "Meta had a passing error of its own"
	case f.code == 100 && f.subcode == noSuchDataset:
		return destination.Misconfigured, "Meta does not know the dataset, or hides it from this access token"
	case f.code == 100, 2_804_000 <= f.subcode && f.subcode <= 2_804_999:
		return destination.Rejected, "Meta rejected the event"
	default:
		return 0, ""
	}
}

func (f fault) asError(kind destination.Kind, reason string, answer destination.Answer) *destination.Error {
	failed := &destination.Error{Kind: kind, Code: answer.Status, Reason: reason + f.numbers()}
	if kind == destination.Throttled { // whatever the status, the header says when
		failed.RetryAfter = destination.Judge(http.StatusTooManyRequests, answer.Header).RetryAfter
	}
	return failed
}

// numbers are the codes, for whoever looks them up.
func (f fault) numbers() string {
	switch {
	case f.code == 0:
		return ""
	case f.subcode == 0:
		return fmt.Sprintf(" (error %d)", f.code)
	default:
		return fmt.Sprintf(" (error %d, subcode %d)", f.code, f.subcode)
	}
}
