package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
	PausedAt       *time.Time `json:"paused_at"` // by an operator, until one resumes it
	PausedBy       *string    `json:"paused_by"`
	PausedReason   *string    `json:"paused_reason"`
	Pending        int64      `json:"pending"`
	Retrying       int64      `json:"retrying"`      // of the pending
	PendingExact   bool       `json:"pending_exact"` // false: Pending and Retrying are estimates, from a sample
	OldestPending  *time.Time `json:"oldest_pending"`
	Lost           int64      `json:"lost"`           // without receipt or job; CountedUpTo at most
	UnreadConsent  int64      `json:"unread_consent"` // withheld within a day since their consent could not be understood; CountedUpTo at most
}

// CountedUpTo is how many rows are counted one by one: what a metric asks for must not take longer the more there is.
const CountedUpTo = 10_000

// sampledPages are read of a table that has more rows than can be counted.
const sampledPages = 300

// DestinationStatuses tells for each destination what waits for it, and what an operator has to look into. What
// it costs grows with the number of destinations, not with that of events.
func DestinationStatuses(ctx context.Context, db DB) ([]DestinationStatus, error) {
	var list []DestinationStatus
	err := uncompiled(ctx, db, func(tx pgx.Tx) (err error) {
		if list, err = destinationStatuses(ctx, tx); err != nil {
			return err
		}
		return estimatePending(ctx, tx, list)
	})
	return list, err
}

// uncompiled runs statements without compiling them, which would take a second where Postgres takes them for larger than
// they are.
func uncompiled(ctx context.Context, db DB, do func(pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `set local jit = off`); err != nil {
			return fmt.Errorf("switch compiling off: %w", err)
		}
		return do(tx)
	})
}

func destinationStatuses(ctx context.Context, db DB) ([]DestinationStatus, error) {
	rows, _ := db.Query(ctx, `
		select d.name, d.kind, d.enabled, d.removed_at, d.disabled_reason, d.held_since, d.held_until, d.held_reason,
		       coalesce(d.paused_at, case when d.disabled_at is null then q.paused_at end) as paused_at, d.paused_by,
		       case when d.paused_at is not null then d.paused_reason when d.disabled_at is null and q.paused_at is not null then '`+PausedPastKvit+`' end as paused_reason,
		       p.pending, p.retrying, p.pending < $1 as pending_exact, o.created_at as oldest_pending, l.lost, u.unread_consent
		from kvit.destination d
		left join kvit.river_queue q on q.name = 'deliver_' || d.name
		cross join lateral (
		    select count(*) as pending, count(*) filter (where tried) as retrying
		    from (
		        select coalesce(cardinality(j.errors), 0) > 0 as tried
		        from kvit.river_job j
		        where j.queue = 'deliver_' || d.name and j.kind = 'deliver_event' and j.finalized_at is null
		        order by j.created_at -- along the index: without it Postgres reads the table from its start, 20 times as long
		        limit $1
		    ) j
		) p
		left join lateral (
		    select j.created_at
		    from kvit.river_job j
		    where j.queue = 'deliver_' || d.name and j.kind = 'deliver_event' and j.finalized_at is null
		    order by j.created_at
		    limit 1
		) o on true
		cross join lateral (
		    select count(*) as lost
		    from (select from kvit.delivery r where r.outcome = 'lost' and r.destination = d.name limit $1) r
		) l
		cross join lateral (
		    select count(*) as unread_consent
		    from (
		        select from kvit.delivery r
		        where r.outcome = 'withheld' and r.reason like 'consent is not understood%' and r.destination = d.name
		          and r.finished_at > now() - interval '1 day'
		        limit $1
		    ) r
		) u
		order by d.name`, CountedUpTo) // Collect reports its error
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[DestinationStatus])
	if err != nil {
		return nil, fmt.Errorf("read status of destinations: %w", err)
	}
	return list, nil
}

