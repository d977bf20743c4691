package erasure

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"kvit/erasure/policy"
	"kvit/store"
	"kvit/store/storetest"
)

// wreckShop is one statement, so that it can be told for each of hundreds of crashes.
const wreckShop = `
set local session_replication_role = replica;
delete from kvit.erasure_certificate; delete from kvit.erasure_run; delete from kvit.erasure_progress; delete from kvit.legal_hold;
delete from kvit.event; delete from kvit.river_job; delete from kvit.delivery;
delete from public.order_lines; delete from public.payments; delete from public.orders; delete from public.customers;
set local session_replication_role = origin;
insert into public.customers select i, 'Mxrkxr' from generate_series(1, 2) i;
insert into public.orders (order_number, customer_id, customer_name, email, street, erp_imported_at)
select ref, customer, 'Mxrkxr', 'Mxrkxr', 'Mxrkxr', now() - ago * interval '1 day'
from (values ('due-1', 1, 40), ('due-2', 1, 39), ('due-3', 2, 38), ('not-yet', null, 29), ('held', 2, 40), ('never', null, null)) o (ref, customer, ago);
insert into public.order_lines (order_id, sku, engraved) select id, sku, 'Mxrkxr' from public.orders, unnest(array['a', 'b']) sku;
insert into public.payments (order_number, holder) select order_number, 'Mxrkxr' from public.orders;
insert into kvit.legal_hold (order_ref, reason, placed_by) values ('held', 'audit', 'ops');
insert into kvit.tracking_event (event_key, name, order_ref, payload, consent)
select 'order_placed:' || order_number, 'order_placed', order_number, '{"customer": "Mxrkxr"}'::jsonb, '{"note": "Mxrkxr"}'::jsonb from public.orders
union all select 'search:1', 'search', null, '{"customer": "Mxrkxr"}', '{"note": "Mxrkxr"}';
update kvit.event set received_at = now() - interval '31 days' where order_ref is null;`

// states is what each order of wreckShop is: a word for its rows, and the number of its certificates.
func (s *shop) states() map[string]string {
	s.t.Helper()
	rows, err := s.db.Query(s.t.Context(), `
		select o.order_number, case
		    when erased_columns = '4 0 0 0 1' and personal_data_erased_at is not null then 'erased'
		    when erased_columns = '0 2 1 1 0' and personal_data_erased_at is null then 'untouched'
		    else 'torn ' || erased_columns end
		    || ' ' || (select count(*) from kvit.erasure_certificate c where c.order_ref = o.order_number)
		from public.orders o, lateral (
		    select format('%s %s %s %s %s',
		        (o.customer_name is null)::int + (o.email = 'erased')::int + (o.street = 'erased')::int + (o.personal_data_erased_at is not null)::int,
		        (select count(*) from public.order_lines l where l.order_id = o.id and engraved = $1),
		        (select count(*) from public.payments p where p.order_number = o.order_number and holder = $1),
		        (select count(*) from kvit.event e where e.order_ref = o.order_number and payload is not null and consent <> '{}' and stream is not null and erased_at is null),
		        (select count(*) from kvit.event e join kvit.delivery d on d.event_id = e.id
		         where e.order_ref = o.order_number and payload is null and consent = '{}' and stream is null and outcome = 'erased')
		    ) as erased_columns) x`, marker)
	require.NoError(s.t, err)
	states := map[string]string{}
	var ref, state string
	_, err = pgx.ForEachRow(rows, []any{&ref, &state}, func() error {
		states[ref] = state
		return nil
	})
	require.NoError(s.t, err)
	return states
}

// requireWhole checks that each due order is erased whole or not at all, and that no other is touched. It
// returns how many are erased.
func (s *shop) requireWhole() (erased int64) {
	s.t.Helper()
	states := s.states()
	require.Len(s.t, states, 6)
	for ref, state := range states {
		if strings.HasPrefix(ref, "due") && state == "erased 1" {
			erased++
			continue
		}
		require.Equal(s.t, "untouched 0", state, ref)
	}
	names := value[string](s, `select string_agg(name, ' ' order by id) from public.customers`)
	both := states["due-1"] == "erased 1" && states["due-2"] == "erased 1"
	require.Equal(s.t, map[bool]string{true: "erased Mxrkxr", false: "Mxrkxr Mxrkxr"}[both], names, "a customer goes with the last order")
	s.requireChain(erased)
	return erased
}

