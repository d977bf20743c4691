package erasure

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"kvit/erasure/policy"
	"kvit/store"
)

// kind is what a random column is, and what its policy does to it.
type kind struct {
	sqlType string
	column  policy.Column
	value   func(mark string) string  // before; the mark tells rows and columns apart
	after   func(value string) string // it is erased; nil: null
}

const randomKey = "a key of thirty-two characters.."

func hashOf(value string) string {
	mac := hmac.New(sha256.New, []byte(randomKey))
	mac.Write([]byte(value))
	return hex.EncodeToString(mac.Sum(nil))
}

func fixed(text string) func(string) string { return func(string) string { return text } }

func same(text string) string { return text }

func first(n int) func(string) string { return func(value string) string { return value[:n] } }

// date is any day of a month but the first.
func date(mark string) string { return fmt.Sprintf("2026-03-%d", 10+len(mark)%20) }

func document(mark string) string {
	return fmt.Sprintf(`{"kept": "value", "name": %[1]q, "list": [{"sku": "x", "text": %[1]q}, %[1]q], "deep": {"note": %[1]q, "more": %[1]q}, "other": [%[1]q]}`, mark)
}

var jsonPaths = []policy.Column{
	{Name: "kept", Strategy: policy.Keep}, {Name: "list[].sku", Strategy: policy.Keep}, {Name: "name", Strategy: policy.Hash},
}

func jsonHashed(document string) string {
	_, rest, _ := strings.Cut(document, `"name": "`)
	name, _, _ := strings.Cut(rest, `"`)
	return `{"kept": "value", "list": [{"sku": "x"}], "name": "` + hashOf(name) + `"}`
}

var kinds = []kind{
	{"text", policy.Column{Strategy: policy.Keep}, fixed("kept value"), same},
	{"jsonb", policy.Column{Strategy: policy.Keep}, fixed(`{"kept": "value"}`), same},
	{"varchar(80) unique", policy.Column{Strategy: policy.Null}, same, nil},
	{"date", policy.Column{Strategy: policy.Null}, date, nil},
	{"varchar(40) not null", policy.Column{Strategy: policy.Text, Text: "erased"}, same, fixed("erased")},
	{"char(40)", policy.Column{Strategy: policy.Text, Text: "it's"}, same, fixed("it's")},
	{"text not null unique", policy.Column{Strategy: policy.Hash}, same, hashOf},
	{"public.word", policy.Column{Strategy: policy.Hash}, same, hashOf},
	{"date", policy.Column{Strategy: policy.TruncateDate, Unit: policy.Month}, date, fixed("2026-03-01")},
	{"timestamptz not null", policy.Column{Strategy: policy.TruncateDate, Unit: policy.Year}, date, fixed("2026-01-01 00:00:00")},
	{"varchar(60)", policy.Column{Strategy: policy.Generalise, Length: 3}, same, first(3)},
	{"char(60)", policy.Column{Strategy: policy.Generalise, Length: 2}, same, first(2)},
	{"jsonb", policy.Column{Strategy: policy.JSON, Paths: jsonPaths}, document, jsonHashed},
	{"json not null", policy.Column{Strategy: policy.JSON, Paths: []policy.Column{
		{Name: "deep.note", Strategy: policy.Text, Text: "erased"},
	}}, document, fixed(`{"deep": {"note": "erased"}}`)},
}

// mails are what becomes of an e-mail address that a table is matched by.
var mails = []kind{
	{"text", policy.Column{Strategy: policy.Keep}, same, same},
	{"text", policy.Column{Strategy: policy.Null}, same, nil},
	{"text", policy.Column{Strategy: policy.Text, Text: "erased"}, same, fixed("erased")},
	{"varchar(70)", policy.Column{Strategy: policy.Hash}, same, hashOf},
}

// randomTable is a table of a random shop. The first one of a shop is the orders table.
type randomTable struct {
	policy  policy.Table
	parent  *randomTable // nil: the orders table, or this is it
	depth   int
	anyCase bool            // of e-mail addresses: it makes no difference
	kinds   map[string]kind // of its columns beside id, up and kvit's own
	rows    []randomRow
}

// randomRow goes when all the orders that it belongs to have.
type randomRow struct {
	id     int
	owners []int // numbers of orders; none: it stays for ever
	values map[string]string
}

