package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Cancel says which pending deliveries of a destination end as failed: those that fit everything
// that is given.
type Cancel Waiting

// SkippedRunning says why a pending delivery is not cancelled: its request may be under way.
const SkippedRunning = "it is being sent at this moment"

// CancelledReason is what the receipts say.
const CancelledReason = "cancelled by an operator"

const cancelSkipped = `case when j.state = 'running' then '` + SkippedRunning + `' end`

// PreviewCancel counts what CancelStep would cancel, by the event's name.
func PreviewCancel(ctx context.Context, db DB, x Cancel) ([]Group, error) {
	return previewWaiting(ctx, db, "cancel", cancelSkipped, Waiting(x))
}

// CancelStep ends pending deliveries as failed and their jobs as River's JobCancel does, in one
// transaction. Those that are running are left alone: only the process that runs one can tell
// whether its event was sent.
func CancelStep(ctx context.Context, db DB, x Cancel, s Step) (Stepped, error) {
	var stepped Stepped
	err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		if err := lockActions(ctx, tx); err != nil {
			return err
		}
		ids, err := cancelJobs(ctx, tx, x, s)
		if err != nil {
			return err
		}
		stepped, err = countAction(ctx, tx, s.Action, ids)
		return err
	})
	if err != nil {
		return Stepped{}, fmt.Errorf("cancel deliveries: %w", err)
	}
	return stepped, nil
}

// cancelJobs returns the ids of the events. A delivery is unclear if an attempt at it was begun and
// no answer shows that the provider has not taken the event.
func cancelJobs(ctx context.Context, tx pgx.Tx, x Cancel, s Step) ([]int64, error) {
	from, c := Waiting(x).from()
	rows, _ := tx.Query(ctx, `
		with chosen as materialized (
		    select j.id, e.id as event_id, j.attempt, j.errors, j.attempted_at`+from+` and e.id > `+c.arg(s.After)+` and (`+cancelSkipped+`) is null
		    order by e.id
		    limit `+c.arg(s.Limit)+`
		    for update of j skip locked
		), begun as (
		    delete from kvit.delivery_attempt a using chosen
		    where a.event_id = chosen.event_id and a.destination = $1
		    returning a.event_id
		), receipts as (
		    insert into kvit.delivery (event_id, destination, outcome, reason, attempts, first_attempt_at, unclear)
		    select c.event_id, $1, 'failed', `+c.arg(CancelledReason)+`, c.attempt,
		           coalesce((c.errors[1] ->> 'at')::timestamptz, c.attempted_at),
		           c.event_id in (select event_id from begun)
		           or exists (select from unnest(c.errors) as f where f ->> 'error' not like '%; not taken')
		    from chosen c
		    order by c.event_id
		    on conflict (event_id, destination) do nothing
		)
		update kvit.river_job j
		set state = 'cancelled', finalized_at = now(),
		    metadata = jsonb_set(j.metadata, '{cancel_attempted_at}', to_jsonb(`+c.arg(time.Now().UTC())+`::timestamptz), true)
		from chosen
		where j.id = chosen.id
		returning chosen.event_id`, c.args...) // Collect reports its error
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, fmt.Errorf("cancel jobs: %w", err)
	}
	return ids, nil
}
