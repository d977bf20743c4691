package erasure

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"

	"kvit/erasure/policy"
	"kvit/erasure/proof"
	"kvit/store"
)

var hashShape = regexp.MustCompile(`^[0-9a-f]{64}$`)

// graphState is what is in the shop's tables: rows by table and id.
type graphState struct {
	rows   map[string]map[int]graphRecord
	erased map[int]bool // orders
}

type graphRecord struct {
	cells graphCells
	xmin  string // tells whether anybody has written to the row
}

// graphTrial is one shop in a database, and what the oracle knows of it.
type graphTrial struct {
	ctx  context.Context
	db   *pgxpool.Pool
	bin  string // directory of pg_dump; empty: it is not looked at
	g    *graphShop
	e    *Eraser
	did  map[string]int // what was exercised, how often
	owed map[string]map[int]map[int]bool

	refused bool
	erased  int // orders
}

func (x *graphTrial) exec(sql string) error {
	_, err := x.db.Exec(x.ctx, sql)
	return err
}

// run builds the shop, lets kvit erase, and judges it; the error is a fault of kvit's, or of the generator.
func (x *graphTrial) run() error {
	if err := x.exec(graphClear); err != nil {
		return fmt.Errorf("clear: %w", err)
	}
	if err := x.exec(x.g.sql()); err != nil {
		return fmt.Errorf("build: %w", err)
	}
	x.e = x.g.eraser()
	x.e.DB = x.db
	x.owed = map[string]map[int]map[int]bool{}
	problems, err := x.e.Check(x.ctx)
	if err != nil {
		return fmt.Errorf("check: %w", err)
	}
	if len(problems) > 0 {
		x.refused = true
		return x.blocked(problems)
	}
	if err := x.night(false); err != nil {
		return fmt.Errorf("first night: %w", err)
	}
	x.e.Residue.Orders = 0 // a search takes longer than the rest
	for _, step := range x.g.Steps {
		if x.exec(step) == nil {
			x.did["step "+strings.Fields(step)[0]]++
		}
	}
	if len(x.g.Steps) > 0 {
		if err := x.night(false); err != nil {
			return fmt.Errorf("second night: %w", err)
		}
	}
	if err := x.exec(`delete from kvit.legal_hold; update kvit.order_mark set imported_at = now() - interval '99 days'; update ` + x.g.base("orders") + ` set imported = now() - interval '99 days' where ref is not null`); err != nil {
		return fmt.Errorf("let time pass: %w", err)
	}
	for i := range x.g.Orders {
		x.g.Orders[i].ImportedAgo = 99
	}
	if err := x.night(true); err != nil {
		return fmt.Errorf("third night: %w", err)
	}
	return nil
}

const graphClear = `
set local session_replication_role = replica;
delete from kvit.erasure_certificate; delete from kvit.erasure_run; delete from kvit.legal_hold; delete from kvit.order_mark; delete from kvit.erasure_residue;
delete from kvit.event; delete from kvit.river_job; delete from kvit.delivery; delete from kvit.erasure_left; delete from kvit.erasure_progress;
drop schema if exists shop cascade;`

// blocked looks at a policy that is refused: nothing is certified, and nobody who is not due loses anything.
func (x *graphTrial) blocked([]policy.Problem) error {
	before, err := x.state()
	if err != nil {
		return err
	}
	report, err := x.e.Run(x.ctx)
	if err == nil || !IsMisfit(err) && !errors.Is(err, ErrNotErased) {
		return fmt.Errorf("a refused policy ran: %w", err)
	}
	if report.Orders > 0 {
		return fmt.Errorf("%d orders certified by a refused policy", report.Orders)
	}
	after, err := x.state()
	if err != nil {
		return err
	}
	held, err := x.held()
	if err != nil {
		return err
	}
	for id := range x.due(after) {
		after.erased[id] = after.erased[id] || !held[id] // as if: what of them is erased ahead is theirs
	}
	r := x.reach(before)
	for _, t := range x.g.Tables {
		for id, old := range before.rows[t.Name] {
			if t.Rule == "" && len(r.living(t.Name, id, after)) > 0 && !same2(old, after.rows[t.Name][id]) {
				return fmt.Errorf("refused, but %s %d of a living order changed: %v, now %v", t.Name, id, old, after.rows[t.Name][id])
			}
		}
	}
	return nil
}

