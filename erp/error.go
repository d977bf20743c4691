package erp

import (
	"errors"
	"fmt"
	"time"
)

// ErrorKind says why an ERP could not be asked.
type ErrorKind int

// The kinds. What follows from each is decided by the watcher, once for all connectors.
const (
	// Throttled was turned away for now; RetryAfter says for how long, 0 if the ERP does not.
	Throttled ErrorKind = iota + 1
	// Unauthorized means that the credentials are wrong, expired, or have no right to read.
	Unauthorized
	// Misconfigured means that the address, company or a name is wrong: what is asked for is not there.
	Misconfigured
	// Unproven means that an answer came, and nothing in it proves that it is of the right company.
	Unproven
	// Malformed is an answer that cannot be read: HTML with status 200, a page that was read before, a next link to elsewhere.
	Malformed
	// Refused means that the ERP does not take the question as it is.
	Refused
	// TooMuch means that the ERP could not answer so much in time: ask for less.
	TooMuch
	// Unreachable means that no answer came, or that the ERP had an error of its own.
	Unreachable
	// Spent means that the day's calls are used up.
	Spent
)

// String is the kind as logs and metrics show it.
func (k ErrorKind) String() string {
	names := [...]string{"none", "throttled", "unauthorized", "misconfigured", "unproven", "malformed", "refused", "too_much", "unreachable", "spent"}
	if k < 0 || int(k) >= len(names) {
		return fmt.Sprintf("kind(%d)", int(k))
	}
	return names[k]
}

// Error is a question that got no answer of use. It ends in kvit.erp_source and logs, so Reason is kvit's own wording:
// never the ERP's text, which may hold what was asked or found.
type Error struct {
	Kind       ErrorKind
	Code       int    // HTTP status, 0 if there was no answer
	Reason     string // as in: the answer is not JSON
	RetryAfter time.Duration
}

// Error gives the reason, with the response code if there is one.
func (e *Error) Error() string {
	if e.Code == 0 {
		return e.Reason
	}
	return fmt.Sprintf("%s (HTTP %d)", e.Reason, e.Code)
}

// Fail makes an Error without a response code.
func Fail(kind ErrorKind, format string, args ...any) *Error {
	return &Error{Kind: kind, Reason: fmt.Sprintf(format, args...)}
}

// KindOf is the kind of an error; 0 if it is no *Error.
func KindOf(err error) ErrorKind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return 0
}
