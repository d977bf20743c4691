package bench

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
)

// tradeFor is how long the shop's clients insert in one turn.
const tradeFor = 6 * time.Second

// BenchmarkShopInserts measures how many transactions a second a shop's eight clients make, each of which inserts one
// event, beside the insert of the same payload into a plain table: with 1, 3 and 10 destinations while no kvit runs,
// and with one while `kvit run` works beside them on the same machine.
func BenchmarkShopInserts(b *testing.B) {
	server, binary := start(b), build(b)
	var plain []float64
	with, beside := map[int][]float64{}, []float64(nil)
	for b.Loop() {
		for range rounds {
			plain = append(plain, insertRate(b, database(b, server, "inserts"), insertPlain, func(pool *pgxpool.Pool, _ string) func() {
				_, err := pool.Exec(b.Context(), `create table plain (id bigserial primary key, key text unique, payload json)`)
				require.NoError(b, err)
				return nil
			}))
			for _, destinations := range []int{1, 3, 10} {
				with[destinations] = append(with[destinations], insertRate(b, database(b, server, "inserts"), insertKvit, migrated(b, binary, destinations, false)))
			}
			beside = append(beside, insertRate(b, database(b, server, "inserts"), insertKvit, migrated(b, binary, 1, true)))
		}
	}
	publish(b, "The shop's transactions beside a plain insert", fmt.Sprintf("Eight clients for %s, each transaction inserts one event of 3.3 kB; %d rounds in turns.", tradeFor, rounds),
		row{what: "plain table", unit: "transactions/s", values: plain},
		row{what: "kvit, 1 destination", unit: "ratio", values: each(with[1], plain), aim: "at least 0.6"},
		row{what: "kvit, 3 destinations", unit: "ratio", values: each(with[3], plain), aim: "at least 0.5"},
		row{what: "kvit, 10 destinations", unit: "ratio", values: each(with[10], plain), aim: "at least 0.35"},
		row{what: "kvit, 1 destination, while `kvit run` delivers on the same two cores", unit: "ratio", values: each(beside, plain)})
}

// migrated prepares a database for kvit; with runs, `kvit run` works until the returned function is called.
func migrated(b *testing.B, binary string, destinations int, runs bool) func(*pgxpool.Pool, string) func() {
	return func(_ *pgxpool.Pool, url string) func() {
		_, address := listen(b, nil)
		var config strings.Builder
		config.WriteString("destinations:\n")
		for i := range destinations {
			fmt.Fprintf(&config, "  crm%d: "+webhook+"\n", i, address)
		}
		command := kvitCommand(b, binary, url, config.String())
		require.NoError(b, command("migrate", "up").Run())
		if !runs {
			return nil
		}
		daemon := command("run")
		require.NoError(b, daemon.Start())
		time.Sleep(3 * time.Second)
		return func() { stop(b, daemon) }
	}
}

// insertRate gives transactions/s.
func insertRate(b *testing.B, url, insert string, prepare func(pool *pgxpool.Pool, url string) (end func())) float64 {
	b.Helper()
	const clients = 8
	pool := open(b, url)
	defer pool.Close()
	end := prepare(pool, url)
	if end != nil {
		defer end()
	}
	settle(b, pool)
	var done atomic.Int64
	var clientsWork sync.WaitGroup
	until := time.Now().Add(tradeFor)
	for range clients {
		clientsWork.Go(func() {
			for time.Now().Before(until) {
				i := int(done.Add(1))
				if _, err := pool.Exec(b.Context(), insert, fmt.Sprintf("E%d", i), payload(i)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	clientsWork.Wait()
	return float64(done.Load()) / tradeFor.Seconds()
}

// BenchmarkIdle counts the statements that `kvit run` makes a minute with three destinations that have nothing to do.
func BenchmarkIdle(b *testing.B) {
	server := start(b, "shared_preload_libraries", "pg_stat_statements")
	url := database(b, server, "idle")
	pool := open(b, url)
	if _, err := pool.Exec(b.Context(), `create extension pg_stat_statements`); err != nil {
		b.Skipf("this Postgres cannot count statements: %s", err)
	}
	end := migrated(b, build(b), 3, true)(pool, url)
	defer end()
	time.Sleep(20 * time.Second) // what a start does is over
	var statements []float64
	for b.Loop() {
		for range rounds {
			run(b, acquire(b, pool), `select pg_stat_statements_reset()`)
			time.Sleep(time.Minute)
			var calls float64
			require.NoError(b, pool.QueryRow(b.Context(), `select sum(calls) from pg_stat_statements where query not like '%pg_stat_statements%'`).Scan(&calls))
			statements = append(statements, calls)
		}
	}
	publish(b, "Idle", fmt.Sprintf("`kvit run` with three destinations and nothing to do, %d minutes.", rounds),
		row{what: "statements a minute", values: statements, aim: "at most 60"})
}