func same2(a, b graphRecord) bool { return a.xmin == b.xmin && reflect.DeepEqual(a.cells, b.cells) }

// night is a run, judged; twice is one more that must find nothing to do.
func (x *graphTrial) night(twice bool) error {
	before, err := x.state()
	if err != nil {
		return err
	}
	report, runErr := x.e.Run(x.ctx)
	after, err := x.state()
	if err != nil {
		return err
	}
	if err := x.judge(before, after, report, runErr); err != nil {
		return fmt.Errorf("%w\nreport: %+v, the run: %v", err, report, runErr) //nolint:errorlint // often nil
	}
	if !twice {
		return nil
	}
	if _, err := x.e.Run(x.ctx); (err == nil) != (runErr == nil) {
		return fmt.Errorf("the second run ends with %w, the first with %w", err, runErr)
	}
	again, err := x.state()
	if err != nil {
		return err
	}
	if !reflect.DeepEqual(after, again) {
		return fmt.Errorf("the second run changes something:\n%v\n%v", after, again)
	}
	return nil
}

func (x *graphTrial) state() (graphState, error) {
	s := graphState{rows: map[string]map[int]graphRecord{}, erased: map[int]bool{}}
	for _, t := range x.g.Tables {
		if t.Name == "order_rows" {
			continue
		}
		rows, err := x.db.Query(x.ctx, `select id, xmin::text, to_jsonb(t) from `+x.g.base(t.Name)+` t`)
		if err != nil {
			return s, err
		}
		s.rows[t.Name] = map[int]graphRecord{}
		for rows.Next() {
			var id int
			var record graphRecord
			if err := rows.Scan(&id, &record.xmin, &record.cells); err != nil {
				return s, err
			}
			s.rows[t.Name][id] = record
		}
		if rows.Err() != nil {
			return s, rows.Err()
		}
	}
	sql := `select id from ` + x.g.base("orders") + ` where erased is not null`
	if x.g.OwnMarks {
		sql = `select o.id from ` + x.g.base("orders") + ` o join kvit.order_mark m on m.order_ref = o.ref where m.erased_at is not null`
	}
	rows, err := x.db.Query(x.ctx, sql)
	if err != nil {
		return s, err
	}
	for rows.Next() {
		var id int
		if err := rows.Scan(&id); err != nil {
			return s, err
		}
		s.erased[id] = true
	}
	return s, rows.Err()
}

// due are the orders that a run must erase, but for those under a hold.
func (x *graphTrial) due(s graphState) map[int]bool {
	due := map[int]bool{}
	for id, o := range x.g.Orders {
		if _, exists := s.rows["orders"][id]; exists && o.ImportedAgo >= 30 && !o.Cart {
			due[id] = true
		}
	}
	return due
}

// graphReach is which orders reach a row.
type graphReach struct {
	ways map[string]map[int]map[int]map[int]bool // by the table's ways: table, row, way, orders
	all  map[string]map[int]map[int]bool         // by ways and keys: table, row, orders
	bars map[string]map[int]bool                 // rows to which somebody refers who belongs to no order
}

func (r graphReach) living(table string, id int, s graphState) []int {
	var list []int
	for order := range r.all[table][id] {
		if !s.erased[order] {
			list = append(list, order)
		}
	}
	slices.Sort(list)
	return list
}

