package main

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"kvit/config"
	"kvit/erp"
	"kvit/erp/economic/economictest"
	"kvit/erp/fortnox/fortnoxtest"
	"kvit/erp/odata/odatatest"
	"kvit/erp/sqldb"
	"kvit/erp/vismanet/vismanettest"
	"kvit/erp/watcher"
	"kvit/jobs"
	"kvit/store"
	"kvit/store/storetest"
)

// The month: what it has, and how it is cut.
const (
	monthDays    = 30 // KVIT_MONTH_DAYS makes it shorter, for whoever works on this test
	ordersADay   = 1667
	stepsADay    = 12
	monthStep    = 24 * time.Hour / stepsADay
	monthOutages = 12        // of each ERP in a month, each of some hours
	monthMemory  = 700 << 20 // live bytes, of shop, ERPs and kvit in one process
)

// A month of fifty thousand orders (1,667 a day) over nine ERPs, on a clock of its own: ERPs are away for hours, and fail within an answer; kvit
// is restarted, stopped in the middle of a run, and crashes; orders are invoiced between two polls, imported twice, and are other
// shops'. Each order that was imported is marked once, with the right number, and no other is; no ERP is asked more often a day than it
// may be.
//
// Every kind is there but c5, whose SQL Server cannot be started here: the kind sql, whose connector it shares, stands for it, over
// Postgres.
func TestMonth(t *testing.T) {
	if os.Getenv("KVIT_ERPS") == "" {
		t.Skip("make test-erps runs it: it takes minutes")
	}
	days := monthDays
	if text := os.Getenv("KVIT_MONTH_DAYS"); text != "" {
		var err error
		days, err = strconv.Atoi(text)
		require.NoError(t, err)
	}
	m := newMonth(t, days)
	for step := range m.steps {
		m.pass(step)
	}
	m.settle()
	m.endDay()
	m.audit()
}

// monthOrder is one of the shop's.
type monthOrder struct {
	ref    string
	at     int    // the step in which it comes into the ERP; -1: never
	number string // that the order must have in the end; empty: none is told
	twice  bool   // imported again, a day later
	gone   bool   // invoiced before anybody can have looked
	erp    *monthERP
}

// month is the whole of it. Its ERPs are asked through a pool whose clock is the table sim.clock.
type month struct {
	t      *testing.T
	random *rand.Rand
	pool   *pgxpool.Pool // with the simulated clock
	real   *pgxpool.Pool
	shop   store.Orders
	erps   []*monthERP
	now    time.Time
	steps  int
	next   int            // the next order
	due    [][]monthOrder // imports, by step
	again  [][]monthOrder // second imports
	all    []monthOrder
	most   uint64
	began  time.Time
}

// monthERP is an ERP of the month, and whoever watches it.
type monthERP struct {
	name   string
	every  int // steps from poll to poll
	budget int // calls a day; 0: no limit
	source config.ERP
	make   func(common erp.Common) (erp.Connector, error)
	put    func(docs ...erp.Document)
	remove func(number string)
	fail   func(after, times, status int, header http.Header)
	asked  func() int
	names  bool // an invoice names its order

	watcher *watcher.Watcher
	away    []bool // by step
	before  int    // calls until today
	worst   int    // calls on a day
}

func newMonth(t *testing.T, days int) *month {
	t.Helper()
	url := storetest.URL(t)
	m := &month{
		t: t, random: rand.New(rand.NewPCG(14, 50_000)), now: time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, -31),
		began: time.Now(), steps: days * stepsADay, due: make([][]monthOrder, days*stepsADay+40), again: make([][]monthOrder, days*stepsADay+60),
		shop: store.Orders{
			Table: "public.month_orders", Ref: "number", PlacedAt: "placed", ImportedAt: "imported", ERPNumber: "erp", ErasedAt: "erased",
			AwaitingImport: "status = 'paid'", EraseAfter: 30 * 24 * time.Hour,
		},
	}
	m.real = m.open(url, "")
	m.exec(`create table public.month_orders (number text primary key, status text not null default 'paid', placed timestamptz not null,
		imported timestamptz, erp text, erased timestamptz, marks integer not null default 0)`)
	m.exec(`create index on public.month_orders (placed) where imported is null`)
	// However often a mark is written is counted by the shop, not by kvit.
	m.exec(`create function public.count_marks() returns trigger language plpgsql as $$ begin
		if new.imported is distinct from old.imported then new.marks := old.marks + 1; end if; return new; end $$`)
	m.exec(`create trigger count_marks before update on public.month_orders for each row execute function public.count_marks()`)
	m.exec(`create schema sim`)
	m.exec(`create table sim.clock (at timestamptz not null)`)
	m.exec(`insert into sim.clock values ($1)`, m.now)
	m.exec(`create function sim.now() returns timestamptz stable language sql as 'select at from sim.clock'`)
	m.pool = m.open(url, "sim, pg_catalog")
	m.hire()
	m.work()
	return m
}

