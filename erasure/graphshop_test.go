package erasure

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"kvit/erasure/policy"
	"kvit/store"
)

// graphShop is a shop as data: tables that refer to each other in every way, what the policy says of them, and
// what the shop does between runs. It can be printed, built, judged, and cut down to what a failure needs.
type graphShop struct {
	Form     string // of the orders: "table", "view" over order_rows, "partitioned"
	OwnMarks bool
	Batch    int
	Orders   []graphOrder
	Tables   []*graphTable // the first is that of the orders
	Rules    []graphRule
	Steps    []string // what the shop does between runs, in SQL; it may be refused
}

type graphOrder struct {
	ImportedAgo int // days; 0: never
	Held        bool
	Cart        bool // without a reference
}

// graphTable has an id, a kind, a customer, fields with personal data, and keys: numbers that name other rows.
type graphTable struct {
	Name    string // without the schema
	Keyless bool   // it has no primary key
	Fields  []string
	Keys    []graphKey
	Ways    []graphWay // none: the policy does not name it
	Ignore  []string
	Trigger string // that copies old rows into audit_NAME: "after" or "before"; "restore" and "suppress" fight the erasure
	View    bool   // there is a materialized view of it
	Rule    string // of a rule that takes it, instead of a way
	Rows    []graphRow
}

type graphKey struct {
	Name     string
	Target   string // a table's name
	Foreign  bool
	OnDelete string // "" is no action
}

// graphWay is a way of the policy.
type graphWay struct {
	Pairs  [][2]string // column and parent's column; none: kept whole, matched with nothing
	Parent string      // empty: the orders
	When   int         // an index of graphConditions
	Fate   string      // "delete", "keep", or "columns"
	Erase  []string    // of columns: fields and keys
}

// graphRule is a clock of 7 days over a table's "since".
type graphRule struct {
	Table   string
	When    int
	Columns bool
	Child   string
}

type graphRow struct {
	ID       int
	Kind     string
	Customer int
	Ago      int            // days since "since", of tables with a rule
	Keys     map[string]int // missing: null
	Says     string         // a marker that its text holds besides its own
}

// graphConditions are those on rows: in SQL, and as the oracle reads them.
var graphConditions = []struct {
	sql string
	is  func(row graphCells) bool
}{
	{"", func(graphCells) bool { return true }},
	{"kind = 'a'", func(r graphCells) bool { return r["kind"] == "a" }},
	{"kind <> 'b' -- nor c", func(r graphCells) bool { return r["kind"] != "b" }},
	{"kind = 'b'", func(r graphCells) bool { return r["kind"] == "b" }},
	{"kind in ('a', 'c')", func(r graphCells) bool { return r["kind"] == "a" || r["kind"] == "c" }},
	{"name is not null", func(r graphCells) bool { return r["name"] != nil }},
}

// graphCells are a row by column, as JSON has it.
type graphCells map[string]any

// graphField is a column of texts, and what its erasure makes of it.
type graphField struct {
	sqlType string
	column  policy.Column
	value   func(mark string) string
	after   func(value any) any
}

var graphPaths = []policy.Column{{Name: "method", Strategy: policy.Keep}}

var graphFields = map[string]graphField{
	"name":   {"text", policy.Column{Strategy: policy.Null}, same, func(any) any { return nil }},
	"street": {"varchar(80) not null", policy.Column{Strategy: policy.Text, Text: "erased"}, func(m string) string { return m + " Road" }, func(any) any { return "erased" }},
	"note": {"text", policy.Column{Strategy: policy.Hash}, func(m string) string { return "for " + m }, func(v any) any {
		if text, _ := v.(string); !hashShape.MatchString(text) {
			return hashOf(text)
		}
		return v
	}},
	"phone": {"text", policy.Column{Strategy: policy.Generalise, Length: 3}, func(m string) string { return "+45" + m }, func(any) any { return "+45" }},
	"comment": {"jsonb", policy.Column{Strategy: policy.JSON, Paths: graphPaths}, graphDocument, func(any) any {
		return map[string]any{"method": "card"}
	}},
	"message": {"text not null", policy.Column{Strategy: policy.JSON, Paths: graphPaths}, graphDocument, func(any) any { return `{"method": "card"}` }},
}

func graphDocument(mark string) string {
	return fmt.Sprintf(`{"method": "card", "address": {"street": %q}}`, mark)
}

