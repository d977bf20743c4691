package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// ErrNoHistory says that the shop's past cannot be read: nobody has made kvit_events.past, which kvit init writes for
// shops that it knows.
var ErrNoHistory = errors.New("the database has no function kvit_events.past")

// History is a part of the shop's past.
type History struct {
	From  time.Time // events that occurred at this time or later
	Until time.Time // and before this one
}

// PastEvents is what the shop's past holds of one name.
type PastEvents struct {
	Name   string
	Events int64
	Known  int64 // of these, kvit has them already, or has erased their order
	Oldest time.Time
	Newest time.Time
}

// unknown is true of an event p of the past that kvit does not have, and whose order it has not erased: that one's
// personal data must not come back.
const unknown = `not exists (select from kvit.event e where e.event_key = p.event_key)
	and not exists (select from kvit.erasure_certificate c where c.order_ref in (p.order_ref, kvit.order_ref(p.order_ref)))`

// PreviewHistory counts the past, by name.
func PreviewHistory(ctx context.Context, db DB, h History) ([]PastEvents, error) {
	rows, _ := db.Query(ctx, `
		select p.name, count(*) as events, count(*) filter (where not (`+unknown+`)) as known,
		       min(p.occurred_at) as oldest, max(p.occurred_at) as newest
		from kvit_events.past($1, $2) p
		group by p.name
		order by p.name`, h.From, h.Until) // Collect reports its error
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[PastEvents])
	if err != nil {
		return nil, fmt.Errorf("look at the shop's past: %w", missingHistory(err))
	}
	return list, nil
}

// InsertHistory stores what kvit does not have of the past, without a job for any destination, and returns how many
// events that were.
func InsertHistory(ctx context.Context, db DB, h History) (int64, error) {
	tag, err := db.Exec(ctx, `
		insert into kvit.event (event_key, name, occurred_at, order_ref, payload, consent, stream)
		select p.event_key, p.name, p.occurred_at, kvit.order_ref(p.order_ref), p.payload, p.consent,
		       kvit.event_stream(p.name, kvit.order_ref(p.order_ref), p.payload::json)
		from kvit_events.past($1, $2) p
		where `+unknown+`
		order by p.occurred_at, p.event_key
		on conflict (event_key) do nothing`, h.From, h.Until)
	if err != nil {
		return 0, fmt.Errorf("store the shop's past: %w", missingHistory(err))
	}
	return tag.RowsAffected(), nil
}

func missingHistory(err error) error {
	const undefinedFunction, invalidSchema = "42883", "3F000"
	var pgErr *pgconn.PgError
	// With a context it is something that the function itself calls.
	if errors.As(err, &pgErr) && pgErr.Where == "" && (pgErr.Code == undefinedFunction || pgErr.Code == invalidSchema) {
		return ErrNoHistory
	}
	return err
}

// EachPast calls do for the events of the past that kvit does not have, the oldest first, as InsertHistory would store
// them. An error of do ends it and is returned as it is.
func EachPast(ctx context.Context, db DB, h History, do func(*Event) error) error {
	rows, err := db.Query(ctx, `
		select p.event_key, p.name, p.occurred_at, kvit.order_ref(p.order_ref), p.payload::text, coalesce(p.consent::text, '{}')
		from kvit_events.past($1, $2) p
		where `+unknown+`
		order by p.occurred_at, p.event_key`, h.From, h.Until)
	if err != nil {
		return fmt.Errorf("read the shop's past: %w", missingHistory(err))
	}
	defer rows.Close()
	for rows.Next() {
		var e Event
		if err := rows.Scan(&e.EventKey, &e.Name, &e.OccurredAt, &e.OrderRef, &e.Payload, &e.Consent); err != nil {
			return fmt.Errorf("read the shop's past: %w", err)
		}
		if err := do(&e); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read the shop's past: %w", missingHistory(err))
	}
	return nil
}
