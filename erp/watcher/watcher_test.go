package watcher_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"kvit/erp"
	"kvit/erp/erptest"
	"kvit/erp/watcher"
	"kvit/store"
	"kvit/store/storetest"
)

func TestMain(m *testing.M) { storetest.Run(m) }

var stages atomic.Int64

// stage is a shop, an ERP in memory, and the watcher between them.
type stage struct {
	*erptest.Memory
	pool   store.DB
	shop   store.Orders
	schema string
	meter  *erp.Meter
	source watcher.Source
}

func setup(t *testing.T) *stage {
	// A schema of the test's own: two transactions cannot make the same table.
	s := &stage{pool: storetest.Tx(t), meter: &erp.Meter{}, schema: fmt.Sprintf("shop_%d", stages.Add(1))}
	s.exec(t, `create schema `+s.schema)
	s.exec(t, `create table `+s.schema+`.orders (number text primary key, status text not null default 'paid', placed timestamptz not null default now() - interval '1 hour', imported timestamptz, erp text, erased timestamptz)`)
	s.exec(t, `set local search_path = `+s.schema)
	s.shop = store.Orders{
		Table: s.schema + ".orders", Ref: "number", PlacedAt: "placed", ImportedAt: "imported", ERPNumber: "erp", ErasedAt: "erased",
		AwaitingImport: "status = 'paid'",
	}
	s.Memory = erptest.NewMemory(s.meter)
	s.source = watcher.Source{
		Name: s.schema, Kind: "memory", Fingerprint: "one", Connector: s.Memory, Meter: s.meter,
		Matcher: erp.Matcher{Prefix: "WEB-", MaxLength: 35}, Poll: 5 * time.Minute, Overlap: 15 * time.Minute,
	}
	s.sync(t)
	return s
}

func (s *stage) sync(t *testing.T) {
	require.NoError(t, store.SyncERPSources(t.Context(), s.pool, []store.ERPSource{{
		Name: s.source.Name, Kind: s.source.Kind, Enabled: true, Poll: s.source.Poll, Fingerprint: s.source.Fingerprint,
	}}))
}

func (s *stage) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	_, err := s.pool.Exec(t.Context(), sql, args...)
	require.NoError(t, err)
}

func (s *stage) orders(t *testing.T, refs ...string) {
	t.Helper()
	s.exec(t, `insert into orders (number) select unnest($1::text[])`, refs)
}

func (s *stage) watcher() *watcher.Watcher {
	return watcher.New(watcher.Options{DB: s.pool, Orders: s.shop, Source: s.source, Logger: slog.New(slog.DiscardHandler)})
}

func (s *stage) poll(t *testing.T) watcher.Report {
	t.Helper()
	report, err := s.watcher().Run(t.Context(), time.Now().Add(time.Minute))
	require.NoError(t, err)
	return report
}

func (s *stage) pollFails(t *testing.T) error {
	t.Helper()
	_, err := s.watcher().Run(t.Context(), time.Now().Add(time.Minute))
	require.Error(t, err)
	return err
}

// ready lets the next poll take place whatever happened before.
func (s *stage) ready(t *testing.T) { s.exec(t, `update kvit.erp_source set not_before = null`) }

// evidence is what was written, as in "E1 order SO-1".
func (s *stage) evidence(t *testing.T) []string {
	t.Helper()
	rows, _ := s.pool.Query(t.Context(), `select concat_ws(' ', order_ref, document_kind, erp_order_number) from kvit.erp_receipt where source = $1 order by id`, s.source.Name)
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return list
}

func (s *stage) status(t *testing.T) store.ERPSourceStatus {
	t.Helper()
	list, err := store.ERPSources(t.Context(), s.pool)
	require.NoError(t, err)
	require.Len(t, list, 1)
	return list[0]
}

func order(ref, number string) erp.Document {
	return erp.Document{Kind: erp.OrderDocument, Ref: ref, Number: number, ChangedAt: time.Now()}
}