func (m *month) open(url, searchPath string) *pgxpool.Pool {
	c, err := pgxpool.ParseConfig(url)
	require.NoError(m.t, err)
	c.MaxConns = 12
	if searchPath != "" {
		c.ConnConfig.RuntimeParams["search_path"] = searchPath
	}
	pool, err := pgxpool.NewWithConfig(m.t.Context(), c)
	require.NoError(m.t, err)
	m.t.Cleanup(pool.Close)
	return pool
}

func (m *month) exec(sql string, args ...any) {
	m.t.Helper()
	_, err := m.real.Exec(m.t.Context(), sql, args...)
	require.NoError(m.t, err)
}

// work judges evidence as kvit run does.
func (m *month) work() {
	client, err := jobs.NewClient(jobs.Options{Pool: m.real, Timeout: 30 * time.Second, Notify: true, Orders: &m.shop, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(m.t, err)
	require.NoError(m.t, client.Start(context.WithoutCancel(m.t.Context())))
	m.t.Cleanup(func() { _ = client.Stop(context.Background()) })
}

// hire starts the ERPs.
func (m *month) hire() {
	m.odata("bc", odatatest.Dialect{
		Root: "/api/v2.0/companies(7dbba574-5f69-4167-a43e-fb975045de15)", Tokens: true, User: "kvit", Secret: "s3cret", OneField: true,
		Company: odatatest.Row{"id": "7dbba574-5f69-4167-a43e-fb975045de15", "name": "Example"}, Upper: "externalDocumentNumber",
	}, "salesOrders", "salesInvoices", `{kind: business_central, base_url: "ADDRESS", token_url: "ADDRESS/token", allow_private: true, calls_per_day: 120,
		company: 7dbba574-5f69-4167-a43e-fb975045de15, company_name: Example, client_id: kvit, client_secret: "${SECRET}"}`, 1,
		func(d erp.Document) odatatest.Row {
			return odatatest.Row{"number": d.Number, "externalDocumentNumber": d.Ref, "orderNumber": d.OrderNumber, "status": "Open", "lastModifiedDateTime": d.ChangedAt}
		})
	m.odata("nav", odatatest.Dialect{
		Root: "/ODataV4/Company('Example')", User: "kvit", Secret: "s3cret", OneField: true,
		Company: odatatest.Row{"Name": "Example"}, Companies: "/ODataV4/Company", Upper: "External_Document_No",
	}, "WebSalesOrders", "WebPostedInvoices", `{kind: nav, base_url: "ADDRESS/ODataV4", allow_private: true, company: Example, user: kvit, access_key: "${SECRET}", calls_per_day: 160,
		orders: {collection: WebSalesOrders}, invoices: {collection: WebPostedInvoices}}`, 2,
		func(d erp.Document) odatatest.Row {
			return odatatest.Row{"No": d.Number, "Document_Type": "Order", "External_Document_No": d.Ref, "Order_No": d.OrderNumber}
		})
	m.odata("uniconta", odatatest.Dialect{Root: "/odata/123456", User: "kvit", Secret: "s3cret", OneField: true, V3: true, Sparse: true, Zoneless: true},
		"DebtorOrderClient", "DebtorInvoiceClient", `{kind: uniconta, base_url: "ADDRESS", allow_private: true, company: "123456", user: kvit, password: "${SECRET}", time_zone: UTC,
		calls_per_day: 80, orders: {changed: UpdatedAt}, invoices: {changed: UpdatedAt}}`, 1,
		func(d erp.Document) odatatest.Row {
			r := odatatest.Row{"OurRef": d.Ref, "UpdatedAt": d.ChangedAt, "Offer": false, "TotalAmount": 10, "OrderNumber": d.Number}
			if d.Kind == erp.InvoiceDocument {
				r["InvoiceNumber"], r["OrderNumber"] = d.Number, d.OrderNumber
			}
			return r
		})
	visma := vismanettest.New(m.t)
	m.rest("visma", fmt.Sprintf(`{kind: visma_net, client_id: %s, client_secret: "${SECRET}", tenant_id: %s, base_url: %q, token_url: %q, calls_per_day: 60}`,
		vismanettest.ClientID, vismanettest.TenantID, visma.BaseURL(), visma.TokenURL()), vismanettest.Secret, 1, &monthERP{
		put: visma.Put, remove: func(string) {}, fail: visma.Fail, asked: visma.Requests}) // an invoiced order stays an order there
	eco := economictest.New(m.t)
	m.rest("eco", fmt.Sprintf(`{kind: economic, app_secret_token: "${SECRET}", agreement_grant_token: "${GRANT}", agreement: %d, base_url: %q, calls_per_day: 500}`,
		economictest.Agreement, eco.URL), economictest.AppSecret, 3, &monthERP{put: eco.Put, remove: eco.Remove, fail: eco.Fail, asked: eco.Requests})
	fx := fortnoxtest.New(m.t)
	m.rest("fx", fmt.Sprintf(`{kind: fortnox, client_id: %s, client_secret: "${SECRET}", tenant_id: %d, base_url: %q, token_url: %q, calls_per_day: 3500}`,
		fortnoxtest.ClientID, fortnoxtest.TenantID, fx.BaseURL(), fx.TokenURL()), fortnoxtest.Secret, 3, &monthERP{
		put: fx.Put, remove: fx.Remove, fail: fx.Fail, asked: fx.Requests, names: true})
	m.database()
	m.folder()
	m.pushes()
	for _, e := range m.erps {
		e.away = make([]bool, m.steps+60)
		for range max(monthOutages*m.steps/(monthDays*stepsADay), 1) {
			from, long := m.random.IntN(m.steps), 1+m.random.IntN(3)
			for i := range long {
				e.away[from+i] = true
			}
		}
	}
	var list []store.ERPSource
	for _, e := range m.erps {
		if e.make != nil {
			list = append(list, store.ERPSource{Name: e.name, Kind: e.source.Kind, Enabled: true, Poll: e.source.Poll, Fingerprint: "one"})
		}
	}
	require.NoError(m.t, store.SyncERPSources(m.t.Context(), m.pool, list))
	for _, e := range m.erps {
		m.start(e)
	}
}

// parse reads one source as kvit.yaml has it.
func (m *month) parse(name, yaml, secret string) config.ERP {
	text := "database: {url: \"${DATABASE_URL}\"}\nshop: {orders: {table: public.month_orders, ref: number, placed_at: placed}}\nretention: {erase_after_import: 30d}\nerp:\n  " +
		name + ": " + strings.Join(strings.Fields(yaml), " ") + "\n"
	environment := map[string]string{"DATABASE_URL": "postgres://localhost/x", "SECRET": secret, "GRANT": economictest.Grant}
	cfg, err := config.Parse("kvit.yaml", []byte(text), func(name string) string { return environment[name] }, allKinds())
	require.NoError(m.t, err)
	return cfg.ERPs[0]
}

func (m *month) rest(name, yaml, secret string, every int, e *monthERP) {
	e.name, e.every, e.source = name, every, m.parse(name, yaml, secret)
	e.source.Poll, e.budget = time.Duration(every)*monthStep, e.source.CallsPerDay
	settings, ok := e.source.Settings.(erp.Settings)
	require.True(m.t, ok)
	e.make = settings.Make
	m.erps = append(m.erps, e)
}

func (m *month) odata(name string, d odatatest.Dialect, orders, invoices, yaml string, every int, row func(erp.Document) odatatest.Row) {
	server := odatatest.New(d, orders, invoices)
	listening := httptest.NewServer(server)
	m.t.Cleanup(listening.Close)
	number := map[string]string{"bc": "number", "nav": "No", "uniconta": "OrderNumber"}[name]
	m.rest(name, strings.ReplaceAll(yaml, "ADDRESS", listening.URL), "s3cret", every, &monthERP{
		names: true, fail: server.Fail, asked: server.Requests,
		remove: func(n string) { server.Remove(orders, number, n) },
		put: func(docs ...erp.Document) {
			for _, d := range docs {
				collection := orders
				if d.Kind == erp.InvoiceDocument {
					collection = invoices
				}
				server.Put(collection, row(d))
			}
		},
	})
}

// database is an ERP whose tables are read: the kind sql.
func (m *month) database() {
	for _, table := range []string{"sale", "invoice"} {
		m.exec(`create table public.` + table + ` (kind text, ref text, number text, order_number text, changed_at timestamptz)`)
		m.exec(`create index on public.` + table + ` (changed_at)`)
		m.exec(`create index on public.` + table + ` (upper(ref))`)
	}
	c := m.real.Config().ConnConfig
	address := fmt.Sprintf("postgres://%s:%s@%s:%d/%s", c.User, c.Password, c.Host, c.Port, c.Database)
	const columns = `kind, ref, number, order_number, changed_at`
	o := sqldb.Options{
		Access:  sqldb.Access{URL: config.NewSecret(address), TLS: sqldb.TLSOff},
		Company: "Example", Probe: `select 'Example'`, Batch: 100,
		Lookup:  `select ` + columns + ` from public.sale where upper(ref) in ({folded_refs}) union all select ` + columns + ` from public.invoice where upper(ref) in ({folded_refs})`,
		Changes: `select * from (select ` + columns + ` from public.sale union all select ` + columns + ` from public.invoice) d where changed_at >= {since} order by changed_at`,
	}
	m.erps = append(m.erps, &monthERP{
		name: "sql", every: 1, names: true, make: o.Make, asked: func() int { return 0 }, fail: func(int, int, int, http.Header) {},
		source: config.ERP{Name: "sql", Kind: "sql", Poll: monthStep, Overlap: 15 * time.Minute, RefPrefix: "WEB-"},
		remove: func(n string) { m.exec(`delete from public.sale where number = $1`, n) },
		put: func(docs ...erp.Document) {
			var sales, invoices [][]any
			for _, d := range docs {
				row := []any{d.Kind, d.Ref, d.Number, d.OrderNumber, d.ChangedAt}
				if d.Kind == erp.InvoiceDocument {
					invoices = append(invoices, row)
				} else {
					sales = append(sales, row)
				}
			}
			for table, rows := range map[string][][]any{"sale": sales, "invoice": invoices} {
				_, err := m.real.CopyFrom(m.t.Context(), pgx.Identifier{"public", table}, strings.Split(columns, ", "), pgx.CopyFromRows(rows))
				require.NoError(m.t, err)
			}
		},
	})
}

// folder is an ERP that leaves files: the kind files.
func (m *month) folder() {
	dir := m.t.TempDir()
	for _, name := range []string{"done", "bad"} {
		require.NoError(m.t, os.Mkdir(filepath.Join(dir, name), 0o700))
	}
	files := 0
	e := &monthERP{
		remove: func(string) {}, fail: func(int, int, int, http.Header) {}, asked: func() int { return 0 },
		put: func(docs ...erp.Document) {
			files++
			text := "web_order;erp_order_number;kind\n"
			for _, d := range docs {
				if d.Kind == erp.OrderDocument { // it tells of orders alone, and tells twice what is not gone
					text += d.Ref + ";" + d.Number + ";\n" + d.Ref + ";" + d.Number + ";order\n"
				} else {
					text += d.Ref + ";" + d.Number + ";invoice\n"
				}
			}
			require.NoError(m.t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("%06d.csv", files)), []byte(text), 0o600))
		},
	}
	m.rest("files", fmt.Sprintf(`{kind: files, folder: %q, settle: 0}`, dir), "", 1, e)
}