// A process that dies, or a connection that is cut, between any two statements of a run: every order is
// erased whole with its certificate or not at all, and the next run finishes what is due.
func TestCrashBetweenAnyTwoStatements(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.BatchOrders = 2
	require.NoError(t, store.SyncDestinations(t.Context(), s.db, []store.Destination{
		{Name: "crm", Kind: "webhook", Enabled: true, EventNames: []string{"order_placed", "search"}},
	}, false))
	w := s.wreck()
	count := func(c crash) int {
		s.exec(wreckShop)
		_, err := w.run(c)
		require.NoError(t, err)
		require.EqualValues(t, 3, s.requireWhole())
		return w.passed
	}
	statements, commits := count(crash{}), count(crash{lost: true})
	t.Logf("%d statements, %d commits", statements, commits)
	require.Greater(t, statements, 50)
	require.Greater(t, commits, 5)

	seen := map[int64]bool{}
	for at := 1; at <= statements; at++ {
		seen[w.survive(crash{at: at, all: at%3 == 0})] = true
	}
	require.Equal(t, map[int64]bool{0: true, 2: true, 3: true}, seen, "crashes before, between and after the batches")
	for at := 1; at <= commits; at++ {
		w.survive(crash{at: at, all: at%3 == 0, lost: true})
	}
}

// survive crashes a run and does another one; it returns how many orders the first had erased.
func (w *wreck) survive(c crash) int64 {
	s := w.shop
	s.t.Helper()
	s.exec(wreckShop)
	_, err := w.run(c)
	require.True(s.t, w.struck)
	erased := s.requireWhole()
	if err == nil { // nothing was left to do but to say goodbye
		require.EqualValues(s.t, 3, erased, "%+v", c)
	}
	s.run()
	require.EqualValues(s.t, 3, s.requireWhole(), "%+v", c)
	require.Zero(s.t, value[int](s, `select count(*) from kvit.event where order_ref is null and payload is not null`), "%+v", c)
	return erased
}

// What is done of an order while it waits is noted each time more is done, not the first time alone.
func TestProgressGrowsWhileAnOrderWaits(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.order("E1", 31*day)
	s.exec(`alter table public.payments add column iban text; alter table public.customers add column phone text`)
	s.misfit()
	done := func() bool {
		return value[bool](s, `select tables ? 'public.payments' from kvit.erasure_progress where order_ref = 'E1'`)
	}
	require.False(t, done())
	s.name("public.payments", "iban", policy.Null)
	s.misfit()
	require.True(t, done())
}

// A connection that only looks on says nothing about the orders: when its transaction breaks, the run
// ends, and no order is reported as one that cannot be erased.
func TestBrokenLookoutIsNoOrdersFault(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.order("E1", 31*day)
	r := s.newRun(time.Time{})
	err := r.alone(t.Context(), func() error {
		_, err := r.lookout.tx.Exec(t.Context(), `select 1 / 0`)
		require.Error(t, err)
		return inBatches(t.Context(), r, dueOrders{r, s.Orders.AllClocks()[0]})
	})
	require.Error(t, err)
	require.Zero(t, r.report.Failed)
	require.Empty(t, r.report.Problems)
	require.True(t, s.untouched("E1"))
	require.Equal(t, 1, s.run().Orders)
}

// randomShop is a random shop with kvit beside it.
type randomShop struct {
	*shop
	*wreck
	random *rand.Rand
	tables []*randomTable
	orders []randomOrder
	loose  map[string]bool // keys of events that no order takes along: whether they are to go
	before found
}

// found is what is in the database.
type found struct {
	rows     map[string]map[int][]string // values by table and row
	events   map[string]string           // a word for each by its key
	erased   map[string]bool             // order references
	progress map[string]map[string]int64
	clocks   map[string]string // of certificates
}

// seedOf is a new one for each run of the tests, or that of $KVIT_TEST_SEED.
func seedOf(t *testing.T) uint64 {
	t.Helper()
	seed := rand.Uint64()
	if given := os.Getenv("KVIT_TEST_SEED"); given != "" {
		var err error
		seed, err = strconv.ParseUint(given, 10, 64)
		require.NoError(t, err)
	}
	t.Logf("KVIT_TEST_SEED=%d", seed)
	return seed
}

