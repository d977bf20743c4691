package erasure

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"kvit/erasure/proof"
	"kvit/store"
)

// sampling is whose values a run collects. The zero value collects none.
type sampling struct {
	orders int      // so many
	others []string // that their values are compared with
}

// startSampling finds orders to compare with before any row is locked: it may read much of the table.
func (r *eraseRun) startSampling(ctx context.Context) {
	if r.Residue.Orders == 0 || r.Orders == nil {
		return
	}
	others, err := store.SampleRefs(ctx, r.DB, *r.Orders, nil, comparedOrders)
	if err != nil {
		return // the run itself finds out what is wrong with the orders, and looks for nothing
	}
	r.sampling = sampling{orders: r.Residue.Orders, others: others}
}

// remember collects, before a batch is erased, what to look for afterwards: of a few orders of the run.
func (r *eraseRun) remember(ctx context.Context, tx pgx.Tx, plan erasePlan, refs []string) (look, error) {
	wanted := min(r.sampling.orders-(len(r.look.refs)-len(r.look.apart)), len(refs))
	if plan.waiting || wanted <= 0 {
		return look{}, nil
	}
	mixed := slices.Clone(refs)
	//nolint:gosec // which orders are looked at need not be secret
	rand.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
	return r.lookFor(ctx, tx, r.shop, slices.Clone(plan.erasures), mixed[:wanted], slices.Concat(mixed[wanted:], r.sampling.others))
}

// add is called when a batch is committed.
func (l *look) add(more look) {
	for _, v := range more.values {
		v.Owner += len(l.refs)
		l.values = append(l.values, v)
	}
	l.refs = append(l.refs, more.refs...)
	l.alive, l.apart = append(l.alive, more.alive...), append(l.apart, more.apart...)
	l.unread = append(l.unread, more.unread...)
	if more.erasures != nil {
		l.erasures = more.erasures
	}
	if l.spared == nil {
		l.spared = map[string][]string{}
	}
	for table, rows := range more.spared {
		l.spared[table] = append(l.spared[table], rows...)
	}
}

// residues looks for copies when all is erased and committed. What goes wrong with it undoes nothing and is no
// problem of the run: the log tells, and no certificate claims that anybody has looked.
func (r *eraseRun) residues(ctx context.Context, runID int64) {
	if r.Residue.Orders == 0 {
		return
	}
	if len(r.look.values) > 0 {
		if err := r.knowErasures(ctx); err != nil {
			r.Logger.Warn("search for copies did not begin", "problem", describe(err))
			return
		}
		found, err := r.search(ctx, r.DB, r.shop, r.look, time.Now().Add(r.Residue.Time), nil)
		if err != nil {
			r.Logger.Warn("search for copies ended early", "problem", describe(err))
			return
		}
		r.report.Residue = &found
		r.tellResidue(found)
	}
	if err := r.noteResidue(ctx, runID); err != nil {
		r.Logger.Warn("result of the search for copies could not be noted", "problem", describe(err))
	}
}

func (r *eraseRun) tellResidue(found ResidueReport) {
	for _, c := range found.Found {
		r.Logger.Error("values of erased orders are left", "table", c.Table, "column", c.Column, "rows", c.Rows, "orders", c.Orders)
	}
	r.Logger.Info("searched for copies", "orders", found.Orders, "values", found.Values, "searched", found.Searched,
		"unsearched", len(found.Unsearched), "found", len(found.Found))
}

// knowErasures reads what the policy erases where no order was erased, so that rows of living orders are known.
func (r *eraseRun) knowErasures(ctx context.Context) error {
	if r.look.erasures != nil || r.Orders == nil {
		return nil
	}
	p := r.policy()
	database, err := ReadDatabase(ctx, r.DB, p.TableNames())
	if err != nil {
		return err
	}
	if r.shop, err = r.Orders.Resolved(ctx, r.DB); err != nil {
		return err
	}
	r.look.erasures = r.statements(p, database)
	return nil
}

// noteResidue writes down what was found and what is gone, with a supplement for each order that it is about.
func (r *eraseRun) noteResidue(ctx context.Context, runID int64) error {
	return pgx.BeginFunc(ctx, r.DB, func(tx pgx.Tx) error {
		if err := store.LockErasure(ctx, tx); err != nil {
			return err
		}
		if err := store.LimitWaiting(ctx, tx); err != nil {
			return err
		}
		s, err := r.newSupplements(ctx, tx)
		if err != nil {
			return err
		}
		if r.report.Residue != nil {
			if err := s.found(ctx, tx, runID, *r.report.Residue, r.look); err != nil {
				return err
			}
		}
		if err := s.gone(ctx, tx, r.report.Residue); err != nil {
			return err
		}
		return store.AppendCertificates(ctx, tx, s.list)
	})
}

// supplements are certificates that tell of a search.
type supplements struct {
	chain  proof.Chain
	policy string // its hash
	now    time.Time
	list   []store.Certificate
}

