package bench

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"kvit/store"
	"kvit/store/localpg"
)

// BenchmarkOrderStatus asks kvit.order_status for one order among 1,000,000, by two clocks, with kvit's own marks and
// with columns of the shop's, while kvit knows as many events and receipts. Of 201 questions the median counts, and the
// 199th: it shall stay below 10 ms.
func BenchmarkOrderStatus(b *testing.B) {
	server, err := localpg.Start(b.Context(), localpg.Options{})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, server.Stop(context.Background())) })
	f := ordersOf(b, server, build(b), "order_status", 1_000_000)
	run(b, f.conn, `
		insert into kvit.order_mark (order_ref, imported_at, erp_number, erased_at)
		select number, erp_imported_at, erp_order_number, personal_data_erased_at from public.orders on conflict do nothing`)
	run(b, f.conn, `insert into kvit.event (event_key, name, occurred_at, order_ref, consent) select 'order_paid:' || number, 'order_paid', now(), number, '{}' from public.orders`)
	run(b, f.conn, `insert into kvit.erp_receipt (order_ref, source) select number, 'erp' from public.orders`)
	run(b, f.conn, `vacuum analyze`)
	byColumns := shopOrders
	byColumns.EraseUnimportedAfter = 6 * month
	own := byColumns
	own.ImportedAt, own.ERPNumber, own.ErasedAt = "", "", ""
	statusTimes(b, f.conn, own) // what is read from the disk for the first time does not count
	for b.Loop() {
		for name, o := range map[string]store.Orders{"own_marks": own, "columns": byColumns} {
			took := statusTimes(b, f.conn, o)
			b.ReportMetric(milliseconds(took[len(took)/2]), name+"_ms")
			b.ReportMetric(milliseconds(took[len(took)-3]), name+"_99th_ms")
		}
	}
	b.ReportMetric(0, "ns/op")
}

// statusTimes are those of questions for orders that are spread over the table, sorted.
func statusTimes(b *testing.B, conn *pgx.Conn, o store.Orders) []time.Duration {
	b.Helper()
	require.NoError(b, store.SyncOrderStatus(b.Context(), conn, o))
	var took []time.Duration
	for i := range 201 {
		ref, placed := fmt.Sprintf("R%d", 1+i*2000), (*time.Time)(nil)
		start := time.Now()
		err := conn.QueryRow(b.Context(), `select placed_at from kvit.order_status where order_ref = $1`, ref).Scan(&placed)
		took = append(took, time.Since(start))
		require.NoError(b, err, ref)
		require.NotNil(b, placed)
	}
	slices.Sort(took)
	return took
}
