package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// TroubleOfHour is how many deliveries of a destination ended badly within the last hour.
type TroubleOfHour struct {
	Destination string     `json:"destination"`
	Count       int64      `json:"count"` // failed or rejected; CountedUpTo at most
	Since       *time.Time `json:"since"` // the first of these
}

// TroublesOfHour counts what failed or was rejected within the last hour, by destination. Destinations without any are left out.
func TroublesOfHour(ctx context.Context, db DB) ([]TroubleOfHour, error) {
	rows, _ := db.Query(ctx, `
		select d.name as destination, t.count, t.since
		from kvit.destination d
		cross join lateral (
		    select count(*) as count, min(finished_at) as since
		    from (
		        (select finished_at from kvit.delivery r
		         where r.outcome = 'failed' and r.destination = d.name and r.finished_at > now() - interval '1 hour' limit $1)
		        union all
		        (select finished_at from kvit.delivery r
		         where r.outcome = 'rejected' and r.destination = d.name and r.finished_at > now() - interval '1 hour' limit $1)
		    ) r
		) t
		where t.count > 0
		order by d.name`, CountedUpTo) // Collect reports its error
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[TroubleOfHour])
	if err != nil {
		return nil, fmt.Errorf("count what ended badly: %w", err)
	}
	return list, nil
}

// ConflictDays is for how many days a conflict counts as new.
const ConflictDays = 7

// ConflictStatus is how many orders got a second, different ERP number of late.
type ConflictStatus struct {
	Count int64      `json:"count"` // pieces of evidence of the last ConflictDays; CountedUpTo at most
	Since *time.Time `json:"since"` // the first of these
}

// Conflicts counts them.
func Conflicts(ctx context.Context, db DB) (c ConflictStatus, err error) {
	err = db.QueryRow(ctx, `
		select count(*), min(seen_at)
		from (select seen_at from kvit.erp_receipt where status = 'conflict' order by id desc limit $1) r
		where seen_at > now() - make_interval(days => $2)`, CountedUpTo, ConflictDays).Scan(&c.Count, &c.Since)
	if err != nil {
		return c, fmt.Errorf("count conflicts: %w", err)
	}
	return c, nil
}