// Whatever the tables, their policy, the clocks, the holds and the crashes: at any moment an order is
// erased whole with its certificate or waits with what is noted of it, what is kept is as it was, no other
// order is touched, and a run that goes through leaves nothing due.
func TestRandomShops(t *testing.T) {
	t.Parallel()
	seed := seedOf(t)
	s := &shop{t: t, db: storetest.DB(t)}
	s.exec(`create domain public.word as varchar(80)`)
	require.NoError(t, store.SyncDestinations(t.Context(), s.db, []store.Destination{
		{Name: "crm", Kind: "webhook", Enabled: true, EventNames: []string{"order_placed", "search"}},
	}, false))
	w := s.wreck()
	for i := range 15 {
		random := rand.New(rand.NewPCG(seed, uint64(i)))
		r := &randomShop{shop: s, wreck: w, random: random, tables: randomTables(random), loose: map[string]bool{}}
		ok := t.Run(strconv.Itoa(i), func(t *testing.T) {
			r.shop.t = t
			r.build()
			r.dry()
			r.forget()
			r.finish(i%8 == 0)
		})
		if !ok {
			return // its tables are still there
		}
	}
}

func (r *randomShop) build() {
	r.t.Helper()
	r.Eraser = &Eraser{
		DB: r.db, Orders: r.clocks(), EventsAfter: day, ReceiptsAfter: 400 * day, BatchOrders: 1 + r.random.IntN(4),
		BatchTime: pick(r.random, []time.Duration{0, 50 * time.Millisecond}),
		HashKey:   store.NewHashKey(randomKey), Logger: slog.New(slog.DiscardHandler),
	}
	const orders = 6
	for id := range orders {
		r.orders = append(r.orders, r.order(id))
	}
	var create, insert strings.Builder
	for _, table := range r.tables {
		table.anyCase = r.Orders.Email != ""
		if table.isOrders() {
			for id, o := range r.orders {
				row := randomRow{id: id, owners: []int{id}, values: map[string]string{byCustomer: fmt.Sprint(o.customer)}}
				table.fillRow(&row, o.person)
				table.rows = append(table.rows, row)
			}
		} else {
			table.fill(r.random, r.orders)
		}
		create.WriteString(table.create(r.random))
		insert.WriteString(table.insert())
		r.Policy.Tables = append(r.Policy.Tables, table.policy)
	}
	r.random.Shuffle(len(r.Policy.Tables), func(i, j int) {
		r.Policy.Tables[i], r.Policy.Tables[j] = r.Policy.Tables[j], r.Policy.Tables[i]
	})
	if r.Orders.OwnMarks() {
		create.WriteString(`alter table public.orders drop column imported, drop column number, drop column erased;`)
	}
	for _, o := range r.orders {
		insert.WriteString(o.sql)
	}
	r.exec(create.String() + insert.String() + r.looseEvents())
	problems, err := r.Check(r.t.Context())
	require.NoError(r.t, err)
	require.Empty(r.t, problems)
	r.before = r.find()
}

// clocks makes up when orders are due.
func (r *randomShop) clocks() *store.Orders {
	o := &store.Orders{
		Table: "public.orders", Ref: "ref", PlacedAt: "placed", ImportedAt: "imported",
		ERPNumber: "number", ErasedAt: "erased", AwaitingImport: "true", EraseAfter: 30 * day,
	}
	if r.random.IntN(2) == 0 {
		o.ImportedAt, o.ERPNumber, o.ErasedAt = "", "", "" // kvit keeps the marks
	}
	if r.random.IntN(2) == 0 {
		o.EraseUnimportedAfter = 365 * day
	}
	if r.random.IntN(2) == 0 {
		o.Email = byEmail // addresses are compared whatever their case
	}
	if r.random.IntN(2) == 0 {
		o.Clocks = []store.Clock{{Name: "closed", When: "status = 'closed'", Since: "closed_at", After: 7 * day}}
	}
	return o
}

