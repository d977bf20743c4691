package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Replay says which finished deliveries of a destination are sent again: those that fit everything
// that is given.
type Replay struct {
	Destination    string     `json:"destination"`
	Outcomes       []string   `json:"outcomes"`
	Since          *time.Time `json:"since,omitempty"` // finished at or after
	Until          *time.Time `json:"until,omitempty"` // finished before
	Events         []int64    `json:"events,omitempty"`
	OrderRef       string     `json:"order,omitempty"`
	EventName      string     `json:"name,omitempty"`
	IncludeUnclear bool       `json:"include_unclear"` // also those that the provider may have counted
}

// Why a group of a replay's preview is skipped.
const (
	SkippedErased  = "its data has been erased"
	SkippedOutcome = "this outcome was not asked for"
	SkippedUnclear = "the provider may have counted it; --include-unclear sends it again"
	SkippedPending = "a job for it is waiting already"
)

// from begins the statements of a replay. Events that are named are looked for in every outcome, so
// that the preview can tell why one of them is left alone.
func (r Replay) from() (string, *conditions) {
	c := &conditions{args: []any{r.Destination}}
	switch {
	case r.Events != nil:
		c.add("r.event_id = any (?)", r.Events)
	case r.OrderRef == "":
		c.add("r.outcome = any (?)", r.Outcomes)
	}
	if r.OrderRef != "" {
		c.add("e.order_ref = kvit.order_ref(?)", r.OrderRef)
	}
	if r.EventName != "" {
		c.add("e.name = ?", r.EventName)
	}
	if r.Since != nil {
		c.add("r.finished_at >= ?", *r.Since)
	}
	if r.Until != nil {
		c.add("r.finished_at < ?", *r.Until)
	}
	return ` from kvit.delivery r left join kvit.event e on e.id = r.event_id where r.destination = $1` + c.sql.String(), c
}

// skipped is the SQL for why a receipt is left alone; null: it is not.
func (r Replay) skipped(c *conditions) string {
	unclear := "r.unclear"
	if r.IncludeUnclear {
		unclear = "false"
	}
	return `case
		when e.id is null or e.erased_at is not null or r.outcome = 'erased' then '` + SkippedErased + `'
		when not r.outcome = any (` + c.arg(r.Outcomes) + `) then '` + SkippedOutcome + `'
		when ` + isPending("r.event_id", "$1") + ` then '` + SkippedPending + `'
		when ` + unclear + ` then '` + SkippedUnclear + `'
		end`
}

// PreviewReplay counts what ReplayStep would send again, and what it would leave alone. Events that
// occurred before tooOldBefore are counted apart.
func PreviewReplay(ctx context.Context, db DB, r Replay, tooOldBefore time.Time) ([]Group, error) {
	from, c := r.from()
	sql := `
		select of, reason, skipped, count(*) as events, count(*) filter (where occurred_at < ` + c.arg(tooOldBefore) + `) as too_old,
		       min(occurred_at) as oldest, max(occurred_at) as newest
		from (select r.outcome as of, coalesce(r.reason, '') as reason, e.occurred_at, coalesce(` + r.skipped(c) + `, '') as skipped` + from + `) t
		group by of, reason, skipped
		order by skipped, events desc, of, reason`
	return groups(ctx, db, "replay", sql, c.args)
}

// ReplayStep takes receipts back and makes new jobs for their events, in one transaction. Receipts
// that another replay has locked are left to it.
func ReplayStep(ctx context.Context, db DB, r Replay, s Step) (Stepped, error) {
	var stepped Stepped
	err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		if err := lockActions(ctx, tx); err != nil {
			return err
		}
		ids, err := takeBack(ctx, tx, r, s)
		if err != nil {
			return err
		}
		if err := enqueue(ctx, tx, r.Destination, ids); err != nil {
			return err
		}
		stepped, err = countAction(ctx, tx, s.Action, ids)
		return err
	})
	if err != nil {
		return Stepped{}, fmt.Errorf("replay deliveries: %w", err)
	}
	return stepped, nil
}

// takeBack moves receipts to kvit.replayed_delivery and returns the ids of their events.
func takeBack(ctx context.Context, tx pgx.Tx, r Replay, s Step) ([]int64, error) {
	from, c := r.from()
	skipped, after, limit, action := r.skipped(c), c.arg(s.After), c.arg(s.Limit), c.arg(s.Action)
	rows, _ := tx.Query(ctx, `
		with chosen as materialized (
		    select r.*`+from+` and r.event_id > `+after+` and (`+skipped+`) is null
		    order by r.event_id
		    limit `+limit+`
		    for update of r skip locked
		), attempts as (
		    delete from kvit.delivery_attempt a using chosen where a.event_id = chosen.event_id and a.destination = $1
		), kept as (
		    insert into kvit.replayed_delivery (action_id, event_id, outcome, reason, attempts, first_attempt_at, finished_at, response_code, unclear)
		    select `+action+`::bigint, event_id, outcome, reason, attempts, first_attempt_at, finished_at, response_code, unclear
		    from chosen
		)
		delete from kvit.delivery d using chosen
		where d.event_id = chosen.event_id and d.destination = $1
		returning d.event_id`, c.args...) // Collect reports its error
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, fmt.Errorf("take receipts back: %w", err)
	}
	return ids, nil
}
