package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// ErrClosed says that a task is closed already.
var ErrClosed = errors.New("the task is closed already")

// Task is a destination to be told that a person's data has to go. It holds nothing personal.
type Task struct {
	ID          int64      `json:"id"`
	Reference   string     `json:"reference"` // of the person's request
	Destination string     `json:"destination"`
	OrderRefs   []string   `json:"order_refs"` // of the events that may have reached it
	ClientIDs   int        `json:"client_ids"` // browsers that were known by their client id when it was made
	CreatedAt   time.Time  `json:"created_at"`
	CreatedBy   string     `json:"created_by"`
	AskedAt     time.Time  `json:"asked_at"` // it is about what reached the destination before
	Attempts    int        `json:"attempts"` // to tell the provider
	Problem     *string    `json:"problem"`  // why the last one did not tell
	ClosedAt    *time.Time `json:"closed_at"`
	ClosedBy    *string    `json:"closed_by"`
	Note        *string    `json:"note"`
}

const taskColumns = `id, reference, destination, order_refs, client_ids, created_at, created_by, asked_at, attempts, problem, closed_at, closed_by, note`

// TaskRequest says whose data went where.
type TaskRequest struct {
	Reference string
	By        string
	Subject   Subject
	OrderRefs []string // the person's orders
	ClientIDs int
}

// recipients are the destinations that may have the person's events: of those delivered, of attempts
// whose answer was unclear, and of those under way. What an operator sent again counts as sent before.
const recipients = `
	select d.destination, p.order_ref, case when d.outcome = 'erased' then coalesce(d.first_attempt_at, d.finished_at) else d.finished_at end as at
	from person p join kvit.delivery d on d.event_id = p.id
	where d.outcome = 'delivered' or d.unclear or d.outcome = 'erased' and d.attempts > 0
	union all
	select a.destination, p.order_ref, r.finished_at
	from person p join kvit.replayed_delivery r on r.event_id = p.id join kvit.delivery_action a on a.id = r.action_id
	where r.outcome = 'delivered' or r.unclear
	union all
	select j.args ->> 'destination', p.order_ref, coalesce(j.attempted_at, now())
	from person p
	join kvit.river_job j on kvit.job_event_id(j.args) = p.id and j.kind = 'deliver_event' and j.finalized_at is null
	where j.args ->> 'destination' is not null
	  and (j.state = 'running'
	       or exists (select from unnest(j.errors) f where f ->> 'error' not like '%; not taken')
	       or exists (select from kvit.delivery_attempt a where a.event_id = p.id and a.destination = j.args ->> 'destination'))`

// MakeTasks makes a task for each destination that may have data of the person, or adds to the open one
// of the same reference. What a task of that reference was about before is not asked for again.
func MakeTasks(ctx context.Context, db DB, r TaskRequest) error {
	search := &subjectSearch{subject: r.Subject}
	events := search.events(r.OrderRefs)
	_, err := db.Exec(ctx, `
		with person as materialized (
		    select id, order_ref from kvit.event where id in (`+events+`)
		), found as (`+recipients+`), asked as (
		    select destination, max(asked_at) as asked_at from kvit.erasure_task where reference = `+search.args.add(r.Reference)+` group by 1
		)
		insert into kvit.erasure_task as task (reference, destination, order_refs, client_ids, created_by)
		select `+search.args.add(r.Reference)+`, f.destination,
		       coalesce(array_agg(distinct f.order_ref order by f.order_ref) filter (where f.order_ref is not null), '{}'),
		       `+search.args.add(r.ClientIDs)+`, `+search.args.add(r.By)+`
		from found f
		left join asked a on a.destination = f.destination
		where a.asked_at is null or f.at > a.asked_at
		group by f.destination
		on conflict (reference, destination) where closed_at is null do update
		set order_refs = (select array_agg(distinct ref order by ref) from unnest(task.order_refs || excluded.order_refs) ref),
		    client_ids = greatest(task.client_ids, excluded.client_ids), asked_at = excluded.asked_at`, search.args...)
	if err != nil {
		return fmt.Errorf("make tasks: %w", err)
	}
	return nil
}