// order makes up an order, and works out by which clock it goes.
func (r *randomShop) order(id int) randomOrder {
	o := randomOrder{customer: r.random.IntN(4), person: r.random.IntN(4)}
	placed := pick(r.random, []int{1, 364, 366})
	imported := pick(r.random, []int{0, 0, 29, 31, 60}) // 0: never
	closed := pick(r.random, []int{0, 6, 8})
	status := pick(r.random, []string{"open", "closed"})
	switch {
	case imported >= 30:
		o.clock = store.ClockImported
	case r.Orders.EraseUnimportedAfter > 0 && imported == 0 && placed >= 365:
		o.clock = store.ClockNeverImported
	case r.Orders.Clocks != nil && status == "closed" && closed >= 7:
		o.clock = "closed"
	}
	ref := fmt.Sprintf("E%d", id)
	sql := fmt.Sprintf(`update public.orders set ref = '%[2]s', status = '%[3]s', placed = now() - %[4]d * interval '1 day',
		closed_at = now() - nullif(%[5]d, 0) * interval '1 day' where id = %[1]d;`, id, ref, status, placed, closed)
	mark := `update public.orders set imported = now() - nullif(%[3]d, 0) * interval '1 day', number = 'SO-%[1]d' where id = %[1]d;`
	if r.Orders.OwnMarks() {
		mark = `insert into kvit.order_mark (order_ref, imported_at, erp_number) values ('%[2]s', now() - nullif(%[3]d, 0) * interval '1 day', 'SO-%[1]d');`
	}
	sql += fmt.Sprintf(mark, id, ref, imported)
	for range r.random.IntN(3) {
		sql += r.event(ref, r.random.IntN(3))
	}
	switch r.random.IntN(8) {
	case 0:
		o.clock = "" // a cart: it has no reference yet
		sql += fmt.Sprintf(`update public.orders set ref = null where id = %d; delete from kvit.event where order_ref = '%s';`, id, ref)
	case 1:
		o.clock = ""
		sql += `insert into kvit.legal_hold (order_ref, reason, placed_by) values ('` + ref + `', 'audit', 'ops');`
	case 2:
		o.clock = ""
		sql += `insert into kvit.legal_hold (order_ref, reason, placed_by, expires_at) values ('` + ref + `', 'audit', 'ops', now() + interval '1 hour');`
	case 3:
		sql += `insert into kvit.legal_hold (order_ref, reason, placed_by, expires_at) values ('` + ref + `', 'audit', 'ops', now() - interval '1 hour');`
	}
	o.sql = sql
	return o
}

func (r *randomShop) erasedAt() string {
	if r.Orders.OwnMarks() {
		return `(select m.erased_at from kvit.order_mark m where m.order_ref = o.ref)`
	}
	return `o.erased`
}

// event is the statement that writes one, so many days old, of which a delivery is pending, or none.
func (r *randomShop) event(ref string, ago int) string {
	name := pick(r.random, []string{"order_placed", "order_shipped"})
	key := fmt.Sprintf("%s:%s-%d", name, ref, r.random.Uint64())
	return fmt.Sprintf(`
		insert into kvit.tracking_event (event_key, name, order_ref, payload, consent)
		values ('%[1]s', '%[2]s', '%[3]s', '{"note": "%[4]s-event-%[3]s-"}', '{"note": "%[4]s-event-%[3]s-"}');
		update kvit.event set received_at = now() - %[5]d * interval '1 day' where event_key = '%[1]s';`, key, name, ref, marker, ago)
}

// looseEvents writes events that no order takes along, and works out which of them are to go.
func (r *randomShop) looseEvents() string {
	sql := `insert into kvit.legal_hold (order_ref, reason, placed_by) values ('ghost-held', 'audit', 'ops');`
	for _, e := range []struct {
		key, ref string
		ago      int
		goes     bool
	}{
		{"search:1", "null", 2, true}, {"search:2", "null", 0, false},
		{"order_placed:1", "'ghost'", 2, true}, {"order_placed:2", "'ghost'", 0, false}, {"order_placed:3", "'ghost-held'", 2, false},
	} {
		if r.random.IntN(2) == 0 {
			continue
		}
		r.loose[e.key] = e.goes
		name, _, _ := strings.Cut(e.key, ":")
		sql += fmt.Sprintf(`
			insert into kvit.tracking_event (event_key, name, order_ref, payload, consent)
			values ('%[1]s', '%[2]s', %[3]s, '{"note": "%[4]s-event-%[1]s-"}', '{"note": "%[4]s-event-%[1]s-"}');
			update kvit.event set received_at = now() - %[5]d * interval '1 day' where event_key = '%[1]s';`, e.key, name, e.ref, marker, e.ago)
	}
	return sql
}

