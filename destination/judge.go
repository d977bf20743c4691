package destination

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxRetryAfter is the longest wait that a provider can ask for.
const maxRetryAfter = 24 * time.Hour

// Judge says what an HTTP status means: nil for 2xx, else the Error. An adapter whose provider means
// something else by a status looks at that status first (410 of a webhook, 409 of SPREAD).
func Judge(status int, header http.Header) *Error {
	kind, reason := verdict(status, header.Get("Retry-After") != "")
	if kind == 0 {
		return nil
	}
	judged := &Error{Kind: kind, Code: status, Reason: reason}
	if kind == Throttled {
		judged.RetryAfter = retryAfter(header.Get("Retry-After"), time.Now())
	}
	return judged
}

func verdict(status int, saysWhen bool) (Kind, string) {
	switch {
	case 200 <= status && status <= 299:
		return 0, ""
	case status < 400:
		return Misconfigured, "the provider answered with a redirect; set the address it leads to"
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return Unauthorized, "the provider did not accept the credentials"
	case status == http.StatusRequestTimeout:
		return Ambiguous, "the provider did not get the whole request in time"
	case status == http.StatusTooEarly, status == http.StatusTooManyRequests:
		return Throttled, "the provider asked to slow down"
	case status == http.StatusServiceUnavailable && saysWhen:
		return Throttled, "the provider is not available for now"
	case status < 500:
		return Rejected, "the provider rejected the event"
	default:
		return Ambiguous, "the provider had an error of its own"
	}
}

// retryAfter reads the header, seconds or an HTTP date (RFC 9110, 10.2.3), as the time to wait from
// now; 0 if it is absent, past or not understood.
func retryAfter(value string, now time.Time) time.Duration {
	value = strings.TrimSpace(value)
	seconds, err := strconv.ParseUint(value, 10, 32)
	if errors.Is(err, strconv.ErrRange) {
		return maxRetryAfter
	}
	if err == nil {
		return min(time.Duration(seconds)*time.Second, maxRetryAfter)
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), maxRetryAfter)
}