// mark is in every text of a row, and in no other row.
func (t *graphTable) mark(id int) string { return fmt.Sprintf("%s-%s-%d-", marker, t.Name, id) }

func (t *graphTable) full() string { return "shop." + t.Name }

func (g *graphShop) table(name string) *graphTable {
	i := slices.IndexFunc(g.Tables, func(t *graphTable) bool { return t.Name == name })
	if i < 0 {
		return nil
	}
	return g.Tables[i]
}

func (t *graphTable) key(name string) *graphKey {
	i := slices.IndexFunc(t.Keys, func(k graphKey) bool { return k.Name == name })
	if i < 0 {
		return nil
	}
	return &t.Keys[i]
}

// base is the table that rows of orders are stored in.
func (g *graphShop) base(name string) string {
	if name == "orders" && g.Form == "view" {
		return "shop.order_rows"
	}
	return "shop." + name
}

// sql makes the shop. Constraints and triggers come last, so that the tables can refer to each other in circles.
func (g *graphShop) sql() string {
	var create, fill, bind strings.Builder
	create.WriteString("create schema shop;\n")
	for _, t := range g.Tables {
		if t.Name == "order_rows" {
			continue // it comes with the view
		}
		g.create(&create, t)
		for _, row := range t.Rows {
			g.insert(&fill, t, row)
		}
		g.bind(&bind, t)
	}
	for id, o := range g.Orders {
		ref := fmt.Sprintf("E%d", id)
		if o.Cart {
			fmt.Fprintf(&fill, "update %s set ref = null where id = %d;\n", g.base("orders"), id)
			continue
		}
		if g.OwnMarks {
			fmt.Fprintf(&fill, "insert into kvit.order_mark (order_ref, imported_at, erp_number) values ('%s', now() - nullif(%d, 0) * interval '1 day', 'SO');\n", ref, o.ImportedAgo)
		} else {
			fmt.Fprintf(&fill, "update %s set imported = now() - nullif(%d, 0) * interval '1 day' where id = %d;\n", g.base("orders"), o.ImportedAgo, id)
		}
		if o.Held {
			fmt.Fprintf(&fill, "insert into kvit.legal_hold (order_ref, reason, placed_by) values ('%s', 'audit', 'ops');\n", ref)
		}
		fmt.Fprintf(&fill, `insert into kvit.tracking_event (event_key, name, order_ref, payload, consent) values ('order_placed:%[1]s', 'order_placed', '%[1]s', '{"customer": {"email": "%[2]s-event-%[1]s-@example.com"}}', '{}');`+"\n", ref, marker)
	}
	return create.String() + fill.String() + bind.String()
}

func (g *graphShop) create(sql *strings.Builder, t *graphTable) {
	isOrders := t.Name == "orders"
	columns := []string{"id bigint not null"}
	if !t.Keyless && !(isOrders && g.Form == "view") {
		columns[0] = "id bigint primary key"
	}
	if isOrders && g.Form == "view" {
		columns[0] = "id bigint primary key"
	}
	if isOrders {
		columns = append(columns, "ref text", "placed timestamptz not null default now() - interval '90 days'", "imported timestamptz", "number text", "erased timestamptz")
	}
	columns = append(columns, "kind text", "customer bigint", "since timestamptz not null default now()")
	for _, k := range t.Keys {
		column := k.Name + " bigint"
		if k.OnDelete == "set default" {
			column += " default 0"
		}
		columns = append(columns, column)
	}
	for _, f := range t.Fields {
		columns = append(columns, f+" "+graphFields[f].sqlType)
	}
	name := g.base(t.Name)
	fmt.Fprintf(sql, "create table %s (%s)", name, strings.Join(columns, ", "))
	switch {
	case isOrders && g.Form == "partitioned":
		sql.WriteString(" partition by hash (id);\n")
		for part := range 2 {
			fmt.Fprintf(sql, "create table shop.orders_%[1]d partition of shop.orders for values with (modulus 2, remainder %[1]d);\ncreate unique index on shop.orders_%[1]d (ref);\n", part)
		}
	case isOrders:
		fmt.Fprintf(sql, ";\ncreate unique index on %s (ref);\n", name)
	default:
		sql.WriteString(";\n")
	}
	if isOrders && g.Form == "view" {
		sql.WriteString("create view shop.orders as select * from shop.order_rows;\n")
	}
}