// collect reads two columns.
func collect[K comparable, V any](s *shop, sql string) map[K]V {
	s.t.Helper()
	rows, err := s.db.Query(s.t.Context(), sql)
	require.NoError(s.t, err)
	all := map[K]V{}
	for rows.Next() {
		var k K
		var v V
		require.NoError(s.t, rows.Scan(&k, &v))
		all[k] = v
	}
	require.NoError(s.t, rows.Err())
	return all
}

func (r *randomShop) find() found {
	r.t.Helper()
	f := found{
		rows: map[string]map[int][]string{},
		events: collect[string, string](r.shop, `
			select event_key, case
			    when payload is not null and consent <> '{}' and erased_at is null then coalesce(order_ref, '')
			    when payload is null and consent = '{}' and stream is null and erased_at is not null and (name = 'order_shipped'
			         or exists (select from kvit.delivery d where d.event_id = e.id and d.outcome = 'erased')) then 'erased ' || coalesce(order_ref, '')
			    else 'torn' end
			from kvit.event e`),
		erased:   collect[string, bool](r.shop, `select ref, `+r.erasedAt()+` is not null from public.orders o where ref is not null`),
		progress: collect[string, map[string]int64](r.shop, `select order_ref, tables from kvit.erasure_progress`),
		clocks:   collect[string, string](r.shop, `select order_ref, string_agg(clock, ' ') from kvit.erasure_certificate where clock <> 'shared' group by 1`),
	}
	for _, t := range r.tables {
		f.rows[t.policy.Name] = collect[int, []string](r.shop, t.read())
	}
	return f
}

// done tells whether a table is erased for an order: with the order, or ahead of it.
func (f found) done(table, ref string) bool {
	_, ahead := f.progress[ref][table]
	return f.erased[ref] || ahead
}

// look checks everything that holds at any moment, and returns how many orders are erased.
func (r *randomShop) look() (f found, erased int) {
	r.t.Helper()
	f = r.find()
	for id, o := range r.orders {
		ref := fmt.Sprintf("E%d", id)
		if f.erased[ref] {
			erased++
			require.Equal(r.t, o.clock, f.clocks[ref], "certificate of %s", ref)
		}
		if o.clock == "" {
			require.False(r.t, f.erased[ref], ref)
			require.NotContains(r.t, f.progress, ref)
		}
	}
	require.Len(r.t, f.clocks, erased)
	r.requireChain(int64(erased) + value[int64](r.shop, `select count(*) from kvit.erasure_certificate where clock = 'shared'`))
	for _, t := range r.tables {
		require.Equal(r.t, r.left(t, f), f.rows[t.policy.Name], "%s %+v", t.policy.Name, r.Policy.Tables)
	}
	for key, before := range r.before.events {
		want := before
		if goes, isLoose := r.loose[key]; !isLoose && f.done(eventTable, before) || goes && f.events[key] != before {
			want = strings.TrimSpace("erased " + before)
		}
		require.Equal(r.t, want, strings.TrimSpace(f.events[key]), key)
	}
	return f, erased
}

// left is what there should be in a table.
func (r *randomShop) left(t *randomTable, f found) map[int][]string {
	rows := map[int][]string{}
	for _, row := range t.rows {
		switch {
		case !r.gone(t, row, f):
			rows[row.id] = r.before.rows[t.policy.Name][row.id]
		case !t.policy.DeleteRows:
			rows[row.id] = t.erased(row)
		}
	}
	return rows
}

func (r *randomShop) gone(t *randomTable, row randomRow, f found) bool {
	for _, id := range row.owners {
		if !f.done(t.policy.Name, fmt.Sprintf("E%d", id)) {
			return false
		}
	}
	return len(row.owners) > 0 && !t.policy.KeepRows
}

// dry looks, now and then, whether a dry run changes anything.
func (r *randomShop) dry() {
	r.t.Helper()
	if r.random.IntN(4) > 0 {
		return
	}
	if r.Orders.OwnMarks() {
		r.notice()
	}
	before := r.dump()
	report, err := r.DryRun(r.t.Context())
	require.NoError(r.t, err)
	require.Equal(r.t, r.due(), report.Orders)
	require.Equal(r.t, before, r.dump())
}

