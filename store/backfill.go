package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Backfill says which events a destination gets although they are older than it is: those of the
// names it wants that occurred in the time given and for which it has neither receipt nor job.
type Backfill struct {
	Destination string     `json:"destination"`
	From        time.Time  `json:"from"`            // occurred at or after
	Until       *time.Time `json:"until,omitempty"` // occurred before
}

// SkippedDefect says why an event is not backfilled: the shop wrote something that no destination
// can use. The reason of an erased one is SkippedErased.
const SkippedDefect = "no destination can use it"

// from begins the statements of a backfill. Which names a destination wants is read as the trigger
// on kvit.tracking_event reads it.
func (b Backfill) from() (string, *conditions) {
	c := &conditions{args: []any{b.Destination}}
	c.add("e.occurred_at >= ?", b.From)
	if b.Until != nil {
		c.add("e.occurred_at < ?", *b.Until)
	}
	return ` from kvit.event e
		join kvit.destination d on d.name = $1
		where (e.name = any (d.event_names) or (e.name like 'custom:%' and 'custom:*' = any (d.event_names)))
		  and not exists (select from kvit.delivery r where r.event_id = e.id and r.destination = $1 offset 0)
		  and not ` + isPending("e.id", "$1") + c.sql.String(), c
}

const backfillSkipped = `case
	when e.erased_at is not null then '` + SkippedErased + `'
	when e.defect is not null then '` + SkippedDefect + `'
	end`

// PreviewBackfill counts what BackfillStep would send. Events that occurred before tooOldBefore are
// counted apart.
func PreviewBackfill(ctx context.Context, db DB, b Backfill, tooOldBefore time.Time) ([]Group, error) {
	from, c := b.from()
	sql := `
		select of, '' as reason, skipped, count(*) as events, count(*) filter (where occurred_at < ` + c.arg(tooOldBefore) + `) as too_old,
		       min(occurred_at) as oldest, max(occurred_at) as newest
		from (select e.name as of, e.occurred_at, coalesce(` + backfillSkipped + `, '') as skipped` + from + `) t
		group by of, skipped
		order by skipped, events desc, of`
	return groups(ctx, db, "backfill", sql, c.args)
}

// BackfillStep makes jobs for events that the destination has not seen, in one transaction.
func BackfillStep(ctx context.Context, db DB, b Backfill, s Step) (Stepped, error) {
	var stepped Stepped
	err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		if err := lockActions(ctx, tx); err != nil {
			return err
		}
		from, c := b.from()
		rows, _ := tx.Query(ctx, `select e.id`+from+` and e.id > `+c.arg(s.After)+` and (`+backfillSkipped+`) is null
			order by e.id limit `+c.arg(s.Limit), c.args...) // Collect reports its error
		ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		if err != nil {
			return fmt.Errorf("find events: %w", err)
		}
		if err := enqueue(ctx, tx, b.Destination, ids); err != nil {
			return err
		}
		stepped, err = countAction(ctx, tx, s.Action, ids)
		return err
	})
	if err != nil {
		return Stepped{}, fmt.Errorf("backfill events: %w", err)
	}
	return stepped, nil
}