func (g *graphShop) insert(sql *strings.Builder, t *graphTable, row graphRow) {
	names, values := []string{"id", "kind", "customer", "since"}, []string{
		fmt.Sprint(row.ID), "'" + row.Kind + "'", fmt.Sprint(row.Customer), fmt.Sprintf("now() - %d * interval '1 day'", row.Ago),
	}
	if t.Name == "orders" {
		names, values = append(names, "ref"), append(values, fmt.Sprintf("'E%d'", row.ID))
	}
	for _, k := range t.Keys {
		value := "null"
		if n, ok := row.Keys[k.Name]; ok {
			value = fmt.Sprint(n)
		}
		names, values = append(names, k.Name), append(values, value)
	}
	for _, f := range t.Fields {
		mark := t.mark(row.ID)
		if row.Says != "" {
			mark = row.Says
		}
		names, values = append(names, f), append(values, "'"+graphFields[f].value(mark)+"'")
	}
	fmt.Fprintf(sql, "insert into %s (%s) values (%s);\n", g.base(t.Name), strings.Join(names, ", "), strings.Join(values, ", "))
}

func (g *graphShop) bind(sql *strings.Builder, t *graphTable) {
	for _, k := range t.Keys {
		if !k.Foreign {
			continue
		}
		onDelete := ""
		if k.OnDelete != "" {
			onDelete = " on delete " + k.OnDelete
		}
		fmt.Fprintf(sql, "alter table %s add foreign key (%s) references %s (id)%s;\n", g.base(t.Name), k.Name, g.base(k.Target), onDelete)
	}
	name := t.full()
	if t.View {
		fmt.Fprintf(sql, "create materialized view shop.seen_%s as select * from %s;\n", t.Name, name)
	}
	switch t.Trigger {
	case "after", "before":
		result := "return null"
		if t.Trigger == "before" {
			result = "if tg_op = 'DELETE' then return old; end if; return new"
		}
		fmt.Fprintf(sql, `create table shop.audit_%[1]s (id bigint generated always as identity primary key, was jsonb);
create function shop.audit_%[1]s() returns trigger language plpgsql as $$begin insert into shop.audit_%[1]s (was) values (to_jsonb(old)); %[3]s; end$$;
create trigger audit %[2]s update or delete on %[4]s for each row execute function shop.audit_%[1]s();
`, t.Name, t.Trigger, result, g.base(t.Name))
	case "restore":
		fmt.Fprintf(sql, `create function shop.restore_%[1]s() returns trigger language plpgsql as $$begin new.name := old.name; return new; end$$;
create trigger restore before update on %[2]s for each row execute function shop.restore_%[1]s();
`, t.Name, g.base(t.Name))
	case "suppress":
		fmt.Fprintf(sql, `create function shop.suppress_%[1]s() returns trigger language plpgsql as $$begin return null; end$$;
create trigger suppress before delete on %[2]s for each row execute function shop.suppress_%[1]s();
`, t.Name, g.base(t.Name))
	}
}

// columns are what the policy must name of a table.
func (g *graphShop) columns(t *graphTable) []string {
	list := []string{"id", "kind", "customer", "since"}
	if t.Name == "orders" && g.OwnMarks {
		list = append(list, "imported", "number", "erased")
	}
	if t.Name == "order_rows" {
		list = append(list, "ref", "placed", "imported", "number", "erased")
	}
	for _, k := range t.Keys {
		list = append(list, k.Name)
	}
	return append(list, t.Fields...)
}

// policy is what the shop's kvit.yaml would say.
func (g *graphShop) policy() policy.Policy {
	var p policy.Policy
	for _, t := range g.Tables {
		for _, w := range t.Ways {
			way := policy.Table{Name: t.full(), When: graphConditions[w.When].sql, IgnoreKeys: t.Ignore, DeleteRows: w.Fate == "delete", KeepRows: w.Fate == "keep"}
			if w.Parent != "" {
				way.Parent = "shop." + w.Parent
			}
			if len(w.Pairs) > 0 {
				way.Match = &policy.Match{Column: w.Pairs[0][0], OrderColumn: w.Pairs[0][1]}
				for _, pair := range w.Pairs[1:] {
					way.Match.And = append(way.Match.And, policy.Match{Column: pair[0], OrderColumn: pair[1]})
				}
			}
			if w.Fate == "columns" {
				for _, name := range g.columns(t) {
					c := policy.Column{Strategy: policy.Keep}
					if slices.Contains(w.Erase, name) {
						c = policy.Column{Strategy: policy.Null}
						if f, ok := graphFields[name]; ok {
							c = f.column
						}
					}
					c.Name = name
					way.Columns = append(way.Columns, c)
				}
			}
			p.Tables = append(p.Tables, way)
		}
	}
	return p
}