func (r *randomShop) due() (n int) {
	for _, o := range r.orders {
		if o.clock != "" {
			n++
		}
	}
	return n
}

// forget adds a column, now and then, that stops its table for some runs, until somebody names it.
func (r *randomShop) forget() {
	r.t.Helper()
	t := pick(r.random, r.tables)
	if r.random.IntN(2) == 0 || t.policy.DeleteRows || t.policy.KeepRows {
		return
	}
	r.exec(`alter table ` + t.policy.Name + ` add column forgotten text`)
	t.kinds["forgotten"] = kind{"text", policy.Column{Strategy: policy.Null}, same, nil}
	for i := range t.rows {
		t.rows[i].values["forgotten"] = t.mark(t.rows[i].id)
		r.exec(`update `+t.policy.Name+` set forgotten = $2 where id = $1`, t.rows[i].id, t.mark(t.rows[i].id))
	}
	r.before = r.find()
	r.crashes()
	report, err := r.Run(r.t.Context())
	require.ErrorContains(r.t, err, t.policy.Name+".forgotten is not named")
	require.Zero(r.t, report.Orders)
	f, erased := r.look()
	require.Zero(r.t, erased)
	require.Len(r.t, f.progress, r.due())
	r.name(t.policy.Name, "forgotten", policy.Null)
}

// crashes are up to two runs that crash somewhere, or come to their end.
func (r *randomShop) crashes() {
	r.t.Helper()
	for range r.random.IntN(3) {
		c := crash{at: 1 + r.random.IntN(150), all: r.random.IntN(3) == 0}
		if r.random.IntN(4) == 0 {
			c = crash{at: 1 + r.random.IntN(8), all: c.all, lost: true}
		}
		_, err := r.wreck.run(c)
		if r.struck && err == nil {
			r.t.Logf("%+v: crash at the very end", c)
		}
		r.look()
	}
}

// finish crashes some more, erases what is left, and looks for it in a dump.
func (r *randomShop) finish(withProgram bool) {
	r.t.Helper()
	r.crashes()
	_, erased := r.look()
	report, err := r.Run(r.t.Context())
	require.NoError(r.t, err)
	f, all := r.look()
	require.Equal(r.t, r.due(), all)
	require.Equal(r.t, all-erased, report.Orders)
	require.Empty(r.t, f.progress)
	for key, goes := range r.loose {
		require.Equal(r.t, goes, strings.HasPrefix(f.events[key], "erased"), key)
	}
	text := r.dump()
	if withProgram {
		text = r.programDump()
	}
	for _, trace := range r.traces(f) {
		require.False(r.t, strings.Contains(text, trace), "%s is left: %+v", trace, r.Policy)
	}
	r.clear()
}

// traces are the marks of everything that is gone.
func (r *randomShop) traces(f found) (all []string) {
	for _, t := range r.tables {
		for _, row := range t.rows {
			if r.gone(t, row, f) {
				all = append(all, t.mark(row.id))
			}
		}
	}
	for key, ref := range r.before.events {
		if f.events[key] != ref {
			all = append(all, marker+"-event-"+ref+"-", marker+"-event-"+key+"-")
		}
	}
	return all
}

// programDump is what pg_dump writes.
func (s *shop) programDump() string {
	s.t.Helper()
	program, there := storetest.FindProgram(s.t, "pg_dump")
	if !there {
		return s.everyRow()
	}
	text, err := exec.CommandContext(s.t.Context(), program, "--dbname", s.db.Config().ConnString()).Output()
	require.NoError(s.t, err)
	require.Contains(s.t, string(text), "COPY kvit.erasure_certificate")
	return string(text)
}

// clear makes room for the next shop.
func (r *randomShop) clear() {
	r.t.Helper()
	sql := `set local session_replication_role = replica;
		delete from kvit.erasure_certificate; delete from kvit.erasure_run; delete from kvit.legal_hold; delete from kvit.order_mark;
		delete from kvit.event; delete from kvit.river_job; delete from kvit.delivery; delete from kvit.erasure_left;`
	for i := len(r.tables) - 1; i >= 0; i-- {
		sql += `drop table ` + r.tables[i].policy.Name + `;`
	}
	r.exec(sql)
}
