package erasure

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"kvit/erasure/policy"
	"kvit/store"
)

// Residue says how a run looks for copies of what it has erased.
type Residue struct {
	Orders int           // of a run, of which it looks for values; 0: it does not look
	Time   time.Duration // for all of them together
}

// ResidueReport is what a search for copies has found. It holds no personal data.
type ResidueReport struct {
	Orders     int                `json:"orders"`     // whose values were looked for
	Rows       int                `json:"rows"`       // of retention.tables, or of a person without an order, whose values were
	Values     int                `json:"values"`     // that were looked for
	Searched   int                `json:"searched"`   // tables and materialized views, each as a whole
	Unsearched []store.Unsearched `json:"unsearched"` // of these nothing is known
	Complete   bool               `json:"complete"`   // something was looked for, and in all places
	Found      []Copy             `json:"found"`      // rows that hold a value of an erased order
	Kept       []Copy             `json:"kept"`       // the same, but meant
}

// Copy is a column in which values of erased orders stand.
type Copy struct {
	Table  string `json:"table"`
	Column string `json:"column"`
	Rows   int64  `json:"rows"`   // for each order
	Orders int    `json:"orders"` // that it was found of
	Reason string `json:"reason"` // what it is, or why it is meant

	byRef map[string]int64 // rows by order
	keys  []string         // of the rows
}

// look is what to look for: values of orders, in memory alone.
type look struct {
	refs     []string // an owner of values is an index of it
	values   []store.SearchValue
	alive    []string // of refs, those that could not be erased: what they hold is no copy
	apart    []string // of refs, those that name no order but a rule, or a request
	unread   []store.Unsearched
	erasures []store.TableErasure
	spared   map[string][]string // rows that the policy means to stay, by table, as store.SparedRows tells them
}

// comparedOrders is how many other orders a value must not occur with to be distinctive.
const comparedOrders = 30

// lookFor collects the distinctive values of orders that are about to be erased. What cannot be read is no error:
// the erasure goes on, and the report says it. others are orders that the values are compared with.
func (e *Eraser) lookFor(ctx context.Context, tx pgx.Tx, shop store.Orders, erasures []store.TableErasure, refs, others []string) (look, error) {
	l := look{refs: refs, erasures: erasures, spared: map[string][]string{}}
	var values []store.OldValue
	read := func(table string, do func(pgx.Tx) ([]store.OldValue, error)) error {
		var found []store.OldValue
		err := inside(ctx, tx, func(tx pgx.Tx) (err error) {
			found, err = do(tx)
			return err
		})
		if err != nil && isStatement(err) {
			l.unread = append(l.unread, store.Unsearched{Table: table, Reason: "its old values could not be read: " + store.Describe(err)})
			return nil
		}
		values = append(values, found...)
		return err
	}
	others = slices.DeleteFunc(slices.Clone(others), func(ref string) bool { return slices.Contains(refs, ref) })
	all := slices.Concat(refs, others[:min(len(others), comparedOrders)])
	for _, erasure := range erasures {
		erasure.Keys = nil
		err := read(erasure.Table, func(tx pgx.Tx) ([]store.OldValue, error) { return store.OldValues(ctx, tx, shop, erasure, all) })
		if err != nil {
			return l, err
		}
	}
	err := read(eventTable, func(tx pgx.Tx) ([]store.OldValue, error) { return store.OldEventValues(ctx, tx, all) })
	if err != nil {
		return l, err
	}
	l.values = chooseValues(values, refs, placeholders(erasures))
	return l, e.findSpared(ctx, tx, shop, &l)
}

// findSpared looks for the rows of governed tables that the policy means to stay although orders lead to them: by
// rows: keep, or by a condition. What cannot be read makes a false alarm at most.
func (e *Eraser) findSpared(ctx context.Context, tx pgx.Tx, shop store.Orders, l *look) error {
	p := e.policy()
	for table, erased := range pathsByTable(l.erasures) {
		meant := p.Spared(table)
		if len(meant) == 0 {
			continue
		}
		err := inside(ctx, tx, func(tx pgx.Tx) (err error) {
			l.spared[table], err = store.SparedRows(ctx, tx, shop, table, meant, erased, l.refs)
			return err
		})
		if err != nil && !isStatement(err) {
			return err
		}
	}
	return nil
}

// pathsByTable are those by which rows are erased.
func pathsByTable(erasures []store.TableErasure) map[string][][]store.Link {
	paths := map[string][][]store.Link{}
	for _, e := range erasures {
		if len(e.Path) > 0 {
			paths[e.Table] = append(paths[e.Table], e.Path)
		}
	}
	return paths
}

// inside runs do in a transaction within the transaction, so that a statement that fails ends nothing else.
func inside(ctx context.Context, tx pgx.Tx, do func(pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, tx, do)
}

// isStatement: the database refused a statement, and goes on.
func isStatement(err error) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) && !store.IsConnection(err)
}

// placeholders are the texts that erased columns get.
func placeholders(erasures []store.TableErasure) []string {
	var texts []string
	for _, e := range erasures {
		for _, w := range e.Writes {
			if w.Strategy == "text" {
				texts = append(texts, w.Text)
			}
		}
	}
	return texts
}

// owners are the indexes of the orders of which something is looked for.
func (l look) owners() map[int]bool {
	owners := map[int]bool{}
	for _, v := range l.values {
		owners[v.Owner] = true
	}
	return owners
}

