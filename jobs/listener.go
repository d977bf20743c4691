package jobs

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"kvit/store"
)

// carefulDriver is River's driver with a listener that believes tables instead of notifications: every role that may
// connect may send these, while the tables are kvit's.
type carefulDriver struct {
	*riverpgxv5.Driver
	pool   *pgxpool.Pool
	waker  *waker
	logger *slog.Logger
}

func newDriver(pool *pgxpool.Pool, w *waker, logger *slog.Logger) carefulDriver {
	return carefulDriver{Driver: riverpgxv5.New(pool), pool: pool, waker: w, logger: logger}
}

// GetListener returns the careful listener.
func (d carefulDriver) GetListener(params *riverdriver.GetListenenerParams) riverdriver.Listener {
	return &carefulListener{Listener: d.Driver.GetListener(params), db: d.pool, waker: d.waker, logger: d.logger}
}

// carefulListener takes a notification for no more than a hint to look. River waits for one at a time.
type carefulListener struct {
	riverdriver.Listener
	db     store.DB
	waker  *waker
	logger *slog.Logger

	believed []*riverdriver.Notification // to be handed out, the oldest first
	ignored  int                         // since warnedAt
	warnedAt time.Time
}

const (
	lookPatience = 5 * time.Second // for a look at a table
	warnEvery    = time.Minute
)

// WaitForNotification returns the next notification that can be believed, or one of the waker's.
func (l *carefulListener) WaitForNotification(ctx context.Context) (*riverdriver.Notification, error) {
	for len(l.believed) == 0 {
		heard, err := l.waitUntil(ctx, l.waker.next)
		switch {
		case err != nil:
			return nil, err
		case heard == nil:
			l.look(ctx)
		default:
			l.consider(ctx, heard)
		}
	}
	next := l.believed[0]
	l.believed = l.believed[1:]
	return next, nil
}

// waitUntil waits for a notification for so long; nil: none came.
func (l *carefulListener) waitUntil(ctx context.Context, at time.Time) (*riverdriver.Notification, error) {
	if !at.After(time.Now()) && ctx.Err() == nil {
		return nil, nil
	}
	wait, cancel := context.WithDeadline(ctx, at)
	defer cancel()
	heard, err := l.Listener.WaitForNotification(wait)
	if err != nil && wait.Err() != nil && ctx.Err() == nil {
		return nil, nil // it is time to look
	}
	return heard, err
}

// look lets the waker look for jobs. River looks by itself, too, though seldom.
func (l *carefulListener) look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookPatience)
	defer cancel()
	queues, err := l.waker.look(ctx)
	if err != nil {
		l.logger.Debug("waker could not look for jobs", "problem", store.Describe(err))
	}
	l.believed = insertNotifications(queues)
}

// consider goes on when River interrupts its waiting: what has been heard would be lost. Where the tables cannot be read
// it is; River looks at them itself every minute.
func (l *carefulListener) consider(ctx context.Context, heard *riverdriver.Notification) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookPatience)
	defer cancel()
	believed, err := l.believe(ctx, heard)
	switch {
	case err != nil && len(believed) == 0:
		l.logger.Warn("notification could not be compared with the tables", "topic", heard.Topic, "problem", store.Describe(err))
	case len(believed) == 0:
		l.ignore(heard.Topic)
	}
	l.believed = believed
}

// ignore warns of somebody who sends what is not so, but not as often as he sends it.
func (l *carefulListener) ignore(topic string) {
	l.ignored++
	if time.Since(l.warnedAt) < warnEvery {
		return
	}
	l.logger.Warn("notifications ignored: they tell what no row of kvit's tells, so that kvit has not sent them", "topic", topic, "count", l.ignored)
	l.ignored, l.warnedAt = 0, time.Now()
}

// control is what River sends to its producers, and to those that may lead.
type control struct {
	Action   string          `json:"action"`
	JobID    int64           `json:"job_id,omitempty"`
	Metadata json.RawMessage `json:"metadata,omitempty"`
	Queue    string          `json:"queue"`
}

func (l *carefulListener) believe(ctx context.Context, heard *riverdriver.Notification) ([]*riverdriver.Notification, error) {
	var said control
	if json.Unmarshal([]byte(heard.Payload), &said) != nil {
		return nil, nil //nolint:nilerr // whoever sent it was not River
	}
	switch heard.Topic {
	case "river_insert": // to look for jobs does no harm
		return []*riverdriver.Notification{heard}, l.waker.hear(ctx, said.Queue)
	case "river_control":
		return l.believeControl(ctx, said)
	case "river_leadership":
		return l.believeLeadership(ctx, said, heard)
	default:
		return nil, nil
	}
}

// believeControl makes notifications of what the rows say.
func (l *carefulListener) believeControl(ctx context.Context, said control) ([]*riverdriver.Notification, error) {
	switch said.Action {
	case "cancel":
		queue, requested, err := store.CancelRequested(ctx, l.db, said.JobID)
		if err != nil || !requested {
			return nil, err
		}
		return notifications(control{Action: "cancel", JobID: said.JobID, Queue: queue}), nil
	case "pause", "resume", "metadata_changed":
		queues, err := store.ReadQueues(ctx, l.db, said.Queue)
		if err != nil {
			return nil, err
		}
		return notifications(settings(queues, said.Action == "pause")...), nil
	default:
		return nil, nil
	}
}

// settings tell producers how their queues are set. Where a pause was heard of, none tells of none.
func settings(queues []store.QueueSettings, pause bool) (list []control) {
	for _, q := range queues {
		switch {
		case q.Paused:
			list = append(list, control{Action: "pause", Queue: q.Name})
		case pause:
			continue
		default:
			list = append(list, control{Action: "resume", Queue: q.Name})
		}
		list = append(list, control{Action: "metadata_changed", Queue: q.Name, Metadata: q.Metadata})
	}
	return list
}

// believeLeadership never believes that the leader is asked to resign, which kvit does not ask for.
func (l *carefulListener) believeLeadership(ctx context.Context, said control, heard *riverdriver.Notification) ([]*riverdriver.Notification, error) {
	if said.Action != "resigned" {
		return nil, nil
	}
	led, err := store.HasLeader(ctx, l.db)
	if err != nil || led {
		return nil, err
	}
	return []*riverdriver.Notification{heard}, nil
}

func notifications(list ...control) (all []*riverdriver.Notification) {
	for _, c := range list {
		payload, err := json.Marshal(c)
		if err != nil {
			continue // metadata that is no JSON: the column's type forbids it
		}
		all = append(all, &riverdriver.Notification{Topic: "river_control", Payload: string(payload)})
	}
	return all
}
