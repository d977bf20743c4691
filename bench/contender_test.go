package bench

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/stretchr/testify/require"
)

// contender is a way to send events that stand in a database.
type contender struct {
	name   string
	events func(body []byte) int // in a request; nil: one
	fill   func(b *testing.B, url, address string, n int)
	work   func(b *testing.B, url, address string) *exec.Cmd // a process that works until SIGTERM, not yet started
}

// contenders are those that are there: without Node.js, or without what bench/install.sh installs, only River's and kvit's.
func contenders(b *testing.B) []contender {
	binary := build(b)
	list := []contender{
		{name: "River, no-op, slim jobs", fill: fillRiver(riverNoop), work: workRiver(riverNoop), events: eventsInReport},
		{name: "River, event in args", fill: fillRiver(riverArgs), work: workRiver(riverArgs)},
	}
	if peersInstalled() {
		list = append(list, peer("graphile-worker", "graphile.js"), peer("pg-boss", "pgboss.js"))
	} else {
		fmt.Println("graphile-worker and pg-boss are left out: sh bench/install.sh installs them and Node.js 22")
	}
	return append(list, kvit(binary, "kvit, one POST each", webhook, nil), kvit(binary, "kvit, batches (Meta)", meta, eventsInMeta))
}

// peersInstalled tells whether what `make bench` installs is there.
func peersInstalled() bool {
	_, err := exec.LookPath("node")
	_, missing := os.Stat(filepath.Join("peers", "node_modules", ".installed"))
	return err == nil && missing == nil
}

// named picks a contender; nil: it is not there.
func named(list []contender, name string) *contender {
	for _, c := range list {
		if c.name == name {
			return &c
		}
	}
	return nil
}

// peer is a job queue of Node.js, driven by a script in the folder peers.
func peer(name, script string) contender {
	node := func(b *testing.B, args ...string) *exec.Cmd {
		cmd := exec.CommandContext(b.Context(), "node", append([]string{filepath.Join("peers", script)}, args...)...)
		cmd.Stderr = os.Stderr
		return cmd
	}
	return contender{
		name: name,
		fill: func(b *testing.B, url, _ string, n int) {
			cmd := node(b, "fill", url)
			stdin, err := cmd.StdinPipe()
			require.NoError(b, err)
			require.NoError(b, cmd.Start())
			lines := bufio.NewWriter(stdin)
			for i := range n {
				_, _ = lines.WriteString(oneLine(payload(i)) + "\n")
			}
			require.NoError(b, lines.Flush())
			require.NoError(b, stdin.Close())
			require.NoError(b, cmd.Wait())
		},
		work: func(b *testing.B, url, address string) *exec.Cmd { return node(b, "work", url, address) },
	}
}

// kvit is `kvit run` with one destination and its defaults.
func kvit(binary, name, destination string, eventsIn func([]byte) int) contender {
	config := func(address string) string { return fmt.Sprintf("destinations:\n  crm: "+destination+"\n", address) }
	return contender{
		name: name, events: eventsIn,
		fill: func(b *testing.B, url, address string, n int) {
			require.NoError(b, kvitCommand(b, binary, url, config(address))("migrate", "up").Run())
			track(b, open(b, url), n)
		},
		work: func(b *testing.B, url, address string) *exec.Cmd {
			return kvitCommand(b, binary, url, config(address))("run")
		},
	}
}

// track enqueues events as a shop does, a thousand in a statement.
func track(b *testing.B, pool *pgxpool.Pool, n int) {
	b.Helper()
	for from := 0; from < n; from += 1000 {
		var keys, payloads []string
		for i := from; i < min(from+1000, n); i++ {
			keys, payloads = append(keys, "order_paid:E"+strconv.Itoa(i)), append(payloads, payload(i))
		}
		_, err := pool.Exec(b.Context(), `
			insert into kvit.tracking_event (event_key, name, order_ref, payload, consent)
			select key, 'order_paid', substr(key, 12), payload, '{"marketing": true}'
			from unnest($1::text[], $2::json[]) as t (key, payload)`, keys, payloads)
		require.NoError(b, err)
	}
}

// The two ways of River's: what its queue alone costs, and the event in its args as its examples have it.
const (
	riverNoop = "river-noop"
	riverArgs = "river-args"
)

// riverWorkers is enough that neither way waits for its fetches: at most so many each 20 ms.
const riverWorkers = 1000

