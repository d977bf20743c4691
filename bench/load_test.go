package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"kvit/store/localpg"
)

const (
	shopRate  = 200 // a second
	shopTime  = 20 * time.Second
	shopStart = 3 * time.Second // before it is measured: connections, caches, the first batches
	shopConns = 20

	overdue = 200_000 // orders to erase
	recent  = 50_000
)

// BenchmarkShopDuringErasure compares how long a shop's transactions take while nothing else happens
// and while `kvit erase` is at work the whole time: 200 a second for 20 s, even in time whatever becomes
// of those before, a third each new orders with 2 lines and an event, reads of an order with its lines,
// and changes of an order's status, any of 250,000 orders of which 200,000 are to be erased. Where that
// is done sooner, the shop ends with it. What is compared is the 99th percentile from when a transaction
// was to begin to its end. The two cases take turns, and the median counts.
func BenchmarkShopDuringErasure(b *testing.B) {
	server, err := localpg.Start(b.Context(), localpg.Options{})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, server.Stop(context.Background())) })
	binary := build(b)
	shopTemplate(b, server, binary, "shop", overdue, recent)
	for b.Loop() {
		var alone, erasing []float64
		for range 3 {
			url := copyOf(b, server, "shop", "trade_alone")
			calm(b, url)
			alone = append(alone, trade(b, url, nil))
			url = copyOf(b, server, "shop", "trade_erasing")
			calm(b, url)
			erasing = append(erasing, tradeDuringErasure(b, binary, url))
		}
		b.ReportMetric(middle(alone), "p99_ms_alone")
		b.ReportMetric(middle(erasing), "p99_ms_erasing")
		b.ReportMetric(middle(erasing)/middle(alone), "ratio")
	}
	b.ReportMetric(0, "ns/op")
}

func tradeDuringErasure(b *testing.B, binary, url string) (p99 float64) {
	b.Helper()
	erase := kvitCommand(b, binary, url, shopConfig)("erase", "--confirm")
	erase.Stderr = nil // it is going to be interrupted, and says so
	require.NoError(b, erase.Start())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = erase.Wait()
	}()
	p99 = trade(b, url, ended)
	_ = erase.Process.Signal(os.Interrupt) // perhaps it has ended
	<-ended
	return p99
}

// trade is the shop at work, until something else has ended; it gives the 99th percentile in ms.
func trade(b *testing.B, url string, ended <-chan struct{}) float64 {
	b.Helper()
	config, err := pgxpool.ParseConfig(url)
	require.NoError(b, err)
	config.MaxConns, config.MinConns = shopConns, shopConns
	pool, err := pgxpool.NewWithConfig(b.Context(), config)
	require.NoError(b, err)
	defer pool.Close()
	const warmUp, most = int(shopStart/time.Second) * shopRate, int((shopStart+shopTime)/time.Second) * shopRate
	took, problems := make([]float64, most), make([]error, most)
	var transactions sync.WaitGroup
	total, begin := 0, time.Now()
	for ; total < most && !isClosed(ended); total++ {
		i, at := total, begin.Add(time.Duration(total)*time.Second/shopRate)
		time.Sleep(time.Until(at))
		transactions.Go(func() {
			problems[i] = transact(b.Context(), pool, i)
			took[i] = milliseconds(time.Since(at))
		})
	}
	transactions.Wait()
	require.NoError(b, errors.Join(problems...))
	require.Greater(b, total, 3*warmUp, "too few to tell")
	for kind, name := range []string{"new", "read", "status"} {
		var times []float64
		for i := warmUp + kind; i < total; i += 3 {
			times = append(times, took[i])
		}
		b.Logf("%s: p50 %.1f ms, p99 %.1f ms, longest %.1f ms", name, percentile(times, 0.5), percentile(times, 0.99), percentile(times, 1))
	}
	return percentile(took[warmUp:total], 0.99)
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func percentile(values []float64, p float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(int(p*float64(len(sorted))), len(sorted)-1)]
}

// transact is the i-th transaction of the shop.
func transact(ctx context.Context, pool *pgxpool.Pool, i int) error {
	number := fmt.Sprintf("D%d", 1+rand.IntN(overdue))
	if rand.IntN(overdue+recent) < recent {
		number = fmt.Sprintf("R%d", 1+rand.IntN(recent))
	}
	switch i % 3 {
	case 0:
		return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error { return order(ctx, tx, i) })
	case 1:
		rows, _ := pool.Query(ctx, `
			select o.number, o.status, o.total, l.sku, l.name, l.quantity
			from public.orders o left join public.order_lines l on l.order_id = o.id
			where o.number = $1`, number) // Err reports its error
		rows.Close()
		return rows.Err()
	default:
		_, err := pool.Exec(ctx, `update public.orders set status = 'delivered' where number = $1`, number)
		return err
	}
}

// order is a customer who buys.
func order(ctx context.Context, tx pgx.Tx, i int) error {
	var id int64
	number := fmt.Sprintf("N%d", i)
	err := tx.QueryRow(ctx, `
		insert into public.orders (number, status, placed_at, currency, total, customer_name, email, phone)
		values ($1, 'paid', now(), 'DKK', 129.80, 'First Last', 'customer@example.com', '+4555555555') returning id`, number).Scan(&id)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `
		insert into public.order_lines (order_id, sku, name, quantity, unit_price)
		select $1, 'SKU-' || line, 'Teapot ' || line, 1, 49.80 from generate_series(1, 2) line`, id)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `
		insert into kvit.tracking_event (event_key, name, order_ref, payload, consent)
		values ('order_paid:' || $1, 'order_paid', $1, $2, '{"marketing": true}')`, number, payload(i))
	return err
}
