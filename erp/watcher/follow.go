package watcher

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"kvit/erp"
	"kvit/store"
)

// follow reads what has changed in each stream since its watermark. An ERP that cannot be asked for references is read from
// the oldest open order on, once a day.
func (r *run) follow(ctx context.Context) error {
	follower, ok := r.source.Connector.(erp.Follower)
	if !ok {
		return nil
	}
	_, finds := r.source.Connector.(erp.Finder)
	all := !finds && (r.LookupAfter != nil || r.LookedUpAt == nil || r.Now.Sub(*r.LookedUpAt) >= lookupEvery)
	if !all {
		_, err := r.followStreams(ctx, follower, "")
		return err
	}
	return r.followAll(ctx, follower)
}

// allStreams is behind the name of a stream in the watermarks of reading from the oldest open order on.
const allStreams = " (all)"

func (r *run) followAll(ctx context.Context, follower erp.Follower) error {
	began := r.Now
	if r.LookupAfter != nil && r.LookupBeganAt != nil {
		began = *r.LookupBeganAt
	} else {
		if err := store.MoveERPLookup(ctx, r.db, r.source.Name, r.lease, began, strings.TrimSpace(allStreams)); err != nil {
			return err
		}
		if err := store.DropERPWatermarks(ctx, r.db, r.source.Name, r.lease, allStreams); err != nil {
			return err
		}
		for stream := range r.Watermarks {
			if strings.HasSuffix(stream, allStreams) {
				delete(r.Watermarks, stream)
			}
		}
	}
	done, err := r.followStreams(ctx, follower, allStreams)
	if err != nil || !done {
		return err
	}
	return store.MoveERPLookup(ctx, r.db, r.source.Name, r.lease, began, "")
}

// followStreams reads all streams; done is false if the time or the calls of the run came to an end before.
func (r *run) followStreams(ctx context.Context, follower erp.Follower, suffix string) (done bool, err error) {
	for _, stream := range follower.Streams() {
		if r.over() {
			return false, nil
		}
		if done, err := r.followStream(ctx, follower, stream, suffix); err != nil || !done {
			return done, err
		}
	}
	return true, nil
}

// errStop ends reading because the time or the calls of the run are up.
var errStop = errors.New("stop reading")

// followStream reads one stream. The watermark moves when everything was read. If the run stopped by itself, it moves as far
// as was read, provided that the oldest came first; if an answer failed, it stays.
func (r *run) followStream(ctx context.Context, follower erp.Follower, stream, suffix string) (done bool, err error) {
	from, err := r.from(ctx, stream, suffix)
	if err != nil || from.IsZero() {
		return err == nil, err
	}
	seen := progress{from: from, last: from, ascending: true}
	failed := follower.Since(ctx, stream, from, func(docs []erp.Document) error {
		r.documents += len(docs)
		seen.page(docs)
		if err := r.handIn(ctx, docs, false); err != nil {
			return err
		}
		if r.over() {
			return errStop
		}
		return nil
	})
	if seen.old > 0 {
		r.warn("the ERP answers with documents older than asked for: its filter by time of change is ignored")
	}
	stopped := errors.Is(failed, errStop) || erp.KindOf(failed) == erp.Spent && r.source.Meter.Used() > 0
	switch {
	case stopped && seen.ascending:
		r.warn("not all changes could be read in one poll; the next one goes on")
	case stopped:
		r.warn("not all changes could be read in one poll, and the ERP gives them in no order: they are read again")
		return false, nil
	case failed != nil:
		return false, failed
	}
	if !seen.last.After(from) {
		return !stopped, nil
	}
	// A time in the future would pass over all changes until then.
	to := seen.last
	if to.After(r.Now) {
		to = r.Now
	}
	for _, name := range slices.Compact([]string{stream, stream + suffix}) {
		if err := store.MoveERPWatermark(ctx, r.db, r.source.Name, r.lease, name, to); err != nil {
			return false, err
		}
	}
	return !stopped, nil
}