// OpenTasks lists the open tasks of a reference, in the order in which they were made.
func OpenTasks(ctx context.Context, db DB, reference string) ([]Task, error) {
	rows, _ := db.Query(ctx, `
		select `+taskColumns+` from kvit.erasure_task where reference = $1 and closed_at is null order by id`, reference) // Collect reports its error
	return collectTasks(rows)
}

// Tasks lists the open tasks, or all, in the order in which they were made.
func Tasks(ctx context.Context, db DB, all bool) ([]Task, error) {
	rows, _ := db.Query(ctx, `
		select `+taskColumns+` from kvit.erasure_task where $1 or closed_at is null order by id`, all) // Collect reports its error
	return collectTasks(rows)
}

func collectTasks(rows pgx.Rows) ([]Task, error) {
	tasks, err := pgx.CollectRows(rows, pgx.RowToStructByName[Task])
	if err != nil {
		return nil, fmt.Errorf("list tasks: %w", err)
	}
	return tasks, nil
}

// NoteProblem notes why a task is not closed, and counts the attempt if there was one.
func NoteProblem(ctx context.Context, db DB, id int64, problem string, attempted bool) error {
	_, err := db.Exec(ctx, `
		update kvit.erasure_task set attempts = attempts + $3::boolean::integer, problem = $2 where id = $1 and closed_at is null`, id, problem, attempted)
	if err != nil {
		return fmt.Errorf("note problem of task %d: %w", id, err)
	}
	return nil
}

// Closing is the end of a task.
type Closing struct {
	ID   int64
	By   string
	Note string // empty: none
	Told bool   // an attempt at it has told the provider
}

// CloseTask returns ErrNotFound if there is no such task, and ErrClosed if it is closed.
func CloseTask(ctx context.Context, db DB, c Closing) error {
	var closed bool
	err := db.QueryRow(ctx, `
		with task as materialized (
		    select id, closed_at is not null as closed from kvit.erasure_task where id = $1 for update
		), now_closed as (
		    update kvit.erasure_task t
		    set closed_at = now(), closed_by = $2, note = nullif($3, ''), attempts = attempts + $4::boolean::integer,
		        problem = case when $4 then null else problem end
		    from task
		    where t.id = task.id and not task.closed
		)
		select closed from task`, c.ID, c.By, c.Note, c.Told).Scan(&closed)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return fmt.Errorf("close task %d: %w", c.ID, ErrNotFound)
	case err != nil:
		return fmt.Errorf("close task %d: %w", c.ID, err)
	case closed:
		return fmt.Errorf("close task %d: %w", c.ID, ErrClosed)
	}
	return nil
}

// TaskBacklog tells how many tasks are open, and since when the oldest is; nil if there is none.
func TaskBacklog(ctx context.Context, db DB) (open int64, oldest *time.Time, err error) {
	err = db.QueryRow(ctx, `select count(*), min(created_at) from kvit.erasure_task where closed_at is null`).Scan(&open, &oldest)
	if err != nil {
		return 0, nil, fmt.Errorf("count open tasks: %w", err)
	}
	return open, oldest, nil
}

// SubjectClients lists the client ids of Google Analytics in the person's events. They go with the events:
// read them before these are erased.
func SubjectClients(ctx context.Context, db DB, s Subject, refs []string) ([]string, error) {
	search := &subjectSearch{subject: s}
	rows, _ := db.Query(ctx, `
		select distinct c.id
		from kvit.event e
		cross join lateral (select kvit.payload_text(e.payload, 'client', 'ga_client_id')) c (id)
		where e.id in (`+search.events(refs)+`) and c.id <> ''
		order by 1`, search.args...) // Collect reports its error
	clients, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("find client ids of a person: %w", err)
	}
	return clients, nil
}

// EventsUnderWay tells whether an attempt to deliver one of the events is being made at this moment.
func EventsUnderWay(ctx context.Context, db DB, eventIDs []int64) (bool, error) {
	var underWay bool
	err := db.QueryRow(ctx, `
		select exists (
		    select from unnest($1::bigint[]) e (id)
		    join kvit.river_job j on kvit.job_event_id(j.args) = e.id and j.kind = 'deliver_event' and j.finalized_at is null
		    where j.state = 'running')`, eventIDs).Scan(&underWay)
	if err != nil {
		return false, fmt.Errorf("look for deliveries under way: %w", err)
	}
	return underWay, nil
}