func (g *graphShop) rules() []policy.TableRule {
	var list []policy.TableRule
	for _, r := range g.Rules {
		rule := policy.TableRule{Name: r.Table, Table: "shop." + r.Table, When: graphConditions[r.When].sql, Since: "since", EraseAfter: 7 * day}
		if r.Columns {
			t := g.table(r.Table)
			for _, name := range g.columns(t) {
				c := policy.Column{Strategy: policy.Keep}
				if f, ok := graphFields[name]; ok {
					c = f.column
				}
				c.Name = name
				rule.Columns = append(rule.Columns, c)
			}
		}
		if r.Child != "" {
			rule.Children = []policy.TableChild{{Table: "shop." + r.Child, Column: "up", ParentColumn: "id"}}
		}
		list = append(list, rule)
	}
	return list
}

func (g *graphShop) eraser() *Eraser {
	orders := &store.Orders{Table: "shop.orders", Ref: "ref", PlacedAt: "placed", AwaitingImport: "true", EraseAfter: 30 * day}
	if !g.OwnMarks {
		orders.ImportedAt, orders.ERPNumber, orders.ErasedAt = "imported", "number", "erased"
	}
	residue := Residue{Time: time.Minute}
	if slices.ContainsFunc(g.Tables, func(t *graphTable) bool { return t.View || t.Trigger != "" || t.Name == "logs" }) {
		residue.Orders = 100
	}
	return &Eraser{
		Orders: orders, Policy: g.policy(), Tables: g.rules(), EventsAfter: 90 * day, ReceiptsAfter: 400 * day, BatchOrders: g.Batch,
		Residue: residue, HashKey: store.NewHashKey(randomKey), Logger: slog.New(slog.DiscardHandler),
	}
}

// String is all that somebody needs to see the same shop.
func (g *graphShop) String() string {
	var b strings.Builder
	b.WriteString(g.sql())
	for _, t := range g.Tables {
		for _, w := range t.Ways {
			fmt.Fprintf(&b, "-- policy: %s %v parent %q when %q: %s %v ignore %v\n", t.Name, w.Pairs, w.Parent, graphConditions[w.When].sql, w.Fate, w.Erase, t.Ignore)
		}
	}
	for _, r := range g.Rules {
		fmt.Fprintf(&b, "-- rule: %+v when %q\n", r, graphConditions[r.When].sql)
	}
	fmt.Fprintf(&b, "-- batches of %d, own marks %v, steps %q\n", g.Batch, g.OwnMarks, g.Steps)
	return b.String()
}

// clone is a copy that shares nothing.
func (g *graphShop) clone() *graphShop {
	text, err := json.Marshal(g)
	if err != nil {
		panic(err) // it is plain data
	}
	var c graphShop
	if err := json.Unmarshal(text, &c); err != nil {
		panic(err)
	}
	return &c
}

