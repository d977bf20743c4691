package policy

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// DraftDepth is how many steps a table of a draft may be away from the orders table.
const DraftDepth = 3

// DraftSource is what a draft is made of: the catalog of the shop's database. No row is read.
type DraftSource struct {
	Orders     OrdersTable
	CustomerID string   // column of the orders table with the customer's id; empty: not known
	Tables     []string // "schema.table": the orders table and others that may hold data of the same people
	Asked      []string // those of Tables that somebody named; the others are there because of their foreign keys
	Database   Database // of Tables
}

// reviewWord stands in a draft where a person has to decide. The configuration's reader refuses it.
const reviewWord = "review"

// Draft is a first column policy: a proposal, made of names, types and keys.
type Draft struct {
	Tables []DraftTable `json:"policy"`
}

// DraftTable is the proposal for one table.
type DraftTable struct {
	Table   string        `json:"table"`
	Match   *DraftMatch   `json:"match,omitempty"`  // nil for the orders table alone
	Parent  string        `json:"parent,omitempty"` // the table that Match leads to; empty: the orders table
	Why     string        `json:"why,omitempty"`    // of Match
	Rows    string        `json:"rows,omitempty"`   // "review", or empty: the columns decide
	RowsWhy string        `json:"rows_why,omitempty"`
	Columns []DraftColumn `json:"columns"`
}

// DraftMatch ties a table's Column to OtherColumn of the orders table or the parent; both are empty where a
// person has to say.
type DraftMatch struct {
	Column      string
	OtherColumn string
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
	return fmt.Sprintf("{%s: %s}", s.Word, s.Setting)
}

// MarshalJSON gives "word" or {"word": "setting"}.
func (s DraftStrategy) MarshalJSON() ([]byte, error) {
	if s.Setting == "" {
		return json.Marshal(s.Word)
	}
	return json.Marshal(map[string]string{s.Word: s.Setting})
}

// MarshalJSON gives {"column": "other column"} or "review".
func (m DraftMatch) MarshalJSON() ([]byte, error) {
	if m.Column == "" {
		return json.Marshal(reviewWord)
	}
	return json.Marshal(map[string]string{m.Column: m.OtherColumn})
}

// DraftPolicy proposes a policy for the orders table and the others of the source.
func DraftPolicy(source DraftSource) Draft {
	d := drafter{DraftSource: source, tables: map[string]*draftTable{}, placed: map[string]place{source.Orders.Name: {}}}
	d.readCatalog()
	d.placeAll()
	draft := Draft{Tables: []DraftTable{}}
	for _, name := range d.Tables {
		draft.Tables = append(draft.Tables, d.table(d.tables[name]))
	}
	slices.SortStableFunc(draft.Tables, func(a, b DraftTable) int {
		return cmp.Compare(d.placed[a.Table].depth, d.placed[b.Table].depth)
	})
	return draft
}

type drafter struct {
	DraftSource
	tables map[string]*draftTable
	placed map[string]place
}

// draftTable is a table with what the catalog says of it.
type draftTable struct {
	name    string
	columns []draftColumn
	keys    []ForeignKey // that it has, not those that lead to it
}

type draftColumn struct {
	DatabaseColumn
	primaryKey bool // part of it
	inUnique   bool // a unique index depends on it: alone, beside others, or in an expression as lower(email)
	referenced bool // a foreign key leads to it
}

// place is how a table belongs to the orders.
type place struct {
	depth  int
	match  DraftMatch
	parent string
	why    string
	person bool // its rows are about a person, who may be there for more than the orders
}

func (d *drafter) readCatalog() {
	for _, name := range d.Tables {
		d.tables[name] = &draftTable{name: name}
	}
	for _, c := range d.Database.Columns {
		if t := d.tables[c.Table]; t != nil {
			t.columns = append(t.columns, d.readColumn(c))
		}
	}
	for _, k := range d.Database.ForeignKeys {
		if t := d.tables[k.Table]; t != nil {
			t.keys = append(t.keys, k)
		}
	}
}

func (d *drafter) readColumn(c DatabaseColumn) draftColumn {
	column := draftColumn{DatabaseColumn: c}
	for _, index := range d.Database.UniqueIndexes {
		if index.Table == c.Table && slices.Contains(index.Columns, c.Name) {
			column.inUnique = true
			column.primaryKey = column.primaryKey || index.Primary
		}
	}
	column.referenced = slices.ContainsFunc(d.Database.ForeignKeys, func(k ForeignKey) bool {
		return k.References == c.Table && slices.Contains(k.Keys, c.Name)
	})
	return column
}

// placeAll prefers foreign keys; what none of them ties to the orders is then tied by what it says about
// a person, and what leads to that by its own keys again.
func (d *drafter) placeAll() {
	d.placeByKeys()
	for _, name := range d.Tables {
		if _, done := d.placed[name]; !done && slices.Contains(d.Asked, name) {
			d.placed[name] = d.samePerson(d.tables[name])
		}
	}
	d.placeByKeys()
	for _, name := range d.Tables {
		if _, done := d.placed[name]; !done {
			d.placed[name] = place{depth: 1, why: "no foreign key of it leads to the orders in three steps"}
		}
	}
}

