package watcher

import (
	"context"
	"errors"
	"slices"
	"time"

	"kvit/erp"
	"kvit/store"
)

// lookup asks for open orders by their references: for all of them with every poll where they are few or the ERP tells no
// changes, else once a day. It goes on where the last run has stopped.
func (r *run) lookup(ctx context.Context) error {
	finder, ok := r.source.Connector.(erp.Finder)
	if !ok {
		return nil
	}
	after, began := "", r.Now
	if r.LookupAfter != nil && r.LookupBeganAt != nil {
		after, began = *r.LookupAfter, *r.LookupBeganAt
	}
	for first := true; ; first = false {
		refs, err := store.OpenOrders(ctx, r.db, r.orders, after, openChunk)
		if err != nil {
			return err
		}
		if first && after == "" && !r.wantsLookup(len(refs)) {
			return nil
		}
		done, err := r.lookupAll(ctx, finder, refs, began)
		if err != nil || !done {
			return err
		}
		if len(refs) < openChunk {
			return store.MoveERPLookup(ctx, r.db, r.source.Name, r.lease, began, "")
		}
		after = refs[len(refs)-1]
	}
}

// wantsLookup tells whether a lookup of so many open orders begins now.
func (r *run) wantsLookup(open int) bool {
	_, follows := r.source.Connector.(erp.Follower)
	few := open <= fewBatches*r.source.Connector.Traits().Batch
	return !follows || few || r.LookedUpAt == nil || r.Now.Sub(*r.LookedUpAt) >= lookupEvery
}

// lookupAll asks for references, batch by batch; done is false if the time or the calls of the run came to an end before.
func (r *run) lookupAll(ctx context.Context, finder erp.Finder, refs []string, began time.Time) (done bool, err error) {
	last, unsaved := "", 0
	save := func(least int) error {
		if unsaved < least {
			return nil
		}
		unsaved = 0
		return store.MoveERPLookup(ctx, r.db, r.source.Name, r.lease, began, last)
	}
	for batch := range slices.Chunk(refs, max(r.source.Connector.Traits().Batch, 1)) {
		if r.over() {
			return false, save(1)
		}
		err := r.lookupParts(ctx, finder, batch)
		if erp.KindOf(err) == erp.Spent && r.source.Meter.Used() > 0 {
			r.warn("the calls of one poll are used up before all open orders have been asked for; the next one goes on")
			return false, save(1)
		}
		if err != nil {
			return false, errors.Join(err, save(1))
		}
		last, unsaved = batch[len(batch)-1], unsaved+1
		if err := save(saveEvery); err != nil {
			return false, err
		}
	}
	return true, save(1)
}

// saveEvery is after how many batches progress is written: a crash costs so many calls again.
const saveEvery = 20

// mostRefused is how many single references an ERP may refuse in one run before the question itself must be wrong.
const mostRefused = 3

// lookupParts asks for a batch, and for its halves where the ERP does not take it or it is too much: one order must not keep
// the others from being found.
func (r *run) lookupParts(ctx context.Context, finder erp.Finder, batch []string) error {
	err := r.lookupBatch(ctx, finder, batch)
	if kind := erp.KindOf(err); kind != erp.Refused && kind != erp.TooMuch {
		return err
	}
	if len(batch) == 1 {
		if r.refused++; r.refused > mostRefused {
			return err
		}
		r.warn("the ERP does not take the reference of some orders: they cannot be asked for")
		return nil
	}
	half := len(batch) / 2
	if err := r.lookupParts(ctx, finder, batch[:half]); err != nil {
		return err
	}
	return r.lookupParts(ctx, finder, batch[half:])
}