// reach works out whose each row is, from nothing but the rows.
func (x *graphTrial) reach(s graphState) graphReach {
	r := graphReach{ways: map[string]map[int]map[int]map[int]bool{}, all: map[string]map[int]map[int]bool{}, bars: map[string]map[int]bool{}}
	for _, t := range x.g.Tables {
		r.ways[t.Name], r.all[t.Name], r.bars[t.Name] = map[int]map[int]map[int]bool{}, map[int]map[int]bool{}, map[int]bool{}
		for id := range s.rows[t.Name] {
			r.ways[t.Name][id], r.all[t.Name][id] = map[int]map[int]bool{}, map[int]bool{}
			if t.Name == "orders" {
				r.all[t.Name][id][id] = true
				r.ways[t.Name][id][0] = map[int]bool{id: true}
			}
		}
	}
	for _, t := range x.g.Tables { // parents come before their children
		for w, way := range t.Ways {
			if t.Name != "orders" && t.Name != "order_rows" && len(way.Pairs) > 0 {
				r.follow(s, t, w)
			}
		}
	}
	for changed := true; changed; {
		changed = false
		x.eachKey(s, func(t *graphTable, id int, k graphKey, to int) {
			if k.Target == "orders" || r.all[k.Target][to] == nil {
				return
			}
			for order := range r.giving(t.Name, id, k) {
				changed = changed || !r.all[k.Target][to][order]
				r.all[k.Target][to][order] = true
			}
		})
	}
	x.eachKey(s, func(t *graphTable, id int, k graphKey, to int) {
		if (t.Rule != "" || len(r.all[t.Name][id]) == 0) && !(t.Name == k.Target && id == to) {
			r.bars[k.Target][to] = true
		}
	})
	return r
}

// giving are the orders that a row with a key has, for the row that the key leads to. Within a table that is a single
// step, from rows that orders have by its ways: else the head of a thread would stay with the last of its answers' answers.
func (r graphReach) giving(table string, id int, k graphKey) map[int]bool {
	if k.Target != table {
		return r.all[table][id]
	}
	orders := map[int]bool{}
	for _, some := range r.ways[table][id] {
		maps.Copy(orders, some)
	}
	return orders
}

// heldByKeysAlone are the rows to which somebody refers who has an order by a key to him alone: the night may have cut that
// key before, and then he has none, and holds what he refers to.
func (x *graphTrial) heldByKeysAlone(s graphState, r graphReach) map[string]map[int]bool {
	held := map[string]map[int]bool{}
	for table := range s.rows {
		held[table] = map[int]bool{}
	}
	x.eachKey(s, func(t *graphTable, id int, k graphKey, to int) {
		byWay := false
		for _, orders := range r.ways[t.Name][id] {
			byWay = byWay || len(orders) > 0
		}
		if !byWay {
			held[k.Target][to] = true
		}
	})
	return held
}

// stillOwed notes by which ways a row that stays is to go later on.
func (x *graphTrial) stillOwed(t *graphTable, id int, r graphReach, fresh, before map[int]bool) {
	owed := maps.Clone(before)
	if owed == nil {
		owed = map[int]bool{}
	}
	for w, orders := range r.ways[t.Name][id] {
		for order := range orders {
			if fresh[order] {
				owed[w] = true
			}
		}
	}
	if x.owed[t.Name] == nil {
		x.owed[t.Name] = map[int]map[int]bool{}
	}
	if !t.Keyless {
		x.owed[t.Name][id] = owed
	}
}

// eachKey calls do for each foreign key of a row.
func (x *graphTrial) eachKey(s graphState, do func(t *graphTable, id int, k graphKey, to int)) {
	for _, t := range x.g.Tables {
		for _, k := range t.Keys {
			for id, row := range s.rows[t.Name] {
				if to, ok := row.cells[k.Name].(float64); ok && k.Foreign {
					do(t, id, k, int(to))
				}
			}
		}
	}
}

