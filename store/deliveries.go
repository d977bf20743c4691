package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// Delivery is a receipt: how the delivery of one event to one destination has ended.
type Delivery struct {
	EventID        int64
	Destination    string
	Outcome        string
	Reason         string // empty: none
	Attempts       int
	FirstAttemptAt time.Time
	ResponseCode   int   // 0: none
	Unclear        bool  // the provider may have counted the event, though no clear answer came
	JobID          int64 // the job that ends with the receipt; 0: it goes on
	KeepJob        bool  // it stays as completed, as all others of the same list; otherwise it is deleted
	Careful        bool  // BeginAttempts has noted the attempt, which has then ended
}

// SettleDeliveries writes receipts, and ends the jobs that go with them in the same statement, so that there is no
// moment in which an event has neither. The first receipt of an event and destination stays; a second
// one, of a job that was rescued while it still ran, is dropped. One that said that the delivery was lost gives
// way: its job was still running when somebody deleted it.
//
// It returns the jobs that have ended. One whose row somebody else has locked goes on: a receipt waits for nobody.
func SettleDeliveries(ctx context.Context, db DB, list []Delivery) (ended []int64, err error) {
	rows, _ := db.Query(ctx, settleStatement(list), receiptColumns(list)...) // Collect reports its error
	ended, err = pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, fmt.Errorf("settle deliveries: %w", err)
	}
	return ended, nil
}

// settleStatement has no more parts than the list needs.
func settleStatement(list []Delivery) string {
	sql, ended := insertReceipts, `select j.id from unnest($9::bigint[]) j (id) where false`
	if slices.ContainsFunc(list, func(d Delivery) bool { return d.Careful }) {
		sql += endAttempts
	}
	if i := slices.IndexFunc(list, func(d Delivery) bool { return d.JobID != 0 }); i >= 0 {
		end := deleteJobs
		if list[i].KeepJob {
			end = completeJobs
		}
		sql, ended = sql+freeJobs+end, `select id from ended_jobs`
	}
	return sql + ended
}

const insertReceipts = `
		with receipts as (
		    insert into kvit.delivery as delivery (event_id, destination, outcome, reason, attempts, first_attempt_at, response_code, unclear)
		    select event_id, destination, outcome, nullif(reason, ''), attempts, first_attempt_at, nullif(response_code, 0), unclear
		    from unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::integer[], $6::timestamptz[], $7::integer[], $8::boolean[])
		         as t (event_id, destination, outcome, reason, attempts, first_attempt_at, response_code, unclear)
		    on conflict (event_id, destination) do update
		    set outcome = excluded.outcome, reason = excluded.reason, attempts = excluded.attempts, first_attempt_at = excluded.first_attempt_at,
		        finished_at = now(), response_code = excluded.response_code, unclear = excluded.unclear
		    where delivery.outcome = 'lost'
		)`

const endAttempts = `, ended_attempts as (
		    delete from kvit.delivery_attempt a
		    using unnest($1::bigint[], $2::text[]) as t (event_id, destination)
		    where a.event_id = t.event_id and a.destination = t.destination
		)`

const freeJobs = `, free as materialized (
		    select j.id from kvit.river_job j where j.id = any ($9::bigint[]) for update skip locked
		)`

// deleteJobs marks the statement before it deletes the first row: the trigger that keeps what was lost then knows that
// nothing is. The mark holds for this statement alone.
const deleteJobs = `, mark as materialized (
		    select set_config('kvit.settling', statement_timestamp()::text, true) as at
		), ended_jobs as (
		    delete from kvit.river_job j using mark, free where j.id = free.id and mark.at is not null returning j.id
		)
		`

const completeJobs = `, ended_jobs as (
		    update kvit.river_job j set state = 'completed', finalized_at = now() from free where j.id = free.id and j.state = 'running' returning j.id
		)
		`

func receiptColumns(list []Delivery) []any {
	n := len(list)
	eventIDs, destinations := make([]int64, n), make([]string, n)
	outcomes, reasons := make([]string, n), make([]string, n)
	attempts, codes := make([]int32, n), make([]int32, n)
	firsts, unclear, jobs := make([]time.Time, n), make([]bool, n), make([]int64, n)
	for i, d := range list {
		eventIDs[i], destinations[i], outcomes[i], reasons[i] = d.EventID, d.Destination, d.Outcome, d.Reason
		attempts[i], codes[i], firsts[i], unclear[i], jobs[i] = int32(d.Attempts), int32(d.ResponseCode), d.FirstAttemptAt, d.Unclear, d.JobID
	}
	return []any{eventIDs, destinations, outcomes, reasons, attempts, firsts, codes, unclear, jobs}
}

// BeginAttempts notes that events are about to be sent, and returns those of which that was not
// noted before. The others were about to be sent when a process crashed.
func BeginAttempts(ctx context.Context, db DB, destination string, eventIDs []int64) ([]int64, error) {
	rows, _ := db.Query(ctx, `
		insert into kvit.delivery_attempt (event_id, destination)
		select id, $1 from unnest($2::bigint[]) as t (id)
		on conflict (event_id, destination) do nothing
		returning event_id`, destination, eventIDs) // Collect reports its error
	fresh, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, fmt.Errorf("begin attempts: %w", err)
	}
	return fresh, nil
}

// EndAttempts takes back what BeginAttempts has noted.
func EndAttempts(ctx context.Context, db DB, destination string, eventIDs []int64) error {
	_, err := db.Exec(ctx, `
		delete from kvit.delivery_attempt where destination = $1 and event_id = any ($2)`, destination, eventIDs)
	if err != nil {
		return fmt.Errorf("end attempts: %w", err)
	}
	return nil
}

// SettleAbandoned writes "failed" receipts for deliveries whose job was cancelled by an operator or
// discarded by River, so that no event stays without an answer. An event that has another job, since
// it is sent again, is none. It returns how many.
func SettleAbandoned(ctx context.Context, db DB) (int, error) {
	tag, err := db.Exec(ctx, `
		insert into kvit.delivery (event_id, destination, outcome, reason, attempts, first_attempt_at, unclear)
		select e.id, d.name, 'failed', 'the job was ' || j.state || ' before it could end', j.attempt, j.attempted_at,
		       exists (select from unnest(j.errors) as t (error) where t.error ->> 'error' not like '%; not taken')
		from kvit.river_job j
		join kvit.event e on e.id = kvit.job_event_id(j.args)
		join kvit.destination d on d.name = j.args ->> 'destination'
		where j.kind = 'deliver_event'
		  and j.state in ('cancelled', 'discarded')
		  and j.finalized_at > now() - interval '8 days'
		  and not exists (select from kvit.delivery r where r.event_id = e.id and r.destination = d.name)
		  and not exists (
		      select from kvit.river_job p
		      where kvit.job_event_id(p.args) = e.id and p.kind = 'deliver_event' and p.finalized_at is null
		        and p.args ->> 'destination' = d.name)
		on conflict (event_id, destination) do nothing`)
	if err != nil {
		return 0, fmt.Errorf("settle abandoned deliveries: %w", err)
	}
	return int(tag.RowsAffected()), nil
}
