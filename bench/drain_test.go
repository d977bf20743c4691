package bench

import (
	"context"
	"fmt"
	"os/exec"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"kvit/store/localpg"
)

// rounds is how many turns the contenders take, one after the other, so that a noisy moment of the machine hits all.
const rounds = 3

// drained is what one contender did in one turn.
type drained struct {
	rate     float64 // events/s, from the start of its process to the arrival of the last event
	own      float64 // CPU of its processes, ms per 1,000 events
	postgres float64 // CPU of the server, ms per 1,000 events
	peakMB   float64
}

// conditions are under which a contender drains what waits.
type conditions struct {
	events    int           // 0: as many as the constant says
	delay     time.Duration // of the receiver's answer
	processes int           // 0: one
	before    func(b *testing.B, pool *pgxpool.Pool)
	during    func(b *testing.B)
}

// drain fills a new database, lets the contender send all of it, and measures.
func drain(b *testing.B, server *localpg.Server, c contender, under conditions) drained {
	b.Helper()
	n, processes := max(under.events, 0), max(under.processes, 1)
	if n == 0 {
		n = events
	}
	url := database(b, server, "drain")
	pool := open(b, url)
	defer pool.Close()
	r := &receiver{events: c.events, expects: int64(n), delay: under.delay}
	address := r.listen(b)
	c.fill(b, url, address, n)
	if under.before != nil {
		under.before(b, pool)
	}
	settle(b, pool)
	master := postmaster(b, pool)
	before, start := serverCPU(master), time.Now()
	var workers []*exec.Cmd
	for range processes {
		cmd := c.work(b, url, address)
		require.NoError(b, cmd.Start())
		workers = append(workers, cmd)
	}
	if under.during != nil {
		under.during(b)
	}
	r.wait(b)
	took := time.Since(start)
	result := drained{rate: float64(n) / took.Seconds(), postgres: perThousand(serverCPU(master)-before, n)}
	for _, cmd := range workers {
		result.own += perThousand(statOf(cmd.Process.Pid).own, n)
		result.peakMB = max(result.peakMB, peakMemory(cmd.Process.Pid))
	}
	for _, cmd := range workers {
		stop(b, cmd)
	}
	require.EqualValues(b, n, r.count.Load(), "%s: each once", c.name)
	return result
}

func perThousand(cpu time.Duration, n int) float64 { return milliseconds(cpu) * 1000 / float64(n) }

// BenchmarkDrain sends 50,000 events of 60 keys (3.3 kB) that are already enqueued to a receiver on loopback, with
// a Postgres that syncs to disk. All but two send one POST each; River's no-op sends nothing, and kvit's batches go to a
// provider that takes 1,000 events a request.
func BenchmarkDrain(b *testing.B) {
	server := start(b)
	list := contenders(b)
	results := map[string][]drained{}
	for b.Loop() {
		for range rounds {
			for _, c := range list {
				results[c.name] = append(results[c.name], drain(b, server, c, conditions{}))
			}
		}
	}
	rate := func(name string) []float64 { return field(results[name], func(d drained) float64 { return d.rate }) }
	var rows []row
	for _, c := range list {
		rows = append(rows, row{what: c.name, unit: "events/s", values: rate(c.name)})
	}
	single, batches := rate("kvit, one POST each"), rate("kvit, batches (Meta)")
	ratio := func(what string, a []float64, beside, aim string) {
		if of := rate(beside); len(of) > 0 {
			rows = append(rows, row{what: what + " / " + beside, unit: "ratio", values: each(a, of), aim: aim})
		}
	}
	ratio("one POST each", single, "graphile-worker", "at least 1.4")
	ratio("one POST each", single, "pg-boss", "at least 1.6")
	ratio("batches", batches, "graphile-worker", "at least 2")
	ratio("batches", batches, "River, no-op, slim jobs", "at least 0.65")
	for _, c := range list {
		own, postgres := "", ""
		if c.name == "kvit, one POST each" {
			own, postgres = "at most 100", "at most 70"
		}
		rows = append(rows,
			row{what: c.name + ": its processes", unit: "CPU ms per 1,000 events", values: field(results[c.name], func(d drained) float64 { return d.own }), aim: own},
			row{what: c.name + ": Postgres", unit: "CPU ms per 1,000 events", values: field(results[c.name], func(d drained) float64 { return d.postgres }), aim: postgres})
	}
	rows = append(rows, row{what: "kvit, one POST each: peak memory", unit: "MB", values: field(results["kvit, one POST each"], func(d drained) float64 { return d.peakMB })})
	publish(b, "Draining what waits", fmt.Sprintf("%d events of 60 keys (3.3 kB), each way from the start of its process to the arrival of the last event; %d rounds in turns.", events, rounds), rows...)
}

