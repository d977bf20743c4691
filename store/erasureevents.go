package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// EraseOrderEvents erases the events of orders, ends those of their deliveries that are pending as
// "erased", and returns the number of events by reference.
func EraseOrderEvents(ctx context.Context, tx pgx.Tx, refs []string, now time.Time) (map[string]int64, error) {
	var q Queue
	return q.EraseOrderEvents(ctx, tx, refs, now)
}

// EraseOrderEvents does it after what is queued.
func (q *Queue) EraseOrderEvents(ctx context.Context, tx pgx.Tx, refs []string, now time.Time) (map[string]int64, error) {
	counts := map[string]int64{}
	var ids []int64
	q.add("erase events of orders", `
		update kvit.event e
		set payload = null, consent = '{}', stream = null, erased_at = $2
		from unnest($1::text[]) o (ref)
		where e.order_ref = kvit.order_ref(o.ref) and e.erased_at is null
		returning e.id, o.ref`, []any{refs, now}, func(rows pgx.Rows) error {
		var id int64
		var ref string
		_, err := pgx.ForEachRow(rows, []any{&id, &ref}, func() error {
			ids = append(ids, id)
			counts[ref]++
			return nil
		})
		return err
	})
	if err := q.Run(ctx, tx); err != nil {
		return nil, err
	}
	return counts, settleErased(ctx, tx, ids)
}

// settleErased writes the receipts of deliveries that will not take place any more.
func settleErased(ctx context.Context, tx pgx.Tx, eventIDs []int64) error {
	if len(eventIDs) == 0 {
		return nil
	}
	// What is lost will not be sent any more, either.
	_, err := tx.Exec(ctx, `
		update kvit.delivery set outcome = 'erased' where event_id = any ($1) and outcome = 'lost'`, eventIDs)
	if err != nil {
		return fmt.Errorf("settle lost deliveries of erased events: %w", err)
	}
	_, err = tx.Exec(ctx, `
		insert into kvit.delivery (event_id, destination, outcome, reason, attempts, first_attempt_at)
		select e.id, j.args ->> 'destination', 'erased', 'its personal data was due for erasure', j.attempt, j.attempted_at
		from unnest($1::bigint[]) as e (id)
		join kvit.river_job j on kvit.job_event_id(j.args) = e.id and j.kind = 'deliver_event' and j.finalized_at is null
		where j.args ->> 'destination' is not null
		order by 1, 2
		on conflict (event_id, destination) do nothing`, eventIDs)
	if err != nil {
		return fmt.Errorf("settle deliveries of erased events: %w", err)
	}
	return nil
}

// LooseEvents says which events are looked at: those received at Before or earlier, Limit of them
// after the event AfterID, received at AfterAt.
type LooseEvents struct {
	Now     time.Time
	Before  time.Time
	AfterAt time.Time
	AfterID int64
	Limit   int
}

type looseEvent struct {
	ID         int64
	OrderRef   *string
	ReceivedAt time.Time
}

// EraseLooseEvents erases events that no order will take along: those without a reference, of an
// order that the shop does not have (o is nil: all), or of one that is erased already. Events of an
// order under a hold stay. It returns how many it erased and where to go on; next is nil at the end.
func EraseLooseEvents(ctx context.Context, tx pgx.Tx, o *Orders, l LooseEvents) (erased int, next *LooseEvents, err error) {
	rows, _ := tx.Query(ctx, `
		select id, order_ref, received_at
		from kvit.event
		where erased_at is null and received_at <= $1 and received_at >= $2 and (received_at, id) > ($2, $3)
		order by received_at, id
		limit $4
		for update skip locked`, l.Before, l.AfterAt, l.AfterID, l.Limit) // Collect reports its error
	events, err := pgx.CollectRows(rows, pgx.RowToStructByName[looseEvent])
	if err != nil {
		return 0, nil, fmt.Errorf("find events without an order: %w", err)
	}
	if len(events) == 0 {
		return 0, nil, nil
	}
	kept, err := keptRefs(ctx, tx, o, events, l.Now)
	if err != nil {
		return 0, nil, err
	}
	var ids []int64
	for _, e := range events {
		if e.OrderRef == nil || !kept[*e.OrderRef] {
			ids = append(ids, e.ID)
		}
	}
	last := events[len(events)-1]
	l.AfterAt, l.AfterID = last.ReceivedAt, last.ID
	return len(ids), &l, eraseEvents(ctx, tx, ids, l.Now)
}

