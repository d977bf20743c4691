package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// ErrPaused says that a destination is paused already, and ErrNotPaused that there is nothing to resume.
var (
	ErrPaused    = errors.New("it is paused already")
	ErrNotPaused = errors.New("it is not paused")
)

// Pause is who stops a destination, or lets it work again, and why. It holds no personal data of customers.
type Pause struct {
	Destination string
	Who         string // empty: the database user
	Reason      string
}

// PauseDestination lets what waits for a destination wait until somebody resumes it, in all processes and beyond their
// restarts: its River queue is paused, so that its jobs are not touched. What is being sent at this moment ends. Events go on
// coming in. It matches ErrPaused, and changes nothing, if it is paused; ErrNotFound if kvit has never run with it.
func PauseDestination(ctx context.Context, db DB, p Pause) error {
	err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		who, err := actor(ctx, tx, p.Who)
		if err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `
			update kvit.destination set paused_at = now(), paused_by = $2, paused_reason = $3, updated_at = now()
			where name = $1 and paused_at is null`, p.Destination, who, p.Reason)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return missingOr(ctx, tx, p.Destination, ErrPaused)
		}
		if err := pauseQueue(ctx, tx, p.Destination); err != nil {
			return err
		}
		return Audit(ctx, tx, AuditEntry{Who: who, Action: "pause", Subject: p.Destination, Reason: p.Reason})
	})
	if err != nil {
		return fmt.Errorf("pause destination %s: %w", p.Destination, err)
	}
	return nil
}

// ResumeDestination lets a destination work again, whoever stopped it: an operator, its receiver with 410 Gone, or somebody who
// paused its queue past kvit. It matches ErrNotPaused if nothing did, and ErrNotFound if kvit has never run with it.
func ResumeDestination(ctx context.Context, db DB, p Pause) error {
	err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		who, err := actor(ctx, tx, p.Who)
		if err != nil {
			return err
		}
		stopped, err := letQueueGo(ctx, tx, p.Destination)
		if err != nil {
			return err
		}
		if !stopped {
			return missingOr(ctx, tx, p.Destination, ErrNotPaused)
		}
		return Audit(ctx, tx, AuditEntry{Who: who, Action: "resume", Subject: p.Destination, Reason: p.Reason})
	})
	if err != nil {
		return fmt.Errorf("resume destination %s: %w", p.Destination, err)
	}
	return nil
}

// letQueueGo takes back all that stops a destination, and tells whether anything did.
func letQueueGo(ctx context.Context, tx pgx.Tx, name string) (stopped bool, err error) {
	noted, err := tx.Exec(ctx, `
		update kvit.destination
		set paused_at = null, paused_by = null, paused_reason = null, disabled_at = null, disabled_reason = null, updated_at = now()
		where name = $1 and (paused_at is not null or disabled_at is not null)`, name)
	if err != nil {
		return false, err
	}
	queue, err := tx.Exec(ctx, `
		update kvit.river_queue set paused_at = null, updated_at = now()
		where name = 'deliver_' || $1 and paused_at is not null`, name)
	if err != nil {
		return false, fmt.Errorf("resume queue: %w", err)
	}
	return noted.RowsAffected()+queue.RowsAffected() > 0, tellQueue(ctx, tx, name, "resume")
}

// actor is who acts, or else the database user.
func actor(ctx context.Context, db DB, who string) (string, error) {
	if who != "" {
		return who, nil
	}
	if err := db.QueryRow(ctx, `select current_user::text`).Scan(&who); err != nil {
		return "", fmt.Errorf("read database user: %w", err)
	}
	return who, nil
}

// missingOr is ErrNotFound for a destination that kvit does not know, and otherwise the error given.
func missingOr(ctx context.Context, tx pgx.Tx, name string, otherwise error) error {
	if _, err := ReadTarget(ctx, tx, name); err != nil {
		return err
	}
	return otherwise
}

