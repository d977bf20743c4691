package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// SendNow says which pending deliveries of a destination are tried now instead of when their wait is over: those that fit
// everything that is given.
type SendNow Waiting

// Waiting says which pending deliveries of a destination are meant: those that fit everything that is given.
type Waiting struct {
	Destination string     `json:"destination"`
	Events      []int64    `json:"events,omitempty"`
	OrderRef    string     `json:"order,omitempty"`
	EventName   string     `json:"name,omitempty"`
	Retrying    bool       `json:"retrying,omitempty"` // only what has been tried before
	Since       *time.Time `json:"since,omitempty"`    // waits since then or later
	Until       *time.Time `json:"until,omitempty"`    // waited before
}

func (w Waiting) from() (string, *conditions) {
	c := &conditions{args: []any{w.Destination}}
	if w.Events != nil {
		c.add("kvit.job_event_id(j.args) = any (?)", w.Events)
	}
	if w.OrderRef != "" {
		c.add("e.order_ref = kvit.order_ref(?)", w.OrderRef)
	}
	if w.EventName != "" {
		c.add("e.name = ?", w.EventName)
	}
	if w.Retrying {
		c.sql.WriteString(" and coalesce(cardinality(j.errors), 0) > 0")
	}
	if w.Since != nil {
		c.add("j.created_at >= ?", *w.Since)
	}
	if w.Until != nil {
		c.add("j.created_at < ?", *w.Until)
	}
	return ` from kvit.river_job j
		join kvit.event e on e.id = kvit.job_event_id(j.args)
		where j.kind = 'deliver_event' and j.finalized_at is null and j.args ->> 'destination' = $1` + c.sql.String(), c
}

// SkippedReady says why a pending delivery is not moved: it is sent as soon as there is room.
const SkippedReady = "it is its turn already"

const sendNowSkipped = `case
	when j.state = 'running' then '` + SkippedRunning + `'
	when j.state = 'available' and j.scheduled_at <= now() then '` + SkippedReady + `'
	end`

// previewWaiting counts pending deliveries by the event's name and by why they are left alone.
func previewWaiting(ctx context.Context, db DB, what, skipped string, w Waiting) ([]Group, error) {
	from, c := w.from()
	sql := `
		select of, '' as reason, skipped, count(*) as events, 0::bigint as too_old, min(occurred_at) as oldest, max(occurred_at) as newest
		from (select e.name as of, e.occurred_at, coalesce(` + skipped + `, '') as skipped` + from + `) t
		group by of, skipped
		order by skipped, events desc, of`
	return groups(ctx, db, what, sql, c.args)
}

// PreviewSendNow counts what SendNowStep would move, by the event's name.
func PreviewSendNow(ctx context.Context, db DB, n SendNow) ([]Group, error) {
	return previewWaiting(ctx, db, "send now", sendNowSkipped, Waiting(n))
}

// SendNowStep ends the wait of deliveries, in one transaction. A destination that is paused or held still is.
func SendNowStep(ctx context.Context, db DB, n SendNow, s Step) (Stepped, error) {
	var stepped Stepped
	err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		if err := lockActions(ctx, tx); err != nil {
			return err
		}
		ids, err := endWait(ctx, tx, Waiting(n), s)
		if err != nil {
			return err
		}
		if err := tellInserted(ctx, tx, n.Destination); err != nil {
			return err
		}
		stepped, err = countAction(ctx, tx, s.Action, ids)
		return err
	})
	if err != nil {
		return Stepped{}, fmt.Errorf("send now: %w", err)
	}
	return stepped, nil
}

// endWait makes jobs available, as River's scheduler does when their time has come, and returns the ids of their events.
func endWait(ctx context.Context, tx pgx.Tx, w Waiting, s Step) ([]int64, error) {
	from, c := w.from()
	rows, _ := tx.Query(ctx, `
		with chosen as materialized (
		    select j.id, e.id as event_id`+from+` and e.id > `+c.arg(s.After)+` and (`+sendNowSkipped+`) is null
		    order by e.id
		    limit `+c.arg(s.Limit)+`
		    for update of j skip locked
		)
		update kvit.river_job j set state = 'available', scheduled_at = now()
		from chosen
		where j.id = chosen.id
		returning chosen.event_id`, c.args...) // Collect reports its error
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, fmt.Errorf("end waits: %w", err)
	}
	return ids, nil
}

// tellInserted wakes those that work on a destination, at commit, unless they look by themselves.
func tellInserted(ctx context.Context, tx pgx.Tx, destination string) error {
	_, err := tx.Exec(ctx, `
		select pg_notify('kvit.river_insert', json_build_object('queue', 'deliver_' || name)::text)
		from kvit.destination
		where name = $1 and notify`, destination)
	if err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	return nil
}