// search looks everywhere, until that time, for what should be gone of the orders. shop knows which of the rows
// belong to other orders. progress may be nil; it is told the places that are done, of how many.
func (e *Eraser) search(ctx context.Context, db store.DB, shop store.Orders, l look, until time.Time, progress func(done, total int)) (ResidueReport, error) {
	r := ResidueReport{Values: len(l.values), Unsearched: append([]store.Unsearched{}, l.unread...), Found: []Copy{}, Kept: []Copy{}}
	for owner := range l.owners() {
		if slices.Contains(l.apart, l.refs[owner]) {
			r.Rows++
		} else {
			r.Orders++
		}
	}
	places, barred, err := store.SearchPlaces(ctx, db)
	if err != nil {
		return r, err
	}
	r.Unsearched = append(r.Unsearched, barred...)
	judge := e.judgeOf(shop, l)
	for i, place := range places {
		if progress != nil {
			progress(i, len(places))
		}
		if len(l.values) == 0 {
			continue // nobody can say that a place was searched for nothing
		}
		hits, err := store.SearchValues(ctx, db, place, l.values, judge.scope(place.Table), time.Until(until))
		var not *store.UnsearchedError
		switch {
		case errors.As(err, &not):
			r.Unsearched = append(r.Unsearched, store.Unsearched{Table: place.Table, Reason: not.Reason})
		case err != nil:
			return r, err
		case !slices.ContainsFunc(barred, func(u store.Unsearched) bool { return u.Table == place.Table }):
			r.Searched++
		}
		for _, hit := range hits {
			r.note(judge, place, hit)
		}
	}
	if progress != nil {
		progress(len(places), len(places))
	}
	r.Complete = r.Searched > 0 && len(r.Unsearched) == 0
	return r, nil
}

// note adds a hit to what was found, or to what is meant.
func (r *ResidueReport) note(j residueJudge, place store.SearchPlace, hit store.SearchHit) {
	reason, kept := j.verdict(place, hit)
	list := &r.Found
	if kept {
		list = &r.Kept
	}
	i := slices.IndexFunc(*list, func(c Copy) bool { return c.Table == place.Table && c.Column == hit.Column && c.Reason == reason })
	if i < 0 {
		*list = append(*list, Copy{Table: place.Table, Column: hit.Column, Reason: reason, byRef: map[string]int64{}})
		i = len(*list) - 1
	}
	c := &(*list)[i]
	c.Rows += hit.Rows
	c.byRef[j.refs[hit.Owner]] += hit.Rows
	c.Orders = len(c.byRef)
	c.keys = append(c.keys, hit.Keys...)
}

// residueJudge knows what is meant to stay.
type residueJudge struct {
	shop     store.Orders
	policy   policy.Policy
	erasures []store.TableErasure
	ruled    []string // tables that rules erase
	refs     []string
	erased   []string // of these, those that were
	spared   map[string][]string
}

func (e *Eraser) judgeOf(shop store.Orders, l look) residueJudge {
	erased := slices.DeleteFunc(append([]string{}, l.refs...), func(ref string) bool {
		return slices.Contains(l.alive, ref) || slices.Contains(l.apart, ref)
	})
	return residueJudge{
		shop: shop, policy: e.policy(), erasures: l.erasures, ruled: e.ruledTables(), refs: l.refs, erased: erased, spared: l.spared,
	}
}

// scope tells rows that belong to other orders.
func (j residueJudge) scope(table string) store.SearchScope {
	s := store.SearchScope{Orders: &j.shop, Refs: j.erased, Spared: j.spared[table]}
	for _, e := range j.erasures {
		if e.Table == table {
			s.Erasures = append(s.Erasures, e)
		}
	}
	return s
}

// What a copy is, in words for an operator.
const (
	copyInView     = "a materialized view: refresh it after each erasure, or leave the column out of it"
	copyGoverned   = "in rows that the policy's match does not find, or something writes it there again"
	copyInKvit     = "a table of kvit's own: the shop must keep personal data out of event_key, name and order_ref, and operators out of reasons and notes"
	copyElsewhere  = "a table that retention.policy does not name: name it, with rows: keep if it is meant to stay"
	keptRows       = "rows: keep"
	keptColumn     = "the column is kept"
	keptByOrder    = "belongs to an order that is not erased, goes by a time of its own, or is spared by the policy"
	keptByRule     = "goes by retention.tables"
	keptForProblem = "the policy does not fit the table: it is not erased for now"
)

// verdict says what a hit is, and whether it is meant.
func (j residueJudge) verdict(place store.SearchPlace, hit store.SearchHit) (reason string, kept bool) {
	erased := slices.ContainsFunc(j.erasures, func(e store.TableErasure) bool { return e.Table == place.Table })
	ways := slices.DeleteFunc(slices.Clone(j.policy.Tables), func(t policy.Table) bool { return t.Name != place.Table })
	stays := func(kept func(policy.Table) bool) bool { // by every way, or it is none that is meant
		return len(ways) > 0 && !slices.ContainsFunc(ways, func(t policy.Table) bool { return !kept(t) })
	}
	switch {
	case hit.Held:
		return keptByOrder, true
	case len(ways) == 0 && slices.Contains(j.ruled, place.Table): // a rule for a table of the policy takes some of its rows alone
		return keptByRule, true
	case place.View:
		return copyInView, false
	case strings.HasPrefix(place.Table, "kvit."):
		return copyInKvit, false
	case len(ways) == 0 && !erased:
		return copyElsewhere, false
	case stays(func(t policy.Table) bool { return t.KeepRows }):
		return keptRows, true
	case stays(func(t policy.Table) bool { return t.KeepRows || keeps(t, hit.Column) }):
		return keptColumn, true
	case !erased:
		return keptForProblem, true
	}
	return copyGoverned, false
}

func keeps(t policy.Table, column string) bool {
	return slices.ContainsFunc(t.Columns, func(c policy.Column) bool { return c.Name == column && c.Strategy == policy.Keep })
}
