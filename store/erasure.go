package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// LockErasure makes the transaction the only one that erases or places holds, and tells it to give
// up rather than make the shop wait: locks that the shop holds for longer than half a second are an
// error, since what the transaction has locked already, others wait for. Call it first in the
// transaction. It returns a *HeldError if another one does not end within 30 seconds.
func LockErasure(ctx context.Context, tx pgx.Tx) error {
	// Under a stricter isolation, which the database may have as its default, the statements after
	// the wait would not see what was committed meanwhile, such as a hold. A batch needs few rows of
	// each table, most of them in memory: with the default cost the planner reads whole tables instead.
	// All in one round trip, since each batch begins with it.
	_, err := tx.Exec(ctx, `
		set transaction isolation level read committed;
		`+lockStatement(erasureLock, lockPatience)+`;
		set local lock_timeout = '500ms';
		set local random_page_cost = 1.1`)
	if err != nil {
		return fmt.Errorf("lock erasure: %w", heldError(erasureLock, err))
	}
	return nil
}

// BackendPID is the server's process behind a transaction, also where a pool stands between.
func BackendPID(ctx context.Context, tx pgx.Tx) (pid uint32, err error) {
	if err := tx.QueryRow(ctx, `select pg_backend_pid()`).Scan(&pid); err != nil {
		return 0, fmt.Errorf("read backend pid: %w", err)
	}
	return pid, nil
}

// LimitWaiting makes the transaction give up, with an error, where the shop would have to wait for it or
// it for the shop: after 2 seconds for a lock, 5 for a statement.
func LimitWaiting(ctx context.Context, tx pgx.Tx) error {
	if _, err := tx.Exec(ctx, `set local lock_timeout = '2s'`); err != nil {
		return fmt.Errorf("limit waiting: %w", err)
	}
	if _, err := tx.Exec(ctx, `set local statement_timeout = '5s'`); err != nil {
		return fmt.Errorf("limit statements: %w", err)
	}
	return nil
}

// ErrRunning says that an erasure is under way, in this process or another.
var ErrRunning = errors.New("another erasure is under way")

// LockErasureRun makes the transaction's run the only one of all processes, until the transaction ends
// or its connection does. It returns ErrRunning, with the server process, if there is one. The transaction may wait while its
// run works in others: at this isolation it keeps nothing from being vacuumed.
func LockErasureRun(ctx context.Context, tx pgx.Tx) error {
	if _, err := tx.Exec(ctx, `set transaction isolation level read committed`); err != nil {
		return fmt.Errorf("set isolation of erasure run: %w", err)
	}
	if _, err := tx.Exec(ctx, `set local idle_in_transaction_session_timeout = 0`); err != nil {
		return fmt.Errorf("let erasure run wait: %w", err)
	}
	err := takeLock(ctx, tx, erasureRunLock, 0)
	var held *HeldError
	if errors.As(err, &held) {
		return fmt.Errorf("%w (server process %d)", ErrRunning, held.PID)
	}
	if err != nil {
		return fmt.Errorf("lock erasure run: %w", err)
	}
	return nil
}

// Due says which orders are due: those that go by Clock at Now, are not erased, and are under no hold.
type Due struct {
	Now   time.Time
	Clock Clock
	After DueOrder // go on after this one; the zero value: from the start
	Refs  []string // nil: all; needed by clocks without Since
	Limit int
}

// DueOrder is an order that has to be erased, and the ERP's evidence for it.
type DueOrder struct {
	Ref        string
	Since      pgtype.Timestamptz // when the clock began, which may be -infinity; null for clocks without Since
	ImportedAt *time.Time         // 1970 for anything earlier, 9999 for infinity; nil: the ERP does not have it
	ERPNumber  *string
}

// An order without a reference is none yet.
const alive = `{o.erased_at} is null and o.{ref} is not null`

// held takes now as its parameter. What stands in kvit's tables is written by kvit.order_ref; the shop's own reference may
// have a blank too many.
func held(now string) string {
	return `exists (select from kvit.legal_hold h
	        where h.order_ref = kvit.order_ref(o.{ref}::text) and (h.expires_at is null or h.expires_at > ` + now + `))`
}

