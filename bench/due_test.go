package bench

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"kvit/store"
	"kvit/store/localpg"
)

// BenchmarkFindDue finds and locks 1,000 orders that are due, and counts them, among 10,000 orders and
// among 1,000,000, of which half are erased already and half are not due yet: with the statements of
// the erasure, in a transaction that is rolled back, and with the index that `kvit check` advises.
// Without the index the larger table takes a hundred times as long. The two take turns, and of 21 the
// median counts.
func BenchmarkFindDue(b *testing.B) {
	server, err := localpg.Start(b.Context(), localpg.Options{})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, server.Stop(context.Background())) })
	binary := build(b)
	few := ordersOf(b, server, binary, "orders_few", 10_000)
	many := ordersOf(b, server, binary, "orders_many", 1_000_000)
	for b.Loop() {
		var amongFew, amongMany []time.Duration
		for range 21 {
			amongFew = append(amongFew, few.find(b))
			amongMany = append(amongMany, many.find(b))
		}
		slices.Sort(amongFew)
		slices.Sort(amongMany)
		b.ReportMetric(milliseconds(amongFew[10]), "among_10000_ms")
		b.ReportMetric(milliseconds(amongMany[10]), "among_1000000_ms")
		b.ReportMetric(float64(amongMany[10])/float64(amongFew[10]), "ratio")
	}
	few.requireIndex(b)
	many.requireIndex(b)
	b.ReportMetric(0, "ns/op")
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// toFind is how many orders are due.
const toFind = 1000

// finder is a connection to one of the databases, which notes the statements that it is sent.
type finder struct {
	conn  *pgx.Conn
	index string
	sent  []statement
}

type statement struct {
	text string
	args []any
}

// ordersOf makes a shop of so many orders.
func ordersOf(b *testing.B, server *localpg.Server, binary, name string, orders int) *finder {
	b.Helper()
	ctx, url := b.Context(), database(b, server, name)
	require.NoError(b, kvitCommand(b, binary, url, "")("migrate", "up").Run())
	f := &finder{}
	config, err := pgx.ParseConfig(url)
	require.NoError(b, err)
	config.Tracer = f
	f.conn, err = pgx.ConnectConfig(ctx, config)
	require.NoError(b, err)
	b.Cleanup(func() { _ = f.conn.Close(context.Background()) })
	run(b, f.conn, shopTables)
	run(b, f.conn, addOrders, "E", orders/2-toFind, 2*month, true)
	run(b, f.conn, addOrders, "D", toFind, month+time.Hour, false)
	run(b, f.conn, addOrders, "R", orders/2, time.Hour, false)
	run(b, f.conn, shopOrders.DueIndex(imported))
	run(b, f.conn, `vacuum analyze`)
	run(b, f.conn, `checkpoint`)
	require.NoError(b, f.conn.QueryRow(ctx, `
		select indexrelid::regclass::text from pg_index where indrelid = 'public.orders'::regclass and indpred is not null`).Scan(&f.index))
	return f
}

// TraceQueryStart notes a statement.
func (f *finder) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	f.sent = append(f.sent, statement{data.SQL, slices.Clone(data.Args)})
	return ctx
}

// TraceQueryEnd has nothing to note.
func (f *finder) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// find does what a batch begins with, and what a run counts.
func (f *finder) find(b *testing.B) time.Duration {
	b.Helper()
	ctx, now := b.Context(), time.Now()
	tx, err := f.conn.Begin(ctx)
	require.NoError(b, err)
	defer func() { require.NoError(b, tx.Rollback(ctx)) }()
	require.NoError(b, store.LockErasure(ctx, tx))
	f.sent = nil
	start := time.Now()
	due, err := store.LockDueOrders(ctx, tx, shopOrders, store.Due{Now: now, Clock: imported, Limit: toFind})
	require.NoError(b, err)
	count, held, err := store.CountDueOrders(ctx, tx, shopOrders, now)
	took := time.Since(start)
	require.NoError(b, err)
	require.Len(b, due, toFind)
	require.Equal(b, []int{toFind, 0}, []int{count, held})
	return took
}

// requireIndex asks for the plans of the statements that find sent last.
func (f *finder) requireIndex(b *testing.B) {
	b.Helper()
	f.find(b)
	var plans int
	for _, s := range slices.Clone(f.sent) {
		if !strings.Contains(s.text, store.QuoteTable(shopOrders.Table)) {
			continue
		}
		rows, _ := f.conn.Query(b.Context(), `explain `+s.text, s.args...)
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(b, err)
		plan := strings.Join(lines, "\n")
		require.Contains(b, plan, f.index)
		require.NotContains(b, plan, "Seq Scan on orders")
		plans++
	}
	require.Equal(b, 2, plans, "to find and to count")
}
