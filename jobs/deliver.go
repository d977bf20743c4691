package jobs

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"github.com/tidwall/gjson"

	"kvit/delivery"
)

// DeliverArgs name one event and one destination. The trigger on kvit.tracking_event writes them.
type DeliverArgs struct {
	EventID     int64  `json:"event_id"`
	Destination string `json:"destination"`

	unfit bool
}

// Kind is stored with the job: never rename it.
func (DeliverArgs) Kind() string { return "deliver_event" }

// UnmarshalJSON notes args that do not fit instead of failing. It reads what the trigger writes by
// itself: encoding/json took 9 of the 150 µs that an event costs kvit.
func (a *DeliverArgs) UnmarshalJSON(data []byte) error {
	members := 0
	gjson.ParseBytes(data).ForEach(func(name, value gjson.Result) bool {
		members++
		switch {
		case name.Str == "event_id" && value.Type == gjson.Number:
			a.EventID = value.Int()
		case name.Str == "destination" && value.Type == gjson.String:
			a.Destination = value.Str
		}
		return true
	})
	a.unfit = members != 2 || a.EventID <= 0 || a.Destination == ""
	return nil
}

// deliverWorker delivers events, each destination in a lane of its own.
type deliverWorker struct {
	river.WorkerDefaults[DeliverArgs]
	lanes   map[string]*delivery.Lane
	timeout time.Duration
	relay
	logger *slog.Logger
}

// Work delivers one event to one destination, or says when to try again.
func (w *deliverWorker) Work(ctx context.Context, job *river.Job[DeliverArgs]) (err error) {
	defer catch(w.logger, job.ID, &err)
	event := w.loaded.take(job.ID)
	if job.Args.unfit {
		return river.JobCancel(errArgs)
	}
	lane, ok := w.lanes[job.Args.Destination]
	if !ok {
		return river.JobCancel(errors.New("destination is not configured"))
	}
	attempt := attemptOf(job)
	attempt.Event = event
	verdict := lane.Work(ctx, attempt)
	if verdict.JobEnded {
		w.ended.add(job.ID)
	}
	return toRiver(verdict)
}

// Timeout bounds one attempt: load, admit, send and settle.
func (w *deliverWorker) Timeout(*river.Job[DeliverArgs]) time.Duration { return w.timeout }

// NextRetry backs off with the failures so far, and beyond the time for which the destination is held.
func (w *deliverWorker) NextRetry(job *river.Job[DeliverArgs]) time.Time {
	lane, ok := w.lanes[job.Args.Destination]
	if !ok {
		return time.Now().Add(delivery.Backoff(failures(job.JobRow)))
	}
	return time.Now().Add(lane.RetryIn(failures(job.JobRow)))
}

// toRiver says to River what became of an attempt.
func toRiver(v delivery.Verdict) error {
	switch v.Kind {
	case delivery.PutBack:
		return river.JobSnooze(v.Wait)
	case delivery.GivenUp:
		return river.JobCancel(v.Err)
	default:
		return v.Err // nil completes the job, anything else retries it
	}
}

// attemptOf reads what River has noted about the job.
func attemptOf(job *river.Job[DeliverArgs]) delivery.Attempt {
	return delivery.Attempt{
		EventID: job.Args.EventID, JobID: job.ID, Number: job.Attempt, First: firstAttempt(job.JobRow), Unclear: firstUnclear(job.JobRow),
		Failures: failures(job.JobRow), PutBack: snoozes(job.JobRow),
	}
}

// firstAttempt is when the job was first worked on.
func firstAttempt(job *rivertype.JobRow) time.Time {
	first := time.Now()
	if job.AttemptedAt != nil {
		first = *job.AttemptedAt
	}
	if len(job.Errors) > 0 && noted(job, job.Errors[0]).Before(first) {
		first = noted(job, job.Errors[0])
	}
	return first
}

// noted is when an attempt failed. River writes that by the clock of the process, which may have been wrong; that of the
// job itself is the database's.
func noted(job *rivertype.JobRow, e rivertype.AttemptError) time.Time {
	if e.At.Before(job.CreatedAt) {
		return job.CreatedAt
	}
	return e.At
}

// firstUnclear is when the provider may first have counted the event; zero: it cannot have. A crash is
// such a time: nobody knows how far the process had come.
func firstUnclear(job *rivertype.JobRow) time.Time {
	for _, e := range job.Errors {
		if delivery.IsUnclear(e.Error) {
			return noted(job, e)
		}
	}
	return time.Time{}
}

// snoozes counts how often the job was put back without an attempt, as River notes it.
func snoozes(job *rivertype.JobRow) int {
	return int(gjson.GetBytes(job.Metadata, "snoozes").Int()) // what is not there counts as none
}