// LockDueOrders reads orders that are due, those whose clock began first, and locks them. Orders that
// another transaction has locked are left out.
func LockDueOrders(ctx context.Context, tx pgx.Tx, o Orders, d Due) ([]DueOrder, error) {
	shape, err := o.shape(ctx, tx)
	if err != nil {
		return nil, err
	}
	if o.OwnMarks() {
		return o.lockDueByOwnMarks(ctx, tx, shape, d)
	}
	var args arguments
	since := "null::timestamptz" // a null without a type cannot be sorted by
	if d.Clock.Since != "" {
		since = "o." + QuoteColumn(d.Clock.Since)
	}
	where := o.sql(alive+` and not `+held(args.add(d.Now))+` and `+shape.alone()) + ` and ` + o.goesBy(d.Clock, d.Now, args.add)
	switch {
	case d.Refs != nil:
		where += o.sql(` and o.{ref} = any (` + args.add(d.Refs) + `::text[]::` + shape.refType + `[])`)
	case d.After.Ref != "":
		where += d.after(since, o.sql("o.{ref}"), shape.refType, args.add)
	}
	rows, _ := tx.Query(ctx, o.sql(`
		select o.{ref}::text as ref, {o.erp_number}::text as erp_number,
		       case when {o.imported_at} is not null then
		           least(greatest({o.imported_at}::timestamptz, '1970-01-01 00:00:00+00'), '9999-12-31 00:00:00+00') end as imported_at,
		       `+since+`::timestamptz as since
		from {orders} o
		where `)+where+o.sql(`
		order by `+since+`, o.{ref}
		limit `+args.add(d.Limit)+`
		`+shape.lock("skip locked")), args...) // Collect reports its error
	orders, err := pgx.CollectRows(rows, pgx.RowToStructByName[DueOrder])
	if err != nil {
		return nil, fmt.Errorf("find due orders: %w", err)
	}
	return orders, nil
}

// after goes on after Due.After, in the order of time and reference.
func (d Due) after(since, ref, refType string, arg func(any) string) string {
	at, last := arg(d.After.Since)+"::timestamptz", arg(d.After.Ref)+"::text::"+refType
	// The first condition is for the index, the second passes over orders of the same time.
	return ` and ` + since + ` >= ` + at + ` and (` + since + `::timestamptz, ` + ref + `) > (` + at + `, ` + last + `)`
}

