package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// ActivityRead is how many receipts are read for what happened lately. In a shop that has more in the period, the period
	// becomes shorter.
	ActivityRead = 20_000
	// ActivitySlots are the equal parts of the period.
	ActivitySlots = 24
	// delaysRead is for about how many receipts their event is looked up, which tells how long they took.
	delaysRead = 2_000
)

// sameTime is of how many events the first is sought: those of one transaction have one time, and come in any order.
const sameTime = 1_000

// shortestSlots is over how long the slots reach at least.
const shortestSlots = ActivitySlots * 5 * time.Second

// Activity is what became lately of events.
type Activity struct {
	Since time.Time // of the events that were received; later than asked for if there are more than ActivityRead receipts
	Until time.Time
	Whole bool      // Since is what was asked for
	From  time.Time // where the first slot begins: with the first event of the period
	Parts []ActivityPart
}

// ActivityPart is what ended in one slot at one destination in one way.
type ActivityPart struct {
	Destination string
	Slot        int // 0 is the oldest; of ActivitySlots
	Outcome     string
	Count       int64
	Typical     float64 // seconds from the event's arrival to the receipt: half took no longer; 0: not known
	Slow        float64 // and 95 of 100 took no longer
}

// ReadActivity tells what became of the events that were received since a time: receipts, by the slots in which they were
// written. Ids of events follow their arrival, so that the receipts' primary key finds them; an index on the time of receipts
// would be paid for with each of them.
func ReadActivity(ctx context.Context, db DB, since time.Time) (a Activity, err error) {
	err = uncompiled(ctx, db, func(tx pgx.Tx) error {
		a, err = readActivity(ctx, tx, since)
		return err
	})
	return a, err
}

func readActivity(ctx context.Context, tx pgx.Tx, since time.Time) (Activity, error) {
	a := Activity{Since: since, Whole: true, From: since}
	var first *int64
	err := tx.QueryRow(ctx, `
		select now(), least(
		    (select min(id) from (select id from kvit.event where erased_at is null and received_at >= $1 order by received_at limit $2) e),
		    (select min(id) from (select id from kvit.event where erased_at is not null and received_at >= $1 order by received_at limit $2) e))`, since, sameTime).Scan(&a.Until, &first)
	if err != nil {
		return a, fmt.Errorf("find the first event of the period: %w", err)
	}
	if first == nil {
		return a, nil
	}
	// The receipt at which reading has to stop, if there is one: with all others of its event.
	var stop int64
	err = tx.QueryRow(ctx, `
		select event_id from kvit.delivery where event_id >= $1 order by event_id desc offset $2 limit 1`, *first, ActivityRead).Scan(&stop)
	switch {
	case err == nil:
		a.Whole, *first = false, stop+1
	case !errors.Is(err, pgx.ErrNoRows):
		return a, fmt.Errorf("find the oldest receipt to read: %w", err)
	}
	if err := tx.QueryRow(ctx, `select received_at from kvit.event where id >= $1 order by id limit 1`, *first).Scan(&a.From); err != nil {
		return a, fmt.Errorf("find when the first event came: %w", err)
	}
	if !a.Whole {
		a.Since = a.From
	}
	if a.Until.Sub(a.From) < shortestSlots {
		a.From = a.Until.Add(-shortestSlots)
	}
	a.Parts, err = activityParts(ctx, tx, *first, a)
	return a, err
}

// slotOf tells in which slot a receipt was written: $2 is where the first begins, $3 their length in seconds, $4 their number.
const slotOf = `least(greatest(floor(date_part('epoch', r.finished_at - $2) / $3), 0), $4::int - 1)::int`

func activityParts(ctx context.Context, tx pgx.Tx, first int64, a Activity) ([]ActivityPart, error) {
	args := []any{first, a.From, a.Until.Sub(a.From).Seconds() / ActivitySlots, ActivitySlots}
	rows, _ := tx.Query(ctx, `
		select r.destination, `+slotOf+` as slot, r.outcome, count(*) as count, 0::float8 as typical, 0::float8 as slow
		from kvit.delivery r
		where r.event_id >= $1
		group by 1, 2, 3`, args...) // Collect reports its error
	parts, err := pgx.CollectRows(rows, pgx.RowToStructByName[ActivityPart])
	if err != nil {
		return nil, fmt.Errorf("count receipts of the period: %w", err)
	}
	return parts, addDelays(ctx, tx, parts, args)
}

// addDelays puts to each part how long its receipts took, from some of them where there are many.
func addDelays(ctx context.Context, tx pgx.Tx, parts []ActivityPart, args []any) error {
	var receipts int64
	for _, p := range parts {
		receipts += p.Count
	}
	rows, _ := tx.Query(ctx, `
		select r.destination, `+slotOf+` as slot, r.outcome,
		       percentile_disc(0.5) within group (order by date_part('epoch', r.finished_at - e.received_at)),
		       percentile_disc(0.95) within group (order by date_part('epoch', r.finished_at - e.received_at))
		from kvit.delivery r
		join kvit.event e on e.id = r.event_id
		where r.event_id >= $1 and (hashint8(r.event_id) & 65535) % $5 = 0
		group by 1, 2, 3`, append(args, 1+receipts/delaysRead)...) // ForEachRow reports its error
	var destination, outcome string
	var slot int
	var typical, slow float64
	_, err := pgx.ForEachRow(rows, []any{&destination, &slot, &outcome, &typical, &slow}, func() error {
		i := slices.IndexFunc(parts, func(p ActivityPart) bool {
			return p.Destination == destination && p.Slot == slot && p.Outcome == outcome
		})
		if i >= 0 {
			parts[i].Typical, parts[i].Slow = typical, slow
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read delays of the period: %w", err)
	}
	return nil
}

// TroubleCount is how many deliveries of a destination ended badly; CountedUpTo at most.
type TroubleCount struct {
	Destination string
	Outcome     string
	Count       int64
}

// Trouble counts what ended as rejected, expired, failed or lost since a time, of events of any age: such as failed after days of
// attempts.
func Trouble(ctx context.Context, db DB, since time.Time) ([]TroubleCount, error) {
	rows, _ := db.Query(ctx, `
		select d.name as destination, c.outcome, c.count
		from kvit.destination d
		cross join lateral (
		    select o.outcome, c.count
		    from unnest(array['failed', 'rejected', 'lost']) o (outcome)
		    cross join lateral (
		        select count(*) as count
		        from (
		            select from kvit.delivery r
		            where r.outcome = o.outcome and r.outcome in ('failed', 'rejected', 'lost') and r.destination = d.name and r.finished_at >= $1
		            limit $2
		        ) r
		    ) c
		    union all
		    select 'expired', count(*)
		    from (select from kvit.delivery r where r.outcome = 'expired' and r.destination = d.name and r.finished_at >= $1 limit $2) r
		) c
		where c.count > 0`, since, CountedUpTo) // Collect reports its error
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[TroubleCount])
	if err != nil {
		return nil, fmt.Errorf("count what ended badly: %w", err)
	}
	return list, nil
}

// NewestCertificate is number and time of the last certificate; nil: there is none.
func NewestCertificate(ctx context.Context, db DB) (*CertificateNote, error) {
	rows, _ := db.Query(ctx, `select number, erased_at from kvit.erasure_certificate order by number desc limit 1`) // Collect reports its error
	note, err := pgx.CollectExactlyOneRow(rows, pgx.RowToAddrOfStructByName[CertificateNote])
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read last certificate: %w", err)
	}
	return note, nil
}

// CertificateNote says of a certificate that it is there.
type CertificateNote struct {
	Number   int64
	ErasedAt time.Time
}
