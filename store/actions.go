package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// ErrNotServed says that a destination is disabled or removed, so that new jobs would only wait.
var ErrNotServed = errors.New("the destination is not served")

// Action is what an operator does to deliveries; its row is the audit.
type Action struct {
	Action      string // replay, backfill or cancel
	Destination string
	Operator    string // empty: the database user
	Reason      string // empty: none
	Selection   any    // the options of the command, kept as JSON
}

// BeginAction notes an action before its first event and returns its id. The steps of the action
// count its events, so that one that is interrupted shows how far it came.
func BeginAction(ctx context.Context, db DB, a Action) (id int64, err error) {
	selection, err := json.Marshal(a.Selection)
	if err != nil {
		return 0, fmt.Errorf("begin %s: %w", a.Action, err)
	}
	err = db.QueryRow(ctx, `
		insert into kvit.delivery_action (action, destination, operator, reason, selection, events)
		values ($1, $2, coalesce(nullif($3, ''), current_user), nullif($4, ''), $5, 0)
		returning id`, a.Action, a.Destination, a.Operator, a.Reason, string(selection)).Scan(&id)
	if err != nil {
		return 0, fmt.Errorf("begin %s: %w", a.Action, err)
	}
	return id, nil
}

// AuditAction is BeginAction with its audit, in one transaction.
func AuditAction(ctx context.Context, db DB, a Action, selected int64) (id int64, err error) {
	err = pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		if a.Operator, err = actor(ctx, tx, a.Operator); err != nil {
			return err
		}
		if id, err = BeginAction(ctx, tx, a); err != nil {
			return err
		}
		detail := map[string]int64{"delivery_action": id, "planned": selected}
		return Audit(ctx, tx, AuditEntry{Who: a.Operator, Action: a.Action, Subject: a.Destination, Reason: a.Reason, Detail: detail})
	})
	return id, err
}

// Step is one transaction of an action.
type Step struct {
	Action int64
	After  int64 // event id: go on after it; 0: from the start
	Limit  int   // of events
}

// Stepped is what a step did: fewer events than its limit means that it was the last.
type Stepped struct {
	Events int
	Last   int64 // the highest event id among them
}

// Group is a part of a preview: events that have everything but their number in common.
type Group struct {
	Of      string     `json:"of"`      // replay: the outcome; backfill and cancel: the event's name
	Reason  string     `json:"reason"`  // replay: of the receipt; empty: none
	Skipped string     `json:"skipped"` // why these are left alone; empty: they are not
	Events  int64      `json:"events"`
	TooOld  int64      `json:"too_old"` // of Events: those that occurred before Preview.TooOldBefore
	Oldest  *time.Time `json:"oldest"`  // when the first and the last of the events occurred
	Newest  *time.Time `json:"newest"`
}

// Target is a destination as an action sees it.
type Target struct {
	Kind       string
	EventNames []string
	Enabled    bool
	Removed    bool // the configuration no longer names it
	Gone       bool // its receiver wants no more events
}

// ReadTarget returns the destination, or ErrNotFound if kvit has never run with it.
func ReadTarget(ctx context.Context, db DB, destination string) (Target, error) {
	rows, _ := db.Query(ctx, `
		select kind, event_names, enabled, removed_at is not null as removed, disabled_at is not null as gone
		from kvit.destination
		where name = $1`, destination) // Collect reports its error
	target, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Target])
	if errors.Is(err, pgx.ErrNoRows) {
		return Target{}, fmt.Errorf("destination %s: %w", destination, ErrNotFound)
	}
	if err != nil {
		return Target{}, fmt.Errorf("read destination %s: %w", destination, err)
	}
	return target, nil
}

// conditions gather a where clause, with ? for the parameter that belongs to each.
type conditions struct {
	sql  strings.Builder
	args []any
}

func (c *conditions) add(condition string, arg any) {
	c.args = append(c.args, arg)
	c.sql.WriteString(" and " + strings.ReplaceAll(condition, "?", "$"+strconv.Itoa(len(c.args))))
}

// arg makes a parameter and returns how it is written.
func (c *conditions) arg(value any) string {
	c.args = append(c.args, value)
	return "$" + strconv.Itoa(len(c.args))
}

