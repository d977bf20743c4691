// Package jobs does kvit's work as River jobs, one file a kind: it delivers events, marks orders
// that the ERP has, erases what is due and tidies up. It translates between River and the rooms: how events
// are delivered and orders erased stands in delivery and erasure. Job rows hold ids alone, and errors in kvit's
// own wording: operators read them, and erasure does not reach them.
package jobs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"runtime/debug"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"kvit/group"
)

// errArgs answers a job whose args somebody wrote by hand. It does not repeat them.
var errArgs = errors.New("job args are not those of this kind")

// decodeArgs reads args strictly. Args that do not fit are no error to River, which would try such
// a job again for days: the worker cancels it.
func decodeArgs(data []byte, args any) (ok bool) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	return decoder.Decode(args) == nil
}

// cancelUnknown ends jobs of a kind that kvit does not know, which River would retry for days.
type cancelUnknown struct {
	logger *slog.Logger
}

// HandleError cancels jobs of an unknown kind.
func (h cancelUnknown) HandleError(_ context.Context, job *rivertype.JobRow, err error) *river.ErrorHandlerResult {
	var unknown *rivertype.UnknownJobKindError
	if !errors.As(err, &unknown) {
		return nil
	}
	h.logger.Warn("cancelled a job of an unknown kind", "job_id", job.ID, "queue", job.Queue)
	return &river.ErrorHandlerResult{SetCancelled: true}
}

// HandlePanic leaves it to River's retry: kvit's workers catch their own panics.
func (h cancelUnknown) HandlePanic(context.Context, *rivertype.JobRow, any, string) *river.ErrorHandlerResult {
	return nil
}

// catch turns a panic into group.ErrPanic. The log gets the place, not the value.
func catch(logger *slog.Logger, jobID int64, err *error) {
	if recover() == nil {
		return
	}
	logger.Error("job panicked", "job_id", jobID, "stack", string(debug.Stack()))
	*err = group.ErrPanic
}

// rescued is the text of the error that River notes when it rescues the job of a crashed process.
const rescued = "Stuck job rescued by JobRescuer"

// failures counts the attempts that failed by themselves: a crash of the process is not the
// provider's fault, and must not lengthen the wait.
func failures(job *rivertype.JobRow) int {
	n := 0
	for _, e := range job.Errors {
		if e.Error != rescued {
			n++
		}
	}
	return n
}
