package bench

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"kvit/store"
	"kvit/store/localpg"
)

// BenchmarkOrderPages reads what the pages about orders read, among 2,000,000 events, 3,000,000 receipts, 1,000,000 deliveries that
// wait and 1,000,000 pieces of evidence: the newest orders, those in a state, a search, one order, and a share link. Of nine of each the
// worst counts: it shall stay below 100 ms.
func BenchmarkOrderPages(b *testing.B) {
	server, err := localpg.Start(b.Context(), localpg.Options{Settings: map[string]string{"fsync": "off", "max_wal_size": "8GB"}})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, server.Stop(context.Background())) })
	binary, url := build(b), database(b, server, "orderpages")
	pool := open(b, url)
	command := kvitCommand(b, binary, url, `destinations:
  crm: {kind: webhook, url: "http://127.0.0.1:9/", secret: "${CRM_SECRET}", deduplicates: true, allow_private: true}
`)
	require.NoError(b, command("migrate", "up").Run())
	fillStatus(b, pool)
	_, err = pool.Exec(b.Context(), `insert into kvit.erp_receipt (order_ref, erp_order_number, source) select 'E' || i, 'SO-' || i, 'erp' from generate_series(1, 1000000) i`)
	require.NoError(b, err)
	_, err = pool.Exec(b.Context(), `vacuum analyze kvit.erp_receipt`)
	require.NoError(b, err)
	for b.Loop() {
		for name, f := range map[string]store.OrderFilter{
			"newest": {}, "rejected": {State: "rejected"}, "delivered": {State: "delivered", Destination: "crm", Before: 1_400_000},
			"pending": {State: "pending", Destination: "crm"}, "retrying": {State: "retrying"}, "number": {Search: "SO-77"}, "nothing": {Search: "x"},
		} {
			_, worst := times(func() { listPage(b, pool, f) })
			b.ReportMetric(worst, name+"_ms")
		}
		_, worst := times(func() { onePage(b, pool, "E77") })
		b.ReportMetric(worst, "one_ms")
		_, worst = times(func() { sharePage(b, pool) })
		b.ReportMetric(worst, "share_ms")
	}
	b.ReportMetric(0, "ns/op")
}

func listPage(b *testing.B, pool *pgxpool.Pool, f store.OrderFilter) {
	b.Helper()
	found, err := store.ListOrders(b.Context(), pool, f)
	require.NoError(b, err)
	refs := make([]string, len(found))
	for i, o := range found {
		refs[i] = o.OrderRef
	}
	_, err = store.OrderCells(b.Context(), pool, refs, f.Destination)
	require.NoError(b, err)
}

func onePage(b *testing.B, pool *pgxpool.Pool, ref string) {
	b.Helper()
	events, err := store.EventsOfOrder(b.Context(), pool, ref)
	require.NoError(b, err)
	require.Len(b, events, 1)
	rounds, err := store.Rounds(b.Context(), pool, []int64{events[0].ID})
	require.NoError(b, err)
	require.NotEmpty(b, rounds)
	evidence, err := store.EvidenceOfOrder(b.Context(), pool, ref)
	require.NoError(b, err)
	require.NotEmpty(b, evidence)
	_, err = store.MarksOfOrder(b.Context(), pool, ref)
	require.NoError(b, err)
	_, err = store.HoldOfOrder(b.Context(), pool, ref)
	require.NoError(b, err)
	_, err = store.CertificatesOfOrder(b.Context(), pool, ref)
	require.NoError(b, err)
}

func sharePage(b *testing.B, pool *pgxpool.Pool) {
	b.Helper()
	listPage(b, pool, store.OrderFilter{Destination: "crm"})
	since := time.Now().Add(-7 * 24 * time.Hour)
	_, err := store.FieldsLeftOutOf(b.Context(), pool, "crm", since)
	require.NoError(b, err)
	_, err = store.Refusals(b.Context(), pool, "crm", since)
	require.NoError(b, err)
}
