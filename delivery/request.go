package delivery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"kvit/destination"
	"kvit/group"
	"kvit/store"
)

// request makes a request with the letters, and answers each of them.
func (l *Lane) request(ctx context.Context, letters []*letter) {
	letters = l.begin(ctx, letters)
	switch {
	case len(letters) == 0:
	case l.batcher == nil:
		l.requestOne(ctx, letters)
	default:
		l.requestBatch(ctx, letters)
	}
}

func (l *Lane) requestOne(ctx context.Context, letters []*letter) {
	start := time.Now()
	ctx, step := l.traceRequest(ctx, letters)
	code, err := l.Destination.Send(ctx, letters[0].event)
	failed := l.asError(err)
	step.end(result(failed))
	l.metrics.request(l.Name, result(failed), 1, time.Since(start))
	l.gate.report(failed)
	l.answer(letters, []destination.Result{{Code: code, Err: failed}})
}

// requestBatch lets every letter have its own outcome.
func (l *Lane) requestBatch(ctx context.Context, letters []*letter) {
	items := make([]destination.Encoded, len(letters))
	for i, letter := range letters {
		items[i] = letter.encoded
	}
	start := time.Now()
	traced, step := l.traceRequest(ctx, letters) // the halves of a refused one are no part of it
	results, failed := l.batcher.SendBatch(traced, items)
	if failed == nil && len(results) != len(items) {
		failed = l.asError(fmt.Errorf("%d results for %d events", len(results), len(items)))
	}
	step.end(batchResult(results, failed))
	l.metrics.request(l.Name, batchResult(results, failed), len(items), time.Since(start))
	l.gate.report(failed)
	switch {
	case failed == nil:
		l.sender.grow(len(letters))
		l.answer(letters, results)
	case failed.Kind == destination.Rejected && len(letters) > 1:
		l.divide(ctx, letters)
	default:
		l.answer(letters, slices.Repeat([]destination.Result{{Code: failed.Code, Err: failed}}, len(letters)))
	}
}

// divide sends the halves of a batch that was refused for one event's sake, until that event stands
// alone. Where the attempts' time does not last for that, it goes on in smaller batches later.
func (l *Lane) divide(ctx context.Context, letters []*letter) {
	middle := len(letters) / 2
	for _, half := range [][]*letter{letters[:middle], letters[middle:]} {
		if l.timeFor(half) && l.gate.pace(ctx) {
			l.requestBatch(ctx, half)
			continue
		}
		l.sender.shrink(len(half))
		l.release(half)
		for _, letter := range half {
			letter.reply(reply{fate: divided})
		}
	}
}

// timeFor tells whether the jobs' time lasts for one more request.
func (l *Lane) timeFor(letters []*letter) bool {
	for _, letter := range letters {
		if deadline, ok := letter.ctx.Deadline(); ok && time.Until(deadline) < l.timeout/2 {
			return false
		}
	}
	return true
}

// begin notes the attempts at those events of which the provider would count a repeat again, and
// answers those that were noted before: a process crashed between request and receipt, and nobody
// knows whether the event arrived.
func (l *Lane) begin(ctx context.Context, letters []*letter) []*letter {
	careful := carefulIDs(letters)
	if len(careful) == 0 {
		return letters
	}
	fresh, err := store.BeginAttempts(ctx, l.db, l.Name, careful)
	if err != nil {
		l.logger.Warn("attempts could not be noted; trying again later", "problem", store.Describe(err))
	}
	return slices.DeleteFunc(slices.Clone(letters), func(letter *letter) bool {
		switch {
		case !letter.careful, slices.Contains(fresh, letter.eventID):
			return false
		case err != nil:
			letter.reply(reply{fate: held, wait: 5 * time.Second})
		default:
			letter.reply(reply{fate: begun})
		}
		return true
	})
}

func carefulIDs(letters []*letter) []int64 {
	var ids []int64
	for _, letter := range letters {
		if letter.careful {
			ids = append(ids, letter.eventID)
		}
	}
	return ids
}

// answer tells each letter its result. What was certainly not taken is no longer an attempt that has
// begun; that is noted first, for the job may be back at once.
func (l *Lane) answer(letters []*letter, results []destination.Result) {
	var untaken []*letter
	for i, result := range results {
		if result.Err != nil && !mayHaveArrived(result.Err.Kind) {
			untaken = append(untaken, letters[i])
		}
	}
	l.release(untaken)
	for i, result := range results {
		r := reply{code: result.Code}
		if result.Err != nil { // a nil *destination.Error is no nil error
			r.err = result.Err
		}
		letters[i].reply(r)
	}
}

// release takes back what begin has noted. If that fails the events are not sent again, which is
// the safe side of what on_ambiguous: stop asks for.
func (l *Lane) release(letters []*letter) {
	careful := carefulIDs(letters)
	if len(careful) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), group.Timeout)
	defer cancel()
	if err := store.EndAttempts(ctx, l.db, l.Name, careful); err != nil {
		l.logger.Error("attempts could not be taken back: their events will not be sent again", "count", len(careful), "problem", store.Describe(err))
	}
}

// mayHaveArrived tells whether the provider may have counted the event although it did not say so.
func mayHaveArrived(kind destination.Kind) bool {
	switch kind {
	case destination.Rejected, destination.Throttled, destination.Unauthorized, destination.Misconfigured, destination.Gone, destination.Unreachable:
		return false
	default:
		return true
	}
}

// asError is the error as the contract has it; another one is a mistake in the adapter, and its text
// is not used.
func (l *Lane) asError(err error) *destination.Error {
	var failed *destination.Error
	if err == nil || errors.As(err, &failed) {
		return failed
	}
	l.logger.Error("destination broke its contract", "error_type", fmt.Sprintf("%T", err))
	return &destination.Error{Kind: destination.Ambiguous, Reason: "internal error"}
}

// result is a request as the metric labels it.
func result(failed *destination.Error) string {
	if failed == nil {
		return Delivered
	}
	return failed.Kind.String()
}

// batchResult is "partial" where some of the events were taken and others not.
func batchResult(results []destination.Result, failed *destination.Error) string {
	if failed != nil || len(results) == 0 {
		return result(failed)
	}
	first := result(results[0].Err)
	for _, r := range results[1:] {
		if result(r.Err) != first {
			return "partial"
		}
	}
	return first
}

// contains tells whether a list of Traits names the event; "custom:*" is every custom one.
func contains(list []string, event string) bool {
	return slices.Contains(list, event) ||
		strings.HasPrefix(event, destination.CustomPrefix) && slices.Contains(list, destination.AnyCustom)
}
