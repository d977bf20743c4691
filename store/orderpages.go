package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Bounds of what the pages about orders read, so that they answer as fast with millions of events.
const (
	OrdersShown = 200   // orders of a list
	OrdersRead  = 2_000 // newest events of orders among which they are looked for
	ofOneOrder  = 200   // events, pieces of evidence and certificates of one order
	inOneCell   = 50    // newest events of an order that a list tells of
)

// States are all that a delivery can be in, what needs somebody first. A cell for several events shows the first of theirs.
var States = []string{"lost", "failed", "rejected", "retrying", "pending", "expired", "withheld", "erased", "delivered", "superseded"}

// OrderFilter says which orders a list shows. What is empty leaves all; Search leaves the others aside.
type OrderFilter struct {
	Search      string // an order's reference, an event's key or a number of the ERP's, as a whole
	Destination string
	State       string // of States
	Before      int64  // an event's id: older ones alone; 0: from the newest
}

// ListedOrder is an order as a list names it.
type ListedOrder struct {
	OrderRef string
	EventID  int64      // the newest of its events that fits; 0: it has none
	NewestAt *time.Time // when kvit got that event; nil: it has none
}

// ListOrders returns orders by their newest events, the newest first, OrdersShown at most. Those with a certain state are looked for
// among the OrdersRead newest of each destination that have it; where that has no index (delivered, withheld, superseded, erased), and
// where only the destination is given, among the OrdersRead newest events of all orders.
func ListOrders(ctx context.Context, db DB, f OrderFilter) ([]ListedOrder, error) {
	sql, args := f.query()
	var list []ListedOrder
	err := uncompiled(ctx, db, func(tx pgx.Tx) (err error) {
		rows, _ := tx.Query(ctx, sql, args...) // Collect reports its error
		list, err = pgx.CollectRows(rows, pgx.RowToStructByName[ListedOrder])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list orders: %w", err)
	}
	return list, nil
}

func (f OrderFilter) query() (sql string, args []any) {
	if f.Search != "" {
		return searchOrders, []any{f.Search, OrdersShown}
	}
	found, ok := eventsInState[f.State]
	switch {
	case ok:
	case f.State != "":
		found = `select id as event_id from recent where ($3 = '' or $3 = any (destinations))
			and exists (select from kvit.delivery r where r.event_id = recent.id and ($3 = '' or r.destination = $3) and r.outcome = $4 offset 0)`
	default:
		found = `select id as event_id from recent where ($3 = '' or $3 = any (destinations)) and $4 = ''`
	}
	return fmt.Sprintf(listOrders, found), []any{f.Before, OrdersRead, f.Destination, f.State, OrdersShown}
}

const listOrders = `
	with recent as not materialized (
	    select id, order_ref, destinations
	    from kvit.event
	    where order_ref is not null and id < coalesce(nullif($1::bigint, 0), 9223372036854775807)
	    order by id desc
	    limit $2
	), named as not materialized (
	    select name from kvit.destination where $3 = '' or name = $3
	), found as materialized (
	    %s
	)
	select e.order_ref, max(e.id) as event_id, max(e.received_at) as newest_at
	from found
	cross join lateral (select id, order_ref, received_at from kvit.event where id = found.event_id offset 0) e -- by its index, not by reading all
	where e.order_ref is not null and ($1::bigint = 0 or e.id < $1::bigint)
	group by e.order_ref
	order by max(e.id) desc
	limit $5`

// eventsInState are the queries for states that have an index of their own.
var eventsInState = map[string]string{
	"lost":     troubled("lost"),
	"failed":   troubled("failed"),
	"rejected": troubled("rejected"),
	"expired":  troubled("expired"),
	"pending": `select w.event_id from named
		cross join lateral (
		    select kvit.job_event_id(j.args) as event_id, cardinality(j.errors) as errors
		    from kvit.river_job j
		    where j.queue = 'deliver_' || named.name and j.kind = 'deliver_event' and j.finalized_at is null
		    order by j.created_at desc
		    limit $2
		) w
		where coalesce(w.errors, 0) = 0 and $4 = 'pending'`,
	// In the order in which River takes them: those that are tried next.
	"retrying": `select w.event_id from named
		cross join unnest('{retryable,scheduled,available,running}'::kvit.river_job_state[]) s (state)
		cross join lateral (
		    select kvit.job_event_id(j.args) as event_id, cardinality(j.errors) as errors
		    from kvit.river_job j
		    where j.state = s.state and j.queue = 'deliver_' || named.name and j.kind = 'deliver_event'
		    order by j.priority, j.scheduled_at, j.id
		    limit $2
		) w
		where w.errors > 0 and $4 = 'retrying'`,
}

// troubled has the outcome as a literal: the partial index is for certain ones.
func troubled(outcome string) string {
	return `select r.event_id from named
		cross join lateral (
		    select d.event_id
		    from kvit.delivery d
		    where d.outcome = '` + outcome + `' and d.destination = named.name
		    order by d.finished_at desc
		    limit $2
		) r
		where $4 = '` + outcome + `'`
}

const searchOrders = `
	with refs as (
	    select kvit.order_ref($1) as order_ref
	    union
	    select order_ref from kvit.event where event_key = btrim($1) and order_ref is not null
	    union
	    (select order_ref from kvit.erp_receipt where erp_order_number = btrim($1) limit 1000)
	)
	select refs.order_ref, coalesce(e.id, 0) as event_id, e.newest_at
	from refs
	left join lateral (select max(id + 0) as id, max(received_at) as newest_at from kvit.event where order_ref = refs.order_ref) e on true
	where refs.order_ref is not null
	  and (e.id is not null
	       or exists (select from kvit.erp_receipt where order_ref = refs.order_ref)
	       or exists (select from kvit.order_mark where order_ref = refs.order_ref)
	       or exists (select from kvit.legal_hold where order_ref = refs.order_ref)
	       or exists (select from kvit.erasure_certificate where order_ref = refs.order_ref))
	order by event_id desc
	limit $2`

// EventByKey returns the id of an event, or ErrNotFound.
func EventByKey(ctx context.Context, db DB, key string) (id int64, err error) {
	rows, _ := db.Query(ctx, `select id from kvit.event where event_key = btrim($1)`, key) // Collect reports its error
	return oneEvent(rows, "find event")
}

// Cell is where an order stands at a destination: of the state that needs somebody most among its newest events, the newest event.
type Cell struct {
	OrderRef    string
	Destination string
	EventID     int64
	EventName   string
	State       string     // of States
	Reason      *string    // of the receipt, or of the last attempt; nil: none
	At          *time.Time // when it ended, or is tried next
	Events      int        // of the order, at this destination
	Delivered   int        // of these
	Attempts    int
}

// OrderCells tells where orders stand at each destination, or at one of them if it is given.
func OrderCells(ctx context.Context, db DB, refs []string, destination string) ([]Cell, error) {
	var list []Cell
	err := uncompiled(ctx, db, func(tx pgx.Tx) (err error) {
		rows, _ := tx.Query(ctx, `
			select distinct on (o.place, s.destination)
			       o.order_ref, s.destination, e.id as event_id, e.name as event_name, s.state, s.reason, s.at,
			       count(*) over cell as events, count(*) filter (where s.state = 'delivered') over cell as delivered, s.attempts
			from unnest($1::text[]) with ordinality o (order_ref, place)
			cross join lateral (
			    select id, name from kvit.event where order_ref = o.order_ref
			    order by id + 0 desc -- so that the index on the order is taken
			    limit $4
			) e
			cross join lateral (`+deliveriesOf+`) s
			where $2 = '' or s.destination = $2
			window cell as (partition by o.place, s.destination)
			order by o.place, s.destination, array_position($3::text[], s.state), e.id desc`, refs, destination, States, inOneCell) // Collect reports its error
		list, err = pgx.CollectRows(rows, pgx.RowToStructByName[Cell])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read deliveries of orders: %w", err)
	}
	return list, nil
}

// deliveriesOf are receipts and jobs of the event e.id, as kvit.delivery_status has them; by the event's id, so that each is looked up
// by its index however many events there are.
const deliveriesOf = `
	select r.destination, r.outcome as state, r.reason, r.finished_at as at, r.attempts
	from kvit.delivery r
	where r.event_id = e.id
	union all
	select j.args ->> 'destination', case when cardinality(j.errors) > 0 then 'retrying' else 'pending' end,
	       j.errors[array_upper(j.errors, 1)] ->> 'error', j.scheduled_at, j.attempt::integer
	from kvit.river_job j
	where kvit.job_event_id(j.args) = e.id and j.kind = 'deliver_event' and j.finalized_at is null
	  and not exists (select from kvit.delivery r where r.event_id = e.id and r.destination = j.args ->> 'destination' offset 0)`

// OrderEvent is an event without its payload.
type OrderEvent struct {
	ID         int64
	EventKey   string
	Name       string
	OrderRef   *string
	OccurredAt time.Time
	ReceivedAt time.Time
	ErasedAt   *time.Time
	Defect     *string // why no destination can use it, in kvit's words
}

const orderEvent = `select id, event_key, name, order_ref, occurred_at, received_at, erased_at, defect `

// EventsOfOrder returns the newest events of an order, the newest first: ofOneOrder at most.
func EventsOfOrder(ctx context.Context, db DB, ref string) ([]OrderEvent, error) {
	rows, _ := db.Query(ctx, orderEvent+`
		from kvit.event
		where order_ref = kvit.order_ref($1)
		order by id + 0 desc -- so that the index on the order is taken, and not the one on the id
		limit $2`, ref, ofOneOrder) // Collect reports its error
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[OrderEvent])
	if err != nil {
		return nil, fmt.Errorf("read events of order: %w", err)
	}
	return list, nil
}

// EventByID returns one event, or ErrNotFound.
func EventByID(ctx context.Context, db DB, id int64) (OrderEvent, error) {
	rows, _ := db.Query(ctx, orderEvent+`from kvit.event where id = $1`, id) // Collect reports its error
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[OrderEvent])
	if err != nil {
		return OrderEvent{}, fmt.Errorf("read event: %w", err)
	}
	if len(list) == 0 {
		return OrderEvent{}, fmt.Errorf("read event %d: %w", id, ErrNotFound)
	}
	return list[0], nil
}

