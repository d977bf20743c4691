package destination

import (
	"context"
	"net/http"
	"time"
)

// Redaction asks a provider to erase what it has about one person.
type Redaction struct {
	ID          string    // the same at every attempt, so that a repeat is recognised
	RequestedAt time.Time // UTC; the same at every attempt
	Email       string    // empty: not known, as with the following
	CustomerID  string
	Phone       string
	ClientIDs   []string // client.ga_client_id of the person's events
	OrderRefs   []string // the shop's permanent order references
}

// Redactor is a destination whose provider can be told that a person asks for erasure.
type Redactor interface {
	// CanRedact tells whether what a Redact needs is configured. It never changes.
	CanRedact() bool

	// Redact tries once to tell the provider. It returns the response code (HTTP status, 0 if there was
	// none) and nil when the provider has taken the request; what it promises by that is in the
	// destination's page. Otherwise the error is an *Error as Send returns it, Rejected too if nothing is
	// known by which the provider could find the person. Unauthorized speaks of the credentials for
	// erasing, which need not be those for sending. Asking again is harmless.
	Redact(ctx context.Context, redaction Redaction) (code int, err error)
}

// RedactorOf returns the destination as a Redactor, and false if its provider has no such call, or the
// configuration lacks what it needs.
func RedactorOf(d Destination) (Redactor, bool) {
	redactor, ok := d.(Redactor)
	if !ok || !redactor.CanRedact() {
		return nil, false
	}
	return redactor, true
}

// JudgeRedaction is Judge for the answer to a Redaction.
func JudgeRedaction(status int, header http.Header) *Error {
	judged := Judge(status, header)
	if judged != nil && judged.Kind == Rejected {
		judged.Reason = "the provider rejected the request to erase"
	}
	return judged
}
