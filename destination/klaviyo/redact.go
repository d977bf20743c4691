package klaviyo

import (
	"context"
	"net/http"

	"kvit/destination"
)

var _ destination.Redactor = (*Klaviyo)(nil)

// deletion is a job that deletes every profile which the one identifier in it fits
// (https://github.com/klaviyo/openapi/blob/main/openapi/stable/apis/request_profile_deletion.json).
type deletion struct {
	Type       string             `json:"type"`
	Attributes deletionAttributes `json:"attributes"`
}

type deletionAttributes struct {
	Profile document[resource[identifier]] `json:"profile"`
}

type identifier struct {
	Email       string `json:"email,omitempty"`
	PhoneNumber string `json:"phone_number,omitempty"`
}

// CanRedact is true: the call needs the key alone, with the scope data-privacy:write.
func (k *Klaviyo) CanRedact() bool { return true }

// Redact asks for the deletion of the profiles with the e-mail address, or the phone number if there is no
// address. Any 2xx, 202 in practice, says that Klaviyo will delete them.
func (k *Klaviyo) Redact(ctx context.Context, r destination.Redaction) (int, error) {
	who := identifier{Email: r.Email}
	if r.Email == "" {
		who.PhoneNumber = r.Phone // Klaviyo refuses two identifiers
	}
	if who == (identifier{}) {
		return 0, destination.Reject("customer.email: is required to have a profile deleted, or customer.phone")
	}
	answer, failed := k.do(ctx, http.MethodPost, "/api/data-privacy-deletion-jobs", deletionJob(who))
	if failed != nil {
		return 0, failed
	}
	if judged := judgeDeletion(answer); judged != nil {
		return answer.Status, judged
	}
	return answer.Status, nil
}

func deletionJob(who identifier) []byte {
	return destination.JSON(document[deletion]{deletion{
		Type:       "data-privacy-deletion-job",
		Attributes: deletionAttributes{Profile: document[resource[identifier]]{resource[identifier]{Type: "profile", Attributes: who}}},
	}})
}

// judgeDeletion takes a 404 for final: whether it speaks of the address or of a profile that is not there,
// which is not documented, asking again changes nothing, and somebody has to look.
func judgeDeletion(answer destination.Answer) *destination.Error {
	judged := read(answer, destination.JudgeRedaction(answer.Status, answer.Header))
	if judged != nil && judged.Code == http.StatusNotFound {
		judged.Kind, judged.Reason = destination.Rejected, "Klaviyo knows no such profile or address"
	}
	return judged
}
