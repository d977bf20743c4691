package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// LostCount is how many deliveries to a destination are lost.
type LostCount struct {
	Destination string `json:"destination"`
	Deliveries  int64  `json:"deliveries"` // CountedUpTo at most, of all destinations together
}

// LostDeliveries counts the deliveries that were wanted and have no job any more, by destination, without those of
// which there are none. kvit replay sends them.
func LostDeliveries(ctx context.Context, db DB) ([]LostCount, error) {
	rows, _ := db.Query(ctx, `
		select destination, count(*) as deliveries
		from (select destination from kvit.delivery where outcome = 'lost' limit $1) l
		group by destination
		order by destination`, CountedUpTo) // Collect reports its error
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[LostCount])
	if err != nil {
		return nil, fmt.Errorf("count lost deliveries: %w", err)
	}
	return list, nil
}

// Events that a round of FindLost looks at: as many new ones as may come in a minute, and some of all others. With two
// destinations that is half a second of the database's time at most.
const (
	lostNewEvents = 20_000
	lostAllEvents = 10_000
)

// FindLost looks at events that should have reached their destinations by now, or have a job that will see to it, and
// writes a receipt that says "lost" where neither is the case. It returns how many.
//
// A trigger notices a job that is deleted at once; this is for what passes triggers by, such as a backup of some
// of the tables. Each round looks at the events that have come since the last one and are five minutes old, and at some of
// the others, all over again from the first one when it has come to the last: what a round costs does not
// grow with the table. An event whose transaction committed long after it took its id is among the others.
func FindLost(ctx context.Context, db DB) (lost int, err error) {
	err = uncompiled(ctx, db, func(tx pgx.Tx) error {
		var fresh, all int64
		err := tx.QueryRow(ctx, `select new_upto, all_upto from kvit.delivery_lookout for update`).Scan(&fresh, &all)
		if err != nil {
			return err
		}
		ofNew, newUpto, err := findLost(ctx, tx, fresh, lostNewEvents)
		if err != nil {
			return err
		}
		ofAll, allUpto, err := findLost(ctx, tx, all, lostAllEvents)
		if err != nil {
			return err
		}
		lost = ofNew + ofAll
		_, err = tx.Exec(ctx, `
			update kvit.delivery_lookout
			set new_upto = greatest(new_upto, $1), all_upto = case when $2::bigint = all_upto then 0 else $2 end,
			    all_seen_at = case when $2::bigint = all_upto then now() else all_seen_at end`, newUpto, allUpto)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("find lost deliveries: %w", err)
	}
	return lost, nil
}

// findLost looks at events after an id and returns how far it came: no further than to the first one that is
// younger than five minutes. What was lost before its data was erased will not be delivered any more.
func findLost(ctx context.Context, tx pgx.Tx, after int64, limit int) (lost int, upto int64, err error) {
	err = tx.QueryRow(ctx, `
		with batch as materialized (
		    select id, destinations, erased_at, received_at > now() - interval '5 minutes' as young
		    from kvit.event
		    where id > $1
		    order by id
		    limit $2
		), bound as materialized (
		    select coalesce(min(id) filter (where young) - 1, max(id), $1) as upto from batch
		), found as (
		    insert into kvit.delivery (event_id, destination, outcome, reason, attempts, unclear)
		    select s.id, d.name, case when s.erased_at is null then 'lost' else 'erased' end, 'it had neither receipt nor job', 0,
		           exists (select from kvit.delivery_attempt a where a.event_id = s.id and a.destination = d.name)
		    from batch s
		    cross join unnest(s.destinations) d (name)
		    where s.id <= (select upto from bound)
		      and not exists (select from kvit.delivery r where r.event_id = s.id and r.destination = d.name offset 0)
		      and not `+isPending("s.id", "d.name")+`
		    on conflict (event_id, destination) do nothing
		    returning outcome
		)
		select (select count(*) from found where outcome = 'lost'), upto from bound`, after, limit).Scan(&lost, &upto)
	return lost, upto, err
}