// estimatePending puts an estimate where there is more than can be counted.
func estimatePending(ctx context.Context, db DB, list []DestinationStatus) error {
	if !slices.ContainsFunc(list, func(d DestinationStatus) bool { return !d.PendingExact }) {
		return nil
	}
	percent, err := sampleSize(ctx, db, "kvit.river_job")
	if err != nil {
		return err
	}
	rows, _ := db.Query(ctx, `
		select coalesce(args ->> 'destination', ''), count(*), count(*) filter (where cardinality(errors) > 0)
		from kvit.river_job tablesample system ($1)
		where kind = 'deliver_event' and finalized_at is null
		group by 1`, percent) // ForEachRow reports its error
	var name string
	var pending, retrying int64
	_, err = pgx.ForEachRow(rows, []any{&name, &pending, &retrying}, func() error {
		i := slices.IndexFunc(list, func(d DestinationStatus) bool { return d.Name == name && !d.PendingExact })
		if i >= 0 {
			list[i].Pending = max(list[i].Pending, whole(pending, percent))
			list[i].Retrying = whole(retrying, percent)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("estimate what waits: %w", err)
	}
	return nil
}

// sampleSize is how many percent of a table's pages make a sample.
func sampleSize(ctx context.Context, db DB, table string) (percent float64, err error) {
	var pages int64
	err = db.QueryRow(ctx, `
		select greatest(pg_relation_size(to_regclass($1)) / current_setting('block_size')::bigint, 1)`, table).Scan(&pages)
	if err != nil {
		return 0, fmt.Errorf("measure %s: %w", table, err)
	}
	return min(100*sampledPages/float64(pages), 100), nil
}

// whole is how many rows of a table so many in a sample stand for.
func whole(sampled int64, percent float64) int64 { return int64(float64(sampled) * 100 / percent) }

// OutcomeCount is how many deliveries of a destination ended in one way.
type OutcomeCount struct {
	Destination string `json:"destination"`
	Outcome     string `json:"outcome"`
	Count       int64  `json:"count"`
	Exact       bool   `json:"exact"` // false: an estimate, from a sample; what there is little of may be missing
}

// OutcomeCounts counts receipts: one by one while there are few, else a sample, but for what failed, was rejected or is
// lost, of which CountedUpTo are counted.
func OutcomeCounts(ctx context.Context, db DB) ([]OutcomeCount, error) {
	var list []OutcomeCount
	err := uncompiled(ctx, db, func(tx pgx.Tx) (err error) {
		list, err = outcomes(ctx, tx)
		return err
	})
	return list, err
}

func outcomes(ctx context.Context, db DB) ([]OutcomeCount, error) {
	percent, err := sampleSize(ctx, db, "kvit.delivery")
	if err != nil {
		return nil, err
	}
	if percent*8 >= 100 { // some 150,000 receipts
		return outcomeCounts(ctx, db, `
			select destination, outcome, count(*) as count, true as exact
			from kvit.delivery
			group by destination, outcome
			order by destination, outcome`)
	}
	return outcomeCounts(ctx, db, `
		select destination, outcome, (count(*) * 100 / $1::float8)::bigint as count, false as exact
		from kvit.delivery tablesample system ($1)
		where outcome not in ('failed', 'rejected', 'lost')
		group by destination, outcome
		union all
		select d.name, o.outcome, c.count, c.count < $2
		from kvit.destination d
		cross join unnest(array['failed', 'rejected', 'lost']) o (outcome)
		cross join lateral (
		    select count(*) as count
		    from (select from kvit.delivery r where r.outcome = o.outcome and r.outcome in ('failed', 'rejected', 'lost') and r.destination = d.name limit $2) r
		) c
		where c.count > 0
		order by destination, outcome`, percent, CountedUpTo)
}

func outcomeCounts(ctx context.Context, db DB, sql string, args ...any) ([]OutcomeCount, error) {
	rows, _ := db.Query(ctx, sql, args...) // Collect reports its error
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
	Incomplete      int64      `json:"incomplete"`       // the ERP does not show the whole of them; they are not marked
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
		       (select count(*) from due where held) as erasures_held,
		       (select count(*) from `+o.incompleteOrders(refType)+`) as incomplete
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