func (r graphReach) follow(s graphState, t *graphTable, w int) {
	way := t.Ways[w]
	parent := way.Parent
	if parent == "" {
		parent = "orders"
	}
	for id, row := range s.rows[t.Name] {
		orders := map[int]bool{}
		for above, parentRow := range s.rows[parent] {
			equal := !slices.ContainsFunc(way.Pairs, func(p [2]string) bool {
				return row.cells[p[0]] == nil || !reflect.DeepEqual(row.cells[p[0]], parentRow.cells[p[1]])
			})
			if !equal || !graphConditions[way.When].is(row.cells) {
				continue
			}
			for _, some := range r.ways[parent][above] {
				maps.Copy(orders, some)
			}
		}
		r.ways[t.Name][id][w] = orders
		maps.Copy(r.all[t.Name][id], orders)
	}
}

// judge compares what a run has done with what it should have.
func (x *graphTrial) judge(before, after graphState, report Report, runErr error) error {
	due := x.due(before)
	held, err := x.held()
	if err != nil {
		return err
	}
	hostile := slices.ContainsFunc(x.g.Tables, func(t *graphTable) bool {
		// A default that is no row's number any more refuses what would set it.
		return t.Trigger == "restore" || t.Trigger == "suppress" || slices.ContainsFunc(t.Keys, func(k graphKey) bool { return k.OnDelete == "set default" })
	})
	fresh := map[int]bool{}
	for id := range after.erased {
		if !before.erased[id] {
			fresh[id] = true
			x.erased++
		}
		if !before.erased[id] && (!due[id] || held[id]) {
			return fmt.Errorf("order %d is erased and not due", id)
		}
	}
	if !hostile {
		if runErr != nil {
			return fmt.Errorf("the policy was accepted, and the run ends with: %w", runErr)
		}
		for id := range due {
			if !held[id] && !after.erased[id] {
				return fmt.Errorf("order %d is due and not erased", id)
			}
		}
	}
	r := x.reach(before)
	if err := x.judgeRows(before, after, r, fresh, hostile); err != nil {
		return err
	}
	if err := x.judgeCertificates(before, after, r, fresh); err != nil {
		return err
	}
	return x.judgeTexts(before, after, r, fresh, report)
}

// held are the orders under a hold.
func (x *graphTrial) held() (map[int]bool, error) {
	rows, err := x.db.Query(x.ctx, `select o.id from kvit.legal_hold h join `+x.g.base("orders")+` o on o.ref = h.order_ref`)
	if err != nil {
		return nil, err
	}
	held := map[int]bool{}
	for rows.Next() {
		var id int
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		held[id] = true
	}
	return held, rows.Err()
}

func (x *graphTrial) judgeRows(before, after graphState, r graphReach, fresh map[int]bool, hostile bool) error {
	gone := map[string]map[int]bool{} // rows that are to be deleted
	want := map[string]map[int]graphCells{}
	takes := x.ruled(before)
	bars, mayStay := x.barsAfter(before, r, takes), x.heldByKeysAlone(before, r)
	for _, t := range x.g.Tables {
		gone[t.Name], want[t.Name] = map[int]bool{}, map[int]graphCells{}
		for id, old := range before.rows[t.Name] {
			if t.Rule != "" {
				want[t.Name][id], gone[t.Name][id] = x.byRule(t, old.cells, takes[t.Name][id])
				continue
			}
			was := maps.Clone(x.owed[t.Name][id])
			want[t.Name][id], gone[t.Name][id] = x.byWays(t, id, old.cells, after, r, fresh, bars)
			if _, there := after.rows[t.Name][id]; gone[t.Name][id] && there && mayStay[t.Name][id] {
				gone[t.Name][id] = false
				x.stillOwed(t, id, r, fresh, was)
			}
		}
	}
	for _, t := range x.g.Tables {
		for id, old := range before.rows[t.Name] {
			now, there := after.rows[t.Name][id]
			living := r.living(t.Name, id, after)
			if t.Rule == "" && len(living) > 0 && !same2(old, now) {
				return fmt.Errorf("%s %d of the living order %v is touched:\n%v\n%v", t.Name, id, living, old, now)
			}
			expected, cascaded := x.cut(t, want[t.Name][id], gone)
			switch {
			case gone[t.Name][id] && there && !(hostile && t.Rule == "") && !(t.Keyless && len(r.all[t.Name][id]) > 1):
				return fmt.Errorf("%s %d should be deleted, and is there: %v", t.Name, id, now)
			case gone[t.Name][id] || cascaded:
			case t.Rule != "" && (t.Trigger == "restore" || t.Trigger == "suppress") && there: // the run says so
			case !there:
				return fmt.Errorf("%s %d is deleted, and should not be: %v", t.Name, id, old)
			case !reflect.DeepEqual(withoutMarks(expected), withoutMarks(now.cells)) && !(t.Keyless && len(r.all[t.Name][id]) > 1):
				return fmt.Errorf("%s %d should be\n%v, and is\n%v, and was\n%v", t.Name, id, expected, now.cells, old.cells)
			}
		}
	}
	return nil
}