// pushes is an ERP that speaks up by itself: POST /erp/receipts.
func (m *month) pushes() {
	pushed := jobs.PushedReceipts{DB: m.pool, Orders: m.shop}
	var waiting []erp.Document // what was not accepted yet
	e := &monthERP{name: "http", every: 1, remove: func(string) {}, fail: func(int, int, int, http.Header) {}, asked: func() int { return 0 }}
	e.put = func(docs ...erp.Document) {
		for _, d := range docs {
			d.Ref = strings.TrimPrefix(d.Ref, "WEB-")
			waiting = append(waiting, d)
		}
		if len(waiting) == 0 || m.random.IntN(10) == 0 { // it is away, and sends it later
			return
		}
		_, err := pushed.Take(m.t.Context(), waiting)
		require.NoError(m.t, err)
		waiting = waiting[len(waiting)-min(2, len(waiting)):] // some are sent again
	}
	m.erps = append(m.erps, e)
}

// start makes a watcher, as a process does that has just begun.
func (m *month) start(e *monthERP) {
	if e.make == nil {
		return
	}
	meter := &erp.Meter{}
	var waited time.Duration // in this process, on the simulated clock
	connector, err := e.make(erp.Common{
		Name: e.name, Meter: meter, Lines: false, Logger: slog.New(slog.DiscardHandler),
		Now:  func() time.Time { return m.now.Add(waited) },
		Wait: func(ctx context.Context, d time.Duration) error { waited += d; return ctx.Err() },
	})
	require.NoError(m.t, err)
	e.watcher = watcher.New(watcher.Options{DB: m.pool, Orders: m.shop, Logger: slog.New(slog.DiscardHandler), Source: watcher.Source{
		Name: e.name, Kind: e.source.Kind, Fingerprint: "one", Connector: connector, Meter: meter,
		Matcher: erp.Matcher{Prefix: e.source.RefPrefix, MaxLength: e.source.RefMaxLength},
		Poll:    e.source.Poll, Overlap: e.source.Overlap, CallsPerDay: e.source.CallsPerDay,
	}})
}

