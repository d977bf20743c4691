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

// Sight is what one look shows to a process that has nothing to do, in one statement instead of four.
type Sight struct {
	Queues   []DueQueue // those that were asked about and have available jobs, with when the first of each is due
	Schedule bool       // there are jobs in any queue that River's scheduler has to make available by the time that was asked about
	Moment   Moment
}

// LookAround looks into these queues, and for what the scheduler has to do until so long from now. It returns ErrReadOnly of a server
// that takes no writes, and then leaves it, as the pool does.
func LookAround(ctx context.Context, db DB, queues []string, until time.Duration) (Sight, error) {
	marked, leave := lookingItself(ctx)
	rows, _ := db.Query(marked, `
		with once as materialized (
		    select clock_timestamp() as at, coalesce((select migration from kvit.requirement where work = 'erase'), 0) as erase_from,
		           exists (
		               select from kvit.river_job
		               where state in ('retryable', 'scheduled') and priority >= 0 and queue is not null
		                 and scheduled_at <= now() + $2::interval) as schedule,
		           pg_is_in_recovery() or current_setting('transaction_read_only')::boolean as read_only
		), due as (
		    select q.name, j.scheduled_at - now() as wait
		    from unnest($1::text[]) q (name)
		    cross join lateral (
		        select scheduled_at from kvit.river_job
		        where state = 'available' and queue = q.name
		        order by priority, scheduled_at, id
		        limit 1
		    ) j
		)
		select o.at, o.erase_from, o.schedule, o.read_only, d.name, d.wait
		from once o
		left join due d on true`, queues, until) // ForEachRow reports its error
	var s Sight
	var readOnly bool
	var name *string
	var wait *time.Duration
	_, err := pgx.ForEachRow(rows, []any{&s.Moment.At, &s.Moment.EraseFrom, &s.Schedule, &readOnly, &name, &wait}, func() error {
		if name != nil {
			s.Queues = append(s.Queues, DueQueue{Name: *name, In: *wait})
		}
		return nil
	})
	if err != nil {
		return Sight{}, fmt.Errorf("look for jobs: %w", err)
	}
	if readOnly {
		leave()
		return Sight{}, fmt.Errorf("look for jobs: %w", ErrReadOnly)
	}
	s.Moment.At = s.Moment.At.UTC()
	return s, nil
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