// smaller are the shops that lack one thing of this one.
func (g *graphShop) smaller() []*graphShop {
	var list []*graphShop
	without := func(change func(c *graphShop)) {
		c := g.clone()
		change(c)
		list = append(list, c)
	}
	for i := 1; i < len(g.Tables); i++ {
		without(func(c *graphShop) { c.dropTable(c.Tables[i].Name) })
	}
	for i := range g.Rules {
		without(func(c *graphShop) { c.Rules = slices.Delete(c.Rules, i, i+1) })
	}
	for i := range g.Steps {
		without(func(c *graphShop) { c.Steps = slices.Delete(c.Steps, i, i+1) })
	}
	if n := len(g.Orders) - 1; n > 0 {
		without(func(c *graphShop) { c.dropRow(c.Tables[0], n) })
	}
	if g.Form != "table" && g.table("order_rows") == nil {
		without(func(c *graphShop) { c.Form = "table" })
	}
	if g.OwnMarks && g.Form != "view" {
		without(func(c *graphShop) { c.OwnMarks = false })
	}
	for ti, t := range g.Tables {
		if t.Trigger != "" {
			without(func(c *graphShop) { c.Tables[ti].Trigger = "" })
		}
		if t.View {
			without(func(c *graphShop) { c.Tables[ti].View = false })
		}
		for i := range t.Ways {
			if len(t.Ways) > 1 {
				without(func(c *graphShop) { c.Tables[ti].Ways = slices.Delete(c.Tables[ti].Ways, i, i+1) })
			}
			if t.Ways[i].When > 0 {
				without(func(c *graphShop) { c.Tables[ti].Ways[i].When = 0 })
			}
			for j := range t.Ways[i].Erase {
				without(func(c *graphShop) {
					c.Tables[ti].Ways[i].Erase = slices.Delete(c.Tables[ti].Ways[i].Erase, j, j+1)
				})
			}
		}
		if ti > 0 {
			for i := range t.Rows {
				without(func(c *graphShop) { c.dropRow(c.Tables[ti], c.Tables[ti].Rows[i].ID) })
			}
		}
		for i, k := range t.Keys {
			if !t.isUsed(g, k.Name) {
				without(func(c *graphShop) { c.Tables[ti].dropKey(i) })
			}
			if k.Foreign {
				without(func(c *graphShop) { c.Tables[ti].Keys[i].Foreign = false })
			}
			for _, row := range t.Rows {
				if _, ok := row.Keys[k.Name]; ok {
					without(func(c *graphShop) { delete(c.Tables[ti].row(row.ID).Keys, k.Name) })
				}
			}
		}
		for i, f := range t.Fields {
			if f != "name" {
				without(func(c *graphShop) {
					c.Tables[ti].Fields = slices.Delete(c.Tables[ti].Fields, i, i+1)
					for wi := range c.Tables[ti].Ways {
						c.Tables[ti].Ways[wi].Erase = slices.DeleteFunc(c.Tables[ti].Ways[wi].Erase, func(e string) bool { return e == f })
					}
				})
			}
		}
	}
	return list
}

func (t *graphTable) row(id int) *graphRow {
	i := slices.IndexFunc(t.Rows, func(r graphRow) bool { return r.ID == id })
	return &t.Rows[i]
}

func (t *graphTable) isUsed(g *graphShop, key string) bool {
	for _, other := range g.Tables {
		for _, w := range other.Ways {
			for _, pair := range w.Pairs {
				if other == t && pair[0] == key || (w.Parent == t.Name || w.Parent == "" && t.Name == "orders") && pair[1] == key {
					return true
				}
			}
		}
	}
	return false
}

func (t *graphTable) dropKey(i int) {
	name := t.Keys[i].Name
	t.Keys = slices.Delete(t.Keys, i, i+1)
	t.Ignore = slices.DeleteFunc(t.Ignore, func(k string) bool { return k == name })
	for r := range t.Rows {
		delete(t.Rows[r].Keys, name)
	}
	for w := range t.Ways {
		t.Ways[w].Erase = slices.DeleteFunc(t.Ways[w].Erase, func(e string) bool { return e == name })
	}
}

// dropTable drops what leads there, too.
func (g *graphShop) dropTable(name string) {
	g.Tables = slices.DeleteFunc(g.Tables, func(t *graphTable) bool { return t.Name == name })
	g.Rules = slices.DeleteFunc(g.Rules, func(r graphRule) bool { return r.Table == name || r.Child == name })
	for _, t := range g.Tables {
		t.Ways = slices.DeleteFunc(t.Ways, func(w graphWay) bool { return w.Parent == name })
		for i := len(t.Keys) - 1; i >= 0; i-- {
			if t.Keys[i].Target == name && !t.isUsed(g, t.Keys[i].Name) {
				t.dropKey(i)
			}
		}
	}
}

func (g *graphShop) dropRow(t *graphTable, id int) {
	t.Rows = slices.DeleteFunc(t.Rows, func(r graphRow) bool { return r.ID == id })
	if t.Name == "orders" {
		g.Orders = g.Orders[:id]
	}
	for _, other := range g.Tables {
		for _, row := range other.Rows {
			maps.DeleteFunc(row.Keys, func(name string, n int) bool {
				k := other.key(name)
				return n == id && (k == nil || k.Target == t.Name)
			})
		}
	}
}