// finder hides that the ERP can tell changes, follower that it can be asked for references.
type (
	finder struct {
		erp.Connector
		erp.Finder
	}
	follower struct {
		erp.Connector
		erp.Follower
	}
)

func TestEvidenceIsWrittenOnce(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.orders(t, "1", "2")
	s.Put(order("WEB-1", "SO-1"))
	require.Equal(t, 1, s.poll(t).Evidence)
	require.Zero(t, s.poll(t).Evidence)
	require.Equal(t, []string{"1 order SO-1"}, s.evidence(t))
	require.NotNil(t, s.status(t).LastSuccessAt)
	require.Equal(t, int64(1), s.status(t).Evidence)
}

func TestOnlyWholeReferencesCount(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		order, erp string
		matches    bool
	}{
		"Same":            {"100", "WEB-100", true},
		"Longer":          {"100", "WEB-1002", false},
		"Shorter":         {"100", "WEB-10", false},
		"NoPrefix":        {"100", "100", false},
		"Case":            {"ab-1", "web-AB-1", true},
		"Blanks":          {"100", " WEB-100\t", true},
		"BlankWithin":     {"100", "WEB- 100", false},
		"LeadingZero":     {"100", "WEB-0100", false},
		"SecondPrefix":    {"100", "WEB-WEB-100", false},
		"DotlessI":        {"i1", "WEB-ı1", false},
		"FillsTheField":   {strings.Repeat("9", 31), "WEB-" + strings.Repeat("9", 31), false},
		"JustFits":        {strings.Repeat("9", 30), "WEB-" + strings.Repeat("9", 30), true},
		"CutInTheERP":     {strings.Repeat("9", 31) + "8", "WEB-" + strings.Repeat("9", 31), false},
		"QuoteIsPartOfIt": {"o'1", "WEB-o'1", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for way, connector := range map[string]func(*erptest.Memory) erp.Connector{
				"Lookup": func(m *erptest.Memory) erp.Connector { m.IgnoreFilters(); return finder{m, m} },
				"Since":  func(m *erptest.Memory) erp.Connector { return follower{m, m} },
			} {
				s := setup(t)
				s.source.Connector = connector(s.Memory)
				s.orders(t, c.order)
				s.Put(order(c.erp, "SO-1"))
				s.poll(t)
				require.Equal(t, c.matches, len(s.evidence(t)) == 1, way)
			}
		})
	}
}

func TestKindsOfDocuments(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		doc  erp.Document
		want []string
	}{
		"Order":           {erp.Document{Kind: erp.OrderDocument, Number: " SO-1 "}, []string{"1 order SO-1"}},
		"InvoiceOfOrder":  {erp.Document{Kind: erp.InvoiceDocument, Number: "I-1", OrderNumber: "SO-1"}, []string{"1 order SO-1"}},
		"InvoiceAlone":    {erp.Document{Kind: erp.InvoiceDocument, Number: "I-1"}, []string{"1 invoice I-1"}},
		"Shipment":        {erp.Document{Kind: erp.ShipmentDocument, Number: "S-1"}, []string{"1 shipment S-1"}},
		"Quote":           {erp.Document{Kind: erp.QuoteDocument, Number: "Q-1"}, nil},
		"CreditMemo":      {erp.Document{Kind: erp.CreditMemoDocument, Number: "C-1", OrderNumber: "SO-1"}, nil},
		"Unknown":         {erp.Document{Kind: "reminder", Number: "R-1"}, nil},
		"NumberTooLong":   {erp.Document{Kind: erp.OrderDocument, Number: strings.Repeat("9", 201)}, nil},
		"OrderWithoutOne": {erp.Document{Kind: erp.OrderDocument}, []string{"1 order"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			s.orders(t, "1")
			c.doc.Ref, c.doc.ChangedAt = "WEB-1", time.Now()
			s.Put(c.doc)
			s.poll(t)
			require.ElementsMatch(t, c.want, s.evidence(t))
		})
	}
}

