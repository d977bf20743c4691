package webhook

import (
	"context"
	"slices"
	"time"

	"kvit/destination"
)

var _ destination.Redactor = (*Webhook)(nil)

// RedactedType is the type of the webhook for a person who asks for erasure. No event of the shop's has it.
const RedactedType = "customer.redacted"

type redacted struct {
	Type      string       `json:"type"`
	Timestamp string       `json:"timestamp"`
	Data      redactedData `json:"data"`
}

type redactedData struct {
	Customer  *redactedCustomer `json:"customer,omitempty"`
	ClientIDs []string          `json:"ga_client_ids,omitempty"`
	OrderRefs []string          `json:"order_refs,omitempty"`
}

type redactedCustomer struct {
	ID    string `json:"id,omitempty"`
	Email string `json:"email,omitempty"`
	Phone string `json:"phone,omitempty"`
}

// CanRedact is true: a receiver is told at the same address as of everything else.
func (w *Webhook) CanRedact() bool { return true }

// Redact posts the redaction, signed as events are. Any 2xx says that the receiver has taken it.
func (w *Webhook) Redact(ctx context.Context, r destination.Redaction) (int, error) {
	data := redactedData{ClientIDs: r.ClientIDs, OrderRefs: r.OrderRefs}
	if who := (redactedCustomer{ID: r.CustomerID, Email: r.Email, Phone: r.Phone}); who != (redactedCustomer{}) {
		data.Customer = &who
	}
	if data.Customer == nil && len(slices.Concat(r.ClientIDs, r.OrderRefs)) == 0 {
		return 0, destination.Reject("customer: nothing is known by which the receiver could find the person")
	}
	answer, failed := w.post(ctx, r.ID, redactedBody(r.RequestedAt, data))
	if failed != nil {
		return 0, failed
	}
	if judged := judge(answer, destination.JudgeRedaction); judged != nil {
		return answer.Status, judged
	}
	return answer.Status, nil
}

// redactedBody is the JSON that is posted for a redaction; what is not known is left out:
//
//	{"type":"customer.redacted","timestamp":"2025-04-05T06:07:08Z","data":{"customer":{"id":"cust-1042",
//	 "email":"jane.doe@example.com"},"order_refs":["E100042"]}}
func redactedBody(requestedAt time.Time, data redactedData) []byte {
	return destination.JSON(redacted{Type: RedactedType, Timestamp: requestedAt.UTC().Format(time.RFC3339Nano), Data: data})
}