// withoutMarks leaves out kvit's own columns.
func withoutMarks(c graphCells) graphCells {
	c = maps.Clone(c)
	delete(c, "erased")
	return c
}

// barsAfter are the rows to which somebody refers who belongs to no order, when the rules have had their turn.
func (x *graphTrial) barsAfter(s graphState, r graphReach, takes map[string]map[int]bool) map[string]map[int]bool {
	bars := map[string]map[int]bool{}
	for table := range s.rows {
		bars[table] = map[int]bool{}
	}
	x.eachKey(s, func(t *graphTable, id int, k graphKey, to int) {
		outside := t.Rule != "" || len(r.all[t.Name][id]) == 0
		if outside && !(t.Name == k.Target && id == to) && !(takes[t.Name][id] && x.ruleDeletes(t.Name)) {
			bars[k.Target][to] = true
		}
	})
	return bars
}

func (x *graphTrial) ruleDeletes(table string) bool {
	return slices.ContainsFunc(x.g.Rules, func(r graphRule) bool { return r.Table == table && !r.Columns || r.Child == table })
}

// ruled are the rows that the rules take.
func (x *graphTrial) ruled(s graphState) map[string]map[int]bool {
	takes := map[string]map[int]bool{}
	for _, rule := range x.g.Rules {
		takes[rule.Table], takes[rule.Child] = map[int]bool{}, map[int]bool{}
		for _, row := range x.g.table(rule.Table).Rows {
			cells := s.rows[rule.Table][row.ID].cells
			if cells == nil || row.Ago < 7 || !graphConditions[rule.When].is(cells) {
				continue
			}
			takes[rule.Table][row.ID] = true
			for child, record := range s.rows[rule.Child] {
				if record.cells["up"] == float64(row.ID) {
					takes[rule.Child][child] = true
				}
			}
		}
	}
	return takes
}

func (x *graphTrial) byRule(t *graphTable, cells graphCells, takes bool) (graphCells, bool) {
	if !takes {
		return cells, false
	}
	if x.ruleDeletes(t.Name) {
		x.did["rule deletes"]++
		return cells, true
	}
	x.did["rule overwrites"]++
	return erasedCells(cells, t.Fields), false
}

func erasedCells(cells graphCells, fields []string) graphCells {
	cells = maps.Clone(cells)
	for _, name := range fields {
		if f, ok := graphFields[name]; ok {
			cells[name] = f.after(cells[name])
		} else {
			cells[name] = nil
		}
	}
	return cells
}

// byWays is what should become of a row of the policy.
func (x *graphTrial) byWays(t *graphTable, id int, cells graphCells, after graphState, r graphReach, fresh map[int]bool, bars map[string]map[int]bool) (graphCells, bool) {
	owed := map[int]bool{}
	maps.Copy(owed, x.owed[t.Name][id])
	for w, orders := range r.ways[t.Name][id] {
		for order := range orders {
			if fresh[order] {
				owed[w] = true
			}
		}
	}
	keep := func() {
		if x.owed[t.Name] == nil {
			x.owed[t.Name] = map[int]map[int]bool{}
		}
		if !t.Keyless {
			x.owed[t.Name][id] = owed
		}
	}
	living := len(r.living(t.Name, id, after)) > 0
	x.note(t, id, cells, r, owed, living)
	if living {
		keep()
		return cells, false
	}
	delete(x.owed[t.Name], id)
	for w := range owed {
		way := t.Ways[w]
		if way.Fate == "delete" && !bars[t.Name][id] {
			return cells, true
		}
		if way.Fate == "delete" {
			x.did["left: somebody of no order refers to it"]++
			keep()
		}
		erase := way.Erase
		if behind := x.g.table("order_rows"); t.Name == "orders" && behind != nil {
			erase = append(slices.Clone(erase), behind.Ways[0].Erase...)
		}
		cells = erasedCells(cells, erase)
	}
	return cells, false
}

