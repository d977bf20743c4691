package store

import (
	"context"
	"fmt"
	"time"
)

// Delivery is a receipt: how the delivery of one event to one destination has ended.
type Delivery struct {
	EventID        int64
	Destination    string
	Outcome        string
	Reason         string // empty: none
	Attempts       int
	FirstAttemptAt time.Time
	ResponseCode   int // 0: none
}

// SettleDeliveries writes receipts. The first receipt of an event and destination stays; a second
// one, of a job that was rescued while it still ran, is dropped.
func SettleDeliveries(ctx context.Context, db DB, list []Delivery) error {
	n := len(list)
	eventIDs, destinations := make([]int64, n), make([]string, n)
	outcomes, reasons := make([]string, n), make([]string, n)
	attempts, codes := make([]int32, n), make([]int32, n)
	firsts := make([]time.Time, n)
	for i, d := range list {
		eventIDs[i], destinations[i], outcomes[i], reasons[i] = d.EventID, d.Destination, d.Outcome, d.Reason
		attempts[i], codes[i], firsts[i] = int32(d.Attempts), int32(d.ResponseCode), d.FirstAttemptAt
	}
	_, err := db.Exec(ctx, `
		insert into kvit.delivery (event_id, destination, outcome, reason, attempts, first_attempt_at, response_code)
		select event_id, destination, outcome, nullif(reason, ''), attempts, first_attempt_at, nullif(response_code, 0)
		from unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::integer[], $6::timestamptz[], $7::integer[])
		     as t (event_id, destination, outcome, reason, attempts, first_attempt_at, response_code)
		on conflict (event_id, destination) do nothing`,
		eventIDs, destinations, outcomes, reasons, attempts, firsts, codes)
	if err != nil {
		return fmt.Errorf("settle deliveries: %w", err)
	}
	return nil
}

// SettleAbandoned writes "failed" receipts for deliveries whose job was cancelled by an operator or
// discarded by River, so that no event stays without an answer. It returns how many.
func SettleAbandoned(ctx context.Context, db DB) (int, error) {
	tag, err := db.Exec(ctx, `
		insert into kvit.delivery (event_id, destination, outcome, reason, attempts, first_attempt_at)
		select e.id, j.args ->> 'destination', 'failed', 'the job was ' || j.state || ' before it could end', j.attempt, j.attempted_at
		from kvit.river_job j
		join kvit.event e on e.id = kvit.job_event_id(j.args)
		join kvit.destination d on d.name = j.args ->> 'destination'
		where j.kind = 'deliver_event'
		  and j.state in ('cancelled', 'discarded')
		  and j.finalized_at > now() - interval '8 days'
		on conflict (event_id, destination) do nothing`)
	if err != nil {
		return 0, fmt.Errorf("settle abandoned deliveries: %w", err)
	}
	return int(tag.RowsAffected()), nil
}
