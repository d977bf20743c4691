package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Event is a stored event together with what decides about its delivery to one destination.
type Event struct {
	ID         int64
	EventKey   string
	Name       string
	OccurredAt time.Time
	ReceivedAt time.Time
	OrderRef   *string
	Payload    []byte // nil: none, erased, or larger than the limit
	Consented  bool   // the visitor has accepted the purpose: the literal true, nothing else
	ErasedAt   *time.Time
	Defect     *string
	TooLarge   bool // the payload is larger than the limit and was not loaded
	Settled    bool // a receipt for this destination is there already
}

// Events loads events by id, with the consent for a purpose and the state of their receipt at the
// destination; ids that are not there are left out. Payloads of more than maxPayload bytes stay in the database: one request of
// a hundred such events would take the memory of the process. The receipt is looked up by a lateral
// join with a limit, since for a plain one Postgres prefers to read the whole table until it is
// large: that took three quarters of the time of a delivery.
func Events(ctx context.Context, db DB, destination, purpose string, ids []int64, maxPayload int) ([]Event, error) {
	rows, _ := db.Query(ctx, `
		select e.id, e.event_key, e.name, e.occurred_at, e.received_at, e.order_ref,
		       case when octet_length(p.text) <= $3 then p.text end as payload,
		       coalesce(e.consent -> $4 = 'true', false) as consented, e.erased_at, e.defect,
		       coalesce(octet_length(p.text) > $3, false) as too_large,
		       coalesce(r.settled, false) as settled
		from kvit.event e
		cross join lateral (select e.payload::text as text offset 0) p -- once, not three times
		left join lateral (
		    select true as settled from kvit.delivery r where r.event_id = e.id and r.destination = $1 limit 1
		) r on true
		where e.id = any ($2)`, destination, ids, maxPayload, purpose) // Collect reports its error
	events, err := pgx.CollectRows(rows, pgx.RowToStructByName[Event])
	if err != nil {
		return nil, fmt.Errorf("load events: %w", err)
	}
	return events, nil
}

// Place is where an event stands in its stream at a destination that keeps state.
type Place struct {
	ID         int64
	Superseded bool       // a later state has been delivered
	WaitUntil  *time.Time // when the event that has to go first is tried next; nil: nothing is in the way
}

// Places tells for each event whether its turn has come. An event waits for earlier events of its
// stream whose job has not ended, and for a later one that was already under way when this one
// became visible: it could not know of this one, and would be overwritten by it. A job of the same
// fetch is no such case, since it sees this event as earlier and waits itself.
func Places(ctx context.Context, db DB, destination string, ids []int64) ([]Place, error) {
	rows, _ := db.Query(ctx, `
		with mine as materialized (
		    select e.id, e.stream, kvit.event_rank(e.name) as rank, e.occurred_at,
		           (select max(j.attempted_at) from kvit.river_job j
		            where kvit.job_event_id(j.args) = e.id and j.kind = 'deliver_event' and j.finalized_at is null
		              and j.args ->> 'destination' = $1) as attempted_at
		    from kvit.event e
		    where e.id = any ($2) and e.stream is not null
		)
		select m.id,
		       exists (
		           select from kvit.event o
		           join kvit.delivery r on r.event_id = o.id and r.destination = $1 and r.outcome = 'delivered'
		           where o.stream = m.stream and o.id <> m.id
		             and (kvit.event_rank(o.name), o.occurred_at, o.id) > (m.rank, m.occurred_at, m.id)
		       ) as superseded,
		       (select max(greatest(j.scheduled_at, now()))
		        from kvit.event o
		        join kvit.river_job j on kvit.job_event_id(j.args) = o.id and j.kind = 'deliver_event'
		             and j.finalized_at is null and j.args ->> 'destination' = $1
		        where o.stream = m.stream and o.id <> m.id
		          and not exists (select from kvit.delivery r where r.event_id = o.id and r.destination = $1)
		          and ((kvit.event_rank(o.name), o.occurred_at, o.id) < (m.rank, m.occurred_at, m.id)
		               or (j.state = 'running' and j.attempted_at < m.attempted_at))
		       ) as wait_until
		from mine m`, destination, ids) // Collect reports its error
	places, err := pgx.CollectRows(rows, pgx.RowToStructByName[Place])
	if err != nil {
		return nil, fmt.Errorf("find places of events: %w", err)
	}
	return places, nil
}
