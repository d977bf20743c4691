package erasure

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"kvit/destination"
	"kvit/store"
)

const (
	tellTimeout     = 30 * time.Second // of one attempt to tell one provider
	underWayTimeout = time.Minute      // until deliveries that were being made have ended
	underWayAsk     = 200 * time.Millisecond
)

// Recipient is a destination of the configuration, as far as telling its provider of a request goes.
type Recipient struct {
	Name    string
	Adapter func() (destination.Destination, error) // makes it of its configuration
}

// teller tells providers that a person wants to be forgotten. It knows what the tasks must not hold.
type teller struct {
	recipients []Recipient
	db         store.DB
	subject    store.Subject
	clientIDs  []string // that are still known
	eventIDs   []int64
}

// ToldTask is what became of one task.
type ToldTask struct {
	store.Task
	Told   bool `json:"told"` // the provider has been told
	failed bool // an attempt was made in vain
}

// tell makes one attempt at each task. Tasks that need an operator stay open.
func (t *teller) tell(ctx context.Context, tasks []store.Task) ([]ToldTask, error) {
	told := []ToldTask{}
	ended, err := t.wait(ctx, len(tasks) > 0)
	if err != nil {
		return told, err
	}
	for _, task := range tasks {
		result := t.attempt(ctx, task, ended)
		if err := t.note(ctx, result); err != nil {
			return told, err
		}
		if result.problem != "" {
			task.Problem = &result.problem
		}
		told = append(told, ToldTask{Task: task, Told: result.problem == "", failed: result.attempted && result.problem != ""})
	}
	return told, nil
}

// wait lets deliveries that are being made end: a provider that is told before would get the event after.
func (t *teller) wait(ctx context.Context, needed bool) (ended bool, err error) {
	deadline := time.Now().Add(underWayTimeout)
	for needed {
		underWay, err := store.EventsUnderWay(ctx, t.db, t.eventIDs)
		if err != nil || !underWay {
			return !underWay, err
		}
		if time.Now().After(deadline) {
			return false, nil
		}
		select {
		case <-time.After(underWayAsk):
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
	return true, nil
}

// tried is how an attempt went.
type tried struct {
	task      store.Task
	attempted bool
	code      int
	problem   string // empty: the provider has been told
}

func (t *teller) attempt(ctx context.Context, task store.Task, ended bool) tried {
	result := tried{task: task}
	i := slices.IndexFunc(t.recipients, func(r Recipient) bool { return r.Name == task.Destination })
	if i < 0 {
		result.problem = "the configuration does not name it any more: ask the provider in the way it offers"
		return result
	}
	adapter, err := t.recipients[i].Adapter()
	if err != nil {
		result.problem = "the destination cannot be made of its configuration"
		return result
	}
	redactor, ok := destination.RedactorOf(adapter)
	if !ok {
		result.problem = "kvit has no call for it, or the configuration lacks what it needs: ask the provider in the way it offers"
		return result
	}
	result.attempted = true
	if !ended {
		result.problem = "an event was still being delivered: run the request again"
		return result
	}
	result.code, result.problem = t.redact(ctx, redactor, task)
	if lost := task.ClientIDs - len(t.clientIDs); result.problem == "" && lost > 0 && adapter.Traits().FindsByClientID {
		result.problem = fmt.Sprintf("told of what is still known, but %d client ids went with the events at an earlier attempt", lost)
	}
	return result
}

func (t *teller) redact(ctx context.Context, redactor destination.Redactor, task store.Task) (code int, problem string) {
	ctx, cancel := context.WithTimeout(ctx, tellTimeout)
	defer cancel()
	code, err := redactor.Redact(ctx, destination.Redaction{
		// A task to which something was added says something new.
		ID: fmt.Sprintf("kvit.erasure_task:%d:%d", task.ID, task.AskedAt.UnixMicro()), RequestedAt: task.AskedAt.UTC(),
		Email: t.subject.Email, CustomerID: t.subject.CustomerID, ClientIDs: t.clientIDs, OrderRefs: task.OrderRefs,
	})
	var judged *destination.Error
	switch {
	case err == nil:
		return code, ""
	case errors.As(err, &judged):
		return code, judged.Error() // in kvit's own words
	default:
		return code, "the provider could not be told"
	}
}

func (t *teller) note(ctx context.Context, r tried) error {
	if r.problem != "" {
		return store.NoteProblem(ctx, t.db, r.task.ID, r.problem, r.attempted)
	}
	note := "told by kvit"
	if r.code != 0 {
		note = fmt.Sprintf("told by kvit (HTTP %d)", r.code)
	}
	err := store.CloseTask(ctx, t.db, store.Closing{ID: r.task.ID, By: "kvit", Note: note, Told: true})
	if errors.Is(err, store.ErrClosed) { // by somebody else, meanwhile
		return nil
	}
	return err
}
