package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// DestinationStatus is how far a destination is behind.
type DestinationStatus struct {
	Name           string     `json:"name"`
	Kind           string     `json:"kind"`
	Enabled        bool       `json:"enabled"`
	RemovedAt      *time.Time `json:"removed_at"` // the configuration no longer names it
	DisabledReason *string    `json:"disabled_reason"`
	HeldSince      *time.Time `json:"held_since"` // kvit leaves it alone
	HeldUntil      *time.Time `json:"held_until"`
	HeldReason     *string    `json:"held_reason"`
	Pending        int64      `json:"pending"`
	Retrying       int64      `json:"retrying"` // of the pending
	OldestPending  *time.Time `json:"oldest_pending"`
}

// DestinationStatuses tells for each destination what waits for it.
func DestinationStatuses(ctx context.Context, db DB) ([]DestinationStatus, error) {
	rows, _ := db.Query(ctx, `
		with pending as (
		    select args ->> 'destination' as name, count(*) as pending,
		           count(*) filter (where cardinality(errors) > 0) as retrying,
		           min(created_at) as oldest
		    from kvit.river_job
		    where kind = 'deliver_event' and finalized_at is null
		    group by 1
		)
		select d.name, d.kind, d.enabled, d.removed_at, d.disabled_reason, d.held_since, d.held_until, d.held_reason,
		       coalesce(p.pending, 0) as pending,
		       coalesce(p.retrying, 0) as retrying, p.oldest as oldest_pending
		from kvit.destination d
		left join pending p on p.name = d.name
		order by d.name`) // Collect reports its error
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[DestinationStatus])
	if err != nil {
		return nil, fmt.Errorf("read status of destinations: %w", err)
	}
	return list, nil
}

// OutcomeCount is how many deliveries of a destination ended in one way.
type OutcomeCount struct {
	Destination string `json:"destination"`
	Outcome     string `json:"outcome"`
	Count       int64  `json:"count"`
}

// OutcomeCounts counts receipts.
func OutcomeCounts(ctx context.Context, db DB) ([]OutcomeCount, error) {
	rows, _ := db.Query(ctx, `
		select destination, outcome, count(*) as count
		from kvit.delivery
		group by destination, outcome
		order by destination, outcome`) // Collect reports its error
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[OutcomeCount])
	if err != nil {
		return nil, fmt.Errorf("count outcomes: %w", err)
	}
	return list, nil
}

// OrdersStatus is where the shop's orders stand.
type OrdersStatus struct {
	AwaitingImport  int64      `json:"awaiting_import"`
	OldestAwaiting  *time.Time `json:"oldest_awaiting"`
	ImportsLate     int64      `json:"imports_late"` // of those awaiting, for longer than the orders' AlarmAfter
	ErasuresDue     int64      `json:"erasures_due"`
	ErasuresOverdue int64      `json:"erasures_overdue"` // due for more than the grace
	ErasuresHeld    int64      `json:"erasures_held"`    // due, but on legal hold
}

// ReadOrdersStatus counts orders that wait for the ERP and those that wait for erasure. Overdue
// are those due for longer than grace. Both conditions fit the index that `kvit check` advises, since
// metrics ask this with each scrape.
func ReadOrdersStatus(ctx context.Context, db DB, o Orders, grace time.Duration) (OrdersStatus, error) {
	refType, err := o.refType(ctx, db)
	if err != nil {
		return OrdersStatus{}, err
	}
	now, err := Now(ctx, db)
	if err != nil {
		return OrdersStatus{}, err
	}
	args := arguments{now.Add(-grace)}
	due := o.dueOrders(refType, `o.{ref} as ref, {due_at} as due_at, `+held("now()")+` as held`, now, args.add)
	alarm := "false"
	if o.AlarmAfter > 0 {
		alarm = "o.{placed_at} < " + args.add(now.Add(-o.AlarmAfter)) + "::timestamptz"
	}
	rows, _ := db.Query(ctx, o.sql(`
		with waiting as (
		    select count(*) as awaiting_import, min(o.{placed_at}::timestamptz) as oldest_awaiting,
		           count(*) filter (where `+alarm+`) as imports_late
		    from `+o.waiting(refType)+`
		), due as (
		    `)+due+`
		)
		select awaiting_import, oldest_awaiting, imports_late,
		       (select count(*) from due where not held) as erasures_due,
		       (select count(*) from due where not held and due_at < $1) as erasures_overdue,
		       (select count(*) from due where held) as erasures_held
		from waiting`, args...) // Collect reports its error
	status, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[OrdersStatus])
	if err != nil {
		return OrdersStatus{}, fmt.Errorf("read status of orders: %w", err)
	}
	return status, nil
}

// LateImports counts the orders that wait for the ERP for longer than the orders' AlarmAfter.
func LateImports(ctx context.Context, db DB, o Orders) (int64, error) {
	if o.AlarmAfter == 0 {
		return 0, nil
	}
	refType, err := o.refType(ctx, db)
	if err != nil {
		return 0, err
	}
	var n int64
	err = db.QueryRow(ctx, o.sql(`select count(*) from `+o.waiting(refType)+` and o.{placed_at} < now() - make_interval(secs => $1)`),
		o.AlarmAfter.Seconds()).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count late imports: %w", err)
	}
	return n, nil
}

// Braked is how many orders were due when the brake stopped the last run of the erasure; 0: it did not.
func Braked(ctx context.Context, db DB) (int, error) {
	last, err := LastErasureRun(ctx, db)
	if errors.Is(err, ErrNotFound) || err == nil && last.BrakedAt == nil {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return *last.BrakedAt, nil
}

// LastErasureSuccess is when an erasure last ran to its end without a problem; nil: never yet. It lies in the future if
// the clock was ahead.
func LastErasureSuccess(ctx context.Context, db DB) (*time.Time, error) {
	var at *time.Time
	err := db.QueryRow(ctx, `
		select (select finished_at from kvit.erasure_run
		        where problem is null and finished_at is not null order by id desc limit 1)`).Scan(&at)
	if err != nil {
		return nil, fmt.Errorf("read last erasure: %w", err)
	}
	return at, nil
}
