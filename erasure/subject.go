package erasure

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"kvit/erasure/policy"
	"kvit/store"
)

// ErrRefused says that something of a person is not erased yet; the report tells what and why.
var ErrRefused = errors.New("not everything of the person could be erased")

// SubjectRequest is a person's request to be forgotten.
type SubjectRequest struct {
	Subject   store.Subject
	Reference string // the operator's name of it, such as a ticket's number; nothing personal
	By        string // who carries it out
}

// SubjectReport is what became of a request, or would in a dry run. It says nothing about the person but
// references of orders.
type SubjectReport struct {
	DryRun    bool                `json:"dry_run"`
	Reference string              `json:"reference"`
	Erased    []store.ErasedOrder `json:"erased"`
	Refused   []RefusedOrder      `json:"refused"` // orders that stay for now
	Rows      map[string]int64    `json:"rows"`    // overwritten or deleted, by table
	Events    int                 `json:"events"`  // erased
	Shared    map[string]int64    `json:"shared"`  // rows with the person's address or id that stay with orders, by table
	Kept      map[string]int64    `json:"kept"`    // events that stay with their order, by its reference
	Blocked   []policy.Blocked    `json:"blocked"` // tables that the policy does not fit
	Tasks     []store.Task        `json:"tasks"`   // open ones of this reference

	// Copies is what a search for values of the person has found everywhere else; nil: nothing was looked for.
	Copies *ResidueReport `json:"copies"`

	// Unsearched are tables of the configuration in which nothing of the person was looked for, or erased.
	Unsearched []Unsearched `json:"not_searched"`

	// What the providers have to be told by, and must not be kept.
	ClientIDs []string `json:"-"`
	EventIDs  []int64  `json:"-"`
}

// RefusedOrder is an order of the person that is not erased.
type RefusedOrder struct {
	OrderRef string     `json:"order_ref"` // empty: it has none yet
	Reason   string     `json:"reason"`
	GoesAt   *time.Time `json:"goes_at"` // when it goes by itself; nil: nobody knows yet
}

// requestPrefix begins the order reference of certificates that are about a person's rows and events
// without an order; the reference of the request follows.
const requestPrefix = "request:"

// EraseSubject erases what there is of a person, now instead of later: orders that the ERP has or that
// are due, unless they are on hold, and what belongs to no order. It makes a task for each destination
// that may have the person's data before the first row goes. The error is ErrRefused if something stays,
// store.ErrRunning if another erasure is under way, and a *policy.MisfitError if nothing could be told.
func (e *Eraser) EraseSubject(ctx context.Context, q SubjectRequest) (SubjectReport, error) {
	r := newSubjectRun(e, q)
	err := r.alone(ctx, func() error { return r.all(ctx) })
	return r.done(err)
}

// DryEraseSubject runs the statements of EraseSubject in one transaction and rolls it back.
func (e *Eraser) DryEraseSubject(ctx context.Context, q SubjectRequest) (SubjectReport, error) {
	r := newSubjectRun(e, q)
	err := r.undone(ctx, func(pgx.Tx) error { return r.all(ctx) })
	return r.done(err)
}

// subjectRun is the run of one request.
type subjectRun struct {
	*eraseRun
	request SubjectRequest
	subject SubjectReport
	alive   []string // the person's orders before the run, by reference
	values  look     // of the person, for the search afterwards
}

func newSubjectRun(e *Eraser, q SubjectRequest) *subjectRun {
	run := e.newRun(time.Time{})
	run.size = newBatchSize(e.BatchOrders, 0) // rows that the person's orders share go with all of them at once
	return &subjectRun{eraseRun: run, request: q, subject: SubjectReport{
		Reference: q.Reference, Erased: []store.ErasedOrder{}, Refused: []RefusedOrder{}, Rows: map[string]int64{},
		Shared: map[string]int64{}, Kept: map[string]int64{}, Blocked: []policy.Blocked{}, Tasks: []store.Task{}, Unsearched: []Unsearched{},
	}}
}

func (r *subjectRun) all(ctx context.Context) error {
	if err := r.prepare(ctx); err != nil {
		return err
	}
	if err := r.named(ctx, store.Clock{Name: store.ClockRequest}, r.alive); err != nil {
		return wordless("erase orders of a person", err)
	}
	if err := r.person(ctx); err != nil {
		return wordless("erase what a person has without an order", err)
	}
	if err := r.account(ctx); err != nil {
		return err
	}
	return r.copies(ctx)
}

