package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Now is the database's clock, the one that decides what is due. Unlike SQL's now() it does not stand still in a
// transaction. It is as kvit's other times are: UTC, to the microsecond.
func Now(ctx context.Context, db DB) (time.Time, error) {
	var now time.Time
	if err := db.QueryRow(ctx, `select clock_timestamp()`).Scan(&now); err != nil {
		return time.Time{}, fmt.Errorf("read the database's clock: %w", err)
	}
	return now.UTC(), nil
}

// Moment is what the database says to a process that wants to work on it.
type Moment struct {
	At        time.Time // by the database's clock
	EraseFrom int       // the newest migration that a process must at least know of to erase
}

// ReadMoment asks for it; in a transaction, it holds for that one.
func ReadMoment(ctx context.Context, db DB) (Moment, error) {
	var m Moment
	err := db.QueryRow(ctx, `
		select clock_timestamp(), coalesce((select migration from kvit.requirement where work = 'erase'), 0)`).Scan(&m.At, &m.EraseFrom)
	if err != nil {
		return Moment{}, fmt.Errorf("read the database's clock: %w", err)
	}
	m.At = m.At.UTC()
	return m, nil
}

// Ahead is something that lies in the future of the database's clock: that clock was ahead once, or is behind now.
type Ahead struct {
	What string    `json:"what"`
	At   time.Time `json:"at"`
}

// FutureRecords looks at the newest of what kvit writes with the database's time, and at all runs of the erasure, and
// lists what lies more than slack in the future. It costs a row of an index each, and the few runs.
func FutureRecords(ctx context.Context, db DB, slack time.Duration) ([]Ahead, error) {
	rows, _ := db.Query(ctx, `
		select what, at
		from (
		    select 'an erasure' as what, greatest(max(started_at), max(finished_at)) as at from kvit.erasure_run
		    union all
		    (select 'an erasure certificate', erased_at from kvit.erasure_certificate order by number desc limit 1)
		    union all
		    (select 'the arrival of an event', received_at from kvit.event order by id desc limit 1)
		    union all
		    (select 'evidence of an import', seen_at from kvit.erp_receipt order by id desc limit 1)
		) t
		where at > now() + make_interval(secs => $1)
		order by at desc, what`, slack.Seconds()) // Collect reports its error
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[Ahead])
	if err != nil {
		return nil, fmt.Errorf("look for what lies in the future: %w", err)
	}
	return list, nil
}