func field(list []drained, of func(drained) float64) []float64 {
	var values []float64
	for _, d := range list {
		values = append(values, of(d))
	}
	return values
}

// start runs the private Postgres of a benchmark, with Postgres' own durability.
func start(b *testing.B, settings ...string) *localpg.Server {
	b.Helper()
	options := localpg.Options{Settings: map[string]string{}}
	for i := 0; i < len(settings); i += 2 {
		options.Settings[settings[i]] = settings[i+1]
	}
	server, err := localpg.Start(b.Context(), options)
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, server.Stop(context.Background())) })
	return server
}

// BenchmarkDrainBesides drains under what nights bring: 1,000,000 jobs of another destination that wait, a snapshot that is
// held open all the time, so that nothing can be vacuumed, and a Postgres that restarts in the middle.
func BenchmarkDrainBesides(b *testing.B) {
	server := start(b)
	c := kvit(build(b), "kvit", webhook, nil)
	var calm, waiting, snapshot, restart []float64
	for b.Loop() {
		for range rounds {
			calm = append(calm, drain(b, server, c, conditions{}).rate)
			waiting = append(waiting, drain(b, server, c, conditions{before: millionWait}).rate)
			snapshot = append(snapshot, drain(b, server, c, conditions{before: holdSnapshot}).rate)
			restart = append(restart, drain(b, server, c, conditions{during: func(b *testing.B) {
				time.Sleep(3 * time.Second)
				require.NoError(b, server.Restart(b.Context()))
			}}).rate)
		}
	}
	publish(b, "Draining on a bad day", fmt.Sprintf("%d events, one POST each, %d rounds in turns. A restart of Postgres comes after 3 s; it may repeat no event here, since its answers were written.", events, rounds),
		row{what: "kvit, nothing else", unit: "events/s", values: calm},
		row{what: "1,000,000 jobs of a paused destination wait", unit: "ratio", values: each(waiting, calm)},
		row{what: "a snapshot is held open", unit: "ratio", values: each(snapshot, calm)},
		row{what: "Postgres restarts in the middle", unit: "ratio", values: each(restart, calm)})
}

// millionWait gives a destination that no process sends to 1,000,000 jobs.
func millionWait(b *testing.B, pool *pgxpool.Pool) {
	b.Helper()
	run(b, acquire(b, pool), `
		insert into kvit.river_job (kind, args, queue, max_attempts, created_at)
		select 'deliver_event', jsonb_build_object('event_id', 1000000 + i, 'destination', 'other'), 'deliver_other', 10000, now() - interval '1 hour'
		from generate_series(1, 1000000) i`)
}

// holdSnapshot keeps every row that is there from being vacuumed for as long as the benchmark runs.
func holdSnapshot(b *testing.B, pool *pgxpool.Pool) {
	b.Helper()
	conn := acquire(b, pool)
	run(b, conn, `begin isolation level repeatable read`)
	run(b, conn, `select count(*) from kvit.destination`)
}

// acquire connects once more; the connection ends with the benchmark, or with its database.
func acquire(b *testing.B, pool *pgxpool.Pool) *pgx.Conn {
	b.Helper()
	conn, err := pgx.ConnectConfig(b.Context(), pool.Config().ConnConfig)
	require.NoError(b, err)
	b.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// BenchmarkProcesses lets one, two and four processes send what waits, to a receiver that answers at once and to one that
// takes 20 ms.
func BenchmarkProcesses(b *testing.B) {
	server := start(b)
	c := kvit(build(b), "kvit", webhook, nil)
	rates := map[string][]float64{}
	turn := func(delay time.Duration, processes, n int) {
		key := fmt.Sprintf("%d/%d", delay.Milliseconds(), processes)
		rates[key] = append(rates[key], drain(b, server, c, conditions{events: n, delay: delay, processes: processes}).rate)
	}
	for b.Loop() {
		for range rounds {
			for _, processes := range []int{1, 2, 4} {
				turn(0, processes, events)
				turn(20*time.Millisecond, processes, events/5)
			}
		}
	}
	publish(b, "One, two and four processes", fmt.Sprintf("One POST each: %d events to a receiver that answers at once, %d to one that takes 20 ms; %d rounds in turns.", events, events/5, rounds),
		row{what: "one process, at once", unit: "events/s", values: rates["0/1"]},
		row{what: "two / one, at once", unit: "ratio", values: each(rates["0/2"], rates["0/1"]), aim: "no loss"},
		row{what: "four / one, at once", unit: "ratio", values: each(rates["0/4"], rates["0/1"])},
		row{what: "one process, 20 ms", unit: "events/s", values: rates["20/1"]},
		row{what: "two / one, 20 ms", unit: "ratio", values: each(rates["20/2"], rates["20/1"]), aim: "at least 1.8"},
		row{what: "four / one, 20 ms", unit: "ratio", values: each(rates["20/4"], rates["20/1"])})
}
