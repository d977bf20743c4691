package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// NewOperation is work that somebody asks for on a page. It holds no personal data of customers.
type NewOperation struct {
	Kind    string // what is to be done
	Subject string // a destination, an ERP; empty: none
	Request any    // what the kind needs to know, kept as JSON
	Who     string
	Reason  string
	Planned *int64  // events that were agreed to; nil: not counted
	Action  *Action // of deliveries, whose row counts the events; nil: it is none
}

// AddOperation notes what was asked for, with its audit. Call it in the transaction that makes its job.
func AddOperation(ctx context.Context, tx pgx.Tx, o NewOperation) (id int64, err error) {
	request, err := json.Marshal(o.Request)
	if err != nil {
		return 0, fmt.Errorf("add operation %s: %w", o.Kind, err)
	}
	var action *int64
	if o.Action != nil {
		begun, err := BeginAction(ctx, tx, *o.Action)
		if err != nil {
			return 0, err
		}
		action = &begun
	}
	err = tx.QueryRow(ctx, `
		insert into kvit.operation (kind, subject, request, requested_by, reason, planned, action_id)
		values ($1, $2, $3::text::jsonb, $4, $5, $6, $7)
		returning id`, o.Kind, o.Subject, string(request), o.Who, o.Reason, o.Planned, action).Scan(&id)
	if err != nil {
		return 0, fmt.Errorf("add operation %s: %w", o.Kind, err)
	}
	detail := struct {
		Operation int64  `json:"operation"`
		Planned   *int64 `json:"planned,omitempty"`
		Request   any    `json:"request,omitempty"`
	}{id, o.Planned, o.Request}
	return id, Audit(ctx, tx, AuditEntry{Who: o.Who, Action: o.Kind, Subject: o.Subject, Reason: o.Reason, Detail: detail})
}

// Operation is work that was asked for, and what came of it.
type Operation struct {
	ID          int64
	Kind        string
	Subject     string
	Request     []byte // JSON
	RequestedBy string
	Reason      string
	RequestedAt time.Time
	StartedAt   *time.Time
	FinishedAt  *time.Time
	ActionID    *int64
	Planned     *int64
	Done        int64   // events, of an action
	Report      []byte  // JSON; nil: none yet
	Problem     *string // why it did not go through
}

const operationColumns = `
	select o.id, o.kind, o.subject, o.request, o.requested_by, o.reason, o.requested_at, o.started_at, o.finished_at,
	       o.action_id, o.planned, coalesce(a.events, 0)::bigint as done, o.report, o.problem
	from kvit.operation o
	left join kvit.delivery_action a on a.id = o.action_id`

// ReadOperation returns an operation, or ErrNotFound.
func ReadOperation(ctx context.Context, db DB, id int64) (Operation, error) {
	rows, _ := db.Query(ctx, operationColumns+` where o.id = $1`, id) // Collect reports its error
	o, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Operation])
	if errors.Is(err, pgx.ErrNoRows) {
		return Operation{}, fmt.Errorf("operation %d: %w", id, ErrNotFound)
	}
	if err != nil {
		return Operation{}, fmt.Errorf("read operation %d: %w", id, err)
	}
	return o, nil
}

// LastOperations lists the newest operations of these kinds, the newest first.
func LastOperations(ctx context.Context, db DB, kinds []string, limit int) ([]Operation, error) {
	rows, _ := db.Query(ctx, operationColumns+` where o.kind = any ($1) order by o.id desc limit $2`, kinds, limit) // Collect reports its error
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[Operation])
	if err != nil {
		return nil, fmt.Errorf("list operations: %w", err)
	}
	return list, nil
}

// StartOperation notes that the work has begun, and when it began first.
func StartOperation(ctx context.Context, db DB, id int64) error {
	if _, err := db.Exec(ctx, `update kvit.operation set started_at = coalesce(started_at, now()) where id = $1`, id); err != nil {
		return fmt.Errorf("start operation %d: %w", id, err)
	}
	return nil
}

// ReportOperation keeps what an operation has done so far; report is kept as JSON.
func ReportOperation(ctx context.Context, db DB, id int64, report any) error {
	text, err := json.Marshal(report)
	if err != nil {
		return fmt.Errorf("report operation %d: %w", id, err)
	}
	if _, err := db.Exec(ctx, `update kvit.operation set report = $2::text::jsonb where id = $1`, id, string(text)); err != nil {
		return fmt.Errorf("report operation %d: %w", id, err)
	}
	return nil
}

// FinishOperation notes that the work has ended, and the problem that it ended with; empty: none.
func FinishOperation(ctx context.Context, db DB, id int64, problem string) error {
	_, err := db.Exec(ctx, `
		update kvit.operation set finished_at = now(), problem = $2 where id = $1 and finished_at is null`, id, nullIfEmpty(problem))
	if err != nil {
		return fmt.Errorf("finish operation %d: %w", id, err)
	}
	return nil
}