// wordless is failure, but for errors that hold no values.
func wordless(action string, err error) error {
	var remains *store.RemainsError
	if IsMisfit(err) || errors.As(err, &remains) {
		return fmt.Errorf("%s: %w", action, err)
	}
	if isLocked(err) {
		return errors.New(action + ": another transaction had rows locked: run it again")
	}
	return failure(action, err)
}

// prepare notes whom to tell before anything goes: a crash may come at any moment.
func (r *subjectRun) prepare(ctx context.Context) error {
	err := r.locked(ctx, func(tx pgx.Tx) error {
		var plan erasePlan
		if r.Orders != nil {
			var err error
			if plan, err = r.fit(ctx, tx); err != nil {
				return err
			}
		}
		refs, err := r.look(ctx, tx)
		if err != nil {
			return err
		}
		if err := r.rememberPerson(ctx, tx, plan); err != nil {
			return err
		}
		subject := r.request.Subject
		if r.subject.EventIDs, err = store.SubjectEventIDs(ctx, tx, subject, refs); err != nil {
			return err
		}
		if r.subject.ClientIDs, err = store.SubjectClients(ctx, tx, subject, refs); err != nil {
			return err
		}
		return store.MakeTasks(ctx, tx, store.TaskRequest{
			Reference: r.request.Reference, By: r.request.By, Subject: subject, OrderRefs: refs, ClientIDs: len(r.subject.ClientIDs),
		})
	})
	if err != nil {
		return wordless("find a person", err)
	}
	return nil
}

// look finds the person's orders, also those that are erased already.
func (r *subjectRun) look(ctx context.Context, tx pgx.Tx) (refs []string, err error) {
	if r.Orders == nil {
		return nil, nil
	}
	orders, err := store.SubjectOrders(ctx, tx, *r.Orders, r.request.Subject, r.now)
	if err != nil {
		return nil, err
	}
	for _, o := range orders {
		if o.Ref == nil {
			continue
		}
		refs = append(refs, *o.Ref)
		if o.ErasedAt == nil {
			r.alive = append(r.alive, *o.Ref)
		}
	}
	return refs, nil
}

// person erases what belongs to no order, in one transaction with its certificate.
func (r *subjectRun) person(ctx context.Context) error {
	counts := map[string]int64{}
	err := r.locked(ctx, func(tx pgx.Tx) error {
		if r.Orders != nil {
			if err := r.rows(ctx, tx, counts); err != nil {
				return err
			}
		}
		events, err := store.EraseSubjectEvents(ctx, tx, r.Orders, r.request.Subject, r.now)
		if err != nil {
			return err
		}
		r.subject.Kept = events.Kept
		if events.Erased > 0 {
			counts[eventTable] = events.Erased
		}
		if err := r.proof(ctx, tx, counts); err != nil || !r.report.DryRun {
			return err
		}
		return store.CheckConstraints(ctx, tx) // which no commit will do
	})
	if err != nil {
		return err
	}
	for table, n := range counts {
		r.report.Rows[table] += n
	}
	r.report.Events += int(counts[eventTable])
	return nil
}

// proof is a certificate for all rows and events at once, if there were any.
func (r *subjectRun) proof(ctx context.Context, tx pgx.Tx, counts map[string]int64) error {
	if len(counts) == 0 {
		return nil
	}
	var shared int64
	for _, n := range r.subject.Shared {
		shared += n
	}
	ref := requestPrefix + r.request.Reference
	return r.certify(ctx, tx, store.Clock{Name: store.ClockRequest}, []store.DueOrder{{Ref: ref}},
		rowCounts{ref: counts}, map[string]int64{ref: shared})
}

func (r *subjectRun) rows(ctx context.Context, tx pgx.Tx, counts map[string]int64) error {
	plan, err := r.fit(ctx, tx)
	if err != nil {
		return err
	}
	for _, e := range plan.erasures {
		found, err := store.EraseSubjectRows(ctx, tx, *r.Orders, e, r.request.Subject)
		if err != nil {
			return err
		}
		if found.Left > 0 {
			return &store.RemainsError{Table: e.Table, Rows: found.Left}
		}
		if found.Erased > 0 {
			counts[e.Table] = found.Erased
		}
		if found.Shared > 0 {
			r.subject.Shared[e.Table] = found.Shared
		}
	}
	return nil
}