// pauseQueue pauses a destination's River queue, which River may not know yet or no longer, and tells the processes.
func pauseQueue(ctx context.Context, tx pgx.Tx, name string) error {
	_, err := tx.Exec(ctx, `
		insert into kvit.river_queue as q (name, paused_at, updated_at)
		values ('deliver_' || $1, now(), now())
		on conflict (name) do update set paused_at = coalesce(q.paused_at, now()), updated_at = now()`, name)
	if err != nil {
		return fmt.Errorf("pause queue: %w", err)
	}
	return tellQueue(ctx, tx, name, "pause")
}

// tellQueue tells the processes at commit, as River does. Where notifications are off they look by themselves.
func tellQueue(ctx context.Context, tx pgx.Tx, name, action string) error {
	_, err := tx.Exec(ctx, `
		select pg_notify('kvit.river_control', json_build_object('action', $2::text, 'queue', 'deliver_' || name)::text)
		from kvit.destination
		where name = $1 and notify`, name, action)
	if err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	return nil
}

// KeepPaused pauses the queues of destinations that are stopped, where River has forgotten that: it drops queues that nobody has
// worked on for a day. It returns how many there were.
func KeepPaused(ctx context.Context, db DB) (int, error) {
	rows, _ := db.Query(ctx, `
		select d.name
		from kvit.destination d
		left join kvit.river_queue q on q.name = 'deliver_' || d.name
		where (d.paused_at is not null or d.disabled_at is not null) and d.removed_at is null and q.paused_at is null
		order by d.name`) // Collect reports its error
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return 0, fmt.Errorf("look for pauses that River has forgotten: %w", err)
	}
	for _, name := range names {
		if err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error { return pauseIfStopped(ctx, tx, name) }); err != nil {
			return 0, fmt.Errorf("pause destination %s again: %w", name, err)
		}
	}
	return len(names), nil
}

// pauseIfStopped looks again under a lock: somebody may have resumed the destination a moment ago.
func pauseIfStopped(ctx context.Context, tx pgx.Tx, name string) error {
	var stopped bool
	err := tx.QueryRow(ctx, `
		select paused_at is not null or disabled_at is not null from kvit.destination where name = $1 for update`, name).Scan(&stopped)
	if err != nil || !stopped {
		return err
	}
	return pauseQueue(ctx, tx, name)
}

// Stopped is a destination to which nothing is sent until somebody resumes it.
type Stopped struct {
	Name   string    `json:"name"`
	At     time.Time `json:"at"`
	By     string    `json:"by"` // empty: its receiver, with 410 Gone, or somebody past kvit
	Reason string    `json:"reason"`
	Gone   bool      `json:"gone"` // its receiver wants no more events
}

// PausedPastKvit is the reason of a pause of which kvit knows nothing.
const PausedPastKvit = "its River queue was paused past kvit, so nobody knows by whom"

// stoppedSQL is a row for each destination that is stopped. Who paused it himself is named before the receiver.
const stoppedSQL = `
	select d.name, coalesce(d.paused_at, d.disabled_at, q.paused_at) as at, coalesce(d.paused_by, '') as by,
	       coalesce(d.paused_reason, d.disabled_reason, '` + PausedPastKvit + `') as reason,
	       d.paused_at is null and d.disabled_at is not null as gone
	from kvit.destination d
	left join kvit.river_queue q on q.name = 'deliver_' || d.name
	where d.removed_at is null and (d.paused_at is not null or d.disabled_at is not null or q.paused_at is not null)`

// StoppedDestinations lists the destinations that somebody, or their receiver, has stopped. It is asked for by every page.
func StoppedDestinations(ctx context.Context, db DB) ([]Stopped, error) {
	rows, _ := db.Query(ctx, stoppedSQL+` order by d.name`) // Collect reports its error
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[Stopped])
	if err != nil {
		return nil, fmt.Errorf("read paused destinations: %w", err)
	}
	return list, nil
}
