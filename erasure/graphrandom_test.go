package erasure

import (
	"fmt"
	"math/rand/v2"
	"slices"
)

// graphMaker makes up a shop.
type graphMaker struct {
	*rand.Rand
	g *graphShop
}

func (m *graphMaker) odds(of int) bool { return m.IntN(of) == 0 }

// randomGraph makes up a shop of some size: the number of tables beside the orders.
func randomGraph(random *rand.Rand, size int) *graphShop {
	m := &graphMaker{random, &graphShop{Form: "table", Batch: 1 + random.IntN(4)}}
	g := m.g
	g.OwnMarks = m.odds(2)
	switch m.IntN(8) {
	case 0:
		g.Form = "partitioned"
	case 1:
		g.Form, g.OwnMarks = "view", true
	}
	orders := &graphTable{Name: "orders", Fields: []string{"name"}}
	m.fields(orders)
	orders.Ways = []graphWay{{Fate: "columns", Erase: slices.Clone(orders.Fields)}}
	g.Tables = []*graphTable{orders}
	if g.Form == "view" {
		m.hidden(orders)
	}
	for i := range size {
		m.table(fmt.Sprintf("t%d", i+1))
	}
	if m.odds(3) {
		m.beside()
	}
	for range m.IntN(4) {
		m.cond()
	}
	m.extraKeys()
	if !m.odds(8) {
		m.mend()
	}
	m.copies()
	m.rows(2 + m.IntN(2+size))
	m.logs()
	m.steps()
	return g
}

// hidden names the table behind the view.
func (m *graphMaker) hidden(orders *graphTable) {
	behind := &graphTable{Name: "order_rows", Fields: orders.Fields, Ways: []graphWay{{Pairs: [][2]string{{"id", "id"}}, Fate: "columns", Erase: slices.Clone(orders.Fields)}}}
	m.g.Tables = append(m.g.Tables, behind)
	if m.odds(2) {
		orders.Ways[0].Erase = nil // the table behind loses them
	} else {
		behind.Ways[0].Erase = nil
	}
}

func (m *graphMaker) fields(t *graphTable) {
	for _, f := range []string{"street", "note", "phone", "comment", "message"} {
		if m.odds(3) {
			t.Fields = append(t.Fields, f)
		}
	}
}

// table makes up one of the policy, with up to three ways to its orders.
func (m *graphMaker) table(name string) {
	t := &graphTable{Name: name, Fields: []string{"name"}, Keyless: m.odds(12)}
	m.fields(t)
	earlier := slices.DeleteFunc(slices.Clone(m.g.Tables), func(t *graphTable) bool { return t.Name == "order_rows" })
	m.g.Tables = append(m.g.Tables, t)
	fate := m.fate()
	for range 1 + m.IntN(3) {
		w := graphWay{Fate: fate}
		if m.odds(5) {
			w.Fate = m.fate()
		}
		if w.Fate == "columns" {
			w.Erase = slices.DeleteFunc(slices.Clone(t.Fields), func(string) bool { return m.odds(3) })
		}
		m.link(t, &w, pick(m.Rand, earlier))
		if m.odds(4) {
			w.When = 1 + m.IntN(len(graphConditions)-1)
		}
		t.Ways = append(t.Ways, w)
	}
}

func (m *graphMaker) fate() string {
	return pick(m.Rand, []string{"delete", "delete", "delete", "columns", "columns", "columns", "columns", "keep"})
}

// link makes up how rows are found.
func (m *graphMaker) link(t *graphTable, w *graphWay, parent *graphTable) {
	orders := m.g.Tables[0]
	if parent != orders {
		w.Parent = parent.Name
	}
	add := func(of, to *graphTable, name string, foreign bool) string {
		name = fmt.Sprintf("%s%d", name, len(of.Keys)+1)
		of.Keys = append(of.Keys, graphKey{Name: name, Target: to.Name, Foreign: foreign && !to.Keyless && !(of.Name == "orders" && m.g.Form == "view" && to.Name == "orders"), OnDelete: m.onDelete()})
		if of.Name == "orders" && m.g.table("order_rows") != nil {
			m.g.table("order_rows").Keys = of.Keys
		}
		return name
	}
	switch m.IntN(10) {
	case 0, 1, 2: // it belongs to the parent
		w.Pairs = [][2]string{{add(t, parent, "of", m.IntN(4) > 0), "id"}}
	case 3, 4, 5: // the parent refers to it
		w.Pairs = [][2]string{{"id", add(parent, t, "its", m.IntN(4) > 0)}}
	case 6:
		w.Pairs, w.Parent = [][2]string{{"customer", "customer"}}, ""
	case 7: // two pairs
		w.Pairs = [][2]string{{add(t, parent, "of", m.odds(2)), "id"}, {"customer", "customer"}}
	case 8: // polymorphic
		item := "of1"
		if t.key("of1") == nil {
			item = add(t, parent, "of", false)
		}
		w.Pairs, w.When = [][2]string{{item, "id"}}, pick(m.Rand, []int{1, 3})
	case 9: // two pairs, one of them said by the kind
		w.Pairs = [][2]string{{"kind", "kind"}, {add(t, parent, "of", false), "id"}}
	}
}

