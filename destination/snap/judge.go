package snap

import (
	"net/http"

	"github.com/tidwall/gjson"

	"kvit/destination"
)

// judge reads an answer, which speaks for the whole request: the status in it may say INVALID with HTTP 200
// (EventResponse in https://github.com/Snapchat/business-sdk-v3-java/blob/main/api/openapi.yaml).
func judge(answer destination.Answer) *destination.Error {
	if answer.Status == http.StatusNotFound || answer.Status == http.StatusMethodNotAllowed {
		return &destination.Error{Kind: destination.Misconfigured, Code: answer.Status, Reason: "Snap has nothing at this address: check pixel_id and base_url"}
	}
	if judged := destination.Judge(answer.Status, answer.Header); judged != nil {
		return judged
	}
	if answer.Cut || !gjson.ValidBytes(answer.Body) {
		// Repeating is harmless, since Snap knows a repeat, and believing is not.
		return &destination.Error{Kind: destination.Ambiguous, Code: answer.Status, Reason: "the answer broke off, or is not Snap's"}
	}
	switch gjson.GetBytes(answer.Body, "status").String() {
	case "VALID":
		return nil
	case "INVALID":
		return &destination.Error{Kind: destination.Rejected, Code: answer.Status, Reason: "Snap rejected the event"}
	default:
		return &destination.Error{Kind: destination.Ambiguous, Code: answer.Status, Reason: "the answer does not say what became of the events"}
	}
}