// lockDueByOwnMarks finds the orders by kvit's marks, locks them where they can be locked, and then the marks.
func (o Orders) lockDueByOwnMarks(ctx context.Context, tx pgx.Tx, shape orderShape, d Due) ([]DueOrder, error) {
	if d.Refs != nil {
		d.Refs = shape.fitting(d.Refs)
		if err := o.noticeNamed(ctx, tx, d.Refs, shape.refType); err != nil {
			return nil, err
		}
	}
	var args arguments
	since := "null::timestamptz"
	switch {
	case d.Clock.Since != "":
		since = "o." + QuoteColumn(d.Clock.Since)
	case d.Clock.Name == ClockImported:
		since = "mark.kvit_mark_imported_at"
	}
	where := o.sql(`not `+held(args.add(d.Now))+` and `+shape.alone()) + ` and ` + o.goesBy(d.Clock, d.Now, args.add)
	switch {
	case d.Refs != nil:
		where += ` and mark.kvit_mark_ref = any (` + args.add(d.Refs) + `::text[])`
	case d.After.Ref != "":
		where += d.after(since, "mark.kvit_mark_ref", "text", args.add)
	}
	rows, _ := tx.Query(ctx, `
		select mark.kvit_mark_ref as order_ref, `+since+`::timestamptz as since
		from `+o.livingBy(shape.refType, d.Clock, d.Now, args.add)+`
		where `+where+`
		order by `+since+`, mark.kvit_mark_ref
		limit `+args.add(d.Limit)+`
		`+shape.lock("skip locked"), args...) // ForEachRow reports its error
	var found []DueOrder
	var one DueOrder
	_, err := pgx.ForEachRow(rows, []any{&one.Ref, &one.Since}, func() error {
		found = append(found, one)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("find due orders: %w", err)
	}
	return withOwnMarks(ctx, tx, found)
}

// withOwnMarks locks the marks of orders and fills in what they tell.
func withOwnMarks(ctx context.Context, tx pgx.Tx, found []DueOrder) ([]DueOrder, error) {
	refs := make([]string, len(found))
	for i, order := range found {
		refs[i] = order.Ref
	}
	marks, err := lockLivingMarks(ctx, tx, refs)
	if err != nil {
		return nil, err
	}
	var orders []DueOrder
	for _, order := range found {
		mark, ok := marks[order.Ref]
		if !ok {
			continue
		}
		order.ImportedAt, order.ERPNumber = mark.ImportedAt, mark.ERPNumber
		orders = append(orders, order)
	}
	return orders, nil
}

// OrderKeys reads a column of orders as text, by reference: for TableErasure.Keys. Null is left out.
func OrderKeys(ctx context.Context, tx pgx.Tx, o Orders, column string, refs []string) (map[string]string, error) {
	refType, err := o.refType(ctx, tx)
	if err != nil {
		return nil, err
	}
	rows, _ := tx.Query(ctx, o.sql(`
		select o.{ref}::text, o.`+QuoteColumn(column)+`::text
		from {orders} o
		where o.{ref} = any ($1::text[]::`+refType+`[]) and o.`+QuoteColumn(column)+` is not null`), refs) // ForEachRow reports its error
	keys := make(map[string]string, len(refs))
	var ref, key string
	_, err = pgx.ForEachRow(rows, []any{&ref, &key}, func() error {
		keys[ref] = key
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read keys of orders: %w", err)
	}
	return keys, nil
}

// CountDueOrders tells how many orders are due, and how many would be if no hold were on them.
func CountDueOrders(ctx context.Context, db DB, o Orders, now time.Time) (dueNow, onHold int, err error) {
	refType, err := o.refType(ctx, db)
	if err != nil {
		return 0, 0, err
	}
	var args arguments
	due := o.dueOrders(refType, `o.{ref} as ref, `+held(args.add(now))+` as held`, now, args.add)
	err = db.QueryRow(ctx, `
		select count(*) filter (where not held), count(*) filter (where held)
		from (`+due+`) t`, args...).Scan(&dueNow, &onHold)
	if err != nil {
		return 0, 0, fmt.Errorf("count due orders: %w", err)
	}
	return dueNow, onHold, nil
}

// CountOrders counts the rows of the orders table.
func CountOrders(ctx context.Context, db DB, o Orders) (int, error) {
	var n int
	if err := db.QueryRow(ctx, o.sql(`select count(*) from {orders}`)).Scan(&n); err != nil {
		return 0, fmt.Errorf("count orders: %w", err)
	}
	return n, nil
}

// HeldOrder is an order that would be due, but for a hold.
type HeldOrder struct {
	OrderRef  string     `json:"order_ref"`
	Reason    string     `json:"reason"`
	ExpiresAt *time.Time `json:"expires_at"` // nil: when it is released
}

// HeldOrders lists orders that would be due, in the order of their references, limit of them at most.
func HeldOrders(ctx context.Context, db DB, o Orders, now time.Time, limit int) ([]HeldOrder, error) {
	rows, _ := db.Query(ctx, `
		select order_ref from kvit.legal_hold where expires_at is null or expires_at > $1`, now) // Collect reports its error
	refs, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("find holds: %w", err)
	}
	refs, cast, err := o.castRefs(ctx, db, refs)
	if err != nil || len(refs) == 0 {
		return nil, err
	}
	args := arguments{refs}
	due := o.isUp(o.AllClocks(), now, args.add)
	// Holds are few: the orders are found by their references.
	rows, _ = db.Query(ctx, o.sql(`
		select h.order_ref, h.reason, h.expires_at
		from (select o.{ref}::text as ref from {orders} o where o.{ref} = any ($1::text[]::`+cast+`) and `+alive)+` and `+due+`) t
		join kvit.legal_hold h on h.order_ref = t.ref
		order by h.order_ref
		limit `+args.add(limit), args...) // Collect reports its error
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[HeldOrder])
	if err != nil {
		return nil, fmt.Errorf("find held orders: %w", err)
	}
	return list, nil
}

