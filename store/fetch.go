package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Fetch says which jobs of a destination to fetch.
type Fetch struct {
	Queue       string
	Destination string
	Worker      string     // who fetches
	MaxWorkers  int        // names that a job remembers of those who fetched it
	Limit       int        // jobs
	Now         *time.Time // nil: the database's time
	Kinds       []string   // nil: all
	MaxPayload  int        // as Events has it
}

// FetchedJob is a job that is now at work, with its event.
type FetchedJob struct {
	ID          int64
	Kind        string
	Args        []byte // JSON
	Metadata    []byte // JSON
	Errors      [][]byte
	Attempt     int
	MaxAttempts int
	Priority    int
	AttemptedAt time.Time
	CreatedAt   time.Time
	ScheduledAt time.Time

	// Event is loaded for the first attempt of a job that is as kvit.tracking_event makes it, unless it is large: nil
	// otherwise. A job that was at work before may have left a receipt at this very moment, which only a look
	// after the fetch is sure to see.
	Event *Event
}

// fetchPayload is the size up to which payloads come along with their jobs, as they are stored: what a fetch of
// many jobs takes to read is bounded by it.
const fetchPayload = 32 << 10

// FetchJobs takes jobs that are available, most urgent and oldest first, for the worker, as River's own statement does
// (jobs.TestFetchIsRivers compares the two). It writes the same, but reads only what is needed, and the events along with it:
// a statement less for each event, on whose way to the provider there is one commit and one round trip less.
func FetchJobs(ctx context.Context, db DB, f Fetch) ([]FetchedJob, error) {
	rows, _ := db.Query(ctx, `
		with free as (
		    select id
		    from kvit.river_job
		    where state = 'available' and queue = $1::text and ($6::text[] is null or kind = any ($6::text[]))
		      and scheduled_at <= coalesce($5::timestamptz, now())
		    order by priority, scheduled_at, id
		    limit $4::integer
		    for update skip locked
		), taken as (
		    update kvit.river_job j
		    set state = 'running', attempt = j.attempt + 1, attempted_at = coalesce($5::timestamptz, now()),
		        attempted_by = array_append(
		            case when array_length(j.attempted_by, 1) >= $3::integer
		                 then j.attempted_by[array_length(j.attempted_by, 1) + 2 - $3::integer:]
		                 else j.attempted_by end, $2::text)
		    from free
		    where j.id = free.id
		    returning j.id, j.kind, j.args, j.metadata, j.errors, j.attempt, j.max_attempts, j.priority, j.attempted_at, j.created_at, j.scheduled_at
		)
		select j.id, j.kind, j.args, j.metadata, j.errors, j.attempt, j.max_attempts, j.priority, j.attempted_at, j.created_at, j.scheduled_at,
		       e.id, e.event_key, e.name, e.occurred_at, e.received_at, e.order_ref, e.payload, e.consent, e.erased_at, e.defect, e.too_large, e.settled
		from taken j
		left join lateral (
		    `+eventColumns("$7", "$8")+`
		    where e.id = kvit.job_event_id(j.args) and j.args ->> 'destination' = $7 and j.kind = 'deliver_event'
		      and j.attempt = 1 and cardinality(coalesce(j.errors, '{}')) = 0
		      and coalesce(pg_column_size(e.payload) <= $9, true)
		    offset 0
		) e on true`,
		f.Queue, f.Worker, f.MaxWorkers, f.Limit, f.Now, f.Kinds, f.Destination, f.MaxPayload, fetchPayload) // CollectRows reports its error
	list, err := pgx.CollectRows(rows, scanFetched)
	if err != nil {
		return nil, fmt.Errorf("fetch jobs: %w", err)
	}
	return list, nil
}

// scanFetched is by hand, since a struct by its columns' names took twice as long.
func scanFetched(row pgx.CollectableRow) (j FetchedJob, err error) {
	var id *int64
	var key, name *string
	var occurred, received *time.Time
	var tooLarge, settled *bool
	var e Event
	err = row.Scan(&j.ID, &j.Kind, &j.Args, &j.Metadata, &j.Errors, &j.Attempt, &j.MaxAttempts, &j.Priority, &j.AttemptedAt, &j.CreatedAt, &j.ScheduledAt,
		&id, &key, &name, &occurred, &received, &e.OrderRef, &e.Payload, &e.Consent, &e.ErasedAt, &e.Defect, &tooLarge, &settled)
	if err != nil || id == nil {
		return j, err
	}
	e.ID, e.EventKey, e.Name, e.OccurredAt, e.ReceivedAt, e.TooLarge, e.Settled = *id, *key, *name, *occurred, *received, *tooLarge, *settled
	j.Event = &e
	return j, nil
}