// note counts what was exercised.
func (x *graphTrial) note(t *graphTable, id int, cells graphCells, r graphReach, owed map[int]bool, living bool) {
	if len(owed) == 0 || t.Name == "orders" {
		return
	}
	if living {
		x.did["left: shared"]++
		if len(x.owed[t.Name][id]) == 0 {
			byWays := map[int]bool{}
			for w, orders := range r.ways[t.Name][id] {
				if len(orders) > 0 {
					byWays[w] = true
				}
			}
			if len(byWays) > 1 {
				x.did["left: shared over two ways"]++
			} else if len(byWays) == 1 && slices.ContainsFunc(slices.Collect(maps.Keys(r.all[t.Name][id])), func(o int) bool {
				for _, orders := range r.ways[t.Name][id] {
					if orders[o] {
						return false
					}
				}
				return true
			}) {
				x.did["left: shared by a key alone"]++
			}
		}
		return
	}
	if len(x.owed[t.Name][id]) > 0 {
		x.did["swept"]++
	}
	if len(t.Ways) > 1 {
		x.did["one of several ways"]++
	}
	if len(owed) > 1 {
		x.did["several ways at once"]++
	}
	if t.Keyless {
		x.did["without a primary key"]++
	}
	for w := range owed {
		way := t.Ways[w]
		x.did["fate "+way.Fate]++
		if way.When > 0 {
			x.did["condition"]++
		}
		if len(way.Pairs) > 1 {
			x.did["two pairs"]++
		}
		depth := 1
		for up := way.Parent; up != ""; depth++ {
			parent := x.g.table(up)
			up = ""
			for _, w := range parent.Ways {
				up = w.Parent
			}
		}
		x.did[fmt.Sprintf("chain of %d", min(depth, 3))]++
		if way.Pairs[0][0] == "id" {
			x.did["way along a key"]++
		}
		for _, other := range t.Ways {
			if other.Fate != way.Fate {
				x.did["ways of different fates"]++
			}
		}
		if slices.Contains(way.Erase, "message") {
			x.did["JSON in text"]++
		}
	}
	for _, from := range x.g.Tables {
		for _, k := range from.Keys {
			if k.Target == t.Name && k.Foreign {
				kind := "policy"
				switch {
				case from.Rule != "":
					kind = "rule"
				case from.Name == "kept":
					kind = "kept"
				}
				x.did["key of "+kind+" on delete "+k.OnDelete]++
			}
		}
	}
	for w, way := range t.Ways {
		if !owed[w] && way.When > 0 && !graphConditions[way.When].is(cells) {
			x.did["spared by a condition"]++
		}
	}
}

// cut is a row when those that it refers to are gone; cascaded: it goes with them.
func (x *graphTrial) cut(t *graphTable, cells graphCells, gone map[string]map[int]bool) (graphCells, bool) {
	cells = maps.Clone(cells)
	for _, k := range t.Keys {
		to, ok := cells[k.Name].(float64)
		if !ok || !k.Foreign || !gone[k.Target][int(to)] {
			continue
		}
		switch k.OnDelete {
		case "cascade":
			return cells, true
		case "set null":
			cells[k.Name] = nil
		case "set default":
			cells[k.Name] = float64(0)
		}
	}
	return cells, false
}