func oneEvent(rows pgx.Rows, what string) (int64, error) {
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return 0, fmt.Errorf("%s: %w", what, err)
	}
	if len(ids) == 0 {
		return 0, fmt.Errorf("%s: %w", what, ErrNotFound)
	}
	return ids[0], nil
}

// AttemptError is an attempt that did not deliver.
type AttemptError struct {
	Number int       `json:"attempt"`
	At     time.Time `json:"at"`
	Error  string    `json:"error"` // kvit's own words
}

// Round is all attempts at one event and destination between its first and a receipt, or up to now. A replay begins another one.
type Round struct {
	EventID      int64
	Destination  string
	State        string
	Reason       *string
	Attempts     int
	FirstAt      *time.Time
	At           *time.Time // when it ended; of one that goes on: when it is tried next
	ResponseCode *int
	Unclear      bool           // the provider may have counted the event
	Errors       []AttemptError // that are still known: they go when a receipt is written

	// Of a round that a replay has ended: who began the next one, when and why.
	ReplayedBy     *string
	ReplayedAt     *time.Time
	ReplayedReason *string
}

// Rounds returns all that became of events at each destination: by event and destination, the first round first.
func Rounds(ctx context.Context, db DB, eventIDs []int64) ([]Round, error) {
	var list []Round
	err := uncompiled(ctx, db, func(tx pgx.Tx) (err error) {
		rows, _ := tx.Query(ctx, `
			select r.event_id, r.destination, r.state, r.reason, r.attempts, r.first_at, r.at, r.response_code, r.unclear, r.errors,
			       r.replayed_by, r.replayed_at, r.replayed_reason
			from unnest($1::bigint[]) e (id)
			cross join lateral (
			    select p.event_id, a.destination, p.outcome as state, p.reason, p.attempts, p.first_attempt_at as first_at, p.finished_at as at,
			           p.response_code, p.unclear, '[]'::jsonb as errors, a.operator as replayed_by, a.done_at as replayed_at,
			           a.reason as replayed_reason, p.action_id as place
			    from kvit.replayed_delivery p
			    join kvit.delivery_action a on a.id = p.action_id
			    where p.event_id = e.id
			    union all
			    select r.event_id, r.destination, r.outcome, r.reason, r.attempts, r.first_attempt_at, r.finished_at, r.response_code, r.unclear,
			           '[]', null, null, null, 9223372036854775807
			    from kvit.delivery r
			    where r.event_id = e.id
			    union all
			    select e.id, j.args ->> 'destination', case when cardinality(j.errors) > 0 then 'retrying' else 'pending' end,
			           j.errors[array_upper(j.errors, 1)] ->> 'error', j.attempt::integer,
			           coalesce((j.errors[1] ->> 'at')::timestamptz, j.attempted_at), j.scheduled_at, null, false,
			           coalesce((select jsonb_agg(jsonb_build_object('attempt', x.e -> 'attempt', 'at', x.e -> 'at', 'error', x.e -> 'error') order by x.n)
			                     from unnest(j.errors) with ordinality x (e, n)), '[]'),
			           null, null, null, 9223372036854775807
			    from kvit.river_job j
			    where kvit.job_event_id(j.args) = e.id and j.kind = 'deliver_event' and j.finalized_at is null
			      and not exists (select from kvit.delivery r where r.event_id = e.id and r.destination = j.args ->> 'destination' offset 0)
			) r
			order by r.event_id, r.destination, r.place
			limit 5000`, eventIDs) // Collect reports its error
		list, err = pgx.CollectRows(rows, pgx.RowToStructByName[Round])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read attempts: %w", err)
	}
	return list, nil
}

// OrderEvidence is a piece of evidence about an order.
type OrderEvidence struct {
	Source         string
	DocumentKind   string
	ERPOrderNumber *string
	ImportedAt     *time.Time
	SeenAt         time.Time
	Status         string
	Detail         *string
}

// EvidenceOfOrder returns the newest evidence about an order, the newest first: ofOneOrder at most.
func EvidenceOfOrder(ctx context.Context, db DB, ref string) ([]OrderEvidence, error) {
	rows, _ := db.Query(ctx, `
		select source, document_kind, erp_order_number, imported_at, seen_at, status, detail
		from kvit.erp_receipt
		where order_ref = kvit.order_ref($1)
		order by id + 0 desc -- so that the index on the order is taken
		limit $2`, ref, ofOneOrder) // Collect reports its error
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[OrderEvidence])
	if err != nil {
		return nil, fmt.Errorf("read evidence about order: %w", err)
	}
	return list, nil
}