func TestTwoOrdersForOneReference(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.orders(t, "1")
	s.Put(order("WEB-1", "SO-1"), order("WEB-1", "SO-2"))
	s.poll(t)
	require.Equal(t, []string{"1 order SO-1", "1 order SO-2"}, s.evidence(t), "judging makes the second one a conflict")
}

func TestConflictAfterTheMark(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.orders(t, "1")
	s.Put(order("WEB-1", "SO-1"))
	s.poll(t)
	s.exec(t, `update orders set imported = now(), erp = 'SO-1'`)
	s.exec(t, `update kvit.erp_receipt set status = 'marked'`)
	s.Put(order("WEB-1", "SO-2"))
	s.poll(t)
	require.Equal(t, []string{"1 order SO-1", "1 order SO-2"}, s.evidence(t))
}

func TestCancelledOrderIsNotAskedFor(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.orders(t, "1")
	s.exec(t, `update orders set status = 'cancelled'`)
	s.Put(order("WEB-1", "SO-1"))
	s.source.Connector = finder{s.Memory, s.Memory}
	s.poll(t)
	require.Equal(t, []string{"probe"}, s.Asked())
	require.Empty(t, s.evidence(t))
}

// A mark that somebody took away is written anew, but not with each poll.
func TestOrderThatIsOpenAgain(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.orders(t, "1")
	s.Put(order("WEB-1", "SO-1"))
	s.poll(t)
	s.exec(t, `update kvit.erp_receipt set status = 'marked'`)
	s.poll(t)
	require.Len(t, s.evidence(t), 1)
	s.exec(t, `update kvit.erp_receipt set seen_at = now() - interval '61 minutes'`)
	s.poll(t)
	require.Len(t, s.evidence(t), 2)
}

func TestReferencesThatDifferByCaseAlone(t *testing.T) {
	t.Parallel()
	for name, refs := range map[string][]string{"BothOpen": {"ab1", "AB1"}, "OneIsNotAwaited": {"ab1"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			s.orders(t, refs...)
			if len(refs) == 1 {
				s.exec(t, `insert into orders (number, status) values ('AB1', 'cancelled')`)
			}
			s.Put(order("WEB-AB1", "SO-1"))
			report := s.poll(t)
			require.Empty(t, s.evidence(t))
			require.Contains(t, report.Warning, "case alone")
		})
	}
}

func TestBatches(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.source.Connector = finder{s.Memory, s.Memory}
	var refs []string
	for i := range 1000 {
		refs = append(refs, fmt.Sprintf("%04d", i))
		s.Put(order(fmt.Sprintf("WEB-%04d", i), fmt.Sprintf("SO-%04d", i)))
	}
	s.orders(t, refs...)
	require.Equal(t, 1000, s.poll(t).Evidence)
	asked := s.Asked()
	require.Len(t, asked, 1001)
	require.Equal(t, 1+1000/40, s.status(t).Calls)
}

// Where changes can be followed, many open orders are asked for once a day alone.
func TestDailyLookup(t *testing.T) {
	t.Parallel()
	s := setup(t)
	var refs []string
	for i := range 100 {
		refs = append(refs, fmt.Sprintf("%04d", i))
	}
	s.orders(t, refs...)
	s.poll(t)
	require.Contains(t, s.Asked(), "WEB-0099", "the first time")
	s.Forget()
	s.poll(t)
	require.NotContains(t, s.Asked(), "WEB-0099")
	require.Len(t, s.Asked(), 1, "only what has changed")
	s.exec(t, `update kvit.erp_source set looked_up_at = now() - interval '25 hours'`)
	s.Forget()
	s.poll(t)
	require.Contains(t, s.Asked(), "WEB-0099")
}