// pass lets two hours go by.
func (m *month) pass(step int) {
	m.now = m.now.Add(monthStep)
	if m.now.Equal(m.now.Truncate(24 * time.Hour)) { // calls are counted by days of UTC
		m.endDay()
	}
	m.exec(`update sim.clock set at = $1`, m.now)
	if step < m.steps {
		m.sell(step)
	}
	m.importOrders(step)
	m.poll(step)
	if step%stepsADay == stepsADay-1 {
		m.exec(`vacuum (analyze) kvit.erp_receipt, kvit.river_job, kvit.erp_source, public.month_orders, public.sale, public.invoice`) // as autovacuum does
	}
	if step%30 == 29 {
		m.t.Logf("day %d of %d, %s", step/stepsADay+1, m.steps/stepsADay, time.Since(m.began).Round(time.Second))
		var stats runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&stats)
		m.most = max(m.most, stats.HeapAlloc)
	}
}

// sell places orders. Some never come into an ERP, and are cancelled after a day.
func (m *month) sell(step int) {
	var rows [][]any
	for end := ordersADay * (step + 1) / stepsADay; m.next < end; m.next++ {
		e := m.erps[m.next%len(m.erps)]
		o := monthOrder{ref: fmt.Sprintf("E%06d", m.next), at: step + m.random.IntN(2), erp: e, number: fmt.Sprintf("%d", 1_000_000+m.next)}
		switch m.random.IntN(20) {
		case 0:
			o.at, o.number = -1, ""
		case 1:
			o.twice = true
		case 2, 3:
			if o.gone = true; !e.names {
				o.number = ""
			}
		}
		if o.at >= 0 {
			m.due[o.at] = append(m.due[o.at], o)
		}
		m.all = append(m.all, o)
		rows = append(rows, []any{o.ref, m.now.Add(-time.Duration(m.random.Int64N(int64(monthStep))))})
	}
	_, err := m.real.CopyFrom(m.t.Context(), pgx.Identifier{"public", "month_orders"}, []string{"number", "placed"}, pgx.CopyFromRows(rows))
	require.NoError(m.t, err)
	m.exec(`update public.month_orders set status = 'cancelled' where imported is null and status = 'paid' and placed < $1 and number = any ($2)`, m.now.Add(-24*time.Hour), m.never())
}

