package trustpilot

import (
	"context"
	"net/http"

	"kvit/destination"
)

// deletion names those of whom Trustpilot forgets the invitations.
type deletion struct {
	Emails []string `json:"customerEmails"`
}

// CanRedact is true: the call needs what inviting needs, and a user who is an admin or a manager.
func (t *Trustpilot) CanRedact() bool { return true }

// Redact has Trustpilot delete what it has of the invitations to an e-mail address, which cannot be undone. Any 2xx says
// that it has taken the request.
func (t *Trustpilot) Redact(ctx context.Context, r destination.Redaction) (int, error) {
	if r.Email == "" {
		return 0, destination.Reject("customer.email: is required to have invitations deleted")
	}
	answer, failed := t.do(ctx, http.MethodPost, "/invitation-data/delete", destination.JSON(deletion{[]string{r.Email}}))
	if failed != nil {
		return failed.Code, failed
	}
	if judged := judge(answer, destination.JudgeRedaction(answer.Status, answer.Header)); judged != nil {
		return answer.Status, judged
	}
	return answer.Status, nil
}