func (x *graphTrial) judgeCertificates(before, after graphState, r graphReach, fresh map[int]bool) error {
	certified := map[string]int{}
	shared := map[string]int64{}
	chain := proof.Chain{}
	err := store.EachCertificate(x.ctx, x.db, func(c store.Certificate) error {
		if c.Clock == store.ClockImported {
			certified[c.OrderRef]++
			shared[c.OrderRef] = c.Verification["shared"]
		}
		return chain.Verify(proof.Certificate(c))
	})
	if err != nil {
		return fmt.Errorf("chain: %w", err)
	}
	for id := range after.erased {
		if certified[fmt.Sprintf("E%d", id)] != 1 {
			return fmt.Errorf("order %d has %d certificates", id, certified[fmt.Sprintf("E%d", id)])
		}
	}
	for ref := range certified {
		var id int
		_, _ = fmt.Sscanf(ref, "E%d", &id)
		if _, exists := after.rows["orders"][id]; exists && !after.erased[id] {
			return fmt.Errorf("%s has a certificate and no mark", ref)
		}
	}
	for _, t := range x.g.Tables {
		for id, old := range before.rows[t.Name] {
			for w, orders := range r.ways[t.Name][id] {
				way := t.Ways[w]
				if t.Name == "orders" || way.Fate == "keep" || way.Fate == "columns" && reflect.DeepEqual(old.cells, erasedCells(old.cells, way.Erase)) || len(r.living(t.Name, id, after)) == 0 {
					continue
				}
				for order := range orders {
					if fresh[order] && shared[fmt.Sprintf("E%d", order)] == 0 {
						return fmt.Errorf("the certificate of order %d does not say that %s %d stays", order, t.Name, id)
					}
				}
			}
		}
	}
	return nil
}

// graphText is the text of a cell somewhere in the database.
type graphText struct{ table, column, text string }

// texts are those of all tables and materialized views in which a marker stands.
func (x *graphTrial) texts() ([]graphText, error) {
	rows, err := x.db.Query(x.ctx, `
		select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
		where c.relkind in ('r', 'm') and n.nspname in ('shop', 'kvit')`)
	if err != nil {
		return nil, err
	}
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	if rows.Err() != nil {
		return nil, rows.Err()
	}
	var selects []string
	for _, name := range names {
		selects = append(selects, fmt.Sprintf(`select '%[1]s', c.key, c.value::text from %[1]s t, jsonb_each(to_jsonb(t)) c where t::text like '%%%[2]s%%' and c.value::text like '%%%[2]s%%'`, name, marker))
	}
	rows, err = x.db.Query(x.ctx, strings.Join(selects, " union all "))
	if err != nil {
		return nil, err
	}
	var texts []graphText
	for rows.Next() {
		var text graphText
		if err := rows.Scan(&text.table, &text.column, &text.text); err != nil {
			return nil, err
		}
		texts = append(texts, text)
	}
	return texts, rows.Err()
}

