package policy

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"kvit/store"
)

// DraftSource is what a draft is made of: the catalog of the shop's database, and how many values of its texts look
// like what. No value is in it.
type DraftSource struct {
	Orders     OrdersTable
	CustomerID string   // column of the orders table with the customer's id; empty: not known
	Tables     []string // "schema.table": all tables of the database
	Asked      []string // those of Tables that somebody named
	Database   Database // of Tables

	Forms map[string][]store.ColumnForm // by table; none for a table that was not looked at
}

// reviewWord stands in a draft where a person has to decide. The configuration's reader refuses it.
const reviewWord = "review"

// Draft is a first column policy: a proposal, made of names, types, keys and the form of values.
type Draft struct {
	Tables []DraftTable `json:"policy"`
	Keep   []DraftKept  `json:"keep,omitempty"`
	Unseen []string     `json:"unseen,omitempty"` // tables of the draft that hold texts at which nobody looked
}

// DraftKept is a table of which nothing looks personal, and that need not be erased.
type DraftKept struct {
	Table string `json:"table"`
	Why   string `json:"why"`
}

// DraftTable is the proposal for one table.
type DraftTable struct {
	Table      string        `json:"table"`
	DraftWay                 // if there is one way
	Ways       []DraftWay    `json:"ways,omitempty"` // if there are several
	IgnoreKeys []string      `json:"ignore_keys,omitempty"`
	Rows       string        `json:"rows,omitempty"` // "review", "keep", or empty: the columns decide
	RowsWhy    string        `json:"rows_why,omitempty"`
	Columns    []DraftColumn `json:"columns"`
}

// DraftWay is how a table's rows find their order.
type DraftWay struct {
	Match  *DraftMatch `json:"match,omitempty"`  // nil for the orders table, and where the rows are not to be found
	Parent string      `json:"parent,omitempty"` // the table that Match leads to; empty: the orders table
	When   string      `json:"when,omitempty"`   // SQL condition
	Why    string      `json:"why,omitempty"`
}

// DraftMatch ties a table's Column to OtherColumn of the orders table or the parent; both are empty where a
// person has to say.
type DraftMatch struct {
	Column      string
	OtherColumn string
	And         []DraftMatch // further pairs
}

// DraftColumn is the proposal for one column.
type DraftColumn struct {
	Name     string        `json:"name"`
	Type     string        `json:"type"`
	Strategy DraftStrategy `json:"strategy"`
	Why      string        `json:"why,omitempty"`
}

// DraftStrategy is a strategy as the configuration writes it: a Word, or {Word: Setting}.
type DraftStrategy struct {
	Word    string
	Setting string
}

// String is the strategy in YAML.
func (s DraftStrategy) String() string {
	if s.Setting == "" {
		return s.Word
	}
	return fmt.Sprintf("{%s: %s}", s.Word, plain(s.Setting))
}

// MarshalJSON gives "word" or {"word": "setting"}.
func (s DraftStrategy) MarshalJSON() ([]byte, error) {
	if s.Setting == "" {
		return json.Marshal(s.Word)
	}
	return json.Marshal(map[string]string{s.Word: s.Setting})
}

// pairs are all that must be equal.
func (m DraftMatch) pairs() []DraftMatch {
	return append([]DraftMatch{{Column: m.Column, OtherColumn: m.OtherColumn}}, m.And...)
}

// MarshalJSON gives {"column": "other column"} or "review".
func (m DraftMatch) MarshalJSON() ([]byte, error) {
	if m.Column == "" {
		return json.Marshal(reviewWord)
	}
	pairs := map[string]string{}
	for _, p := range m.pairs() {
		pairs[p.Column] = p.OtherColumn
	}
	return json.Marshal(pairs)
}

// DraftPolicy proposes a policy for the orders table and all that its foreign keys lead to.
func DraftPolicy(source DraftSource) Draft {
	d := newDrafter(source)
	d.walk()
	d.findWays()
	draft := d.draft()
	for d.complete(&draft) {
		draft = d.draft()
	}
	d.ignoreKeys(&draft)
	return draft
}

func (d *drafter) draft() Draft {
	draft := Draft{Tables: []DraftTable{}}
	for _, name := range d.Tables {
		t, p := d.tables[name], d.placed[name]
		switch {
		case p == nil:
			continue
		case p.kept:
			draft.Keep = append(draft.Keep, DraftKept{Table: name, Why: p.why})
		default:
			draft.Tables = append(draft.Tables, d.table(t, p))
		}
		if d.isUnseen(t) {
			draft.Unseen = append(draft.Unseen, name)
		}
	}
	slices.SortStableFunc(draft.Tables, func(a, b DraftTable) int {
		return d.placed[a.Table].compare(d.placed[b.Table])
	})
	return draft
}

// isUnseen tells whether a table has texts at which nobody looked, since kvit may not read it.
func (d *drafter) isUnseen(t *draftTable) bool {
	_, seen := d.Forms[t.name]
	return d.Forms != nil && !seen && slices.ContainsFunc(t.columns, func(c draftColumn) bool { return c.isText() })
}

const (
	cartWhy   = "cart content, by its name"
	personWhy = "a person may be in it for more than orders"
	guessWhy  = "by its name, no foreign key says so"
	decideWhy = ": write delete or keep, or the columns below instead"
)