func (d *drafter) placeByKeys() {
	for depth := range DraftDepth {
		found := map[string]place{}
		for name, t := range d.tables {
			if _, done := d.placed[name]; done {
				continue
			}
			if keys := d.keysTo(t, depth); len(keys) > 0 {
				found[name] = d.byKeys(depth+1, keys)
			}
		}
		maps.Copy(d.placed, found)
	}
}

// keysTo are the foreign keys of a table that lead to a table of that depth.
func (d *drafter) keysTo(t *draftTable, depth int) []ForeignKey {
	var keys []ForeignKey
	for _, k := range t.keys {
		if p, ok := d.placed[k.References]; ok && p.depth == depth {
			keys = append(keys, k)
		}
	}
	return keys
}

func (d *drafter) byKeys(depth int, keys []ForeignKey) place {
	p := place{depth: depth, person: slices.ContainsFunc(keys, func(k ForeignKey) bool { return d.placed[k.References].person })}
	switch {
	case len(keys) > 1:
		p.why = "one of " + strings.Join(describe(keys), ", ")
	case len(keys[0].Columns) != 1:
		p.why = "its foreign key has several columns, and match takes one: " + describe(keys)[0]
	default:
		p.match = DraftMatch{Column: keys[0].Columns[0], OtherColumn: keys[0].Keys[0]}
		if keys[0].References != d.Orders.Name {
			p.parent = keys[0].References
		}
	}
	return p
}

func describe(keys []ForeignKey) []string {
	texts := make([]string, len(keys))
	for i, k := range keys {
		texts[i] = fmt.Sprintf("(%s) to %s (%s)", plainList(k.Columns), plain(k.References), plainList(k.Keys))
	}
	return texts
}

// samePerson ties a table to the orders of the person that its rows are about.
func (d *drafter) samePerson(t *draftTable) place {
	orders := d.tables[d.Orders.Name]
	for _, k := range orders.keys {
		if k.References == t.name && len(k.Columns) == 1 {
			return place{depth: 1, match: DraftMatch{Column: k.Keys[0], OtherColumn: k.Columns[0]}, why: "the orders refer to it", person: true}
		}
	}
	for _, same := range []struct {
		names []string
		known string
		why   string
	}{{customerNames, d.CustomerID, "the same customer"}, {emailNames, d.Orders.Email, sameEmail(d.Orders)}} {
		here, there := t.likely(same.names, ""), orders.likely(same.names, same.known)
		if len(here) == 1 && len(there) == 1 && here[0].Family == there[0].Family {
			return place{depth: 1, match: DraftMatch{Column: here[0].Name, OtherColumn: there[0].Name}, why: same.why, person: true}
		}
	}
	return place{depth: 1, why: "no foreign key, e-mail address or customer number ties it to the orders: write {column of it: column of the orders table}"}
}

func sameEmail(o OrdersTable) string {
	const same = "the same e-mail address"
	if o.Email == "" {
		return same + "; small and capital letters differ, unless shop.orders.email names the column"
	}
	return same
}

// likely finds the column that is known, or else those of such a name.
func (t *draftTable) likely(names []string, known string) []draftColumn {
	var found []draftColumn
	for _, c := range t.columns {
		if c.Name == known || known == "" && isOneOf(names, c.Name) {
			found = append(found, c)
		}
	}
	return found
}

const (
	cartWhy   = "cart content, by its name: write delete or keep, or the columns below instead"
	personWhy = "a person may be in it for more than orders: write delete or keep, or the columns below instead"
)