// EraseOrderEvents erases the events of orders, ends those of their deliveries that are pending as
// "erased", and returns the number of events by reference.
func EraseOrderEvents(ctx context.Context, tx pgx.Tx, refs []string, now time.Time) (map[string]int64, error) {
	rows, _ := tx.Query(ctx, `
		update kvit.event e
		set payload = null, consent = '{}', stream = null, erased_at = $2
		from unnest($1::text[]) o (ref)
		where e.order_ref = kvit.order_ref(o.ref) and e.erased_at is null
		returning e.id, o.ref`, refs, now) // ForEachRow reports its error
	counts := map[string]int64{}
	var ids []int64
	var id int64
	var ref string
	_, err := pgx.ForEachRow(rows, []any{&id, &ref}, func() error {
		ids = append(ids, id)
		counts[ref]++
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("erase events of orders: %w", err)
	}
	return counts, settleErased(ctx, tx, ids)
}

// settleErased writes the receipts of deliveries that will not take place any more.
func settleErased(ctx context.Context, tx pgx.Tx, eventIDs []int64) error {
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
		)
		delete from kvit.event e using old where e.id = old.id`, before, limit)
	if err != nil {
		return 0, fmt.Errorf("purge events: %w", err)
	}
	return int(tag.RowsAffected()), nil
}

// CheckConstraints lets deferred constraints, which Postgres checks at commit, speak now. Later statements
// of the transaction defer all that can be.
func CheckConstraints(ctx context.Context, tx pgx.Tx) error {
	for _, mode := range []string{"immediate", "deferred"} {
		if _, err := tx.Exec(ctx, `set constraints all `+mode); err != nil {
			return fmt.Errorf("check deferred constraints: %w", err)
		}
	}
	return nil
}

// ErasureRun is one run of the erasure.
type ErasureRun struct {
	StartedAt  time.Time
	FinishedAt *time.Time // nil: it is under way, or was interrupted and something may still be due
	Orders     int
	Events     int
	Problem    *string // why something is left undone; nil: all is well
	BrakedAt   *int    // orders that were due when the brake stopped it before the first; nil: it did not
}

// StartErasureRun notes that a run begins, and forgets runs that began before forget.
// Knows is the newest migration that the process knows of.
func StartErasureRun(ctx context.Context, db DB, now, forget time.Time, knows int) (id int64, err error) {
	if _, err := db.Exec(ctx, `delete from kvit.erasure_run where started_at < $1`, forget); err != nil {
		return 0, fmt.Errorf("forget erasure runs: %w", err)
	}
	err = db.QueryRow(ctx, `insert into kvit.erasure_run (started_at, known_migration) values ($1, $2) returning id`, now, knows).Scan(&id)
	if err != nil {
		return 0, fmt.Errorf("start erasure run: %w", err)
	}
	return id, nil
}

// FinishErasureRun notes how a run ended; of run it reads all but StartedAt.
func FinishErasureRun(ctx context.Context, db DB, id int64, run ErasureRun) error {
	_, err := db.Exec(ctx, `
		update kvit.erasure_run set finished_at = $2, orders = $3, events = $4, problem = $5, braked_at = $6 where id = $1`,
		id, run.FinishedAt, run.Orders, run.Events, run.Problem, run.BrakedAt)
	if err != nil {
		return fmt.Errorf("finish erasure run: %w", err)
	}
	return nil
}

// LastErasureRun is the last run of those that finished, whatever their clocks said; ErrNotFound if there is none.
func LastErasureRun(ctx context.Context, db DB) (ErasureRun, error) {
	rows, _ := db.Query(ctx, `
		select started_at, finished_at, orders, events, problem, braked_at
		from kvit.erasure_run
		where finished_at is not null
		order by id desc
		limit 1`) // Collect reports its error
	run, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[ErasureRun])
	if errors.Is(err, pgx.ErrNoRows) {
		return ErasureRun{}, fmt.Errorf("last erasure run: %w", ErrNotFound)
	}
	if err != nil {
		return ErasureRun{}, fmt.Errorf("last erasure run: %w", err)
	}
	return run, nil
}
