package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// StayAwake says that workers look for jobs without being woken, for so long from now by the database's clock, at most ten
// seconds. kvit.insert_tracking_event notifies nobody meanwhile.
func StayAwake(ctx context.Context, db DB, d time.Duration) error {
	_, err := db.Exec(ctx, `
		select setval('kvit.awake_until', (extract(epoch from clock_timestamp()) * 1000)::bigint + $1::bigint)`, d.Milliseconds())
	if err != nil {
		return fmt.Errorf("say that workers are awake: %w", err)
	}
	return nil
}

// DueQueue is a queue with a job that is available, now or soon.
type DueQueue struct {
	Name string
	In   time.Duration // 0 or less: now
}

// DueQueues finds, of these queues, those with available jobs, and when the first of each is due.
func DueQueues(ctx context.Context, db DB, names []string) ([]DueQueue, error) {
	rows, _ := db.Query(ctx, `
		select q.name, j.scheduled_at - now() as "in"
		from unnest($1::text[]) q (name)
		cross join lateral (
		    select scheduled_at from kvit.river_job
		    where state = 'available' and queue = q.name
		    order by priority, scheduled_at, id
		    limit 1
		) j`, names) // Collect reports its error
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[DueQueue])
	if err != nil {
		return nil, fmt.Errorf("look for jobs: %w", err)
	}
	return list, nil
}

// JobsToSchedule tells whether River's scheduler has anything to do: a job whose time has come at that time; nil: now.
func JobsToSchedule(ctx context.Context, db DB, at *time.Time) (bool, error) {
	var due bool
	err := db.QueryRow(ctx, `
		select exists (
		    select from kvit.river_job
		    where state in ('retryable', 'scheduled') and priority >= 0 and queue is not null
		      and scheduled_at <= coalesce($1::timestamptz, now()))`, at).Scan(&due)
	if err != nil {
		return false, fmt.Errorf("look for jobs whose time has come: %w", err)
	}
	return due, nil
}