func (m *graphMaker) onDelete() string {
	return pick(m.Rand, []string{"", "restrict", "cascade", "set null", "set null", "set default"})
}

// cond makes up two ways of one table that differ in their condition alone.
func (m *graphMaker) cond() {
	if len(m.g.Tables) < 2 {
		return
	}
	t := pick(m.Rand, m.g.Tables[1:])
	if len(t.Ways) != 1 || t.Name == "order_rows" || len(t.Ways[0].Pairs) == 0 {
		return
	}
	w := t.Ways[0]
	w.When = 3
	t.Ways[0].When = 1
	w.Fate = m.fate()
	w.Erase = nil
	if w.Fate == "columns" {
		w.Erase = slices.DeleteFunc(slices.Clone(t.Fields), func(string) bool { return m.odds(3) })
	}
	t.Ways = append(t.Ways, w)
}

// extraKeys are those that no way uses, from orders, from tables, and from those that are kept whole or that the
// policy does not name.
func (m *graphMaker) extraKeys() {
	tables := slices.DeleteFunc(slices.Clone(m.g.Tables), func(t *graphTable) bool { return t.Name == "order_rows" || t.Rule != "" })
	for range m.IntN(3) {
		from, to := pick(m.Rand, tables), pick(m.Rand, tables)
		if to.Keyless || to.Name == "orders" || from.Rule != "" || from.Name == "orders" && m.g.Form == "view" {
			continue
		}
		name := fmt.Sprintf("more%d", len(from.Keys)+1)
		from.Keys = append(from.Keys, graphKey{Name: name, Target: to.Name, Foreign: true, OnDelete: m.onDelete()})
		if from != to && !m.odds(8) {
			from.Ignore = append(from.Ignore, name)
		}
	}
	targets := slices.DeleteFunc(tables, func(t *graphTable) bool { return t.Keyless || t.Name == "orders" })
	if len(targets) == 0 || !m.odds(3) {
		return
	}
	to := pick(m.Rand, targets)
	kept := &graphTable{Name: "kept", Fields: []string{"name"}, Keys: []graphKey{{Name: "other", Target: to.Name, Foreign: true, OnDelete: m.onDelete()}}}
	if !m.odds(8) {
		kept.Ways = []graphWay{{Fate: "keep"}}
	}
	m.g.Tables = append(m.g.Tables, kept)
}

// beside is a table with a clock of its own, which may refer to those of the policy, and a child of it.
func (m *graphMaker) beside() {
	t := &graphTable{Name: "carts", Fields: []string{"name", "note"}, Rule: "carts"}
	if targets := slices.DeleteFunc(slices.Clone(m.g.Tables), func(t *graphTable) bool { return t.Keyless || t.Name == "order_rows" }); m.IntN(4) > 0 {
		to := pick(m.Rand, targets)
		t.Keys = append(t.Keys, graphKey{Name: "other", Target: to.Name, Foreign: true, OnDelete: m.onDelete()})
	}
	m.g.Tables = append(m.g.Tables, t)
	rule := graphRule{Table: "carts", When: m.IntN(5), Columns: m.odds(3)}
	if m.odds(2) {
		child := &graphTable{Name: "items", Fields: []string{"name"}, Rule: "carts", Keys: []graphKey{{Name: "up", Target: "carts", Foreign: m.odds(2), OnDelete: pick(m.Rand, []string{"", "cascade"})}}}
		m.g.Tables = append(m.g.Tables, child)
		rule.Child = child.Name
	}
	m.g.Rules = append(m.g.Rules, rule)
}

// mend makes the policy likely to be accepted: keys of rows that stay do not hold those that go, nor go with them.
func (m *graphMaker) mend() {
	for _, t := range m.g.Tables {
		stays := t.Rule != "" || len(t.Ways) == 0 || slices.ContainsFunc(t.Ways, func(w graphWay) bool { return w.Fate != "delete" })
		for i, k := range t.Keys {
			to := m.g.table(k.Target)
			goes := slices.ContainsFunc(to.Ways, func(w graphWay) bool { return w.Fate == "delete" })
			if k.Foreign && stays && goes && to != t && (t.Rule == "" || m.odds(2)) && k.OnDelete != "set default" {
				t.Keys[i].OnDelete = "set null"
			}
		}
	}
	m.ignoreUnused()
	if behind := m.g.table("order_rows"); behind != nil {
		behind.Keys, behind.Ignore = m.g.Tables[0].Keys, m.g.Tables[0].Ignore
	}
}

