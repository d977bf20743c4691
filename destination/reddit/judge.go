package reddit

import (
	"net/http"
	"regexp"
	"strconv"

	"github.com/tidwall/gjson"

	"kvit/destination"
)

// judge reads the answer to a request of so many events. Of one with an invalid event Reddit processes none.
func judge(answer destination.Answer, events int) *destination.Error {
	if answer.Status == http.StatusNotFound || answer.Status == http.StatusMethodNotAllowed {
		return &destination.Error{Kind: destination.Misconfigured, Code: answer.Status, Reason: "Reddit has nothing at this address: check pixel_id and base_url"}
	}
	if judged := destination.Judge(answer.Status, answer.Header); judged != nil {
		return judged
	}
	message := gjson.GetBytes(answer.Body, "data.message")
	if answer.Cut || !gjson.ValidBytes(answer.Body) || message.Type != gjson.String {
		// Repeating is harmless, since Reddit knows a repeat, and believing is not.
		return &destination.Error{Kind: destination.Ambiguous, Code: answer.Status, Reason: "the answer broke off, or is not Reddit's"}
	}
	if count, told := processed(message.Str); told && count < events {
		return &destination.Error{Kind: destination.Rejected, Code: answer.Status, Reason: "Reddit processed fewer events than were sent"}
	}
	return nil
}

var number = regexp.MustCompile(`[0-9]+`)

// processed is the number in "Successfully processed 2 conversion events."
func processed(message string) (count int, told bool) {
	count, err := strconv.Atoi(number.FindString(message))
	return count, err == nil
}