func (d *drafter) table(t *draftTable, p *place) DraftTable {
	draft := DraftTable{Table: t.name, Columns: []DraftColumn{}}
	if t.name == d.Orders.Name {
		return d.ordersTable(t, draft)
	}
	draft.setWays(p)
	if p.apart {
		draft.Rows, draft.RowsWhy = reviewWord, p.why
		return draft
	}
	for _, c := range t.columns {
		draft.Columns = append(draft.Columns, d.column(t, c))
	}
	d.setRows(t, p, &draft)
	return draft
}

func (t *DraftTable) setWays(p *place) {
	switch len(p.ways) {
	case 0:
		t.DraftWay = DraftWay{Why: p.why}
		if p.asked {
			t.Match = &DraftMatch{}
		}
	case 1:
		t.DraftWay = p.ways[0]
	default:
		t.Ways = p.ways
	}
}

// setRows decides whether the columns of a table do, or its rows are better judged as a whole.
func (d *drafter) setRows(t *draftTable, p *place, draft *DraftTable) {
	var why string
	switch {
	case len(draft.Columns) == 0:
		draft.Rows, draft.RowsWhy = reviewWord, "it has no columns"
		return
	case p.guess:
		why = guessWhy
	case p.person || d.throughPerson(p):
		why = personWhy
	case holdsCart(t.short()):
		why = cartWhy
	}
	switch {
	case !p.asked && !d.isPersonal(t):
		d.setDullRows(draft, why)
	case why != "":
		draft.Rows, draft.RowsWhy = reviewWord, why+decideWhy
	}
}

// setDullRows is for a table of which no column looks personal: they are not worth a line each.
func (d *drafter) setDullRows(draft *DraftTable, why string) {
	var open []string
	for _, c := range draft.Columns {
		if c.Strategy.Word != Keep {
			open = append(open, plain(c.Name))
		}
	}
	draft.Columns = []DraftColumn{}
	draft.Rows, draft.RowsWhy = Keep, "other rows are found through it, and nothing in it looks personal"
	if len(open) > 0 {
		draft.Rows, draft.RowsWhy = reviewWord, joinWhy(why, "nothing in it looks personal: keep, unless there is something in "+strings.Join(open, ", "))
	}
}

func (d *drafter) ordersTable(t *draftTable, draft DraftTable) DraftTable {
	for _, c := range t.columns {
		if !slices.Contains(d.Orders.columns(), c.Name) {
			draft.Columns = append(draft.Columns, d.column(t, c))
		}
	}
	if len(draft.Columns) == 0 {
		draft.Columns = append(draft.Columns, DraftColumn{Name: d.Orders.Ref, Strategy: word(Keep), Why: "kvit needs it"})
	}
	return draft
}

// asPolicy is the draft as if all rows were kept: enough to ask the checker for tables and keys that it misses.
func (d *drafter) asPolicy(draft *Draft) Policy {
	p := Policy{Orders: d.Orders, Tables: []Table{{Name: d.Orders.Name}}}
	for _, t := range draft.Tables {
		if t.Table == d.Orders.Name {
			continue
		}
		ways := t.Ways
		if len(ways) == 0 {
			ways = []DraftWay{t.DraftWay}
		}
		for _, w := range ways {
			p.Tables = append(p.Tables, Table{
				Name: t.Table, Match: w.Match.match(), Parent: w.Parent, When: w.When, KeepRows: true, IgnoreKeys: t.IgnoreKeys,
			})
		}
	}
	for _, kept := range draft.Keep {
		p.Tables = append(p.Tables, Table{Name: kept.Table, KeepRows: true})
	}
	return p
}

func (m *DraftMatch) match() *Match {
	if m == nil || m.Column == "" {
		return nil
	}
	match := Match{Column: m.Column, OrderColumn: m.OtherColumn}
	for _, p := range m.And {
		match.And = append(match.And, Match{Column: p.Column, OrderColumn: p.OtherColumn})
	}
	return &match
}

// complete adds the tables that the check would miss; false if there are none.
func (d *drafter) complete(draft *Draft) bool {
	c := newChecker(d.asPolicy(draft), d.Database)
	c.coverage()
	added := false
	for _, p := range c.problems {
		t := d.tables[p.Table]
		if t == nil || d.placed[p.Table] != nil {
			continue
		}
		because, _, _ := strings.Cut(strings.TrimPrefix(p.Problem, "is not named by the policy, but "), ":")
		d.setAside(t, because)
		added = true
	}
	return added
}

// ignoreKeys names the keys that no way needs: what they lead to is found by another key.
func (d *drafter) ignoreKeys(draft *Draft) {
	c := newChecker(d.asPolicy(draft), d.Database)
	for _, key := range d.Database.ForeignKeys {
		if c.lacksWay(key) == "" {
			continue
		}
		i := slices.IndexFunc(draft.Tables, func(t DraftTable) bool { return t.Table == key.Table })
		if i >= 0 && !slices.Contains(draft.Tables[i].IgnoreKeys, key.Columns[0]) {
			draft.Tables[i].IgnoreKeys = append(draft.Tables[i].IgnoreKeys, key.Columns[0])
		}
	}
}

func (p *place) compare(q *place) int {
	return cmp.Or(cmp.Compare(order(p.apart), order(q.apart)), cmp.Compare(p.depth, q.depth))
}