// randomOrder is an order of a random shop: the row of its number in the orders table.
type randomOrder struct {
	customer, person int
	clock            string // that it goes by; empty: it is not due, or is on hold
	sql              string // what the shop and operators did to it
}

// How the rows of a table may find their order.
const (
	byID       = "id"
	byCustomer = "customer" // an order's customer may have other orders
	byEmail    = "email"
)

func pick[T any](random *rand.Rand, list []T) T { return list[random.IntN(len(list))] }

// randomTables makes up to six tables; each but the first belongs to an earlier one.
func randomTables(random *rand.Rand) []*randomTable {
	orders := &randomTable{policy: policy.Table{Name: "public.orders"}, kinds: map[string]kind{byEmail: pick(random, mails)}}
	orders.policy.Columns = []policy.Column{
		{Name: "id", Strategy: policy.Keep}, {Name: "status", Strategy: policy.Keep}, {Name: "closed_at", Strategy: policy.Keep},
		{Name: byCustomer, Strategy: pick(random, []policy.Strategy{policy.Keep, policy.Null})},
	}
	orders.name(byEmail)
	orders.addColumns(random)
	tables := []*randomTable{orders}
	for i := range random.IntN(6) {
		t := &randomTable{policy: policy.Table{Name: fmt.Sprintf("public.t%d", i)}, kinds: map[string]kind{}, depth: 1}
		if parent := pick(random, tables); parent != orders && parent.depth < 3 {
			t.parent, t.depth, t.policy.Parent = parent, parent.depth+1, parent.policy.Name
		}
		t.find(random)
		t.fate(random)
		tables = append(tables, t)
	}
	return tables
}

// find makes up how the table's rows find their order.
func (t *randomTable) find(random *rand.Rand) {
	key := byID
	if t.parent == nil {
		key = pick(random, []string{byID, byCustomer, byEmail})
	}
	t.policy.Match = &policy.Match{Column: "up", OrderColumn: key}
	if key == byEmail {
		t.policy.Match.Column = byEmail
		t.kinds[byEmail] = pick(random, mails)
	}
}

// fate makes up what becomes of the table's rows.
func (t *randomTable) fate(random *rand.Rand) {
	switch random.IntN(8) {
	case 0, 1:
		t.policy.DeleteRows = true
		t.addColumns(random)
		t.policy.Columns = nil
		return
	case 2:
		if !t.hasMail() {
			t.policy.KeepRows = true
			return
		}
	}
	t.policy.Columns = []policy.Column{
		{Name: "id", Strategy: policy.Keep}, {Name: "up", Strategy: pick(random, []policy.Strategy{policy.Keep, policy.Keep, policy.Null})},
	}
	if t.hasMail() {
		t.name(byEmail)
	}
	t.addColumns(random)
}

func (t *randomTable) addColumns(random *rand.Rand) {
	for n := range 1 + random.IntN(5) {
		column := fmt.Sprintf("Column %d", n)
		t.kinds[column] = pick(random, kinds)
		t.name(column)
	}
}

// name puts a column into the policy.
func (t *randomTable) name(column string) {
	c := t.kinds[column].column
	c.Name = column
	t.policy.Columns = append(t.policy.Columns, c)
}

// strategy is what the policy does to a column.
func (t *randomTable) strategy(column string) policy.Strategy {
	for _, c := range t.policy.Columns {
		if c.Name == column {
			return c.Strategy
		}
	}
	return policy.Keep
}

func (t *randomTable) isOrders() bool { return t.policy.Match == nil }

// create is the statement that makes the table.
func (t *randomTable) create(random *rand.Rand) string {
	sql := "create table " + t.policy.Name + " (id bigint primary key"
	if t.isOrders() {
		sql += ", ref text unique, customer bigint, status text, placed timestamptz, closed_at timestamptz, imported timestamptz, number text, erased timestamptz"
	} else {
		sql += ", up bigint" + t.foreignKey(random)
	}
	for _, column := range t.columns() {
		sql += ", " + store.QuoteColumn(column) + " " + t.kinds[column].sqlType
	}
	return sql + ");"
}