func TestProbe(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.orders(t, "1")
	s.Put(order("WEB-1", "SO-1"))
	s.Fail(erp.Fail(erp.Unproven, "the company is empty"))
	require.Equal(t, erp.Unproven, erp.KindOf(s.pollFails(t)))
	require.Equal(t, []string{"probe"}, s.Asked(), "nothing is asked of a company that is not proved")
	require.Empty(t, s.evidence(t))
	require.Equal(t, "the company is empty", *s.status(t).LastError)

	s.ready(t)
	s.poll(t)
	require.Equal(t, []string{"1 order SO-1"}, s.evidence(t))
	require.Equal(t, "memory", *s.status(t).Proved)
	s.Forget()
	s.poll(t)
	require.NotContains(t, s.Asked(), "probe")
	s.exec(t, `update kvit.erp_source set probed_at = now() - interval '25 hours'`)
	s.poll(t)
	require.Contains(t, s.Asked(), "probe", "once a day")
	s.Forget()
	s.sync(t)
	s.poll(t)
	require.Contains(t, s.Asked(), "probe", "and at each start")
}

func TestFailedPageMovesNothing(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.source.Connector = follower{s.Memory, s.Memory}
	s.orders(t, "0", "149")
	for i := range 150 {
		s.Put(order(fmt.Sprintf("WEB-%d", i), fmt.Sprintf("SO-%03d", i)))
	}
	s.Fail(nil, nil, erp.Fail(erp.Unreachable, "gone")) // probe, first page, second page
	s.pollFails(t)
	require.Zero(t, s.count(t, `select count(*) from kvit.erp_watermark`))
	s.ready(t)
	s.poll(t)
	require.Equal(t, []string{"0 order SO-000", "149 order SO-149"}, s.evidence(t))
	require.NotZero(t, s.count(t, `select count(*) from kvit.erp_watermark`))
}

func (s *stage) count(t *testing.T, sql string) int {
	t.Helper()
	var n int
	require.NoError(t, s.pool.QueryRow(t.Context(), sql).Scan(&n))
	return n
}

// A time of change in the future, by a clock that is ahead or a slip of the keyboard, must not pass over what comes until then.
func TestWatermarkIsNotInTheFuture(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.source.Connector = follower{s.Memory, s.Memory}
	s.orders(t, "1", "2")
	ahead := order("WEB-1", "SO-1")
	ahead.ChangedAt = time.Now().AddDate(50, 0, 0)
	s.Put(ahead)
	s.poll(t)
	require.Zero(t, s.count(t, `select count(*) from kvit.erp_watermark where changed_at > now()`))
	s.Put(order("WEB-2", "SO-2"))
	s.poll(t)
	require.Equal(t, []string{"1 order SO-1", "2 order SO-2"}, s.evidence(t))
}

func TestIgnoredFilter(t *testing.T) {
	t.Parallel()
	for name, connector := range map[string]func(*erptest.Memory) erp.Connector{
		"Lookup": func(m *erptest.Memory) erp.Connector { return finder{m, m} },
		"Since":  func(m *erptest.Memory) erp.Connector { return follower{m, m} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			s.source.Connector = connector(s.Memory)
			s.orders(t, "1")
			old := order("WEB-9", "SO-9")
			old.ChangedAt = time.Now().Add(-100 * 24 * time.Hour)
			s.Put(old, order("WEB-1", "SO-1"))
			s.IgnoreFilters()
			report := s.poll(t)
			require.Contains(t, report.Warning, "ignored")
			require.Equal(t, []string{"1 order SO-1"}, s.evidence(t))
			require.Contains(t, *s.status(t).Warning, "ignored")
		})
	}
}

func TestFailuresBackOff(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err         *erp.Error
		least, most time.Duration
	}{
		"RetryAfter":   {&erp.Error{Kind: erp.Throttled, Code: http.StatusTooManyRequests, RetryAfter: 7 * time.Second}, 7 * time.Second, 8 * time.Second},
		"Unreachable":  {erp.Fail(erp.Unreachable, "gone"), 5 * time.Second, 6 * time.Second},
		"Unauthorized": {erp.Fail(erp.Unauthorized, "no"), 15 * time.Minute, 16 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			s.Fail(c.err)
			s.pollFails(t)
			_, err := s.watcher().Run(t.Context(), time.Now().Add(time.Minute))
			require.ErrorIs(t, err, store.ErrNotNow)
			var wait float64
			require.NoError(t, s.pool.QueryRow(t.Context(), `select extract(epoch from not_before - last_error_at)::float8 from kvit.erp_source`).Scan(&wait))
			require.GreaterOrEqual(t, wait, c.least.Seconds())
			require.LessOrEqual(t, wait, c.most.Seconds())
			require.Equal(t, []string{"probe"}, s.Asked())
			require.Equal(t, 1, s.status(t).Failures)
		})
	}
}