// OrderMarks is where one order stands, by the shop's table and kvit's own marks.
type OrderMarks struct {
	PlacedAt       *time.Time
	ERPImportedAt  *time.Time
	ERPOrderNumber *string
	EraseDueAt     *time.Time
	ErasedAt       *time.Time
	Light          *string // green, blue or red, as kvit.order_light has it; nil: none
	LightReason    *string
}

// MarksOfOrder reads kvit.order_status and kvit.order_light; nil if kvit does not know the order, or no shop's table is configured.
func MarksOfOrder(ctx context.Context, db DB, ref string) (*OrderMarks, error) {
	var there bool
	err := db.QueryRow(ctx, `select to_regclass('kvit.order_status') is not null and to_regclass('kvit.order_light') is not null`).Scan(&there)
	if err != nil {
		return nil, fmt.Errorf("look for kvit.order_status: %w", err)
	}
	if !there {
		return nil, nil
	}
	rows, _ := db.Query(ctx, `
		select s.placed_at, s.erp_imported_at, s.erp_order_number, s.erase_due_at, s.erased_at, l.light, l.reason as light_reason
		from kvit.order_status s
		left join lateral (select light, reason from kvit.order_light where order_ref = kvit.order_ref($1)) l on true
		where s.order_ref = kvit.order_ref($1)`, ref) // Collect reports its error
	list, err := pgx.CollectRows(rows, pgx.RowToAddrOfStructByName[OrderMarks])
	if err != nil || len(list) == 0 {
		return nil, wrapUnless(err, "read marks of order")
	}
	return list[0], nil
}