func groups(ctx context.Context, db DB, what, sql string, args []any) ([]Group, error) {
	rows, _ := db.Query(ctx, sql, args...) // Collect reports its error
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[Group])
	if err != nil {
		return nil, fmt.Errorf("preview %s: %w", what, err)
	}
	return list, nil
}

// pendingJob is true for events that have a job at the destination which has not ended; {event} stands
// for the event's id and {destination} for the destination's name. Without "offset 0" Postgres may
// read all pending jobs instead of using their index.
const pendingJob = `exists (
	select from kvit.river_job p
	where kvit.job_event_id(p.args) = {event} and p.kind = 'deliver_event' and p.finalized_at is null
	  and p.args ->> 'destination' = {destination} offset 0)`

func isPending(event, destination string) string {
	return strings.NewReplacer("{event}", event, "{destination}", destination).Replace(pendingJob)
}

// lockActions lets one step of an action at a time look for events: of two backfills at once each would miss the
// other's jobs.
func lockActions(ctx context.Context, tx pgx.Tx) error {
	// Under a stricter isolation the statements after the wait would not see what the other has done.
	if _, err := tx.Exec(ctx, `set transaction isolation level read committed`); err != nil {
		return fmt.Errorf("set isolation: %w", err)
	}
	if err := takeLock(ctx, tx, actionsLock, lockPatience); err != nil {
		return fmt.Errorf("wait for other actions: %w", err)
	}
	if _, err := tx.Exec(ctx, `set local lock_timeout = '30s'`); err != nil {
		return fmt.Errorf("limit waiting: %w", err)
	}
	// Read in the order of an index and stop at the limit: to sort, Postgres looks up the pending jobs of
	// all events that are left, which took a second a step with 100,000 of them.
	if _, err := tx.Exec(ctx, `set local enable_sort = off`); err != nil {
		return fmt.Errorf("set planner: %w", err)
	}
	return nil
}

// enqueue makes new jobs for events, as the trigger on kvit.tracking_event does, and notes for whom.
func enqueue(ctx context.Context, tx pgx.Tx, destination string, eventIDs []int64) error {
	if len(eventIDs) == 0 {
		return nil
	}
	var notify bool
	err := tx.QueryRow(ctx, `
		select notify from kvit.destination
		where name = $1 and enabled and removed_at is null and disabled_at is null`, destination).Scan(&notify)
	if errors.Is(err, pgx.ErrNoRows) {
		return ErrNotServed
	}
	if err != nil {
		return fmt.Errorf("read destination: %w", err)
	}
	_, err = tx.Exec(ctx, `
		insert into kvit.river_job (kind, args, queue, max_attempts)
		select 'deliver_event', jsonb_build_object('event_id', id, 'destination', $1::text), 'deliver_' || $1, 10000
		from unnest($2::bigint[]) as e (id)
		order by id`, destination, eventIDs)
	if err != nil {
		return fmt.Errorf("make jobs: %w", err)
	}
	_, err = tx.Exec(ctx, `
		update kvit.event set destinations = array_append(destinations, $1::text)
		where id = any ($2) and array_position(destinations, $1) is null`, destination, eventIDs)
	if err != nil {
		return fmt.Errorf("note destination of events: %w", err)
	}
	if !notify {
		return nil
	}
	_, err = tx.Exec(ctx, `
		select pg_notify('kvit.river_insert', json_build_object('queue', 'deliver_' || $1::text)::text)`, destination)
	if err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	return nil
}

// countAction adds a step's events to the action's row.
func countAction(ctx context.Context, tx pgx.Tx, id int64, eventIDs []int64) (Stepped, error) {
	stepped := Stepped{Events: len(eventIDs)}
	for _, event := range eventIDs {
		stepped.Last = max(stepped.Last, event)
	}
	if _, err := tx.Exec(ctx, `update kvit.delivery_action set events = events + $2, done_at = now() where id = $1`, id, len(eventIDs)); err != nil {
		return Stepped{}, fmt.Errorf("count events: %w", err)
	}
	return stepped, nil
}
