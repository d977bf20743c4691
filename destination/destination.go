// Package destination is the contract that all tracking providers share: the event they are given,
// the one attempt they make, and the words in which they say what happened. Each provider has a
// package of its own below this one.
//
// Who does what: kvit decides whether an event is sent (consent, age, order, receipt) and when it
// is tried again. An adapter builds one request from the stored event alone, so that every attempt
// has the same body, sends it once, and reports. It keeps no state between events and is safe for
// concurrent use.
//
// The structs of the payload describe it once, in their tags. To let shops write one more member, such
// as client.gclid, add a line to its struct and run go generate ./destination: the reader follows, and
// docs/event.schema.json and the table in docs/shop.md are written anew.
//
//	GClID string `member:"gclid" about:"Google Ads: the URL parameter gclid"`
package destination

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Event is a stored event with its payload already validated.
type Event struct {
	Key        string    // permanent id; what a provider deduplicates on
	Name       string    // one of Names, or "custom:<name>"
	OccurredAt time.Time // UTC
	OrderRef   string    // the shop's permanent order reference; empty for events without an order
	Payload    Payload   // empty where Traits.Raw says that it is not used
	Raw        []byte    // the payload as stored: a JSON object
	Consent    []string  // the purposes that the visitor has accepted
}

// Accepts tells whether the visitor has accepted a purpose, "marketing" for instance.
func (e Event) Accepts(purpose string) bool { return slices.Contains(e.Consent, purpose) }

// Reference is the order's: order_ref, else order.ref; empty if there is neither.
func (e Event) Reference() string {
	if e.OrderRef == "" && e.Payload.Order != nil {
		return e.Payload.Order.Ref
	}
	return e.OrderRef
}

// Destination sends events to one provider.
type Destination interface {
	// Send tries once to deliver the event. It returns the provider's response code (HTTP status,
	// 0 if there was none) and nil when the provider has taken the event; otherwise the error is
	// an *Error. Sending the same event again must not count it twice at the provider, except for
	// the events in Traits.CountedAgain.
	Send(ctx context.Context, event Event) (code int, err error)

	// Traits tells what kvit has to know before it sends. It never changes.
	Traits() Traits
}

// Traits are what kvit has to know about a destination.
type Traits struct {
	// Events are the names this destination can use; "custom:*" stands for every custom event.
	Events []string
	// States are those of Events by which a later call overwrites what an earlier one said (orders,
	// opt-ins): they are sent in order, and an older state never after a newer one.
	States []string
	// Adjusts are those of States that only change what an earlier state of the same thing did, and that the
	// provider would take for something new without it: they are rejected where none was delivered.
	Adjusts []string
	// MaxAge is how long after it occurred the provider takes an event; 0: no limit is known.
	MaxAge time.Duration
	// Window is how long after the first the provider recognises a repeat; 0: no end is known.
	Window time.Duration
	// CountedAgain are those of Events of which the provider counts a repeat as one more.
	CountedAgain []string
	// FindsByClientID tells that the provider of a Redactor finds what it has of a person by
	// Redaction.ClientIDs: of a browser whose id is not known any more, it keeps what it has.
	FindsByClientID bool
	// Raw tells that Event.Payload is not used: it stays empty, since the payload is passed on as it is stored.
	Raw bool
	// Batch is how much one request of a Batcher may hold.
	Batch Limits
}

// Prober is a destination whose provider has a call that proves the credentials and counts nothing.
type Prober interface {
	// Prove makes that call, and says in a few words what it has proved and what not.
	Prove(ctx context.Context) (proved string, err error)
}

// Reacher is a destination without a Prober's call, of which no more can be tried than a connection.
type Reacher interface {
	// Reach connects to where the events go and sends nothing.
	Reach(ctx context.Context) error
}

// Tester is a destination whose provider can be told that an event is only a test. Others are
// tested with an event that its names and addresses mark as one.
type Tester interface {
	// SendTest is Send, with the provider's mark of a test.
	SendTest(ctx context.Context, event Event) (code int, err error)
}

// Kind says what became of an attempt that did not deliver.
type Kind int

// The kinds. What follows from each is decided by the caller, once for all destinations.
const (
	// Rejected can never be accepted, however often it is sent.
	Rejected Kind = iota + 1
	// Throttled was turned away for now; RetryAfter says for how long, 0 if the provider does not.
	Throttled
	// Unauthorized means that the credentials are wrong.
	Unauthorized
	// Misconfigured means that the address or the settings are wrong, a redirect for instance.
	Misconfigured
	// Gone means that the receiver wants no more events at all (HTTP 410).
	Gone
	// Unreachable never got to the provider: certainly not counted there.
	Unreachable
	// Ambiguous may have been counted: the request was written, and no clear answer came.
	Ambiguous
)

// String is the kind as logs and metrics show it.
func (k Kind) String() string {
	switch k {
	case Rejected:
		return "rejected"
	case Throttled:
		return "throttled"
	case Unauthorized:
		return "unauthorized"
	case Misconfigured:
		return "misconfigured"
	case Gone:
		return "gone"
	case Unreachable:
		return "unreachable"
	case Ambiguous:
		return "ambiguous"
	default:
		return fmt.Sprintf("kind(%d)", int(k))
	}
}

// Error is an attempt that did not deliver. It ends in job rows, receipts and logs, so Reason is
// kvit's own wording: never the provider's text, which may echo what was sent to it.
type Error struct {
	Kind       Kind
	Code       int // HTTP status, 0 if there was no answer
	Reason     string
	RetryAfter time.Duration // Throttled only
}

// Error gives the reason, with the response code if there is one.
func (e *Error) Error() string {
	if e.Code == 0 {
		return e.Reason
	}
	return fmt.Sprintf("%s (HTTP %d)", e.Reason, e.Code)
}

// Reject returns the error for an event that the destination can never take.
func Reject(format string, args ...any) *Error {
	return &Error{Kind: Rejected, Reason: fmt.Sprintf(format, args...)}
}
