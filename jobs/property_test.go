package jobs

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"kvit/store"
)

// wreck is a pool of connections that crash at one statement of a run, counted from 1 over all of them.
// A statement is what pgx sends as one: begin, set, a query, a copy, commit, rollback.
type wreck struct {
	shop *shop
	pool *pgxpool.Pool

	mu     sync.Mutex
	crash  crash
	passed int // statements, or commits, so far
	struck bool
	lines  []*line
}

// crash is where and how it happens.
type crash struct {
	at   int  // the statement that does not happen any more; 0: none
	lost bool // at counts commits alone, and that one happens, but its answer does not arrive
	all  bool // every connection is cut, as when the process dies; else that of the statement
}

// line is a connection that can be cut.
type line struct {
	net.Conn
	pid  uint32 // of the server's process
	deaf bool   // the next answer is read and thrown away, and the line is cut
	cut  bool
}

func (l *line) Read(p []byte) (int, error) {
	n, err := l.Conn.Read(p)
	if l.deaf {
		_ = l.Close()
		return 0, io.ErrUnexpectedEOF
	}
	return n, err
}

var errWreck = errors.New("the process is dead")

// wreck makes a pool for the shop's database that crashes at will.
func (s *shop) wreck() *wreck {
	s.t.Helper()
	w := &wreck{shop: s}
	config := s.db.Config()
	dial := config.ConnConfig.DialFunc
	config.ConnConfig.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return w.join(&line{Conn: conn})
	}
	config.ConnConfig.Tracer = w
	var err error
	w.pool, err = pgxpool.NewWithConfig(s.t.Context(), config)
	require.NoError(s.t, err)
	s.t.Cleanup(w.pool.Close)
	return w
}

func (w *wreck) join(l *line) (net.Conn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.struck && w.crash.all {
		_ = l.Close()
		return nil, errWreck
	}
	w.lines = append(w.lines, l)
	return l, nil
}

// TraceQueryStart is called by pgx before it sends a statement.
func (w *wreck) TraceQueryStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	w.pass(conn, data.SQL == "commit")
	return ctx
}

// TraceQueryEnd is called by pgx after a statement.
func (w *wreck) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// TraceCopyFromStart is called by pgx before a copy.
func (w *wreck) TraceCopyFromStart(ctx context.Context, conn *pgx.Conn, _ pgx.TraceCopyFromStartData) context.Context {
	w.pass(conn, false)
	return ctx
}

// TraceCopyFromEnd is called by pgx after a copy.
func (w *wreck) TraceCopyFromEnd(context.Context, *pgx.Conn, pgx.TraceCopyFromEndData) {}

func (w *wreck) pass(conn *pgx.Conn, isCommit bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.struck || w.crash.lost && !isCommit {
		return
	}
	w.passed++
	w.struck = w.passed == w.crash.at
	for _, l := range w.lines {
		own := l == conn.PgConn().Conn()
		if own {
			l.pid = conn.PgConn().PID()
		}
		if !w.struck || !own && !w.crash.all {
			continue
		}
		l.cut = true
		if own && w.crash.lost {
			l.deaf = true
		} else {
			_ = l.Close()
		}
	}
}

// run runs the erasure until it crashes, if it comes so far, and returns when the database has noticed.
func (w *wreck) run(c crash) (Report, error) {
	t := w.shop.t
	t.Helper()
	w.mu.Lock()
	w.crash, w.passed, w.struck = c, 0, false
	w.mu.Unlock()
	eraser := *w.shop.Eraser
	eraser.DB = w.pool
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	report, err := eraser.Run(ctx)
	require.NoError(t, ctx.Err())
	w.bury()
	return report, err
}

// bury waits until the server has ended the processes of the lines that were cut.
func (w *wreck) bury() {
	w.mu.Lock()
	defer w.mu.Unlock()
	pids := []int64{}
	w.lines = slices.DeleteFunc(w.lines, func(l *line) bool {
		if l.cut {
			pids = append(pids, int64(l.pid))
		}
		return l.cut
	})
	if w.struck && w.crash.all {
		w.pool.Reset() // it does not know yet that its idle connections are cut
	}
	require.Eventually(w.shop.t, func() bool {
		return value[bool](w.shop, `select not exists (select from pg_stat_activity where pid = any ($1))`, pids)
	}, time.Minute, time.Millisecond)
}

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