// never are orders of the last days that no ERP gets.
func (m *month) never() []string {
	var refs []string
	for _, o := range m.all[max(0, len(m.all)-5000):] {
		if o.at < 0 {
			refs = append(refs, o.ref)
		}
	}
	return refs
}

// importOrders lets what is due come into the ERPs, with what comes with some of it.
func (m *month) importOrders(step int) {
	docs := map[*monthERP][]erp.Document{}
	at := func() time.Time {
		return m.now.Add(-time.Duration(m.random.Int64N(int64(monthStep)))).Truncate(time.Second)
	}
	for _, o := range m.due[step] {
		number := fmt.Sprint(1_000_000 + m.next0(o))
		switch {
		case o.gone && o.erp.names:
			docs[o.erp] = append(docs[o.erp], erp.Document{Kind: erp.InvoiceDocument, Ref: "WEB-" + o.ref, Number: "7" + number, OrderNumber: number, ChangedAt: at()})
		case o.gone && o.erp.name == "visma":
			docs[o.erp] = append(docs[o.erp], erp.Document{Kind: erp.OrderDocument, Ref: "WEB-" + o.ref, Number: number, ChangedAt: at()})
		case o.gone:
			docs[o.erp] = append(docs[o.erp], erp.Document{Kind: erp.InvoiceDocument, Ref: "WEB-" + o.ref, Number: "7" + number, ChangedAt: at()})
		default:
			docs[o.erp] = append(docs[o.erp], erp.Document{Kind: erp.OrderDocument, Ref: "WEB-" + o.ref, Number: number, ChangedAt: at()})
		}
		if m.random.IntN(50) == 0 { // what begins or ends alike, and what is another shop's
			docs[o.erp] = append(docs[o.erp], erp.Document{Kind: erp.OrderDocument, Ref: "WEB-" + o.ref + "1", Number: "8" + number, ChangedAt: at()},
				erp.Document{Kind: erp.OrderDocument, Ref: "SHOP2-" + o.ref, Number: "9" + number, ChangedAt: at()})
		}
		if o.twice {
			m.again[step+15] = append(m.again[step+15], o)
		}
		if later := step + 15 + m.random.IntN(20); m.random.IntN(2) == 0 && !o.gone && later < len(m.again) {
			invoiced := o
			invoiced.at = -2
			m.again[later] = append(m.again[later], invoiced)
		}
	}
	for _, o := range m.again[step] {
		number := fmt.Sprint(1_000_000 + m.next0(o))
		if o.at != -2 {
			docs[o.erp] = append(docs[o.erp], erp.Document{Kind: erp.OrderDocument, Ref: "WEB-" + o.ref, Number: "6" + number, ChangedAt: at()})
			continue
		}
		o.erp.remove(number)
		d := erp.Document{Kind: erp.InvoiceDocument, Ref: "WEB-" + o.ref, Number: "7" + number, ChangedAt: at()}
		if o.erp.names {
			d.OrderNumber = number
		}
		if o.erp.name != "visma" {
			docs[o.erp] = append(docs[o.erp], d)
		}
	}
	for _, e := range m.erps {
		if list := docs[e]; len(list) > 0 || e.name == "http" {
			slices.SortFunc(list, func(a, b erp.Document) int { return a.ChangedAt.Compare(b.ChangedAt) })
			e.put(list...)
		}
	}
}

