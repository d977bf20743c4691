package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// EachSubjectOrder calls do with a JSON object for each of the person's orders, the oldest first: the row
// as it stands, and what kvit knows of the order.
func EachSubjectOrder(ctx context.Context, db DB, o Orders, s Subject, do func(object []byte) error) error {
	search, err := newSearch(ctx, db, o, s)
	if err != nil {
		return err
	}
	where := search.orders()
	return eachObject(ctx, db, "export orders", o.sql(`
		select jsonb_build_object(
		    'order_ref', o.{ref}::text, 'erase_due_at', case when {o.erased_at} is null then {due_at} end, 'row', to_jsonb(o),
		    'hold', (select to_jsonb(h) - 'order_ref' from kvit.legal_hold h where h.order_ref = kvit.order_ref(o.{ref}::text)),
		    'erp_receipts', (select coalesce(jsonb_agg(to_jsonb(r) - 'order_ref' order by r.id), '[]')
		                     from kvit.erp_receipt r where r.order_ref = kvit.order_ref(o.{ref}::text)),
		    'certificates', (select coalesce(jsonb_agg(to_jsonb(c) - 'order_ref' order by c.number), '[]')
		                     from kvit.erasure_certificate c where c.order_ref = o.{ref}::text))::text
		from {orders} o
		where `+where+`
		order by o.{placed_at}, o.{ref}`), search.args, do)
}

// EachSubjectRow calls do with each row of a table, as a JSON object, that belongs to an order of the
// person or carries the e-mail address or customer id itself.
func EachSubjectRow(ctx context.Context, db DB, o Orders, s Subject, r Reached, do func(object []byte) error) error {
	search, err := newSearch(ctx, db, o, s, r)
	if err != nil {
		return err
	}
	var either []string
	for _, path := range r.Paths {
		from, links := reach(path, "p", "o")
		either = append(either, `exists (select from `+from+` where `+links+` and `+search.orders()+`)`)
		if from, where, ok := search.directly(r.Table, path); ok {
			either = append(either, exists(from, where))
		}
	}
	table := QuoteTable(r.Table)
	// One look for each way, so that each can use its own indexes.
	selects := make([]string, len(either))
	for i, found := range either {
		selects[i] = `select to_jsonb(t)::text from ` + table + ` t where ` + found
		for _, before := range either[:i] { // each row once
			selects[i] += ` and (` + before + `) is not true`
		}
	}
	return eachObject(ctx, db, "export "+r.Table, strings.Join(selects, " union all "), search.args, do)
}

// exists is true if there are such rows; without tables it is the condition alone.
func exists(from []string, where string) string {
	if len(from) == 0 {
		return where
	}
	return `exists (select from ` + strings.Join(from, ", ") + ` where ` + where + `)`
}

// EachSubjectEvent calls do with a JSON object for each event of the person, in the order in which they
// came: the event, and who was told of it. o is nil if no shop is configured.
func EachSubjectEvent(ctx context.Context, db DB, s Subject, refs []string, do func(object []byte) error) error {
	search := &subjectSearch{subject: s}
	return eachObject(ctx, db, "export events", `
		select json_build_object( -- not jsonb, which cannot hold all that a payload may have in it
		    'event_key', e.event_key, 'name', e.name, 'occurred_at', e.occurred_at, 'received_at', e.received_at,
		    'order_ref', e.order_ref, 'payload', e.payload, 'consent', e.consent, 'erased_at', e.erased_at,
		    'deliveries', (
		        select coalesce(jsonb_agg(jsonb_build_object(
		            'destination', d.destination, 'outcome', d.outcome, 'reason', d.reason, 'finished_at', d.finished_at,
		            'may_have_arrived', d.outcome = 'delivered' or d.unclear) order by d.finished_at, d.destination), '[]')
		        from kvit.delivery d where d.event_id = e.id),
		    'pending', (
		        select coalesce(jsonb_agg(j.args ->> 'destination' order by j.id), '[]')
		        from kvit.river_job j
		        where kvit.job_event_id(j.args) = e.id and j.kind = 'deliver_event' and j.finalized_at is null))::text
		from kvit.event e
		where e.id in (`+search.events(refs)+`)
		order by e.id`, search.args, do)
}

func eachObject(ctx context.Context, db DB, what, sql string, args []any, do func(object []byte) error) error {
	rows, err := db.Query(ctx, sql, args...)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	defer rows.Close()
	for rows.Next() {
		object, err := pgx.RowTo[[]byte](rows)
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		if err := do(object); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}