// foreignKey is one that the policy fits: rows that are kept do not refer to rows that go.
func (t *randomTable) foreignKey(random *rand.Rand) string {
	if t.isOrders() || t.policy.Match.OrderColumn != byID || random.IntN(3) == 0 {
		return ""
	}
	parent := "public.orders"
	loses := false
	if t.parent != nil {
		parent, loses = t.parent.policy.Name, t.parent.policy.DeleteRows
	}
	key := " references " + parent
	switch {
	case !loses || t.policy.DeleteRows:
		return key + pick(random, []string{"", " on delete cascade", " on delete set null", " deferrable initially deferred"})
	case t.strategy("up") == policy.Null:
		return key + pick(random, []string{"", " on delete set null"})
	default:
		return key + " on delete set null"
	}
}

// fill makes up the table's rows: up to two for each row, customer or person that they belong to.
func (t *randomTable) fill(random *rand.Rand, orders []randomOrder) {
	keys := t.keys(orders)
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		for range 1 + random.IntN(2) {
			row := randomRow{id: len(t.rows), owners: keys[key], values: map[string]string{"up": fmt.Sprint(key)}}
			t.fillRow(&row, key)
			t.rows = append(t.rows, row)
		}
	}
}

func (t *randomTable) fillRow(row *randomRow, who int) {
	for column, k := range t.kinds {
		row.values[column] = k.value(t.mark(row.id))
	}
	if t.hasMail() {
		row.values[byEmail] = person(who)
	}
	if t.hasMail() && t.anyCase && row.id%2 > 0 {
		row.values[byEmail] = strings.ToUpper(row.values[byEmail])
	}
}

// insert is the statement that writes the table's rows.
func (t *randomTable) insert() string {
	var sql strings.Builder
	for _, row := range t.rows {
		names, values := "id", fmt.Sprint(row.id)
		for _, column := range slices.Sorted(maps.Keys(row.values)) {
			names += ", " + store.QuoteColumn(column)
			values += ", '" + row.values[column] + "'"
		}
		sql.WriteString("insert into " + t.policy.Name + " (" + names + ") values (" + values + ");")
	}
	return sql.String()
}

// keys are what rows of the table refer to, each with its orders.
func (t *randomTable) keys(orders []randomOrder) map[int][]int {
	keys := map[int][]int{}
	if t.parent != nil {
		for _, row := range t.parent.rows {
			keys[row.id] = row.owners
		}
		return keys
	}
	for id, o := range orders {
		switch t.policy.Match.OrderColumn {
		case byID:
			keys[id] = []int{id}
		case byCustomer:
			keys[o.customer] = append(keys[o.customer], id)
		case byEmail:
			keys[o.person] = append(keys[o.person], id)
		}
	}
	if t.policy.Match.OrderColumn != byID {
		keys[77] = nil // nobody's
	}
	return keys
}

// mark is in every value of a row that has to go, and in no other row.
func (t *randomTable) mark(id int) string {
	return fmt.Sprintf("%s-%s-%d-", marker, strings.TrimPrefix(t.policy.Name, "public."), id)
}

func person(n int) string { return fmt.Sprintf("%s-person-%d-", marker, n) }

func (t *randomTable) columns() []string { return slices.Sorted(maps.Keys(t.kinds)) }

func (t *randomTable) hasMail() bool {
	_, ok := t.kinds[byEmail]
	return ok
}

// read is the statement that reads the columns, whatever the session's time zone.
func (t *randomTable) read() string {
	var reads []string
	for _, column := range t.columns() {
		read := store.QuoteColumn(column)
		switch sqlType := t.kinds[column].sqlType; {
		case strings.HasPrefix(sqlType, "timestamptz"):
			read += " at time zone 'UTC'"
		case strings.HasPrefix(sqlType, "json"):
			read += "::jsonb"
		}
		reads = append(reads, "coalesce(("+read+")::text, 'null')")
	}
	return "select id, array[" + strings.Join(reads, ", ") + "]::text[] from " + t.policy.Name
}

// erased is what is left of a row.
func (t *randomTable) erased(row randomRow) []string {
	left := []string{}
	for _, column := range t.columns() {
		k := t.kinds[column]
		if k.after == nil {
			left = append(left, "null")
		} else {
			left = append(left, k.after(row.values[column]))
		}
	}
	return left
}