// keptRefs are the references whose events stay: those of orders that are not erased yet, and those
// under a hold.
func keptRefs(ctx context.Context, tx pgx.Tx, o *Orders, events []looseEvent, now time.Time) (map[string]bool, error) {
	var refs []string
	for _, e := range events {
		if e.OrderRef != nil {
			refs = append(refs, *e.OrderRef)
		}
	}
	rows, _ := tx.Query(ctx, `
		select order_ref from kvit.legal_hold
		where order_ref = any ($1) and (expires_at is null or expires_at > $2)`, refs, now) // Collect reports its error
	keep, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("find holds of events: %w", err)
	}
	living, err := livingOrders(ctx, tx, o, refs)
	if err != nil {
		return nil, err
	}
	kept := map[string]bool{}
	for _, ref := range append(keep, living...) {
		kept[ref] = true
	}
	return kept, nil
}

func livingOrders(ctx context.Context, tx pgx.Tx, o *Orders, refs []string) ([]string, error) {
	if o == nil {
		return nil, nil
	}
	refs, cast, err := o.castRefs(ctx, tx, refs)
	if err != nil || len(refs) == 0 {
		return nil, err
	}
	rows, _ := tx.Query(ctx, o.sql(`
		select o.{ref}::text from {orders} o where o.{ref} = any ($1::text[]::`+cast+`) and {o.erased_at} is null`), refs) // Collect reports its error
	living, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("find orders of events: %w", err)
	}
	return living, nil
}

func eraseEvents(ctx context.Context, tx pgx.Tx, ids []int64, now time.Time) error {
	_, err := tx.Exec(ctx, `
		update kvit.event
		set payload = null, consent = '{}', stream = null, erased_at = $2
		where id = any ($1)`, ids, now)
	if err != nil {
		return fmt.Errorf("erase events without an order: %w", err)
	}
	return settleErased(ctx, tx, ids)
}

// Share is how much of something is due.
type Share struct{ Due, All int }

// CountLooseEvents counts what EraseLooseEvents would erase, among the events that are not erased.
func CountLooseEvents(ctx context.Context, db DB, o *Orders, now, before time.Time) (Share, error) {
	args := arguments{before, now}
	kept := ""
	if o != nil {
		refType, err := o.refType(ctx, db)
		if err != nil {
			return Share{}, err
		}
		kept = o.sql(`
		  and not exists (select from {orders} o
		                  where o.{ref} = ` + refOf("e.order_ref", refType) + ` and o.{ref}::text = e.order_ref and {o.erased_at} is null)`)
	}
	var s Share
	err := db.QueryRow(ctx, `
		select count(*) filter (where due), count(*)
		from (
		    select received_at <= $1 and not exists (
		               select from kvit.legal_hold h
		               where h.order_ref = e.order_ref and (h.expires_at is null or h.expires_at > $2))`+kept+` as due
		    from kvit.event e
		    where e.erased_at is null
		) t`, args...).Scan(&s.Due, &s.All)
	if err != nil {
		return Share{}, fmt.Errorf("count due events: %w", err)
	}
	return s, nil
}

// CountPurge counts what PurgeEvents would delete, but for what receipts and jobs keep, among all events.
func CountPurge(ctx context.Context, db DB, before time.Time) (Share, error) {
	var s Share
	err := db.QueryRow(ctx, `
		select (select count(*) from kvit.event where erased_at is not null and received_at <= $1), (select count(*) from kvit.event)`,
		before).Scan(&s.Due, &s.All)
	if err != nil {
		return Share{}, fmt.Errorf("count events to delete: %w", err)
	}
	return s, nil
}

// PurgeEvents deletes up to limit erased events together with their receipts, if both are older than
// before, and returns how many events. After that kvit does not know their event_key any more. What
// operators did to deliveries before then is forgotten, too.
func PurgeEvents(ctx context.Context, tx pgx.Tx, before time.Time, limit int) (int, error) {
	tag, err := tx.Exec(ctx, `
		with old as materialized (
		    select e.id
		    from kvit.event e
		    where e.erased_at is not null and e.received_at <= $1
		      and not exists (select from kvit.delivery d where d.event_id = e.id and d.finished_at > $1)
		      and not exists (select from kvit.river_job j where kvit.job_event_id(j.args) = e.id
		                      and j.kind = 'deliver_event' and j.finalized_at is null)
		    order by e.received_at
		    limit $2
		    for update skip locked
		), receipts as (
		    delete from kvit.delivery d using old where d.event_id = old.id
		), actions as (
		    delete from kvit.delivery_action where done_at <= $1
		), operations as (
		    delete from kvit.operation where requested_at <= $1
		)
		delete from kvit.event e using old where e.id = old.id`, before, limit)
	if err != nil {
		return 0, fmt.Errorf("purge events: %w", err)
	}
	return int(tag.RowsAffected()), nil
}