func (d *drafter) table(t *draftTable) DraftTable {
	draft := DraftTable{Table: t.name, Columns: []DraftColumn{}}
	if t.name == d.Orders.Name {
		return d.ordersTable(t, draft)
	}
	p := d.placed[t.name]
	draft.Match, draft.Parent, draft.Why = &p.match, p.parent, p.why
	for _, c := range t.columns {
		draft.Columns = append(draft.Columns, d.column(t, c))
	}
	switch {
	case len(draft.Columns) == 0:
		draft.Rows, draft.RowsWhy = reviewWord, "it has no columns"
	case p.person:
		draft.Rows, draft.RowsWhy = reviewWord, personWhy
	case holdsCart(t.name[strings.LastIndexByte(t.name, '.')+1:]):
		draft.Rows, draft.RowsWhy = reviewWord, cartWhy
	}
	return draft
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

func word(s Strategy) DraftStrategy { return DraftStrategy{Word: string(s)} }

var (
	review = DraftStrategy{Word: reviewWord}
	hash   = DraftStrategy{Word: "hash"}
)

const oddName = "kvit takes names of letters, digits, _ and $ alone: rename it, or decide on whole rows"

func (d *drafter) column(t *draftTable, c draftColumn) DraftColumn {
	draft := d.propose(t, c)
	if !columnName.MatchString(c.Name) {
		draft.Strategy, draft.Why = review, strings.TrimPrefix(draft.Why+"; "+oddName, "; ")
	}
	return draft
}

// propose asks whether a column may be personal before it asks for reasons to keep it.
func (d *drafter) propose(t *draftTable, c draftColumn) DraftColumn {
	draft := DraftColumn{Name: c.Name, Type: c.Type}
	m, personal := d.meaning(c)
	key, isKey := keyOf(t, c.Name)
	_, named := d.tables[key.References]
	switch {
	case c.Generated && personal:
		draft.Strategy, draft.Why = word(Keep), m.is+", which the database computes: erase the columns it is made from"
	case c.Generated && !c.primaryKey:
		draft.Strategy, draft.Why = word(Keep), "the database writes it"
	case personal && (isKey || c.primaryKey || c.referenced):
		draft.Strategy, draft.Why = review, m.is+", and part of a key"
	case personal:
		draft.Strategy, draft.Why = m.strategy(c)
	case isKey && !named:
		draft.Strategy, draft.Why = review, "refers to "+plain(key.References)+", which is not in this draft"
	case isKey:
		draft.Strategy, draft.Why = word(Keep), "refers to "+plain(key.References)
	case c.primaryKey:
		draft.Strategy, draft.Why = word(Keep), "primary key"
	case c.Family == "B":
		draft.Strategy, draft.Why = word(Keep), "true or false"
	case c.Family == "D" && tellsChange(c.Name):
		draft.Strategy, draft.Why = word(Keep), "when the row was made or changed"
	case isDocument(c):
		draft.Strategy, draft.Why = review, documentHint
	default:
		draft.Strategy = review
	}
	return draft
}

// meaning is what a column's values are, if that is personal: as the configuration says, or by name and type.
func (d *drafter) meaning(c draftColumn) (meaning, bool) {
	m, personal := meaningOf(c.Name)
	switch {
	case c.Table == d.Orders.Name && c.Name == d.Orders.Email:
		return meaning{is: anEmail}, true
	case c.Table == d.Orders.Name && c.Name == d.CustomerID:
		return meaning{is: "the customer's id"}, true
	case !personal && c.Family == "I":
		m, personal = meaning{is: "an IP address"}, true
	}
	return m, personal && m.fitsType(c)
}

// keyOf finds a foreign key that a column is part of.
func keyOf(t *draftTable, column string) (ForeignKey, bool) {
	i := slices.IndexFunc(t.keys, func(k ForeignKey) bool { return slices.Contains(k.Columns, column) })
	if i < 0 {
		return ForeignKey{}, false
	}
	return t.keys[i], true
}

const documentHint = "a document: {json: {path: keep}} leaves what a path names and takes the rest out"

func isDocument(c draftColumn) bool { return c.Base == "json" || c.Base == "jsonb" }

func isTimeOfDay(c draftColumn) bool { return strings.HasPrefix(c.Base, "time with") }

// fitsType tells whether values of that meaning can be in a column of that type: email_sent_at as a
// time is no e-mail address.
func (m meaning) fitsType(c draftColumn) bool {
	switch c.Family {
	case "N":
		return m.numbers
	case "D":
		return m.dates
	case "B", "T":
		return false
	}
	return true
}

// hexLength is what a hash needs, in characters: SHA-256 in hex.
const hexLength = 64

// strategy proposes how to erase a personal column, gently where that still says nothing of a person.
func (m meaning) strategy(c draftColumn) (s DraftStrategy, why string) {
	text := c.Family == "S" && c.Base != "name"
	roomy := c.MaxLength == 0 || c.MaxLength >= hexLength
	switch {
	case text && c.inUnique && roomy:
		return hash, m.is + because(c, "unique")
	case !c.inUnique && m.is == "a postal code" && text:
		return word("generalise"), m.is + because(c, "")
	case !c.inUnique && m.is == "a date of birth" && c.Family == "D" && !isTimeOfDay(c):
		return DraftStrategy{Word: "truncate_date", Setting: "year"}, m.is + because(c, "")
	case !c.NotNull:
		return word(Null), m.is
	case text && !c.inUnique:
		return DraftStrategy{Word: string(Text), Setting: placeholder(c)}, m.is + because(c, "NOT NULL")
	case !c.inUnique && m.dates && c.Family == "D" && !isTimeOfDay(c):
		return word("truncate_date"), m.is + because(c, "NOT NULL")
	case isDocument(c):
		return review, m.is + "; NOT NULL; " + documentHint
	case c.inUnique:
		return review, m.is + "; NOT NULL and unique, without room for a hash"
	}
	return review, m.is + "; NOT NULL, and no text"
}

// because names the constraints that had a say, and those that may still object.
func because(c draftColumn, constraint string) string {
	var text string
	if constraint != "" {
		text = "; " + constraint
	}
	if c.Checked {
		text += "; a CHECK constraint looks at it"
	}
	return text
}

func placeholder(c draftColumn) string {
	const long, short = "erased", "x"
	if c.MaxLength > 0 && c.MaxLength < len(long) {
		return short
	}
	return long
}