// next0 is the number of an order, from 0.
func (m *month) next0(o monthOrder) int {
	var n int
	_, err := fmt.Sscanf(o.ref, "E%d", &n)
	require.NoError(m.t, err)
	return n
}

// poll lets all watchers poll whose turn it is, at once.
func (m *month) poll(step int) {
	var crew errgroup.Group
	var mu sync.Mutex // of the random numbers
	dice := func(n int) int {
		mu.Lock()
		defer mu.Unlock()
		return m.random.IntN(n)
	}
	for _, e := range m.erps {
		if e.make == nil || step%e.every != 0 {
			continue
		}
		crew.Go(func() error {
			m.pollOne(e, step, dice)
			return nil
		})
	}
	require.NoError(m.t, crew.Wait())
}

func (m *month) pollOne(e *monthERP, step int, dice func(int) int) {
	ctx, cancel := context.WithCancel(m.t.Context())
	defer cancel()
	until := time.Now().Add(time.Minute)
	e.fail(0, 0, 0, nil)
	switch luck := dice(60); {
	case e.away[step]:
		e.fail(0, 1_000_000, http.StatusServiceUnavailable, nil)
	case step >= m.steps:
	case luck < 5:
		e.fail(dice(4), 1+dice(2), http.StatusTooManyRequests, http.Header{"Retry-After": {"7"}})
	case luck < 10:
		e.fail(dice(3), 1, http.StatusInternalServerError, nil)
	case luck < 15:
		until = time.Now() // cut short
	case luck < 18:
		m.start(e) // a new process
	case luck < 21:
		time.AfterFunc(time.Duration(dice(20))*time.Millisecond, cancel)
	}
	_, _ = e.watcher.Run(ctx, until)
	if step < m.steps && dice(30) == 0 { // a process crashes in the middle of a run, and never gives the lease back
		_, err := m.real.Exec(m.t.Context(), `update kvit.erp_source set lease = 'crashed', lease_until = $2 where name = $1`, e.name, m.now.Add(9*time.Minute))
		require.NoError(m.t, err)
		m.start(e)
	}
}

