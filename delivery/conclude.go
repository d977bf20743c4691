package delivery

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"kvit/config"
	"kvit/destination"
	"kvit/group"
	"kvit/store"
)

// stopReason is why an unclear answer ends a delivery.
const stopReason = "and the provider would count a repeat again (on_ambiguous: stop)"

// conclude is the one place that decides what an attempt's error means.
func (l *Lane) conclude(ctx context.Context, a Attempt, stored *store.Event, code int, err error) Verdict {
	if err == nil {
		return l.end(ctx, a, stored, ending{Outcome: Delivered, Code: code})
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return tryAgain(ctx.Err()) // kvit stops, or an operator cancels: that is no attempt
	}
	var failed *destination.Error
	if !errors.As(err, &failed) { // a panic
		failed = &destination.Error{Kind: destination.Ambiguous, Reason: err.Error()}
	}
	switch failed.Kind {
	case destination.Rejected:
		return l.end(ctx, a, stored, ending{Outcome: Rejected, Reason: failed.Error(), Code: failed.Code})
	case destination.Gone:
		l.disable(ctx, l.Name, failed.Error())
		return putBack(time.Minute)
	case destination.Throttled, destination.Unauthorized:
		return l.snooze(a, stored, failed)
	case destination.Ambiguous:
		if !l.RetryUnclear && contains(l.traits.CountedAgain, stored.Name) {
			return l.end(ctx, a, stored, ending{Outcome: Failed, Unclear: true, Code: failed.Code, Reason: failed.Error() + ", " + stopReason})
		}
	}
	return l.retryLater(ctx, a, stored, failed)
}

// snooze waits for as long as the provider asks, or until its credentials may have been mended; that
// is no attempt, and has no end but the event's age. The wait grows with each, so that one event
// that a provider turns away by itself does not hold up the others for long.
func (l *Lane) snooze(a Attempt, stored *store.Event, cause *destination.Error) Verdict {
	l.logger.Info("provider turned the event away; trying again later", "event_id", stored.ID,
		"kind", cause.Kind.String(), "reason", cause.Error(), "attempt", a.Number)
	if cause.RetryAfter > 0 {
		return putBack(throttle(cause.RetryAfter))
	}
	return putBack(l.notBefore(Backoff(a.Failures + a.PutBack)))
}

// RetryIn is how long an event waits after an attempt that failed, one of so many.
func (l *Lane) RetryIn(failures int) time.Duration { return l.notBefore(Backoff(failures)) }

// notBefore lengthens a wait beyond the time for which the destination is held, and a little more:
// events that have not been tried yet go first.
func (l *Lane) notBefore(wait time.Duration) time.Duration {
	held, _ := l.gate.heldFor()
	if held == 0 {
		return wait
	}
	return max(wait, held+jitter(5*time.Second))
}

// retryLater tries again, unless the event has been tried for as long as configured.
func (l *Lane) retryLater(ctx context.Context, a Attempt, stored *store.Event, cause *destination.Error) Verdict {
	if l.Now().Sub(a.First) < l.RetryFor {
		l.logger.Info("attempt did not deliver; trying again later", "event_id", stored.ID,
			"kind", cause.Kind.String(), "reason", cause.Error(), "attempt", a.Number)
		return tryAgain(errors.New(attemptText(cause)))
	}
	return l.end(ctx, a, stored, ending{
		Outcome: Failed, Code: cause.Code, Unclear: a.unclear() || mayHaveArrived(cause.Kind),
		Reason: fmt.Sprintf("no success within %s; last: %s", config.FormatDuration(l.RetryFor), cause),
	})
}

// throttle is a little more than the provider asks for, so that not all come back together.
func throttle(after time.Duration) time.Duration {
	return after + jitter(min(after/10+time.Second, time.Minute))
}

// postpone puts an event back that never got as far as the provider; that is no attempt.
func (l *Lane) postpone(ctx context.Context, what string, err error) Verdict {
	if ctx.Err() != nil {
		return tryAgain(ctx.Err())
	}
	if errors.Is(err, group.ErrPanic) {
		return tryAgain(err)
	}
	l.logger.Warn("delivery is postponed", "while", what, "problem", store.Describe(err))
	return putBack(jitter(5 * time.Second))
}

// backoffs follow the advice of Standard Webhooks 1.0, but faster at first and at most 6 h apart,
// so that a provider's night is over for its events soon after it is over for the provider.
var backoffs = []time.Duration{
	5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute,
	time.Hour, 2 * time.Hour, 4 * time.Hour, 6 * time.Hour,
}

// Backoff is how long to wait after so many failures.
func Backoff(failures int) time.Duration {
	return jitter(backoffs[min(failures, len(backoffs)-1)])
}

// jitter spreads a wait over 80 to 120 % of it, so that what failed together does not come back
// together.
func jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.8 + 0.4*rand.Float64()))
}