// lookupBatch asks for some references. What was found before an answer failed is evidence all the same.
func (r *run) lookupBatch(ctx context.Context, finder erp.Finder, orderRefs []string) error {
	question := newQuestion(r.source.Matcher, orderRefs)
	if question.cut > 0 {
		r.warn("orders have references that the ERP's field cannot hold whole: they are not asked for (ref_max_length)")
	}
	if len(question.spelled) == 0 {
		return nil
	}
	var found []store.Evidence
	exact := r.source.Connector.Traits().Exact // else a short reference finds all that begin with it
	strangers := 0
	failed := finder.Lookup(ctx, question.spelled, func(docs []erp.Document) error {
		r.documents += len(docs)
		for _, d := range docs {
			ref, asked := question.order(d)
			if !asked {
				strangers++
				continue
			}
			if e, ok := r.evidenceOf(d, ref, true); ok {
				found = append(found, e)
			}
		}
		if strangers > mostStrangers && exact {
			return erp.Fail(erp.Malformed, "the ERP answers with thousands of documents that were not asked for: its filter is ignored")
		}
		return nil
	})
	if strangers > 0 && exact {
		r.warn("the ERP answers with documents that were not asked for: its filter does not compare whole references, or is ignored")
	}
	written, err := r.write(ctx, found)
	r.evidence += written
	return errors.Join(failed, err)
}

// mostStrangers is how many documents that nobody asked for are read of one answer.
const mostStrangers = 5_000

// question is what one lookup asks for.
type question struct {
	matcher erp.Matcher
	orders  map[string]string // by folded reference; empty: two orders have it
	spelled []string
	cut     int // orders that cannot be asked for
}

func newQuestion(m erp.Matcher, orderRefs []string) question {
	q := question{matcher: m, orders: make(map[string]string, len(orderRefs))}
	for _, ref := range orderRefs {
		spelled, fits := m.Spell(ref)
		if !fits {
			q.cut++
			continue
		}
		folded := erp.Fold(ref)
		if _, twice := q.orders[folded]; twice {
			q.orders[folded] = ""
			continue
		}
		q.orders[folded] = ref
		q.spelled = append(q.spelled, spelled)
	}
	return q
}

// order is the order that a document is of; asked is false of a document that nobody asked for. Of two orders that
// differ by case alone, none is named.
func (q question) order(d erp.Document) (ref string, asked bool) {
	folded, ok := q.matcher.Strip(d.Ref)
	if !ok {
		return "", false
	}
	ref, asked = q.orders[folded]
	return ref, asked
}

// evidenceOf is what a document shows of an order.
func (r *run) evidenceOf(d erp.Document, ref string, open bool) (store.Evidence, bool) {
	kind, number, ok := d.Evidence()
	if !ok || ref == "" || len([]rune(number)) > longestNumber {
		return store.Evidence{}, false
	}
	e := store.Evidence{OrderRef: ref, Number: number, DocumentKind: kind, ImportedAt: d.CreatedAt, Open: open}
	if r.source.Check.Lines {
		e.Lines = d.Lines
	}
	if r.source.Check.Total {
		e.Total = d.Total
	}
	return e, true
}

// longestNumber is what kvit.erp_receipt holds.
const longestNumber = 200

// write stores evidence, but for orders whose reference another order also has in another case.
func (r *run) write(ctx context.Context, found []store.Evidence) (int, error) {
	if len(found) == 0 {
		return 0, nil
	}
	var refs []string
	for _, e := range found {
		refs = append(refs, spellings(e.OrderRef)...)
	}
	named, err := store.NamedOrders(ctx, r.db, r.orders, refs)
	if err != nil {
		return 0, err
	}
	alone := map[string]int{}
	for _, o := range named {
		alone[erp.Fold(o.Ref)]++
	}
	found = slices.DeleteFunc(found, func(e store.Evidence) bool {
		twins := alone[erp.Fold(e.OrderRef)] > 1
		if twins {
			r.warn("orders have references that differ by case alone: what the ERP has of them is not believed")
		}
		return twins
	})
	if len(found) == 0 {
		return 0, nil
	}
	return store.InsertEvidence(ctx, r.db, r.source.Name, found)
}