// endDay compares the calls of the day with what is allowed.
func (m *month) endDay() {
	for _, e := range m.erps {
		calls := e.asked()
		e.worst = max(e.worst, calls-e.before)
		e.before = calls
	}
}

// settle lets a day and a half pass without trouble.
func (m *month) settle() {
	for step := m.steps; step < m.steps+18; step++ {
		m.pass(step)
	}
	require.Eventually(m.t, func() bool {
		var open int
		err := m.real.QueryRow(m.t.Context(), `select count(*) from kvit.erp_receipt where status = 'new'`).Scan(&open)
		return err == nil && open == 0
	}, time.Minute, 50*time.Millisecond)
}

// audit compares each order with what was done with it.
func (m *month) audit() {
	rows, _ := m.real.Query(m.t.Context(), `select number, coalesce(erp, ''), imported is not null, marks from public.month_orders`) // ForEachRow reports its error
	type mark struct {
		number string
		is     bool
		times  int
	}
	marks := map[string]mark{}
	var ref string
	var found mark
	_, err := pgx.ForEachRow(rows, []any{&ref, &found.number, &found.is, &found.times}, func() error {
		marks[ref] = found
		return nil
	})
	require.NoError(m.t, err)
	require.Len(m.t, m.all, ordersADay*m.steps/stepsADay)
	wrong := map[string]int{}
	for _, o := range m.all {
		if o.gone && o.erp.name == "visma" {
			o.number = fmt.Sprint(1_000_000 + m.next0(o)) // it is an order still
		}
		want := mark{number: o.number, is: o.at >= 0}
		if want.is {
			want.times = 1
		}
		if marks[o.ref] == want {
			continue
		}
		if wrong[o.erp.name]++; wrong[o.erp.name] <= 3 {
			m.t.Errorf("%s of %s: is %+v, and should be %+v (%+v)", o.ref, o.erp.name, marks[o.ref], want, o)
		}
	}
	require.Empty(m.t, wrong)
	for _, e := range m.erps {
		m.t.Logf("%s: at most %d calls a day, of %d", e.name, e.worst, e.budget)
		if e.budget > 0 {
			require.LessOrEqual(m.t, e.worst, e.budget, e.name)
		}
	}
	m.t.Logf("%d MB of live memory at most", m.most>>20)
	require.Less(m.t, m.most, uint64(monthMemory))
}