// judgeTexts looks for the markers of what is gone. They may stand where kvit says so, and where it does not have to look.
func (x *graphTrial) judgeTexts(before, after graphState, r graphReach, fresh map[int]bool, report Report) error {
	texts, err := x.texts()
	if err != nil {
		return err
	}
	open, err := store.OpenResidues(x.ctx, x.db)
	if err != nil {
		return err
	}
	supplements := map[string]bool{}
	if err := store.EachCertificate(x.ctx, x.db, func(c store.Certificate) error {
		for place := range c.Found {
			supplements[c.OrderRef+" "+place] = true
		}
		return nil
	}); err != nil {
		return err
	}
	said := func(text graphText) bool {
		return slices.ContainsFunc(open, func(o store.ResidueStatus) bool { return o.Table == text.table && o.Column == text.column }) ||
			report.Residue != nil && slices.ContainsFunc(report.Residue.Unsearched, func(u store.Unsearched) bool { return u.Table == text.table })
	}
	values := x.values(before, after, r)
	for id := range fresh {
		mark := fmt.Sprintf("%s-event-E%d-", marker, id)
		for _, text := range texts {
			if strings.Contains(text.text, mark) {
				return fmt.Errorf("%s stands in %s.%s", mark, text.table, text.column)
			}
		}
	}
	var clean []string
	for _, t := range x.g.Tables {
		if t.Rule != "" || t.Name == "order_rows" || t.Name == "logs" {
			continue
		}
		for id, old := range before.rows[t.Name] {
			now, there := after.rows[t.Name][id]
			owner := soleOwner(r.all[t.Name][id])
			lost := !there || !reflect.DeepEqual(erasedFields(old.cells, t), erasedFields(now.cells, t))
			if !lost {
				continue
			}
			meant := there && strings.Contains(fmt.Sprint(now.cells), t.mark(id)) // a kept column has the same value
			elsewhere := false
			for _, text := range texts {
				if !strings.Contains(text.text, t.mark(id)) {
					continue
				}
				elsewhere = true
				if text.table == x.g.base(t.Name) || x.g.Form == "partitioned" && strings.HasPrefix(text.table, "shop.orders_") {
					continue // judged by its cells
				}
				isStrict := !meant && x.e.Residue.Orders > 0 && owner >= 0 && fresh[owner] && values[owner] < mostStrong && len(soleWays(r.ways[t.Name][id], owner)) > 0
				found := said(text)
				if found {
					x.did["found in "+strings.Split(strings.TrimPrefix(text.table, "shop."), "_")[0]]++
				}
				if isStrict && !found {
					return fmt.Errorf("%s of order %d stands in %s.%s, and nobody says so", t.mark(id), owner, text.table, text.column)
				}
				if isStrict && !supplements[fmt.Sprintf("E%d %s.%s", owner, text.table, text.column)] {
					return fmt.Errorf("%s of order %d stands in %s.%s, and its certificates do not say so", t.mark(id), owner, text.table, text.column)
				}
			}
			if !elsewhere {
				clean = append(clean, t.mark(id))
			}
		}
	}
	return x.judgeDump(clean)
}

// judgeDump looks for marks in what pg_dump writes.
func (x *graphTrial) judgeDump(clean []string) error {
	if x.bin == "" || len(clean) == 0 {
		return nil
	}
	text, err := exec.CommandContext(x.ctx, filepath.Join(x.bin, "pg_dump"), "--dbname", x.db.Config().ConnString()).Output()
	if err != nil {
		return fmt.Errorf("pg_dump: %w", err)
	}
	x.did["pg_dump"]++
	for _, mark := range clean {
		if strings.Contains(string(text), mark) {
			return fmt.Errorf("%s stands in the dump", mark)
		}
	}
	return nil
}

func erasedFields(cells graphCells, t *graphTable) string {
	var values []any
	for _, f := range t.Fields {
		values = append(values, cells[f])
	}
	text, _ := json.Marshal(values)
	return string(text)
}

// values are how many texts each order loses that kvit might look for.
func (x *graphTrial) values(before, after graphState, r graphReach) map[int]int {
	n := map[int]int{}
	for _, t := range x.g.Tables {
		for id, old := range before.rows[t.Name] {
			now, there := after.rows[t.Name][id]
			count := 0
			for _, f := range t.Fields {
				if !there || !reflect.DeepEqual(old.cells[f], now.cells[f]) {
					count++
				}
			}
			if count > 0 && (!there || now.cells["name"] == nil) {
				count = 1 // the others have its name in them
			}
			for order := range r.all[t.Name][id] {
				n[order] += count
			}
		}
	}
	for order := range n {
		n[order]++ // the event's
	}
	return n
}

func soleOwner(orders map[int]bool) int {
	if len(orders) != 1 {
		return -1
	}
	for order := range orders {
		return order
	}
	return -1
}

// soleWays are the ways by which an order reaches a row.
func soleWays(ways map[int]map[int]bool, order int) (list []int) {
	for w, orders := range ways {
		if orders[order] {
			list = append(list, w)
		}
	}
	return list
}