// ignoreUnused names in the policy the keys that its check would ask for.
func (m *graphMaker) ignoreUnused() {
	for _, t := range m.g.Tables {
		if t.Rule != "" || len(t.Ways) == 0 || t.Name == "order_rows" || t.Name == "kept" {
			continue
		}
		for _, k := range t.Keys {
			if k.Foreign && (!t.isUsed(m.g, k.Name) || t.Name == "orders" && m.g.Form == "view") && !slices.Contains(t.Ignore, k.Name) {
				t.Ignore = append(t.Ignore, k.Name)
			}
		}
	}
}

// copies makes up triggers and materialized views.
func (m *graphMaker) copies() {
	for _, t := range m.g.Tables {
		if t.Name == "order_rows" || t.Name == "orders" && m.g.Form != "table" {
			continue
		}
		switch m.IntN(16) {
		case 0, 1:
			t.Trigger = "after"
		case 2:
			t.Trigger = "before"
		case 3:
			t.Trigger = pick(m.Rand, []string{"restore", "suppress", "", ""})
		}
		t.View = m.odds(10)
	}
}

func (m *graphMaker) rows(orders int) {
	g := m.g
	for id := range orders {
		o := graphOrder{ImportedAgo: pick(m.Rand, []int{0, 1, 29, 31, 40, 60}), Held: m.odds(8), Cart: m.odds(8)}
		g.Orders = append(g.Orders, o)
		g.Tables[0].Rows = append(g.Tables[0].Rows, m.row(id))
	}
	for _, t := range g.Tables[1:] {
		if t.Name == "order_rows" {
			continue
		}
		for id := range 1 + m.IntN(5) {
			row := m.row(id + 1)
			row.Ago = pick(m.Rand, []int{1, 8, 30})
			t.Rows = append(t.Rows, row)
		}
		if slices.ContainsFunc(g.Tables, func(from *graphTable) bool {
			return slices.ContainsFunc(from.Keys, func(k graphKey) bool { return k.Target == t.Name && k.OnDelete == "set default" })
		}) {
			t.Rows = append(t.Rows, graphRow{ID: 0, Kind: "z", Customer: 99, Keys: map[string]int{}})
		}
	}
	for _, t := range g.Tables {
		if t.Name == "order_rows" {
			continue
		}
		for i := range t.Rows {
			if t.Name != "orders" && t.Rows[i].ID == 0 {
				continue
			}
			for _, k := range t.Keys {
				to := g.table(k.Target)
				if len(to.Rows) == 0 || m.odds(4) || k.OnDelete == "set default" && k.Target == "orders" && m.odds(2) {
					continue
				}
				t.Rows[i].Keys[k.Name] = pick(m.Rand, to.Rows).ID
			}
		}
	}
}

func (m *graphMaker) row(id int) graphRow {
	return graphRow{ID: id, Kind: pick(m.Rand, []string{"a", "a", "b", "c"}), Customer: m.IntN(3), Keys: map[string]int{}}
}

// logs are tables without any key that say what stands in others: one that nobody names, and one with a clock of its own.
func (m *graphMaker) logs() {
	g := m.g
	if m.odds(3) {
		log := &graphTable{Name: "logs", Fields: []string{"comment"}}
		for id := range 3 {
			t := pick(m.Rand, g.Tables)
			if len(t.Rows) > 0 {
				log.Rows = append(log.Rows, graphRow{ID: id, Kind: "a", Keys: map[string]int{}, Says: t.mark(pick(m.Rand, t.Rows).ID)})
			}
		}
		g.Tables = append(g.Tables, log)
	}
	if m.odds(3) {
		job := &graphTable{Name: "jobs", Fields: []string{"message"}, Rule: "jobs"}
		for id := range 3 {
			job.Rows = append(job.Rows, graphRow{ID: id, Kind: "a", Ago: pick(m.Rand, []int{1, 8}), Keys: map[string]int{}})
		}
		g.Tables = append(g.Tables, job)
		g.Rules = append(g.Rules, graphRule{Table: "jobs", Columns: m.odds(2)})
	}
}

// steps are what the shop does after the first run.
func (m *graphMaker) steps() {
	g := m.g
	for range m.IntN(4) {
		id := m.IntN(len(g.Orders))
		base := g.base("orders")
		switch m.IntN(4) {
		case 0:
			g.Steps = append(g.Steps, fmt.Sprintf("delete from %s where id = %d", base, id))
		case 1:
			g.Steps = append(g.Steps, "delete from kvit.legal_hold")
		case 2, 3:
			t := pick(m.Rand, g.Tables)
			if len(t.Keys) == 0 || t.Name == "order_rows" || len(t.Rows) == 0 {
				continue
			}
			k := pick(m.Rand, t.Keys)
			value := "null"
			if to := g.table(k.Target); m.odds(2) && len(to.Rows) > 0 {
				value = fmt.Sprint(pick(m.Rand, to.Rows).ID)
			}
			g.Steps = append(g.Steps, fmt.Sprintf("update %s set %s = %s where id = %d", g.base(t.Name), k.Name, value, pick(m.Rand, t.Rows).ID))
		}
	}
}
