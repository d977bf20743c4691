package bench

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
)

// The statements with which a shop enqueues one event, as a transaction of its own.
const (
	insertPlain    = `insert into plain (key, payload) values ($1, $2)`
	insertGraphile = `select graphile_worker.add_job('send', $2::json, job_key => null, queue_name => nullif($1, $1))`
	insertKvit     = `insert into kvit.tracking_event (event_key, name, order_ref, payload, consent) values ($1, 'order_paid', $1, $2, '{"marketing": true}')`
)

// arrived is what a shop and a receiver saw in one turn, in ms.
type arrived struct{ p50, p99, insertP99 float64 }

// BenchmarkArrival sells at an even rate, each event in its own transaction, and measures from the commit to the
// arrival at a receiver on loopback, and how long the shop's insert took.
func BenchmarkArrival(b *testing.B) {
	server := start(b)
	list := contenders(b)
	ours, graphile := *named(list, "kvit, one POST each"), named(list, "graphile-worker")
	results := map[string][]arrived{}
	add := func(key string, a arrived) { results[key] = append(results[key], a) }
	for b.Loop() {
		for range rounds {
			for _, perSecond := range []int{200, 1000} {
				add(fmt.Sprint("kvit", perSecond), arrival(b, database(b, server, "arrival"), &ours, insertKvit, perSecond))
				add(fmt.Sprint("plain", perSecond), arrival(b, database(b, server, "arrival"), nil, insertPlain, perSecond))
				if graphile != nil {
					add(fmt.Sprint("graphile", perSecond), arrival(b, database(b, server, "arrival"), graphile, insertGraphile, perSecond))
				}
			}
		}
	}
	var rows []row
	for _, perSecond := range []int{200, 1000} {
		aims := map[int][3]string{200: {"at most 2", "at most 8", ""}, 1000: {"at most 10", "", "no worse than plain"}}[perSecond]
		for _, c := range []struct{ key, name string }{{"kvit", "kvit"}, {"graphile", "graphile-worker"}} {
			of := results[fmt.Sprint(c.key, perSecond)]
			if len(of) == 0 {
				continue
			}
			if c.key != "kvit" {
				aims = [3]string{}
			}
			name := fmt.Sprintf("%d/s, %s: ", perSecond, c.name)
			rows = append(rows, row{what: name + "commit to arrival, p50", unit: "ms", values: times3(of, func(a arrived) float64 { return a.p50 }), aim: aims[0]},
				row{what: name + "commit to arrival, p99", unit: "ms", values: times3(of, func(a arrived) float64 { return a.p99 }), aim: aims[1]},
				row{what: name + "the shop's insert, p99", unit: "ms", values: times3(of, func(a arrived) float64 { return a.insertP99 }), aim: aims[2]})
		}
		rows = append(rows, row{what: fmt.Sprintf("%d/s, insert into a plain table, p99", perSecond), unit: "ms",
			values: times3(results[fmt.Sprint("plain", perSecond)], func(a arrived) float64 { return a.insertP99 })})
	}
	publish(b, "From the shop's commit to the receiver", fmt.Sprintf("Events of 3.3 kB at an even rate for %s, default settings, %d rounds in turns. A plain table has a key and the payload.", sellFor, rounds), rows...)
}

func times3(list []arrived, of func(arrived) float64) []float64 {
	var values []float64
	for _, a := range list {
		values = append(values, of(a))
	}
	return values
}

// sellFor is how long a shop sells in one turn.
const sellFor = 10 * time.Second

// arrival sells with the contender at work; nil: nobody is.
func arrival(b *testing.B, url string, c *contender, insert string, perSecond int) arrived {
	b.Helper()
	pool := open(b, url)
	defer pool.Close()
	n := perSecond * int(sellFor/time.Second)
	r := &receiver{expects: int64(n), came: make([]atomic.Int64, n), start: time.Now()}
	address := r.listen(b)
	if c == nil {
		_, err := pool.Exec(b.Context(), `create table plain (id bigserial primary key, key text unique, payload json)`)
		require.NoError(b, err)
	} else {
		c.fill(b, url, address, 0)
		cmd := c.work(b, url, address)
		require.NoError(b, cmd.Start())
		defer stop(b, cmd)
		time.Sleep(3 * time.Second) // it has started, and found nothing to do
	}
	committed, took := sellEvenly(b, pool, insert, perSecond, n, r.start)
	if c == nil {
		return arrived{insertP99: milliseconds(percentileOf(took, 0.99))}
	}
	r.wait(b)
	var waited []time.Duration
	for i := range n {
		waited = append(waited, max(time.Duration(r.came[i].Load())-committed[i], 0))
	}
	return arrived{
		p50: milliseconds(percentileOf(waited, 0.5)), p99: milliseconds(percentileOf(waited, 0.99)), insertP99: milliseconds(percentileOf(took, 0.99)),
	}
}

// sellEvenly inserts the orders from 0 to n; it gives when each was committed, since start, and how long its insert took.
func sellEvenly(b *testing.B, pool *pgxpool.Pool, insert string, perSecond, n int, start time.Time) (committed, took []time.Duration) {
	b.Helper()
	const clients = 8
	committed, took = make([]time.Duration, n), make([]time.Duration, n)
	orders := make(chan int, n)
	var selling sync.WaitGroup
	for range clients {
		selling.Go(func() {
			for i := range orders {
				from := time.Now()
				if _, err := pool.Exec(b.Context(), insert, fmt.Sprintf("E%d", i), payload(i)); err != nil {
					b.Error(err)
				}
				committed[i], took[i] = time.Since(start), time.Since(from)
			}
		})
	}
	begin := time.Now()
	for i := range n {
		time.Sleep(time.Until(begin.Add(time.Duration(i) * time.Second / time.Duration(perSecond))))
		orders <- i
	}
	close(orders)
	selling.Wait()
	return committed, took
}

func percentileOf(values []time.Duration, p float64) time.Duration {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[int(float64(len(sorted)-1)*p)]
}