func fillRiver(way string) func(b *testing.B, url, _ string, n int) {
	return func(b *testing.B, url, _ string, n int) {
		pool := open(b, url)
		migrator, err := rivermigrate.New(riverpgxv5.New(pool), nil)
		require.NoError(b, err)
		_, err = migrator.Migrate(b.Context(), rivermigrate.DirectionUp, nil)
		require.NoError(b, err)
		client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{})
		require.NoError(b, err)
		for from := 0; from < n; from += 1000 {
			var params []river.InsertManyParams
			for i := from; i < min(from+1000, n); i++ {
				params = append(params, river.InsertManyParams{Args: riverJob(way, i)})
			}
			_, err := client.InsertManyFast(b.Context(), params)
			require.NoError(b, err)
		}
	}
}

func riverJob(way string, i int) river.JobArgs {
	if way == riverNoop {
		return noopArgs{Event: i, Destination: "crm"}
	}
	return sendArgs{Key: "order_paid:E" + strconv.Itoa(i), Payload: []byte(payload(i))}
}

// workRiver runs this test's own program again, so that its CPU is told apart from the receiver's.
func workRiver(way string) func(b *testing.B, url, address string) *exec.Cmd {
	return func(b *testing.B, url, address string) *exec.Cmd {
		self, err := os.Executable()
		require.NoError(b, err)
		cmd := exec.CommandContext(b.Context(), self)
		cmd.Env = append(os.Environ(), roleVariable+"="+way, "DATABASE_URL="+url, "ADDRESS="+address)
		cmd.Stderr = os.Stderr
		return cmd
	}
}

// roleVariable makes this program a worker of River's instead of a benchmark.
const roleVariable = "KVIT_BENCH_ROLE"

func TestMain(m *testing.M) {
	if way := os.Getenv(roleVariable); way != "" {
		if err := runRiver(way, os.Getenv("DATABASE_URL"), os.Getenv("ADDRESS")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	m.Run()
}

func runRiver(way, url, address string) error {
	ctx, stop := signalContext()
	defer stop()
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		return err
	}
	defer pool.Close()
	workers := river.NewWorkers()
	httpClient := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: riverWorkers}}
	if way == riverNoop {
		river.AddWorker(workers, &noopWorker{})
		go reportNoops(ctx, httpClient, address)
	} else {
		river.AddWorker(workers, &sendWorker{url: address, client: httpClient})
	}
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{
		Queues:  map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: riverWorkers, FetchCooldown: 20 * time.Millisecond}},
		Workers: workers,
	})
	if err != nil {
		return err
	}
	if err := client.Start(context.Background()); err != nil {
		return err
	}
	<-ctx.Done()
	return client.Stop(context.Background())
}

// noopArgs hold no more than kvit's own jobs do.
type noopArgs struct {
	Event       int    `json:"event_id"`
	Destination string `json:"destination"`
}

func (noopArgs) Kind() string { return "noop" }

type noopWorker struct {
	river.WorkerDefaults[noopArgs]
}

var noops atomic.Int64

func (*noopWorker) Work(context.Context, *river.Job[noopArgs]) error {
	noops.Add(1)
	return nil
}

// reportNoops tells the receiver each 20 ms how many jobs have ended since.
func reportNoops(ctx context.Context, client *http.Client, address string) {
	for ctx.Err() == nil {
		time.Sleep(20 * time.Millisecond)
		n := noops.Swap(0)
		if n == 0 {
			continue
		}
		response, err := client.Post(address, "text/plain", strings.NewReader(strconv.FormatInt(n, 10)))
		if err != nil {
			return
		}
		_ = response.Body.Close()
	}
}

// eventsInReport reads what reportNoops tells.
func eventsInReport(body []byte) int {
	n, _ := strconv.Atoi(string(body))
	return n
}

// stop ends a process as an operator would, and waits for it.
func stop(b *testing.B, cmd *exec.Cmd) {
	b.Helper()
	require.NoError(b, cmd.Process.Signal(syscall.SIGTERM))
	done := make(chan struct{})
	go func() {
		_ = cmd.Wait() // graphile-worker ends by the signal itself
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		_ = cmd.Process.Kill()
		b.Fatalf("%s did not end within a minute", cmd.Path)
	}
}

func signalContext() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), syscall.SIGTERM)
}

// oneLine is a payload without the line breaks that it is written with for people.
func oneLine(payload string) string { return strings.Join(strings.Fields(payload), " ") }
