package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"kvit/store/localpg"
)

// dueOrders is how many orders are erased.
const dueOrders = 100_000

// BenchmarkErasure erases 100,000 orders that are due, 600,000 rows of five tables, in two copies of
// one database, with a Postgres that syncs to disk: with `kvit erase --confirm`, from its start to its end, and
// with one statement a table as somebody would write it by hand. Both leave the same rows. The
// statements do less: they lock all orders until they are done, ask for no hold, leave no proof, and
// there are no events, which they would not know. The two take turns, and the median counts.
func BenchmarkErasure(b *testing.B) {
	server, err := localpg.Start(b.Context(), localpg.Options{})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, server.Stop(context.Background())) })
	binary := build(b)
	shopTemplate(b, server, binary, "shop", dueOrders, 0)
	for b.Loop() {
		var byHand, byKvit, ratios []float64
		for range 3 {
			hand, handRows := eraseByHand(b, copyOf(b, server, "shop", "by_hand"))
			kvit, kvitRows := eraseByKvit(b, binary, copyOf(b, server, "shop", "by_kvit"))
			require.Equal(b, handRows, kvitRows, "both leave the same")
			byHand, byKvit, ratios = append(byHand, hand), append(byKvit, kvit), append(ratios, kvit/hand)
		}
		b.ReportMetric(middle(byHand), "by_hand_rows/s")
		b.ReportMetric(middle(byKvit), "kvit_rows/s")
		b.ReportMetric(middle(ratios), "ratio")
		publish(b, "Erasing", "100,000 orders that are due, 600,000 rows of five tables: `kvit erase --confirm` from its start to its end, and one statement a table as written by hand; 3 rounds in turns.",
			row{what: "by hand", unit: "rows/s", values: byHand}, row{what: "kvit", unit: "rows/s", values: byKvit},
			row{what: "kvit / by hand", unit: "ratio", values: ratios, aim: "at least 0.5"})
	}
	b.ReportMetric(0, "ns/op")
}

const isDue = ` o.erp_imported_at <= now() - interval '30 days' and o.personal_data_erased_at is null`

// handWritten does to the orders that are due what shopConfig says.
var handWritten = []string{
	`delete from public.order_lines l using public.orders o where l.order_id = o.id and` + isDue,
	`update public.deliveries d set recipient = 'erased', street = null, postal_code = null, city = null, phone = null
	 from public.orders o where d.order_id = o.id and` + isDue,
	`update public.payments p set payer_name = null, payer_email = null from public.orders o where p.order_id = o.id and` + isDue,
	`delete from public.order_notes n using public.orders o where n.order_id = o.id and` + isDue,
	`update public.orders o set
	     customer_name = null, email = 'erased', phone = null, preferred_delivery = null, customer_note = null, ip = null,
	     checkout = jsonb_build_object('device', checkout -> 'device', 'company', 'erased', 'coupons', (
	         select jsonb_agg(jsonb_build_object('code', c -> 'code')) from jsonb_array_elements(checkout -> 'coupons') c)),
	     personal_data_erased_at = now()
	 where` + isDue,
}

func eraseByHand(b *testing.B, url string) (rowsPerSecond float64, left []string) {
	b.Helper()
	conn := calm(b, url)
	var rows int64
	start := time.Now()
	for _, statement := range handWritten {
		tag, err := conn.Exec(b.Context(), statement)
		require.NoError(b, err)
		rows += tag.RowsAffected()
	}
	took := time.Since(start)
	require.EqualValues(b, 6*dueOrders, rows)
	return float64(rows) / took.Seconds(), content(b, conn)
}

func eraseByKvit(b *testing.B, binary, url string) (rowsPerSecond float64, left []string) {
	b.Helper()
	conn := calm(b, url)
	command := kvitCommand(b, binary, url, shopConfig)("erase", "--confirm", "--json")
	start := time.Now()
	out, err := command.Output()
	took := time.Since(start)
	require.NoError(b, err, string(out))
	var report struct{ Rows map[string]int64 }
	require.NoError(b, json.Unmarshal(out, &report))
	var rows int64
	for _, n := range report.Rows {
		rows += n
	}
	require.EqualValues(b, 6*dueOrders, rows)
	return float64(rows) / took.Seconds(), content(b, conn)
}

// calm connects to a database whose statistics are there and whose dirty pages are written.
func calm(b *testing.B, url string) *pgx.Conn {
	b.Helper()
	conn, err := pgx.Connect(b.Context(), url)
	require.NoError(b, err)
	b.Cleanup(func() { _ = conn.Close(context.Background()) })
	run(b, conn, `vacuum analyze`)
	run(b, conn, `checkpoint`)
	return conn
}

// content is a sum of each table's rows, but for when an order was erased.
func content(b *testing.B, conn *pgx.Conn) []string {
	b.Helper()
	var sums []string
	for _, table := range []string{"orders", "order_lines", "deliveries", "payments", "order_notes"} {
		var sum string
		require.NoError(b, conn.QueryRow(b.Context(), fmt.Sprintf(`
			select count(*) || ' ' || coalesce(sum(hashtextextended((to_jsonb(t) - 'personal_data_erased_at' || jsonb_build_object(
			           'erased', to_jsonb(t) ->> 'personal_data_erased_at' is not null))::text, 0)), 0)
			from public.%s t`, table)).Scan(&sum))
		sums = append(sums, table+" "+sum)
	}
	return sums
}