func (e *Eraser) newSupplements(ctx context.Context, tx pgx.Tx) (*supplements, error) {
	number, hash, err := store.LastCertificate(ctx, tx)
	if err != nil {
		return nil, err
	}
	now, err := e.now(ctx, tx)
	if err != nil {
		return nil, err
	}
	return &supplements{chain: proof.Chain{Number: number, Hash: hash}, policy: e.policy().Hash(), now: now}, nil
}

// add seals a supplement about an order and returns its number.
func (s *supplements) add(c proof.Certificate) int64 {
	c.ErasedAt, c.Clock, c.PolicyHash, c.RowCounts = s.now, proof.ClockResidue, s.policy, map[string]int64{}
	sealed := s.chain.Seal(c)
	s.list = append(s.list, store.Certificate(sealed))
	return sealed.Number
}

func (s *supplements) found(ctx context.Context, tx pgx.Tx, runID int64, r ResidueReport, l look) error {
	numbers := map[string]int64{} // by order, or rule
	for _, ref := range l.refs {
		if numbers[ref] > 0 {
			continue
		}
		places, values := r.placesOf(ref), l.count(ref)
		if values == 0 || r.Searched == 0 && len(places) == 0 {
			continue // nobody has looked: there is nothing to say
		}
		numbers[ref] = s.add(proof.Certificate{
			OrderRef: ref, Found: places, Unsearched: r.unsearched(),
			Searched: map[string]int64{proof.Places: int64(r.Searched), proof.Values: values},
		})
	}
	for _, c := range r.Found {
		finding := store.ResidueFinding{Table: c.Table, Column: c.Column, Rows: c.Rows, OrderRefs: slices.Sorted(maps.Keys(c.byRef)), RowKeys: c.rowKeys()}
		for _, ref := range finding.OrderRefs {
			finding.Certificates = append(finding.Certificates, numbers[ref])
		}
		if err := store.NoteResidue(ctx, tx, runID, s.now, finding); err != nil {
			return err
		}
	}
	return nil
}

// placesOf are the rows by column in which something of an order, or a rule, was found; nil: nothing was.
func (r ResidueReport) placesOf(ref string) (places map[string]int64) {
	for _, c := range r.Found {
		if n := c.byRef[ref]; n > 0 {
			if places == nil {
				places = map[string]int64{}
			}
			places[c.place()] = n
		}
	}
	return places
}

// count is how many values of an order, or of rows of a rule, are looked for.
func (l look) count(ref string) (n int64) {
	for _, v := range l.values {
		if l.refs[v.Owner] == ref {
			n++
		}
	}
	return n
}

func (c Copy) place() string { return c.Table + "." + c.Column }

// rowKeys are those of all rows; nil if some have none, or they are too many to list.
func (c Copy) rowKeys() []string {
	slices.Sort(c.keys)
	keys := slices.Compact(c.keys)
	if int64(len(keys)) < c.Rows {
		return nil
	}
	return keys
}

// unsearched tells reasons by table.
func (r ResidueReport) unsearched() map[string]string {
	if len(r.Unsearched) == 0 {
		return nil
	}
	reasons := map[string]string{}
	for _, u := range r.Unsearched {
		reasons[u.Table] = u.Reason
	}
	return reasons
}

// gone closes the findings of earlier runs of which nothing can be left. now is what this run has found; nil: it had
// nothing to look for.
func (s *supplements) gone(ctx context.Context, tx pgx.Tx, now *ResidueReport) error {
	open, err := store.OpenResidues(ctx, tx)
	if err != nil {
		return err
	}
	for _, o := range open {
		if now != nil && slices.ContainsFunc(now.Found, func(c Copy) bool { return c.Table == o.Table && c.Column == o.Column }) {
			continue
		}
		var gone bool
		err := inside(ctx, tx, func(tx pgx.Tx) (err error) {
			gone, err = store.ResidueGone(ctx, tx, o)
			return err
		})
		if err != nil && !isStatement(err) {
			return err
		}
		if gone && err == nil {
			if err := s.close(ctx, tx, o, ""); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *supplements) close(ctx context.Context, tx pgx.Tx, o store.ResidueStatus, by string) error {
	var numbers []int64
	for _, ref := range o.OrderRefs {
		numbers = append(numbers, s.add(proof.Certificate{OrderRef: ref, Found: map[string]int64{o.Table + "." + o.Column: 0}}))
	}
	return store.CloseResidue(ctx, tx, o.ID, s.now, by, numbers)
}

// ClearResidue closes a finding on the word of by: somebody has removed the copies, which kvit cannot tell since it
// kept no value to look for. It returns store.ErrNotFound if no such finding is open.
func (e *Eraser) ClearResidue(ctx context.Context, place, by string) error {
	return pgx.BeginFunc(ctx, e.DB, func(tx pgx.Tx) error {
		if err := store.LockErasure(ctx, tx); err != nil {
			return err
		}
		open, err := store.OpenResidues(ctx, tx)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(open, func(o store.ResidueStatus) bool { return o.Table+"."+o.Column == place })
		if i < 0 {
			return store.ErrNotFound
		}
		s, err := e.newSupplements(ctx, tx)
		if err != nil {
			return err
		}
		if err := s.close(ctx, tx, open[i], by); err != nil {
			return err
		}
		return store.AppendCertificates(ctx, tx, s.list)
	})
}
