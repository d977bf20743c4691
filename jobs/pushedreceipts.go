package jobs

import (
	"context"
	"slices"
	"time"

	"kvit/erp"
	"kvit/store"
)

// pushedSource is the source of evidence that came over HTTP. No configured ERP can have this name.
const pushedSource = "POST /erp/receipts"

// How long receipts that were pushed wait for their judgement, and how often they look.
const (
	pushedPatience = 3 * time.Second
	pushedStep     = 50 * time.Millisecond
)

// PushedReceipts takes what ERPs say by themselves. The evidence is judged by the same jobs as any other.
type PushedReceipts struct {
	DB     store.DB
	Orders store.Orders
}

// Take stores evidence and waits a moment for what becomes of it. It returns kvit.erp_receipt's status of each document: new
// is stored, and not judged yet. Evidence that is there already is not stored again while its order is marked.
func (p PushedReceipts) Take(ctx context.Context, docs []erp.Document) ([]string, error) {
	list, err := p.evidence(ctx, docs)
	if err != nil {
		return nil, err
	}
	before, err := store.EvidenceStatuses(ctx, p.DB, pushedSource, list)
	if err != nil {
		return nil, err
	}
	if _, err := store.InsertEvidence(ctx, p.DB, pushedSource, list); err != nil {
		return nil, err
	}
	statuses, err := p.judged(ctx, list)
	if err != nil {
		return nil, err
	}
	for i, status := range statuses {
		if status == erp.Marked && before[i] == erp.Marked && !list[i].Open {
			statuses[i] = erp.AlreadyMarked
		}
	}
	return statuses, nil
}

// evidence are the rows to write. Quotes and failures are written, too: they are judged to be none, and can be seen.
func (p PushedReceipts) evidence(ctx context.Context, docs []erp.Document) ([]store.Evidence, error) {
	refs := make([]string, len(docs))
	for i, d := range docs {
		refs[i] = d.Ref
	}
	named, err := store.NamedOrders(ctx, p.DB, p.Orders, refs)
	if err != nil {
		return nil, err
	}
	marked := map[string]bool{}
	for _, o := range named {
		marked[o.Ref] = o.Imported
	}
	list := make([]store.Evidence, len(docs))
	for i, d := range docs {
		kind, number, ok := d.Evidence()
		if !ok {
			kind, number = d.Kind, d.Number
		}
		list[i] = store.Evidence{OrderRef: d.Ref, Number: number, DocumentKind: kind, ImportedAt: d.CreatedAt, Open: ok && !marked[d.Ref]}
	}
	return list, nil
}

// judged waits until nothing is new any more, for a moment at most.
func (p PushedReceipts) judged(ctx context.Context, list []store.Evidence) ([]string, error) {
	patience := time.After(pushedPatience)
	tick := time.NewTicker(pushedStep)
	defer tick.Stop()
	for {
		statuses, err := store.EvidenceStatuses(ctx, p.DB, pushedSource, list)
		if err != nil || !slices.Contains(statuses, "new") {
			return statuses, err
		}
		select {
		case <-tick.C:
		case <-patience:
			return statuses, nil
		case <-ctx.Done():
			return statuses, nil // they are stored
		}
	}
}
