package watcher

import (
	"context"
	"fmt"
	"slices"
	"time"

	"kvit/erp"
	"kvit/store"
)

// Answer is what the ERP has of one order, and what kvit would make of it.
type Answer struct {
	OrderRef   string  `json:"order_ref"`
	Asked      string  `json:"asked"` // the reference as the ERP should have it; empty: it cannot be asked for
	Documents  []Found `json:"documents"`
	Conclusion string  `json:"conclusion"`
	Imported   bool    `json:"imported"` // it would be marked, or is
}

// Found is a document that the ERP has answered with.
type Found struct {
	Kind        string `json:"kind"`
	Ref         string `json:"ref"` // as the ERP has it
	Number      string `json:"number"`
	OrderNumber string `json:"order_number,omitempty"`
	Counts      string `json:"counts"` // why it counts, or does not
	evident     bool
	document    erp.Document
}

// askedBack is how far back changes are read of an ERP that cannot be asked for references.
const askedBack = 30 * 24 * time.Hour

// Ask asks for orders by their references, without regard to calls or to who else asks, and writes nothing. Documents that
// were not asked for are not shown.
func (w *Watcher) Ask(ctx context.Context, orderRefs []string) ([]Answer, error) {
	w.source.Meter.Begin(erp.Unlimited)
	answers := make([]Answer, len(orderRefs))
	for i, ref := range orderRefs {
		answers[i] = Answer{OrderRef: ref, Documents: []Found{}}
	}
	for i := range answers {
		spelled, fits := w.source.Matcher.Spell(answers[i].OrderRef)
		if fits {
			answers[i].Asked = spelled
		}
	}
	if err := w.askAll(ctx, answers); err != nil {
		return nil, err
	}
	return answers, w.concludeAll(ctx, answers)
}

func (w *Watcher) askAll(ctx context.Context, answers []Answer) error {
	take := func(docs []erp.Document) error { //nolint:unparam // the contract's form
		for _, d := range docs {
			w.file(answers, d)
		}
		return nil
	}
	finder, ok := w.source.Connector.(erp.Finder)
	if !ok {
		return w.askChanges(ctx, take)
	}
	var refs []string
	for _, a := range answers {
		if a.Asked != "" {
			refs = append(refs, a.Asked)
		}
	}
	for batch := range slices.Chunk(refs, max(w.source.Connector.Traits().Batch, 1)) {
		if err := finder.Lookup(ctx, batch, take); err != nil {
			return err
		}
	}
	return nil
}

func (w *Watcher) askChanges(ctx context.Context, take func([]erp.Document) error) error {
	follower, ok := w.source.Connector.(erp.Follower)
	if !ok {
		return erp.Fail(erp.Refused, "this kind of source is given documents, and cannot be asked")
	}
	from := time.Now().UTC().Add(-askedBack).Truncate(max(w.source.Connector.Traits().Resolution, time.Second))
	for _, stream := range follower.Streams() {
		if err := follower.Since(ctx, stream, from, take); err != nil {
			return err
		}
	}
	return nil
}

// file puts a document to the order that it names.
func (w *Watcher) file(answers []Answer, d erp.Document) {
	folded, ok := w.source.Matcher.Strip(d.Ref)
	for i := range answers {
		if !ok || answers[i].Asked == "" || erp.Fold(answers[i].OrderRef) != folded {
			continue
		}
		found := Found{Kind: d.Kind, Ref: d.Ref, Number: d.Number, OrderNumber: d.OrderNumber, document: d, Counts: "no: a " + d.Kind + " is no evidence"}
		if kind, number, evident := d.Evidence(); evident {
			found.Counts, found.evident = fmt.Sprintf("yes: %s %s", kind, number), true
		}
		answers[i].Documents = append(answers[i].Documents, found)
	}
}

func (w *Watcher) concludeAll(ctx context.Context, answers []Answer) error {
	var refs []string
	for _, a := range answers {
		refs = append(refs, spellings(a.OrderRef)...)
	}
	named, err := store.NamedOrders(ctx, w.db, w.orders, refs)
	if err != nil {
		return err
	}
	if err := w.compare(ctx, answers); err != nil {
		return err
	}
	for i := range answers {
		answers[i].conclude(named)
	}
	return nil
}

// compare finds the documents that do not show the whole order, where the source's have to.
func (w *Watcher) compare(ctx context.Context, answers []Answer) error {
	if w.source.Check == (erp.Check{}) {
		return nil
	}
	refs := make([]string, len(answers))
	for i, a := range answers {
		refs[i] = a.OrderRef
	}
	sizes, err := store.OrderSizes(ctx, w.db, w.orders, refs)
	if err != nil {
		return err
	}
	orders := map[string]erp.Order{}
	for _, s := range sizes {
		o := erp.Order{Lines: s.Lines}
		if s.Total != nil {
			o.Total = *s.Total
		}
		orders[s.Ref] = o
	}
	for _, a := range answers {
		for i := range a.Documents {
			f := &a.Documents[i]
			if problem := w.source.Check.Problem(f.document, orders[a.OrderRef]); f.evident && problem != "" {
				f.evident, f.Counts = false, "no: incomplete, "+problem
			}
		}
	}
	return nil
}

func (a *Answer) conclude(named []store.NamedOrder) {
	var twins int
	var order *store.NamedOrder
	for _, o := range named {
		if erp.Fold(o.Ref) == erp.Fold(a.OrderRef) {
			twins++
		}
		if o.Ref == a.OrderRef {
			order = &o
		}
	}
	evident := slices.ContainsFunc(a.Documents, func(f Found) bool { return f.evident })
	switch {
	case a.Asked == "":
		a.Conclusion = "cannot be asked for: the ERP's field does not hold the whole reference (ref_max_length)"
	case !evident && order != nil && order.Imported:
		a.Imported, a.Conclusion = true, "marked before; that the ERP shows nothing now changes nothing"
	case !evident:
		a.Conclusion = "no evidence: the order stays open"
	case order == nil:
		a.Conclusion = "the orders table has no such reference, or it is erased: nothing would be marked"
	case twins > 1:
		a.Conclusion = "another order differs by case alone: nothing would be marked"
	case order.Imported:
		a.Imported, a.Conclusion = true, "marked before: a number that differs would be a conflict"
	default:
		a.Imported, a.Conclusion = true, "would be marked as imported"
	}
}
