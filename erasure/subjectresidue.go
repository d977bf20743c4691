package erasure

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"kvit/store"
)

// rememberPerson collects, before anything of a person goes, what to look for afterwards: values of the person's orders,
// of rows without one, and the address that the request itself names.
func (r *subjectRun) rememberPerson(ctx context.Context, tx pgx.Tx, plan erasePlan) error {
	if r.Residue.Orders == 0 {
		return nil
	}
	ref := requestPrefix + r.request.Reference
	if r.Orders != nil {
		others, err := store.SampleRefs(ctx, tx, r.shop, r.alive, comparedOrders)
		if err != nil {
			return err
		}
		// Nobody has thousands of orders, but a wholesaler: values of some will do.
		some := r.alive[:min(len(r.alive), maxSamples)]
		if r.values, err = r.lookFor(ctx, tx, r.shop, plan.erasures, slices.Clone(some), others); err != nil {
			return err
		}
	}
	own := look{refs: []string{ref}, apart: []string{ref}}
	values, err := r.ownValues(ctx, tx, plan, ref)
	if err != nil {
		return err
	}
	own.values = chooseValues(values, own.refs, placeholders(plan.erasures))
	if email := r.request.Subject.Email; email != "" { // however many orders have it, it is the person's
		own.values = append(own.values, store.SearchValue{Forms: formsOf(email)})
	}
	r.values.add(own)
	return nil
}

// ownValues are those of rows that lead to the person without an order. What cannot be read is no error.
func (r *subjectRun) ownValues(ctx context.Context, tx pgx.Tx, plan erasePlan, ref string) ([]store.OldValue, error) {
	var values []store.OldValue
	for _, e := range plan.erasures {
		err := inside(ctx, tx, func(tx pgx.Tx) error {
			found, err := store.OldSubjectValues(ctx, tx, *r.Orders, e, r.request.Subject, ref)
			values = append(values, found...)
			return err
		})
		if err != nil && !isStatement(err) {
			return nil, err
		}
	}
	return values, nil
}

// copies looks everywhere for what should be gone of the person, when all is erased: in memory alone, and by table
// and column. The chain of certificates tells of it as it does of a run's search. What goes wrong undoes nothing.
func (r *subjectRun) copies(ctx context.Context) error {
	if len(r.values.values) == 0 {
		return nil
	}
	erased := map[string]bool{}
	for _, o := range r.subject.Erased {
		erased[o.OrderRef] = true
	}
	for _, ref := range r.values.refs {
		if !erased[ref] && !slices.Contains(r.values.apart, ref) {
			r.values.alive = append(r.values.alive, ref)
		}
	}
	r.values.keepErased()
	found, err := r.search(ctx, r.db, r.shop, r.values, time.Now().Add(r.Residue.Time), nil)
	if err != nil {
		return failure("look for copies", err)
	}
	r.subject.Copies = &found
	if r.report.DryRun || len(found.Found) == 0 && len(r.subject.Erased) == 0 && !r.erasedRows() {
		return nil // nothing was erased this time of which a certificate could tell
	}
	r.eraseRun.look, r.report.Residue = r.values, &found
	if err := r.noteResidue(ctx, 0); err != nil {
		return failure("note the result of the search for copies", err)
	}
	return nil
}

func (r *subjectRun) erasedRows() bool {
	return slices.ContainsFunc(slices.Collect(maps.Values(r.report.Rows)), func(n int64) bool { return n > 0 })
}

// keepErased forgets the values of orders that were not erased.
func (l *look) keepErased() {
	l.values = slices.DeleteFunc(l.values, func(v store.SearchValue) bool { return slices.Contains(l.alive, l.refs[v.Owner]) })
}
