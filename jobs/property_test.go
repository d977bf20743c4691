package jobs

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"kvit/retention"
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
	for i := range 40 {
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
		o.EraseUnimportedAfter = 365 * day
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
		imported = now() - nullif(%[5]d, 0) * interval '1 day', number = 'SO-%[1]d', closed_at = now() - nullif(%[6]d, 0) * interval '1 day'
		where id = %[1]d;`, id, ref, status, placed, imported, closed)
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

// event is the statement that writes one, so many days old, of which a delivery is pending, or none.
func (r *randomShop) event(ref string, ago int) string {
	name := pick(r.random, []string{"order_placed", "order_shipped"})
	key := fmt.Sprintf("%s:%s-%d", name, ref, r.random.Uint64())
	return fmt.Sprintf(`
		insert into kvit.tracking_event (event_key, name, order_ref, payload, consent)
		values ('%[1]s', '%[2]s', '%[3]s', '{"note": "%[4]s-event-%[3]s-"}', '{"note": "%[4]s-event-%[3]s-"}');
		update kvit.event set received_at = now() - %[5]d * interval '1 day' where event_key = '%[1]s';`, key, name, ref, marker, ago)
}
