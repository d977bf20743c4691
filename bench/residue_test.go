package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"kvit/erasure"
	"kvit/store/localpg"
)

// BenchmarkResidue looks for the values of 3 orders among 1,000,000 and 20 tables, 7,500,000 rows beside kvit's own:
// with `kvit policy scan`, from its start to its end, with the 60 seconds that a run has, and with 5. What it has no time
// for are the largest tables. A copy of 100 characters stands in one of them.
func BenchmarkResidue(b *testing.B) {
	server, err := localpg.Start(b.Context(), localpg.Options{Settings: map[string]string{"fsync": "off"}})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, server.Stop(context.Background())) })
	binary := build(b)
	shopTemplate(b, server, binary, "shop", 0, 1_000_000)
	conn, err := pgx.Connect(b.Context(), server.URL("shop"))
	require.NoError(b, err)
	b.Cleanup(func() { _ = conn.Close(context.Background()) })
	for i := range 15 {
		run(b, conn, fmt.Sprintf(`create table public.log_%d as select id, noted_at, 'order of nobody in particular, ' || md5(id::text) as note, md5(id::text) as token
			from public.order_notes limit 100000`, i))
	}
	run(b, conn, `update public.order_lines set engraving = (select 'For ' || repeat('-', 80) || email from public.orders limit 1) where id = (select max(id) from public.order_lines)`)
	run(b, conn, `vacuum analyze`)
	var bytes float64
	require.NoError(b, conn.QueryRow(b.Context(), `select sum(pg_table_size(oid)) from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'`).Scan(&bytes))
	for b.Loop() {
		whole, report := scan(b, binary, server.URL("shop"), time.Minute)
		require.Less(b, whole, 75*time.Second, "the budget is kept")
		require.True(b, len(report.Found) == 1 || len(report.Unsearched) > 0, "it is found, or said not to be searched")
		short, cut := scan(b, binary, server.URL("shop"), 5*time.Second)
		require.Less(b, short, 20*time.Second, "the budget is kept")
		b.ReportMetric(bytes/1e6, "MB")
		b.ReportMetric(float64(report.Values), "values")
		b.ReportMetric(whole.Seconds(), "of_60s_s")
		b.ReportMetric(float64(len(report.Unsearched)), "unsearched_in_60s")
		b.ReportMetric(short.Seconds(), "of_5s_s")
		b.ReportMetric(float64(len(cut.Unsearched)), "unsearched_in_5s")
	}
	b.ReportMetric(0, "ns/op")
}

func scan(b *testing.B, binary, url string, within time.Duration) (time.Duration, erasure.ResidueReport) {
	b.Helper()
	start := time.Now()
	out, _ := kvitCommand(b, binary, url, shopConfig)("policy", "scan", "--orders", "3", "--time", within.String(), "--json").Output() // 1: it finds a copy
	took := time.Since(start)
	var report erasure.ResidueReport
	require.NoError(b, json.Unmarshal(out, &report), string(out))
	return took, report
}
