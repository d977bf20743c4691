package bench

import (
	"context"
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"kvit/store/localpg"
)

// BenchmarkOneDown compares how long a healthy destination's deliveries take, from the commit of the
// event to its receipt, while another destination is healthy, too, and while that one has been down
// for a day: nothing listens at its address, and 50,000 events wait for it. A shop inserts 200 events
// a second for 20 s, each in its own transaction; what is compared is the 99th percentile. The
// two cases take turns, so that a noisy moment of the machine hits both.
func BenchmarkOneDown(b *testing.B) {
	server, err := localpg.Start(b.Context(), localpg.Options{})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, server.Stop(context.Background())) })
	binary := build(b)
	for b.Loop() {
		var healthy, down []float64
		for turn := range 3 {
			healthy = append(healthy, latency(b, binary, database(b, server, fmt.Sprintf("healthy_%d", turn)), 0))
			down = append(down, latency(b, binary, database(b, server, fmt.Sprintf("down_%d", turn)), 50_000))
		}
		b.ReportMetric(middle(healthy), "p99_ms_healthy")
		b.ReportMetric(middle(down), "p99_ms_one_down")
		b.ReportMetric(middle(down)/middle(healthy), "ratio")
	}
	b.ReportMetric(0, "ns/op")
}

// latency is the 99th percentile in ms at the destination crm, while so many events wait for the
// other one because it is down; 0: it is up.
func latency(b *testing.B, binary, url string, waiting int) float64 {
	b.Helper()
	pool := open(b, url)
	_, healthy := listen(b, nil)
	_, other := listen(b, nil)
	if waiting > 0 {
		other = "http://" + closedPort(b)
	}
	command := kvitCommand(b, binary, url, fmt.Sprintf("destinations:\n  crm: "+webhook+"\n  other: "+webhook+"\n", healthy, other))
	require.NoError(b, command("migrate", "up").Run())
	_, err := pool.Exec(b.Context(), `update kvit.destination set enabled = name = 'other'`)
	require.NoError(b, err)
	_, err = pool.Exec(b.Context(), `
		insert into kvit.tracking_event (event_key, name, payload, consent)
		select 'order_paid:W' || i, 'order_paid', $2, '{"marketing": true}' from generate_series(1, $1::int) i`, waiting, payload(1))
	require.NoError(b, err)
	settle(b, pool)
	daemon := command("run")
	require.NoError(b, daemon.Start())
	time.Sleep(5 * time.Second) // it finds out that the other one is down
	sell(b, pool, 200, 20*time.Second)
	var p99 float64
	require.NoError(b, pool.QueryRow(b.Context(), `
		select 1000 * percentile_cont(0.99) within group (order by extract(epoch from r.finished_at - e.received_at))
		from kvit.delivery r join kvit.event e on e.id = r.event_id
		where r.destination = 'crm'`).Scan(&p99))
	require.NoError(b, daemon.Process.Signal(os.Interrupt))
	require.NoError(b, daemon.Wait())
	return p99
}

// sell inserts events at an even rate, and waits until the healthy destination has them.
func sell(b *testing.B, pool *pgxpool.Pool, perSecond int, during time.Duration) {
	b.Helper()
	total := perSecond * int(during/time.Second)
	tick := time.NewTicker(time.Second / time.Duration(perSecond))
	defer tick.Stop()
	for i := range total {
		<-tick.C
		_, err := pool.Exec(b.Context(), `
			insert into kvit.tracking_event (event_key, name, order_ref, payload, consent)
			values ($1, 'order_paid', $1, $2, '{"marketing": true}')`, fmt.Sprintf("E%d", i), payload(i))
		require.NoError(b, err)
	}
	require.Eventually(b, func() bool {
		var n int
		err := pool.QueryRow(b.Context(), `select count(*) from kvit.delivery where destination = 'crm'`).Scan(&n)
		return err == nil && n == total
	}, time.Minute, 50*time.Millisecond)
}

func closedPort(b *testing.B) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	require.NoError(b, listener.Close())
	return listener.Addr().String()
}
