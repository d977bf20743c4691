package retention

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

// CatalogTable is a table as the database's catalog describes it.
type CatalogTable struct {
	Name    string // "schema.table"
	Asked   bool   // somebody named it; the others are there because of their foreign keys
	Columns []CatalogColumn
	Keys    []CatalogKey // that it has, not those that lead to it
}

// CatalogColumn is a column of a CatalogTable.
type CatalogColumn struct {
	Name       string
	Type       string // as Postgres names it, "character varying(40)"
	Base       string // the short name of the type, without its domain: "varchar", "jsonb"
	Family     string // Postgres' category of types that compare with each other: "S" strings, "N" numbers, "D" times, ...
	NotNull    bool
	Generated  bool // the database alone writes it
	PrimaryKey bool // part of it
	Unique     bool // a unique index depends on it, perhaps with others
	Checked    bool // a CHECK constraint looks at it
	Referenced bool // a foreign key leads to it
	MaxLength  int  // in characters; 0: no limit
}

// CatalogKey ties Columns of a table to OtherColumns of Other, one to one.
type CatalogKey struct {
	Columns      []string
	Other        string // "schema.table"
	OtherColumns []string
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

// DraftPolicy proposes a policy for the orders table and the others of the catalog.
func DraftPolicy(orders OrdersTable, catalog []CatalogTable) Draft {
	d := drafter{orders: orders, tables: map[string]CatalogTable{}, placed: map[string]place{orders.Name: {}}}
	for _, t := range catalog {
		d.tables[t.Name] = t
	}
	d.placeAll(catalog)
	draft := Draft{Tables: []DraftTable{}}
	for _, t := range catalog {
		draft.Tables = append(draft.Tables, d.table(t))
	}
	slices.SortStableFunc(draft.Tables, func(a, b DraftTable) int {
		return cmp.Compare(d.placed[a.Table].depth, d.placed[b.Table].depth)
	})
	return draft
}

type drafter struct {
	orders OrdersTable
	tables map[string]CatalogTable
	placed map[string]place
}

// place is how a table belongs to the orders.
type place struct {
	depth  int
	match  DraftMatch
	parent string
	why    string
}

// placeAll prefers foreign keys; what none of them ties to the orders is then tied by what it says about
// a person, and what leads to that by its own keys again.
func (d *drafter) placeAll(catalog []CatalogTable) {
	d.placeByKeys(catalog)
	for _, t := range catalog {
		if _, done := d.placed[t.Name]; !done && t.Asked {
			d.placed[t.Name] = d.samePerson(t)
		}
	}
	d.placeByKeys(catalog)
	for _, t := range catalog {
		if _, done := d.placed[t.Name]; !done {
			d.placed[t.Name] = place{depth: 1, why: "no foreign key of it leads to the orders in three steps"}
		}
	}
}

func (d *drafter) placeByKeys(catalog []CatalogTable) {
	for depth := range DraftDepth {
		found := map[string]place{}
		for _, t := range catalog {
			if _, done := d.placed[t.Name]; done {
				continue
			}
			if keys := d.keysTo(t, depth); len(keys) > 0 {
				found[t.Name] = d.byKeys(depth+1, keys)
			}
		}
		maps.Copy(d.placed, found)
	}
}

// keysTo are the foreign keys of a table that lead to a table of that depth.
func (d *drafter) keysTo(t CatalogTable, depth int) []CatalogKey {
	var keys []CatalogKey
	for _, k := range t.Keys {
		if p, ok := d.placed[k.Other]; ok && p.depth == depth {
			keys = append(keys, k)
		}
	}
	return keys
}

func (d *drafter) byKeys(depth int, keys []CatalogKey) place {
	p := place{depth: depth}
	switch {
	case len(keys) > 1:
		p.why = "one of " + strings.Join(describe(keys), ", ")
	case len(keys[0].Columns) != 1:
		p.why = "its foreign key has several columns, and match takes one: " + describe(keys)[0]
	default:
		p.match = DraftMatch{Column: keys[0].Columns[0], OtherColumn: keys[0].OtherColumns[0]}
		if keys[0].Other != d.orders.Name {
			p.parent = keys[0].Other
		}
	}
	return p
}

func describe(keys []CatalogKey) []string {
	texts := make([]string, len(keys))
	for i, k := range keys {
		texts[i] = fmt.Sprintf("(%s) to %s (%s)", plainList(k.Columns), plain(k.Other), plainList(k.OtherColumns))
	}
	return texts
}

// samePerson ties a table to the orders of the person that its rows are about.
func (d *drafter) samePerson(t CatalogTable) place {
	orders := d.tables[d.orders.Name]
	for _, k := range orders.Keys {
		if k.Other == t.Name && len(k.Columns) == 1 {
			return place{depth: 1, match: DraftMatch{Column: k.OtherColumns[0], OtherColumn: k.Columns[0]}, why: "the orders refer to it"}
		}
	}
	for _, same := range []struct {
		names []string
		why   string
	}{{customerNames, "the same customer"}, {emailNames, "the same e-mail address"}} {
		here, there := named(t, same.names), named(orders, same.names)
		if len(here) == 1 && len(there) == 1 && here[0].Family == there[0].Family {
			return place{depth: 1, match: DraftMatch{Column: here[0].Name, OtherColumn: there[0].Name}, why: same.why}
		}
	}
	return place{depth: 1, why: "no foreign key, e-mail address or customer number ties it to the orders: write {column of it: column of the orders table}"}
}

func named(t CatalogTable, names []string) []CatalogColumn {
	var found []CatalogColumn
	for _, c := range t.Columns {
		if isOneOf(names, c.Name) {
			found = append(found, c)
		}
	}
	return found
}

func (d *drafter) table(t CatalogTable) DraftTable {
	isOrders := t.Name == d.orders.Name
	draft := DraftTable{Table: t.Name, Columns: []DraftColumn{}}
	if !isOrders {
		p := d.placed[t.Name]
		draft.Match, draft.Parent, draft.Why = &p.match, p.parent, p.why
	}
	for _, c := range t.Columns {
		if !isOrders || !slices.Contains(d.orders.columns(), c.Name) {
			draft.Columns = append(draft.Columns, d.column(t, c))
		}
	}
	switch {
	case isOrders && len(draft.Columns) == 0:
		draft.Columns = append(draft.Columns, DraftColumn{Name: d.orders.Ref, Strategy: word(Keep), Why: "kvit needs it"})
	case !isOrders && len(draft.Columns) == 0:
		draft.Rows, draft.RowsWhy = reviewWord, "it has no columns"
	case !isOrders && holdsCart(t.Name[strings.LastIndexByte(t.Name, '.')+1:]):
		draft.Rows, draft.RowsWhy = reviewWord, "cart content, by its name: write delete or keep, or the columns below instead"
	}
	return draft
}

func word(s Strategy) DraftStrategy { return DraftStrategy{Word: string(s)} }

var (
	review = DraftStrategy{Word: reviewWord}
	hash   = DraftStrategy{Word: "hash"}
)

const oddName = "kvit takes names of letters, digits, _ and $ alone: rename it, or decide on whole rows"

func (d *drafter) column(t CatalogTable, c CatalogColumn) DraftColumn {
	draft := d.propose(t, c)
	if !columnName.MatchString(c.Name) {
		draft.Strategy, draft.Why = review, strings.TrimPrefix(draft.Why+"; "+oddName, "; ")
	}
	return draft
}

// propose asks whether a column may be personal before it asks for reasons to keep it.
func (d *drafter) propose(t CatalogTable, c CatalogColumn) DraftColumn {
	draft := DraftColumn{Name: c.Name, Type: c.Type}
	m, personal := meaningOf(c.Name)
	if !personal && c.Family == "I" {
		m, personal = meaning{is: "an IP address"}, true
	}
	personal = personal && m.fitsType(c)
	key, isKey := keyOf(t, c.Name)
	_, named := d.tables[key.Other]
	switch {
	case c.Generated && personal:
		draft.Strategy, draft.Why = word(Keep), m.is+", which the database computes: erase the columns it is made from"
	case c.Generated && !c.PrimaryKey:
		draft.Strategy, draft.Why = word(Keep), "the database writes it"
	case personal && (isKey || c.PrimaryKey || c.Referenced):
		draft.Strategy, draft.Why = review, m.is+", and part of a key"
	case personal:
		draft.Strategy, draft.Why = m.strategy(c)
	case isKey && !named:
		draft.Strategy, draft.Why = review, "refers to "+plain(key.Other)+", which is not in this draft"
	case isKey:
		draft.Strategy, draft.Why = word(Keep), "refers to "+plain(key.Other)
	case c.PrimaryKey:
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

// keyOf finds a foreign key that a column is part of.
func keyOf(t CatalogTable, column string) (CatalogKey, bool) {
	i := slices.IndexFunc(t.Keys, func(k CatalogKey) bool { return slices.Contains(k.Columns, column) })
	if i < 0 {
		return CatalogKey{}, false
	}
	return t.Keys[i], true
}

const documentHint = "a document: {json: {path: keep}} leaves what a path names and takes the rest out"

func isDocument(c CatalogColumn) bool { return c.Base == "json" || c.Base == "jsonb" }

// fitsType tells whether values of that meaning can be in a column of that type: email_sent_at as a
// time is no e-mail address.
func (m meaning) fitsType(c CatalogColumn) bool {
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
func (m meaning) strategy(c CatalogColumn) (s DraftStrategy, why string) {
	text := c.Family == "S" && c.Base != "name"
	roomy := c.MaxLength == 0 || c.MaxLength >= hexLength
	switch {
	case text && c.Unique && roomy:
		return hash, m.is + because(c, "unique")
	case !c.Unique && m.is == "a postal code" && text:
		return word("generalise"), m.is + because(c, "")
	case !c.Unique && m.is == "a date of birth" && c.Family == "D" && c.Base != "time" && c.Base != "timetz":
		return DraftStrategy{Word: "truncate_date", Setting: "year"}, m.is + because(c, "")
	case !c.NotNull:
		return word(Null), m.is
	case text && !c.Unique:
		return DraftStrategy{Word: string(Text), Setting: placeholder(c)}, m.is + because(c, "NOT NULL")
	case !c.Unique && m.dates && c.Family == "D" && c.Base != "time" && c.Base != "timetz":
		return word("truncate_date"), m.is + because(c, "NOT NULL")
	case isDocument(c):
		return review, m.is + "; NOT NULL; " + documentHint
	case c.Unique:
		return review, m.is + "; NOT NULL and unique, without room for a hash"
	}
	return review, m.is + "; NOT NULL, and no text"
}

// because names the constraints that had a say, and those that may still object.
func because(c CatalogColumn, constraint string) string {
	var text string
	if constraint != "" {
		text = "; " + constraint
	}
	if c.Checked {
		text += "; a CHECK constraint looks at it"
	}
	return text
}

func placeholder(c CatalogColumn) string {
	const long, short = "erased", "x"
	if c.MaxLength > 0 && c.MaxLength < len(long) {
		return short
	}
	return long
}