// progress is what has been read of a stream.
type progress struct {
	from      time.Time
	last      time.Time // the newest change
	ascending bool
	old       int // documents from before from
}

func (p *progress) page(docs []erp.Document) {
	for _, d := range docs {
		if d.ChangedAt.Before(p.from) {
			p.old++
			continue
		}
		if d.ChangedAt.Before(p.last) {
			p.ascending = false
			continue
		}
		p.last = d.ChangedAt
	}
}

// from is where reading a stream begins: an overlap before its watermark, since rows become visible later than their
// times say. Whatever was looked up completely need not be read again. The first time, it is a day before the oldest open order was
// placed; zero: there is none, and nothing to read.
func (r *run) from(ctx context.Context, stream, suffix string) (time.Time, error) {
	var from time.Time
	if mark, ok := r.Watermarks[stream+suffix]; ok {
		from = mark.Add(-r.source.Overlap)
	}
	if r.LookedUpAt != nil && suffix == "" {
		if looked := r.LookedUpAt.Add(-slack - r.source.Overlap); looked.After(from) {
			from = looked
		}
	}
	if from.IsZero() {
		oldest, err := store.OldestOpen(ctx, r.db, r.orders)
		if err != nil || oldest == nil {
			return time.Time{}, err
		}
		from = oldest.Add(-slack)
	}
	resolution := max(r.source.Connector.Traits().Resolution, time.Second)
	return from.UTC().Truncate(resolution), nil
}

// handIn writes what documents that nobody asked for show of the shop's orders, marked or not: a second number of an order is a
// conflict that people have to know of. Of orders that the shop does not have (yet), it writes something only if it is told so.
func (r *run) handIn(ctx context.Context, docs []erp.Document, unknown bool) error {
	byOrder := map[string][]erp.Document{}
	var refs []string
	for _, d := range docs {
		folded, ok := r.source.Matcher.Strip(d.Ref)
		if _, _, evident := d.Evidence(); !ok || !evident {
			continue
		}
		if byOrder[folded] == nil {
			refs = append(refs, spellings(r.rest(d.Ref))...)
		}
		byOrder[folded] = append(byOrder[folded], d)
	}
	if len(refs) == 0 {
		return nil
	}
	named, err := store.NamedOrders(ctx, r.db, r.orders, refs)
	if err != nil {
		return err
	}
	var found []store.Evidence
	for _, o := range named {
		for _, d := range byOrder[erp.Fold(o.Ref)] {
			if e, ok := r.evidenceOf(d, o.Ref, !o.Imported); ok {
				found = append(found, e)
			}
		}
	}
	if unknown {
		found = append(found, r.ofUnknown(byOrder, named)...)
	}
	written, err := r.write(ctx, found)
	r.evidence += written
	return err
}

// ofUnknown is evidence of orders that the shop does not have: they are looked for again for a day.
func (r *run) ofUnknown(byOrder map[string][]erp.Document, named []store.NamedOrder) (list []store.Evidence) {
	known := map[string]bool{}
	for _, o := range named {
		known[erp.Fold(o.Ref)] = true
	}
	for folded, docs := range byOrder {
		if known[folded] {
			continue
		}
		for _, d := range docs {
			if e, ok := r.evidenceOf(d, r.rest(d.Ref), true); ok {
				list = append(list, e)
			}
		}
	}
	return list
}

// rest is a reference behind its prefix, in the ERP's own case.
func (r *run) rest(ref string) string {
	return strings.TrimSpace(ref)[min(len(r.source.Matcher.Prefix), len(strings.TrimSpace(ref))):]
}

// spellings are the forms in which the shop may have a reference whose case the ERP may have changed.
func spellings(ref string) []string {
	ref = strings.TrimSpace(ref)
	list := []string{ref, strings.ToUpper(ref), strings.ToLower(ref)}
	slices.Sort(list)
	return slices.Compact(list)
}
