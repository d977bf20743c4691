package erptest

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"kvit/erp"
)

// Memory is a Connector with documents in memory: Finder and Follower. Safe for concurrent use.
type Memory struct {
	mu       sync.Mutex
	docs     []erp.Document
	failures []error
	asked    []string
	traits   erp.Traits
	proof    erp.Proof
	meter    *erp.Meter
	page     int
	between  func()
	loose    bool
}

// NewMemory returns one that takes 40 references a lookup, compares whole values, and gives pages of 100.
func NewMemory(meter *erp.Meter) *Memory {
	return &Memory{traits: erp.Traits{Batch: 40, Exact: true}, proof: erp.Proof{Company: "memory"}, meter: meter, page: 100}
}

// Put adds documents.
func (m *Memory) Put(docs ...erp.Document) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.docs = append(m.docs, docs...)
}

// Remove takes away documents with this number.
func (m *Memory) Remove(number string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.docs = slices.DeleteFunc(m.docs, func(d erp.Document) bool { return d.Number == number })
}

// Fail makes the next calls fail, one error a call; nil lets a call succeed. Each page counts as a call. What an earlier Fail
// has left is forgotten.
func (m *Memory) Fail(errs ...error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failures = slices.Clone(errs)
}

// Expires sets when the credentials end.
func (m *Memory) Expires(at *time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.proof.Expires = at
}

// Between is called after each page was handed over.
func (m *Memory) Between(do func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.between = do
}

// IgnoreFilters makes it answer with everything that it has, whatever it is asked for.
func (m *Memory) IgnoreFilters() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.loose = true
}

// Asked are the references that were looked up, "probe", and "since STREAM TIME", in their order.
func (m *Memory) Asked() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.asked)
}

// Forget empties Asked.
func (m *Memory) Forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked = nil
}

// Traits are those of NewMemory.
func (m *Memory) Traits() erp.Traits { return m.traits }

// Probe succeeds unless Fail says otherwise.
func (m *Memory) Probe(context.Context) (erp.Proof, error) {
	err := m.call("probe")
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.proof, err
}

// Lookup compares as Exact says: whole values, in any case.
func (m *Memory) Lookup(ctx context.Context, refs []string, found func([]erp.Document) error) error {
	wanted := map[string]bool{}
	for _, ref := range refs {
		wanted[erp.Fold(ref)] = true
	}
	return m.pages(ctx, refs, func(d erp.Document) bool { return m.loose || wanted[erp.Fold(d.Ref)] }, found)
}

// Streams is one, of all documents.
func (m *Memory) Streams() []string { return []string{"documents"} }

// Since gives documents by their ChangedAt.
func (m *Memory) Since(ctx context.Context, stream string, from time.Time, found func([]erp.Document) error) error {
	asked := []string{"since " + stream + " " + from.UTC().Format(time.RFC3339)}
	return m.pages(ctx, asked, func(d erp.Document) bool { return m.loose || !d.ChangedAt.Before(from) }, found)
}

func (m *Memory) pages(ctx context.Context, asked []string, want func(erp.Document) bool, found func([]erp.Document) error) error {
	if err := m.call(asked...); err != nil {
		return err
	}
	docs := m.matching(want)
	for page := range slices.Chunk(docs, m.page) {
		if err := ctx.Err(); err != nil {
			return erp.Fail(erp.Unreachable, "interrupted")
		}
		if err := found(page); err != nil {
			return err
		}
		m.mu.Lock()
		between := m.between
		m.mu.Unlock()
		if between != nil {
			between()
		}
		if len(page) == m.page {
			if err := m.call(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *Memory) matching(want func(erp.Document) bool) []erp.Document {
	m.mu.Lock()
	defer m.mu.Unlock()
	var docs []erp.Document
	for _, d := range m.docs {
		if want(d) {
			docs = append(docs, d)
		}
	}
	slices.SortStableFunc(docs, func(a, b erp.Document) int {
		if c := a.ChangedAt.Compare(b.ChangedAt); c != 0 {
			return c
		}
		return strings.Compare(a.Number, b.Number)
	})
	return docs
}

func (m *Memory) call(asked ...string) error {
	if err := m.meter.Take(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked = append(m.asked, asked...)
	if len(m.failures) == 0 {
		return nil
	}
	err := m.failures[0]
	m.failures = m.failures[1:]
	return err
}