func TestOneRunInTheCluster(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.orders(t, "1")
	s.Put(order("WEB-1", "SO-1"))
	var second error
	s.Between(func() {
		_, second = s.watcher().Run(context.Background(), time.Now().Add(time.Minute))
	})
	s.poll(t)
	require.ErrorIs(t, second, store.ErrNotNow)
}

// A run whose lease another one has taken, since it was taken for dead, writes no progress.
func TestLostLease(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.source.Connector = follower{s.Memory, s.Memory}
	s.orders(t, "1")
	s.Put(order("WEB-1", "SO-1"))
	s.Between(func() { s.exec(t, `update kvit.erp_source set lease = 'another'`) })
	require.ErrorIs(t, s.pollFails(t), store.ErrLeaseLost)
	require.Zero(t, s.count(t, `select count(*) from kvit.erp_watermark`))
	require.Equal(t, 1, s.count(t, `select count(*) from kvit.erp_source where lease = 'another'`))
}

func TestOtherSettingsBeginAnew(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.orders(t, "1")
	s.Put(order("WEB-1", "SO-1"))
	s.poll(t)
	require.NotZero(t, s.count(t, `select count(*) from kvit.erp_watermark`))
	old := s.watcher()
	s.source.Fingerprint = "another company"
	s.sync(t)
	require.Zero(t, s.count(t, `select count(*) from kvit.erp_watermark`))
	require.Nil(t, s.status(t).LookedUpAt)
	_, err := old.Run(t.Context(), time.Now().Add(time.Minute))
	require.ErrorIs(t, err, store.ErrNotNow, "a process with the old settings polls no more")
}

func TestCallsOfADay(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.source.Connector, s.source.CallsPerDay = finder{s.Memory, s.Memory}, 100
	var refs []string
	for i := range 2000 {
		refs = append(refs, fmt.Sprintf("%04d", i))
		s.Put(order(fmt.Sprintf("WEB-%04d", i), fmt.Sprintf("SO-%04d", i)))
	}
	s.orders(t, refs...)
	for range 20 {
		_, err := s.watcher().Run(t.Context(), time.Now().Add(time.Minute))
		if err != nil {
			require.Equal(t, erp.Spent, erp.KindOf(err))
			s.ready(t)
		}
	}
	require.LessOrEqual(t, s.status(t).Calls, 100)
	require.Len(t, s.evidence(t), 2000, "each poll goes on where the last one stopped")
}

// One order that the ERP does not take must not keep the others from being found.
func TestRefusedReference(t *testing.T) {
	t.Parallel()
	s := setup(t)
	picky := &picky{Memory: s.Memory, refuses: "WEB-0017"}
	s.source.Connector = finder{s.Memory, picky}
	var refs []string
	for i := range 40 {
		refs = append(refs, fmt.Sprintf("%04d", i))
		s.Put(order(fmt.Sprintf("WEB-%04d", i), fmt.Sprintf("SO-%04d", i)))
	}
	s.orders(t, refs...)
	report := s.poll(t)
	require.Equal(t, 39, report.Evidence)
	require.Contains(t, report.Warning, "does not take")

	picky.refuses = "WEB-"
	require.Equal(t, erp.Refused, erp.KindOf(s.pollFails(t)), "a question that is wrong as a whole is a failure")
}

type picky struct {
	*erptest.Memory
	refuses string
}

func (p *picky) Lookup(ctx context.Context, refs []string, found func([]erp.Document) error) error {
	if slices.ContainsFunc(refs, func(ref string) bool { return strings.HasPrefix(ref, p.refuses) }) {
		return erp.Fail(erp.Refused, "bad request")
	}
	return p.Memory.Lookup(ctx, refs, found)
}