func wrapUnless(err error, what string) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}

// HoldOfOrder returns the hold on an order, an expired one included; nil if there is none.
func HoldOfOrder(ctx context.Context, db DB, ref string) (*Hold, error) {
	rows, _ := db.Query(ctx, `
		select order_ref, reason, placed_by, placed_at, expires_at
		from kvit.legal_hold where order_ref = kvit.order_ref($1)`, ref) // Collect reports its error
	list, err := pgx.CollectRows(rows, pgx.RowToAddrOfStructByName[Hold])
	if err != nil || len(list) == 0 {
		return nil, wrapUnless(err, "read hold of order")
	}
	return list[0], nil
}

// OrderCertificate is the proof that an order was erased, or a supplement to one.
type OrderCertificate struct {
	Number     int64
	ErasedAt   time.Time
	Clock      string
	Rows       int64 // that were erased, of all tables
	Supplement bool  // it tells what a search found
	Hash       string
}

// CertificatesOfOrder returns the certificates of an order by number: ofOneOrder at most.
func CertificatesOfOrder(ctx context.Context, db DB, ref string) ([]OrderCertificate, error) {
	rows, _ := db.Query(ctx, `
		select c.number, c.erased_at, coalesce(c.clock, '') as clock, c.searched is not null as supplement, c.hash,
		       (select coalesce(sum(n.value::bigint), 0) from jsonb_each_text(c.row_counts) n)::bigint as rows
		from kvit.erasure_certificate c
		where c.order_ref = kvit.order_ref($1)
		order by c.number limit $2`, ref, ofOneOrder) // Collect reports its error
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[OrderCertificate])
	if err != nil {
		return nil, fmt.Errorf("read certificates of order: %w", err)
	}
	return list, nil
}
