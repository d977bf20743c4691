package erasure

import (
	"context"
	"maps"
	"slices"
	"time"

	"kvit/config"
	"kvit/store"
)

// account tells what became of each order.
func (r *subjectRun) account(ctx context.Context) error {
	r.subject.Blocked = r.report.Blocked
	tasks, err := store.OpenTasks(ctx, r.db, r.request.Reference)
	if err != nil {
		return failure("list tasks", err)
	}
	r.subject.Tasks = append(r.subject.Tasks, tasks...)
	if r.Orders == nil {
		return nil
	}
	certified, err := store.ErasedByRequest(ctx, r.db, r.alive, r.now)
	if err != nil {
		return failure("look for certificates", err)
	}
	r.subject.Erased = append(r.subject.Erased, certified...)
	left, err := store.SubjectOrders(ctx, r.db, *r.Orders, r.request.Subject, r.now)
	if err != nil {
		return failure("find orders of a person", err)
	}
	found := map[string]bool{}
	for _, o := range certified {
		found[o.OrderRef] = true
	}
	for _, o := range left {
		if o.Ref != nil {
			found[*o.Ref] = true
		}
		if o.ErasedAt == nil {
			r.subject.Refused = append(r.subject.Refused, r.refusal(o))
		}
	}
	for _, ref := range r.alive {
		if !found[ref] {
			r.subject.Refused = append(r.subject.Refused, RefusedOrder{OrderRef: ref, Reason: "was changed meanwhile: run it again"})
		}
	}
	return nil
}

// refusal says why an order stays, and until when.
func (r *subjectRun) refusal(o store.SubjectOrder) RefusedOrder {
	refused := RefusedOrder{GoesAt: o.DueAt}
	if o.Ref == nil {
		refused.Reason = "has no reference yet, so that kvit cannot tell it from others"
		refused.GoesAt = nil
		return refused
	}
	refused.OrderRef = *o.Ref
	problem := slices.IndexFunc(r.report.Problems, func(p OrderProblem) bool { return p.OrderRef == *o.Ref })
	isDue := o.DueAt != nil && !o.DueAt.After(r.now)
	switch {
	case o.Held && o.HeldUntil == nil:
		refused.Reason, refused.GoesAt = "is on hold until it is released", nil
	case o.Held:
		refused.Reason = "is on hold until " + o.HeldUntil.UTC().Format(time.RFC3339)
		if o.DueAt != nil && o.DueAt.Before(*o.HeldUntil) {
			refused.GoesAt = o.HeldUntil
		}
	case o.ImportedAt == nil && !isDue:
		refused.Reason = "the ERP does not have it yet; " + config.FormatDuration(r.Orders.EraseAfter) + " after it has, the order goes by itself"
	case problem >= 0:
		refused.Reason, refused.GoesAt = r.report.Problems[problem].Problem, nil
	case len(r.subject.Blocked) > 0:
		refused.Reason, refused.GoesAt = "waits for tables that retention.policy does not fit", nil
	default:
		refused.Reason, refused.GoesAt = "another transaction had it locked: run it again", nil
	}
	return refused
}

// done is the report, and the error that it amounts to.
func (r *subjectRun) done(err error) (SubjectReport, error) {
	s := &r.subject
	s.DryRun, s.Events = r.report.DryRun, r.report.Events
	s.Unsearched = r.unsearched()
	maps.Copy(s.Rows, r.report.Rows)
	maps.DeleteFunc(s.Rows, func(_ string, n int64) bool { return n == 0 })
	if err == nil && s.incomplete() {
		err = ErrRefused
	}
	return *s, err
}

// unsearched lists what the request did not reach.
func (r *subjectRun) unsearched() []Unsearched {
	p := r.policy()
	if r.Orders == nil {
		return merged(r.unreached(p))
	}
	return merged(unfit(r.report.Blocked), r.unreached(p), kept(p), unasked(p, *r.Orders, r.request.Subject))
}

func (s SubjectReport) incomplete() bool {
	return isIncomplete(s.Unsearched) || s.Copies != nil && len(s.Copies.Found) > 0 || len(s.Refused)+len(s.Shared)+len(s.Kept)+len(s.Blocked) > 0 ||
		slices.ContainsFunc(s.Erased, func(o store.ErasedOrder) bool { return o.Shared > 0 })
}
